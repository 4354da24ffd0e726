//! What is kept between starts: profiles, the last one, and settings, in one JSON file that only its owner may read.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::profile::Profile;
use crate::state::{Choice, Settings};

/// What is kept. It holds no secret.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Kept {
    /// Saved profiles, by name.
    pub profiles: Vec<Profile>,
    /// What was connected to last.
    pub last: Option<Profile>,
    /// The user's choices.
    pub settings: Settings,
}

/// The folder that it is kept in, as the system has it; none where the user has no home.
pub fn folder() -> Option<PathBuf> {
    directories::ProjectDirs::from("", "", "plugin-viewer").map(|folders| folders.config_dir().to_owned())
}

/// Reads what is kept; nothing where there is no file.
///
/// # Errors
///
/// A file that can't be read, or isn't what [`write()`] wrote.
pub fn read(file: &Path) -> io::Result<Kept> {
    match fs::read(file) {
        Ok(bytes) => Ok(serde_json::from_slice(&bytes)?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Kept::default()),
        Err(error) => Err(error),
    }
}

/// Adds a choice to what is kept now, which other viewers may have added to meanwhile.
///
/// # Errors
///
/// As [`read`] and [`write()`].
pub fn keep(file: &Path, choice: Choice) -> io::Result<()> {
    let mut kept = read(file)?;
    choice.change(&mut kept.profiles);
    match choice {
        Choice::Last(profile) => kept.last = Some(profile),
        Choice::Set(settings) => kept.settings = settings,
        Choice::Save(_) | Choice::Remove(_) => {}
    }
    write(file, &kept)
}

/// Writes it, whole or not at all.
///
/// # Errors
///
/// A folder that can't be made or written to.
pub fn write(file: &Path, kept: &Kept) -> io::Result<()> {
    // Where it is a link, as in folders of dotfiles, what it leads to is written.
    let file = fs::canonicalize(file).unwrap_or_else(|_absent| file.to_owned());
    let folder = file.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    // A temporary file is readable by its owner alone, and stays so under its new name.
    let mut temporary = tempfile::NamedTempFile::new_in(folder)?;
    temporary.write_all(&serde_json::to_vec_pretty(kept)?)?;
    temporary.as_file().sync_all()?;
    temporary.persist(&file)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("below/viewer.json");
        assert_eq!(read(&file).unwrap(), Kept::default());
        let profile = Profile { name: "a".to_owned(), ..Profile::default() };
        let kept = Kept { profiles: vec![profile.clone()], last: Some(profile), ..Kept::default() };
        write(&file, &kept).unwrap();
        assert_eq!(read(&file).unwrap(), kept);
    }

    #[test]
    fn two_viewers_take_nothing_from_each_other() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("viewer.json");
        let profile = |name: &str| Profile { name: name.to_owned(), ..Profile::default() };
        for choice in [
            Choice::Save(profile("b")),
            Choice::Save(profile("a")),
            Choice::Set(Settings { theme: crate::state::Theme::Dark, ..Settings::default() }),
            Choice::Last(profile("a")),
            Choice::Save(profile("c")),
            Choice::Remove("b".to_owned()),
        ] {
            keep(&file, choice).unwrap();
        }
        let kept = read(&file).unwrap();
        assert_eq!(kept.profiles, [profile("a"), profile("c")]);
        assert_eq!((kept.last, kept.settings.theme), (Some(profile("a")), crate::state::Theme::Dark));
        fs::write(&file, "of a later version").unwrap();
        assert!(keep(&file, Choice::Remove("a".to_owned())).is_err());
        assert_eq!(fs::read_to_string(&file).unwrap(), "of a later version");
    }

    #[cfg(unix)]
    #[test]
    fn a_link_stays_one() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("mine.json"), folder.path().join("viewer.json"));
        fs::write(&file, "{}").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        let kept = Kept { last: Some(Profile::default()), ..Kept::default() };
        write(&link, &kept).unwrap();
        assert!(link.is_symlink());
        assert_eq!(read(&file).unwrap(), kept);
    }

    #[test]
    fn a_file_of_a_later_version_is_read_as_far_as_it_is_known() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("viewer.json");
        fs::write(&file, r#"{"profiles":[{"name":"a","later":1}],"later":2}"#).unwrap();
        assert_eq!(read(&file).unwrap().profiles[0].name, "a");
        fs::write(&file, "nonsense").unwrap();
        assert!(read(&file).is_err());
    }
}
