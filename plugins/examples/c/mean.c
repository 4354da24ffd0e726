/*
 * The mean of all numbers so far: a plugin in C. The input is a JSON number, so is the output; the env is [count,mean].
 *
 *     cc -shared -fPIC -O2 -I plugin-api/include -o libmean.so plugins/examples/c/mean.c
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugin_host.h"

#ifndef VERSION
#define VERSION "0.1.0"
#endif

/* Room for two numbers and what stands between them. */
enum { TEXT_MAX = 80, NUMBER_MAX = 400 };

struct plugin_host_instance {
    const plugin_host_v1 *host;
    double count;
    double mean;
    /* What call and save_env lend: one each, since an output outlives the env that is saved after it. */
    char output[TEXT_MAX];
    char env[TEXT_MAX];
};

static plugin_host_bytes text(const char *text) {
    plugin_host_bytes bytes = {(const uint8_t *)text, strlen(text)};
    return bytes;
}

static plugin_host_code fail(plugin_host_code code, const char *why, plugin_host_bytes *reply) {
    *reply = text(why);
    return code;
}

/* Bytes that are being read from the front. */
struct reader {
    const uint8_t *at;
    const uint8_t *end;
};

static int next_is(const struct reader *reader, const char *any) {
    return reader->at < reader->end && *reader->at != 0 && strchr(any, *reader->at) != NULL;
}

static void pass_blanks(struct reader *reader) {
    while (next_is(reader, " \t\r\n")) reader->at++;
}

static int pass_mark(struct reader *reader, const char *mark) {
    pass_blanks(reader);
    return next_is(reader, mark) && reader->at++;
}

static int pass_digits(struct reader *reader) {
    const uint8_t *from = reader->at;
    while (next_is(reader, "0123456789")) reader->at++;
    return reader->at > from;
}

/* Reads a number as JSON writes it (RFC 8259, section 6): strtod alone would take "inf", "0x1" and "+1" as well. */
static int pass_number(struct reader *reader, double *number) {
    char digits[NUMBER_MAX + 1];
    size_t length;
    pass_blanks(reader);
    const uint8_t *from = reader->at;
    if (next_is(reader, "-")) reader->at++;
    if (next_is(reader, "0")) {
        reader->at++;
    } else if (!pass_digits(reader)) {
        return 0;
    }
    if (next_is(reader, ".")) {
        reader->at++;
        if (!pass_digits(reader)) return 0;
    }
    if (next_is(reader, "eE")) {
        reader->at++;
        if (next_is(reader, "+-")) reader->at++;
        if (!pass_digits(reader)) return 0;
    }
    length = (size_t)(reader->at - from);
    if (length > NUMBER_MAX) return 0;
    memcpy(digits, from, length);
    digits[length] = 0;
    *number = strtod(digits, NULL);
    return isfinite(*number);
}

static int at_the_end(struct reader *reader) {
    pass_blanks(reader);
    return reader->at == reader->end;
}

static struct reader reader_of(plugin_host_bytes bytes) {
    struct reader reader = {bytes.data, bytes.data};
    if (bytes.length > 0) reader.end += bytes.length;
    return reader;
}

static plugin_host_instance *open_mean(const plugin_host_open_v1 *about, plugin_host_bytes *reply) {
    plugin_host_instance *instance = calloc(1, sizeof *instance);
    if (instance == NULL) {
        *reply = text("there is no memory for it");
        return NULL;
    }
    instance->host = about->host;
    return instance;
}

static plugin_host_code call_mean(plugin_host_instance *instance, const plugin_host_event_v1 *event,
                                  plugin_host_bytes *reply) {
    struct reader reader = reader_of(event->input);
    double number;
    if (!pass_number(&reader, &number) || !at_the_end(&reader)) {
        return fail(PLUGIN_HOST_BAD_INPUT, "it is not a JSON number", reply);
    }
    /* Changed before it is known whether the call succeeds: after a failure the host brings the old env back. */
    instance->count += 1;
    instance->mean += (number - instance->mean) / instance->count;
    if (!isfinite(instance->mean)) {
        return fail(PLUGIN_HOST_FAILED, "the numbers lie too far apart for a mean", reply);
    }
    snprintf(instance->output, sizeof instance->output, "%.17g", instance->mean);
    *reply = text(instance->output);
    return PLUGIN_HOST_OK;
}

static plugin_host_code save_mean(plugin_host_instance *instance, plugin_host_bytes *reply) {
    /* 17 digits give a double back bit for bit. */
    snprintf(instance->env, sizeof instance->env, "[%.17g,%.17g]", instance->count, instance->mean);
    *reply = text(instance->env);
    return PLUGIN_HOST_OK;
}

static plugin_host_code load_mean(plugin_host_instance *instance, plugin_host_bytes env, plugin_host_bytes *reply) {
    struct reader reader = reader_of(env);
    double count = 0, mean = 0;
    if (env.length > 0 &&
        !(pass_mark(&reader, "[") && pass_number(&reader, &count) && pass_mark(&reader, ",") &&
          pass_number(&reader, &mean) && pass_mark(&reader, "]") && at_the_end(&reader) && count >= 0)) {
        return fail(PLUGIN_HOST_BAD_ENV, "it is not [count,mean]", reply);
    }
    instance->count = count;
    instance->mean = mean;
    if (instance->host != NULL && instance->host->log_level >= 4) {
        char message[TEXT_MAX];
        snprintf(message, sizeof message, "goes on after %.17g numbers", count);
        instance->host->log(instance->host->data, 4, text("mean"), text(message));
    }
    return PLUGIN_HOST_OK;
}

static void close_mean(plugin_host_instance *instance) {
    free(instance);
}

PLUGIN_HOST_MANIFEST("mean", VERSION, "[\"handler\"]");

PLUGIN_HOST_HANDLER handler = {
    sizeof(plugin_host_handler_v1), NULL, open_mean, call_mean, save_mean, load_mean, close_mean,
};
