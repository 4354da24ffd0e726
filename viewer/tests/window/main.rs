//! The real window, read as a screen reader does: what is written to a real Redis behind a real SSH server is seen in it.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test may fail by a panic, in its helpers too")]

#[path = "../support/screen.rs"]
mod screen;
#[path = "../support/sshd.rs"]
mod sshd;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use redis::Commands;
use screen::{Screen, Window};
use sshd::{Sshd, descendants, is_running, signal};
use store::testing::RedisServer;

/// How long the way may be down after something broke it.
const RECOVERY: Duration = Duration::from_secs(30);

/// What is promised.
const AT_MOST: Duration = Duration::from_secs(1);

/// One window is open at a time: the software renderer uses every core by itself.
static ONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Writes results, each with a figure of its own.
struct Writer {
    url: String,
    written: u32,
}

impl Writer {
    /// Writes one; gives what the window must say. None while the server is away.
    fn write(&mut self) -> Option<String> {
        self.written += 1;
        let percent = f64::from(self.written % 5_000) / 50.0;
        let result = format!(
            r#"{{"percent-network-egress":{percent},"percent-memory-cache":15.62,"avg-util-cpu0-60sec":{percent},"timestamp":"{}"}}"#,
            self.written
        );
        let client = redis::Client::open(self.url.as_str()).unwrap();
        let mut connection = client.get_connection_with_timeout(AT_MOST).ok()?;
        connection.set::<_, _, ()>("out", result).ok()?;
        Some(format!("Network egress, {percent:.2} %, "))
    }

    /// Whether a new result is seen in time.
    fn is_seen(&mut self, window: &Window) -> bool {
        let Some(words) = self.write() else { return false };
        window.sees(AT_MOST, |name| name.starts_with(&words))
    }

    /// Waits until five results in a row are seen in time: one that is late on a busy machine begins the row anew.
    fn must_be_seen(&mut self, window: &Window, after: &str) {
        let deadline = Instant::now() + RECOVERY;
        let mut row = 0;
        while row < 5 {
            assert!(Instant::now() < deadline, "after {after} nothing is seen in time; there is {:#?}", window.names());
            row = if self.is_seen(window) { row + 1 } else { 0 };
        }
    }
}

