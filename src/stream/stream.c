/* stream.c: puts reader, applier and monitor together, and decides what may be acknowledged.
 *
 * The destination commits asynchronously. After a commit its WAL position is noted, and only when
 * its flush position has passed that, the source is told (`look_at_flush`, a few times a second, on
 * the control session; 9.4 and 9.5 do not tell that position: there a synchronous commit of ours
 * flushes what lies before it). When nothing is to do, the position of a keepalive is stored in the
 * checkpoint by a synchronous commit, which also flushes everything before it, and is acknowledged
 * then (`store_ack`).
 *
 * Invariants:
 *  1. acked_lsn in the destination is stored and flushed before the source hears of it: the data's
 *     own transactions set it, and store_ack does.
 *  2. A keepalive's position is stored only while nothing is taken, pending or open. */
#include "stream/stream.h"

#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "stream/afterwards.h"
#include "stream/apply.h"
#include "stream/conflicts.h"
#include "stream/monitor.h"
#include "stream/reader.h"
#include "stream/start.h"

#define TICK_US 200000        /* between two looks at the destination's flush position */
#define SLOW_FLUSH_US 2000000 /* then, with nothing to do, the flush is forced */
#define IDLE_ACK_US 10000000
#define TABLES_PER_TICK 100
#define CONFLICTS_EVERY_US 1000000
#define PATIENCE_MS 10000 /* with nothing to look at; news, gates and stops wake us */

typedef struct stream {
    sl_run *run;
    sl_lsn until;
    sl_start start;
    sl_pool *pool;
    sl_exchange *exchange;
    sl_applier *applier;
    sl_reader *reader;
    const sl_decoder *decoder;
    bool text;   /* values must come as text, whatever the routes say */
    bool binary; /* values come in binary */
    sl_monitor *monitor;
    sl_afterwards *afterwards; /* started once every table is in step */
    bool in_step;
    bool there; /* `until` is reached */
    sl_idle idle;
    sl_lsn durable; /* applied and flushed */
    sl_lsn acked;   /* as far as stored */
    struct {
        sl_lsn wal, applied; /* the destination's WAL position that covers applied; wal 0: none */
        int64_t since_us;
    } mark;
    int64_t last_look_us, last_idle_ack_us;
    size_t next_table;
    int64_t conflicts, conflicts_stored_us; /* as far as counted in the destination */
    int64_t stopped;     /* changes that an earlier run stopped at, not applied yet */
    sl_lsn stopped_seen; /* applied when they were looked at */
} stream;

/* ---- acknowledging ---- */

static void durable_up_to(stream *s, sl_lsn lsn)
{
    if (lsn <= s->durable)
        return;
    s->durable = lsn;
    sl_reader_acknowledge(s->reader, lsn);
}

/* Writes the task's row as it is, durably: all that was committed before is on disk then. */
static sl_rc flush_by_commit(stream *s, sl_error *err)
{
    SL_SCRATCH(tmp);
    SL_RESULT(res);
    const sl_run *run = s->run;
    const char *sql =
        sl_sql(&tmp, "UPDATE %I.task SET worker = worker WHERE task_id = %L AND epoch = %lld",
               run->spec->state_schema, run->id, (long long)run->epoch);
    sl_pg *control = sl_applier_control(s->applier);
    if (sl_pg_exec(control, "SET synchronous_commit = on", err) != SL_OK ||
        sl_pg_query(control, sql, &res, err) != SL_OK)
        return sl_while(err, "flushing what the destination has committed");
    if (atoi(PQcmdTuples(res)) != 1)
        return sl_fail(err, SL_FENCED, "another pgsluice has taken task %s over", run->id);
    return SL_OK;
}

/* Where is the destination's flush? Notes the newest commit's position when the last note is done.
 */
