//! What each language's plugins must do.

use std::fs;

use serde_json::{Value, json};

use super::super::support::redis::Redis;
use super::super::support::{text, wait_for};
use super::subject::Subject;

/// Line 9 fails when the mean has changed in the plugin already.
const INPUTS_THAT_FAIL: &str = "1e308\nnull\n0x10\n1e400\n[1]\n1 2\n-\n+1\n-1e308\n1e308\n";

fn lines(output: &[u8]) -> Vec<Value> {
    text(output).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn numbers(output: &[u8]) -> Vec<f64> {
    lines(output).iter().map(|number| number.as_f64().unwrap()).collect()
}

/// The env of `mean`: how many numbers, and their mean.
fn env(bytes: &[u8]) -> (u64, f64) {
    let (count, mean): (f64, f64) = serde_json::from_slice(bytes).unwrap();
    (count as u64, mean)
}

pub fn results_come_line_by_line_and_env_goes_on(subject: &Subject) {
    let output = subject.invoke("mean", b"1\n 4 \n-0.5e1\n0.1\n");
    assert_eq!(numbers(&output.stdout), [1.0, 2.5, 0.0, 0.025], "{}", text(&output.stderr));
    assert!(output.status.success());
}

pub fn a_failed_call_is_told_and_leaves_env_as_it_was(subject: &Subject) {
    let output = subject.invoke("mean", INPUTS_THAT_FAIL.as_bytes());
    let told = text(&output.stderr);
    assert_eq!(numbers(&output.stdout), [1e308, 1e308], "{told}");
    assert_eq!(output.status.code(), Some(1), "{told}");
    for line in 2..=8 {
        let said = format!("line {line}: the input can't be read: ");
        assert!(told.contains(&said), "{said:?} is missing in {told}");
    }
    let said = "line 9: the handler returned an error: the numbers lie too far apart for a mean";
    assert!(told.contains(said), "{told}");
}

pub fn env_goes_on_from_a_file_to_a_file(subject: &Subject) {
    let file = subject.folder.path().join("env");
    let go_on = |from: &str, input: &[u8]| {
        fs::write(&file, from).unwrap();
        subject.invoke_with("mean", input, &["--env".as_ref(), &file, "--save-env".as_ref(), &file])
    };
    let output = go_on(" [ 3, 0.1 ] ", b"0.5");
    assert_eq!(numbers(&output.stdout), [0.1 + (0.5 - 0.1) / 4.0], "{}", text(&output.stderr));
    // Doubles come back bit for bit.
    assert_eq!(env(&fs::read(&file).unwrap()), (4, 0.1 + (0.5 - 0.1) / 4.0));
    for broken in ["[1]", "{}", "[1,2", "[1,2]]", "[-1,2]", "[1,nan]"] {
        let output = go_on(broken, b"1");
        assert_eq!((output.stdout.len(), output.status.code()), (0, Some(1)), "{broken}");
        assert!(text(&output.stderr).contains("the env can't be kept: "), "{}", text(&output.stderr));
        assert_eq!(fs::read_to_string(&file).unwrap(), broken, "an env that can't be read stays");
    }
}

pub fn bytes_that_are_no_json_pass_through(subject: &Subject) {
    let mut input = b"\xff\x00 raw\n".to_vec();
    input.resize(1 << 20, b'x');
    input.push(b'\n');
    let output = subject.invoke("echo", &input);
    assert!(output.stdout == input, "{} bytes came back; {}", output.stdout.len(), text(&output.stderr));
}

pub fn the_context_says_where_and_when(subject: &Subject) {
    let output = subject.invoke("about", b"x\ny\n");
    let about = lines(&output.stdout);
    let input = subject.folder.path().join("input");
    for (name, value) in [
        ("host", json!("")),
        ("port", json!(0)),
        ("input_key", json!(input)),
        ("output_key", json!("-")),
        ("plugin_dir", json!(subject.folder_of_about())),
        ("attempt", json!(1)),
        ("last_execution", Value::Null),
    ] {
        assert_eq!(about[0][name], value, "{name}");
    }
    assert!(about[0]["function_getmtime"].as_f64().unwrap() > 1.7e9);
    let at = about[1]["last_execution"].as_str().unwrap();
    assert!(at.contains('T') && at.ends_with('Z'), "{at}");
    let mut ids = about.iter().map(|about| about["event_id"].as_str().unwrap());
    assert!(ids.all(|id| id.len() == 71 && id.starts_with("sha256:")));
    assert_ne!(about[0]["event_id"], about[1]["event_id"]);
}

pub fn what_a_handler_logs_comes_out_with_its_name(subject: &Subject) {
    let output = subject.invoke("told", b"the disk is full");
    let log = text(&output.stderr);
    assert!(log.contains("WARN the disk is full plugin=\"fixture\" handler=\"told\" module=\"fixture\""), "{log}");
}

pub fn env_goes_on_through_failures_a_new_version_and_a_restart(subject: &Subject) {
    let redis = Redis::start();
    let host = subject.host(&redis);
    let called = |input: &str| {
        let before = redis.sequence();
        redis.write(input);
        env(&redis.wait_for_sequence(before + 1).env)
    };
    assert_eq!(called("1e308"), (1, 1e308));
    // It fails three times and is set aside, which is a commit of the env as it was.
    assert_eq!(called("-1e308"), (1, 1e308));
    wait_for("what was set aside", || (host.status()["dead"] == 1).then_some(()));
    host.wait_for_log("the numbers lie too far apart for a mean");
    assert_eq!(redis.output(), Some(json!(1e308)), "a failed call has written a result");
    assert_eq!(called("null"), (1, 1e308));
    assert_eq!(called("1e308"), (2, 1e308));

    subject.renew();
    wait_for("the new version", || (host.status()["reloads"] == 1).then_some(()));
    assert_eq!(called("0.7e308").0, 3);
    assert!(host.stop().success());

    let host = subject.host(&redis);
    host.wait_until_ready();
    assert_eq!(called("1").0, 4);
}

pub fn an_env_that_cannot_be_read_stops_the_host_and_stays(subject: &Subject) {
    let redis = Redis::start();
    redis.set_env("3", "{\"count\":1}");
    redis.write("1");
    let host = subject.host(&redis);
    let said = wait_for("the reason", || Some(host.wait_until_not_ready()).filter(|said| said.contains("env")));
    assert!(said.contains("can't be"), "{said}");
    let saved = redis.saved().unwrap();
    assert_eq!((saved.sequence, text(&saved.env)), (3, "{\"count\":1}".to_owned()));
}
