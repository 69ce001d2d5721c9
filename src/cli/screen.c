/* screen.c: draws with plain ANSI sequences: up, clear to the end, print. Lines are cut at the
 * terminal's width, so that the number of lines to go up is known. */
#include "cli/screen.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/cli.h"

#define MAX_TABLES 6
#define BAR_WIDTH 24
#define RATE_SAMPLES 20

struct screen {
    char name[80];
    int lines; /* drawn */
    int64_t started;
    struct sample {
        int64_t at, rows, bytes;
    } samples[RATE_SAMPLES]; /* a ring: rates are over its length, some five seconds */
    unsigned n_samples;
    int last_stage;
};

screen *screen_new(const char *task_name)
{
    screen *s = sl_xcalloc(1, sizeof(*s));
    snprintf(s->name, sizeof(s->name), "%s", task_name ? task_name : "task");
    s->started = sl_mono_us();
    return s;
}

void screen_free(screen *s)
{
    free(s);
}

void screen_erase(screen *s)
{
    if (s->lines > 0)
        printf("\033[%dA\r\033[J", s->lines);
    s->lines = 0;
    fflush(stdout);
}

static int width(void)
{
    struct winsize ws;
    return ioctl(1, TIOCGWINSZ, &ws) == 0 && ws.ws_col > 20 ? ws.ws_col : 100;
}

/* Prints text's lines, each cut to the width (counted in characters, not bytes; escape sequences
 * count nothing). */
static void put_cut(screen *s, const char *text)
{
    int room = width() - 1, used = 0;
    bool escape = false;
    for (const char *p = text; *p; p++) {
        if (*p == '\033')
            escape = true;
        if (*p == '\n') {
            used = 0;
            s->lines++;
            putchar('\n');
            continue;
        }
        bool starts = ((unsigned char)*p & 0xC0) != 0x80;
        if (!escape && starts)
            used++;
        if (escape || used <= room)
            putchar(*p);
        if (escape && *p == 'm')
            escape = false;
    }
}

static void bar(sl_buf *out, double part)
{
    if (part < 0)
        part = 0;
    if (part > 1)
        part = 1;
    int full = (int)(part * BAR_WIDTH + 0.5);
    sl_buf_puts(out, "\033[36m");
    for (int i = 0; i < BAR_WIDTH; i++)
        sl_buf_puts(out, i < full ? "━" : "\033[2m─");
    sl_buf_printf(out, "\033[0m %3.0f %%", part * 100);
}

static void sample(screen *s, const sl_progress *p)
{
    if (s->last_stage != p->stage) {
        s->n_samples = 0;
        s->last_stage = p->stage;
    }
    bool stream = p->stage == SL_AT_STREAM;
    s->samples[s->n_samples++ % RATE_SAMPLES] = (struct sample){
        .at = sl_mono_us(),
        .rows = stream ? p->inserts + p->updates + p->deletes : p->rows_copied,
        .bytes = p->bytes_copied,
    };
}

static void rates(const screen *s, double *rows, double *bytes)
{
    *rows = *bytes = 0;
    if (s->n_samples < 2)
        return;
    const struct sample *last = &s->samples[(s->n_samples - 1) % RATE_SAMPLES];
    const struct sample *first =
        &s->samples[s->n_samples > RATE_SAMPLES ? s->n_samples % RATE_SAMPLES : 0];
    double seconds = (double)(last->at - first->at) / 1e6;
    if (seconds > 0) {
        *rows = (double)(last->rows - first->rows) / seconds;
        *bytes = (double)(last->bytes - first->bytes) / seconds;
    }
}

static void draw_table(const sl_table *t, sl_buf *out)
{
    SL_SCRATCH(tmp);
    char rows[32], bytes[32];
    double estimate = t->route->reltuples;
    sl_buf_printf(out, "  %-40s ", sl_route_label(t->route, &tmp));
    if (t->state == SL_TABLE_COPYING) {
        bar(out, estimate > 0 ? (double)t->rows / estimate : 0);
        sl_buf_printf(out, "  %s rows, %s", cli_count(t->rows, rows), cli_bytes(t->bytes, bytes));
        if (t->parts > 1)
            sl_buf_printf(out, ", part %d of %d", t->parts_done, t->parts);
    } else {
        sl_buf_printf(out, "%s rows in; building indexes", cli_count(t->rows, rows));
    }
    sl_buf_putc(out, '\n');
}

