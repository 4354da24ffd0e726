//! A Redis user with the rights that docs/triggers.md gives for a trigger: a host can do all of its work, and for want of
//! any one of them it says which.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::process::Command;

use serde_json::json;
use store::testing::{RedisCluster, RedisOptions, RedisServer, SentinelSet};
use support::{Host, plugin, root, text, wait_for};

const PASSWORD: &str = "PASSWORD";

/// The words of the page's `ACL SETUSER` for a user.
fn rule(user: &str) -> Vec<String> {
    let page = std::fs::read_to_string(root().join("docs/triggers.md")).unwrap();
    let start = format!("$ redis-cli ACL SETUSER {user} ");
    let (_, command) = page.split_once(&start).unwrap_or_else(|| panic!("the page has no user {user}"));
    let command = command.split("\n$ ").next().unwrap().split("```").next().unwrap();
    // The shell says what its words are.
    let words = Command::new("bash").args(["-c", &format!("printf '%s\\n' {command}")]).output().unwrap();
    text(&words.stdout).lines().map(str::to_owned).collect()
}

/// Servers that have this user besides their administrator.
fn with_user(user: &str, rule: &[String]) -> RedisOptions {
    let options = RedisServer::options().password("admin").arg("--user").arg(user);
    rule.iter().fold(options, |options, word| options.arg(word))
}

/// A host that signs in as the user.
fn host(url: &str, user: &str) -> Host {
    let url = url.replace(":admin@", &format!("{user}:{PASSWORD}@"));
    let mut variables = vec![("STORE_URL", url.as_str()), ("TRIGGER", user), ("HANDLER_FUNCTION", "sum")];
    variables.extend(match user {
        "timer" => [("HANDLER_FUNCTION", "count")].as_slice(),
        "stream" => &[("REDIS_INPUT_KEY", "events"), ("REDIS_OUTPUT_STREAM", "results")],
        "pattern" => &[("TRIGGER", "push"), ("REDIS_INPUT_KEY", "metrics:*"), ("REDIS_OUTPUT_KEY", "report:*")],
        _ => &[],
    });
    Host::start(&plugin("fixture"), &variables)
}

/// Writes inputs as somebody else, others in each round.
fn feed(server: &RedisServer, user: &str, round: u64) {
    let input = json!({ "add": round }).to_string();
    match user {
        "timer" => {}
        "stream" => {
            for data in [input.as_str(), "no JSON"] {
                server.run::<String>(&["XADD", "events", "*", "data", data]);
            }
        }
        "pattern" => server.run(&["MSET", "metrics:a", &input, "metrics:b", &input]),
        _ => server.run(&["SET", "metrics", &input]),
    }
}

/// Whether what was fed up to that round has come to its end.
fn is_done(server: &RedisServer, user: &str, round: u64) -> bool {
    let commits = |output: &str| server.run::<Option<u64>>(&["HGET", &format!("{{{output}}}:env"), "sequence"]);
    let length = |stream: &str| server.run::<u64>(&["XLEN", stream]);
    let has_status = |output: &str| server.run::<bool>(&["EXISTS", &format!("{{{output}}}:status")]);
    match user {
        "stream" => length("results") == round && length("{out}:dead") == round && has_status("out"),
        "pattern" => ["report:a", "report:b"].map(commits) == [Some(round); 2] && has_status("report:*"),
        _ => commits("out") >= Some(round) && has_status("out"),
    }
}

const USERS: [&str; 5] = ["poll", "push", "stream", "timer", "pattern"];

#[test]
fn what_the_page_gives_a_user_is_enough() {
    for user in USERS {
        let server = with_user(user, &rule(user)).start();
        // The second one goes on from what the first one saved.
        for round in 1..=2 {
            feed(&server, user, round);
            let host = host(&server.url(), user);
            host.wait_until_ready();
            wait_for(&format!("results of {user}"), || is_done(&server, user, round).then_some(()));
            if user == "push" || user == "pattern" {
                assert_eq!(host.status()["trigger"], "push");
            }
            assert!(host.stop().success());
        }
        // Newer servers are told the name of the client, which nobody needs.
        let denied = refusals(&server).into_iter().filter(|object| !object.contains("setinfo")).collect::<Vec<_>>();
        assert!(denied.is_empty(), "{user} was refused {denied:?}");
    }
}

/// What the server's log says was refused to anybody.
fn refusals(server: &RedisServer) -> Vec<String> {
    let log: Vec<std::collections::HashMap<String, redis::Value>> = server.run(&["ACL", "LOG"]);
    log.iter().map(|entry| redis::from_redis_value_ref(&entry["object"]).unwrap()).collect()
}

