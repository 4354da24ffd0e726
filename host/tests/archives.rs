//! Plugins in ZIPs: hostile archives are refused, each with its own sentence, and leave nothing anywhere; honest ones
//! run, whoever made them; and the private folder that they are unpacked into goes with the host.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod forge;
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::SystemTime;

use forge::{Entry, crc32, end, end_of_zip64, honest, zip};
use proptest::prelude::*;
use serde_json::Value;
use support::{Host, build, fixture, plugin_host, text, wait_for};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// A folder with an archive in it, and a temporary folder for the host.
struct Place {
    outer: tempfile::TempDir,
    zip: PathBuf,
}

impl Place {
    fn with(bytes: &[u8]) -> Place {
        let outer = tempfile::tempdir().unwrap();
        let zip = outer.path().join("x.zip");
        fs::write(&zip, bytes).unwrap();
        fs::create_dir(outer.path().join("tmp")).unwrap();
        Place { outer, zip }
    }

    /// A command of the host, with no more memory than 400 MB.
    fn command(&self, name: &str) -> Command {
        let program = plugin_host();
        let mut command = Command::new("sh");
        command.args(["-c", r#"ulimit -v 400000; exec "$0" "$@""#]).arg(program.get_program()).arg(name).arg(&self.zip);
        command.env_clear().envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.env("TMPDIR", self.outer.path().join("tmp")).stdin(Stdio::null());
        command
    }

    fn run(&self, name: &str, arguments: &[&str]) -> Output {
        self.command(name).args(arguments).output().unwrap()
    }
}

/// All that lies in a folder, with sizes and times.
fn listing(folder: &Path) -> BTreeMap<PathBuf, (u64, SystemTime)> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let metadata = entry.metadata().unwrap();
        if metadata.is_dir() {
            found.extend(listing(&entry.path()));
        }
        // A folder's time tells of files that came and went: the temporary folder's may.
        let modified = if metadata.is_dir() { SystemTime::UNIX_EPOCH } else { metadata.modified().unwrap() };
        found.insert(entry.path(), (metadata.len(), modified));
    }
    found
}

/// Why `inspect` and `invoke` refuse an archive: both have to, with the same words, and leave everything as it was.
fn refusal(bytes: &[u8]) -> String {
    let place = Place::with(bytes);
    let before = listing(place.outer.path());
    let inspected = place.run("inspect", &[]);
    assert_eq!(inspected.status.code(), Some(1), "{} {}", text(&inspected.stdout), text(&inspected.stderr));
    let reason = text(&inspected.stdout).lines().find_map(|line| Some(line.split_once("refuses it: ")?.1.to_owned()));
    let reason = reason.expect("inspect says why");
    let invoked = place.run("invoke", &[]);
    let said = text(&invoked.stderr);
    assert!(invoked.status.code() == Some(1) && said.contains(&reason), "inspect said {reason:?}, invoke {said:?}");
    assert_eq!(listing(place.outer.path()), before, "{reason}");
    reason
}

fn assert_refused(bytes: &[u8], said: &str) {
    let reason = refusal(bytes);
    assert!(reason.contains(said), "{said:?} was expected: {reason}");
}

#[test]
fn names_that_lead_out_of_the_folder_are_refused() {
    for name in ["../x", "a/../../x", "../../../x", "..", "a\\..\\..\\x", "..\\x", "a/.."] {
        assert_refused(&zip(&[Entry::stored(name, b"x")]), "climbs out of its folder");
    }
    let outside = tempfile::tempdir().unwrap();
    let absolute = outside.path().join("x").to_str().unwrap().to_owned();
    for name in [&absolute, &format!("/{absolute}"), "C:\\x", "c:/x", "\\\\server\\x"] {
        assert_refused(&zip(&[Entry::stored(name, b"x")]), "has an absolute path");
    }
    assert!(listing(outside.path()).is_empty());
}

#[test]
fn names_that_are_none_are_refused() {
    let long = "n".repeat(300);
    let deep = "folder/".repeat(200) + "x";
    for name in ["", ".", "/", "a//b", "./a", "a/./b", "a\0b", "a\\b", &long, &deep] {
        assert_refused(&zip(&[Entry::stored(name, b"x")]), "has a name that can't be a file's");
    }
    let name = b"caf\xe9".to_vec();
    assert_refused(&zip(&[Entry { name, ..Entry::stored("", b"x") }]), "has a name that can't be a file's");
}

