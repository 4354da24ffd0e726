//! Where inputs come from: a file, or this machine.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use figures::CpuTimes;

use crate::trigger::Source;

/// The lines of `input`, of the folder's `inputs.jsonl` where none is named, and else this machine's figures.
///
/// # Errors
///
/// The file can't be read or holds no line; the figures can't be read.
pub(super) fn inputs(input: Option<&Path>, folder: &Path) -> Result<Source> {
    let of_the_crate = folder.join("inputs.jsonl");
    let file = input.map(Path::to_owned).or_else(|| of_the_crate.is_file().then_some(of_the_crate));
    let Some(path) = file else {
        // CPU percentages are those since the last reading, so the first reading is made before the build.
        let (_, mut before) = figures::read(&CpuTimes::default()).context("can't read this machine's figures")?;
        return Ok(Box::new(move || {
            let (figures, now) = figures::read(&before).context("can't read this machine's figures")?;
            before = now;
            Ok(serde_json::to_vec(&figures)?)
        }));
    };
    let text = fs::read(&path).with_context(|| format!("can't read the input {}", path.display()))?;
    let lines: Vec<_> = text
        .split(|byte| *byte == b'\n')
        .map(<[u8]>::trim_ascii)
        .filter(|line| !line.is_empty())
        .map(<[u8]>::to_vec)
        .collect();
    if lines.is_empty() {
        bail!("the input {} holds no line", path.display());
    }
    let mut lines = lines.into_iter().cycle();
    Ok(Box::new(move || lines.next().context("the input has ended")))
}
