//! Handlers in Python through `invoke`, `inspect` and `pack`: what they get and give is what Python alone makes of it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use support::minisign::Key;
use support::python::{Modules, is_there, peers_handler};
use support::{invoke, plugin, plugin_host, refused, root, text, wait_for};

/// What a handler gives for the line `null`.
fn result(source: &str) -> Result<String, String> {
    let Output { status, stdout, stderr } = Modules::with(source).invoke("null");
    match status.success() {
        true => Ok(text(&stdout)),
        false => Err(text(&stderr)),
    }
}

/// The error of a handler with this body.
fn error(body: &str) -> String {
    let body = body.replace('\n', "\n    ");
    result(&format!("def handler(input, context):\n    {body}\n")).expect_err("it succeeds")
}

#[test]
fn the_peers_handler_gives_byte_for_byte_what_python_alone_gives() {
    if !is_there() {
        return;
    }
    let data = root().join("plugins/metrics/data");
    for (input, golden) in [
        ("sample.json", "sample"),
        ("recorded.jsonl", "recorded"),
        ("cpus-16.jsonl", "cpus-16"),
        ("golden/generated.inputs.jsonl", "generated"),
    ] {
        // The sample is one input on several lines.
        let mut lines = fs::read_to_string(data.join(input)).unwrap();
        if golden == "sample" {
            lines = lines.replace('\n', " ");
        }
        let output = invoke(&peers_handler(), "handler_module.handler", lines.as_bytes());
        assert!(output.status.success(), "{}", text(&output.stderr));
        assert_eq!(text(&output.stdout), fs::read_to_string(data.join(format!("golden/{golden}.jsonl"))).unwrap());
    }
}

#[test]
fn two_thousand_generated_inputs_give_what_python_alone_gives() {
    if !is_there() {
        return;
    }
    let output = Command::new("python3")
        .arg(root().join("bench/peer/golden.py"))
        .args(["--generate", "2000", "--seed", "7", "--check"])
        .arg(format!("'{}' invoke '{}'", env!("CARGO_BIN_EXE_plugin-host"), peers_handler().display()))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
}

#[test]
fn values_go_through_as_python_alone_reads_and_writes_them() {
    if !is_there() {
        return;
    }
    let modules = Modules::with("def handler(input, context):\n    return input\n");
    let same = [
        "123456789012345678901234567890123456789012345678901234567890",
        "-0.0",
        "5e-324",
        "0.1",
        "1.7976931348623157e+308",
        r#""\u00e9\ud83d\ude00\ud800""#,
        r#"{"a": [1, 2.0, true, null], "": {}}"#,
        r#""text""#,
        "false",
    ];
    let output = modules.invoke(&same.join("\n"));
    assert_eq!(text(&output.stdout).lines().collect::<Vec<_>>(), same);
    // UTF-8 comes in, and goes out escaped; a name may stand twice.
    let output = modules.invoke("\"é😀\"\n{\"a\": 1, \"a\": 2}\n1E400");
    assert_eq!(text(&output.stdout), "\"\\u00e9\\ud83d\\ude00\"\n{\"a\": 2}\n");
    assert!(text(&output.stderr).contains("line 3: the output can't be written: the result is inf"));

    let output = modules.invoke("{\"a\": }\n[1");
    assert!(
        text(&output.stderr).contains("line 1: the input can't be read: Expecting value: line 1 column 7 (char 6)")
    );
    assert!(text(&output.stderr).contains("line 2: the input can't be read: Expecting ',' delimiter"));
}

#[test]
fn the_context_has_the_fields_of_the_specification() {
    if !is_there() {
        return;
    }
    let modules = Modules::with(
        "def handler(input, context):\n    fields = vars(context)\n    return {name: [type(value).__name__, value] for name, value in fields.items()}\n",
    );
    let output = modules.invoke("1\n2");
    let results: Vec<Value> = text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(results.len(), 2, "{}", text(&output.stderr));
    for (name, kind) in [
        ("host", "str"),
        ("port", "int"),
        ("input_key", "str"),
        ("output_key", "str"),
        ("function_getmtime", "float"),
        ("env", "dict"),
        ("event_id", "str"),
        ("attempt", "int"),
        ("plugin_dir", "str"),
    ] {
        assert_eq!(results[0][name][0], kind, "{name}");
    }
    let modified = fs::metadata(modules.file()).unwrap().modified().unwrap();
    let modified = modified.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
    assert_eq!(results[0]["function_getmtime"][1], modified);
    assert_eq!(results[0]["last_execution"], json!(["NoneType", null]));
    assert!(results[1]["last_execution"][1].as_str().unwrap().contains('T'));
}