#[test]
fn a_second_name_in_an_extra_field_is_refused() {
    let content = [b"\x01".as_slice(), &crc32(b"libx.so").to_le_bytes(), b"other.so"].concat();
    let extra = [b"\x75\x70".as_slice(), &(content.len() as u16).to_le_bytes(), &content].concat();
    assert_refused(&zip(&[Entry { extra, ..Entry::stored("libx.so", b"x") }]), "it is damaged or contradicts itself");
}

#[test]
fn links_and_devices_are_refused() {
    let with_mode = |mode| zip(&[Entry { mode, ..Entry::stored("x", b"/etc/passwd") }]);
    assert_refused(&with_mode(0o120_777), "is a symbolic link");
    for special in [0o020_666, 0o060_666, 0o010_666, 0o140_666] {
        assert_refused(&with_mode(special), "is a device, pipe or socket");
    }
    // Times, owner and group, and behind them what the link leads to.
    let extra = [b"\x0d\x00\x17\x00".as_slice(), &[0; 12], b"/etc/passwd"].concat();
    assert_refused(&zip(&[Entry { extra, ..Entry::stored("x", b"") }]), "is a hard link");
}

#[test]
fn two_entries_in_one_place_are_refused() {
    let two = |one, other| zip(&[Entry::stored(one, b"1"), Entry::stored(other, b"2")]);
    assert_refused(&two("a", "a"), "two entries of the same name");
    for (one, other) in [("a", "a/b"), ("a/b/c", "a/b"), ("a/", "a")] {
        assert_refused(&two(one, other), "both as a file and as a folder");
    }
}

#[test]
fn bombs_are_refused() {
    let zeros = vec![0; 100 << 20];
    let bomb = Entry::deflated("zeros", &zeros);
    assert!(zeros.len() / bomb.data.len() > 900, "no bomb");
    assert_refused(&zip(std::slice::from_ref(&bomb)), "more than 100 times its packed size");
    // The same that says of itself that it is small.
    assert_refused(&zip(&[Entry { size: 1000, crc: crc32(&[0; 1000]), ..bomb.clone() }]), OTHER);
    // Archives of zeros pack well once more.
    let many: Vec<_> = (0..40_u8).map(|number| Entry { name: vec![b'a' + number], ..bomb.clone() }).collect();
    assert_refused(&zip(&[Entry::deflated("inner.zip", &zip(&many))]), "more than 100 times its packed size");
    // Many files, each of them harmless.
    let part = Entry { size: 200 << 20, packed: 3 << 20, ..Entry::stored("a", b"") };
    let other = Entry { name: b"b".into(), ..part.clone() };
    assert_refused(&zip(&[part, other]), "more than 268435456 bytes, four times ZIP_MAX_BYTES");
}

/// Both archives are refused within the memory that [`Place::command`] allows.
#[test]
fn a_million_entries_or_folders_are_refused_in_bounded_memory() {
    let name = |number: usize| format!("{number:07}").into_bytes();
    let mut million = Entry::stored("0000000", b"").local();
    let at = million.len();
    for number in 0..1_000_000 {
        million.extend(Entry { name: name(number), ..Entry::default() }.central(0));
    }
    let (size, here) = ((million.len() - at) as u64, million.len());
    million.extend(end_of_zip64(1_000_000, size, at as u64, here));
    assert!(million.len() < 64 << 20);
    assert_refused(&million, "it holds 1000000 entries, and 10000 is the most");

    let deep = |number| Entry { name: [name(number), b"/a".repeat(500)].concat(), ..Entry::default() };
    let deep: Vec<_> = (0..10_000).map(deep).collect();
    assert_refused(&zip(&deep), "entries, and 10000 is the most");
}

#[test]
fn an_archive_that_is_cut_off_is_refused_wherever_it_is_cut() {
    let whole = honest(&[("libx.so", &[7; 1000]), ("data/a.txt", b"text")]);
    let directory = whole.windows(4).position(|window| window == b"PK\x01\x02").unwrap();
    for cut in [0, 10, directory / 2, directory, directory + 60, whole.len() - 22, whole.len() - 10, whole.len() - 1] {
        assert_refused(&whole[..cut], "it is no ZIP, or one that is cut off");
    }
    assert_refused(b"def handler(input, context): pass\n", "it is no ZIP");
}

