/* run.c: attempts of a task until it is complete, stopped, failed, or out of retry time. */
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "stream/stream.h"
#include "task/follow.h"

static void close_sessions(worker *w)
{
    sl_pg_close(w->source);
    sl_pg_close(w->keeper);
    w->source = w->keeper = NULL;
}

/* `state` for people, in the destination; never a reason to fail. */
static void show_state(worker *w, const char *state, const char *reason)
{
    sl_error ignored = SL_ERROR_INIT;
    if (w->keeper && w->run.epoch > 0)
        sl_state_set_task(&w->run, w->keeper, state, reason, &ignored);
    sl_event(&w->run, "task.state", "{s:s, s:s*}", "state", state, "reason", reason);
}

static sl_rc report_findings(worker *w, sl_findings *findings, sl_error *err)
{
    const sl_finding *first = NULL;
    size_t failed = 0;
    for (size_t i = 0; i < findings->n; i++) {
        const sl_finding *f = &findings->items[i];
        if (f->result == SL_FINDING_FAILED && !f->ignored) {
            first = first ? first : f;
            failed++;
        }
    }
    if (w->options->findings)
        w->options->findings(w->options->self, findings);
    if (sl_findings_pass(findings))
        return SL_OK;
    sl_fail(err, SL_PRECHECK, "the precheck failed with %zu finding%s, first: %s%s%s: %s", failed,
            failed == 1 ? "" : "s", first->check, first->object[0] ? " " : "", first->object,
            first->cause ? first->cause : first->title);
    return sl_hint(err, "%s", first->remedy ? first->remedy : "See `pgsluice check`.");
}

/* The first attempt of a process checks; what cannot be reached then is a finding. */
static sl_rc precheck(worker *w, sl_side unreachable, const sl_error *why, sl_error *err)
{
    sl_findings findings = { 0 };
    sl_rc rc = SL_OK;
    sl_run_set_stage(&w->run, SL_AT_PRECHECK);
    if (why)
        sl_precheck_unreachable(unreachable, why, &findings);
    else
        rc = sl_precheck_run(&w->run, w->source, w->keeper, &findings, err);
    if (rc == SL_OK)
        rc = report_findings(w, &findings, err);
    sl_findings_free(&findings);
    w->checked = rc == SL_OK;
    return rc;
}

static sl_rc open_and_check(worker *w, sl_error *err)
{
    sl_error why = SL_ERROR_INIT;
    sl_rc rc = sl_task_open(&w->run, SL_NEED_SOURCE | SL_NEED_DESTINATION | SL_NEED_ROUTES,
                            &w->source, &w->keeper, &why);
    if (rc == SL_OK)
        return w->checked ? SL_OK : precheck(w, SL_SOURCE, NULL, err);
    bool connecting = !w->source || !w->keeper;
    if (!w->checked && connecting && rc != SL_CANCELLED)
        return precheck(w, w->source ? SL_DESTINATION : SL_SOURCE, &why, err);
    *err = why;
    return rc;
}

static bool is_finished(worker *w)
{
    SL_SCRATCH(tmp);
    sl_error ignored = SL_ERROR_INIT;
    char *state = NULL;
    sl_pg_value(w->keeper,
                sl_sql(&tmp, "SELECT state FROM %I.task_state WHERE task_id = %L",
                       w->run.spec->state_schema, w->run.id),
                &tmp, &state, &ignored);
    return state && strcmp(state, "finished") == 0;
}

static sl_rc stream(worker *w, sl_error *err)
{
    if (sl_state_let_go_requested(&w->run, w->keeper, err) != SL_OK ||
        sl_task_check_replaced(w, err) != SL_OK)
        return err->code;
    sl_run_set_stage(&w->run, SL_AT_STREAM);
    show_state(w, "synchronizing", NULL);
    sl_gate gate;
    sl_gate_init(&gate);
    w->run.gate = &gate;
    sl_pg_closep(&w->source); /* an idle task holds no session that it does not need */
    sl_resync *resync = sl_resync_start(&w->run, w->keeper);
    sl_follow follow = { .w = w, .resync = resync };
    w->run.look_self = &follow;
    w->run.look_around = sl_follow_look;
    sl_rc rc = sl_stream_run(&w->run, w->until, err);
    w->run.look_around = NULL;
    sl_resync_stop(resync);
    w->run.gate = NULL;
    sl_gate_free(&gate);
    return rc;
}

