//! The Python runtime's own handler on generated inputs: through each trigger that has inputs, with a new version and kills
//! in the middle, each result once, in order, and byte for byte what Python alone gives.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::fs;
use std::process::Command;

use redis::Connection;
use redis::streams::StreamReadReply;
use support::python::{Modules, is_there, peers_handler};
use support::redis::Redis;
use support::{Host, root, signal, text};

const INPUTS: usize = 2000;

/// Inputs, and what Python alone gives for them one after another.
fn generated() -> (Vec<String>, Vec<String>) {
    let program = "import golden, sys\n\
        inputs = list(golden.inputs(int(sys.argv[1]), 11))\n\
        print(*inputs, *map(golden.dump, golden.results(inputs)), sep='\\n')\n";
    let mut python = Command::new("python3");
    python.args(["-B", "-c", program, &INPUTS.to_string()]).current_dir(root().join("bench/peer"));
    let output = python.output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let mut inputs: Vec<_> = text(&output.stdout).lines().map(str::to_owned).collect();
    assert_eq!(inputs.len(), 2 * INPUTS);
    let results = inputs.split_off(INPUTS);
    (inputs, results)
}

/// The results as they are committed, one after another.
struct Results {
    connection: Connection,
    last: String,
}

impl Results {
    fn of(redis: &Redis) -> Results {
        let client = redis::Client::open(redis.server.url()).unwrap();
        Results { connection: client.get_connection().unwrap(), last: "0".to_owned() }
    }

    /// The next one, which must come within 20 s.
    fn next(&mut self) -> String {
        let mut read = redis::cmd("XREAD");
        read.arg(&["COUNT", "1", "BLOCK", "20000", "STREAMS", "{out}:history", &self.last]);
        let reply: StreamReadReply = read.query(&mut self.connection).unwrap();
        let entry = reply.keys.first().and_then(|stream| stream.ids.first()).expect("waited in vain for a result");
        self.last = entry.id.clone();
        entry.get("data").unwrap()
    }
}

/// Gives the inputs, so many at once, and checks the results.
fn are_equal(trigger: &str, at_once: usize) {
    if !is_there() {
        return;
    }
    let (inputs, results) = generated();
    let source = fs::read_to_string(peers_handler()).unwrap();
    let (redis, modules) = (Redis::start(), Modules::with(&source));
    let (url, state) = (redis.server.url(), tempfile::tempdir().unwrap());
    let run = || {
        let variables = [
            ("STORE_URL", url.as_str()),
            ("TRIGGER", trigger),
            ("REDIS_INPUT_KEY", if trigger == "stream" { "events" } else { "metrics" }),
            ("HANDLER_FUNCTION", "handler_module.handler"),
            ("HISTORY_LENGTH", "1000000"),
            ("MONITORING_PERIOD", "0.002"),
            ("RELOAD_PERIOD", "0.02"),
            ("STREAM_BATCH", "30"),
            ("STATE_DIR", state.path().to_str().unwrap()),
            ("MAX_ATTEMPTS", "1000"),
        ];
        Host::start(&modules.file(), &variables)
    };
    let (mut host, mut given) = (run(), Results::of(&redis));
    for (part, (inputs, results)) in inputs.chunks(at_once).zip(results.chunks(at_once)).enumerate() {
        match trigger {
            "stream" => redis.append(inputs.iter().cloned()),
            _ => redis.write(&inputs[0]),
        }
        let from = part * at_once;
        if from == INPUTS / 4 {
            modules.write("handler_module.py", &format!("{source}\n# Another version.\n"));
        } else if from == INPUTS / 2 {
            host.wait_for_log("a new version of the plugin is there: the worker is replaced");
            signal("KILL", host.worker());
        } else if from == INPUTS / 4 * 3 {
            host.kill();
            host = run();
        }
        for (index, result) in results.iter().enumerate() {
            assert_eq!(given.next(), *result, "{trigger}: input {}", from + index);
        }
    }
    assert!(host.stop().success());
    assert_eq!(redis.cli(&["xlen", "{out}:history"]), INPUTS.to_string(), "each result once");
}

#[test]
fn polled_values_give_what_python_alone_gives_over_a_new_version_and_kills() {
    are_equal("poll", 1);
}

#[test]
fn pushed_values_give_what_python_alone_gives_over_a_new_version_and_kills() {
    are_equal("push", 1);
}

#[test]
fn a_streams_entries_give_what_python_alone_gives_over_a_new_version_and_kills() {
    are_equal("stream", 100);
}