static sl_rc look_at_flush(stream *s, sl_error *err)
{
    SL_RESULT(res);
    int64_t now = sl_mono_us();
    sl_lsn applied = sl_applier_applied(s->applier);
    if (now - s->last_look_us < TICK_US || (s->mark.wal == 0 && applied <= s->durable))
        return SL_OK;
    s->last_look_us = now;
    if (sl_applier_control(s->applier)->version < SL_PG_9_6) {
        if (flush_by_commit(s, err) != SL_OK)
            return err->code;
        durable_up_to(s, applied);
        return SL_OK;
    }
    if (sl_pg_query(sl_applier_control(s->applier),
                    sl_applier_control(s->applier)->version >= SL_PG_10
                        ? "SELECT pg_catalog.pg_current_wal_insert_lsn(),"
                          " pg_catalog.pg_current_wal_flush_lsn()"
                        : "SELECT pg_catalog.pg_current_xlog_insert_location(),"
                          " pg_catalog.pg_current_xlog_flush_location()",
                    &res, err) != SL_OK)
        return sl_while(err, "reading the destination's flush position");
    if (s->mark.wal && sl_cell_lsn(res, 0, 1) >= s->mark.wal) {
        durable_up_to(s, s->mark.applied);
        s->mark.wal = 0;
    }
    if (s->mark.wal == 0 && applied > s->durable) {
        s->mark.wal = sl_cell_lsn(res, 0, 0);
        s->mark.applied = applied;
        s->mark.since_us = now;
    }
    return SL_OK;
}

/* Stores lsn as acknowledged, by a synchronous commit; only with nothing open in the applying
 * session. */
static sl_rc store_ack(stream *s, sl_lsn lsn, sl_error *err)
{
    SL_SCRATCH(tmp);
    SL_RESULT(res);
    sl_pg *control = sl_applier_control(s->applier);
    const char *epoch = sl_arena_printf(&tmp, "%lld", (long long)s->run->epoch);
    char text[24];
    const char *values[] = { s->run->id, epoch, sl_lsn_text(lsn, text) };
    if (sl_pg_exec(control, "SET synchronous_commit = on", err) != SL_OK ||
        sl_pg_query_params(control, sl_checkpoint_sql(s->run, SL_CP_ACK, &tmp), 3, values, &res,
                           err) != SL_OK)
        return sl_while(err, "storing what is acknowledged");
    if (atoi(PQcmdTuples(res)) != 1)
        return sl_fail(err, SL_FENCED, "another pgsluice has taken task %s over", s->run->id);
    s->mark.wal = 0;
    s->acked = lsn;
    durable_up_to(s, lsn);
    return SL_OK;
}

/* Everything that was taken is committed. */
static bool quiet(const stream *s)
{
    return !sl_applier_in_transaction(s->applier);
}

static sl_lsn reached(const stream *s)
{
    sl_lsn applied = sl_applier_applied(s->applier);
    return s->idle.lsn > applied ? s->idle.lsn : applied;
}

static sl_rc acknowledge_idle(stream *s, bool now_or_never, sl_error *err)
{
    int64_t now = sl_mono_us();
    sl_lsn lsn = reached(s);
    bool slow = s->mark.wal && now - s->mark.since_us > SLOW_FLUSH_US;
    bool due = s->idle.urgent || now_or_never || now - s->last_idle_ack_us >= IDLE_ACK_US;
    if (!quiet(s) || lsn <= s->durable || !(slow || due))
        return SL_OK;
    s->last_idle_ack_us = now;
    s->idle.urgent = false;
    return store_ack(s, lsn, err);
}

/* ---- states of tables ---- */

static sl_rc move_table(stream *s, sl_table *table, sl_error *err)
{
    sl_pg *control = sl_applier_control(s->applier);
    if (table->state == SL_TABLE_WAITING &&
        sl_state_set_table(s->run, control, table, SL_TABLE_CATCHING_UP, NULL, err) != SL_OK)
        return err->code;
    return sl_state_set_table(s->run, control, table, SL_TABLE_SYNCHRONIZING, NULL, err);
}

/* Once what the source had at the start is applied, every table is in step. */
static sl_rc move_tables(stream *s, sl_error *err)
{
    if (s->in_step || reached(s) < s->start.source_lsn)
        return SL_OK;
    for (int moved = 0; s->next_table < s->run->routes->n && moved < TABLES_PER_TICK;
         s->next_table++) {
        sl_table *table = &s->run->tables[s->next_table];
        int state = table->state;
        if (state != SL_TABLE_WAITING && state != SL_TABLE_INDEXING &&
            state != SL_TABLE_CATCHING_UP)
            continue;
        if (table->snapshot_lsn == SL_LSN_RESYNC) /* its resync moves it */
            continue;
        if (move_table(s, table, err) != SL_OK)
            return err->code;
        moved++;
    }
    s->in_step = s->next_table >= s->run->routes->n;
    if (s->in_step && s->run->gate) /* not for a resync's own run, which has none */
        s->afterwards = sl_afterwards_start(s->run);
    return SL_OK;
}

