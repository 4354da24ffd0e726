//! With a pattern: the list of its machines, and the one that is opened.

use super::{Effect, Opened, Progress, Standing, State, View};
use crate::model::{Freshness, MOST_MACHINES, Moment};
use crate::profile::Target;

/// The most names of machines that are told.
const MOST_NAMES: usize = 3;

impl State {
    /// Whether the list of machines is what is looked at.
    pub fn lists_machines(&self) -> bool {
        self.opened.is_none() && self.target.as_ref().is_some_and(|target| target.pattern.is_some())
    }

    /// The machine that is opened.
    pub fn machine(&self) -> Option<&str> {
        self.opened.as_ref().map(|opened| opened.name.as_str())
    }

    /// What the results, inputs and histories are of: the opened machine, else the target.
    pub fn watched(&self) -> Option<&Target> {
        self.opened.as_ref().map(|opened| &opened.target).or(self.target.as_ref())
    }

    /// How many keys match the pattern and are left out, since so many can't be listed.
    pub fn left_out(&self) -> usize {
        self.matching.unwrap_or(0).saturating_sub(MOST_MACHINES)
    }

    /// Whether what the connection tells of results is of what is looked at.
    pub(super) fn is_told(&self) -> bool {
        match &self.opened {
            Some(opened) => opened.told,
            None => !self.lists_machines(),
        }
    }

    pub(super) fn begin_to_tell(&mut self, output_key: Option<&str>) {
        if let Some(opened) = &mut self.opened {
            opened.told = output_key == Some(opened.target.keys.output.as_str());
        }
    }

    pub(super) fn open_machine(&mut self, name: String, now: Moment) -> Vec<Effect> {
        let target = match self.target.as_ref().map(|target| target.machine(&name)) {
            Some(Ok(target)) => target,
            Some(Err(why)) => {
                self.notify(why, now);
                return Vec::new();
            }
            None => return Vec::new(),
        };
        self.forget_results();
        self.view = View::Overview;
        self.list.chosen = Some(name.clone());
        self.opened = Some(Opened { name, target: target.clone(), told: false });
        vec![Effect::Machine(Some(Box::new(target)))]
    }

    pub(super) fn close_machine(&mut self) -> Vec<Effect> {
        if self.opened.take().is_none() {
            return Vec::new();
        }
        self.forget_results();
        self.view = View::Overview;
        vec![Effect::Machine(None)]
    }

    /// A list is live as long as any of its machines is.
    pub(super) fn standing_of_fleet(&self, now: Moment) -> Standing {
        let period = self.period();
        let is_live = self.fleet.iter().any(|(_, machine)| {
            matches!(machine.freshness(now, period), Some(Freshness::Fresh | Freshness::Unconfirmed))
        });
        if is_live { Standing::Live } else { Standing::Late }
    }

    pub(super) fn fleet_steps(&self) -> [Progress; 3] {
        let pattern = self.target.as_ref().map(|target| target.keys.output.as_str()).unwrap_or_default();
        let waiting = Progress::default;
        let Some(matching) = self.matching else {
            return [Progress::Running(format!("looking for keys {pattern}")), waiting(), waiting()];
        };
        if matching == 0 {
            let why = format!("no key matches {pattern:?}");
            let advice =
                "See whether the host runs with this output pattern, and whether its inputs are being written.";
            return [Progress::Failed { why, advice: advice.to_owned() }, waiting(), waiting()];
        }
        let key = Progress::Done(format!("{matching} keys match {pattern}"));
        let unreadable: Vec<(&str, &str)> =
            self.fleet.iter().filter_map(|(name, machine)| Some((name, machine.fault.as_deref()?))).collect();
        let without = self.fleet.iter().filter(|(_, machine)| machine.figures.cpus == 0).count();
        let fields = match self.fleet.len() {
            all if without < all => Progress::Done(format!("{} of them with CPUs", all - without)),
            _ => Progress::Failed {
                why: "none of them has the fields that the list shows".to_owned(),
                advice: "Open a machine: what it has stands under Data.".to_owned(),
            },
        };
        if unreadable.is_empty() {
            return [key, Progress::Done("all of them can be read".to_owned()), fields];
        }
        let mut why: Vec<String> =
            unreadable.iter().take(MOST_NAMES).map(|(name, fault)| format!("{name}: {fault}")).collect();
        if let Some(more @ 1..) = unreadable.len().checked_sub(MOST_NAMES) {
            why.push(format!("and {more} more"));
        }
        let advice = "See what else writes to these keys; the host writes JSON objects.".to_owned();
        [key, Progress::Failed { why: why.join("; "), advice }, fields]
    }
}
