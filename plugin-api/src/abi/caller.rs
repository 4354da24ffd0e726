//! The host's side of the ABI: calls a [`HandlerV1`] from safe Rust.

use std::ffi::c_void;
use std::mem::offset_of;
use std::path::Path;

use abi_stable::StableAbi;
use abi_stable::abi_stability::abi_checking::check_layout_compatibility;

use super::{
    BAD_ENV, BAD_INPUT, BAD_OUTPUT, Bytes, Code, EventV1, FAILED, HandlerV1, HostV1, OK, OpaqueV1, OpenV1, PANICKED,
    RustLayoutV1,
};

/// A handler in a library that stays mapped, with a layout that this host knows.
#[derive(Clone, Copy)]
pub struct Handler {
    table: &'static HandlerV1,
}

/// Why a handler's symbol can't be called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incompatible(pub String);

/// Where a plugin's log records go.
#[derive(Clone, Copy)]
pub struct LogSink {
    /// The most verbose level that is wanted.
    pub level: log::LevelFilter,
    /// Takes a record: who made it, level, target, message. Called on any thread; must not panic.
    pub write: fn(Source<'_>, log::Level, &str, &str),
}

/// Who makes a log record.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// The plugin's name.
    pub plugin: &'a str,
    /// The handler's symbol.
    pub handler: &'a str,
}

/// What an instance is told when it is opened; the fields are those of [`Context`](crate::Context).
#[derive(Debug, Clone, Copy)]
pub struct About<'a> {
    /// The store's host name.
    pub host: &'a str,
    /// The store's port.
    pub port: u16,
    /// The key that is read.
    pub input_key: &'a str,
    /// The key that is written.
    pub output_key: &'a str,
    /// When the plugin's original file was changed, in seconds since 1970.
    pub function_getmtime: f64,
    /// The folder where the plugin's other files lie.
    pub plugin_dir: &'a Path,
}

/// One call of a handler.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// The input's bytes.
    pub input: &'a [u8],
    /// The event's identity.
    pub event_id: &'a str,
    /// When the last successful call ended (ISO 8601).
    pub last_execution: Option<&'a str>,
    /// Which attempt this is, from 1.
    pub attempt: u32,
}

/// Why a call failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What failed.
    pub kind: FailureKind,
    /// The error with its chain, in one line.
    pub message: String,
}

/// What failed in a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// The handler's types can't read the input.
    Input,
    /// The handler returned an error.
    Error,
    /// The handler panicked.
    Panic,
    /// The output can't be written.
    Output,
    /// The env can't be read or written.
    Env,
}

/// An open handler with its env. It stays on the thread that opened it.
///
/// After a failed call or save the env is gone: [`load_env`](Self::load_env) brings back the one that was saved.
pub struct Instance {
    table: &'static HandlerV1,
    opaque: *mut OpaqueV1,
}

/// The functions of a [`HandlerV1`], by name and place.
const FUNCTIONS: [(&str, usize); 5] = [
    ("open", offset_of!(HandlerV1, open)),
    ("call", offset_of!(HandlerV1, call)),
    ("save_env", offset_of!(HandlerV1, save_env)),
    ("load_env", offset_of!(HandlerV1, load_env)),
    ("close", offset_of!(HandlerV1, close)),
];

