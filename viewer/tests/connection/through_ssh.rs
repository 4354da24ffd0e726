//! A Redis behind an SSH server: values are seen within a second of their write, also after what can break has broken.

use store::testing::RedisServer;
use viewer::connection::Command;
use viewer::profile::Secret;
use viewer::state::{Follow, Phase, Progress, Step};

use crate::seen::{Seen, Writer, profile};
use crate::sshd::{Sshd, is_running, signal};

/// A viewer that is live through `ssh` and has seen result 1.
fn live(sshd: &Sshd, server: &RedisServer, alias: &str) -> (Seen, Writer) {
    let writer = Writer::on(server);
    let mut seen = Seen::connecting(profile(&server.url(), alias), Secret::None, sshd.variables());
    seen.until_live();
    assert_eq!(seen.state.phase, Phase::Live(Follow::Push));
    seen.sees_at_once(&writer, 1);
    (seen, writer)
}

fn newest(sshd: &Sshd) -> u32 {
    *sshd.connections().last().unwrap()
}

#[test]
fn a_value_is_seen_within_a_second_of_its_write() {
    let Some(sshd) = Sshd::start() else { return };
    let server = RedisServer::start();
    let (mut seen, writer) = live(&sshd, &server, "good");
    for number in 2..12 {
        seen.sees_at_once(&writer, number);
    }
    assert_eq!(seen.state.history.len(), 11);
    assert_eq!(sshd.connections().len(), 1, "one login only");
    assert!(
        matches!(seen.step(Step::Ssh), Progress::Done(what) if what.contains(&format!("@127.0.0.1:{}", sshd.port())))
    );
    assert!(matches!(seen.step(Step::Reach), Progress::Done(_)) && matches!(seen.step(Step::Login), Progress::Done(_)));
}

#[test]
fn ssh_is_called_as_documented_and_asks_this_program() {
    let Some(sshd) = Sshd::start() else { return };
    let server = RedisServer::start();
    let _live = live(&sshd, &server, "good");
    assert_eq!(
        sshd.arguments(),
        format!(
            "-o ControlMaster=no -o ControlPath=none -o ServerAliveInterval=15 -o ServerAliveCountMax=2 -o \
             ConnectTimeout=10 -W 127.0.0.1:{} -- good",
            server.port()
        )
    );
    let environment = sshd.environment();
    let program = std::env::current_exe().unwrap();
    let (askpass, mark) = (program.display(), std::process::id());
    for line in
        [&format!("SSH_ASKPASS={askpass}"), "SSH_ASKPASS_REQUIRE=force", &format!("PLUGIN_VIEWER_ASKPASS={mark}")]
    {
        assert!(environment.lines().any(|set| set == line), "{line} in {environment}");
    }
}

#[test]
fn the_stores_password_is_not_handed_to_ssh() {
    let Some(sshd) = Sshd::start() else { return };
    let mut variables = sshd.variables();
    variables.push(("REDIS_PASSWORD".into(), "hunter2".into()));
    let mut seen = Seen::connecting(profile("redis://127.0.0.1:1", "good"), Secret::None, variables);
    seen.failed(Step::Reach);
    assert!(!sshd.environment().contains("hunter2"));
}

#[test]
fn a_killed_ssh_is_replaced() {
    let Some(sshd) = Sshd::start() else { return };
    let server = RedisServer::start();
    let (mut seen, writer) = live(&sshd, &server, "good");
    signal(newest(&sshd), "KILL");
    seen.until("the break", |seen| matches!(seen.state.phase, Phase::Retrying { .. }));
    seen.recovers(&writer, 2);
}

#[test]
fn a_stopped_ssh_is_replaced_and_leaves_nothing() {
    let Some(sshd) = Sshd::start() else { return };
    let server = RedisServer::start();
    let (mut seen, writer) = live(&sshd, &server, "good");
    let stopped = newest(&sshd);
    signal(stopped, "STOP");
    seen.recovers(&writer, 2);
    seen.until("the stopped ssh is gone", |_| !is_running(stopped));
}

#[test]
fn a_restarted_ssh_server_is_found_again() {
    let Some(mut sshd) = Sshd::start() else { return };
    let server = RedisServer::start();
    let (mut seen, writer) = live(&sshd, &server, "good");
    sshd.restart();
    seen.recovers(&writer, 2);
}

#[test]
fn an_ssh_server_that_is_away_for_a_while_is_found_again() {
    let Some(mut sshd) = Sshd::start() else { return };
    let server = RedisServer::start();
    let (mut seen, writer) = live(&sshd, &server, "good");
    sshd.stop();
    seen.until(
        "a refused attempt",
        |seen| matches!(seen.step(Step::Ssh), Progress::Failed { why, .. } if why.contains("Connection refused")),
    );
    sshd.restart();
    seen.recovers(&writer, 2);
}

#[test]
fn a_restarted_redis_is_found_again_with_its_history() {
    let Some(sshd) = Sshd::start() else { return };
    let mut server = RedisServer::options().appendonly().start();
    let (mut seen, writer) = live(&sshd, &server, "good");
    server.stop();
    seen.until("the break", |seen| matches!(seen.state.phase, Phase::Retrying { .. }));
    let (why, advice) = seen.failed(Step::Reach);
    assert!(!why.is_empty() && !advice.is_empty());
    server.restart();
    seen.recovers(&writer, 2);
    let numbers =
        seen.state.records.iter().map(|(_, bytes)| serde_json::from_slice::<serde_json::Value>(bytes).unwrap());
    let numbers: Vec<_> = numbers.map(|document| document["number"].as_u64().unwrap()).collect();
    assert_eq!(numbers, [1, 2, 3], "each once, in order");
}

#[test]
fn a_way_through_another_host_is_as_good() {
    let Some(sshd) = Sshd::start() else { return };
    let server = RedisServer::start();
    let (mut seen, writer) = live(&sshd, &server, "jumped");
    seen.sees_at_once(&writer, 2);
    let started = sshd.connections();
    drop(seen);
    for process in started {
        gone(process);
    }
}

#[test]
fn no_ssh_is_left_when_the_viewer_ends_or_looks_elsewhere() {
    let Some(sshd) = Sshd::start() else { return };
    let server = RedisServer::start();
    let (mut seen, _writer) = live(&sshd, &server, "good");
    let first = newest(&sshd);
    seen.send(Command::Disconnect);
    seen.until("idle", |seen| seen.state.phase == Phase::Idle);
    gone(first);
    seen.connect(profile(&server.url(), "good"), Secret::None);
    seen.until_live();
    let second = newest(&sshd);
    seen.connect(profile(&server.url(), ""), Secret::None);
    seen.until_live();
    gone(second);
    seen.connect(profile(&server.url(), "good"), Secret::None);
    seen.until_live();
    let third = newest(&sshd);
    signal(third, "STOP");
    drop(seen);
    gone(third);
}

#[track_caller]
fn gone(process: u32) {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(5);
    while is_running(process) {
        assert!(std::time::Instant::now() < deadline, "ssh {process} is still there");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}
