//! Handlers in Python through `run`: each trigger, new versions, kills.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use proptest::prelude::Rng;
use serde_json::{Value, json};
use support::python::{Modules, is_there, peers_handler};
use support::redis::Redis;
use support::{Host, plugin, root, text, wait_at_most, wait_for};

/// Inputs, and what Python alone gives for them one after another.
fn recorded() -> (Vec<String>, Vec<String>) {
    let data = root().join("plugins/metrics/data");
    let lines = |name: &str| fs::read_to_string(data.join(name)).unwrap().lines().map(str::to_owned).collect();
    (lines("recorded.jsonl"), lines("golden/recorded.jsonl"))
}

fn run(redis: &Redis, module: &Path, variables: &[(&str, &str)]) -> Host {
    plugin("python_handler");
    let url = redis.server.url();
    let mut all = vec![("STORE_URL", url.as_str()), ("RELOAD_PERIOD", "0.02")];
    all.extend_from_slice(variables);
    Host::start(module, &all)
}

/// The bytes of the output.
fn output(redis: &Redis) -> String {
    redis.cli(&["get", "out"])
}

#[test]
fn polled_and_pushed_values_give_what_python_alone_gives() {
    if !is_there() {
        return;
    }
    let (inputs, results) = recorded();
    for trigger in ["poll", "push"] {
        let redis = Redis::start();
        let host =
            run(&redis, &peers_handler(), &[("TRIGGER", trigger), ("HANDLER_FUNCTION", "handler_module.handler")]);
        host.wait_until_ready();
        for (index, (input, result)) in inputs.iter().zip(&results).take(40).enumerate() {
            redis.write(input);
            redis.wait_for_sequence(index as u64 + 1);
            assert_eq!(output(&redis), *result, "{trigger}");
        }
        let status = host.status();
        assert_eq!((&status["plugin"]["name"], &status["handler"]), (&json!("python"), &json!("handler")));
        assert!(host.stop().success());
    }
}

#[test]
fn a_stream_gives_what_python_alone_gives_though_the_host_is_killed() {
    if !is_there() {
        return;
    }
    let (inputs, results) = recorded();
    let redis = Redis::start();
    let stream =
        [("TRIGGER", "stream"), ("REDIS_INPUT_KEY", "events"), ("STREAM_BATCH", "7"), ("HISTORY_LENGTH", "500")];
    let mut random = proptest::test_runner::TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha);
    for part in inputs.chunks(12) {
        redis.append(part.iter().cloned());
        let host = run(&redis, &peers_handler(), &stream);
        std::thread::sleep(Duration::from_micros(u64::from(random.next_u32() % 300_000)));
        host.kill();
    }
    let _host = run(&redis, &peers_handler(), &stream);
    let most = Duration::from_secs(60);
    wait_at_most(most, "the last result", || (output(&redis) == results[inputs.len() - 1]).then_some(()));
    let expected: Vec<Value> = results.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(redis.history(), expected, "each entry once, in order");
}

#[test]
fn each_key_of_a_pattern_has_an_env_of_its_own() {
    if !is_there() {
        return;
    }
    let redis = Redis::start();
    let modules = Modules::with(
        "def handler(input, context):\n    context.env['sum'] = context.env.get('sum', 0) + input\n    \
         return [context.input_key, context.env['sum']]\n",
    );
    let keys = [("REDIS_INPUT_KEY", "in:*"), ("REDIS_OUTPUT_KEY", "out:*"), ("TRIGGER", "push")];
    let host = run(&redis, &modules.file(), &keys);
    host.wait_until_ready();
    for value in ["1", "2", "3"] {
        for key in ["a", "b", "c"] {
            redis.cli(&["set", &format!("in:{key}"), value]);
        }
        for key in ["a", "b", "c"] {
            let sum = value.parse::<u64>().unwrap() * (value.parse::<u64>().unwrap() + 1) / 2;
            let wanted = format!("[\"in:{key}\", {sum}]");
            wait_for(&wanted, || (redis.cli(&["get", &format!("out:{key}")]) == wanted).then_some(()));
        }
    }
}

#[test]
fn none_writes_nothing_and_keeps_the_env() {
    if !is_there() {
        return;
    }
    let redis = Redis::start();
    let modules = Modules::with(
        "def handler(input, context):\n    context.env['calls'] = context.env.get('calls', 0) + 1\n    \
         return None if input == 0 else context.env['calls']\n",
    );
    let host = run(&redis, &modules.file(), &[]);
    for (sequence, (input, written)) in [("7", "1"), ("0", "1"), ("8", "3")].iter().enumerate() {
        redis.write(input);
        let saved = redis.wait_for_sequence(sequence as u64 + 1);
        assert_eq!(output(&redis), *written);
        assert_eq!(saved.env, format!("{{\"calls\": {}}}", sequence + 1).into_bytes());
    }
    assert_eq!((redis.history().len(), &host.status()["calls"]), (2, &json!(3)));
    host.stop();

    // In a batch too.
    redis.append(["0", "7", "0"].map(str::to_owned));
    let _host = run(&redis, &modules.file(), &[("TRIGGER", "stream"), ("REDIS_INPUT_KEY", "events")]);
    wait_for("the batch", || (redis.saved().unwrap().env == b"{\"calls\": 6}").then_some(()));
    assert_eq!(output(&redis), "5");
}

