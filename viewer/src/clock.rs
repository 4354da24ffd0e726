//! The viewer's own clock: it goes on while the machine sleeps, and nobody can set it back.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use crate::model::Moment;

/// The wall's clock running ahead of the steady one by more than this is taken for sleep. Less is a clock that is being
/// corrected.
const SLEEP: f64 = 5.0;

/// Gives moments. Cheap to clone; clones agree.
#[derive(Debug, Clone)]
pub struct Clock {
    started: Instant,
    speed: f64,
    /// A moment that had another time of day than now has.
    recorded: Option<(Moment, SystemTime)>,
    sleep: Arc<Mutex<Sleep>>,
}

/// What the steady clock has missed.
#[derive(Debug)]
struct Sleep {
    wall_started: SystemTime,
    /// How far the wall's clock was ahead at the last look, in seconds.
    ahead: f64,
    /// Seconds slept.
    slept: f64,
}

impl Clock {
    /// A clock that starts now.
    #[expect(clippy::new_without_default, reason = "no two of them are equal")]
    pub fn new() -> Clock {
        Clock::with_speed(1.0)
    }

    /// A clock whose moments pass `speed` times as fast, for recordings.
    pub fn with_speed(speed: f64) -> Clock {
        let sleep = Sleep { wall_started: SystemTime::now(), ahead: 0.0, slept: 0.0 };
        Clock { started: Instant::now(), speed, recorded: None, sleep: Arc::new(Mutex::new(sleep)) }
    }

    /// The same with the times of day of a recording: at `moment` it was `wall`.
    pub fn recorded(self, moment: Moment, wall: SystemTime) -> Clock {
        Clock { recorded: Some((moment, wall)), ..self }
    }

    /// What it shows.
    pub fn now(&self) -> Moment {
        let steady = self.started.elapsed().as_secs_f64();
        Moment((steady + self.look(steady)) * self.speed)
    }

    /// Seconds that the machine has slept since the clock's start.
    pub fn slept(&self) -> f64 {
        self.look(self.started.elapsed().as_secs_f64())
    }

    /// The real time until it shows `moment`.
    pub fn until(&self, moment: Moment) -> Duration {
        Duration::try_from_secs_f64((moment - self.now()) / self.speed).unwrap_or_default()
    }

    /// The time of day at `moment`.
    pub fn wall(&self, moment: Moment) -> SystemTime {
        let (now, wall) = self.recorded.unwrap_or_else(|| (self.now(), SystemTime::now()));
        let apart = Duration::try_from_secs_f64((moment - now).abs()).unwrap_or_default();
        let told = if moment < now { wall.checked_sub(apart) } else { wall.checked_add(apart) };
        told.unwrap_or(wall)
    }

    /// A plain mutex: it is held for a few sums only.
    fn look(&self, steady: f64) -> f64 {
        let mut sleep = self.sleep.lock().unwrap_or_else(PoisonError::into_inner);
        let wall = match SystemTime::now().duration_since(sleep.wall_started) {
            Ok(since) => since.as_secs_f64(),
            Err(error) => -error.duration().as_secs_f64(),
        };
        sleep.notice(wall - steady)
    }
}

impl Sleep {
    /// Takes in how far the wall's clock is ahead; gives the seconds slept so far.
    fn notice(&mut self, ahead: f64) -> f64 {
        if ahead - self.ahead > SLEEP {
            self.slept += ahead - self.ahead;
        }
        self.ahead = ahead;
        self.slept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wall_clock_that_jumps_ahead_means_sleep() {
        let mut sleep = Sleep { wall_started: SystemTime::now(), ahead: 0.0, slept: 0.0 };
        assert_eq!(sleep.notice(0.1), 0.0);
        assert_eq!(sleep.notice(3_600.1), 3_600.0);
        assert_eq!(sleep.notice(3_600.2), 3_600.0);
    }

    #[test]
    fn a_clock_that_is_set_back_or_corrected_means_nothing() {
        let mut sleep = Sleep { wall_started: SystemTime::now(), ahead: 0.0, slept: 0.0 };
        for ahead in [-3_600.0, -3_596.0, -3_592.0, -7_200.0] {
            assert_eq!(sleep.notice(ahead), 0.0, "{ahead}");
        }
    }

    #[test]
    fn a_faster_clock_shows_more() {
        let clock = Clock::with_speed(1_000.0);
        let start = clock.now();
        assert!(clock.until(start + 1_000.0) <= Duration::from_secs(1));
        while clock.now() - start < 5.0 {}
    }
}