#[test]
fn damaged_and_encrypted_files_are_refused() {
    let stored = Entry::stored("libx.so", b"a library");
    for entry in [stored.clone(), Entry::deflated("libx.so", b"a library")] {
        assert_refused(&zip(&[Entry { crc: 7, ..entry }]), "another checksum than the archive says");
    }
    assert_refused(&zip(&[Entry { flags: 1, ..stored.clone() }]), "\"libx.so\" is encrypted");
    assert_refused(&zip(&[Entry { method: 12, ..stored }]), "is packed with the method Bzip2");
    let broken = Entry { data: vec![0xff; 20], packed: 20, ..Entry::deflated("libx.so", b"a library") };
    assert_refused(&zip(&[broken]), "it is damaged or contradicts itself");
}

const OTHER: &str = "another size than the archive says";

#[test]
fn sizes_that_are_lies_are_refused() {
    let entry = Entry::deflated("libx.so", b"a library");
    for size in [0, 1, 8, 10, 1000] {
        assert_refused(&zip(&[Entry { size, ..entry.clone() }]), OTHER);
        let stored = Entry { size, ..Entry::stored("libx.so", b"a library") };
        assert_refused(&zip(&[stored]), OTHER);
    }
    let damaged = "it is damaged or contradicts itself";
    assert_refused(&zip(&[Entry { local_size: Some(1), ..entry.clone() }]), damaged);
    assert_refused(&zip(&[Entry { packed: 1 << 20, ..entry.clone() }]), damaged);
    // In the extra field for large files.
    let huge = 1_u64 << 60;
    let extra = [b"\x01\x00\x10\x00".as_slice(), &huge.to_le_bytes(), &huge.to_le_bytes()].concat();
    let large = Entry { size: u32::MAX, packed: u32::MAX, extra, ..entry };
    assert_refused(&zip(&[large]), "four times ZIP_MAX_BYTES");
}

#[test]
fn directories_that_are_lies_are_refused() {
    let entry = Entry::stored("libx.so", b"a library");
    let damaged = "it is damaged or contradicts itself";
    // One file's bytes are all of another.
    let inner = Entry::stored("inner", b"x");
    let outer = Entry::stored("outer", &inner.local());
    let at = Some(outer.local().len() as u32 - inner.local().len() as u32);
    assert_refused(&zip(&[outer, Entry { at, ..inner }]), "overlap");
    assert_refused(&zip(&[entry.clone(), Entry { at: Some(0), ..Entry::stored("liby.so", b"") }]), damaged);
    // A file that only readers of streams see.
    let hidden = [Entry::stored("hidden", b"").local(), entry.local()].concat();
    let central = entry.central(hidden.len() as u32 - entry.local().len() as u32);
    let tail = end(1, central.len() as u32, hidden.len() as u32);
    assert_refused(&[hidden, central.clone(), tail].concat(), damaged);
    // More entries than there are, up to more than there can be.
    let files = entry.local();
    let here = files.len() + central.len();
    for count in [2, 70_000, 1 << 32, 1 << 60, u64::MAX] {
        let tail = end_of_zip64(count, central.len() as u64, files.len() as u64, here);
        assert_refused(&[files.clone(), entry.central(0), tail].concat(), "it is no ZIP");
    }
    let prefixed = [b"#!/bin/sh\necho no\n".as_slice(), &zip(&[entry])].concat();
    assert_refused(&prefixed, "stands before its first entry");
}

#[test]
fn an_archive_without_a_plugin_at_its_top_is_refused() {
    for bytes in [zip(&[]), honest(&[("folder/libfixture.so", fixture())]), honest(&[("readme", b"")])] {
        assert_refused(&bytes, "holds no plugin: no file at its top that ends in .so");
    }
}

#[test]
fn an_archive_larger_than_zip_max_bytes_is_not_read() {
    let place = Place::with(b"");
    fs::File::options().write(true).open(&place.zip).unwrap().set_len(450 << 20).unwrap();
    for command in ["inspect", "invoke"] {
        let output = place.run(command, &[]);
        assert_eq!(output.status.code(), Some(1));
        assert!(text(&output.stderr).contains("has more than 67108864 bytes: raise ZIP_MAX_BYTES"));
    }
}

/// The files below a folder, with `/` between the parts of their names.
fn files_in(folder: &Path) -> BTreeSet<String> {
    let files = listing(folder).into_keys().filter(|path| path.is_file());
    files.map(|file| file.strip_prefix(folder).unwrap().to_str().unwrap().to_owned()).collect()
}