static void draw_copy(screen *s, const sl_run *run, sl_buf *out)
{
    const sl_progress *p = &run->progress;
    char a[32], b[32], c[32], d[32];
    double rows, bytes;
    rates(s, &rows, &bytes);
    double part = p->rows_total > 0 ? (double)p->rows_copied / (double)p->rows_total : 0;
    sl_buf_puts(out, "  rows     ");
    bar(out, part);
    sl_buf_printf(out, "  %s of about %s   %s   %s/s", cli_count(p->rows_copied, a),
                  cli_count(p->rows_total, b), cli_bytes(p->bytes_copied, c),
                  cli_bytes((int64_t)bytes, d));
    if (rows > 0 && p->rows_total > p->rows_copied)
        sl_buf_printf(out, "   %s left",
                      cli_duration((double)(p->rows_total - p->rows_copied) / rows, a));
    sl_buf_printf(out, "\n  tables   %lld of %lld copied", (long long)p->tables_copied,
                  (long long)p->tables_total);
    if (p->indexes_total > 0)
        sl_buf_printf(out, ", %lld of %lld indexes built", (long long)p->indexes_done,
                      (long long)p->indexes_total);
    sl_buf_putc(out, '\n');
    int shown = 0;
    for (size_t i = 0; run->tables && i < run->routes->n && shown < MAX_TABLES; i++) {
        const sl_table *t = &run->tables[i];
        if (t->route && t->route->relkind == 'r' &&
            (t->state == SL_TABLE_COPYING ||
             (t->state == SL_TABLE_INDEXING && p->stage == SL_AT_COPY && t->rows > 100000))) {
            draw_table(t, out);
            shown++;
        }
    }
}

static void draw_stream(screen *s, const sl_run *run, sl_buf *out)
{
    const sl_progress *p = &run->progress;
    char a[32], b[32], c[32], d[32], applied[24];
    double rows, bytes, lag = sl_progress_lag_seconds(p);
    rates(s, &rows, &bytes);
    sl_buf_printf(out, "  lag      %s%s\033[0m, %s behind   %s rows/s   applied to %s",
                  lag < 5 ? "\033[32m" : "\033[33m", cli_duration(lag, a),
                  cli_bytes(sl_progress_lag_bytes(p), b), cli_count((int64_t)rows, c),
                  sl_lsn_text(p->applied_lsn, applied));
    if (p->wal_held_bytes >= 0)
        sl_buf_printf(out, "   WAL held %s", cli_bytes(p->wal_held_bytes, d));
    sl_buf_printf(out, "\n  changes  %s transactions: ", cli_count(p->transactions, a));
    sl_buf_printf(out, "%s inserts, %s updates, %s deletes", cli_count(p->inserts, a),
                  cli_count(p->updates, b), cli_count(p->deletes, c));
    if (p->conflicts > 0)
        sl_buf_printf(out, ", \033[33m%s conflicts\033[0m", cli_count(p->conflicts, a));
    sl_buf_putc(out, '\n');
}

void screen_draw(screen *s, const sl_run *run)
{
    const sl_progress *p = &run->progress;
    char a[32];
    SL_BUF(out);
    sample(s, p);
    sl_buf_printf(&out, "\033[1m%s\033[0m  %s  %s\n", s->name, sl_stage_name(p->stage),
                  cli_duration((double)(sl_mono_us() - s->started) / 1e6, a));
    if (p->stage == SL_AT_SCHEMA && p->objects_total > 0) {
        sl_buf_puts(&out, "  objects  ");
        bar(&out, (double)p->objects_done / (double)p->objects_total);
        sl_buf_printf(&out, "  %lld of %lld\n", (long long)p->objects_done,
                      (long long)p->objects_total);
    } else if (p->stage == SL_AT_STREAM || (p->stage == SL_AT_DONE && p->transactions > 0)) {
        draw_stream(s, run, &out);
    } else if (p->stage == SL_AT_COPY || p->stage == SL_AT_FINISH ||
               (p->stage == SL_AT_DONE && p->rows_copied > 0)) {
        draw_copy(s, run, &out);
    } else if (p->stage == SL_AT_RETRYING) {
        sl_buf_printf(&out, "  giving up in %s\n",
                      cli_duration((double)(p->retry_until_us - sl_now_us()) / 1e6, a));
    }
    if (s->lines > 0)
        printf("\033[%dA\r\033[J", s->lines);
    s->lines = 0;
    put_cut(s, sl_buf_str(&out));
    fflush(stdout);
}

void screen_summary(const sl_run *run, sl_buf *line)
{
    const sl_progress *p = &run->progress;
    char a[32], b[32], c[32], lsn[24];
    if (p->stage == SL_AT_COPY || p->stage == SL_AT_FINISH)
        sl_buf_printf(line,
                      "%s: %lld of %lld tables, %s of about %s rows, %s; %lld of %lld indexes",
                      sl_stage_name(p->stage), (long long)p->tables_copied,
                      (long long)p->tables_total, cli_count(p->rows_copied, a),
                      cli_count(p->rows_total, b), cli_bytes(p->bytes_copied, c),
                      (long long)p->indexes_done, (long long)p->indexes_total);
    else if (p->stage == SL_AT_STREAM || (p->stage == SL_AT_DONE && p->applied_lsn > 0))
        sl_buf_printf(line, "%s: lag %s, %s; %s changes applied, to %s", sl_stage_name(p->stage),
                      cli_duration(sl_progress_lag_seconds(p), a),
                      cli_bytes(sl_progress_lag_bytes(p), b),
                      cli_count(p->inserts + p->updates + p->deletes, c),
                      sl_lsn_text(p->applied_lsn, lsn));
    else if (p->stage == SL_AT_SCHEMA)
        sl_buf_printf(line, "schema: %lld of %lld objects", (long long)p->objects_done,
                      (long long)p->objects_total);
    else
        sl_buf_printf(line, "%s", sl_stage_name(p->stage));
}