#[test]
fn for_want_of_any_right_the_host_says_which() {
    for user in USERS {
        let rule = rule(user);
        let rights: Vec<_> = rule.iter().filter(|word| word.starts_with(['+', '~', '%'])).collect();
        assert!(rights.len() >= 10, "{user}: {rule:?}");
        // What it takes beside another host, for what fails and at the end is another test's.
        let later = |right: &str| match right {
            "+pttl" | "+del" => true,
            "+xtrim" => user != "stream",
            "+xrange" => user == "stream",
            _ => false,
        };
        let rights: Vec<_> = rights.into_iter().filter(|right| !later(right)).collect();
        std::thread::scope(|scope| {
            for right in rights {
                let rest: Vec<_> = rule.iter().filter(|word| *word != right).cloned().collect();
                scope.spawn(move || {
                    let server = with_user(user, &rest).start();
                    feed(&server, user, 1);
                    let host = host(&server.url(), user);
                    wait_for(&format!("{user} without {right} to say so"), || {
                        host.log().iter().any(|line| names(line, right)).then_some(())
                    });
                });
            }
        });
    }
}

#[test]
fn beside_another_host_for_what_fails_and_at_the_end_it_says_so_too() {
    let without = |right: &str| {
        let rest: Vec<_> = rule("poll").into_iter().filter(|word| word != right).collect();
        with_user("poll", &rest).start()
    };
    let server = without("+pttl");
    let [one, other] = [0, 1].map(|_| host(&server.url(), "poll"));
    wait_for("one that may not ask", || {
        let says = |host: &Host| host.log().iter().any(|line| names(line, "+pttl"));
        (says(&one) || says(&other)).then_some(())
    });
    let rest: Vec<_> = rule("stream").into_iter().filter(|word| word != "+xrange").collect();
    let server = with_user("stream", &rest).start();
    feed(&server, "stream", 1);
    let first = host(&server.url(), "stream");
    wait_for("what it counts at first", || is_done(&server, "stream", 1).then_some(()));
    drop(first);
    let next = host(&server.url(), "stream");
    wait_for("one that may not look", || next.log().iter().any(|line| names(line, "+xrange")).then_some(()));
    let server = without("+xtrim");
    server.run::<()>(&["SET", "metrics", "no JSON"]);
    let failing = host(&server.url(), "poll");
    wait_for("what can't be set aside", || failing.log().iter().any(|line| names(line, "+xtrim")).then_some(()));
    let server = without("+del");
    let mut ending = host(&server.url(), "poll");
    ending.wait_until_ready();
    ending.terminate();
    wait_for("the lease that can't be given up", || ending.log().iter().any(|line| names(line, "+del")).then_some(()));
}

/// Whether a log line is of a right that is missing.
fn names(line: &str, right: &str) -> bool {
    let (kind, name) = right.split_at(right.find('~').map_or(1, |at| at + 1));
    match kind {
        // In the server's words, or in the host's where the server gives the line of a script alone.
        "+" => {
            let in_script = format!("{} in the ", name.to_uppercase());
            let is_named = line.contains(&in_script) && line.contains("'s script");
            line.contains(&format!("permissions to run the '{name}' command")) || is_named
        }
        _ => line.contains("ACL SETUSER") && line.contains(&format!("\"{}", name.trim_end_matches('*'))),
    }
}

#[test]
fn in_a_cluster_and_behind_sentinels_it_takes_what_the_page_says_besides() {
    let with = |user: &str, besides: &[&str]| {
        let besides = besides.iter().map(|word| (*word).to_owned());
        with_user(user, &rule(user).into_iter().chain(besides).collect::<Vec<_>>())
    };
    for (user, besides, key) in
        [("push", ["+cluster|slots"].as_slice(), "out"), ("pattern", &["+cluster|slots"], "report:a")]
    {
        let cluster = RedisCluster::start(&with(user, besides));
        let input = if user == "push" { "metrics" } else { "metrics:a" };
        cluster.master(input).run::<()>(&["SET", input, r#"{"add": 1}"#]);
        let host = host(&cluster.url(), user);
        host.wait_until_ready();
        wait_for("a result", || (cluster.master(key).run::<u8>(&["EXISTS", key]) == 1).then_some(()));
        assert_eq!(host.status()["trigger"], "push");
    }
    for besides in [["+role"].as_slice(), &[]] {
        let mut set = SentinelSet::start(&with("push", besides), &RedisServer::options());
        feed(set.first(), "push", 1);
        let host = host(&set.url(), "push");
        host.wait_until_ready();
        wait_for("a result", || is_done(set.first(), "push", 1).then_some(()));
    }
}
