//! A ConfigMap's or Secret's volume, written step by step as the kubelet does it.
//!
//! The steps are those of Kubernetes' `AtomicWriter`: a folder with the time in its name is filled, a link to it is made
//! beside `..data` and renamed over it, links to new files are made and those to old ones removed, and the folder before
//! goes. Older kubelets made the links before their files.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

/// When the links to new files are made.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Links {
    BeforeTheSwap,
    AfterIt,
}

/// A volume, and the kubelet that writes it.
pub struct Volume {
    folder: tempfile::TempDir,
    /// The name of the newest folder of files.
    newest: Option<String>,
    written: usize,
    /// What files are given besides their bytes; none for what a new file of the test's has.
    rights: Option<Rights>,
}

/// A file's mode, and its group (`fsGroup`).
#[derive(Clone, Copy)]
pub struct Rights {
    pub mode: u32,
    pub group: u32,
}

impl Volume {
    pub fn new() -> Volume {
        Volume { folder: tempfile::tempdir().unwrap(), newest: None, written: 0, rights: None }
    }

    /// One whose files get these rights; only root may give them.
    pub fn with(rights: Rights) -> Volume {
        let volume = Volume { rights: Some(rights), ..Volume::new() };
        fs::set_permissions(volume.folder(), fs::Permissions::from_mode(0o755)).unwrap();
        volume
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&mut self, files: &[(&str, &[u8])], links: Links) {
        self.written += 1;
        let name = format!("..2026_11_25_03_20_15.{:09}", self.written);
        fs::create_dir(self.path(&name)).unwrap();
        for (file, bytes) in files {
            let path = self.path(&name).join(file);
            fs::write(&path, bytes).unwrap();
            if let Some(Rights { mode, group }) = self.rights {
                chown(&path, None, Some(group)).unwrap();
                fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            }
        }
        if links == Links::BeforeTheSwap {
            self.link(files);
        }
        symlink(&name, self.path("..data_tmp")).unwrap();
        fs::rename(self.path("..data_tmp"), self.path("..data")).unwrap();
        self.link(files);
        for entry in fs::read_dir(self.folder.path()).unwrap().map(Result::unwrap) {
            let visible = entry.file_name().to_string_lossy().into_owned();
            if !visible.starts_with("..") && !files.iter().any(|(file, _)| *file == visible) {
                fs::remove_file(entry.path()).unwrap();
            }
        }
        if let Some(before) = self.newest.replace(name) {
            fs::remove_dir_all(self.path(&before)).unwrap();
        }
    }

    fn link(&self, files: &[(&str, &[u8])]) {
        for (file, _) in files {
            if fs::symlink_metadata(self.path(file)).is_err() {
                symlink(format!("..data/{file}"), self.path(file)).unwrap();
            }
        }
    }
}