/* What an earlier run stopped at is applied now: the list of errors says so. */
static sl_rc pass_errors(stream *s, sl_error *err)
{
    sl_lsn applied = sl_applier_applied(s->applier);
    if (s->stopped == 0 || applied == s->stopped_seen)
        return SL_OK;
    s->stopped_seen = applied;
    return sl_state_errors_passed(s->run, sl_applier_control(s->applier), applied, &s->stopped,
                                  err);
}

static sl_rc count_conflicts(stream *s, bool now, sl_error *err)
{
    int64_t n = s->run->progress.conflicts;
    if (n == s->conflicts || (!now && sl_mono_us() - s->conflicts_stored_us < CONFLICTS_EVERY_US))
        return SL_OK;
    s->conflicts = n;
    s->conflicts_stored_us = sl_mono_us();
    return sl_conflicts_store(s->run, sl_applier_control(s->applier), err);
}

/* ---- the loop ---- */

static sl_rc take_batch(stream *s, sl_batch *batch, sl_error *err)
{
    s->idle = (sl_idle){ 0 };
    if (batch->n_txns > 0)
        s->run->progress.oldest_pending_us = batch->txns[0].txn.commit_us;
    sl_rate_wait(s->run->rate, s->run->stop);
    sl_rate_take(s->run->rate, batch->n_changes);
    return sl_applier_apply(s->applier, batch, err);
}

static sl_rc when_idle(stream *s, const sl_idle *idle, sl_error *err)
{
    if (idle->lsn > s->idle.lsn)
        s->idle.lsn = idle->lsn;
    s->idle.urgent |= idle->urgent;
    if (!quiet(s))
        return SL_OK;
    s->run->progress.oldest_pending_us = 0;
    if (s->idle.lsn > s->run->progress.applied_lsn)
        s->run->progress.applied_lsn = s->idle.lsn;
    return acknowledge_idle(s, false, err);
}

/* A resync wants to know where we are, and nothing to move meanwhile. */
static sl_rc stand_at_gate(stream *s, sl_error *err)
{
    if (!sl_gate_wanted(s->run->gate))
        return SL_OK;
    if (sl_applier_settle(s->applier, err) != SL_OK || !quiet(s))
        return err->code; /* a large transaction ends first */
    sl_lsn at = reached(s), start = s->start.checkpoint.applied_end_lsn;
    sl_gate_stand(s->run->gate, at > start ? at : start, s->run->stop);
    /* At a stop the other side still believes that we stand here: nothing more is taken. */
    return sl_stopping(s->run->stop) ? sl_fail(err, SL_CANCELLED, "stopped") : SL_OK;
}

/* How long to wait for a batch: is anything to be looked at before the next one? */
static int patience_ms(const stream *s)
{
    bool waiting = s->mark.wal != 0 || sl_applier_applied(s->applier) > s->durable || !s->in_step ||
                   s->until != 0 || s->stopped != 0 || s->run->progress.conflicts != s->conflicts ||
                   sl_stopping(s->run->stop);
    return waiting ? TICK_US / 1000 : PATIENCE_MS;
}

static void wake(void *self)
{
    sl_exchange_nudge(self);
}

/* One round: apply a batch if there is one, else settle and wait for one. */
static sl_rc turn(stream *s, bool *closed, sl_error *err)
{
    sl_idle idle;
    if (stand_at_gate(s, err) != SL_OK)
        return err->code;
    sl_batch *batch = sl_exchange_take(s->exchange, 0, &idle, closed);
    if (!batch) {
        if (sl_applier_settle(s->applier, err) != SL_OK)
            return err->code;
        batch = sl_exchange_take(s->exchange, patience_ms(s), &idle, closed);
    }
    sl_rc rc = batch ? take_batch(s, batch, err) : when_idle(s, &idle, err);
    if (rc == SL_OK)
        rc = look_at_flush(s, err);
    if (rc == SL_OK)
        rc = pass_errors(s, err);
    if (rc == SL_OK)
        rc = count_conflicts(s, false, err);
    return rc == SL_OK ? move_tables(s, err) : rc;
}

/* A table that is copied beside the stream has not what the others have. */
static bool resync_goes_on(const stream *s)
{
    for (size_t i = 0; s->run->gate && s->run->resynced && i < s->run->routes->n; i++) {
        const sl_table *t = &s->run->tables[i];
        if (t->snapshot_lsn == SL_LSN_RESYNC && t->state != SL_TABLE_SET_ASIDE)
            return true;
    }
    return false;
}

