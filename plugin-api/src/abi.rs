//! The ABI: what crosses the border between host and plugin, version 1.
//!
//! The exported symbol that `HANDLER_FUNCTION` names is a [`HandlerV1`]: one structure, plain C. A plugin in C
//! fills in the same structure, which `include/plugin_host.h` declares for it. V1 is frozen once released; additions form
//! a V2 beside it, and the manifest names what a plugin offers.
//!
//! Rules that hold for every function here:
//! - **Direction.** The host calls the functions of [`HandlerV1`]; the plugin calls only [`HostV1::log`].
//! - **Ownership.** [`Bytes`] lends. What a caller passes in is the caller's and stays valid until the function
//!   returns. What a plugin lends in a reply is the plugin's. An output stays valid until the next `call` on that
//!   instance, an env until the next `save_env`, the text of a failure until the next call of any function on it;
//!   none of them longer than the instance.
//! - **Threads.** `open`, every call and `close` of one instance happen on one thread, one after another.
//!   Different instances, of the same handler too, may run on different threads at the same time.
//! - **Unwinding.** No panic and no exception may cross the border, in either direction.

#![allow(unsafe_code, reason = "the border is made of raw pointers; each block argues why it holds")]

use std::ffi::c_void;

use abi_stable::StableAbi;

mod callee;
mod caller;
mod manifest;

pub use callee::{Answer, Callee, callee_v1, handler_v1};
pub use caller::{About, Call, Failure, FailureKind, Handler, Incompatible, Instance, LogSink, Source};
pub use manifest::{Manifest, SECTION, join, length, refuse_taken_name};

/// The version of the ABI that this crate speaks.
pub const ABI_VERSION: u32 = 1;

/// Bytes that someone else owns; see the module's rule of ownership.
#[repr(C)]
#[derive(Clone, Copy, StableAbi)]
pub struct Bytes {
    /// The first byte; null only where a field's documentation says what that means.
    pub data: *const u8,
    /// How many bytes.
    pub length: usize,
}

/// How a call ended: zero is success, everything else a failure whose text is in the reply.
pub type Code = u32;

/// The call succeeded.
pub const OK: Code = 0;
/// The handler's types can't read the input.
pub const BAD_INPUT: Code = 1;
/// The handler returned an error.
pub const FAILED: Code = 2;
/// The handler panicked.
pub const PANICKED: Code = 3;
/// The output can't be written.
pub const BAD_OUTPUT: Code = 4;
/// The env can't be read or written.
pub const BAD_ENV: Code = 5;

/// What the host offers to a plugin. Owned by the host, valid for the rest of the process, usable from any thread.
#[repr(C)]
#[derive(StableAbi)]
pub struct HostV1 {
    /// The size of this structure in bytes, as the host knows it.
    pub size: usize,
    /// The most verbose level that the host wants: 0 off, 1 error, 2 warn, 3 info, 4 debug, 5 trace.
    pub log_level: u32,
    /// Passed back as the first argument of `log`.
    pub data: *const c_void,
    /// Takes a log record: data, level (1 to 5), target and message, both UTF-8. May be called on any thread.
    pub log: unsafe extern "C" fn(*const c_void, u32, Bytes, Bytes),
}

// SAFETY: `data` is only handed back to `log`, which `HostV1`'s contract allows from any thread.
unsafe impl Sync for HostV1 {}

/// What stays the same for an instance. Owned by the host, lent for the duration of `open`. Texts are UTF-8.
#[repr(C)]
#[derive(StableAbi)]
pub struct OpenV1 {
    /// What the host offers; null for none.
    pub host: *const HostV1,
    /// The store's host name.
    pub store_host: Bytes,
    /// The key that is read.
    pub input_key: Bytes,
    /// The key that is written.
    pub output_key: Bytes,
    /// The folder where the plugin's other files lie.
    pub plugin_dir: Bytes,
    /// When the plugin's original file was changed, in seconds since 1970.
    pub function_getmtime: f64,
    /// The store's port.
    pub store_port: u16,
}

