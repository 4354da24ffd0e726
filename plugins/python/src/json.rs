//! Says where in a value something is that JSON can't hold.

use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};

/// Deeper than Python's own writer goes.
const DEPTH_MAX: usize = 900;

/// How many steps of the way to a place are told.
const PATH_MAX: usize = 16;

/// What a value must be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rule {
    /// It comes back from JSON as what it was: an env is read again after a restart or a failed call.
    ComesBack,
    /// JSON has a form for it: tuples become lists, names that are numbers become texts.
    CanBeWritten,
}

/// A place in a value, and what is wrong there.
struct Unfit {
    /// The way to it, from the end: indices and names in brackets.
    path: Vec<String>,
    what: String,
}

/// Checks that an env comes back from JSON as what it is.
///
/// # Errors
///
/// Names the place, and says what to keep there instead.
pub(crate) fn check_env(env: &Bound<'_, PyAny>) -> Result<(), String> {
    if !env.is_exact_instance_of::<PyDict>() {
        return Err(format!("context.env is a {}: it must stay a dict", type_name(env)));
    }
    check(env, Rule::ComesBack, 0).map_err(|unfit| unfit.at("context.env"))
}

/// Says where in a result something is that JSON can't hold; none where nothing is found.
#[pyfunction]
pub(crate) fn explain(result: &Bound<'_, PyAny>) -> Option<String> {
    check(result, Rule::CanBeWritten, 0).err().map(|unfit| unfit.at("the result"))
}

fn check(value: &Bound<'_, PyAny>, rule: Rule, depth: usize) -> Result<(), Unfit> {
    if depth > DEPTH_MAX {
        return Err(Unfit::of("is nested too deeply, or holds itself"));
    }
    if value.is_exact_instance_of::<PyString>()
        || value.is_exact_instance_of::<PyInt>()
        || value.is_exact_instance_of::<PyBool>()
        || value.is_none()
    {
        return Ok(());
    }
    if let Ok(list) = value.cast_exact::<PyList>() {
        return check_each(list.iter(), rule, depth);
    }
    if let Ok(dict) = value.cast_exact::<PyDict>() {
        return check_dict(dict, rule, depth);
    }
    // Subclasses of numbers and texts, numpy.float64 for one, come back as numbers and texts that are equal.
    if let Ok(float) = value.cast::<PyFloat>() {
        let float = float.value();
        return if float.is_finite() { Ok(()) } else { Err(Unfit::of(format!("is {float}, which JSON can't hold"))) };
    }
    if value.is_instance_of::<PyString>() || value.is_instance_of::<PyInt>() {
        return Ok(());
    }
    if rule == Rule::CanBeWritten {
        if let Ok(tuple) = value.cast::<PyTuple>() {
            return check_each(tuple.iter(), rule, depth);
        }
        if let Ok(list) = value.cast::<PyList>() {
            return check_each(list.iter(), rule, depth);
        }
        if let Ok(dict) = value.cast::<PyDict>() {
            return check_dict(dict, rule, depth);
        }
    }
    Err(Unfit::type_of(value, rule))
}

fn check_each<'py>(values: impl Iterator<Item = Bound<'py, PyAny>>, rule: Rule, depth: usize) -> Result<(), Unfit> {
    for (index, value) in values.enumerate() {
        check(&value, rule, depth + 1).map_err(|unfit| unfit.within(format!("[{index}]")))?;
    }
    Ok(())
}

fn check_dict(dict: &Bound<'_, PyDict>, rule: Rule, depth: usize) -> Result<(), Unfit> {
    for (name, value) in dict.iter() {
        check_name(&name, rule)?;
        check(&value, rule, depth + 1).map_err(|unfit| unfit.within(format!("[{}]", shown(&name))))?;
    }
    Ok(())
}

fn check_name(name: &Bound<'_, PyAny>, rule: Rule) -> Result<(), Unfit> {
    let is_number = || name.is_none() || name.is_instance_of::<PyInt>() || name.is_instance_of::<PyFloat>();
    if name.is_instance_of::<PyString>() || (rule == Rule::CanBeWritten && is_number()) {
        return Ok(());
    }
    let what =
        format!("has the key {}, of type {}, but JSON's keys are texts: use str(key)", shown(name), type_name(name));
    Err(Unfit::of(what))
}

impl Unfit {
    #[cold]
    fn of(what: impl Into<String>) -> Unfit {
        Unfit { path: Vec::new(), what: what.into() }
    }

    #[cold]
    fn type_of(value: &Bound<'_, PyAny>, rule: Rule) -> Unfit {
        let name = type_name(value);
        let instead = match name.as_str() {
            "tuple" | "set" | "frozenset" | "collections.deque" => "list(value)",
            "bytes" | "bytearray" => "value.hex(), or base64",
            "datetime.datetime" | "datetime.date" | "datetime.time" => "value.isoformat()",
            "datetime.timedelta" => "value.total_seconds()",
            "decimal.Decimal" | "uuid.UUID" | "fractions.Fraction" => "str(value)",
            "complex" => "[value.real, value.imag]",
            "numpy.ndarray" => "value.tolist()",
            "pandas.core.frame.DataFrame" | "pandas.core.series.Series" => "value.to_dict(), with texts as keys",
            name if name.starts_with("numpy.") => "value.item()",
            _ if value.is_instance_of::<PyDict>() => "dict(value)",
            _ if value.is_instance_of::<PyList>() || value.is_instance_of::<PyTuple>() => "list(value)",
            _ => "the numbers, texts, lists and dicts that it is made of",
        };
        Unfit::of(match rule {
            Rule::ComesBack => format!("is a {name}, which would not come back from JSON as it is: keep {instead}"),
            Rule::CanBeWritten => format!("is a {name}, which JSON can't hold: give {instead}"),
        })
    }

    #[cold]
    fn within(mut self, step: String) -> Unfit {
        self.path.push(step);
        self
    }

    #[cold]
    fn at(self, whole: &str) -> String {
        let shown = self.path.iter().rev().take(PATH_MAX).map(String::as_str);
        let rest = if self.path.len() > PATH_MAX { "[…]" } else { "" };
        let path: String = shown.chain([rest]).collect();
        format!("{whole}{path} {}", self.what)
    }
}

/// `collections.deque`, or `set`.
fn type_name(value: &Bound<'_, PyAny>) -> String {
    let kind = value.get_type();
    match kind.fully_qualified_name() {
        Ok(name) => name.to_string(),
        Err(_) => "thing without a name".to_owned(),
    }
}

/// A name as Python writes it.
fn shown(name: &Bound<'_, PyAny>) -> String {
    name.repr().map_or_else(|_| "?".to_owned(), |text| text.to_string())
}