/// What `find` gives, as soon as it gives something.
fn loop_until<T>(what: &str, find: impl Fn() -> Option<T>) -> T {
    let deadline = Instant::now() + RECOVERY;
    loop {
        if let Some(found) = find() {
            return found;
        }
        assert!(Instant::now() < deadline, "{what} doesn't come");
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_result_is_seen_within_a_second_whatever_broke_before() {
    let _alone = alone();
    let (Some(mut sshd), Some(screen)) = (Sshd::start(), Screen::start()) else { return };
    let mut server = RedisServer::start();
    let mut writer = Writer { url: server.url(), written: 0 };
    writer.write().unwrap();
    let arguments = ["--ssh", "good", "--store", &server.url(), "--output-key", "out"];
    let window = screen.window(&arguments, &sshd.variables());
    window.wait_for("the connection", |name| name == "Connection: live");
    writer.must_be_seen(&window, "the start");

    let newest = |sshd: &Sshd| *sshd.connections().last().unwrap();
    let ssh = newest(&sshd);
    signal(ssh, "KILL");
    writer.must_be_seen(&window, "the end of ssh");
    let ssh = newest(&sshd);
    signal(ssh, "STOP");
    writer.must_be_seen(&window, "the halt of ssh");
    assert!(!is_running(ssh), "the halted ssh is left behind");
    sshd.restart();
    writer.must_be_seen(&window, "the restart of the SSH server");
    server.restart();
    writer.must_be_seen(&window, "the restart of Redis");

    let ssh = newest(&sshd);
    drop(window);
    let deadline = Instant::now() + RECOVERY;
    while is_running(ssh) {
        assert!(Instant::now() < deadline, "ssh outlives the window");
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_value_that_is_not_renewed_is_said_to_be_late_and_then_stale() {
    let _alone = alone();
    let Some(screen) = Screen::start() else { return };
    let server = RedisServer::start();
    let mut writer = Writer { url: server.url(), written: 0 };
    writer.write().unwrap();
    let window = screen.window(&["--store", &server.url(), "--output-key", "out", "--period", "0.5"], &[]);
    writer.must_be_seen(&window, "the start");
    window.wait_for("lateness", |name| name.starts_with("CPU 0") && name.contains("late, "));
    window.wait_for("the word at the top", |name| name == "Connection: late");
    window.wait_for("staleness", |name| name.starts_with("CPU 0") && name.contains("stale, "));
    writer.must_be_seen(&window, "a pause");
}

#[test]
fn who_ends_the_program_leaves_nothing_that_it_has_started() {
    let _alone = alone();
    let (Some(sshd), Some(screen)) = (Sshd::start(), Screen::start()) else { return };
    for name in ["INT", "TERM", "HUP"] {
        if name == "HUP" && hangups_are_ignored() {
            println!("skipped: hang-ups are ignored here, as under nohup, and so by what is started");
            continue;
        }
        let started = sshd.path(name);
        sshd.add_to_config(&format!(
            "Match exec \"echo $$ > {0}.new; mv {0}.new {0}; exec sleep 600\"",
            started.display()
        ));
        let mut window = screen.window(&["--ssh", "good", "--output-key", "out"], &sshd.variables());
        let deadline = Instant::now() + RECOVERY;
        while !started.exists() {
            assert!(Instant::now() < deadline, "ssh doesn't begin");
            thread::sleep(Duration::from_millis(10));
        }
        let process: u32 = std::fs::read_to_string(&started).unwrap().trim().parse().unwrap();
        signal(window.process(), name);
        assert!(window.ended_well(), "it ends in order");
        assert!(!is_running(process), "what ssh has started is left behind");
    }
}

/// Whether this process ignores SIGHUP, which its children inherit.
fn hangups_are_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1)
}

#[test]
fn a_dialog_does_not_outlive_who_asked_for_it() {
    let _alone = alone();
    let (Some(sshd), Some(screen)) = (Sshd::start(), Screen::start()) else { return };
    sshd.add_to_config("Host *\n BatchMode no\n StrictHostKeyChecking ask");
    let mut window = screen.window(&["--ssh", "unknown", "--output-key", "out"], &sshd.variables());
    let dialog = loop_until("the dialog", || {
        let ssh = *sshd.connections().last()?;
        descendants(ssh).into_iter().next()
    });
    window.kill();
    loop_until("the dialog's end", || (!is_running(dialog)).then_some(()));
}

#[test]
fn a_program_that_was_replaced_while_it_runs_can_still_ask() {
    let _alone = alone();
    let (Some(sshd), Some(screen)) = (Sshd::start(), Screen::start()) else { return };
    let server = RedisServer::start();
    let mut writer = Writer { url: server.url(), written: 0 };
    let program = sshd.path("plugin-viewer");
    std::fs::copy(env!("CARGO_BIN_EXE_plugin-viewer"), &program).unwrap();
    let arguments = ["--ssh", "good", "--store", &server.url(), "--output-key", "out"];
    let window = screen.window_of(&program, &arguments, &sshd.variables());
    writer.must_be_seen(&window, "the start");
    std::fs::remove_file(&program).unwrap();
    let ssh = *sshd.connections().last().unwrap();
    signal(ssh, "KILL");
    writer.must_be_seen(&window, "the end of ssh");
    let variables = sshd.environment();
    let askpass = variables.lines().find_map(|line| line.strip_prefix("SSH_ASKPASS=")).unwrap();
    assert!(std::fs::metadata(askpass).is_ok_and(|file| file.is_file()), "{askpass}");
}

#[test]
fn who_the_environment_says_one_is_holds_for_what_was_open_last() {
    let _alone = alone();
    let Some(screen) = Screen::start() else { return };
    let user = RedisServer::options().arg("--user").arg("watcher");
    let server =
        ["on", ">secret", "~*", "&*", "+@all"].into_iter().fold(user, |options, right| options.arg(right)).start();
    let folder = screen.configuration().join("plugin-viewer");
    std::fs::create_dir(&folder).unwrap();
    let last = format!(r#"{{"last": {{"store": "{}", "output_key": "out"}}}}"#, server.url());
    std::fs::write(folder.join("viewer.json"), last).unwrap();
    let login = [("REDIS_USERNAME", "watcher"), ("REDIS_PASSWORD", "secret")];
    let window = screen.window(&["--page", "connection"], &login.map(|(name, text)| (name.into(), text.into())));
    window.wait_for("the login", |name| name == "AUTH: done, as watcher");
}

#[test]
fn a_picture_is_written_and_the_program_ends() {
    let _alone = alone();
    let Some(screen) = Screen::start() else { return };
    let server = RedisServer::start();
    Writer { url: server.url(), written: 0 }.write().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("picture.png");
    let picture = file.display().to_string();
    let arguments = ["--store", &server.url(), "--output-key", "out", "--screenshot", &picture];
    assert!(screen.window(&arguments, &[]).ended_well());
    let picture = image::open(&file).unwrap().into_rgb8();
    let colours: std::collections::HashSet<_> = picture.pixels().map(|pixel| pixel.0).collect();
    assert!(picture.width() > 300 && colours.len() > 50, "{} colours", colours.len());
}

#[test]
fn without_a_way_the_window_says_what_is_missing() {
    let _alone = alone();
    let (Some(sshd), Some(screen)) = (Sshd::start(), Screen::start()) else { return };
    let window = screen.window(&["--ssh", "changed", "--output-key", "out"], &sshd.variables());
    window.wait_for("the word", |name| name == "Connection: needs you");
    window.wait_for("the step", |name| name.starts_with("ssh: failed, ") && name.contains("ssh-keygen"));
}
