//! Who may hand the host code: pins and signatures, made with the real minisign, at the start and on reload.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::json;
use support::minisign::Key;
use support::redis::Redis;
use support::{Host, build, fixture, plugin_host, refused, replace, text, wait_for, zipped};

/// A folder with a plugin, and a way to ask what the host thinks of it.
struct Place {
    folder: tempfile::TempDir,
    file: PathBuf,
}

impl Place {
    fn with(name: &str, bytes: &[u8]) -> Place {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(name);
        fs::write(&file, bytes).unwrap();
        Place { folder, file }
    }

    fn ask(&self, command: &str, key: &str) -> Output {
        let mut child = plugin_host();
        child.arg(command).arg(self.folder.path()).args(["--handler", "count", "--plugin-public-key", key]);
        if command == "invoke" {
            child.args(["--input", "/dev/null"]);
        }
        child.output().unwrap()
    }

    /// A host that runs it on a timer, with a key.
    fn host(&self, redis: &Redis, key: &Key, more: &[(&str, &str)]) -> Host {
        let url = redis.server.url();
        let mut all = vec![
            ("STORE_URL", url.as_str()),
            ("HANDLER_FUNCTION", "versioned"),
            ("TRIGGER", "timer"),
            ("RELOAD_PERIOD", "0.02"),
            ("PLUGIN_PUBLIC_KEY", &key.public),
        ];
        all.extend_from_slice(more);
        Host::start(&self.file, &all)
    }

    /// What inspect, invoke and run say when they refuse it.
    fn refusal(&self, key: &str) -> String {
        let inspected = self.ask("inspect", key);
        assert_eq!(inspected.status.code(), Some(1), "{}", text(&inspected.stdout));
        let said = text(&inspected.stdout).split_once("refuses it: ").expect("a reason").1.trim().to_owned();
        let invoked = self.ask("invoke", key);
        assert_eq!(invoked.status.code(), Some(1));
        let folder = self.folder.path().to_str().unwrap();
        for told in [text(&invoked.stderr), refused(&[("HANDLER_PATH", folder), ("PLUGIN_PUBLIC_KEY", key)])] {
            assert!(told.contains(&said), "{said:?} is missing in {told}");
        }
        said
    }
}

#[test]
fn a_library_and_a_zip_signed_with_the_key_are_taken_and_the_signer_is_shown() {
    let key = Key::new();
    for place in [Place::with("libfixture.so", &build(1)), Place::with("fixture.zip", &zipped(&build(1)))] {
        key.sign(&place.file);
        let inspected = place.ask("inspect", &key.public);
        let said = text(&inspected.stdout);
        assert!(said.contains(&format!("signed       by the key {} (for tests): checked", key.id)), "{said}");
        assert!(inspected.status.success() && place.ask("invoke", &key.public).status.success());
        let unchecked = plugin_host().arg("inspect").arg(&place.file).output().unwrap();
        assert!(text(&unchecked.stdout).contains("it says: not checked"), "{}", text(&unchecked.stdout));
    }
}

#[test]
fn with_a_key_whatever_is_not_signed_with_it_is_refused() {
    let (key, other) = (Key::new(), Key::new());
    for (name, bytes) in [("libfixture.so", build(1)), ("fixture.zip", zipped(&build(1)))] {
        let place = Place::with(name, &bytes);
        assert!(place.refusal(&key.public).contains("it is not signed (no .minisig beside it)"));
        other.sign(&place.file);
        let refusal = place.refusal(&key.public);
        assert!(refusal.contains(&format!("signed with the key {}", other.id)) && refusal.contains(&key.id));
        let signature = fs::read(place.folder.path().join(format!("{name}.minisig"))).unwrap();
        key.sign(&place.file);
        fs::write(&place.file, b"something else").unwrap();
        assert!(place.refusal(&key.public).contains("changed after it was signed, or the signature is another file's"));
        fs::write(place.folder.path().join(format!("{name}.minisig")), b"no signature").unwrap();
        assert!(place.refusal(&key.public).contains("no minisign signature"));
        fs::write(&place.file, &bytes).unwrap();
        fs::write(place.folder.path().join(format!("{name}.minisig")), signature).unwrap();
        assert!(place.ask("inspect", &other.public).status.success());
    }
}

#[test]
fn a_comment_that_was_changed_after_signing_is_refused() {
    let key = Key::new();
    let place = Place::with("libfixture.so", &build(1));
    key.sign(&place.file);
    let path = place.folder.path().join("libfixture.so.minisig");
    let forged = fs::read_to_string(&path).unwrap().replace("for tests", "for all");
    fs::write(&path, forged).unwrap();
    assert!(place.refusal(&key.public).contains("does not fit"));
}

#[test]
fn the_key_is_checked_again_on_reload_and_a_signature_may_come_later() {
    let key = Key::new();
    let place = Place::with("libfixture.so", &build(0));
    key.sign(&place.file);
    let redis = Redis::start();
    let host = place.host(&redis, &key, &[]);
    host.wait_until_ready();
    host.wait_for_log("signatures=\"checked\"");
    assert_eq!(host.status()["plugin"]["signer"], json!({"key_id": key.id, "comment": "for tests"}));
    replace(&place.file, &build(1));
    let status =
        wait_for("a refusal", || Some(host.status()).filter(|status| status["last_reload"]["failed"] == "trust"));
    assert!(status["last_reload"]["message"].as_str().unwrap().contains("changed after it was signed"));
    assert_eq!((&status["reloads"], &status["state"]), (&json!(0), &json!("running")));
    key.sign(&place.file);
    wait_for("the signed version", || redis.output().filter(|output| output["build"] == "build-0000000001"));
}