/* Under a steady load there is always something open, so what is applied counts by itself. */
static bool caught_up(const stream *s)
{
    return s->until &&
           (sl_applier_applied(s->applier) >= s->until || (quiet(s) && reached(s) >= s->until)) &&
           !resync_goes_on(s);
}

/* Caught up is not said while a table is left alone. */
static sl_rc report_set_aside(const stream *s, sl_error *err)
{
    SL_SCRATCH(tmp);
    size_t n = 0;
    const sl_table *first = NULL;
    for (size_t i = 0; s->run->gate && i < s->run->routes->n; i++) {
        if (s->run->tables[i].state != SL_TABLE_SET_ASIDE)
            continue;
        first = first ? first : &s->run->tables[i];
        n++;
    }
    if (!first)
        return SL_OK;
    const char *label = sl_route_label(first->route, &tmp);
    sl_fail(err, SL_FAILED, "%zu table%s set aside, first: %s; all others are caught up", n,
            n == 1 ? " is" : "s are", label);
    return sl_hint(err,
                   "`pgsluice status %s` tells why. When the cause is cured: pgsluice resync %s %s",
                   s->run->spec->file, s->run->spec->file, label);
}

static sl_rc loop(stream *s, sl_error *err)
{
    bool closed = false;
    while (!closed) {
        if (s->run->gate && s->run->routes_stale)
            return sl_fail(err, SL_TRANSIENT,
                           "a table that is to be resynchronized has other columns now: the "
                           "source's tables are read anew");
        if (sl_stopping(s->run->stop))
            return sl_fail(err, SL_CANCELLED, "stopped");
        if (s->run->new_tables)
            return sl_fail(err, SL_TRANSIENT, "the source has new tables");
        if (turn(s, &closed, err) != SL_OK)
            return err->code;
        if (caught_up(s)) {
            s->there = true;
            return SL_OK;
        }
    }
    return SL_OK; /* the reader's own error says why */
}

/* A clean end: what was sent is made durable and acknowledged. An open transaction is left to be
 * rolled back with its connection. */
static sl_rc finish(stream *s, sl_error *err)
{
    if (sl_applier_settle(s->applier, err) != SL_OK || pass_errors(s, err) != SL_OK ||
        move_tables(s, err) != SL_OK)
        return err->code;
    return acknowledge_idle(s, true, err);
}

/* ---- setting up ---- */

static sl_rc start_reader(stream *s, sl_error *err)
{
    sl_run *run = s->run;
    sl_pg *replication = NULL;
    if (sl_run_connect(run, SL_SOURCE, "source stream", SL_CONNECT_REPLICATION, &replication,
                       err) != SL_OK)
        return err->code;
    if (sl_start_identify(run, replication, sl_applier_control(s->applier), &s->start, err) !=
        SL_OK) {
        sl_pg_close(replication);
        return err->code;
    }
    sl_reader_options options = {
        .run = run,
        .exchange = s->exchange,
        .pool = s->pool,
        .applied_end = s->start.checkpoint.applied_end_lsn,
        .acknowledged = s->start.confirmed,
        .skips = s->start.skips,
        .pg = replication,
        .inserts_publication = s->start.inserts_publication,
        .decoder = s->decoder,
        .binary = s->binary,
    };
    return sl_reader_start(&options, &s->reader, err);
}

static sl_rc set_up(stream *s, sl_error *err)
{
    sl_run *run = s->run;
    SL_PG(source);
    if (sl_run_connect(run, SL_SOURCE, "source", 0, &source, err) != SL_OK)
        return err->code;
    if (sl_run_choose_plugin(run, source, err) != SL_OK)
        return err->code;
    const sl_plugin *plugin = run->plugin.plugin;
    if (sl_decoder_for(plugin, &s->decoder, err) != SL_OK)
        return err->code;
    s->binary = !s->text && run->routes->binary_stream && source->version >= plugin->binary_since;
    if (sl_applier_new(run, s->binary, &s->applier, err) != SL_OK ||
        sl_start_check(run, source, sl_applier_control(s->applier), &s->start, err) != SL_OK ||
        sl_state_errors_passed(run, sl_applier_control(s->applier),
                               s->start.checkpoint.applied_end_lsn, &s->stopped, err) != SL_OK)
        return err->code;
    s->durable = s->start.confirmed;
    s->last_idle_ack_us = sl_mono_us();
    s->conflicts = run->progress.conflicts;
    s->pool = sl_pool_new();
    s->exchange = sl_exchange_new();
    sl_gate_wake_with(run->gate, wake, s->exchange);
    run->progress.applied_lsn = s->start.checkpoint.applied_end_lsn;
    run->progress.acked_lsn = s->start.confirmed;
    run->progress.target_lsn = s->until;
    run->progress.source_lsn = s->start.source_lsn;
    if (start_reader(s, err) != SL_OK)
        return err->code;
    s->monitor = sl_monitor_start(run);
    sl_event(run, "stream.started", "{s:s, s:s, s:b}", "slot", run->slot, "decoder",
             plugin->decoder, "binary", s->binary);
    return SL_OK;
}

