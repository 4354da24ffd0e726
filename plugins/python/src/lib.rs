//! Loads handlers that are written in Python: `handler(input, context)` of a module, as the Python runtime calls it.
//!
//! A folder with the module comes in, named `MODULE.FUNCTION`; what the function returns goes out as Python's own
//! `json.dumps` writes it. `runtime.py` is the part of it that is easier said in Python.
//!
//! The library is not linked with libpython, so that one build does for each CPython from 3.9 on: the manifest names the
//! libraries of which the host opens one before it.

mod interpreter;
mod json;

use plugin_api::abi::{About, Answer, Call, Callee, Failure, FailureKind};
use plugin_api::log;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyString};

plugin_api::embed!(
    Handler as python,
    loads ".py",
    libraries [
        "libpython3.18.so.1.0", "libpython3.17.so.1.0", "libpython3.16.so.1.0", "libpython3.15.so.1.0", "libpython3.14.so.1.0", "libpython3.13.so.1.0", "libpython3.12.so.1.0",
        "libpython3.11.so.1.0", "libpython3.10.so.1.0", "libpython3.9.so.1.0",
    ]
);

/// A handler: the object of `runtime.py` that holds the function and its context.
struct Handler(Py<PyAny>);

impl Callee for Handler {
    /// Starts the interpreter if this is the first handler, without its signal handlers, and imports the module.
    fn open(about: &About<'_>) -> Result<Handler, String> {
        let name = about.plugin_dir.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        interpreter::start();
        Python::attach(|py| {
            let arguments = (
                (about.plugin_dir, name),
                (about.host, about.port, about.input_key, about.output_key, about.function_getmtime),
            );
            let open = || runtime(py)?.getattr(intern!(py, "Handler"))?.call1(arguments);
            open().map(|handler| Handler(handler.unbind())).map_err(|error| Failed::of(py, &error).message)
        })
    }

    fn call(&mut self, call: &Call<'_>, output: &mut Vec<u8>) -> Result<Answer, Failure> {
        Python::attach(|py| {
            let arguments = (PyBytes::new(py, call.input), call.event_id, call.last_execution, call.attempt);
            let returned = self.0.call_method1(py, intern!(py, "call"), arguments);
            let answer = returned.and_then(|returned| match returned.is_none(py) {
                true => Ok(Answer::Nothing),
                false => {
                    output.extend_from_slice(returned.cast_bound::<PyBytes>(py)?.as_bytes());
                    Ok(Answer::Output)
                }
            });
            answer.map_err(|error| {
                let Failed { kind, message } = Failed::of(py, &error);
                Failure { kind, message }
            })
        })
    }

    fn save_env(&mut self, env: &mut Vec<u8>) -> Result<(), String> {
        Python::attach(|py| {
            let context = self.0.bind(py).getattr(intern!(py, "context")).map_err(|error| error.to_string())?;
            let value = context.getattr(intern!(py, "env")).map_err(|error| error.to_string())?;
            json::check_env(&value)?;
            let written = runtime(py).and_then(|runtime| runtime.call_method1(intern!(py, "encode"), (value,)));
            let written = written.map_err(|error| error.to_string())?;
            let text = written.cast::<PyString>().map_err(|error| error.to_string())?;
            env.extend_from_slice(text.to_cow().map_err(|error| error.to_string())?.as_bytes());
            Ok(())
        })
    }

    fn load_env(&mut self, env: &[u8]) -> Result<(), String> {
        Python::attach(|py| {
            let loaded = self.0.call_method1(py, intern!(py, "load_env"), (PyBytes::new(py, env),));
            loaded.map(drop).map_err(|error| Failed::of(py, &error).message)
        })
    }
}

/// `runtime.py`, run once.
fn runtime(py: Python<'_>) -> PyResult<&Bound<'_, PyAny>> {
    static RUNTIME: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let runtime = RUNTIME.get_or_try_init(py, || {
        let module = PyModule::from_code(py, RUNTIME_SOURCE, c"plugin_host.py", c"plugin_host")?;
        let level = log::max_level() as usize;
        let arguments = (wrap_pyfunction!(record, py)?, wrap_pyfunction!(json::explain, py)?, level);
        module.getattr("start")?.call1(arguments)?;
        Ok::<_, PyErr>(module.into_any().unbind())
    });
    runtime.map(|runtime| runtime.bind(py))
}

const RUNTIME_SOURCE: &std::ffi::CStr =
    match std::ffi::CStr::from_bytes_with_nul(concat!(include_str!("runtime.py"), "\0").as_bytes()) {
        Ok(source) => source,
        Err(_) => panic!("runtime.py holds a NUL"),
    };

/// Takes a record of `print` or `logging`: it becomes one of the host's. Others may run meanwhile.
#[pyfunction]
fn record(py: Python<'_>, level: usize, target: &str, message: &str) {
    let level = log::Level::iter().nth(level.saturating_sub(1)).unwrap_or(log::Level::Trace);
    py.detach(|| log::log!(target: target, level, "{message}"));
}

/// Why something that Python did failed.
struct Failed {
    kind: FailureKind,
    message: String,
}

impl Failed {
    /// What `runtime.py` says of a failure; of one that it knows nothing of, what Python says.
    #[cold]
    fn of(py: Python<'_>, error: &PyErr) -> Failed {
        let value = error.value(py);
        let text = |name: &str| value.getattr(name).and_then(|text| text.extract::<String>()).ok();
        let kind = match text("kind").as_deref() {
            Some("input") => FailureKind::Input,
            Some("output") => FailureKind::Output,
            Some("env") => FailureKind::Env,
            _ => FailureKind::Error,
        };
        Failed { kind, message: text("message").unwrap_or_else(|| error.to_string()) }
    }
}
