/* What `pass` of src/lib.rs does, in C: counts its calls and gives back what it got. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugin_host.h"

struct plugin_host_instance {
    unsigned long long calls;
    uint8_t *output;
    size_t room;
    char env[24];
};

static plugin_host_bytes text(const char *text) {
    plugin_host_bytes bytes = {(const uint8_t *)text, strlen(text)};
    return bytes;
}

static plugin_host_instance *open_pass(const plugin_host_open_v1 *about, plugin_host_bytes *reply) {
    plugin_host_instance *instance = calloc(1, sizeof *instance);
    (void)about;
    if (instance == NULL) *reply = text("there is no memory for it");
    return instance;
}

static plugin_host_code call_pass(plugin_host_instance *instance, const plugin_host_event_v1 *event,
                                  plugin_host_bytes *reply) {
    size_t length = event->input.length;
    if (instance->output == NULL || length > instance->room) {
        uint8_t *output = realloc(instance->output, length + 1);
        if (output == NULL) {
            *reply = text("there is no memory for the output");
            return PLUGIN_HOST_FAILED;
        }
        instance->output = output;
        instance->room = length;
    }
    if (length > 0) memcpy(instance->output, event->input.data, length);
    instance->calls++;
    reply->data = instance->output;
    reply->length = length;
    return PLUGIN_HOST_OK;
}

static plugin_host_code save_pass(plugin_host_instance *instance, plugin_host_bytes *reply) {
    snprintf(instance->env, sizeof instance->env, "%llu", instance->calls);
    *reply = text(instance->env);
    return PLUGIN_HOST_OK;
}

static plugin_host_code load_pass(plugin_host_instance *instance, plugin_host_bytes env, plugin_host_bytes *reply) {
    char digits[24] = "0";
    if (env.length >= sizeof digits) {
        *reply = text("it is no number of calls");
        return PLUGIN_HOST_BAD_ENV;
    }
    if (env.length > 0) memcpy(digits, env.data, env.length);
    instance->calls = strtoull(digits, NULL, 10);
    return PLUGIN_HOST_OK;
}

static void close_pass(plugin_host_instance *instance) {
    free(instance->output);
    free(instance);
}

PLUGIN_HOST_MANIFEST("pass", "0.1.0", "[\"pass\"]");

PLUGIN_HOST_HANDLER pass = {
    sizeof(plugin_host_handler_v1), NULL, open_pass, call_pass, save_pass, load_pass, close_pass,
};