/* The applier goes before the reader: its bounds point to the reader's relations. */
static void tear_down(stream *s)
{
    sl_afterwards_free(s->afterwards);
    sl_monitor_stop(s->monitor);
    sl_gate_wake_with(s->run->gate, NULL, NULL);
    sl_applier_free(s->applier);
    sl_exchange_free(s->exchange);
    sl_reader_free(s->reader);
    sl_pool_free(s->pool);
    sl_start_free(&s->start);
}

static sl_rc run_once(stream *s, sl_error *err)
{
    sl_rc rc = set_up(s, err);
    if (rc == SL_OK) {
        rc = loop(s, err);
        if (rc == SL_OK || rc == SL_CANCELLED || s->run->new_tables) {
            sl_error late = SL_ERROR_INIT;
            if (finish(s, &late) != SL_OK && rc == SL_OK)
                *err = late, rc = late.code;
            if (rc == SL_OK)
                sl_afterwards_wait(s->afterwards);
            if (rc == SL_OK)
                rc = report_set_aside(s, err);
        }
    }
    if (s->exchange)
        sl_exchange_abandon(s->exchange);
    if (s->applier && sl_applier_control(s->applier)) {
        sl_error ignored = SL_ERROR_INIT;
        count_conflicts(s, true, &ignored);
    }
    if (s->reader) {
        sl_error reading = SL_ERROR_INIT;
        bool failed = sl_reader_stop(s->reader, true, &reading) != SL_OK;
        if (failed && rc == SL_OK)
            *err = reading, rc = reading.code;
    }
    if (rc == SL_OK && s->until && !s->there)
        rc = sl_fail(err, SL_CANCELLED, "stopped before the position was reached");
    s->run->progress.oldest_pending_us = 0;
    return rc;
}

sl_rc sl_stream_run(sl_run *run, sl_lsn until, sl_error *err)
{
    stream s = { .run = run, .until = until };
    sl_rc rc = run_once(&s, err);
    if (s.applier && sl_applier_needs_text(s.applier) && rc == SL_TRANSIENT) {
        sl_info("%s; the stream goes on as text", err->message);
        sl_error_clear(err);
        tear_down(&s);
        s = (stream){ .run = run, .until = until, .text = true };
        rc = run_once(&s, err);
    }
    tear_down(&s);
    return rc;
}

/* 9.4 and 9.5 have no messages: there a position is read and something committed behind it, so that
 * the walsender comes past it. */
static sl_rc target_by_transaction(sl_pg *source, sl_arena *arena, char **text, sl_error *err)
{
    const char *sql = sl_sql(arena, "SELECT %s", sl_position_sql(source->version));
    if (sl_pg_value(source, sql, arena, text, err) != SL_OK)
        return err->code;
    return sl_pg_exec(source,
                      "SELECT CASE WHEN NOT pg_catalog.pg_is_in_recovery() THEN"
                      " pg_catalog.txid_current() END",
                      err);
}

static sl_rc target_by_message(sl_pg *source, sl_arena *arena, char **text, sl_error *err)
{
    const char *sql = sl_sql(arena,
                             "SELECT CASE WHEN pg_catalog.pg_is_in_recovery() THEN %s ELSE"
                             " pg_catalog.pg_logical_emit_message(true, 'pgsluice', 'target') END",
                             sl_position_sql(source->version));
    return sl_pg_value(source, sql, arena, text, err);
}

sl_rc sl_stream_target(sl_run *run, sl_pg *source, sl_lsn *target, sl_error *err)
{
    char *text = NULL;
    SL_SCRATCH(tmp);
    (void)run;
    sl_rc rc = source->version >= SL_PG_9_6 ? target_by_message(source, &tmp, &text, err)
                                            : target_by_transaction(source, &tmp, &text, err);
    if (rc != SL_OK)
        return sl_while(err, "asking the source for its position");
    if (!text || !sl_lsn_parse(text, target))
        return sl_fail(err, SL_FAILED, "the source's position is unreadable");
    return SL_OK;
}
