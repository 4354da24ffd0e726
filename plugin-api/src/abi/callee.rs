//! The plugin's side of the ABI: turns a Rust function into a [`HandlerV1`].

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::ffi::c_void;
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::path::PathBuf;
use std::ptr::{self, NonNull};
use std::sync::Once;
use std::sync::atomic::{AtomicPtr, Ordering};

use abi_stable::StableAbi;
use abi_stable::library::AbiHeader;
use log::{Level, LevelFilter, Log, Metadata, Record};

use super::{
    BAD_ENV, BAD_INPUT, BAD_OUTPUT, Bytes, Code, EventV1, FAILED, HandlerV1, HostV1, OK, OpaqueV1, OpenV1, PANICKED,
    RustLayoutV1,
};
use crate::context::{Context, Env};
use crate::json;
use crate::{Input, Output, Result};

/// The [`HandlerV1`] of a function; `export!` makes it the plugin's symbol.
pub const fn handler_v1<F, I, E, O>(_: &F) -> HandlerV1
where
    F: Fn(I, &mut Context<E>) -> Result<O> + Copy + 'static,
    I: Input + 'static,
    E: Env + 'static,
    O: Output + 'static,
{
    const { assert!(size_of::<F>() == 0, "a handler is a function, not a closure that captures or a pointer") };
    HandlerV1 {
        size: size_of::<HandlerV1>(),
        rust_layout: (&raw const RUST_LAYOUT).cast::<c_void>(),
        open: open::<E>,
        call: call::<F, I, E, O>,
        save_env: save_env::<E>,
        load_env: load_env::<E>,
        close: close::<E>,
    }
}

static RUST_LAYOUT: RustLayoutV1 = RustLayoutV1 { header: AbiHeader::VALUE, layout: <HandlerV1 as StableAbi>::LAYOUT };

/// A handler's state between calls.
struct Instance<E> {
    context: Context<E>,
    /// False from a failure until an env is loaded: the failed call may have changed any part of it.
    env_holds: bool,
    /// What `call` lends.
    output: Vec<u8>,
    /// What `save_env` lends.
    env: Vec<u8>,
    /// What a failure lends.
    error: String,
}

/// How a call fails: its code, and the text for the reply.
type Failed = (Code, String);

impl<E> Instance<E> {
    /// Runs a step, catches its panic, and lends what it left in one of the buffers.
    fn run(
        &mut self,
        reply: &mut Bytes,
        lend: fn(&Self) -> &[u8],
        step: impl FnOnce(&mut Self) -> std::result::Result<(), Failed>,
    ) -> Code {
        match catch(|| step(self)) {
            Ok(()) => {
                *reply = Bytes::lend(lend(self));
                OK
            }
            Err((code, text)) => {
                self.env_holds = false;
                self.error = text;
                *reply = Bytes::lend(self.error.as_bytes());
                code
            }
        }
    }
}

unsafe extern "C" fn open<E: Env>(about: *const OpenV1, reply: *mut Bytes) -> *mut OpaqueV1 {
    // SAFETY: the host lends both for the duration of this call.
    let (about, reply) = unsafe { (&*about, &mut *reply) };
    report_panics();
    log_to(about.host);
    // SAFETY: the host lends every text of `about` for the duration of this call, and it is UTF-8.
    let text = |bytes: Bytes| unsafe { bytes.borrow_text() }.to_owned();
    let opened = catch(|| {
        Ok(Box::new(Instance {
            context: Context {
                host: text(about.store_host),
                port: about.store_port,
                input_key: text(about.input_key),
                output_key: text(about.output_key),
                function_getmtime: about.function_getmtime,
                last_execution: None,
                event_id: String::new(),
                attempt: 1,
                plugin_dir: PathBuf::from(text(about.plugin_dir)),
                env: E::default(),
            },
            env_holds: true,
            output: Vec::new(),
            env: Vec::new(),
            error: String::new(),
        }))
    });
    match opened {
        Ok(instance) => Box::into_raw(instance).cast::<OpaqueV1>(),
        Err((_, message)) => {
            // There is no instance that could own the text; a failed `open` is rare enough to give it away.
            *reply = Bytes::lend(message.leak().as_bytes());
            ptr::null_mut()
        }
    }
}

unsafe extern "C" fn call<F, I, E, O>(instance: *mut OpaqueV1, event: *const EventV1, reply: *mut Bytes) -> Code
where
    F: Fn(I, &mut Context<E>) -> Result<O> + Copy + 'static,
    I: Input,
    E: Env,
    O: Output,
{
    // SAFETY: `instance` came from `open::<E>` of the same `HandlerV1`, is not closed, and the host uses it
    // from one thread at a time; event and reply are lent for the duration of this call.
    let (instance, event, reply) = unsafe { (&mut *instance.cast::<Instance<E>>(), &*event, &mut *reply) };
    // SAFETY: `F` has no size (`handler_v1` asserts it) and is inhabited (`handler_v1` was given one), so reading one
    // from a dangling, aligned pointer reads nothing and makes a valid value.
    let handler = unsafe { NonNull::<F>::dangling().as_ptr().read() };
    // SAFETY: all three are lent for the duration of this call, and the texts are UTF-8.
    let (input, event_id, last_execution) =
        unsafe { (event.input.borrow(), event.event_id.borrow_text(), event.last_execution.borrow_text()) };
    instance.run(
        reply,
        |instance| &instance.output,
        |instance| {
            if !instance.env_holds {
                return Err((BAD_ENV, "the last call failed and no env was loaded since".to_owned()));
            }
            let context = &mut instance.context;
            copy(&mut context.event_id, event_id);
            match event.last_execution.data.is_null() {
                true => context.last_execution = None,
                false => copy(context.last_execution.get_or_insert_default(), last_execution),
            }
            context.attempt = event.attempt;
            let input = I::read(input).map_err(|message| (BAD_INPUT, message))?;
            let output = handler(input, context).map_err(|error| (FAILED, chain(error.as_ref())))?;
            instance.output.clear();
            output.write(&mut instance.output).map_err(|message| (BAD_OUTPUT, message))
        },
    )
}

