/*
 * The border between plugin-host and a plugin that isn't written in Rust: ABI version 1, for C, C++ and whatever else
 * reads a C header. A plugin is a shared library that holds a manifest (PLUGIN_HOST_MANIFEST) and, under the name of each
 * handler, one struct plugin_host_handler_v1 (PLUGIN_HOST_HANDLER). plugins/examples/c is a whole one.
 *
 * Direction. The host calls the functions of plugin_host_handler_v1; a plugin calls plugin_host_v1's log and nothing else.
 *
 * Ownership. plugin_host_bytes lends. What the host passes in is the host's, and valid until the function returns: copy
 * what is to be kept. What a plugin puts into a reply is the plugin's, and the host copies what it keeps; it has to stay
 * valid and unchanged
 *   - an output: until the next call on that instance,
 *   - an env: until the next save_env on that instance,
 *   - the text of a failure: until the next function on that instance; that of a failed open for ever (a literal),
 * and none of them longer than the instance. Neither side frees what is the other's.
 *
 * Threads. open, everything after it, and close of one instance happen on one thread, one after another. Different
 * instances, of the same handler too, may be used on different threads at the same time.
 *
 * Unwinding. No exception, longjmp or panic may cross the border, in either direction.
 */
#ifndef PLUGIN_HOST_H
#define PLUGIN_HOST_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The version of the ABI. The manifest names it, and a host that doesn't speak it refuses the library before any of its
 * code runs; `size`, the first field of the structures, says the same again at the border. V1 never changes. */
#define PLUGIN_HOST_ABI 1

/* Bytes that someone else owns. data may be null where length is 0. Texts are UTF-8, without a zero at the end. */
typedef struct plugin_host_bytes {
    const uint8_t *data;
    size_t length;
} plugin_host_bytes;

/* How a function ended. Every code but OK is a failure, whose text (UTF-8, one line) is in the reply. */
typedef uint32_t plugin_host_code;
#define PLUGIN_HOST_OK 0u
#define PLUGIN_HOST_BAD_INPUT 1u  /* the input can't be read; it won't be called again with that input */
#define PLUGIN_HOST_FAILED 2u     /* the handler found an error */
#define PLUGIN_HOST_PANICKED 3u   /* the handler is broken */
#define PLUGIN_HOST_BAD_OUTPUT 4u /* the output can't be written */
#define PLUGIN_HOST_BAD_ENV 5u    /* the env can't be read or written */

/* What the host offers. The host's; valid for the rest of the process. */
typedef struct plugin_host_v1 {
    /* The size of this structure in bytes, as the host knows it. */
    size_t size;
    /* The most verbose level that the host wants: 0 off, 1 error, 2 warn, 3 info, 4 debug, 5 trace. */
    uint32_t log_level;
    /* The host's; to be passed to log as it is. */
    const void *data;
    /* Plugin to host, on any thread: takes a record. level is 1 to 5; target says where it comes from (a module's name, may
     * be empty). Both texts are the plugin's and are needed only until it returns. */
    void (*log)(const void *data, uint32_t level, plugin_host_bytes target, plugin_host_bytes message);
} plugin_host_v1;

/* What stays the same for an instance. The host's; valid until open returns, but for what host leads to. */
typedef struct plugin_host_open_v1 {
    /* Null where there is no host, in a unit test for example. */
    const plugin_host_v1 *host;
    plugin_host_bytes store_host;
    plugin_host_bytes input_key;
    plugin_host_bytes output_key;
    /* The folder where the plugin's other files lie. */
    plugin_host_bytes plugin_dir;
    /* When the plugin's original file was changed, in seconds since 1970. */
    double function_getmtime;
    uint16_t store_port;
} plugin_host_open_v1;

/* One event. The host's; valid until call returns. */
typedef struct plugin_host_event_v1 {
    /* The bytes as they lie in the store: any bytes, not necessarily JSON or UTF-8. */
    plugin_host_bytes input;
    plugin_host_bytes event_id;
    /* When the last call ended (ISO 8601, UTC); data is null before the first one. */
    plugin_host_bytes last_execution;
    /* Which attempt at this event this is, from 1. */
    uint32_t attempt;
} plugin_host_event_v1;

