//! The keys of a pattern on a real Redis: all machines as a list, one of them opened.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use store::testing::{RedisOptions, RedisServer};
use viewer::connection::Command;
use viewer::model::Freshness;
use viewer::profile::{Profile, Secret};
use viewer::state::{Action, Event, Follow, Found, Key, Phase, Progress, Step};

use crate::seen::{AT_ONCE, Seen, Writer, profile};

fn watching(server: &RedisServer) -> Seen {
    Seen::connecting(pattern(server), Secret::None, Vec::new())
}

fn pattern(server: &RedisServer) -> Profile {
    Profile { output_key: "report:*".to_owned(), input_key: "raw:*".to_owned(), ..profile(&server.url(), "") }
}

fn run(server: &RedisServer, words: &[&str]) -> redis::Value {
    let client = redis::Client::open(server.url()).unwrap();
    let mut command = redis::cmd(words[0]);
    command.arg(&words[1..]).query(&mut client.get_connection().unwrap()).unwrap()
}

fn connections(server: &RedisServer) -> usize {
    let redis::Value::BulkString(list) = run(server, &["CLIENT", "LIST"]) else { panic!("no list") };
    // Without the one that asks.
    String::from_utf8(list).unwrap().lines().count() - 1
}

fn set(server: &RedisServer, name: &str, load: f64, stamp: u32) {
    let value = format!(r#"{{"avg-util-cpu0-60sec":{load},"timestamp":{stamp}}}"#);
    run(server, &["SET", &format!("report:{name}"), &value]);
}

fn mean(seen: &Seen, name: &str) -> Option<f64> {
    seen.state.fleet.get(name)?.figures.mean
}

#[test]
fn machines_are_found_and_each_write_is_told() {
    let server = RedisServer::start();
    for name in ["web", "db", "old"] {
        set(&server, name, 10.0, 1);
    }
    run(&server, &["SET", "report:odd", "no JSON"]);
    run(&server, &["SET", "reporter", "{}"]);
    run(&server, &["RPUSH", "report:list", "{}"]);
    let mut seen = watching(&server);
    seen.until("all machines", |seen| seen.state.fleet.len() == 4 && seen.events.contains(&Event::Matching(4)));
    assert_eq!(seen.state.phase, Phase::Live(Follow::Push));
    let machine = |seen: &Seen, name: &str| seen.state.fleet.get(name).unwrap().clone();
    assert_eq!(machine(&seen, "web").freshness(seen.clock.now(), 5.0), Some(Freshness::Unconfirmed));
    assert!(machine(&seen, "odd").fault.unwrap().contains("isn't JSON"));
    assert_eq!(seen.step(Step::Key), Progress::Done("4 keys match report:*".to_owned()));
    for turn in 2..5 {
        set(&server, "web", f64::from(turn), turn);
        seen.within(AT_ONCE, "a new result", |seen| mean(seen, "web") == Some(f64::from(turn)));
    }
    assert_eq!(machine(&seen, "web").freshness(seen.clock.now(), 5.0), Some(Freshness::Fresh));
    assert_eq!(machine(&seen, "db").freshness(seen.clock.now(), 5.0), Some(Freshness::Unconfirmed));
    set(&server, "new", 50.0, 1);
    seen.within(AT_ONCE, "a new machine", |seen| mean(seen, "new") == Some(50.0));
    run(&server, &["DEL", "report:old"]);
    seen.within(AT_ONCE, "the end of one", |seen| seen.state.fleet.get("old").is_none());
    run(&server, &["SET", "{report:*}:status", r#"{"state":"running","calls":7}"#]);
    seen.until("the host's status", |seen| seen.state.shown().host.as_ref().is_some_and(|host| host.calls == 7));
    assert!(seen.found(Key::Output).is_none());
}

#[test]
fn a_machine_is_opened_over_the_same_connection_with_its_history() {
    let server = RedisServer::start();
    let (web, db) = (Writer::on(&server).to("report:web"), Writer::on(&server).to("report:db"));
    for number in 1..=5 {
        web.commit(number);
        std::thread::sleep(Duration::from_millis(2));
    }
    db.commit(100);
    run(&server, &["SET", "raw:web", r#"{"raw":1}"#]);
    let mut seen = watching(&server);
    seen.until("both", |seen| seen.state.fleet.len() == 2);
    let before = connections(&server);
    seen.act(Action::OpenMachine("web".to_owned()));
    seen.within(AT_ONCE, "the newest result", |seen| seen.number() == Some(5));
    assert_eq!(seen.state.history.len(), 5);
    seen.until("the input", |seen| matches!(seen.found(Key::Input), Some(Found::Document(_))));
    seen.sees_at_once(&web, 6);
    db.commit(101);
    seen.act(Action::OpenMachine("db".to_owned()));
    assert_eq!(seen.number(), None, "nothing of the other machine is shown as this one's");
    seen.within(AT_ONCE, "the other machine", |seen| seen.number() == Some(101));
    assert_eq!(seen.state.history.len(), 2);
    seen.act(Action::CloseMachine);
    assert!(seen.state.lists_machines() && seen.number().is_none());
    set(&server, "web", 33.0, 1);
    seen.within(AT_ONCE, "the list goes on", |seen| mean(seen, "web") == Some(33.0));
    assert_eq!(connections(&server), before);
}

#[test]
fn after_a_break_the_list_goes_on_and_the_opened_machine_too() {
    let mut server = RedisServer::options().appendonly().start();
    let web = Writer::on(&server).to("report:web");
    web.commit(1);
    let mut seen = watching(&server);
    seen.until("the machine", |seen| seen.state.fleet.len() == 1);
    seen.act(Action::OpenMachine("web".to_owned()));
    seen.until("its result", |seen| seen.number() == Some(1));
    server.restart();
    seen.recovers(&web, 2);
    set(&server, "db", 5.0, 1);
    seen.within(AT_ONCE, "the list", |seen| mean(seen, "db") == Some(5.0));
    seen.send(Command::Retry);
    seen.until("another attempt", |seen| seen.attempts() > 1 && seen.is_live());
    seen.recovers(&web, 10);
}

#[test]
fn machines_that_went_while_the_way_was_down_are_gone() {
    let server = RedisServer::start();
    for name in ["web", "old"] {
        set(&server, name, 10.0, 1);
    }
    let mut seen = watching(&server);
    seen.until("both", |seen| seen.state.fleet.len() == 2 && seen.events.contains(&Event::Matching(2)));
    seen.send(Command::Disconnect);
    seen.until("idle", |seen| seen.state.phase == Phase::Idle);
    run(&server, &["DEL", "report:old"]);
    set(&server, "new", 20.0, 1);
    seen.send(Command::Retry);
    seen.until("the new one", |seen| mean(seen, "new") == Some(20.0));
    seen.until("the end of the old one", |seen| seen.state.fleet.get("old").is_none());
    assert_eq!(mean(&seen, "web"), Some(10.0), "what is still there stays");
}

#[test]
fn while_machines_are_written_without_pause_the_host_s_status_goes_on() {
    let server = RedisServer::start();
    set(&server, "web", 1.0, 1);
    let profile = Profile { period: "0.5".to_owned(), ..pattern(&server) };
    let mut seen = Seen::connecting(profile, Secret::None, Vec::new());
    seen.until("the machine", |seen| mean(seen, "web") == Some(1.0));
    let busy = Arc::new(AtomicBool::new(true));
    let writer = {
        let (busy, url) = (Arc::clone(&busy), server.url());
        std::thread::spawn(move || {
            let mut connection = redis::Client::open(url).unwrap().get_connection().unwrap();
            for turn in 2_u32.. {
                let mut writes = redis::pipe();
                for machine in 0..20 {
                    let value = format!(r#"{{"avg-util-cpu0-60sec":{},"timestamp":{turn}}}"#, turn % 100);
                    writes.set(format!("report:busy-{machine}"), value).ignore();
                }
                writes.exec(&mut connection).unwrap();
                if !busy.load(Ordering::Relaxed) {
                    return;
                }
            }
        })
    };
    seen.until("the busy ones", |seen| seen.state.fleet.len() == 21);
    for calls in 1..4 {
        run(&server, &["SET", "{report:*}:status", &format!(r#"{{"state":"running","calls":{calls}}}"#)]);
        seen.within(Duration::from_secs(10), "the host's status", |seen| {
            seen.state.shown().host.as_ref().is_some_and(|host| host.calls == calls)
        });
    }
    busy.store(false, Ordering::Relaxed);
    writer.join().unwrap();
}

#[test]
fn without_a_right_to_push_all_keys_are_read_every_period() {
    let options: RedisOptions = RedisServer::options().arg("--user").arg("viewer");
    let rights = "on >secret ~* +@read +ping +time +auth +select -hello -client";
    let server = rights.split(' ').fold(options, |options, right| options.arg(right)).start();
    set(&server, "web", 1.0, 1);
    let profile = Profile { username: "viewer".to_owned(), period: "0.2".to_owned(), ..pattern(&server) };
    let mut seen = Seen::connecting(profile, Secret::Text("secret".to_owned()), Vec::new());
    seen.until("the machine", |seen| mean(seen, "web") == Some(1.0));
    assert_eq!(seen.state.phase, Phase::Live(Follow::Poll));
    set(&server, "web", 2.0, 2);
    set(&server, "db", 3.0, 1);
    seen.within(AT_ONCE, "new results", |seen| mean(seen, "web") == Some(2.0) && mean(seen, "db") == Some(3.0));
    let freshness = |name: &str| seen.state.fleet.get(name).unwrap().freshness(seen.clock.now(), 5.0);
    assert_eq!((freshness("web"), freshness("db")), (Some(Freshness::Fresh), Some(Freshness::Unconfirmed)));
    run(&server, &["DEL", "report:web"]);
    seen.within(AT_ONCE, "the end of one", |seen| seen.state.fleet.get("web").is_none());
}

#[test]
fn a_thousand_machines_are_listed_and_large_values_are_not_read() {
    let server = RedisServer::start();
    for number in 0..1_000 {
        set(&server, &format!("web-{number}"), f64::from(number % 100), 1);
    }
    run(&server, &["SET", "report:large", &format!("{{\"a\":\"{}\"}}", "x".repeat(1 << 20))]);
    let mut seen = watching(&server);
    seen.until("all of them", |seen| seen.state.fleet.len() == 1_001);
    assert!(seen.state.fleet.get("large").unwrap().fault.as_ref().unwrap().contains("bytes"));
    seen.act(Action::OpenMachine("large".to_owned()));
    seen.until("all of it", |seen| matches!(seen.found(Key::Output), Some(Found::Document(_))));
}
