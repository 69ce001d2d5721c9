/* watch.c: once a second a progress event; every minute, and at the end, the sequences.
 *
 * A sequence's advance is in no row event, so its value is read from the source and set in the
 * destination. It may run a little behind while the stream runs; after a clean stop or a catch-up
 * it is exact for what had happened on the source by then. */
#include <pthread.h>
#include <stdlib.h>

#include "core/log.h"
#include "task/internal.h"

#define SEQUENCES_EVERY_US 60000000LL

struct sl_task_watch {
    worker *w;
    pthread_t thread;
    sl_stop stop;
};

static void sync_sequences(sl_run *run)
{
    SL_PG(source);
    SL_PG(destination);
    sl_error err = SL_ERROR_INIT;
    if (sl_run_connect(run, SL_SOURCE, "sequence reader", SL_CONNECT_WHILE_STOPPING, &source,
                       &err) == SL_OK &&
        sl_run_connect(run, SL_DESTINATION, "sequence writer", SL_CONNECT_WHILE_STOPPING,
                       &destination, &err) == SL_OK &&
        sl_state_check_epoch(run, destination, &err) == SL_OK)
        sl_schema_sync_sequences(run, source, destination, &err);
    if (err.code != SL_OK && err.code != SL_CANCELLED)
        sl_log_error(&err, "sequences could not be brought in step");
}

static void send_progress(sl_run *run)
{
    const sl_progress *p = &run->progress;
    sl_event(run, "progress",
             "{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I,"
             " s:f}",
             "stage", sl_stage_name(p->stage), "tables", (json_int_t)p->tables_total,
             "tables_copied", (json_int_t)p->tables_copied, "rows_total", (json_int_t)p->rows_total,
             "rows_copied", (json_int_t)p->rows_copied, "bytes_copied", (json_int_t)p->bytes_copied,
             "indexes", (json_int_t)p->indexes_total, "indexes_done", (json_int_t)p->indexes_done,
             "transactions", (json_int_t)p->transactions, "inserts", (json_int_t)p->inserts,
             "updates", (json_int_t)p->updates, "deletes", (json_int_t)p->deletes, "truncates",
             (json_int_t)p->truncates, "conflicts", (json_int_t)p->conflicts, "wal_held_bytes",
             (json_int_t)p->wal_held_bytes, "lag_bytes", (json_int_t)sl_progress_lag_bytes(p),
             "lag_seconds", sl_progress_lag_seconds(p));
}

static void *watch(void *arg)
{
    sl_task_watch *m = arg;
    sl_run *run = &m->w->run;
    int64_t sequences = sl_mono_us();
    while (sl_sleep_ms(1000, &m->stop)) {
        send_progress(run);
        if (run->progress.stage != SL_AT_STREAM)
            sequences = sl_mono_us();
        else if (sl_mono_us() - sequences >= SEQUENCES_EVERY_US) {
            sync_sequences(run);
            sequences = sl_mono_us();
        }
    }
    /* The stream has ended cleanly or not; a fenced or unreachable task is told by the log only. */
    if (run->progress.stage == SL_AT_STREAM)
        sync_sequences(run);
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
    pthread_join(m->thread, NULL);
    sl_stop_free(&m->stop);
    free(m);
}