const COUNT: &str = "import helper\ndef handler(input, context):\n    \
    context.env['calls'] = context.env.get('calls', 0) + 1\n    return [helper.NAME, context.env['calls']]\n";

#[test]
fn a_changed_module_and_what_it_imports_go_on_with_the_env_in_a_new_process() {
    if !is_there() {
        return;
    }
    let redis = Redis::start();
    let modules = Modules::with(COUNT);
    modules.write("helper.py", "NAME = 'one'\n");
    let host = run(&redis, &modules.file(), &[("TRIGGER", "timer"), ("HISTORY_LENGTH", "1000000")]);
    let named = |name: &str| {
        wait_for(name, || redis.output().filter(|output| output[0] == name));
    };
    named("one");
    modules.write("helper.py", "NAME = 'two'\n");
    named("two");
    modules.write("handler_module.py", &COUNT.replace("helper.NAME", "helper.NAME.upper()"));
    named("TWO");
    host.wait_for_log("a new version of the plugin is there: the worker is replaced");

    // One that can't be imported is told, and the old one goes on.
    modules.write("helper.py", "import not_there\n");
    let status =
        wait_for("a refusal", || Some(host.status()).filter(|status| status["last_reload"]["failed"] == "load"));
    let message = status["last_reload"]["message"].as_str().unwrap();
    assert!(message.contains("ModuleNotFoundError: No module named 'not_there'"), "{message}");
    let now = redis.sequence();
    redis.wait_for_sequence(now + 5);
    modules.write("helper.py", "NAME = 'three'\n");
    named("THREE");
    assert!(host.stop().success());
    for (index, result) in redis.whole_history().iter().enumerate() {
        assert_eq!(result[1], index as u64 + 1, "a call was lost or counted twice");
    }
}

#[test]
fn a_zip_of_modules_is_taken_up_anew_when_it_changes() {
    if !is_there() {
        return;
    }
    let redis = Redis::start();
    let modules = Modules::with(COUNT);
    let zip = modules.folder().join("handler.zip");
    let pack = |name: &str| {
        modules.write("helper.py", &format!("NAME = '{name}'\n"));
        let mut pack = support::plugin_host();
        let packed = pack.arg("pack").arg(modules.file()).arg("--zip").arg(&zip).output().unwrap();
        assert!(packed.status.success(), "{}", text(&packed.stderr));
    };
    pack("one");
    let host = run(&redis, &zip, &[("TRIGGER", "timer"), ("HANDLER_FUNCTION", "handler_module.handler")]);
    wait_for("one", || redis.output().filter(|output| output[0] == "one"));
    pack("two");
    wait_for("two", || redis.output().filter(|output| output[0] == "two"));
    let names = fs::read_dir(host.temporary()).unwrap().flatten().map(|entry| entry.file_name());
    let left = names.filter(|name| name.to_string_lossy().starts_with("plugin-host-private-")).count();
    assert_eq!(left, 1, "the private folder of the process before is gone");
}

#[test]
fn signals_stay_with_the_host_whatever_a_handler_asks_for() {
    if !is_there() {
        return;
    }
    let redis = Redis::start();
    let modules = Modules::with(
        "import signal, threading, time\n\
         signal.signal(signal.SIGTERM, signal.SIG_IGN)\n\
         threading.Thread(target=time.sleep, args=(3600,)).start()\n\
         def handler(input, context):\n    return threading.active_count()\n",
    );
    let host = run(&redis, &modules.file(), &[]);
    redis.write("1");
    redis.wait_for_sequence(1);
    assert!(output(&redis).parse::<u32>().unwrap() >= 2, "the thread runs on");
    host.wait_for_log("SIGTERM stays with the host");
    assert_eq!(host.stop().code(), Some(0));
}

#[test]
fn dev_takes_a_module_and_goes_on_with_its_changes() {
    if !is_there() {
        return;
    }
    plugin("python_handler");
    let modules = Modules::with(COUNT);
    modules.write("helper.py", "NAME = 'one'\n");
    modules.write("inputs.jsonl", "1\n");
    let printed = modules.folder().join("printed.txt");
    let mut dev = support::plugin_host()
        .arg("dev")
        .arg(modules.folder())
        .args(["--period", "0.02"])
        .stdout(fs::File::create(&printed).unwrap())
        .stderr(std::process::Stdio::inherit())
        .spawn()
        .unwrap();
    let prints = |part: &str| {
        wait_for(part, || {
            fs::read_to_string(&printed).unwrap().lines().find(|line| line.contains(part)).map(str::to_owned)
        })
    };
    prints("[\"one\", 3]");
    modules.write("helper.py", "NAME = 'two'\n");
    let first = prints("[\"two\", ");
    let calls: u64 = first.split("[\"two\", ").nth(1).unwrap().split(']').next().unwrap().parse().unwrap();
    assert!(calls > 3, "{first}");
    assert!(Command::new("kill").arg(dev.id().to_string()).status().unwrap().success());
    assert_eq!(wait_for("the end", || dev.try_wait().unwrap()).code(), Some(0));
}