#[test]
fn an_env_that_json_cannot_hold_is_an_error_that_names_the_key() {
    if !is_there() {
        return;
    }
    for (statement, said) in [
        ("context.env['seen'] = {1}", "context.env['seen'] is a set"),
        ("context.env['a'] = [0, {'b': (1, 2)}]", "context.env['a'][1]['b'] is a tuple"),
        (
            "context.env['cpu'] = {0: 1.5}",
            "context.env['cpu'] has the key 0, of type int, but JSON's keys are texts: use str(key)",
        ),
        ("context.env['x'] = float('nan')", "context.env['x'] is NaN"),
        ("import collections\ncontext.env['d'] = collections.deque()", "context.env['d'] is a collections.deque"),
        ("import collections\ncontext.env['d'] = collections.defaultdict(list)", "keep dict(value)"),
        ("import datetime\ncontext.env['at'] = datetime.datetime.now()", "keep value.isoformat()"),
        ("context.env['me'] = context.env", "is nested too deeply, or holds itself"),
        ("context.env = []", "context.env is a list: it must stay a dict"),
    ] {
        let told = error(statement);
        assert!(
            told.contains(&format!("line 1: the env can't be kept: {}", said.split(" is").next().unwrap()))
                || told.contains(said),
            "{told}"
        );
        assert!(told.contains(said), "{said:?} is missing in {told}");
    }
    let told = error("return {'a': [object()]}");
    assert!(told.contains("the output can't be written: the result['a'][0] is a object"), "{told}");
    // What Python writes, though it comes back as something else, is a result as good as any.
    assert_eq!(result("def handler(i, c):\n    return {1: (2, 3)}\n").unwrap(), "{\"1\": [2, 3]}\n");
}

#[test]
fn a_failed_call_leaves_env_as_it_was_and_tells_the_traceback() {
    if !is_there() {
        return;
    }
    let modules = Modules::with(
        "import sys\n\
         def handler(input, context):\n    \
             context.env['calls'] = context.env.get('calls', 0) + 1\n    \
             context.env.setdefault('inputs', []).append(input)\n    \
             if input == 'raise':\n        return deeper({})\n    \
             if input == 'exit':\n        sys.exit(3)\n    \
             if input == 'spoil':\n        context.env['calls'] = {1}\n        return 0\n    \
             return context.env\n\
         def deeper(fields):\n    return fields['missing']\n",
    );
    let output = modules.invoke("1\n\"raise\"\n\"exit\"\n\"spoil\"\n2\n");
    assert_eq!(
        text(&output.stdout),
        "{\"calls\": 1, \"inputs\": [1]}\n{\"calls\": 2, \"inputs\": [1, 2]}\n",
        "{}",
        text(&output.stderr)
    );
    let told = text(&output.stderr);
    for said in [
        "line 2: the handler returned an error: KeyError: 'missing'\n\
         Traceback (most recent call last):\n  File \"handler_module.py\", line 6, in handler\n    return deeper({})\n",
        "  File \"handler_module.py\", line 14, in deeper\n    return fields['missing']\n",
        "line 3: the handler returned an error: SystemExit: 3\n",
        "line 4: the env can't be kept: context.env['calls'] is a set",
    ] {
        assert!(told.contains(said), "{said:?} is missing in {told}");
    }
    assert!(!told.contains("plugin_host.py"), "{told}");
}

