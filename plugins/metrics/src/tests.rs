//! The handler as a host calls it: against the Python handler's results, and with inputs that have none.

use std::{fs, path::Path};

use plugin_api::{Value, json, testing};

fn open() -> testing::Handler {
    testing::Handler::new(crate::handler)
}

/// A small input whose fields can be replaced.
fn input() -> Value {
    json!({
        "timestamp": "now",
        "cpu_percent-0": 10.0,
        "virtual_memory-total": 200,
        "virtual_memory-cached": 40,
        "virtual_memory-buffers": 10,
        "net_io_counters_eth0-bytes_sent": 1,
        "net_io_counters_eth0-bytes_recv": 3,
    })
}

fn data(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("data").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("can't read {}: {error}", path.display()))
}

/// The names of an object in their order, and its values.
fn fields(json: &[u8]) -> (Vec<String>, Value) {
    let ordered: crate::ordered::Ordered<Value> = serde_json::from_slice(json).unwrap();
    let names = ordered.iter().map(|(name, _)| name.to_owned()).collect();
    (names, serde_json::from_slice(json).unwrap())
}

#[test]
fn results_are_those_of_the_python_handler() {
    for (inputs, results) in [
        ("sample.json", "golden/sample.jsonl"),
        ("recorded.jsonl", "golden/recorded.jsonl"),
        ("cpus-16.jsonl", "golden/cpus-16.jsonl"),
        ("golden/generated.inputs.jsonl", "golden/generated.jsonl"),
    ] {
        let (lines, expected) = (data(inputs), data(results));
        assert_eq!(lines.lines().count(), expected.lines().count(), "{inputs} and {results}");
        let mut handler = open();
        for (number, (line, expected)) in lines.lines().zip(expected.lines()).enumerate() {
            let found = handler.call_raw(line.as_bytes()).unwrap_or_else(|failure| panic!("{line}: {failure}"));
            assert_eq!(fields(&found), fields(expected.as_bytes()), "{inputs}, line {}: {line}", number + 1);
        }
    }
}

#[test]
fn the_specification_s_example_gives_its_printed_result() {
    let found = open().call_raw(data("sample.json").as_bytes()).unwrap();
    let expected = concat!(
        r#"{"percent-network-egress":20.0,"percent-memory-cache":15.62,"avg-util-cpu0-60sec":45.5,"#,
        r#""avg-util-cpu1-60sec":32.1,"timestamp":"2025-11-30T10:30:00","num_cpus_monitored":2}"#,
    );
    assert_eq!(String::from_utf8(found).unwrap(), expected);
}

#[test]
fn a_missing_field_is_named() {
    for field in ["timestamp", "virtual_memory-total", "virtual_memory-cached", "virtual_memory-buffers"] {
        let mut input = input();
        input.as_object_mut().unwrap().remove(field);
        let failure = open().call(&input).unwrap_err().to_string();
        assert!(failure.contains(&format!("{field} is missing")), "{failure}");
    }
}

#[test]
fn an_ill_typed_field_is_named() {
    for field in [
        "virtual_memory-total",
        "virtual_memory-cached",
        "virtual_memory-buffers",
        "cpu_percent-0",
        "net_io_counters_eth0-bytes_sent",
        "net_io_counters_eth0-bytes_recv1",
    ] {
        for (value, words) in [
            (json!("1"), "a string"),
            (json!("\n"), "a string"),
            (json!(null), "null"),
            (json!(true), "a boolean"),
            (json!([1, [2]]), "an array"),
            (json!({"a": {"b": 1}}), "an object"),
        ] {
            let mut input = input();
            input[field] = value;
            let failure = open().call(&input).unwrap_err().to_string();
            assert!(failure.contains(&format!("{field} has to be a number, it is {words}")), "{failure}");
        }
    }
}

#[test]
fn an_input_that_is_no_object_is_refused() {
    for bytes in [&b""[..], b"[]", b"3", b"null", b"{", b"{\"a\":1,}", b"\xff", b"{\"\xff\":1}", b"{} {}"] {
        assert!(open().call_raw(bytes).is_err(), "{bytes:?}");
    }
}

#[test]
fn an_ill_typed_value_that_no_result_needs_is_no_error() {
    let mut input = input();
    input["net_io_counters_lo-bytes_sent"] = json!(null);
    input["net_io_counters_eth1-bytes_sent"] = json!("many");
    assert_eq!(open().call(&input).unwrap()["percent-network-egress"], 25.0);
}

#[test]
fn a_failed_call_leaves_the_history_alone() {
    let mut handler = open();
    handler.call(&input()).unwrap();
    let mut broken = input();
    broken["cpu_percent-0"] = json!(90.0);
    broken["cpu_percent-1"] = json!("x");
    handler.call(&broken).unwrap_err();
    assert_eq!(handler.env(), json!({"cpu_history": {"0": [10.0]}}));
}

#[test]
fn a_mean_is_of_the_last_12_values_and_survives_a_restart() {
    let mut handler = open();
    assert_eq!(handler.env(), json!({"cpu_history": {}}));
    let mut result = Value::Null;
    for value in 0..20 {
        let mut input = input();
        input["cpu_percent-0"] = json!(value);
        result = handler.call(&input).unwrap();
        handler = open().with_env(&handler.env()).unwrap();
    }
    assert_eq!(result["avg-util-cpu0-60sec"], 13.5);
    assert_eq!(handler.env()["cpu_history"]["0"].as_array().unwrap().len(), 12);
}

#[test]
fn a_longer_history_keeps_its_last_values() {
    let values: Vec<f64> = (0..15).map(f64::from).collect();
    let handler = open().with_env(&json!({"cpu_history": {"0": values, "1": []}})).unwrap();
    let env = handler.env();
    let mut continued = handler;
    assert_eq!(continued.call(&input()).unwrap()["avg-util-cpu0-60sec"], 9.08); // (4 + … + 14 + 10) / 12
    assert_eq!(env["cpu_history"]["1"], json!([]));
}

#[test]
fn a_cpu_that_comes_back_goes_on() {
    let mut handler = open();
    handler.call(&input()).unwrap();
    let mut without = input();
    without.as_object_mut().unwrap().remove("cpu_percent-0");
    without["cpu_percent-00"] = json!(50);
    let result = handler.call(&without).unwrap();
    assert_eq!(result["num_cpus_monitored"], 1);
    assert_eq!(result["avg-util-cpu00-60sec"], 50.0);
    let mut back = input();
    back["cpu_percent-0"] = json!(20);
    assert_eq!(handler.call(&back).unwrap()["avg-util-cpu0-60sec"], 15.0);
}

#[test]
fn floats_add_up_from_left_to_right() {
    let mut handler = open().with_env(&json!({"cpu_history": {"0": [1e16, 1.0]}})).unwrap();
    let mut input = input();
    input["cpu_percent-0"] = json!(-1e16);
    assert_eq!(handler.call(&input).unwrap()["avg-util-cpu0-60sec"], 0.0);
}

#[test]
fn a_result_that_json_can_not_hold_fails_the_call() {
    let mut input = input();
    input["virtual_memory-cached"] = json!(f64::MAX);
    input["virtual_memory-buffers"] = json!(f64::MAX);
    let failure = open().call(&input).unwrap_err().to_string();
    assert!(failure.contains("percent-memory-cache"), "{failure}");
}
