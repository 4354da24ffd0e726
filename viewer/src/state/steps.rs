//! 'Why not connected?': each step from the ssh client to the fields of a result, with how far it is and what to do.

use super::{Found, Phase, Progress, State, Step};

/// The most fields that are told for holding no number.
const MOST_FAULTS: usize = 5;

impl State {
    /// Every step of connecting with how far it is.
    pub fn steps(&self) -> Vec<(Step, Progress)> {
        let [ssh, reach, login] = self.connecting.clone();
        let connected = matches!(self.phase, Phase::Live(_));
        let [key, json, fields] = match connected {
            false => Default::default(),
            true if self.lists_machines() => self.fleet_steps(),
            true => self.value_steps(),
        };
        Step::ALL.into_iter().zip([ssh, reach, login, key, json, fields]).collect()
    }

    fn value_steps(&self) -> [Progress; 3] {
        let failed = |why: String, advice: &str| Progress::Failed { why, advice: advice.to_owned() };
        let waiting = Progress::default;
        let key = self.watched().map(|target| target.keys.output.as_str()).unwrap_or_default();
        let present = || Progress::Done(format!("{key} holds a value"));
        match &self.current.output.found {
            None => [Progress::Running(format!("reading {key}")), waiting(), waiting()],
            Some(Found::Nothing) => [
                failed(
                    format!("key {key:?} isn't there"),
                    "See whether the host runs and its input is being written, and whether this is its output key.",
                ),
                waiting(),
                waiting(),
            ],
            Some(Found::Refused(why)) => {
                [failed(why.clone(), "Name the key that the host writes its results to."), waiting(), waiting()]
            }
            Some(Found::Unreadable(why)) => [
                present(),
                failed(why.to_string(), "See what else writes to this key; the host writes JSON objects."),
                waiting(),
            ],
            Some(Found::Document(document)) => {
                let size = format!("{} fields, {} bytes", document.fields().len(), document.bytes().len());
                [present(), Progress::Done(size), self.fields_step()]
            }
        }
    }

    fn fields_step(&self) -> Progress {
        let reading = &self.current.output.reading;
        if !reading.faults.is_empty() {
            let mut why = reading.faults[..reading.faults.len().min(MOST_FAULTS)].join("; ");
            if let Some(more @ 1..) = reading.faults.len().checked_sub(MOST_FAULTS) {
                why += &format!("; and {more} more");
            }
            return Progress::Failed {
                why,
                advice: "The other fields are shown. See the handler that writes these.".to_owned(),
            };
        }
        let figures = [(reading.egress.is_some(), "egress"), (reading.cache.is_some(), "cache")];
        let mut found: Vec<String> = figures.iter().filter(|(is, _)| *is).map(|(_, name)| (*name).to_owned()).collect();
        if !reading.cpus.is_empty() {
            found.push(format!("{} CPUs", reading.cpus.len()));
        }
        if found.is_empty() {
            return Progress::Failed {
                why: "none of the fields that gauges and bars show is there".to_owned(),
                advice: "What there is stands under Data. The metrics plugin writes percent-network-egress, \
                         percent-memory-cache and avg-util-cpuN-60sec."
                    .to_owned(),
            };
        }
        Progress::Done(found.join(", "))
    }
}