/* A takeover is meant once: a worker that was itself replaced between two attempts ends, else the
 * two would take the task from each other for ever. */
static sl_rc take(worker *w, sl_error *err)
{
    bool first = w->run.epoch == 0;
    if (!first && sl_state_check_epoch(&w->run, w->keeper, err) != SL_OK)
        return err->code;
    return sl_state_take(&w->run, w->keeper, first && w->options->takeover, err);
}

static sl_rc attempt(worker *w, sl_error *err)
{
    sl_run *run = &w->run;
    bool incremental = (run->spec->stages & SL_STAGE_INCREMENTAL) != 0;
    sl_rc rc = open_and_check(w, err);
    if (rc == SL_OK && w->options->until_caught_up && incremental && w->until == 0)
        rc = sl_stream_target(run, w->source, &w->until, err);
    run->progress.target_lsn = w->until;
    if (rc == SL_OK)
        rc = sl_state_create(run->spec->state_schema, w->keeper, err);
    if (rc == SL_OK)
        rc = take(w, err);
    if (rc == SL_OK) {
        sl_state_end_predecessors(run, w->source);
        sl_event(run, "worker.started", "{s:s, s:I}", "task", run->id, "epoch",
                 (json_int_t)run->epoch);
        rc = sl_state_load_tables(run, w->keeper, err);
    }
    if (rc == SL_OK && !incremental && is_finished(w)) {
        sl_info("task %s is finished: all stages of its specification are done", run->id);
        return SL_OK;
    }
    if (rc == SL_OK)
        rc = sl_task_initialize(w, err);
    if (rc == SL_OK && incremental)
        return stream(w, err);
    if (rc == SL_OK)
        show_state(w, "finished", NULL);
    return rc;
}

int64_t sl_task_backoff_ms(int n)
{
    return n >= 6 ? 30000 : 1000LL << (n - 1);
}

/* What an attempt can move; when it moved, the retry time starts anew. */
static uint64_t progress_mark(const sl_run *run)
{
    const sl_progress *p = &run->progress;
    return p->applied_lsn + (uint64_t)p->rows_copied + (uint64_t)p->objects_done +
           (uint64_t)p->tables_copied;
}

static int retry_minutes(const worker *w)
{
    int changed = w->options->limits ? w->options->limits->retry_minutes : 0;
    return changed > 0 ? changed : w->run.spec->retry_minutes;
}

/* Waits before the next attempt; SL_OK to go on. */
static sl_rc wait_to_retry(worker *w, int *attempts, uint64_t *mark, sl_error *err)
{
    sl_progress *p = &w->run.progress;
    char text[sizeof(sl_error)], since[32];
    uint64_t now_mark = progress_mark(&w->run);
    if (p->retry_since_us == 0 || now_mark != *mark) {
        p->retry_since_us = sl_now_us();
        *attempts = 0;
    }
    p->retry_until_us = p->retry_since_us + retry_minutes(w) * 60000000LL;
    *mark = now_mark;
    if (sl_now_us() >= p->retry_until_us) {
        sl_time_text(p->retry_since_us, since);
        return sl_while(err, "retrying since %s, longer than retry_minutes (%d) allows", since,
                        retry_minutes(w));
    }
    int64_t pause = sl_task_backoff_ms(++*attempts);
    sl_run_set_stage(&w->run, SL_AT_RETRYING);
    sl_event(&w->run, "retrying", "{s:s, s:i, s:I, s:I}", "error",
             sl_error_text(err, text, sizeof(text)), "attempt", *attempts, "wait_ms",
             (json_int_t)pause, "until_us", (json_int_t)p->retry_until_us);
    if (!sl_sleep_ms(pause, w->options->stop))
        return SL_CANCELLED;
    sl_error_clear(err);
    return SL_OK;
}

