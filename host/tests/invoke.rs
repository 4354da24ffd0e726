//! `plugin-host invoke`: JSON lines in, one result a line out, env kept from line to line.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use support::{invoke, plugin, plugin_host, root, text};

fn lines(output: &[u8]) -> Vec<Value> {
    output
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect()
}

#[test]
fn the_specifications_example_gives_exactly_its_printed_result() {
    let input = fs::read(root().join("plugins/metrics/data/sample.json")).unwrap();
    let output = invoke(&plugin("metrics"), "handler", &input);
    assert_eq!(
        text(&output.stdout),
        "{\"percent-network-egress\":20.0,\"percent-memory-cache\":15.62,\"avg-util-cpu0-60sec\":45.5,\
         \"avg-util-cpu1-60sec\":32.1,\"timestamp\":\"2025-11-30T10:30:00\",\"num_cpus_monitored\":2}\n"
    );
    assert!(output.status.success());
}

#[test]
fn a_failed_line_is_told_with_its_number_and_leaves_env_as_it_was() {
    let input = [
        r#"{"add": 1}"#,
        r#"{"add": 10, "then": "fail"}"#,
        r#"{"add": 10, "then": "panic"}"#,
        r#"{"add": 10, "then": "spoilenv"}"#,
        r#"{"add": "ten"}"#,
        "",
        "not json",
        r#"{"add": 2}"#,
    ];
    let output = invoke(&plugin("fixture"), "sum", input.join("\n").as_bytes());
    assert_eq!(text(&output.stdout), "{\"calls\":1,\"sum\":1.0}\n{\"calls\":2,\"sum\":3.0}\n");
    let told = text(&output.stderr);
    for said in [
        "line 2: the handler returned an error: the machine is broken: the disk is on fire",
        "line 3: the handler panicked at host/tests/fixture/src/lib.rs:",
        ": out of cheese",
        "line 4: the env can't be kept: sum: JSON has no form for the number NaN",
        "line 5: the input can't be read: add: invalid type: string \"ten\", expected f64",
        "line 7: the input can't be read: ",
    ] {
        assert!(told.contains(said), "{said:?} is missing in {told}");
    }
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn a_number_that_json_cannot_hold_fails_the_call() {
    let output = invoke(&plugin("fixture"), "spoiled", b"1");
    assert_eq!((output.stdout.len(), output.status.code()), (0, Some(1)));
    assert!(text(&output.stderr).contains("JSON has no form for the number inf"), "{}", text(&output.stderr));
}

#[test]
fn env_goes_on_from_a_file_to_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let (input, env) = (folder.path().join("input"), folder.path().join("env"));
    fs::write(&input, "{\"add\": 0.1}\n{\"add\": 0.2}\n").unwrap();
    let run = |from: Option<&str>| {
        let mut command = plugin_host();
        command.arg("invoke").arg(plugin("fixture")).args(["--handler", "fixture.sum", "--input"]).arg(&input);
        command.arg("--save-env").arg(&env);
        if let Some(from) = from {
            command.args(["--env", from]);
        }
        command.output().unwrap()
    };
    assert!(run(None).status.success());
    // Doubles come back bit for bit.
    assert_eq!(fs::read_to_string(&env).unwrap(), format!("{{\"calls\":2,\"sum\":{:?}}}", 0.1 + 0.2));
    let output = run(env.to_str());
    assert_eq!(lines(&output.stdout)[0]["calls"], 3);

    fs::write(&env, r#"{"calls": -1, "sum": 0}"#).unwrap();
    let output = run(env.to_str());
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("calls: invalid value"), "{}", text(&output.stderr));
    assert_eq!(fs::read_to_string(&env).unwrap(), r#"{"calls": -1, "sum": 0}"#, "an env that can't be read stays");
}

#[test]
fn bytes_that_are_no_json_pass_through_a_raw_handler() {
    let line = b"\xff\x00 raw".as_slice();
    let output = invoke(&plugin("fixture"), "echo", line);
    assert_eq!(output.stdout, b"\xff\x00 raw\n");
}

#[test]
fn bad_input_names_what_is_wrong_with_it() {
    let huge = format!("{{\"add\": 1, \"x\": \"{}\"}}", "x".repeat(10 << 20));
    let cut = &huge.as_bytes()[..huge.len() - 1];
    let cases: [(&[u8], &str); 5] = [
        (b"\xff\xfe", "not UTF-8"),
        (b"{}", "missing field `add`"),
        (b"1", "invalid type: integer `1`, expected struct Step"),
        (b"{\"add\": null}", "add: invalid type: null, expected f64"),
        (cut, "EOF while parsing an object"),
    ];
    for (input, said) in cases {
        let output = invoke(&plugin("fixture"), "sum", input);
        assert!(text(&output.stderr).contains(said), "{said:?} is missing in {}", text(&output.stderr));
    }
    assert!(invoke(&plugin("fixture"), "sum", huge.as_bytes()).status.success());
}

#[test]
fn log_records_of_a_plugin_come_out_with_its_name() {
    let output = invoke(&plugin("fixture"), "sum", br#"{"add": 4, "then": "log"}"#);
    let log = text(&output.stderr);
    assert!(log.contains("WARN adding 4 plugin=\"fixture\" handler=\"sum\" module=\"fixture\""), "{log}");
}

#[test]
fn the_context_says_where_the_plugin_lies() {
    let output = invoke(&plugin("fixture"), "about", b"x\ny");
    let about = lines(&output.stdout);
    let folder = plugin("fixture").parent().unwrap().to_owned();
    assert_eq!(about[0]["plugin_dir"], folder.to_str().unwrap());
    assert!(about[0]["function_getmtime"].as_f64().unwrap() > 1.7e9);
    assert_eq!((&about[0]["last_execution"], &about[0]["attempt"]), (&Value::Null, &Value::from(1)));
    let at = about[1]["last_execution"].as_str().unwrap();
    assert!(at.contains('T') && at.ends_with('Z'), "{at}");
    assert!(about[1]["event_id"].as_str().unwrap().starts_with("sha256:"));
}

#[test]
fn results_are_compared_with_those_that_are_expected() {
    let data = root().join("plugins/metrics/data");
    let expect = |input: &Path, expected: &Path, more: &[&str]| {
        let mut command = plugin_host();
        command.arg("invoke").arg(plugin("metrics")).arg("--input").arg(input).arg("--expect").arg(expected);
        let output = command.args(more).output().unwrap();
        assert_eq!(text(&output.stdout), "");
        (text(&output.stderr), output.status.code())
    };
    let (inputs, golden) = (data.join("recorded.jsonl"), data.join("golden/recorded.jsonl"));
    assert_eq!(expect(&inputs, &golden, &[]), (String::new(), Some(0)));

    let folder = tempfile::tempdir().unwrap();
    let changed = folder.path().join("changed.jsonl");
    let mut results = lines(&fs::read(&golden).unwrap());
    let memory = results[2]["percent-memory-cache"].as_f64().unwrap();
    results[2]["percent-memory-cache"] = Value::from(memory * (1.0 + 1e-6));
    results[4].as_object_mut().unwrap().remove("num_cpus_monitored");
    results[5]["more"] = Value::from([1, 2].as_slice());
    results.push(Value::Null);
    fs::write(&changed, results.iter().map(|result| format!("{result}\n")).collect::<String>()).unwrap();
    let (told, code) = expect(&inputs, &changed, &[]);
    assert_eq!(code, Some(1));
    let told: Vec<_> = told.lines().collect();
    assert_eq!(told[0], format!("line 3: percent-memory-cache: {memory} where {} was expected", memory * (1.0 + 1e-6)));
    assert_eq!(told[1], "line 5: num_cpus_monitored: 2 where nothing was expected");
    assert_eq!(told[2], "line 6: more: nothing where [1,2] was expected");
    assert_eq!(told[3], "the input has ended, and 1 more results were expected");
    assert_eq!(told.len(), 4);
    assert!(!expect(&inputs, &changed, &["--tolerance", "1e-5"]).0.contains("line 3"));
    assert_eq!(expect(&inputs, &golden, &["--tolerance", "2"]).1, Some(2));
}

#[test]
fn a_line_that_fails_shifts_no_expected_result() {
    let folder = tempfile::tempdir().unwrap();
    let expect = |handler: &str, input: &str, expected: &str| {
        let (from, against) = (folder.path().join("input"), folder.path().join("expected"));
        fs::write(&from, input).unwrap();
        fs::write(&against, expected).unwrap();
        let mut command = plugin_host();
        command.arg("invoke").arg(plugin("fixture")).args(["--handler", handler, "--input"]).arg(&from);
        let output = command.arg("--expect").arg(&against).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        text(&output.stderr).lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let told = expect(
        "sum",
        "{\"add\": 1}\n\n{\"add\": true}\n{\"add\": 2}\n{\"add\": 4}\n",
        "{\"calls\": 1, \"sum\": 1}\n\"anything\"\n{\"calls\": 2, \"sum\": 3}\n",
    );
    assert!(told[0].starts_with("line 3: the input can't be read: "), "{told:?}");
    assert_eq!(told[1..], ["line 5: there is a result where none was expected"]);
    let told = expect("echo", "[1,{\"a\":[0,3]},4]\n\"x\"\nno JSON\n1\n", "[1,{\"a\":[0,2]}]\n\"x\"\nno\n\"1\"\n");
    assert_eq!(
        told,
        [
            "line 1: [1].a[1]: 3 where 2 was expected",
            "line 1: 3 elements where 2 were expected",
            "line 3: no JSON where no was expected",
            "line 4: 1 where \"1\" was expected",
        ]
    );
}

/// The results of the metrics plugin and of the Python peer, on inputs that the peer's generator makes.
#[test]
fn ten_thousand_generated_inputs_give_what_the_python_peer_gives() {
    let peer = root().join("bench/peer/golden.py");
    let output = Command::new("python3")
        .arg(peer)
        .args(["--generate", "10000", "--seed", "1", "--check"])
        .arg(format!("'{}' invoke '{}'", env!("CARGO_BIN_EXE_plugin-host"), plugin("metrics").display()))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
}