#[test]
fn what_is_printed_and_logged_comes_out_as_records_of_the_host() {
    if !is_there() {
        return;
    }
    let modules = Modules::with(
        "import logging, sys, warnings\n\
         print('imported')\n\
         logging.basicConfig(level=logging.DEBUG)\n\
         def handler(input, context):\n    \
             print('a', 'ü', end='')\n    print(' b\\nc')\n    \
             print('to stderr', file=sys.stderr)\n    \
             sys.stdout.buffer.write(b'bytes\\n')\n    \
             logging.getLogger('mine').error('bad %d', 7)\n    logging.info('good')\n    logging.debug('quiet')\n",
    );
    let output = modules.invoke("1");
    let log = text(&output.stderr);
    for said in [
        "INFO imported plugin=\"python\" handler=\"handler\" module=\"stdout\"",
        "INFO a ü b plugin",
        "INFO c plugin",
        "WARN to stderr plugin=\"python\" handler=\"handler\" module=\"stderr\"",
        "INFO bytes plugin",
        "ERROR bad 7 plugin=\"python\" handler=\"handler\" module=\"mine\"",
        "INFO good plugin=\"python\" handler=\"handler\" module=\"root\"",
    ] {
        assert!(log.contains(said), "{said:?} is missing in {log}");
    }
    assert!(!log.contains("quiet"), "{log}");
    // Nothing of it is a result.
    assert_eq!(text(&output.stdout), "null\n");
}

#[test]
fn a_module_that_cannot_be_used_says_why() {
    if !is_there() {
        return;
    }
    for (source, said) in [
        ("import not_there_at_all\n", "can't be imported: ModuleNotFoundError: No module named 'not_there_at_all'"),
        ("def handler(input, context)\n    pass\n", "can't be imported: SyntaxError: expected ':'"),
        ("raise SystemExit(0)\n", "can't be imported: SystemExit: 0"),
        ("def other(input, context): pass\n", "handler_module has no function 'handler'; there are: other"),
        ("handler = 1\n", "handler_module has no function 'handler'; there are: none"),
    ] {
        let told = result(source).unwrap_err();
        assert!(told.contains("plugin-host: the plugin python: its handler handler doesn't open"), "{told}");
        assert!(told.contains(said), "{said:?} is missing in {told}");
    }
}

#[test]
fn the_libraries_that_handlers_use_can_be_imported() {
    if !is_there() {
        return;
    }
    let lines = "import decimal, ssl, sqlite3, ctypes, multiprocessing, asyncio\n\
        async def double(number):\n    return 2 * number\n\
        def square(number):\n    return number * number\n\
        def handler(input, context):\n    \
            with multiprocessing.get_context('fork').Pool(2) as pool:\n        squares = pool.map(square, [1, 2, 3])\n    \
            row = sqlite3.connect(':memory:').execute('select 40 + 2').fetchone()\n    \
            return [str(decimal.Decimal('0.1') * 3), squares, row, asyncio.run(double(4)), ctypes.CDLL(None).abs(-5)]\n";
    assert_eq!(result(lines).unwrap(), "[\"0.3\", [1, 4, 9], [42], 8, 5]\n");

    let has_numpy = Command::new("/usr/bin/python3").args(["-c", "import numpy, pandas"]).output();
    if !has_numpy.is_ok_and(|output| output.status.success()) {
        return eprintln!("skipped: numpy and pandas are not installed (on Debian: python3-numpy, python3-pandas)");
    }
    let lines = "import numpy, pandas\n\
        def handler(input, context):\n    \
            context.env['mean'] = numpy.mean([1.0, 2.0])\n    \
            return [float(pandas.Series([1, 2, 6]).mean()), context.env['mean']]\n";
    assert_eq!(result(lines).unwrap(), "[3.0, 1.5]\n");
    let told = error("import numpy\ncontext.env['n'] = numpy.int64(1)");
    assert!(told.contains("context.env['n'] is a numpy.int64") && told.contains("keep value.item()"), "{told}");
}

