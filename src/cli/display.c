/* display.c: chooses between JSON lines, plain lines and the live block, and owns the output's
 * lock. */
#include "cli/display.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/screen.h"
#include "core/log.h"

#define PLAIN_EVERY_US 10000000LL
#define FRAME_MS 250
#define MAX_TABLES_TOLD 1000 /* in one event; the others come with the next */

struct display {
    const cli_args *args;
    bool live; /* standard output is a terminal */
    pthread_mutex_t lock;
    pthread_t thread;
    sl_stop stop;
    const sl_run *run; /* NULL before and after; under lock */
    screen *screen;
    int64_t last_plain;
    uint64_t *told; /* what `tables` events said of each table of run, as a hash; under lock */
};

/* Events that a person wants a line for; others are JSON only. %s are the fields named, in order.
 */
static void describe(const char *event, const json_t *f, sl_buf *out)
{
    char a[32], b[32], c[32];
    const char *table = json_string_value(json_object_get(f, "table"));
    const char *text = NULL;
    if (strcmp(event, "table.copied") == 0) {
        sl_buf_printf(out, "copied %s: %s rows, %s in %s", table ? table : "?",
                      cli_count(json_integer_value(json_object_get(f, "rows")), a),
                      cli_bytes(json_integer_value(json_object_get(f, "bytes")), b),
                      cli_duration(json_number_value(json_object_get(f, "seconds")), c));
    } else if (strcmp(event, "retrying") == 0) {
        sl_buf_printf(out, "lost: %s; trying again in %s",
                      json_string_value(json_object_get(f, "error")),
                      cli_duration((double)json_integer_value(json_object_get(f, "wait_ms")) / 1000,
                                   a));
    } else if (strcmp(event, "stage") == 0) {
        sl_buf_printf(out, "stage: %s", json_string_value(json_object_get(f, "stage")));
    } else if ((text = json_string_value(json_object_get(f, "message")))) {
        sl_buf_printf(out, "%s", text);
    }
}

/* Under the lock. */
static void print_line(display *d, const char *text)
{
    if (d->screen)
        screen_erase(d->screen);
    char when[32];
    if (d->live)
        printf("%s\n", text);
    else
        printf("%s %s\n", sl_time_text(sl_now_us(), when), text);
    fflush(stdout);
}

static void plain_progress(display *d)
{
    SL_BUF(line);
    if (!d->run || sl_mono_us() - d->last_plain < PLAIN_EVERY_US)
        return;
    d->last_plain = sl_mono_us();
    screen_summary(d->run, &line);
    print_line(d, sl_buf_str(&line));
}

static void print_json(const char *event, const json_t *fields)
{
    char when[32];
    json_t *o = json_pack("{s:s, s:s}", "time", sl_time_text(sl_now_us(), when), "event", event);
    if (o && json_object_update(o, (json_t *)fields) == 0)
        json_dumpf(o, stdout, JSON_COMPACT);
    putchar('\n');
    fflush(stdout);
    json_decref(o);
}

/* A `tables` event with those that changed since the last one. Under the lock, which keeps run. */
static void print_tables(display *d)
{
    const sl_run *run = d->run;
    if (!run || !run->tables || !run->routes)
        return;
    SL_SCRATCH(tmp);
    json_t *changed = json_array();
    if (!d->told)
        d->told = sl_xcalloc(run->routes->n + 1, sizeof(*d->told));
    for (size_t i = 0; i < run->routes->n && json_array_size(changed) < MAX_TABLES_TOLD; i++) {
        const sl_table *t = &run->tables[i];
        const sl_route *r = &run->routes->items[i];
        int64_t now[] = { t->state,   t->rows,    t->bytes,   t->parts,    t->parts_done,
                          t->inserts, t->updates, t->deletes, t->conflicts };
        uint64_t hash = sl_hash64(now, sizeof(now), 1) | 1;
        if (d->told[i] == hash)
            continue;
        d->told[i] = hash;
        json_array_append_new(
            changed, json_pack("{s:o, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
                               "table", json_string(sl_route_label(r, &tmp)), "state",
                               sl_table_state_name((sl_table_state)now[0]), "rows",
                               (json_int_t)now[1], "bytes", (json_int_t)now[2], "parts",
                               (json_int_t)now[3], "parts_done", (json_int_t)now[4], "inserts",
                               (json_int_t)now[5], "updates", (json_int_t)now[6], "deletes",
                               (json_int_t)now[7], "conflicts", (json_int_t)now[8], "rows_total",
                               (json_int_t)r->reltuples, "bytes_total", (json_int_t)r->bytes));
    }
    json_t *fields = json_pack("{s:o}", "tables", changed);
    if (json_array_size(changed) > 0)
        print_json("tables", fields);
    json_decref(fields);
}