impl Handler {
    /// The handler that a symbol of a library is.
    ///
    /// # Errors
    ///
    /// What about its layout differs from what this host knows.
    ///
    /// # Safety
    ///
    /// The symbol is a [`HandlerV1`] that keeps the rules of [the ABI](super), in a library that is never unloaded.
    pub unsafe fn from_symbol(symbol: *const HandlerV1) -> Result<Handler, Incompatible> {
        if !symbol.is_aligned() || symbol.is_null() {
            return Err(Incompatible("it is not a handler's structure, but a function perhaps".to_owned()));
        }
        // SAFETY: the size is the first field in every version of the structure; the caller vouches for the rest.
        let size = unsafe { (&raw const (*symbol).size).read() };
        if size != size_of::<HandlerV1>() {
            return Err(Incompatible(format!(
                "its structure has {size} bytes where version 1 has {}",
                size_of::<HandlerV1>()
            )));
        }
        for (name, offset) in FUNCTIONS {
            // SAFETY: the size is right, so the field is there. It is read as a number, since C can leave it out, and a
            // function pointer of Rust's is never null.
            let address = unsafe { symbol.byte_add(offset).cast::<usize>().read() };
            if address == 0 {
                return Err(Incompatible(format!("its structure has no function {name}")));
            }
        }
        // SAFETY: the caller vouches for the symbol and for the library's life; the size is right, no function is null.
        let table = unsafe { &*symbol };
        let rust = table.rust_layout.cast::<RustLayoutV1>();
        if !rust.is_null() {
            // SAFETY: a non-null pointer leads to a `RustLayoutV1`, whose header is the same in all abi_stables.
            let header = unsafe { (&raw const (*rust).header).read() };
            if !header.is_valid() {
                return Err(Incompatible(format!(
                    "it was built with abi_stable {}.{}, this host with another one",
                    header.abi_major, header.abi_minor
                )));
            }
            // SAFETY: the header says that the same abi_stable wrote the layout; the library is never unloaded.
            let layout = unsafe { (*rust).layout };
            check_layout_compatibility(HandlerV1::LAYOUT, layout).map_err(|errors| Incompatible(errors.to_string()))?;
        }
        Ok(Handler { table })
    }

    /// The handler that a function of this very program is.
    pub(crate) fn of_this_program(table: &'static HandlerV1) -> Handler {
        Handler { table }
    }

    /// Makes an instance with a fresh env, on this thread.
    ///
    /// # Errors
    ///
    /// What the plugin gives as the reason.
    pub fn open(&self, about: &About<'_>, host: Option<&'static HostV1>) -> Result<Instance, Failure> {
        let plugin_dir = about.plugin_dir.to_string_lossy();
        let open = OpenV1 {
            host: host.map_or(std::ptr::null(), |host| host),
            store_host: Bytes::lend(about.host.as_bytes()),
            input_key: Bytes::lend(about.input_key.as_bytes()),
            output_key: Bytes::lend(about.output_key.as_bytes()),
            plugin_dir: Bytes::lend(plugin_dir.as_bytes()),
            function_getmtime: about.function_getmtime,
            store_port: about.port,
        };
        let mut reply = Bytes::NONE;
        // SAFETY: the table is valid (`from_symbol`), and both arguments outlive the call.
        let opaque = unsafe { (self.table.open)(&raw const open, &raw mut reply) };
        match opaque.is_null() {
            true => Err(failure(PANICKED, reply)),
            false => Ok(Instance { table: self.table, opaque }),
        }
    }
}

impl Instance {
    /// Calls the handler; the output is lent until the next call. None: nothing is to be written.
    ///
    /// # Errors
    ///
    /// A failed call has no output and leaves no env, see [`Instance`].
    pub fn call(&mut self, call: &Call<'_>) -> Result<Option<&[u8]>, Failure> {
        let event = EventV1 {
            input: Bytes::lend(call.input),
            event_id: Bytes::lend(call.event_id.as_bytes()),
            last_execution: call.last_execution.map_or(Bytes::NONE, |at| Bytes::lend(at.as_bytes())),
            attempt: call.attempt,
        };
        // SAFETY: the instance is open, on its own thread (it isn't Send); the event outlives the call.
        self.reply(|table, opaque, reply| unsafe { (table.call)(opaque, &raw const event, reply) })
    }

    /// The env as JSON, lent until the next save.
    ///
    /// # Errors
    ///
    /// Names the field that JSON can't hold; the env is gone then, as after a failed call.
    pub fn save_env(&mut self) -> Result<&[u8], Failure> {
        // SAFETY: the instance is open, on its own thread.
        self.reply(|table, opaque, reply| unsafe { (table.save_env)(opaque, reply) }).map(Option::unwrap_or_default)
    }

