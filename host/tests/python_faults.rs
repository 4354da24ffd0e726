//! What a handler in Python can do to its process: each case asserts on what the store holds in the end.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use serde_json::json;
use support::python::{Modules, is_there};
use support::redis::Redis;
use support::{Host, wait_for};

/// Counts, and does what its input says.
const FAULTY: &str = "import ctypes, os, sys, threading, time\n\
    def handler(input, context):\n    \
        context.env['calls'] = context.env.get('calls', 0) + 1\n    \
        context.env['sum'] = context.env.get('sum', 0) + input['add']\n    \
        exec(input.get('then', ''), globals())\n    \
        return {**context.env, 'attempt': context.attempt}\n";

fn host(redis: &Redis, modules: &Modules, variables: &[(&str, &str)]) -> Host {
    support::plugin("python_handler");
    let url = redis.server.url();
    let mut all = vec![("STORE_URL", url.as_str()), ("TRIGGER", "push")];
    all.extend_from_slice(variables);
    Host::start(&modules.file(), &all)
}

/// The data, reason and attempts of the only event that was set aside.
fn set_aside(redis: &Redis) -> [String; 3] {
    let entry = wait_for("an event that was set aside", || {
        Some(redis.cli(&["xrange", "{out}:dead", "-", "+"])).filter(|entry| !entry.is_empty())
    });
    assert_eq!(redis.cli(&["xlen", "{out}:dead"]), "1");
    // A reason may have several lines.
    let between = |from: &str, to: &str| entry.split_once(from).unwrap().1.split_once(to).unwrap().0.to_owned();
    [between("\ndata\n", "\nreason\n"), between("\nreason\n", "\nattempts\n"), between("\nattempts\n", "\nat\n")]
}

