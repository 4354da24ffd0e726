//! What the data mean: documents, readings, levels, freshness, history. Nothing in here knows a clock, a file or a
//! network; times come in as [`Moment`]s.

mod changes;
mod document;
mod fleet;
mod freshness;
mod history;
mod host;
mod layout;
mod level;
mod moment;
mod order;
mod printable;
mod reading;
mod summary;

pub use changes::changed_fields;
pub use document::{Document, Unreadable};
pub use fleet::{Column, Figures, Fleet, MOST_MACHINES, Machine, Sight, Sorting, Tally};
pub use freshness::{Freshness, LATE_PERIODS, STALE_PERIODS, USUAL_PERIOD};
pub use history::{History, Overall, Segment};
pub use host::HostStatus;
pub use layout::{HOTTEST, Layout};
pub use level::{Level, Thresholds};
pub use moment::Moment;
pub use order::natural;
pub use printable::{printable, steers};
pub use reading::{CACHE, Cpu, EGRESS, Reading, TIMESTAMP, cpu_id};
pub use summary::Summary;