/* A display reads the tables through run: it is told before they go, and when there are new ones.
 */
static void forget_routes(worker *w)
{
    if (!w->run.routes_stale)
        return;
    if (w->options->started)
        w->options->started(w->options->self, NULL);
    sl_run_set_stage(&w->run, SL_AT_START);
    pthread_mutex_lock(&w->routes_lock);
    sl_task_close(&w->run);
    pthread_mutex_unlock(&w->routes_lock);
    w->run.routes_stale = false;
    if (w->options->started)
        w->options->started(w->options->self, &w->run);
}

/* No failure: the next attempt begins at once, with routes that have the new tables. */
static void begin_anew(worker *w, sl_error *err)
{
    w->run.new_tables = false;
    w->follows = true;
    w->run.routes_stale = true;
    sl_follow_note_known(&w->run);
    close_sessions(w);
    forget_routes(w);
    sl_error_clear(err);
}

static sl_rc attempts(worker *w, sl_error *err)
{
    int n = 0;
    uint64_t mark = 0;
    for (;;) {
        sl_rc rc = attempt(w, err);
        if (rc != SL_TRANSIENT)
            return rc;
        if (sl_stopping(w->options->stop))
            return SL_CANCELLED;
        if (w->run.new_tables) {
            begin_anew(w, err);
            continue;
        }
        show_state(w, "retrying", err->message);
        close_sessions(w);
        forget_routes(w);
        rc = wait_to_retry(w, &n, &mark, err);
        if (rc != SL_OK)
            return rc;
    }
}

/* Between two attempts there is no session, and the last word is still to be stored; unless another
 * worker has come. */
static void open_for_last_word(worker *w)
{
    sl_error ignored = SL_ERROR_INIT;
    if (w->keeper || w->run.epoch == 0)
        return;
    if (sl_run_connect(&w->run, SL_DESTINATION, "destination session", SL_CONNECT_WHILE_STOPPING,
                       &w->keeper, &ignored) == SL_OK &&
        sl_state_check_epoch(&w->run, w->keeper, &ignored) != SL_OK)
        sl_pg_closep(&w->keeper);
}

static void show_end(worker *w, sl_rc rc, const sl_error *err)
{
    if (rc != SL_FENCED && rc != SL_PRECHECK)
        open_for_last_word(w);
    if (rc == SL_CANCELLED || (rc == SL_OK && w->run.spec->stages & SL_STAGE_INCREMENTAL))
        show_state(w, "paused", rc == SL_OK ? "caught up" : "stopped");
    else if (rc != SL_OK && rc != SL_FENCED && rc != SL_PRECHECK)
        show_state(w, "failed", err->message);
    sl_run_set_stage(&w->run, SL_AT_DONE);
}

sl_rc sl_task_run(const sl_spec *spec, const sl_task_options *options, sl_error *err)
{
    worker *w = sl_xcalloc(1, sizeof(*w));
    w->options = options;
    pthread_mutex_init(&w->routes_lock, NULL);
    w->run.spec = spec;
    w->run.stop = options->stop;
    w->run.rate = options->limits ? &options->limits->rate : NULL;
    w->run.sink = options->sink;
    w->run.sink_self = options->sink_self;
    sl_run_set_stage(&w->run, SL_AT_START);
    if (options->started)
        options->started(options->self, &w->run);
    sl_task_watch *watch = sl_task_watch_start(w);
    sl_rc rc = attempts(w, err);
    sl_task_watch_stop(watch);
    show_end(w, rc, err);
    if (options->started)
        options->started(options->self, NULL);
    close_sessions(w);
    sl_task_close(&w->run);
    sl_map_free(w->run.left_out);
    sl_map_free(w->run.asked);
    sl_map_free(w->run.known);
    pthread_mutex_destroy(&w->routes_lock);
    free(w);
    return rc;
}
