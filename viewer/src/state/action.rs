//! What the user wants, and what follows from it outside the state.

use std::path::PathBuf;

use super::Over;
use super::settings::Settings;
use crate::model::{Sorting, natural};
use crate::profile::{Profile, Secret, Target};

/// What the user wants.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Look at another page.
    Show(View),
    /// The form holds this now.
    Edit(Form),
    /// Connect to what the form holds.
    Connect,
    /// Connect to a saved profile.
    Open(Profile),
    /// Save the form's profile under its name.
    Save,
    /// Remove the saved profile of this name.
    Remove(String),
    /// Try again now.
    Retry,
    /// End the connection.
    Disconnect,
    /// Hold what is shown, or go on.
    ToggleFreeze,
    /// Other choices.
    Set(Settings),
    /// Other choices for now, that are not to be kept.
    Try(Settings),
    /// Open what lies over the page, or close it.
    Toggle(Over),
    /// Show only fields that contain this text.
    Search(String),
    /// How the history is looked at.
    Chart(Chart),
    /// How the list of machines is looked at.
    List(List),
    /// Look at one machine of the list.
    OpenMachine(String),
    /// Go back to the list.
    CloseMachine,
    /// The export goes to this path.
    ExportPath(String),
    /// Write the results that are kept to a file.
    Export(Format),
    /// Play a recorded file.
    Replay(PathBuf),
    /// Close what lies over the page.
    Dismiss,
}

/// A page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum View {
    /// Values now, with a small history.
    #[default]
    Overview,
    /// All lines, large.
    History,
    /// Tables and trees.
    Data,
    /// The form, and why there is no connection.
    Connection,
}

impl View {
    /// All pages, in the order of their keys 1, 2, 3 …
    pub const ALL: [View; 4] = [View::Overview, View::History, View::Data, View::Connection];
}

/// What is typed into the form.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Form {
    /// What may be saved.
    pub profile: Profile,
    /// What may not.
    pub secret: Secret,
}

/// How the history is looked at.
#[derive(Debug, Clone, PartialEq)]
pub struct Chart {
    /// Whether the newest result stays in sight.
    pub live: bool,
    /// How many seconds are in sight; infinite: all that is kept.
    pub window: f64,
    /// The newest moment in sight while it doesn't.
    pub end: f64,
    /// The lines that are hidden, by their fields.
    pub hidden: std::collections::BTreeSet<String>,
}

impl Default for Chart {
    fn default() -> Chart {
        Chart { live: true, window: 600.0, end: 0.0, hidden: std::collections::BTreeSet::new() }
    }
}

/// How the list of machines is looked at.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct List {
    /// The text that names must contain.
    pub search: String,
    /// The order.
    pub sorting: Sorting,
    /// The machine that Enter opens.
    pub chosen: Option<String>,
}

/// The form of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// The numbers, one row a result.
    Csv,
    /// The results as they came, one line each.
    JsonLines,
}

impl Format {
    /// The file's name for this form: one that is said to be of the other gets another ending.
    pub(super) fn named(self, path: PathBuf) -> PathBuf {
        let ending = match self {
            Format::Csv => "csv",
            Format::JsonLines => "jsonl",
        };
        let known = |of: &std::ffi::OsStr| ["csv", "jsonl"].iter().any(|known| of.eq_ignore_ascii_case(known));
        match path.extension() {
            Some(of) if known(of) && !of.eq_ignore_ascii_case(ending) => path.with_extension(ending),
            _ => path,
        }
    }
}

/// What the user has chosen, one thing at a time: another viewer may have kept something else meanwhile.
#[derive(Debug, Clone, PartialEq)]
pub enum Choice {
    /// To save this profile, in the place of any of its name.
    Save(Profile),
    /// To remove the profile of this name.
    Remove(String),
    /// To look at this.
    Last(Profile),
    /// These settings.
    Set(Settings),
}

impl Choice {
    /// Does to the saved profiles what was chosen.
    pub fn change(&self, profiles: &mut Vec<Profile>) {
        match self {
            Choice::Save(profile) => {
                profiles.retain(|saved| saved.name != profile.name);
                profiles.push(profile.clone());
                profiles.sort_by(|a, b| natural(&a.name, &b.name));
            }
            Choice::Remove(name) => profiles.retain(|saved| saved.name != *name),
            Choice::Last(_) | Choice::Set(_) => {}
        }
    }
}

/// What follows from an action outside the state.
#[derive(Debug, Clone)]
pub enum Effect {
    /// Connect there, and drop any other connection.
    Connect(Box<Target>),
    /// Try again now.
    Retry,
    /// Drop the connection.
    Disconnect,
    /// Keep this beyond the end.
    Keep(Choice),
    /// Have everything told of this machine of the pattern, or of none.
    Machine(Option<Box<Target>>),
    /// Write an export.
    Export(Format, PathBuf),
    /// Play a recorded file.
    Replay(PathBuf),
}
