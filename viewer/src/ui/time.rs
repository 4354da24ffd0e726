//! The time that a frame is drawn for, and how times are written.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::model::Moment;

/// The time that a frame is drawn for.
#[derive(Debug, Clone)]
pub struct Time {
    /// On the viewer's own clock.
    pub now: Moment,
    /// The same on the wall's, in seconds since 1970.
    pub unix: f64,
    /// Where the wall stands.
    pub zone: TimeZone,
}

impl Time {
    /// The time of day at `moment`, as `14:03:07`.
    pub fn of_day(&self, moment: Moment) -> String {
        let unix = self.unix + (moment - self.now);
        match Timestamp::from_millisecond((unix * 1000.0) as i64) {
            Ok(stamp) => stamp.to_zoned_datetime(self.zone.clone()).strftime("%H:%M:%S").to_string(),
            Err(_) => String::new(),
        }
    }
}

/// An age, as people say it: `2 s` (whole seconds that have passed), `3 min`, `5 h`, `2 d`.
pub fn ago(seconds: f64) -> String {
    match seconds {
        s if s < 100.0 => format!("{:.0} s", s.floor()),
        s if s < 6_000.0 => format!("{:.0} min", s / 60.0),
        s if s < 172_800.0 => format!("{:.0} h", s / 3_600.0),
        s => format!("{:.0} d", s / 86_400.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_short() {
        for (seconds, text) in
            [(0.9, "0 s"), (99.0, "99 s"), (100.0, "2 min"), (5_999.0, "100 min"), (6_000.0, "2 h"), (1e6, "12 d")]
        {
            assert_eq!(ago(seconds), text);
        }
    }

    #[test]
    fn the_time_of_day_follows_the_zone() {
        let zone = TimeZone::fixed(jiff::tz::offset(-3));
        let time = Time { now: Moment(100.0), unix: 1_764_498_600.0, zone };
        assert_eq!(time.of_day(Moment(100.0)), "07:30:00");
        assert_eq!(time.of_day(Moment(40.0)), "07:29:00");
    }
}
