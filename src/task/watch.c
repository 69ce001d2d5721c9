/* watch.c: progress events, once a second, or every ten seconds while nothing changes; the
 * sequences, every minute in which changes came, every hour, and at the end.
 *
 * A sequence's advance is in no row event, so its value is read from the source and set in the
 * destination. It may run a little behind while the stream runs; after a clean stop or a catch-up
 * it is exact for what had happened on the source by then. */
#include <pthread.h>
#include <stdlib.h>

#include "core/log.h"
#include "task/internal.h"

#define SEQUENCES_EVERY_US 60000000LL
#define SEQUENCES_QUIET_US 3600000000LL
#define QUIET_AFTER_US 5000000LL
#define QUIET_EVERY_MS 10000

struct sl_task_watch {
    worker *w;
    pthread_t thread;
    sl_stop stop;
    uint64_t sent; /* what the last progress event said */
    int64_t changed_us;
    int64_t sequences_us, sequences_at; /* when they were in step, after how many transactions */
};

static void sync_sequences(worker *w)
{
    sl_run *run = &w->run;
    SL_PG(source);
    SL_PG(destination);
    sl_error err = SL_ERROR_INIT;
    pthread_mutex_lock(&w->routes_lock);
    if (run->progress.stage == SL_AT_STREAM && run->routes &&
        sl_run_connect(run, SL_SOURCE, "sequence reader", SL_CONNECT_WHILE_STOPPING, &source,
                       &err) == SL_OK &&
        sl_run_connect(run, SL_DESTINATION, "sequence writer", SL_CONNECT_WHILE_STOPPING,
                       &destination, &err) == SL_OK &&
        sl_state_check_epoch(run, destination, &err) == SL_OK)
        sl_schema_sync_sequences(run, source, destination, &err);
    pthread_mutex_unlock(&w->routes_lock);
    if (err.code != SL_OK && err.code != SL_CANCELLED)
        sl_log_error(&err, "sequences could not be brought in step");
}

/* NULL while it is not known. */
static const char *lsn_or_null(sl_lsn lsn, char *buf)
{
    return lsn ? sl_lsn_text(lsn, buf) : NULL;
}

static void send_progress(sl_run *run)
{
    const sl_progress *p = &run->progress;
    char source[24], received[24], applied[24], acked[24];
    sl_lsn seen = p->received_lsn > p->applied_lsn ? p->received_lsn : p->applied_lsn;
    sl_event(run, "progress",
             "{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I,"
             " s:f, s:s?, s:s?, s:s?, s:s?, s:o*}",
             "stage", sl_stage_name(p->stage), "tables", (json_int_t)p->tables_total,
             "tables_copied", (json_int_t)p->tables_copied, "rows_total", (json_int_t)p->rows_total,
             "rows_copied", (json_int_t)p->rows_copied, "bytes_copied", (json_int_t)p->bytes_copied,
             "indexes", (json_int_t)p->indexes_total, "indexes_done", (json_int_t)p->indexes_done,
             "transactions", (json_int_t)p->transactions, "inserts", (json_int_t)p->inserts,
             "updates", (json_int_t)p->updates, "deletes", (json_int_t)p->deletes, "truncates",
             (json_int_t)p->truncates, "conflicts", (json_int_t)p->conflicts, "wal_held_bytes",
             (json_int_t)p->wal_held_bytes, "lag_bytes", (json_int_t)sl_progress_lag_bytes(p),
             "lag_seconds", sl_progress_lag_seconds(p), "source_lsn",
             lsn_or_null(p->source_lsn, source), "received_lsn", lsn_or_null(seen, received),
             "applied_lsn", lsn_or_null(p->applied_lsn, applied), "acked_lsn",
             lsn_or_null(p->acked_lsn, acked), "metered", sl_state_metered(run));
}

/* A mark of what changes when something happens; lag in bytes and the WAL held move by themselves.
 */
static uint64_t mark_of(const sl_progress *p)
{
    int64_t values[] = { p->stage,        p->tables_copied, p->rows_copied, p->bytes_copied,
                         p->indexes_done, p->transactions,  p->inserts,     p->updates,
                         p->deletes,      p->truncates,     p->conflicts,   p->objects_done,
                         p->metered_rows };
    return sl_hash64(values, sizeof(values), 0);
}

/* Looks and tells; true while it is worth doing that every second. */
static bool send_news(sl_task_watch *m)
{
    const sl_progress *p = &m->w->run.progress;
    uint64_t mark = mark_of(p);
    int64_t now = sl_mono_us();
    if (mark != m->sent || p->oldest_pending_us != 0)
        m->changed_us = now;
    m->sent = mark;
    send_progress(&m->w->run);
    return now - m->changed_us < QUIET_AFTER_US || p->stage != SL_AT_STREAM;
}

static bool sequences_due(const sl_task_watch *m)
{
    const sl_progress *p = &m->w->run.progress;
    int64_t since = sl_mono_us() - m->sequences_us;
    return since >= SEQUENCES_QUIET_US ||
           (since >= SEQUENCES_EVERY_US && p->transactions != m->sequences_at);
}

static void note_sequences(sl_task_watch *m)
{
    m->sequences_us = sl_mono_us();
    m->sequences_at = m->w->run.progress.transactions;
}

/* False at the stop. */
static bool wait_for_change(sl_task_watch *m)
{
    sl_pulse_wait(&m->w->run.pulse, QUIET_EVERY_MS, &m->stop.requested);
    return !sl_stopping(&m->stop);
}

static void *watch(void *arg)
{
    sl_task_watch *m = arg;
    sl_run *run = &m->w->run;
    note_sequences(m);
    for (bool busy = true; !sl_stopping(&m->stop);) {
        if (busy ? !sl_sleep_ms(1000, &m->stop) : !wait_for_change(m))
            break;
        busy = send_news(m);
        bool streaming = run->progress.stage == SL_AT_STREAM;
        if (streaming && sequences_due(m))
            sync_sequences(m->w);
        else if (streaming)
            continue;
        note_sequences(m);
    }
    /* The stream has ended cleanly or not; a fenced or unreachable task is told by the log only. */
    if (run->progress.stage == SL_AT_STREAM)
        sync_sequences(m->w);
    send_progress(run);
    return NULL;
}

sl_task_watch *sl_task_watch_start(worker *w)
{
    sl_task_watch *m = sl_xcalloc(1, sizeof(*m));
    m->w = w;
    if (!sl_stop_init(&m->stop) || pthread_create(&m->thread, NULL, watch, m) != 0) {
        sl_stop_free(&m->stop);
        free(m);
        sl_warn("no thread for progress events: there will be none");
        return NULL;
    }
    return m;
}

void sl_task_watch_stop(sl_task_watch *m)
{
    if (!m)
        return;
    sl_stop_request(&m->stop, SL_STOP_DONE);
    sl_pulse_beat(&m->w->run.pulse);
    pthread_join(m->thread, NULL);
    sl_stop_free(&m->stop);
    free(m);
}
