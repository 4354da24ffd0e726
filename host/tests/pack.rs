//! `plugin-host pack`: the same files give the same bytes, the host takes what it packs, and the ConfigMap's manifest
//! goes to the cluster with the command that is printed.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::io::Cursor;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use support::{fixture, plugin_host, text};
use zip::ZipArchive;

/// Runs `pack` in a folder.
fn pack(folder: &Path, arguments: &[&str]) -> Output {
    plugin_host().arg("pack").args(arguments).current_dir(folder).output().unwrap()
}

/// What `pack` wrote to `x.zip`.
fn packed(folder: &Path, plugins: &[&str]) -> Vec<u8> {
    let output = pack(folder, &[plugins, &["--zip", "x.zip"]].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    let bytes = fs::read(folder.join("x.zip")).unwrap();
    fs::remove_file(folder.join("x.zip")).unwrap();
    bytes
}

/// Why `pack` refuses; it writes nothing then.
fn refusal(folder: &Path, plugins: &[&str]) -> String {
    let zip = pack(folder, &[plugins, &["--zip", "x.zip"]].concat());
    let configmap = pack(folder, &[plugins, &["--configmap", "x"]].concat());
    assert_eq!((zip.status.code(), configmap.status.code()), (Some(1), Some(1)), "{plugins:?}");
    assert!(!folder.join("x.zip").exists() && configmap.stdout.is_empty());
    assert_eq!(text(&zip.stderr), text(&configmap.stderr));
    text(&zip.stderr)
}

/// Writes these files, in this order.
fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    folder
}

/// The names in an archive, in its order.
fn names(zip: &[u8]) -> Vec<String> {
    let archive = ZipArchive::new(Cursor::new(zip)).unwrap();
    archive.file_names().map(|name| name.unwrap().into_owned()).collect()
}

/// A library with a manifest, small enough for a ConfigMap.
fn small_plugin() -> Vec<u8> {
    const SOURCE: &str = r#"
        __attribute__((section(".plugin_manifest"), used)) static const char manifest[SIZE] = MANIFEST;
        int handler;"#;
    let manifest = r#"{"abi":1,"name":"small","version":"1","target":"t","handlers":["handler"]}"#;
    let source = SOURCE.replace("SIZE", &manifest.len().to_string()).replace("MANIFEST", &format!("{manifest:?}"));
    let folder = folder(&[("x.c", source.as_bytes())]);
    let built = Command::new("cc").args(["-shared", "-fPIC", "-o", "x.so", "x.c"]).current_dir(&folder).output();
    let built = built.unwrap();
    assert!(built.status.success(), "{}", text(&built.stderr));
    fs::read(folder.path().join("x.so")).unwrap()
}

#[test]
fn the_same_files_give_the_same_bytes() {
    let mut files =
        [("libfixture.so", fixture()), ("data/zürich.txt", b"z".as_slice()), ("data/b/c", b"c"), ("a.txt", b"")];
    let one = folder(&files);
    files.reverse();
    let other = folder(&files);
    for (name, _) in files {
        let file = fs::File::open(other.path().join(name)).unwrap();
        file.set_permissions(fs::Permissions::from_mode(0o700)).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000)).unwrap();
    }
    let zip = packed(one.path(), &["."]);
    assert!(zip == packed(other.path(), &["."]), "names and contents are the same");
    assert_eq!(names(&zip), ["a.txt", "data/b/c", "data/zürich.txt", "libfixture.so"]);

    // However the files are named, and though the ZIP of another time lies among them.
    fs::create_dir(one.path().join("top")).unwrap();
    fs::rename(one.path().join("data"), one.path().join("top/data")).unwrap();
    assert!(zip == packed(one.path(), &["libfixture.so", "top", "a.txt"]), "names and contents are the same");
    fs::write(other.path().join("x.zip"), &zip).unwrap();
    assert!(zip == packed(other.path(), &["."]), "what was packed is not packed again");
    fs::write(other.path().join("a.txt"), "changed").unwrap();
    assert!(zip != packed(other.path(), &["."]));
}

