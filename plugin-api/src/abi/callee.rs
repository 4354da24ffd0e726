//! The plugin's side of the ABI: turns a Rust function, or whatever is a [`Callee`], into a [`HandlerV1`].

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::ffi::c_void;
use std::marker::PhantomData;
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::path::Path;
use std::ptr::{self, NonNull};
use std::sync::Once;
use std::sync::atomic::{AtomicPtr, Ordering};

use abi_stable::StableAbi;
use abi_stable::library::AbiHeader;
use log::{Level, LevelFilter, Log, Metadata, Record};

use super::{
    About, Bytes, Call, Code, EventV1, Failure, FailureKind, HandlerV1, HostV1, OK, OpaqueV1, OpenV1, RustLayoutV1,
};
use crate::context::{Context, Env};
use crate::json;
use crate::{Input, Output, Result};

/// What answers the host: a handler with its env, on the thread that opened it.
///
/// [`export!`](crate::export) makes one of a function in Rust; a plugin that embeds another language implements it
/// ([`embed!`](crate::embed)).
pub trait Callee: Sized {
    /// Makes an instance with a fresh env.
    ///
    /// # Errors
    ///
    /// Why it can't be made.
    fn open(about: &About<'_>) -> std::result::Result<Self, String>;

    /// Handles one event; the result's bytes are appended to `output`. After a failure `load_env` comes before the next
    /// call.
    ///
    /// # Errors
    ///
    /// What failed, and why.
    fn call(&mut self, call: &Call<'_>, output: &mut Vec<u8>) -> std::result::Result<Answer, Failure>;

    /// Appends the env as JSON.
    ///
    /// # Errors
    ///
    /// A sentence that names what JSON can't hold.
    fn save_env(&mut self, env: &mut Vec<u8>) -> std::result::Result<(), String>;

    /// Replaces the env by one that was saved; no bytes mean a fresh one.
    ///
    /// # Errors
    ///
    /// A sentence that names what can't be read.
    fn load_env(&mut self, env: &[u8]) -> std::result::Result<(), String>;
}

/// What a call that succeeded gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// A result.
    Output,
    /// Nothing that is to be written: the result before stays.
    Nothing,
}

/// The [`HandlerV1`] of a function; `export!` makes it the plugin's symbol.
pub const fn handler_v1<F, I, E, O>(_: &F) -> HandlerV1
where
    F: Fn(I, &mut Context<E>) -> Result<O> + Copy + 'static,
    I: Input + 'static,
    E: Env + 'static,
    O: Output + 'static,
{
    const { assert!(size_of::<F>() == 0, "a handler is a function, not a closure that captures or a pointer") };
    callee_v1::<Function<F, I, E, O>>()
}

/// The [`HandlerV1`] of a [`Callee`]; `embed!` makes it the plugin's symbol.
pub const fn callee_v1<C: Callee + 'static>() -> HandlerV1 {
    HandlerV1 {
        size: size_of::<HandlerV1>(),
        rust_layout: (&raw const RUST_LAYOUT).cast::<c_void>(),
        open: open::<C>,
        call: call::<C>,
        save_env: save_env::<C>,
        load_env: load_env::<C>,
        close: close::<C>,
    }
}

static RUST_LAYOUT: RustLayoutV1 = RustLayoutV1 { header: AbiHeader::VALUE, layout: <HandlerV1 as StableAbi>::LAYOUT };

/// A function in Rust and its env.
struct Function<F, I, E, O> {
    context: Context<E>,
    types: PhantomData<fn(F, I) -> O>,
}

impl<F, I, E, O> Callee for Function<F, I, E, O>
where
    F: Fn(I, &mut Context<E>) -> Result<O> + Copy + 'static,
    I: Input,
    E: Env,
    O: Output,
{
    fn open(about: &About<'_>) -> std::result::Result<Self, String> {
        let context = Context {
            host: about.host.to_owned(),
            port: about.port,
            input_key: about.input_key.to_owned(),
            output_key: about.output_key.to_owned(),
            function_getmtime: about.function_getmtime,
            last_execution: None,
            event_id: String::new(),
            attempt: 1,
            plugin_dir: about.plugin_dir.to_owned(),
            env: E::default(),
        };
        Ok(Function { context, types: PhantomData })
    }

    fn call(&mut self, call: &Call<'_>, output: &mut Vec<u8>) -> std::result::Result<Answer, Failure> {
        let context = &mut self.context;
        copy(&mut context.event_id, call.event_id);
        match call.last_execution {
            None => context.last_execution = None,
            Some(at) => copy(context.last_execution.get_or_insert_default(), at),
        }
        context.attempt = call.attempt;
        let failed = |kind| move |message| Failure { kind, message };
        let input = I::read(call.input).map_err(failed(FailureKind::Input))?;
        // SAFETY: `F` has no size (`handler_v1` asserts it) and is inhabited (`handler_v1` was given one), so reading
        // one from a dangling, aligned pointer reads nothing and makes a valid value.
        let handler = unsafe { NonNull::<F>::dangling().as_ptr().read() };
        let result = handler(input, context).map_err(|error| failed(FailureKind::Error)(chain(error.as_ref())))?;
        result.write(output).map_err(failed(FailureKind::Output))?;
        Ok(Answer::Output)
    }

    fn save_env(&mut self, env: &mut Vec<u8>) -> std::result::Result<(), String> {
        json::write(&self.context.env, env)
    }

    fn load_env(&mut self, env: &[u8]) -> std::result::Result<(), String> {
        self.context.env = match env {
            [] => E::default(),
            env => json::read(env)?,
        };
        Ok(())
    }
}