#[test]
fn texts_of_files_are_read_as_python_alone_reads_them_whatever_the_locale() {
    if !is_there() {
        return;
    }
    let modules =
        Modules::with("def handler(i, c):\n    return [open(__file__).encoding, open(i, encoding='utf-8').read()]\n");
    modules.write("ü.txt", "é");
    let input = modules.folder().join("input");
    fs::write(&input, json!(modules.folder().join("ü.txt")).to_string()).unwrap();
    plugin("python_handler");
    for locale in [None, Some(("LANG", "C")), Some(("LC_ALL", "of_nowhere.UTF-8")), Some(("LANG", "C.UTF-8"))] {
        let mut command = plugin_host();
        command.arg("invoke").arg(modules.file()).arg("--input").arg(&input).envs(locale);
        let output = command.output().unwrap();
        let result: Value =
            serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text(&output.stderr)));
        assert_eq!(
            (result[0].as_str().unwrap().to_lowercase().as_str(), &result[1]),
            ("utf-8", &json!("é")),
            "{locale:?}"
        );
    }
}

#[test]
fn the_module_that_the_handlers_name_means_is_taken() {
    if !is_there() {
        return;
    }
    plugin("python_handler");
    let modules = Modules::with("def handler(i, c): return 'default'\n");
    modules.write("other.py", "import helper\ndef f(i, c): return helper.text()\n");
    modules.write("helper.py", "def text(): return 'helped'\n");
    modules.write("package/__init__.py", "");
    modules.write("package/deep.py", "from . import part\ndef f(i, c): return part.NAME\n");
    modules.write("package/part.py", "NAME = 'part'\n");
    modules.write("weights.csv", "1,2");
    modules.write(
        "data.py",
        "import os\ndef f(i, c):\n    return [open(os.path.join(d, 'weights.csv')).read() for d in (os.path.dirname(__file__), c.plugin_dir)]\n",
    );
    let zip = modules.folder().join("modules.zip");
    let packed = plugin_host().arg("pack").arg(modules.folder()).arg("--zip").arg(&zip).output().unwrap();
    assert!(packed.status.success(), "{}", text(&packed.stderr));
    let elsewhere = tempfile::tempdir().unwrap();
    let moved = elsewhere.path().join("modules.zip");
    fs::rename(&zip, &moved).unwrap();
    for (handler, given) in [
        ("handler", "\"default\""),
        ("handler_module.handler", "\"default\""),
        ("other.f", "\"helped\""),
        ("package.deep.f", "\"part\""),
        ("data.f", "[\"1,2\", \"1,2\"]"),
    ] {
        for place in [modules.folder(), &moved] {
            let output = invoke(place, handler, b"0");
            assert_eq!(text(&output.stdout).trim(), given, "{handler} in {place:?}: {}", text(&output.stderr));
        }
    }
    let file = modules.folder().join("other.py");
    assert_eq!(text(&invoke(&file, "f", b"0").stdout), "\"helped\"\n");
    let warned = invoke(&file, "handler_module.f", b"0");
    assert!(text(&warned.stderr).contains("asks for \"handler_module\", but the only one is"), "{warned:?}");
    fs::remove_file(modules.file()).unwrap();
    let told = text(&invoke(modules.folder(), "f", b"0").stderr);
    assert!(told.contains("several modules") && told.contains("data.f, helper.f, other.f"), "{told}");
}

#[test]
fn the_plugin_that_loads_modules_can_lie_elsewhere() {
    let modules = Modules::with("def handler(i, c): return 1\n");
    let run = |python: &Path| {
        let input = Stdio::from(fs::File::open(modules.file()).unwrap());
        let mut command = plugin_host();
        command.arg("invoke").arg(modules.file()).env("PYTHON_PLUGIN", python).stdin(input).output().unwrap()
    };
    let told = text(&run(Path::new("/nowhere/libpython_handler.so")).stderr);
    assert!(told.contains("this is a module in Python") && told.contains("set PYTHON_PLUGIN"), "{told}");
    let told = text(&run(&plugin("metrics")).stderr);
    assert!(told.contains("it loads no files that end in .py: set PYTHON_PLUGIN"), "{told}");
    let told = text(&invoke(&plugin("python_handler"), "handler", b"0").stderr);
    assert!(told.contains("it loads files that end in .py: name such a file, not the library"), "{told}");
}