#[test]
fn a_host_takes_what_was_packed_and_it_works() {
    let source = folder(&[("lib/libfixture.so", fixture()), ("lib/data/text", b"text")]);
    let output = pack(source.path(), &["lib", "--zip", "x.zip"]);
    let zip = source.path().join("x.zip");
    let inspected = plugin_host().arg("inspect").arg(&zip).args(["--format", "json"]).output().unwrap();
    let inspected: serde_json::Value = serde_json::from_slice(&inspected.stdout).unwrap();
    assert_eq!((&inspected["refused"], &inspected["library"]), (&serde_json::Value::Null, &"libfixture.so".into()));
    assert_eq!(text(&output.stderr), format!("ZIP_SHA256={}\n", inspected["sha256"].as_str().unwrap()));
    let invoked = support::invoke(&zip, "count", b"1\n2\n");
    assert_eq!((text(&invoked.stdout).as_str(), invoked.status.code()), ("1\n2\n", Some(0)));
}

#[test]
fn files_of_the_same_name_are_refused() {
    let source = folder(&[("libfixture.so", fixture()), ("a/libfixture.so", fixture()), ("a/b", b""), ("b/c", b"")]);
    for again in ["libfixture.so", "./libfixture.so", "a", "a/libfixture.so"] {
        let said = refusal(source.path(), &["libfixture.so", again]);
        assert!(said.contains(" and ") && said.contains("have the same name"), "{said}");
    }
    // A file b, and a folder b with something in it.
    let both = folder(&[("libfixture.so", fixture()), ("b", b""), ("folder/b/c", b"")]);
    let output = pack(both.path(), &["libfixture.so", "b", "folder", "--zip", "x.zip"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("\"b\" both as a file and as a folder"), "{}", text(&output.stderr));
    assert!(!both.path().join("x.zip").exists());
}

#[test]
fn what_is_no_plugin_is_refused_with_the_words_of_inspect() {
    let source = folder(&[("libtext.so", b"no library"), ("notes.txt", b""), ("deep/lib/libfixture.so", fixture())]);
    let inspected = plugin_host().arg("inspect").arg(source.path().join("libtext.so")).output().unwrap();
    let inspected = text(&inspected.stdout);
    let reason = inspected.trim_end().split_once("refuses it: ").unwrap().1;
    let said = refusal(source.path(), &["libtext.so"]);
    assert!(said.contains("the plugin libtext.so: ") && said.contains(reason), "{said}");
    for plugins in [&["notes.txt"][..], &["deep"], &["notes.txt", "deep"]] {
        let said = refusal(source.path(), plugins);
        assert!(said.contains("no plugin among the files: name a shared library"), "{said}");
    }
    let said = refusal(source.path(), &["absent.so"]);
    assert!(said.contains("absent.so"), "{said}");
}

#[test]
fn a_zip_of_zips_and_a_configmap_of_broken_ones_are_refused() {
    let place = folder(&[("libx.so", &small_plugin()), ("broken.zip", b"PK"), ("a.txt", b"a")]);
    fs::write(place.path().join("good.zip"), packed(place.path(), &["libx.so"])).unwrap();
    let output = pack(place.path(), &["good.zip", "--zip", "x.zip"]);
    assert!(!output.status.success() && text(&output.stderr).contains("no plugin among the files"));
    let output = pack(place.path(), &["broken.zip", "--configmap", "x"]);
    assert!(!output.status.success() && text(&output.stderr).contains("it is no ZIP"), "{}", text(&output.stderr));
    assert!(pack(place.path(), &["good.zip", "a.txt", "--configmap", "x"]).status.success());
}

#[test]
fn what_shrinks_like_a_bomb_is_stored_so_that_a_host_takes_it() {
    let place = folder(&[("libx.so", &small_plugin()), ("zeros", &vec![0; 3 << 20]), ("text", &vec![b'a'; 9000])]);
    let bytes = packed(place.path(), &["libx.so", "zeros", "text"]);
    assert!((3 << 20..4 << 20).contains(&bytes.len()), "{}", bytes.len());
    fs::write(place.path().join("x.zip"), &bytes).unwrap();
    let inspected = plugin_host().arg("inspect").arg(place.path().join("x.zip")).output().unwrap();
    assert!(inspected.status.success(), "{}", text(&inspected.stdout));
}

#[test]
fn a_zip_is_there_as_a_whole_or_not_at_all() {
    let place = folder(&[("libx.so", &small_plugin()), ("x.zip", b"before")]);
    fs::create_dir(place.path().join("folder")).unwrap();
    let output = pack(place.path(), &["libx.so", "--zip", "folder"]);
    assert!(!output.status.success() && text(&output.stderr).contains("can't write folder"));
    let names = fs::read_dir(place.path()).unwrap().count();
    assert_eq!(names, 3, "something was left");
    assert!(Command::new("mkfifo").arg(place.path().join("pipe")).status().unwrap().success());
    let output = pack(place.path(), &["libx.so", "--zip", "pipe"]);
    assert!(!output.status.success() && text(&output.stderr).contains("not a file"), "{}", text(&output.stderr));
    symlink("target.zip", place.path().join("link.zip")).unwrap();
    fs::write(place.path().join("target.zip"), b"before").unwrap();
    assert!(pack(place.path(), &["libx.so", "--zip", "link.zip"]).status.success());
    assert!(place.path().join("link.zip").is_symlink());
    assert!(fs::read(place.path().join("target.zip")).unwrap().starts_with(b"PK"));
    let link = place.path().join("old");
    fs::hard_link(place.path().join("x.zip"), &link).unwrap();
    packed(place.path(), &["libx.so"]);
    assert_eq!(fs::read(link).unwrap(), b"before", "it was written to in place");
}

#[test]
fn links_to_folders_are_refused_and_links_to_files_followed() {
    let source = folder(&[("a/libfixture.so", fixture()), ("elsewhere/text", b"text")]);
    symlink("../elsewhere/text", source.path().join("a/text")).unwrap();
    assert_eq!(names(&packed(source.path(), &["a"])), ["libfixture.so", "text"]);
    symlink("../elsewhere", source.path().join("a/link")).unwrap();
    let said = refusal(source.path(), &["a"]);
    assert!(said.contains("a/link is a link to a folder: name the folder itself"), "{said}");
    fs::remove_file(source.path().join("a/link")).unwrap();
    symlink("nowhere", source.path().join("a/link")).unwrap();
    let said = refusal(source.path(), &["a"]);
    assert!(said.contains("can't read a/link"), "{said}");
}

#[test]
fn one_target_has_to_be_named() {
    let source = folder(&[("libfixture.so", fixture())]);
    for target in [&[][..], &["--zip", "x.zip", "--configmap", "x"]] {
        let output = pack(source.path(), &[&["libfixture.so"], target].concat());
        assert_eq!(output.status.code(), Some(2), "{target:?}");
        assert!(!source.path().join("x.zip").exists() && output.stdout.is_empty());
    }
    assert_eq!(pack(source.path(), &["--zip", "x.zip"]).status.code(), Some(2));
}

/// The name and the files of a manifest.
fn parsed(manifest: &str) -> (String, BTreeMap<String, Vec<u8>>) {
    let unquoted = |text: &str| serde_json::from_str::<String>(text).unwrap();
    let (head, files) = manifest.split_once("binaryData:\n").unwrap();
    let name = head.strip_prefix("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: ").unwrap();
    let files = files.lines().map(|line| {
        let (name, content) = line.strip_prefix("  ").unwrap().split_once(": ").unwrap();
        (unquoted(name), STANDARD.decode(unquoted(content)).unwrap())
    });
    (unquoted(name.trim_end()), files.collect())
}

#[test]
fn a_manifest_holds_the_files_and_the_signature_beside_a_plugin() {
    let plugin = small_plugin();
    let source = folder(&[("libsmall.so", &plugin), ("libsmall.so.minisig", b"signed"), ("data.bin", b"\0\xff")]);
    let expected = |names: &[&str]| -> BTreeMap<String, Vec<u8>> {
        names.iter().map(|name| ((*name).to_owned(), fs::read(source.path().join(name)).unwrap())).collect()
    };
    for (plugins, names) in [
        (&["libsmall.so"][..], &["libsmall.so", "libsmall.so.minisig"][..]),
        (&["libsmall.so", "libsmall.so.minisig"], &["libsmall.so", "libsmall.so.minisig"]),
        (&["libsmall.so", "data.bin"], &["libsmall.so", "libsmall.so.minisig", "data.bin"]),
        (&["."], &["libsmall.so", "libsmall.so.minisig", "data.bin"]),
    ] {
        let output = pack(source.path(), &[plugins, &["--configmap", "my-plugin.v1"]].concat());
        assert!(output.status.success(), "{}", text(&output.stderr));
        assert_eq!(parsed(&text(&output.stdout)), ("my-plugin.v1".to_owned(), expected(names)));
    }
    // A ZIP and its signature, too.
    let zip = packed(source.path(), &["libsmall.so", "data.bin"]);
    fs::write(source.path().join("small.zip"), &zip).unwrap();
    fs::write(source.path().join("small.zip.minisig"), "of the ZIP").unwrap();
    let output = pack(source.path(), &["small.zip", "--configmap", "x"]);
    assert_eq!(parsed(&text(&output.stdout)).1, expected(&["small.zip", "small.zip.minisig"]));
}

#[test]
fn more_than_a_configmap_holds_is_refused_with_both_ways_out() {
    let source = folder(&[("libsmall.so", &small_plugin()), ("a", &[b'x'; 1 << 20])]);
    let output = pack(source.path(), &["libsmall.so", "a", "--configmap", "x"]);
    assert!(output.status.code() == Some(1) && output.stdout.is_empty());
    let said = text(&output.stderr);
    assert!(said.contains("bytes are more than a ConfigMap holds (1048576)"), "{said}");
    assert!(said.contains("make a ZIP (--zip FILE)") && said.contains("build the plugin smaller: opt-level"), "{said}");
    let name = pack(source.path(), &["libsmall.so", "--configmap", "No_Name"]);
    assert!(name.status.code() == Some(1) && text(&name.stderr).contains("can't be a ConfigMap's name"));
}

/// A folder with a `kubectl` that writes down what it gets.
fn kubectl() -> tempfile::TempDir {
    let script = "#!/bin/sh\ncd \"$(dirname \"$0\")\"\nprintf '%s\\n' \"$@\" >arguments\ncat >stdin\n";
    let folder = folder(&[("kubectl", script.as_bytes())]);
    fs::set_permissions(folder.path().join("kubectl"), fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

#[test]
fn the_command_that_is_printed_applies_the_manifest() {
    let plugin = small_plugin();
    let source = folder(&[("it's a \"plugin\" & $HOME/libsmall.so", &plugin), ("-libdash.so", &plugin)]);
    let host = PathBuf::from(env!("CARGO_BIN_EXE_plugin-host"));
    for path in ["it's a \"plugin\" & $HOME", "it's a \"plugin\" & $HOME/libsmall.so", "-libdash.so"] {
        let output = pack(source.path(), &["--configmap", "small", "--", path]);
        let said = text(&output.stderr);
        let command = said.lines().nth(1).unwrap_or_else(|| panic!("{said}"));
        let kubectl = kubectl();
        let path = format!("{}:{}:{}", kubectl.path().display(), host.parent().unwrap().display(), env!("PATH"));
        let mut shell = Command::new("sh");
        let ran = shell.arg("-c").arg(command).env("PATH", path).current_dir(source.path()).output().unwrap();
        assert!(ran.status.success(), "{command}: {}", text(&ran.stderr));
        let got = |name: &str| text(&fs::read(kubectl.path().join(name)).unwrap());
        assert_eq!(got("arguments"), "apply\n--server-side\n-f\n-\n");
        assert!(got("stdin") == text(&output.stdout), "{command}: {}", text(&ran.stderr));
        assert!(parsed(&got("stdin")).1.values().eq([&plugin]));
    }
}