/* A handler with its env; what is inside is the plugin's business. The plugin's, from open to close. */
typedef struct plugin_host_instance plugin_host_instance;

/* A handler. The plugin's; static, never written, and no pointer in it but rust_layout is null. */
typedef struct plugin_host_handler_v1 {
    /* sizeof(plugin_host_handler_v1). */
    size_t size;
    /* Null: only Rust plugins describe their layout here. */
    const void *rust_layout;

    /* Host to plugin. Makes an instance with a fresh env. Null on failure, with the reason in the reply. */
    plugin_host_instance *(*open)(const plugin_host_open_v1 *about, plugin_host_bytes *reply);

    /* Host to plugin, on the instance's thread. Handles one event; the reply is the output, or data that is null where
     * nothing is to be written. A failure may leave the env in any state: the host calls load_env with the last one that was
     * saved before it calls again. */
    plugin_host_code (*call)(plugin_host_instance *instance, const plugin_host_event_v1 *event, plugin_host_bytes *reply);

    /* Host to plugin, on the instance's thread. The reply is the env as JSON, which the host keeps between calls, restarts
     * and versions of the plugin. */
    plugin_host_code (*save_env)(plugin_host_instance *instance, plugin_host_bytes *reply);

    /* Host to plugin, on the instance's thread. Replaces the env by one that was saved, perhaps by another version of the
     * plugin; no bytes mean a fresh one. On failure the host doesn't call the handler, and what was saved stays. */
    plugin_host_code (*load_env)(plugin_host_instance *instance, plugin_host_bytes env, plugin_host_bytes *reply);

    /* Host to plugin, on the instance's thread. Ends the instance: nothing is done with it afterwards. */
    void (*close)(plugin_host_instance *instance);
} plugin_host_handler_v1;

#if defined(__GNUC__)
#if defined(__APPLE__)
#define PLUGIN_HOST_SECTION "__DATA,__plugin"
#else
#define PLUGIN_HOST_SECTION ".plugin_manifest"
#endif

/* The target triple, for people to read; -DPLUGIN_HOST_TARGET='"…"' names another. */
#ifndef PLUGIN_HOST_TARGET
#if defined(__x86_64__)
#define PLUGIN_HOST_ARCH "x86_64"
#elif defined(__aarch64__)
#define PLUGIN_HOST_ARCH "aarch64"
#else
#define PLUGIN_HOST_ARCH "unknown"
#endif
#if defined(__APPLE__)
#define PLUGIN_HOST_TARGET PLUGIN_HOST_ARCH "-apple-darwin"
#elif defined(__GLIBC__)
#define PLUGIN_HOST_TARGET PLUGIN_HOST_ARCH "-unknown-linux-gnu"
#else
#define PLUGIN_HOST_TARGET PLUGIN_HOST_ARCH "-unknown-linux-musl"
#endif
#endif

/* The manifest: once in a library, outside of functions. name and version are literals, handlers a literal that holds a
 * JSON list: PLUGIN_HOST_MANIFEST("mean", "0.1.0", "[\"handler\"]"); */
#define PLUGIN_HOST_MANIFEST(name, version, handlers)                                                                     \
    __attribute__((section(PLUGIN_HOST_SECTION), used)) static const char plugin_host_manifest[] =                        \
        "{\"abi\":1,\"name\":\"" name "\",\"version\":\"" version "\",\"target\":\"" PLUGIN_HOST_TARGET                   \
        "\",\"handlers\":" handlers "}"

/* What stands before a handler, whose name is the symbol that HANDLER_FUNCTION names: a name that no function of the C
 * library has. PLUGIN_HOST_HANDLER handler = {sizeof handler, NULL, open, call, save_env, load_env, close}; */
#ifdef __cplusplus
#define PLUGIN_HOST_HANDLER extern "C" __attribute__((visibility("default"))) const plugin_host_handler_v1
#else
#define PLUGIN_HOST_HANDLER __attribute__((visibility("default"))) const plugin_host_handler_v1
#endif
#endif

#ifdef __cplusplus
}
#endif

#endif