#[test]
fn a_module_and_what_it_imports_must_be_signed_where_a_key_is_set() {
    plugin("python_handler");
    let key = Key::new();
    let modules = Modules::with("import helper\ndef handler(i, c): return helper.x\n");
    modules.write("helper.py", "x = 1\n");
    let run = || refused(&[("HANDLER_PATH", modules.file().to_str().unwrap()), ("PLUGIN_PUBLIC_KEY", &key.public)]);
    assert!(run().contains("it is not signed"));
    key.sign(&modules.file());
    let told = run();
    assert!(told.contains("the file helper.py, which it imports: it is not signed"), "{told}");
    key.sign(&modules.folder().join("helper.py"));
    modules.write("helper.py", "x = 2\n");
    let told = run();
    assert!(told.contains("the file helper.py, which it imports: its signature does not fit"), "{told}");
    if !is_there() {
        return;
    }
    key.sign(&modules.folder().join("helper.py"));
    let output = plugin_host()
        .arg("invoke")
        .arg(modules.file())
        .args(["--plugin-public-key", &key.public, "--input"])
        .arg(modules.folder().join("helper.py"))
        .output()
        .unwrap();
    assert!(text(&output.stderr).contains("line 1: the input can't be read"), "{}", text(&output.stderr));
}

#[test]
fn inspect_says_what_a_module_is_without_running_it() {
    plugin("python_handler");
    let modules = Modules::with("import helper\nraise SystemExit\n");
    modules.write("helper.py", "");
    let output = plugin_host().arg("inspect").arg(modules.file()).args(["--format", "json"]).output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&report["module"], &report["loads"]), (&json!("handler_module"), &json!(".py")), "{report}");
    assert_eq!((&report["refused"], &report["size"]), (&Value::Null, &json!(31)), "{report}");
    assert_eq!(report["imports"], json!([modules.folder().join("helper.py")]));
    let output = plugin_host().arg("inspect").arg(modules.file()).output().unwrap();
    assert!(text(&output.stdout).contains("handlers     the functions of the module"), "{}", text(&output.stdout));
}

#[test]
fn pack_takes_a_module_with_what_it_imports() {
    plugin("python_handler");
    let modules = Modules::with("import helper\ndef handler(i, c): return helper.x\n");
    modules.write("helper.py", "x = 5\n");
    modules.write("other.py", "");
    let zip = modules.folder().join("m.zip");
    let packed = plugin_host().arg("pack").arg(modules.file()).arg("--zip").arg(&zip).output().unwrap();
    assert!(packed.status.success(), "{}", text(&packed.stderr));
    let listed = text(&Command::new("python3").args(["-m", "zipfile", "-l"]).arg(&zip).output().unwrap().stdout);
    assert!(listed.contains("handler_module.py") && listed.contains("helper.py") && !listed.contains("other.py"));
    let map = plugin_host().arg("pack").arg(modules.file()).args(["--configmap", "pyfile"]).output().unwrap();
    assert!(text(&map.stdout).contains("  \"helper.py\": \"eCA9IDUK\"\n"), "{}", text(&map.stdout));
    if is_there() {
        assert_eq!(text(&invoke(&zip, "handler", b"0").stdout), "5\n");
    }
}

/// Bytes of memory that a process uses.
fn resident(pid: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn many_calls_leave_no_memory_behind() {
    if !is_there() {
        return;
    }
    let data = root().join("plugins/metrics/data/golden/generated.inputs.jsonl");
    let lines: Vec<_> = fs::read_to_string(data).unwrap().lines().map(str::to_owned).collect();
    let mut child =
        plugin_host().arg("invoke").arg(peers_handler()).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut stdin, mut stdout) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
    let mut result = String::new();
    let mut call = |times: usize| {
        for line in lines.iter().cycle().take(times) {
            writeln!(stdin, "{line}").unwrap();
            result.clear();
            stdout.read_line(&mut result).unwrap();
        }
    };
    // Without optimization a tenth of it takes as long.
    let calls = if cfg!(debug_assertions) { 10_000 } else { 100_000 };
    call(calls / 5);
    let before = resident(child.id());
    call(calls);
    let after = resident(child.id());
    drop(stdin);
    wait_for("the end", || child.try_wait().unwrap());
    println!("{before} kB, {after} kB after {calls} calls");
    assert!((after - before).abs() / before <= 0.02, "{before} kB, {after} kB after {calls} calls");
}
