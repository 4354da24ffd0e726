//! Where the marks of the axes stand, and what is written beside them.

use egui_plot::{GridInput, GridMark};
use jiff::Timestamp;

use super::super::Time;

/// The distances between two marks of the time that people count in, in seconds.
const STEPS: [f64; 17] = [
    1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1_800.0, 3_600.0, 10_800.0, 21_600.0, 43_200.0,
    86_400.0,
];

/// The least distance between two marks on the screen, as a multiple of egui_plot's own.
const ROOM: f64 = 12.0;

/// Marks at round times of the day.
pub fn times(input: &GridInput, time: &Time) -> Vec<GridMark> {
    let least = input.base_step_size * ROOM;
    let most = STEPS[STEPS.len() - 1];
    let step = STEPS.into_iter().find(|step| *step >= least).unwrap_or((least / most).ceil() * most);
    let shift = time.unix - time.now.0 + offset(time);
    let (from, to) = input.bounds;
    let first = ((from + shift) / step).ceil() * step - shift;
    let count = ((to - first) / step).floor();
    if !(0.0..1_000.0).contains(&count) {
        return Vec::new();
    }
    (0..=count as u32).map(|mark| GridMark { value: first + f64::from(mark) * step, step_size: step }).collect()
}

/// How wide a character of a mark is, about, in points.
const CHARACTER: f64 = 7.2;

/// What is written below a mark; nothing where the axis, which is so many points wide, has no room for all of it.
pub fn time(mark: GridMark, [from, to]: [f64; 2], width: f32, time: &Time) -> String {
    let words = words(mark, time);
    let half = words.chars().count() as f64 * CHARACTER / 2.0 * (to - from) / f64::from(width);
    if (from + half..=to - half).contains(&mark.value) { words } else { String::new() }
}

fn words(mark: GridMark, time: &Time) -> String {
    let unix = time.unix + (mark.value - time.now.0);
    let form = match mark.step_size {
        step if step < 60.0 => "%H:%M:%S",
        step if step < 43_200.0 => "%H:%M",
        _ => "%d %b %H:%M",
    };
    let Ok(stamp) = Timestamp::from_millisecond((unix * 1_000.0).round() as i64) else { return String::new() };
    stamp.to_zoned_datetime(time.zone.clone()).strftime(form).to_string()
}

/// Marks at quarters of 100.
pub fn quarters(input: &GridInput) -> Vec<GridMark> {
    let (from, to) = input.bounds;
    let step = if (to - from) > 125.0 { (to - from) / 4.0 } else { 25.0 };
    (0..=4).map(|mark| GridMark { value: f64::from(mark) * step, step_size: step }).collect()
}

/// A number in the room of an axis: `1.6 G`.
pub fn short(number: f64) -> String {
    for (unit, sign) in [(1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")] {
        if (unit..unit * 1e4).contains(&number.abs()) {
            return format!("{} {sign}", rounded(number / unit));
        }
    }
    if number != 0.0 && !(1e-3..1e12).contains(&number.abs()) {
        return format!("{number:.1e}");
    }
    rounded(number)
}

/// Three decimals at most, and no zeros at the end.
fn rounded(number: f64) -> String {
    let text = format!("{number:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn offset(time: &Time) -> f64 {
    let stamp = Timestamp::from_second(time.unix as i64);
    stamp.map_or(0.0, |stamp| f64::from(time.zone.to_offset(stamp).seconds()))
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;
    use crate::model::Moment;

    fn at_half_past_ten(zone: TimeZone) -> Time {
        Time { now: Moment(100.0), unix: 1_764_498_600.0, zone }
    }

    fn labels(seconds: f64, zone: TimeZone) -> Vec<String> {
        let frame = at_half_past_ten(zone);
        let input = GridInput { bounds: (100.0 - seconds, 100.0), base_step_size: seconds / 120.0 };
        times(&input, &frame).into_iter().map(|mark| words(mark, &frame)).collect()
    }

    #[test]
    fn marks_stand_at_round_times() {
        let utc = || TimeZone::UTC;
        assert_eq!(labels(60.0, utc())[..2], ["10:29:00", "10:29:10"]);
        assert_eq!(labels(600.0, utc())[..2], ["10:20", "10:21"]);
        assert_eq!(labels(3_600.0, utc())[1], "09:40");
        assert_eq!(labels(36_000.0, TimeZone::fixed(jiff::tz::offset(-3)))[2], "00:00");
        assert_eq!(labels(900_000.0, utc())[0], "22 Nov 00:00");
    }

    #[test]
    fn what_would_be_cut_at_the_ends_is_left_out() {
        let frame = at_half_past_ten(TimeZone::UTC);
        let written = |at: f64, width: f32| time(GridMark { value: at, step_size: 60.0 }, [40.0, 100.0], width, &frame);
        assert_eq!([40.0, 70.0, 100.0].map(|at| written(at, 600.0)), ["", "10:29", ""]);
        assert_eq!([41.0, 42.0, 98.0, 99.0].map(|at| written(at, 600.0)), ["", "10:29", "10:29", ""]);
        assert_eq!(written(42.0, 300.0), "", "there is half the room");
    }

    #[test]
    fn numbers_are_short() {
        for (number, text) in [
            (0.0, "0"),
            (0.25, "0.25"),
            (12.5, "12.5"),
            (1_600_000.0, "1.6 M"),
            (16e9, "16 G"),
            (-2e3, "-2 k"),
            (1e-6, "1.0e-6"),
        ] {
            assert_eq!(short(number), text);
        }
    }
}