/// One event. Owned by the host, lent for the duration of `call`. Texts are UTF-8, the input is untouched bytes.
#[repr(C)]
#[derive(StableAbi)]
pub struct EventV1 {
    /// The input's bytes, exactly as they lie in the store.
    pub input: Bytes,
    /// The event's identity.
    pub event_id: Bytes,
    /// When the last call ended (ISO 8601); data is null before the first one.
    pub last_execution: Bytes,
    /// Which attempt this is, from 1.
    pub attempt: u32,
}

/// A handler with its env, made by `open`; only the plugin knows what is inside.
#[repr(C)]
#[derive(StableAbi)]
pub struct OpaqueV1 {
    _private: [u8; 0],
}

/// How a Rust plugin describes its structures to abi_stable.
#[repr(C)]
pub struct RustLayoutV1 {
    /// Which abi_stable wrote `layout`: read and compared first, since it alone has a layout that never changes.
    pub header: abi_stable::library::AbiHeader,
    /// The layout of the plugin's [`HandlerV1`].
    pub layout: &'static abi_stable::type_layout::TypeLayout,
}

/// A handler: what the symbol named by `HANDLER_FUNCTION` is. Static data of the plugin, never written.
#[repr(C)]
#[derive(StableAbi)]
pub struct HandlerV1 {
    /// The size of this structure in bytes, as the plugin knows it.
    pub size: usize,
    /// A [`RustLayoutV1`]; null in a plugin that isn't Rust.
    pub rust_layout: *const c_void,
    /// Makes an instance with a fresh env; null on failure, with the reason in the reply.
    pub open: unsafe extern "C" fn(*const OpenV1, *mut Bytes) -> *mut OpaqueV1,
    /// Handles one event; the reply is the output, or why it failed. Data that is null after a success means that
    /// nothing is to be written. After a failure the instance has no env: `load_env` has to come before the next `call`.
    pub call: unsafe extern "C" fn(*mut OpaqueV1, *const EventV1, *mut Bytes) -> Code,
    /// Gives the env as JSON in the reply, or why it can't.
    pub save_env: unsafe extern "C" fn(*mut OpaqueV1, *mut Bytes) -> Code,
    /// Replaces the env by one that was saved; no bytes mean a fresh one. The reply is empty, or why it failed.
    pub load_env: unsafe extern "C" fn(*mut OpaqueV1, Bytes, *mut Bytes) -> Code,
    /// Ends the instance; it must not be used afterwards.
    pub close: unsafe extern "C" fn(*mut OpaqueV1),
}

// SAFETY: a `HandlerV1` is never written after it was made, and `rust_layout` points to immutable static data.
unsafe impl Sync for HandlerV1 {}

impl Bytes {
    /// Nothing: a null pointer.
    pub const NONE: Bytes = Bytes { data: std::ptr::null(), length: 0 };

    /// Lends a slice.
    pub const fn lend(bytes: &[u8]) -> Bytes {
        Bytes { data: bytes.as_ptr(), length: bytes.len() }
    }

    /// The bytes; a null pointer gives an empty slice.
    ///
    /// # Safety
    ///
    /// The lender keeps the bytes valid and unchanged for `'a`.
    pub unsafe fn borrow<'a>(self) -> &'a [u8] {
        if self.data.is_null() {
            return &[];
        }
        // SAFETY: not null, and the caller vouches for the lender.
        unsafe { std::slice::from_raw_parts(self.data, self.length) }
    }

    /// The bytes as text; a null pointer gives an empty one.
    ///
    /// # Safety
    ///
    /// As for [`borrow`](Self::borrow), and the bytes are UTF-8.
    pub unsafe fn borrow_text<'a>(self) -> &'a str {
        // SAFETY: the caller vouches for both.
        unsafe { std::str::from_utf8_unchecked(self.borrow()) }
    }
}
