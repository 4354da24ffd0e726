//! A plugin in C, against `plugin_host.h`: it passes what a Rust plugin passes.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::json;
use support::redis::Redis;
use support::{Host, invoke, plugin_host, replace, root, text, wait_for};

/// The example, compiled with these arguments besides; it goes with the value.
struct Mean {
    folder: tempfile::TempDir,
}

impl Mean {
    fn compile(arguments: &[&str]) -> Mean {
        Mean::of(&root().join("plugins/examples/c/mean.c"), arguments)
    }

    fn of(source: &Path, arguments: &[&str]) -> Mean {
        let built = Mean { folder: tempfile::tempdir().unwrap() };
        let output = Command::new("cc")
            .args(["-shared", "-fPIC", "-O2", "-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror"])
            .args(arguments)
            .arg("-I")
            .arg(root().join("plugin-api/include"))
            .arg("-o")
            .arg(built.path())
            .arg(source)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        built
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("libmean.so")
    }
}

#[test]
fn a_plugin_in_c_is_called_line_by_line_with_its_env() {
    let mean = Mean::compile(&[]);
    let output = invoke(&mean.path(), "handler", b"1\n 4 \n-0.5e1\n0.1\n");
    assert_eq!(text(&output.stdout), "1\n2.5\n0\n0.025000000000000001\n", "{}", text(&output.stderr));
    assert!(output.status.success());

    let env = mean.folder.path().join("env");
    let go_on = |from: &str, input: &str| {
        fs::write(&env, from).unwrap();
        let file = mean.folder.path().join("input");
        fs::write(&file, input).unwrap();
        let mut command = plugin_host();
        command.arg("invoke").arg(mean.path()).arg("--input").arg(&file).arg("--env").arg(&env);
        command.arg("--save-env").arg(&env).output().unwrap()
    };
    let output = go_on(" [ 3, 0.1 ] ", "0.5");
    assert_eq!((text(&output.stdout).as_str(), output.status.code()), ("0.20000000000000001\n", Some(0)));
    assert_eq!(fs::read_to_string(&env).unwrap(), "[4,0.20000000000000001]");
    for broken in ["[1]", "{}", "[1,2", "[1,2]]", "[-1,2]", "[1,nan]"] {
        let output = go_on(broken, "1");
        assert_eq!((output.stdout.len(), output.status.code()), (0, Some(1)), "{broken}");
        assert!(text(&output.stderr).contains("the env can't be kept: it is not [count,mean]"), "{broken}");
    }
}

#[test]
fn a_failed_call_of_c_is_told_and_rolled_back() {
    let mean = Mean::compile(&[]);
    check_failures(&invoke(&mean.path(), "handler", INPUTS_THAT_FAIL.as_bytes()));
}

/// The mean has changed in the plugin when line 9 fails.
const INPUTS_THAT_FAIL: &str = "1e308\nnull\n0x10\n1e400\n[1]\n1 2\n-\n+1\n-1e308\n1e308\n";

fn check_failures(output: &Output) {
    let told = text(&output.stderr);
    assert_eq!((text(&output.stdout).as_str(), output.status.code()), ("1e+308\n1e+308\n", Some(1)), "{told}");
    for line in 2..=8 {
        let said = format!("line {line}: the input can't be read: it is not a JSON number\n");
        assert!(told.contains(&said), "{said:?} is missing in {told}");
    }
    let said = "line 9: the handler returned an error: the numbers lie too far apart for a mean";
    assert!(told.contains(said), "{told}");
}

#[test]
fn a_plugin_in_c_touches_no_memory_that_is_not_its_own() {
    let asked = Command::new("cc").arg("-print-file-name=libasan.so").output().unwrap();
    let libasan = PathBuf::from(text(&asked.stdout).trim());
    if !libasan.is_absolute() {
        eprintln!("not tried: this compiler has no libasan.so");
        return;
    }
    let mean = Mean::compile(&["-fsanitize=address", "-fno-omit-frame-pointer"]);
    let input = mean.folder.path().join("input");
    fs::write(&input, INPUTS_THAT_FAIL).unwrap();
    let output = plugin_host()
        .arg("invoke")
        .arg(mean.path())
        .arg("--input")
        .arg(&input)
        .env("LD_PRELOAD", &libasan)
        // What the host leaks on purpose, a table for each library, would count as a leak.
        .env("ASAN_OPTIONS", "verbosity=1:abort_on_error=1:detect_leaks=0")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(text(&output.stderr).contains("AddressSanitizer Init done"), "{}", text(&output.stderr));
    check_failures(&output);
}