/// Runs the plugin in an archive and gives, as of its call, each of the files in its folder.
fn unpacked(bytes: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let place = Place::with(bytes);
    let inspected = place.run("inspect", &["--handler", "about"]);
    assert!(inspected.status.success(), "{}", text(&inspected.stdout));
    let mut command = place.command("invoke");
    let mut child = command.args(["--handler", "about"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    writeln!(child.stdin.as_mut().unwrap(), "1").unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let about: Value = serde_json::from_str(&line).expect("the plugin was called");
    let folder = Path::new(about["plugin_dir"].as_str().unwrap());
    assert!(folder.starts_with(place.outer.path().join("tmp")), "{}", folder.display());
    let contents = files_in(folder).into_iter().map(|name| (name.clone(), fs::read(folder.join(name)).unwrap()));
    let contents = contents.collect();
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
    assert_eq!(listing(&place.outer.path().join("tmp")), BTreeMap::new(), "something was left");
    contents
}

#[test]
fn a_plugin_finds_the_files_beside_it_and_an_archive_among_them_stays_packed() {
    let inner = honest(&[("libother.so", b"not looked at"), ("x", &[0; 5000])]);
    let files = [
        ("libfixture.so", fixture()),
        ("data/zürich 表.txt", b"text".as_slice()),
        ("more.zip", &inner),
        ("empty", b""),
    ];
    let found = unpacked(&honest(&files));
    assert_eq!(found, files.iter().map(|(name, content)| ((*name).to_owned(), content.to_vec())).collect());
}

#[test]
fn archives_are_taken_whoever_made_them() {
    let names = BTreeSet::from(["libfixture.so", "data/zürich.txt", "data/deep/a"].map(str::to_owned));
    let options = SimpleFileOptions::default();
    let mut stream = ZipWriter::new_stream(Vec::new());
    for (name, options) in [("libfixture.so", options), ("data/deep/a", options.large_file(true))] {
        stream.start_file(name, options).unwrap();
        stream.write_all(fixture()).unwrap();
    }
    stream.add_directory("data/", options).unwrap();
    stream.start_file("data/zürich.txt", options.compression_method(CompressionMethod::Stored)).unwrap();
    stream.write_all(b"text").unwrap();
    assert_eq!(unpacked(&stream.finish().unwrap().into_inner()).into_keys().collect::<BTreeSet<_>>(), names);

    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("data/deep")).unwrap();
    for name in &names {
        fs::write(folder.path().join(name), if name.ends_with(".so") { fixture() } else { b"text" }).unwrap();
    }
    for (method, output) in [("ZIP_STORED", "Stream"), ("ZIP_DEFLATED", "Stream"), ("ZIP_DEFLATED", "io.BytesIO")] {
        let python = Command::new("python3").args(["-c", PYTHON, method, output]).current_dir(folder.path()).output();
        let made = python.unwrap();
        assert!(made.status.success(), "{}", text(&made.stderr));
        let descriptors = made.stdout.windows(4).any(|window| window == b"PK\x07\x08");
        assert_eq!(descriptors, output == "Stream", "sizes stand behind the data of a stream");
        assert_eq!(unpacked(&made.stdout).into_keys().collect::<BTreeSet<_>>(), names, "{method} {output}");
    }
}

/// Packs the folder it runs in with a method, folders included, to something that can be sought in or not.
const PYTHON: &str = "
import io, pathlib, sys, zipfile
class Stream(io.BytesIO):
    def seekable(self): return False
    def seek(self, *_): raise io.UnsupportedOperation
    def tell(self): raise io.UnsupportedOperation
s = eval(sys.argv[2])()
with zipfile.ZipFile(s, 'w', getattr(zipfile, sys.argv[1])) as z:
    for p in sorted(pathlib.Path('.').rglob('*')): z.write(p)
sys.stdout.buffer.write(s.getvalue())";

#[test]
fn the_handlers_name_picks_among_the_libraries_of_an_archive() {
    let place = Place::with(&honest(&[("libone.so", &build(1)), ("libtwo.so", &build(2))]));
    let input = place.outer.path().join("input");
    fs::write(&input, "1").unwrap();
    let invoke = |handler| place.run("invoke", &["--handler", handler, "--input", input.to_str().unwrap()]);
    for (handler, number) in [("one.versioned", 1), ("two.versioned", 2)] {
        let said = text(&invoke(handler).stdout);
        assert!(said.contains(&format!("build-{number:010}")), "{handler}: {said}");
    }
    for handler in ["versioned", "three.versioned"] {
        let output = invoke(handler);
        assert_eq!(output.status.code(), Some(1));
        assert!(text(&output.stderr).contains("as one of one.versioned, two.versioned"), "{}", text(&output.stderr));
    }
}

/// Whatever the bytes, nothing panics, and nothing is written but to the folder, and not more there than is allowed.
fn assert_harmless(bytes: &[u8]) {
    const MOST: u64 = 1000;
    let outer = tempfile::tempdir().unwrap();
    let folder = outer.path().join("a/b");
    fs::create_dir_all(&folder).unwrap();
    host::plugin::unpack(bytes, &folder, MOST).ok();
    let (inside, outside): (Vec<_>, Vec<_>) =
        listing(outer.path()).into_iter().partition(|(path, _)| path.starts_with(&folder));
    assert_eq!(outside.len(), 1, "{outside:?}");
    let files = inside.iter().filter(|(path, _)| path.is_file());
    assert!(files.map(|(_, (size, _))| size).sum::<u64>() <= 4 * MOST);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn no_bytes_make_unpacking_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        assert_harmless(&bytes);
        assert_harmless(&[b"PK\x03\x04".as_slice(), &bytes, &end(1, 46, 4)].concat());
    }

    #[test]
    fn no_archive_and_no_change_of_one_makes_unpacking_panic(
        names in prop::collection::vec(prop::collection::vec(prop::sample::select(vec!["..", ".", "a", "b", "c"]), 1..4), 1..3),
        mode in prop::sample::select(vec![0, 0o100_644, 0o120_777]),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let entry = |name: &Vec<&str>| Entry { mode, ..Entry::deflated(&name.join("/"), &[0; 500]) };
        let mut bytes = zip(&names.iter().map(entry).collect::<Vec<_>>());
        assert_harmless(&bytes);
        assert_harmless(&bytes[..cut.index(bytes.len())]);
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        assert_harmless(&bytes);
    }
}