unsafe extern "C" fn save_env<E: Env>(instance: *mut OpaqueV1, reply: *mut Bytes) -> Code {
    // SAFETY: as in `call`.
    let (instance, reply) = unsafe { (&mut *instance.cast::<Instance<E>>(), &mut *reply) };
    instance.run(
        reply,
        |instance| &instance.env,
        |instance| {
            instance.env.clear();
            json::write(&instance.context.env, &mut instance.env).map_err(|message| (BAD_ENV, message))
        },
    )
}

unsafe extern "C" fn load_env<E: Env>(instance: *mut OpaqueV1, env: Bytes, reply: *mut Bytes) -> Code {
    // SAFETY: as in `call`; the env is lent for the duration of this call.
    let (instance, env, reply) = unsafe { (&mut *instance.cast::<Instance<E>>(), env.borrow(), &mut *reply) };
    instance.run(
        reply,
        |_| &[],
        |instance| {
            instance.context.env = match env {
                [] => E::default(),
                env => json::read(env).map_err(|message| (BAD_ENV, message))?,
            };
            instance.env_holds = true;
            Ok(())
        },
    )
}

unsafe extern "C" fn close<E>(instance: *mut OpaqueV1) {
    // SAFETY: the pointer came from `Box::into_raw` in `open`, with the same `E`, and the host gives it up here.
    let instance = unsafe { Box::from_raw(instance.cast::<Instance<E>>()) };
    // A destructor of the author's may panic; nobody is left to tell.
    catch(|| {
        drop(instance);
        Ok(())
    })
    .ok();
}

/// An error and its causes in one line.
#[cold]
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

fn copy(to: &mut String, from: &str) {
    to.clear();
    to.push_str(from);
}

thread_local! {
    /// True while a handler runs on this thread.
    static CALLING: Cell<bool> = const { Cell::new(false) };
    /// What the handler's last panic said.
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Runs a step; a panic becomes a failure that says what and where.
fn catch<T>(step: impl FnOnce() -> std::result::Result<T, Failed>) -> std::result::Result<T, Failed> {
    let result = CALLING.with(|calling| {
        calling.set(true);
        let result = panic::catch_unwind(AssertUnwindSafe(step));
        calling.set(false);
        result
    });
    result.unwrap_or_else(|payload| Err((PANICKED, panic_text(payload))))
}

fn panic_text(payload: Box<dyn Any + Send>) -> String {
    // A payload of the author's own type may panic when it is dropped.
    std::mem::forget(payload);
    PANIC.take().unwrap_or_else(|| "panicked".to_owned())
}

/// Keeps the message and the place of a handler's panic for the reply instead of printing them.
fn report_panics() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| match CALLING.get() {
            true => PANIC.set(Some(panic_message(info))),
            false => before(info),
        }));
    });
}

/// What a panic says and where, in one line.
fn panic_message(info: &PanicHookInfo<'_>) -> String {
    let payload = info.payload();
    let message = payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref().map(String::as_str));
    let place = info.location().map(|place| format!(" at {place}")).unwrap_or_default();
    format!("panicked{place}: {}", message.unwrap_or("(no message)"))
}

/// Sends the records of the `log` crate to the host.
fn log_to(host: *const HostV1) {
    if host.is_null() {
        return;
    }
    HOST.store(host.cast_mut(), Ordering::Release);
    if log::set_logger(&HostLogger).is_ok() {
        // SAFETY: not null, and a `HostV1` stays valid for the rest of the process.
        let level = unsafe { (*host).log_level };
        let filter = LevelFilter::iter().nth(level as usize).unwrap_or(LevelFilter::Trace);
        log::set_max_level(filter);
    }
}

static HOST: AtomicPtr<HostV1> = AtomicPtr::new(ptr::null_mut());

struct HostLogger;

impl Log for HostLogger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        // SAFETY: `log_to` stored a `HostV1`, valid for the rest of the process, before it installed this logger.
        let host = unsafe { &*HOST.load(Ordering::Acquire) };
        let message = record.args().to_string();
        let level = match record.level() {
            Level::Error => 1,
            Level::Warn => 2,
            Level::Info => 3,
            Level::Debug => 4,
            Level::Trace => 5,
        };
        let (target, message) = (Bytes::lend(record.target().as_bytes()), Bytes::lend(message.as_bytes()));
        // SAFETY: `log` may be called on any thread, and both texts outlive the call.
        unsafe { (host.log)(host.data, level, target, message) }
    }

    fn flush(&self) {}
}