#[test]
fn a_pin_takes_one_archive_and_no_other() {
    let bytes = zipped(&build(1));
    let place = Place::with("fixture.zip", &bytes);
    let sum = sha256(&place.file, &bytes);
    let sum = sum.as_str();
    let redis = Redis::start();
    let url = redis.server.url();
    let run = |path: &Path, pin: &str| refused(&[("HANDLER_PATH", path.to_str().unwrap()), ("ZIP_SHA256", pin)]);
    let wrong = run(&place.file, &"0".repeat(64));
    assert!(wrong.contains(&format!("its SHA-256 is {sum}")), "{wrong}");
    let library = Place::with("libfixture.so", &build(1));
    assert!(run(&library.file, sum).contains("this is a library, not a ZIP"));

    let right = [
        ("STORE_URL", url.as_str()),
        ("HANDLER_FUNCTION", "versioned"),
        ("ZIP_SHA256", sum),
        ("RELOAD_PERIOD", "0.02"),
    ];
    let host = Host::start(&place.file, &right);
    host.wait_until_ready();
    assert_eq!(host.status()["plugin"]["zip_sha256"], sum);
    replace(&place.file, &zipped(&build(2)));
    wait_for("a refusal", || Some(()).filter(|()| host.status()["last_reload"]["failed"] == "trust"));
    redis.write("1");
    redis.wait_for_sequence(1);
    assert_eq!(redis.output().unwrap()["build"], "build-0000000001");
}

#[test]
fn a_library_that_others_may_write_is_warned_about() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("libfixture.so");
    fs::write(&path, fixture()).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
    let inspected = plugin_host().arg("inspect").arg(&path).output().unwrap();
    assert!(text(&inspected.stdout).contains("others than this user can write to"), "{}", text(&inspected.stdout));
    let redis = Redis::start();
    let url = redis.server.url();
    let host = Host::start(&path, &[("STORE_URL", &url), ("HANDLER_FUNCTION", "count")]);
    let warning = host.wait_for_log("others than this user can write to");
    assert!(warning.contains(path.to_str().unwrap()) && warning.contains("chmod"), "{warning}");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let inspected = plugin_host().arg("inspect").arg(&path).output().unwrap();
    assert_eq!(text(&inspected.stdout).matches("others than this user").count(), 1);

    // The folder may be closed where the file is, and open where the link to it is.
    let open = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(open.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let link = open.path().join("libfixture.so");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    let inspected = plugin_host().arg("inspect").arg(&link).output().unwrap();
    assert!(text(&inspected.stdout).contains(&format!("can write to {}\n", open.path().display())));
}

/// A user who may write where the private folder lies, but not in it, takes it away and puts his own in its place.
#[test]
fn nothing_is_loaded_from_a_folder_that_somebody_put_in_the_private_ones_place() {
    let (key, state) = (Key::new(), tempfile::tempdir().unwrap());
    let place = Place::with("libfixture.so", &build(0));
    key.sign(&place.file);
    let redis = Redis::start();
    let state_dir = state.path().to_str().unwrap();
    let host = place.host(&redis, &key, &[("STATE_DIR", state_dir)]);
    host.wait_until_ready();
    let private = fs::read_dir(&state).unwrap().next().unwrap().unwrap().path();
    fs::rename(&private, state.path().join("taken")).unwrap();
    fs::create_dir(&private).unwrap();
    let (signed, forged) = (build(1), build(666));
    let sum = sha256(&place.folder.path().join("next"), &signed);
    fs::write(private.join(format!("{sum}.so")), forged).unwrap();
    fs::write(place.folder.path().join("libfixture.so.minisig"), key.signature(&signed)).unwrap();
    replace(&place.file, &signed);
    wait_for("the new version", || Some(()).filter(|()| host.status()["reloads"] == 1));
    wait_for("its result", || redis.output().filter(|output| output["build"] == "build-0000000001"));
    assert!(host.stop().success());
}

/// The SHA-256 of some bytes, by the system's own program.
fn sha256(file: &Path, bytes: &[u8]) -> String {
    fs::write(file, bytes).unwrap();
    let printed = text(&Command::new("sha256sum").arg(file).output().unwrap().stdout);
    printed.split(' ').next().unwrap().to_owned()
}

#[test]
fn what_lies_beside_a_plugin_and_is_no_signature_keeps_nobody_waiting() {
    let key = Key::new();
    let place = Place::with("libfixture.so", &build(0));
    let signature = place.folder.path().join("libfixture.so.minisig");
    assert!(Command::new("mkfifo").arg(&signature).status().unwrap().success());
    let asked = place.ask("invoke", &key.public);
    assert!(!asked.status.success() && text(&asked.stderr).contains("it is not a file"), "{}", text(&asked.stderr));
    // Without a key nobody looks there.
    let mut invoke = plugin_host();
    invoke.arg("invoke").arg(&place.file).args(["--handler", "count", "--input", "/dev/null"]);
    assert!(invoke.status().unwrap().success());
}

#[test]
fn what_a_plugin_says_of_itself_stays_in_its_row() {
    let mut library = build(0);
    let at = library.windows(9).position(|window| window == b"\"rustc\":\"").unwrap() + 9;
    let claim = b"x\\nsigned       by you";
    library[at..at + claim.len()].copy_from_slice(claim);
    let place = Place::with("libfixture.so", &library);
    let said = text(&plugin_host().arg("inspect").arg(&place.file).output().unwrap().stdout);
    assert!(said.contains("built by     x\\nsigned") && said.contains("\nsigned       by nobody\n"), "{said}");
}