/// A host on an SQLite store, whose private folder is in `base`.
fn start(base: &Path, plugin: &Path, name: &str) -> Host {
    let store = format!("sqlite:{}", plugin.with_file_name(name).display());
    let base = base.to_str().unwrap();
    let variables = [("STATE_DIR", base), ("STORE_URL", &store), ("TRIGGER", "timer"), ("HANDLER_FUNCTION", "count")];
    let host = Host::start(plugin, &variables);
    host.wait_until_ready();
    host
}

/// The folders of hosts in `base`.
fn private_folders(base: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(base).unwrap().map(|entry| entry.unwrap().path());
    let name = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().into_owned();
    entries.filter(|path| name(path).starts_with("plugin-host-private-") && !name(path).ends_with("-mine")).collect()
}

#[test]
fn the_private_folder_goes_with_its_host_and_after_a_kill_with_the_next_one() {
    let place = Place::with(&honest(&[("libfixture.so", fixture()), ("data.txt", b"text")]));
    let base = place.outer.path().join("state");
    let host = start(&base, &place.zip, "a.db");
    let [folder] = private_folders(&base).try_into().unwrap();
    assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
    let files = files_in(&folder);
    assert!(files.iter().any(|name| name.starts_with("zip-") && name.ends_with("/data.txt")), "{files:?}");
    assert!(host.stop().success());
    assert_eq!(listing(&base), BTreeMap::new());

    let running = start(&base, &place.zip, "a.db");
    let held = private_folders(&base);
    let killed = start(&base, &place.zip, "b.db");
    killed.kill();
    let left: Vec<_> = private_folders(&base).into_iter().filter(|folder| !held.contains(folder)).collect();
    assert_eq!((held.len(), left.len()), (1, 1), "the second host took the first one's folder, or left none");
    let next = start(&base, &place.zip, "b.db");
    assert!(!left[0].exists() && held[0].join(".plugin-host.lock").exists());
    next.wait_for_log("which a host that was killed left");
    assert!(next.stop().success() && running.stop().success());
    assert_eq!(listing(&base), BTreeMap::new());
}

#[test]
fn folders_that_only_look_like_a_hosts_stay() {
    let place = Place::with(&honest(&[("libfixture.so", fixture())]));
    let base = place.outer.path().join("state");
    for file in ["plugin-host-data/a", "plugin-host-private-mine/a", "elsewhere/.plugin-host.lock", "elsewhere/a"] {
        fs::create_dir_all(base.join(file).parent().unwrap()).unwrap();
        fs::write(base.join(file), "mine").unwrap();
    }
    symlink("elsewhere", base.join("plugin-host-private-link-mine")).unwrap();
    fs::write(base.join("plugin-host-private-file-mine"), "mine").unwrap();
    let before = listing(&base);
    start(&base, &place.zip, "a.db").kill();
    let left = wait_for("what the killed host left", || private_folders(&base).pop());
    assert!(start(&base, &place.zip, "a.db").stop().success());
    assert!(!left.exists());
    assert_eq!(listing(&base), before);
}
