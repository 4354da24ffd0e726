//! Keys and signatures made with the real minisign.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::text;

/// A minisign key pair.
pub struct Key {
    folder: tempfile::TempDir,
    /// The public key.
    pub public: String,
    /// Its number, as minisign prints it.
    pub id: String,
}

impl Key {
    pub fn new() -> Key {
        let folder = tempfile::tempdir().unwrap();
        minisign(Command::new("minisign").args(["-G", "-W", "-p", "k.pub", "-s", "k.key"]).current_dir(&folder));
        let file = fs::read_to_string(folder.path().join("k.pub")).unwrap();
        let mut lines = file.lines();
        let id = lines.next().unwrap().rsplit(' ').next().unwrap().to_owned();
        Key { public: lines.next().unwrap().to_owned(), id, folder }
    }

    /// Signs a file, beside it.
    pub fn sign(&self, file: &Path) {
        let key = self.folder.path().join("k.key");
        minisign(Command::new("minisign").arg("-S").arg("-s").arg(key).args(["-t", "for tests"]).arg("-m").arg(file));
    }

    /// The signature of some bytes.
    pub fn signature(&self, bytes: &[u8]) -> Vec<u8> {
        let file = self.folder.path().join("signed");
        fs::write(&file, bytes).unwrap();
        self.sign(&file);
        fs::read(self.folder.path().join("signed.minisig")).unwrap()
    }
}

fn minisign(command: &mut Command) {
    let output = command.output().expect("minisign is installed");
    assert!(output.status.success(), "{}", text(&output.stderr));
}