    /// Replaces the env by one that was saved; no bytes mean a fresh one.
    ///
    /// # Errors
    ///
    /// Names the field that the handler's type can't read; the env is gone then, as after a failed call.
    pub fn load_env(&mut self, env: &[u8]) -> Result<(), Failure> {
        // SAFETY: the instance is open, on its own thread; the env outlives the call.
        self.reply(|table, opaque, reply| unsafe { (table.load_env)(opaque, Bytes::lend(env), reply) }).map(|_| ())
    }

    fn reply(
        &mut self,
        function: impl FnOnce(&HandlerV1, *mut OpaqueV1, *mut Bytes) -> Code,
    ) -> Result<Option<&[u8]>, Failure> {
        let mut reply = Bytes::NONE;
        match function(self.table, self.opaque, &raw mut reply) {
            OK if reply.data.is_null() => Ok(None),
            // SAFETY: the plugin keeps a reply until the same function is called again on this instance, and `self`
            // stays borrowed for as long as the reply does.
            OK => Ok(Some(unsafe { reply.borrow() })),
            code => Err(failure(code, reply)),
        }
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        // SAFETY: the instance is open, on its own thread, and not used after this.
        unsafe { (self.table.close)(self.opaque) }
    }
}

#[cold]
fn failure(code: Code, reply: Bytes) -> Failure {
    let kind = match code {
        BAD_INPUT => FailureKind::Input,
        PANICKED => FailureKind::Panic,
        BAD_OUTPUT => FailureKind::Output,
        BAD_ENV => FailureKind::Env,
        _ => FailureKind::Error,
    };
    // SAFETY: the plugin lends the text until it is called again; it is copied here.
    let message = String::from_utf8_lossy(unsafe { reply.borrow() }).into_owned();
    Failure { kind, message }
}

impl FailureKind {
    /// How it crosses the border.
    pub(super) fn code(self) -> Code {
        match self {
            FailureKind::Input => BAD_INPUT,
            FailureKind::Error => FAILED,
            FailureKind::Panic => PANICKED,
            FailureKind::Output => BAD_OUTPUT,
            FailureKind::Env => BAD_ENV,
        }
    }

    /// The word that logs and status use.
    pub fn as_str(self) -> &'static str {
        match self {
            FailureKind::Input => "input",
            FailureKind::Error => "error",
            FailureKind::Panic => "panic",
            FailureKind::Output => "output",
            FailureKind::Env => "env",
        }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self.kind {
            FailureKind::Input => "the input can't be read: ",
            FailureKind::Error => "the handler returned an error: ",
            FailureKind::Panic => "the handler ",
            FailureKind::Output => "the output can't be written: ",
            FailureKind::Env => "the env can't be kept: ",
        })?;
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

impl std::fmt::Display for Incompatible {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Incompatible {}

impl HostV1 {
    /// What a handler is offered. It lives for the rest of the process, as its plugin does.
    pub fn for_handler(source: Source<'_>, sink: LogSink) -> &'static HostV1 {
        let named = Named { plugin: source.plugin.to_owned(), handler: source.handler.to_owned(), sink };
        let data: &'static Named = Box::leak(Box::new(named));
        Box::leak(Box::new(HostV1 {
            size: size_of::<HostV1>(),
            log_level: sink.level as u32,
            data: std::ptr::from_ref(data).cast::<c_void>(),
            log: write_record,
        }))
    }
}

/// What `HostV1::data` leads to.
struct Named {
    plugin: String,
    handler: String,
    sink: LogSink,
}

unsafe extern "C" fn write_record(data: *const c_void, level: u32, target: Bytes, message: Bytes) {
    // SAFETY: `for_handler` put a leaked `Named` there, and a plugin passes `data` back as it got it.
    let Named { plugin, handler, sink } = unsafe { &*data.cast::<Named>() };
    let level = log::Level::iter().nth((level as usize).saturating_sub(1)).unwrap_or(log::Level::Trace);
    // SAFETY: the plugin lends both texts for the duration of this call.
    let (target, message) = unsafe { (target.borrow(), message.borrow()) };
    (sink.write)(
        Source { plugin, handler },
        level,
        &String::from_utf8_lossy(target),
        &String::from_utf8_lossy(message),
    );
}
