//! A handler that ends its process in every way that native code can; only the tests load it.

#![allow(unsafe_code, reason = "what it does is wrong on purpose")]

use std::hint::black_box;

use plugin_api::{Context, Result, Value, json};
use serde::{Deserialize, Serialize};

#[derive(Default, Serialize, Deserialize)]
struct Count {
    calls: u64,
    sum: f64,
}

#[derive(Deserialize)]
struct Step {
    add: f64,
    #[serde(default)]
    then: Then,
    /// From this attempt on it succeeds.
    #[serde(default)]
    until: Option<u32>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Then {
    #[default]
    Succeed,
    Fail,
    Panic,
    Abort,
    Segfault,
    Overflow,
    Exit,
    DoubleFree,
    Loop,
    Allocate,
    /// Leaves a thread behind, and succeeds.
    Thread,
    /// Takes 100 ms.
    Sleep,
}

/// What happens when it is loaded: the tests write another word to the library's file.
#[used]
static AT_LOAD: [u8; 16] = *b"at-load=nothing.";

#[used]
#[cfg_attr(target_os = "macos", unsafe(link_section = "__DATA,__mod_init_func"))]
#[cfg_attr(not(target_os = "macos"), unsafe(link_section = ".init_array"))]
static CONSTRUCTOR: extern "C" fn() = construct;

extern "C" fn construct() {
    // SAFETY: they are a static's bytes; the compiler must not know them, since the file has others later.
    let word = unsafe { (&raw const AT_LOAD).read_volatile() };
    match word.strip_prefix(b"at-load=") {
        Some(b"segfault") => {
            go_wrong(Then::Segfault).ok();
        }
        Some(b"success!") => std::process::exit(0),
        _ => {}
    }
}

/// Adds up, and then ends as the input says.
fn fault(input: Step, context: &mut Context<Count>) -> Result<Value> {
    context.env.calls += 1;
    context.env.sum += input.add;
    if input.until.is_none_or(|until| context.attempt < until) {
        go_wrong(input.then)?;
    }
    Ok(json!({"calls": context.env.calls, "sum": context.env.sum, "attempt": context.attempt}))
}

fn go_wrong(then: Then) -> Result<()> {
    match then {
        Then::Succeed => {}
        Then::Fail => Err("out of luck")?,
        Then::Panic => panic!("out of cheese"),
        Then::Abort => std::process::abort(),
        Then::Segfault => {
            // SAFETY: there is none: nothing is mapped there.
            unsafe { std::ptr::with_exposed_provenance_mut::<u64>(16).write_volatile(1) }
        }
        Then::Overflow => {
            black_box(deep(1));
        }
        Then::Exit => std::process::exit(0),
        Then::DoubleFree => {
            // SAFETY: there is none: the C library finds that the same memory is freed twice.
            unsafe {
                let memory = black_box(libc::malloc(64));
                libc::free(memory);
                libc::free(memory);
            }
        }
        Then::Loop => {
            plugin_api::log::info!("going round in circles");
            loop {
                black_box(());
            }
        }
        Then::Allocate => {
            let mut all = Vec::new();
            loop {
                all.push(black_box(vec![1_u8; 16 << 20]));
            }
        }
        Then::Thread => {
            std::thread::spawn(|| {
                loop {
                    std::thread::sleep(std::time::Duration::from_millis(1));
                }
            });
        }
        Then::Sleep => {
            plugin_api::log::info!("falling asleep");
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
    }
    Ok(())
}

#[allow(unconditional_recursion, reason = "the stack is what it is to use up")]
fn deep(depth: u64) -> u64 {
    let frame = black_box([depth; 512]);
    deep(depth + 1) + frame[0]
}

plugin_api::export!(fault);