#[test]
fn the_env_of_c_goes_on_through_failures_a_new_version_and_a_restart() {
    let (mean, next) = (Mean::compile(&[]), Mean::compile(&["-DVERSION=\"0.2.0\""]));
    let redis = Redis::start();
    let url = redis.server.url();
    let variables = [("STORE_URL", url.as_str()), ("RELOAD_PERIOD", "0.02"), ("RUST_LOG", "debug")];
    let host = Host::start(&mean.path(), &variables);
    redis.write("1e308");
    redis.wait_for_sequence(1);
    assert_eq!(redis.saved().unwrap().env, b"[1,1e+308]");
    redis.write("-1e308");
    wait_for("what was set aside", || (host.status()["dead"] == 1).then_some(()));
    host.wait_for_log("the numbers lie too far apart for a mean");
    host.wait_for_log("goes on after 1 numbers plugin=\"mean\" handler=\"handler\" module=\"mean\"");
    let before = redis.sequence();
    redis.write("1e308");
    redis.wait_for_sequence(before + 1);
    assert_eq!((redis.output().unwrap(), redis.saved().unwrap().env.as_slice()), (json!(1e308), &b"[2,1e+308]"[..]));

    replace(&mean.path(), &fs::read(next.path()).unwrap());
    wait_for("the new version", || Some(()).filter(|()| host.status()["reloads"] == 1));
    let before = redis.sequence();
    redis.write("0.7e308");
    let saved = redis.wait_for_sequence(before + 1);
    assert_eq!((saved.plugin_version.as_str(), text(&saved.env).get(..3)), ("0.2.0", Some("[3,")));
    assert!(host.stop().success());

    let host = Host::start(&mean.path(), &variables);
    host.wait_until_ready();
    redis.write("1");
    let saved = redis.wait_for_sequence(before + 2);
    assert_eq!(text(&saved.env).get(..3), Some("[4,"));
}

#[test]
fn a_library_of_c_that_breaks_the_rules_is_refused_before_it_is_called() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("broken.c");
    let functions = "static plugin_host_code call(plugin_host_instance *i, const plugin_host_event_v1 *e, \
                     plugin_host_bytes *r) { (void)i; (void)e; (void)r; return 0; }\n";
    for (handler, said) in [
        ("PLUGIN_HOST_HANDLER handler = {sizeof handler, 0, 0, call, 0, 0, 0};", "its structure has no function open"),
        ("PLUGIN_HOST_HANDLER handler = {8, 0, 0, call, 0, 0, 0};", "its structure has 8 bytes where version 1 has 56"),
        ("PLUGIN_HOST_HANDLER other = {8, 0, 0, call, 0, 0, 0};", "undefined symbol: handler"),
        (
            "PLUGIN_HOST_HANDLER other = {8, 0, 0, call, 0, 0, 0}; void *pad = 0;\n\
          __asm__(\".globl handler\\n.set handler, pad + 1\");",
            "it is not a handler's structure",
        ),
    ] {
        let text_of_c = format!(
            "#include \"plugin_host.h\"\n{functions}PLUGIN_HOST_MANIFEST(\"broken\", \"1\", \"[\\\"handler\\\"]\");\n{handler}\n"
        );
        fs::write(&source, text_of_c).unwrap();
        let broken = Mean::of(&source, &[]);
        let output = invoke(&broken.path(), "handler", b"1\n");
        assert_eq!(output.status.code(), Some(1));
        assert!(text(&output.stderr).contains(said), "{said:?} is missing in {}", text(&output.stderr));
    }
}