/// A key whose handler goes wrong each time: the event is set aside after three attempts, the next one is counted, and so
/// many processes ended.
fn is_survived(then: &str, said: &str, restarts: serde_json::Value, variables: &[(&str, &str)]) {
    if !is_there() {
        return;
    }
    let (redis, modules) = (Redis::start(), Modules::with(FAULTY));
    let host = host(&redis, &modules, variables);
    let result = |wanted: &str| {
        wait_for(wanted, || (redis.cli(&["get", "out"]) == wanted).then_some(()));
    };
    redis.write(r#"{"add": 1}"#);
    result(r#"{"calls": 1, "sum": 1, "attempt": 1}"#);
    let bad = json!({"add": 100, "then": then}).to_string();
    redis.write(&bad);
    let [data, reason, attempts] = set_aside(&redis);
    assert_eq!((data.as_str(), attempts.as_str()), (bad.as_str(), "3"), "{then}");
    assert!(reason.contains(said), "{then}: {reason}");
    redis.write(r#"{"add": 2}"#);
    result(r#"{"calls": 2, "sum": 3, "attempt": 1}"#);
    assert_eq!(redis.sequence(), 3, "{then}: two results and what was set aside");
    let status = host.status();
    assert_eq!((&status["failures"], &status["dead"]), (&json!(3), &json!(1)), "{then}: {status}");
    assert_eq!(status["restarts"], restarts, "{then}");
    assert!(host.stop().success(), "{then}");
}

#[test]
fn a_loop_without_end_is_ended_by_the_time_out() {
    let timeout = [("HANDLER_TIMEOUT", "1.5")];
    is_survived("while True: pass", "longer than HANDLER_TIMEOUT, 1.5 s", json!({"timeout": 3}), &timeout);
}

#[test]
fn a_wait_without_end_is_ended_by_the_time_out() {
    let timeout = [("HANDLER_TIMEOUT", "1.5")];
    is_survived("threading.Event().wait()", "longer than HANDLER_TIMEOUT, 1.5 s", json!({"timeout": 3}), &timeout);
}

#[test]
fn an_end_of_the_process_costs_a_process() {
    is_survived("os._exit(0)", "exit code 0", json!({"exit": 3}), &[]);
}

#[test]
fn a_segmentation_fault_costs_a_process() {
    is_survived("ctypes.string_at(0)", "signal 11 (SIGSEGV)", json!({"sigsegv": 3}), &[]);
}

#[test]
fn what_ends_a_program_in_python_is_an_error_here() {
    is_survived("sys.exit()", "SystemExit", json!({}), &[]);
}

#[test]
fn an_import_of_what_is_not_there_is_an_error_of_the_call() {
    is_survived("import not_there_at_all", "No module named 'not_there_at_all'", json!({}), &[]);
}

#[test]
fn a_recursion_without_end_is_an_error_of_the_call() {
    is_survived("def deeper(): deeper()\ndeeper()", "RecursionError", json!({}), &[]);
}

#[test]
fn what_takes_all_memory_is_stopped_by_the_limit() {
    let then = "kept = []\nwhile True: kept.append(bytearray(1 << 20))";
    is_survived(then, "MemoryError", json!({}), &[("MEMORY_LIMIT", "256MiB")]);
}

#[test]
fn threads_that_are_left_running_keep_the_host_neither_from_working_nor_from_ending() {
    if !is_there() {
        return;
    }
    let (redis, modules) = (Redis::start(), Modules::with(FAULTY));
    let host = host(&redis, &modules, &[]);
    let idle = "threading.Thread(target=threading.Event().wait).start()";
    let busy = "threading.Thread(target=lambda: all(iter(lambda: True, False))).start()";
    for (add, then) in [(1, idle), (2, busy), (3, "")] {
        redis.write(&json!({"add": add, "then": then}).to_string());
        let wanted = json!({"calls": add, "sum": add * (add + 1) / 2, "attempt": 1});
        wait_for("the result", || redis.output().filter(|output| *output == wanted));
    }
    assert!(host.stop().success());
}

#[test]
fn a_process_that_a_handler_has_forked_ends_with_its_call() {
    if !is_there() {
        return;
    }
    let (redis, modules) = (Redis::start(), Modules::with(FAULTY));
    let host = host(&redis, &modules, &[]);
    for add in 1..=5 {
        let then = if add == 5 { "" } else { "os.fork()" };
        redis.write(&json!({"add": add, "then": then}).to_string());
        let wanted = json!({"calls": add, "sum": add * (add + 1) / 2, "attempt": 1});
        wait_for("the result", || redis.output().filter(|output| *output == wanted));
    }
    let worker = host.worker();
    // One that has ended stays until its parent asks for it, which the handler did not.
    let goes_on =
        |pid: &str| std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "));
    wait_for("the children's end", || {
        let children = std::fs::read_to_string(format!("/proc/{worker}/task/{worker}/children")).unwrap();
        (!children.split_whitespace().any(goes_on)).then_some(())
    });
    assert_eq!((redis.sequence(), &host.status()["restarts"]), (5, &json!({})));
    assert!(host.stop().success());
}

#[test]
fn what_ends_a_process_in_a_batch_costs_the_batchs_other_entries_no_attempt() {
    if !is_there() {
        return;
    }
    let (redis, modules) = (Redis::start(), Modules::with(FAULTY));
    let good = |add: u64| json!({"add": add}).to_string();
    let bad = json!({"add": 1000, "then": "ctypes.string_at(0)"}).to_string();
    redis.append((1..=40).map(good).chain([bad]).chain((41..=80).map(good)));
    let host = host(&redis, &modules, &[("TRIGGER", "stream"), ("REDIS_INPUT_KEY", "events")]);
    let last = json!({"calls": 80, "sum": 80 * 81 / 2, "attempt": 1});
    wait_for("the last", || redis.output().filter(|output| *output == last));
    assert_eq!(set_aside(&redis)[2], "3");
    assert!(redis.history().iter().all(|result| result["attempt"] == 1));
    assert_eq!(host.status()["restarts"], json!({"sigsegv": 3}));
}

#[test]
fn a_module_that_cannot_be_imported_ends_the_host_before_it_works() {
    if !is_there() {
        return;
    }
    for (source, said) in [
        ("import not_there_at_all\n", "ModuleNotFoundError: No module named 'not_there_at_all'"),
        ("def handler(input, context)\n    pass\n", "SyntaxError: expected ':'"),
        ("import sys\nsys.exit()\n", "SystemExit"),
        ("other = 1\n", "has no function 'handler'"),
    ] {
        let modules = Modules::with(source);
        for (input, output) in [("in", "out"), ("in:*", "out:*")] {
            let redis = Redis::start();
            // Of a pattern: before there is any key, and not again for each of them.
            let keys = [("REDIS_INPUT_KEY", input), ("REDIS_OUTPUT_KEY", output), ("TRIGGER", "poll")];
            let mut host = host(&redis, &modules, &keys);
            assert_eq!(wait_for("its end", || host.ended()).code(), Some(1), "{input}: {source}");
            host.wait_for_log("doesn't open: the handler can't be");
            host.wait_for_log(said);
        }
    }
}
