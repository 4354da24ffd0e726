//! Without SSH: a Redis on this machine, and a file. What is found under the keys, whatever it is.

use std::fs;

use store::testing::RedisServer;
use viewer::connection::Command;
use viewer::profile::{Profile, Secret};
use viewer::state::{Event, Follow, Found, Key, Phase, Progress, Step};

use crate::seen::{Seen, Writer, profile};

fn direct(store: &str) -> Seen {
    Seen::connecting(profile(store, ""), Secret::None, Vec::new())
}

/// A server with a user `viewer` of these rights.
fn with_user(rights: &str) -> RedisServer {
    let user = RedisServer::options().arg("--user").arg("viewer");
    rights.split(' ').fold(user, |options, right| options.arg(right)).start()
}

#[test]
fn a_redis_tells_of_each_write() {
    let server = RedisServer::start();
    let writer = Writer::on(&server);
    let mut seen = direct(&server.url());
    seen.until_live();
    assert_eq!(seen.state.phase, Phase::Live(Follow::Push));
    assert_eq!(seen.found(Key::Output), Some(&Found::Nothing));
    for number in 1..6 {
        seen.sees_at_once(&writer, number);
    }
    writer.wait(writer.store.write("in", br#"{"a":1}"#));
    writer.wait(writer.store.announce(
        &writer.keys,
        br#"{"state":"running","calls":7}"#,
        std::time::Duration::from_secs(60),
    ));
    seen.until("input and status", |seen| {
        matches!(seen.found(Key::Input), Some(Found::Document(_)))
            && seen.state.shown().host.as_ref().is_some_and(|host| host.calls == 7)
    });
    assert_eq!(seen.step(Step::Ssh), Progress::Skipped);
}

#[test]
fn the_stores_history_comes_before_the_newest_result() {
    let server = RedisServer::start();
    let writer = Writer::on(&server);
    for number in 1..=5 {
        writer.commit(number);
        // Entries are named by the millisecond, and two in one are one point of a line.
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    let mut seen = direct(&server.url());
    seen.until_live();
    let past = seen.events.iter().position(|event| matches!(event, Event::Past(entries) if entries.len() == 5));
    let look = seen.events.iter().position(|event| matches!(event, Event::Look { key: Key::Output, .. }));
    assert!(past.unwrap() < look.unwrap());
    assert_eq!(seen.state.history.len(), 5, "the newest is the history's last");
    let newest = seen.state.history.newest().unwrap();
    assert!((seen.clock.now() - newest).abs() < 20.0, "times are told on the viewer's clock");
}

#[test]
fn without_a_right_to_push_the_keys_are_read_every_period() {
    let server = with_user("on >secret ~* +@read +ping +time +auth +select -hello -client");
    let writer = Writer::on(&server);
    let profile = Profile { username: "viewer".to_owned(), period: "0.2".to_owned(), ..profile(&server.url(), "") };
    let mut seen = Seen::connecting(profile, Secret::Text("secret".to_owned()), Vec::new());
    seen.until_live();
    assert_eq!(seen.state.phase, Phase::Live(Follow::Poll));
    (1..4).for_each(|number| seen.sees_at_once(&writer, number));
}

#[test]
fn only_the_output_key_is_needed() {
    let server = with_user("on >secret %R~out +@all");
    let writer = Writer::on(&server);
    writer.commit(1);
    let profile = Profile { username: "viewer".to_owned(), ..profile(&server.url(), "") };
    let mut seen = Seen::connecting(profile, Secret::Text("secret".to_owned()), Vec::new());
    seen.until_live();
    assert_eq!(seen.number(), Some(1));
    seen.until("no right to the input", |seen| {
        matches!(seen.found(Key::Input), Some(Found::Refused(why)) if why.contains("NOPERM") || why.contains("permission"))
    });
}

#[test]
fn keys_of_other_types_are_told_and_do_not_end_the_connection() {
    let server = RedisServer::start();
    let writer = Writer::on(&server);
    // The commit leaves a hash and a stream, which take the places of input and history here.
    writer.commit(1);
    let profile = Profile { input_key: "{out}:env".to_owned(), ..profile(&server.url(), "") };
    let mut seen = Seen::connecting(profile, Secret::None, Vec::new());
    seen.until_live();
    seen.until(
        "an input that is none",
        |seen| matches!(seen.found(Key::Input), Some(Found::Refused(why)) if why.contains("another kind of value")),
    );
    seen.sees_at_once(&writer, 2);
    let env = Profile { output_key: "{out}:env".to_owned(), ..self::profile(&server.url(), "") };
    seen.connect(env, Secret::None);
    let (why, _) = seen.failed(Step::Key);
    assert!(why.contains("another kind of value"), "{why}");
    assert!(seen.is_live());
}

#[test]
fn what_is_no_json_or_too_much_is_told() {
    let server = RedisServer::start();
    let writer = Writer::on(&server);
    writer.wait(writer.store.write("out", b"\x80\x04pickled"));
    let mut seen = direct(&server.url());
    seen.until_live();
    assert!(matches!(seen.found(Key::Output), Some(Found::Unreadable(_))));
    writer.wait(writer.store.write("out", &vec![b'x'; (16 << 20) + 1]));
    seen.until(
        "too much",
        |seen| matches!(seen.found(Key::Output), Some(Found::Refused(why)) if why.contains("16777217")),
    );
    seen.sees_at_once(&writer, 1);
    writer.wait(writer.store.forget(&writer.keys));
    seen.until("nothing", |seen| seen.found(Key::Output) == Some(&Found::Nothing));
}

#[test]
fn a_host_that_says_nonsense_of_its_period_is_read_all_the_same() {
    let server = RedisServer::start();
    let writer = Writer::on(&server);
    let minute = std::time::Duration::from_secs(60);
    let mut seen = direct(&server.url());
    seen.until_live();
    for (number, period) in (1..).zip(["1e300", "1e-300", "-1", "0", "null"]) {
        let status = format!("{{\"state\":\"{period}\",\"period\":{period}}}");
        writer.wait(writer.store.announce(&writer.keys, status.as_bytes(), minute));
        seen.until("the status", |seen| seen.state.shown().host.as_ref().is_some_and(|host| host.state == period));
        seen.sees_at_once(&writer, number);
    }
}

#[test]
fn of_large_results_fewer_are_read_at_the_start() {
    let server = RedisServer::start();
    let writer = Writer::on(&server);
    for number in 0..60 {
        writer.commit_with(number, &"x".repeat(100_000));
    }
    let mut seen = direct(&server.url());
    seen.until_live();
    let past = seen.events.iter().find_map(|event| match event {
        Event::Past(entries) => Some(entries.len()),
        _ => None,
    });
    assert!((30..=42).contains(&past.unwrap()), "{past:?}");
}

#[test]
fn what_others_add_to_the_history_hides_nothing_of_it() {
    let server = RedisServer::start();
    let writer = Writer::on(&server);
    writer.commit(1);
    let client = redis::Client::open(server.url()).unwrap();
    let add = redis::cmd("XADD").arg(&writer.keys.history).arg("*").arg("other").arg("x").to_owned();
    add.exec(&mut client.get_connection().unwrap()).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(2));
    writer.commit(2);
    let mut seen = direct(&server.url());
    seen.until_live();
    assert_eq!(seen.state.history.len(), 2);
}

#[test]
fn what_is_too_large_is_not_read_to_find_that_out() {
    let server = RedisServer::start();
    let writer = Writer::on(&server);
    writer.wait(writer.store.write("out", &vec![b'x'; 40 << 20]));
    let client = redis::Client::open(server.url()).unwrap();
    let sent = || {
        let stats: String = redis::cmd("INFO").arg("stats").query(&mut client.get_connection().unwrap()).unwrap();
        let line = stats.lines().find_map(|line| line.strip_prefix("total_net_output_bytes:")).unwrap();
        line.trim().parse::<u64>().unwrap()
    };
    let before = sent();
    let mut seen = direct(&server.url());
    seen.until_live();
    assert!(matches!(seen.found(Key::Output), Some(Found::Refused(why)) if why.contains("41943040")));
    assert!(sent() - before < 1 << 20);
}

#[test]
fn a_redis_that_is_away_is_tried_again() {
    let mut server = RedisServer::options().appendonly().start();
    let writer = Writer::on(&server);
    server.stop();
    let mut seen = direct(&server.url());
    let (why, advice) = seen.failed(Step::Reach);
    assert!(why.contains("refused") && !advice.is_empty(), "{why}");
    seen.until("a pause", |seen| matches!(seen.state.phase, Phase::Retrying { .. }));
    server.restart();
    seen.send(Command::Retry);
    seen.until_live();
    seen.sees_at_once(&writer, 1);
}

#[test]
fn what_was_disconnected_is_connected_again_on_demand() {
    let server = RedisServer::start();
    let mut seen = direct(&server.url());
    seen.until_live();
    seen.send(Command::Disconnect);
    seen.until("idle", |seen| seen.state.phase == Phase::Idle);
    seen.send(Command::Retry);
    seen.until_live();
}

#[test]
fn a_redis_that_hangs_is_noticed() {
    let server = RedisServer::start();
    let writer = Writer::on(&server);
    let mut seen = direct(&server.url());
    seen.until_live();
    server.pause();
    seen.within(std::time::Duration::from_secs(10), "the break", |seen| {
        matches!(seen.state.phase, Phase::Retrying { .. })
    });
    server.resume();
    seen.recovers(&writer, 1);
}

#[test]
fn a_file_is_looked_at_and_never_made() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("dev.db");
    let address = format!("sqlite:{}", file.display());
    let mut seen = direct(&address);
    let (why, _) = seen.failed(Step::Reach);
    assert!(why.contains("dev.db"), "{why}");
    seen.until("a pause", |seen| matches!(seen.state.phase, Phase::Retrying { .. }));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    let writer = Writer::of(&address);
    writer.commit(1);
    seen.send(Command::Retry);
    seen.until_live();
    assert_eq!((seen.state.phase.clone(), seen.number()), (Phase::Live(Follow::Poll), Some(1)));
    writer.commit(2);
    seen.within(std::time::Duration::from_secs(2), "result 2", |seen| seen.number() == Some(2));
    assert_eq!(seen.state.history.len(), 2);
}
