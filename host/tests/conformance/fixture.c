/* Handlers of the fixture, in C: what `host/tests/conformance` asks of every language, beside the example's mean. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugin_host.h"

/* Room for what the context says. */
enum { TEXT_MAX = 8192 };

struct plugin_host_instance {
    const plugin_host_v1 *host;
    uint8_t *echoed;
    char about[TEXT_MAX];
    size_t about_length;
    char output[TEXT_MAX];
};

static plugin_host_bytes bytes(const void *data, size_t length) {
    plugin_host_bytes bytes = {data, length};
    return bytes;
}

static plugin_host_bytes text(const char *text) {
    return bytes(text, strlen(text));
}

/* The texts of these tests need no escapes. */
static int length(plugin_host_bytes bytes) {
    return (int)bytes.length;
}

static const char *chars(plugin_host_bytes bytes) {
    return bytes.data == NULL ? "" : (const char *)bytes.data;
}

static plugin_host_instance *open_any(const plugin_host_open_v1 *open, plugin_host_bytes *reply) {
    plugin_host_instance *instance = calloc(1, sizeof *instance);
    if (instance == NULL) {
        *reply = text("there is no memory for it");
        return NULL;
    }
    instance->host = open->host;
    /* What open lends is gone when it returns. */
    instance->about_length = (size_t)snprintf(
        instance->about, sizeof instance->about,
        "{\"host\":\"%.*s\",\"port\":%u,\"input_key\":\"%.*s\",\"output_key\":\"%.*s\",\"function_getmtime\":%.17g,"
        "\"plugin_dir\":\"%.*s\"",
        length(open->store_host), chars(open->store_host), (unsigned)open->store_port, length(open->input_key),
        chars(open->input_key), length(open->output_key), chars(open->output_key), open->function_getmtime,
        length(open->plugin_dir), chars(open->plugin_dir));
    return instance;
}

static plugin_host_code call_echo(plugin_host_instance *instance, const plugin_host_event_v1 *event,
                                  plugin_host_bytes *reply) {
    /* One byte more, so that an empty input has an address too. */
    uint8_t *echoed = realloc(instance->echoed, event->input.length + 1);
    if (echoed == NULL) {
        *reply = text("there is no memory for it");
        return PLUGIN_HOST_FAILED;
    }
    instance->echoed = echoed;
    if (event->input.length > 0) memcpy(echoed, event->input.data, event->input.length);
    *reply = bytes(echoed, event->input.length);
    return PLUGIN_HOST_OK;
}

static plugin_host_code call_about(plugin_host_instance *instance, const plugin_host_event_v1 *event,
                                   plugin_host_bytes *reply) {
    const char *quote = event->last_execution.data == NULL ? "" : "\"";
    plugin_host_bytes last = event->last_execution.data == NULL ? text("null") : event->last_execution;
    int written = snprintf(instance->output, sizeof instance->output,
                           "%.*s,\"event_id\":\"%.*s\",\"attempt\":%u,\"last_execution\":%s%.*s%s}",
                           (int)instance->about_length, instance->about, length(event->event_id),
                           chars(event->event_id), (unsigned)event->attempt, quote, length(last), chars(last), quote);
    *reply = bytes(instance->output, (size_t)written);
    return PLUGIN_HOST_OK;
}

static plugin_host_code call_told(plugin_host_instance *instance, const plugin_host_event_v1 *event,
                                  plugin_host_bytes *reply) {
    if (instance->host != NULL && instance->host->log_level >= 2) {
        instance->host->log(instance->host->data, 2, text("fixture"), event->input);
    }
    *reply = text("null");
    return PLUGIN_HOST_OK;
}

/* Gives nothing that is to be written. */
static plugin_host_code call_silent(plugin_host_instance *instance, const plugin_host_event_v1 *event,
                                    plugin_host_bytes *reply) {
    (void)instance;
    (void)event;
    *reply = bytes(NULL, 0);
    return PLUGIN_HOST_OK;
}

static plugin_host_code save_nothing(plugin_host_instance *instance, plugin_host_bytes *reply) {
    (void)instance;
    *reply = text("{}");
    return PLUGIN_HOST_OK;
}

static plugin_host_code load_nothing(plugin_host_instance *instance, plugin_host_bytes env, plugin_host_bytes *reply) {
    (void)instance;
    (void)env;
    (void)reply;
    return PLUGIN_HOST_OK;
}

static void close_any(plugin_host_instance *instance) {
    free(instance->echoed);
    free(instance);
}

PLUGIN_HOST_MANIFEST("fixture", "0.1.0", "[\"echo\",\"about\",\"told\",\"silent\"]");

#define HANDLER(name)                                                                                                  \
    PLUGIN_HOST_HANDLER name = {                                                                                       \
        sizeof(plugin_host_handler_v1), NULL, open_any, call_##name, save_nothing, load_nothing, close_any,            \
    }

HANDLER(echo);
HANDLER(about);
HANDLER(told);
HANDLER(silent);