/// A callee, and what it lends to the host between calls.
struct Instance<C> {
    callee: C,
    /// False from a failure until an env is loaded: the failed call may have changed any part of it.
    env_holds: bool,
    /// What `call` lends.
    output: Vec<u8>,
    /// What `save_env` lends.
    env: Vec<u8>,
    /// What a failure lends.
    error: String,
}

impl<C> Instance<C> {
    /// Runs a step, catches its panic, and lends what it left in one of the buffers.
    fn run(&mut self, reply: &mut Bytes, step: impl FnOnce(&mut Self) -> std::result::Result<Bytes, Failure>) -> Code {
        match catch(|| step(self)) {
            Ok(lent) => {
                *reply = lent;
                OK
            }
            Err(failure) => {
                self.env_holds = false;
                self.error = failure.message;
                *reply = Bytes::lend(self.error.as_bytes());
                failure.kind.code()
            }
        }
    }
}

unsafe extern "C" fn open<C: Callee>(about: *const OpenV1, reply: *mut Bytes) -> *mut OpaqueV1 {
    // SAFETY: the host lends both for the duration of this call.
    let (about, reply) = unsafe { (&*about, &mut *reply) };
    report_panics();
    log_to(about.host);
    // SAFETY: the host lends every text of `about` for the duration of this call, and it is UTF-8.
    let text = |bytes: Bytes| unsafe { bytes.borrow_text() };
    let about = About {
        host: text(about.store_host),
        port: about.store_port,
        input_key: text(about.input_key),
        output_key: text(about.output_key),
        function_getmtime: about.function_getmtime,
        plugin_dir: Path::new(text(about.plugin_dir)),
    };
    let opened = catch(|| {
        let callee = C::open(&about).map_err(|message| Failure { kind: FailureKind::Error, message })?;
        let (output, env, error) = (Vec::new(), Vec::new(), String::new());
        Ok(Box::new(Instance { callee, env_holds: true, output, env, error }))
    });
    match opened {
        Ok(instance) => Box::into_raw(instance).cast::<OpaqueV1>(),
        Err(failure) => {
            // There is no instance that could own the text; a failed `open` is rare enough to give it away.
            *reply = Bytes::lend(failure.message.leak().as_bytes());
            ptr::null_mut()
        }
    }
}

unsafe extern "C" fn call<C: Callee>(instance: *mut OpaqueV1, event: *const EventV1, reply: *mut Bytes) -> Code {
    // SAFETY: `instance` came from `open::<C>` of the same `HandlerV1`, is not closed, and the host uses it
    // from one thread at a time; event and reply are lent for the duration of this call.
    let (instance, event, reply) = unsafe { (&mut *instance.cast::<Instance<C>>(), &*event, &mut *reply) };
    // SAFETY: all three are lent for the duration of this call, and the texts are UTF-8.
    let (input, event_id, last_execution) =
        unsafe { (event.input.borrow(), event.event_id.borrow_text(), event.last_execution.borrow_text()) };
    let last_execution = (!event.last_execution.data.is_null()).then_some(last_execution);
    let call = Call { input, event_id, last_execution, attempt: event.attempt };
    instance.run(reply, |instance| {
        if !instance.env_holds {
            let message = "the last call failed and no env was loaded since".to_owned();
            return Err(Failure { kind: FailureKind::Env, message });
        }
        instance.output.clear();
        Ok(match instance.callee.call(&call, &mut instance.output)? {
            Answer::Output => Bytes::lend(&instance.output),
            Answer::Nothing => Bytes::NONE,
        })
    })
}

unsafe extern "C" fn save_env<C: Callee>(instance: *mut OpaqueV1, reply: *mut Bytes) -> Code {
    // SAFETY: as in `call`.
    let (instance, reply) = unsafe { (&mut *instance.cast::<Instance<C>>(), &mut *reply) };
    instance.run(reply, |instance| {
        instance.env.clear();
        let saved = instance.callee.save_env(&mut instance.env);
        saved.map_err(|message| Failure { kind: FailureKind::Env, message })?;
        Ok(Bytes::lend(&instance.env))
    })
}

unsafe extern "C" fn load_env<C: Callee>(instance: *mut OpaqueV1, env: Bytes, reply: *mut Bytes) -> Code {
    // SAFETY: as in `call`; the env is lent for the duration of this call.
    let (instance, env, reply) = unsafe { (&mut *instance.cast::<Instance<C>>(), env.borrow(), &mut *reply) };
    instance.run(reply, |instance| {
        let loaded = instance.callee.load_env(env);
        loaded.map_err(|message| Failure { kind: FailureKind::Env, message })?;
        instance.env_holds = true;
        Ok(Bytes::NONE)
    })
}

unsafe extern "C" fn close<C>(instance: *mut OpaqueV1) {
    // SAFETY: the pointer came from `Box::into_raw` in `open`, with the same `C`, and the host gives it up here.
    let instance = unsafe { Box::from_raw(instance.cast::<Instance<C>>()) };
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
fn catch<T>(step: impl FnOnce() -> std::result::Result<T, Failure>) -> std::result::Result<T, Failure> {
    let result = CALLING.with(|calling| {
        calling.set(true);
        let result = panic::catch_unwind(AssertUnwindSafe(step));
        calling.set(false);
        result
    });
    result.unwrap_or_else(|payload| Err(Failure { kind: FailureKind::Panic, message: panic_text(payload) }))
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