void display_event(void *self, const char *event, const json_t *fields)
{
    display *d = self;
    SL_BUF(text);
    pthread_mutex_lock(&d->lock);
    if (d->args->json) {
        print_json(event, fields);
        if (strcmp(event, "progress") == 0)
            print_tables(d);
    } else if (strcmp(event, "progress") == 0) {
        if (!d->live && !d->args->quiet)
            plain_progress(d);
    } else if (!d->args->quiet) {
        describe(event, fields, &text);
        bool stage = strcmp(event, "stage") == 0;
        if (text.len > 0 && !(stage && d->live))
            print_line(d, text.data);
        if (stage)
            d->last_plain = sl_mono_us() - PLAIN_EVERY_US / 2;
    }
    pthread_mutex_unlock(&d->lock);
}

void display_started(void *self, const sl_run *run)
{
    display *d = self;
    pthread_mutex_lock(&d->lock);
    if (!run && d->run && d->screen) /* the last state stays on the screen */
        screen_draw(d->screen, d->run);
    else if (!run && d->run && !d->args->json && !d->args->quiet) {
        d->last_plain = 0;
        plain_progress(d);
    }
    d->run = run;
    free(d->told);
    d->told = NULL;
    pthread_mutex_unlock(&d->lock);
}

void display_findings(void *self, const sl_findings *findings)
{
    display *d = self;
    pthread_mutex_lock(&d->lock);
    if (d->screen)
        screen_erase(d->screen);
    for (size_t i = 0; d->args->json && i < findings->n; i++) {
        json_t *finding = sl_finding_json(&findings->items[i]);
        print_json("finding", finding);
        json_decref(finding);
    }
    if (!d->args->json)
        cli_print_findings(findings, !d->args->verbose);
    fflush(stdout);
    pthread_mutex_unlock(&d->lock);
}

/* The log's lines, printed above the live block. */
static void log_line(void *self, const char *line, size_t n)
{
    display *d = self;
    pthread_mutex_lock(&d->lock);
    if (d->screen)
        screen_erase(d->screen);
    fflush(stdout);
    fwrite(line, 1, n, stderr);
    fflush(stderr);
    pthread_mutex_unlock(&d->lock);
}

static void *draw(void *arg)
{
    display *d = arg;
    while (sl_sleep_ms(FRAME_MS, &d->stop)) {
        pthread_mutex_lock(&d->lock);
        if (d->run)
            screen_draw(d->screen, d->run);
        pthread_mutex_unlock(&d->lock);
    }
    return NULL;
}

display *display_new(const cli_args *args, const char *task_name)
{
    display *d = sl_xcalloc(1, sizeof(*d));
    d->args = args;
    d->live = !args->json && !args->quiet && isatty(1) && getenv("TERM") &&
              strcmp(getenv("TERM"), "dumb") != 0;
    pthread_mutex_init(&d->lock, NULL);
    sl_log_options log = { .level = args->verbose ? SL_DEBUG : (args->quiet ? SL_WARN : SL_INFO),
                           .json = args->json,
                           .sink = log_line,
                           .sink_self = d };
    sl_log_setup(&log);
    if (d->live && sl_stop_init(&d->stop)) {
        d->screen = screen_new(task_name);
        if (pthread_create(&d->thread, NULL, draw, d) != 0) {
            screen_free(d->screen);
            d->screen = NULL;
        }
    }
    return d;
}

void display_free(display *d)
{
    if (d->screen) {
        sl_stop_request(&d->stop, SL_STOP_DONE);
        pthread_join(d->thread, NULL);
        screen_free(d->screen);
        sl_stop_free(&d->stop);
    }
    sl_log_setup(&(sl_log_options){ .level = SL_INFO, .json = d->args->json });
    pthread_mutex_destroy(&d->lock);
    free(d->told);
    free(d);
}
