/* reader.c: receive, decode, choose, batch, acknowledge.
 *
 * Invariants:
 *  1. A transaction is left out as a whole, or not at all, by its commit LSN: keepalives and
 *     acknowledgements never move the position that decides it.
 *  2. A change is handed over iff its table's copy does not hold it (commit LSN >= snapshot_lsn,
 *     of its key's range where these differ), its operation is selected, and the user did not skip
 *     it.
 *  3. What is acknowledged was given to sl_reader_acknowledge: flushed in the destination.
 *
 * How large a batch grows depends on the applier: while it is busy, changes gather here; as soon as
 * it has nothing to do it gets what is complete. While only keepalives come the socket is left
 * alone for longer and longer naps (nap_ms). While the source sends in bulk the reader sleeps some
 * milliseconds whenever the socket is empty: reading every message as it comes would cost both
 * sides more than the decoding (sl_repl_start). */
#include "stream/reader.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stream/filter.h"
#include "stream/lookup.h"
#include "stream/ranged.h"
#include "stream/resolve.h"
#include "stream/start.h"

#define NAP_MS 20               /* the longest, in a lasting burst */
#define NAP_BYTES (1024 * 1024) /* more than that in one nap: it was too long */
#define BURST_BYTES (8 * 1024)  /* between two empty sockets, and */
#define BURST_BYTES_PER_US 2    /* so fast: the source sends in bulk */
#define BATCH_AGE_US 10000      /* so long a batch gathers in bulk, though the applier waits */
#define GIVE_MS 200
#define FEEDBACK_BUSY_US 1000000 /* acknowledge progress that often */
#define FEEDBACK_IDLE_US 10000000
#define FEEDBACK_ASKED_US 10000 /* and not faster than that, also when asked */
/* 9.4 sends a keepalive only when the one before was answered, though it does not ask for that. */
#define FEEDBACK_UNHEARD_US 200000
#define POLL_MS 5000
/* Without a change for five seconds, keepalives are left in the socket for a thirtieth of that
 * time, two seconds at most: a walsender sends one for every commit of its cluster. */
#define QUIET_US INT64_C(5000000)
#define NAP_MOST_MS 2000

struct sl_reader {
    sl_reader_options o;
    sl_run *run;
    pthread_t thread;
    bool running;
    sl_stop stop;
    sl_pg *pg, *source;
    void *decoder; /* of o.decoder */
    sl_lookup lookup;
    sl_filter *filter;
    sl_repl_message message;
    sl_batch *batch;
    int64_t batch_since_us;
    sl_idle idle; /* not yet passed on: the batch is not empty */
    size_t burst; /* bytes of changes since the socket was last empty */
    int nap_ms;
    bool bursting, skip_txn;
    sl_lsn received;
    _Atomic sl_lsn acknowledged;
    sl_lsn told;         /* the last that was sent */
    sl_lsn told_written; /* … as received */
    int64_t last_feedback_us;
    int64_t last_data_us; /* when the socket was first empty after the last change */
    int64_t emptied_us;   /* when it was last empty */
    bool asked;
    bool alive;  /* a keepalive has come since the socket was last empty */
    bool napped; /* what comes now may have waited in the socket */
    sl_lsn alive_lsn;
    bool alive_urgent; /* of the last keepalive; not passed on yet */
    bool told_stop;    /* the applier knows that the run is to stop */
    sl_error err;
};

/* ---- acknowledging ---- */

void sl_reader_acknowledge(sl_reader *r, sl_lsn lsn)
{
    sl_lsn now = r->acknowledged;
    while (lsn > now && !atomic_compare_exchange_weak(&r->acknowledged, &now, lsn))
        ;
    sl_exchange_wake(r->o.exchange);
}

static sl_rc send_feedback(sl_reader *r, int64_t now, sl_error *err)
{
    sl_lsn flushed = r->acknowledged;
    sl_lsn written = r->received > flushed ? r->received : flushed;
    r->last_feedback_us = now;
    r->asked = false;
    r->told = flushed;
    r->told_written = written;
    r->run->progress.acked_lsn = flushed;
    if (flushed == 0)
        return SL_OK;
    return sl_repl_feedback(r->pg, written, flushed, flushed, false, err);
}

static int64_t feedback_interval(const sl_reader *r, int64_t idle)
{
    if (r->asked)
        return FEEDBACK_ASKED_US;
    if (r->pg->version < SL_PG_9_5 && r->received > r->told_written)
        return FEEDBACK_UNHEARD_US;
    return r->acknowledged != r->told ? FEEDBACK_BUSY_US : idle;
}

static sl_rc feedback_if_due(sl_reader *r, sl_error *err)
{
    int64_t now = sl_mono_us(), since = now - r->last_feedback_us;
    return since >= feedback_interval(r, FEEDBACK_IDLE_US) ? send_feedback(r, now, err) : SL_OK;
}

/* ---- handing over ---- */

/* Lag is measured from the oldest transaction that is somewhere between here and the destination.
 */
static void note_pending(sl_reader *r)
{
    int64_t none = 0;
    if (r->batch->n_txns > 0)
        atomic_compare_exchange_strong(&r->run->progress.oldest_pending_us, &none,
                                       r->batch->txns[0].txn.commit_us);
}

/* Everything up to idle went through here: once nothing of it waits in the batch, the applier may
 * store it as soon as it has applied what it was given. */
static void pass_idle(sl_reader *r)
{
    if (r->batch->n_txns > 0 || r->idle.lsn == 0)
        return;
    sl_exchange_set_idle(r->o.exchange, r->idle.lsn, r->idle.urgent);
    r->idle = (sl_idle){ 0 };
}

static void note_idle(sl_reader *r, sl_lsn lsn, bool urgent)
{
    if (r->o.decoder->in_transaction(r->decoder))
        return;
    r->idle.lsn = lsn;
    r->idle.urgent |= urgent;
    pass_idle(r);
}

/* Waits for room, and goes on to acknowledge meanwhile. Given up when the thread is to end. */
static sl_rc give(sl_reader *r, sl_error *err)
{
    note_pending(r);
    if (sl_filter_batch(r->filter, r->batch, err) != SL_OK)
        return err->code;
    while (!sl_exchange_give(r->o.exchange, r->batch, GIVE_MS)) {
        if (sl_stopping(&r->stop))
            return sl_fail(err, SL_CANCELLED, "stopped");
        if (feedback_if_due(r, err) != SL_OK)
            return err->code;
    }
    r->batch = sl_batch_new(r->o.pool);
    pass_idle(r);
    return SL_OK;
}

static bool complete(const sl_reader *r)
{
    return r->batch->n_txns > 0 && !sl_batch_open(r->batch);
}

static sl_rc give_if_wanted(sl_reader *r, sl_error *err)
{
    if (!complete(r) || !sl_exchange_hungry(r->o.exchange))
        return SL_OK;
    if (r->bursting && sl_mono_us() - r->batch_since_us < BATCH_AGE_US)
        return SL_OK;
    return give(r, err);
}

/* ---- the decoder's calls ---- */

static bool skipped_by_user(const sl_reader *r, const sl_txn *txn, uint32_t seq)
{
    char key[40];
    if (!r->o.skips || sl_map_size(r->o.skips) == 0)
        return false;
    int n = snprintf(key, sizeof(key), SL_LSN_FMT ":%u", SL_LSN_ARGS(txn->commit_lsn), seq);
    if (!sl_map_get(r->o.skips, key, (size_t)n))
        return false;
    sl_event(r->run, "change.skipped", "{s:s, s:i}", "position", key, "change", (int)seq);
    return true;
}

static sl_rc on_begin(void *self, const sl_txn *txn, sl_error *err)
{
    sl_reader *r = self;
    (void)err;
    r->skip_txn = txn->commit_lsn < r->o.applied_end || skipped_by_user(r, txn, 0);
    if (r->skip_txn)
        return SL_OK;
    if (r->batch->n_txns == 0)
        r->batch_since_us = sl_mono_us();
    sl_batch_begin(r->batch, txn, false);
    return SL_OK;
}

static sl_rc resolve(sl_reader *r, const sl_relation *rel, sl_error *err)
{
    sl_relation *own = (sl_relation *)(uintptr_t)rel; /* the members are this thread's */
    if (rel->resolved)
        return SL_OK;
    if (sl_resolve(r->run, &r->source, rel, &own->route, err) != SL_OK)
        return err->code;
    own->resolved = true;
    return SL_OK;
}

static bool wanted(const sl_reader *r, const sl_route *route, const sl_txn *txn, unsigned op)
{
    if (!route || !(route->operations & op))
        return false;
    const sl_table *table = &r->run->tables[route->index];
    sl_lsn snapshot = table->snapshot_lsn;
    /* Whether a table in resync takes it is the applier's to say: it knows at which position. */
    return (txn->commit_lsn >= snapshot || snapshot == SL_LSN_RESYNC) &&
           table->state != SL_TABLE_SET_ASIDE && table->state != SL_TABLE_FAILED;
}

/* Under a limit batches are small, so that rows come evenly. */
static bool is_full(const sl_reader *r)
{
    int64_t limit = sl_rate_limit(r->run->rate) / 5;
    return sl_batch_full(r->batch) || (limit > 0 && r->batch->n_changes >= limit);
}

static sl_rc add(sl_reader *r, const sl_txn *txn, const sl_change *change, sl_error *err)
{
    if (skipped_by_user(r, txn, change->seq))
        return SL_OK;
    sl_batch_add(r->batch, change);
    if (!is_full(r))
        return SL_OK;
    if (give(r, err) != SL_OK)
        return err->code;
    r->batch_since_us = sl_mono_us();
    sl_batch_begin(r->batch, txn, true);
    return SL_OK;
}

/* The change does not say to which range its row belongs: the table is copied anew, all of it. */
static sl_rc ask_for_resync(sl_reader *r, const sl_route *route, sl_error *err)
{
    SL_PG(destination);
    SL_SCRATCH(tmp);
    const char *label = sl_route_label(route, &tmp);
    if (sl_run_connect(r->run, SL_DESTINATION, "resync request", 0, &destination, err) != SL_OK)
        return err->code;
    if (sl_state_request(r->run, destination, SL_REQUEST_RESYNC, route->src_schema,
                         route->src_table, err) != SL_OK)
        return sl_fail(err, SL_FAILED, "table %s cannot be copied anew", label);
    return sl_fail(err, SL_TRANSIENT,
                   "a change of table %s does not tell to which part of its copy it belongs: the "
                   "table is copied anew",
                   label);
}

/* A table whose key ranges were copied at different moments: does the copy lack this change? */
static sl_rc on_ranged(sl_reader *r, const sl_txn *txn, const sl_change *change, sl_error *err)
{
    bool want = false;
    uint32_t offsets[SL_MAX_COLUMNS];
    sl_change own = *change;
    const sl_route *route = change->rel->route;
    const sl_ranges *ranges = r->run->tables[route->index].ranges;
    if (sl_ranged_change(ranges, txn->commit_lsn, &own, offsets, &want) != SL_OK)
        return ask_for_resync(r, route, err);
    return want ? add(r, txn, &own, err) : SL_OK;
}

static sl_rc on_change(void *self, const sl_txn *txn, const sl_change *change, sl_error *err)
{
    static const unsigned ops[] = { SL_OP_INSERT, SL_OP_UPDATE, SL_OP_DELETE };
    sl_reader *r = self;
    if (r->skip_txn)
        return SL_OK;
    if (resolve(r, change->rel, err) != SL_OK)
        return err->code;
    if (!wanted(r, change->rel->route, txn, ops[change->op]))
        return SL_OK;
    const sl_table *table = &r->run->tables[change->rel->route->index];
    if (sl_ranges_between(table->ranges, txn->commit_lsn) && table->snapshot_lsn != SL_LSN_RESYNC)
        return on_ranged(r, txn, change, err);
    return add(r, txn, change, err);
}

/* Only the tables that want it are left in the list. */
static sl_rc on_truncate(void *self, const sl_txn *txn, const sl_change *change, sl_error *err)
{
    sl_reader *r = self;
    if (r->skip_txn)
        return SL_OK;
    sl_change own = *change;
    const sl_relation **rels = sl_xmalloc(change->n_rels * sizeof(*rels));
    sl_rc rc = SL_OK;
    own.rels = rels;
    own.n_rels = 0;
    for (int i = 0; i < change->n_rels && rc == SL_OK; i++) {
        const sl_relation *rel = change->rels[i];
        rc = resolve(r, rel, err);
        bool want = rc == SL_OK && wanted(r, rel->route, txn, SL_OP_TRUNCATE);
        /* Cannot be: a heap that was truncated between two ranges' copies was copied anew. */
        if (want && sl_ranges_between(r->run->tables[rel->route->index].ranges, txn->commit_lsn))
            rc = ask_for_resync(r, rel->route, err);
        if (want)
            rels[own.n_rels++] = rel;
        else if (rel->route)
            own.options |= SL_TRUNCATE_PARTIAL;
    }
    if (rc == SL_OK && own.n_rels > 0) {
        own.rel = rels[0];
        rc = add(r, txn, &own, err);
    }
    free(rels);
    return rc;
}

static sl_rc on_commit(void *self, const sl_txn *txn, sl_error *err)
{
    sl_reader *r = self;
    r->run->progress.received_lsn = txn->end_lsn;
    if (r->received < txn->end_lsn)
        r->received = txn->end_lsn;
    if (r->skip_txn)
        return SL_OK;
    sl_batch_commit(r->batch, txn);
    if (sl_batch_drop_empty(r->batch)) {
        note_idle(r, txn->end_lsn, false);
        return SL_OK;
    }
    return is_full(r) ? give(r, err) : give_if_wanted(r, err);
}

/* ---- the thread ---- */

static void on_keepalive(sl_reader *r, const sl_repl_message *m)
{
    if (!r->napped)
        r->run->progress.clock_offset_us = m->send_time_us - sl_now_us();
    r->asked |= m->reply_now;
    r->alive = true;
    r->alive_lsn = m->wal_end;
    r->alive_urgent |= m->reply_now;
    if (r->received < m->wal_end)
        r->received = m->wal_end;
}

/* The last keepalive's position, once all that came with it is decoded. */
static void pass_alive(sl_reader *r)
{
    if (r->alive_lsn > 0)
        note_idle(r, r->alive_lsn, r->alive_urgent);
    r->alive_lsn = 0;
    r->alive_urgent = false;
}

/* How long the socket may be left alone; 0: not at all. */
static int nap_ms(sl_reader *r)
{
    int64_t quiet = sl_mono_us() - r->last_data_us;
    bool only_alive = r->alive && !r->asked && r->batch->n_txns == 0;
    r->alive = false;
    if (!only_alive || quiet < QUIET_US || r->o.decoder->in_transaction(r->decoder))
        return 0;
    return quiet / 30000 < NAP_MOST_MS ? (int)(quiet / 30000) : NAP_MOST_MS;
}

static int patience_ms(const sl_reader *r)
{
    return (int)(feedback_interval(r, POLL_MS * 1000) / 1000);
}

/* Waits for the source, the applier, or a stop, which the applier hears of from here. */
static void wait_for_news(sl_reader *r)
{
    const sl_stop *run_stop = r->run->stop;
    int nap = nap_ms(r);
    r->napped = nap > 0;
    struct pollfd p[] = { { .fd = nap ? -1 : PQsocket(r->pg->conn), .events = POLLIN },
                          { .fd = sl_exchange_fd(r->o.exchange), .events = POLLIN },
                          { .fd = r->stop.fd, .events = POLLIN },
                          { .fd = run_stop && !r->told_stop ? run_stop->fd : -1,
                            .events = POLLIN } };
    poll(p, 4, nap ? nap : patience_ms(r));
    if (p[1].revents)
        sl_exchange_woken(r->o.exchange);
    if (p[3].revents) {
        r->told_stop = true;
        sl_exchange_nudge(r->o.exchange);
    }
}

/* The nap after this one, in a burst. */
static int next_nap(const sl_reader *r)
{
    int next = r->burst > NAP_BYTES ? r->nap_ms / 2 : r->nap_ms * 2;
    return next < 1 ? 1 : next < NAP_MS ? next : NAP_MS;
}

/* The socket is empty. */
static sl_rc on_empty(sl_reader *r, sl_error *err)
{
    int64_t now = sl_mono_us();
    int64_t fast = (now - r->emptied_us) * BURST_BYTES_PER_US;
    pass_alive(r);
    if (r->burst > 0)
        r->last_data_us = now;
    r->bursting = r->burst > BURST_BYTES && (int64_t)r->burst > fast;
    r->emptied_us = now;
    r->nap_ms = r->bursting ? next_nap(r) : 0;
    r->burst = 0;
    if (give_if_wanted(r, err) != SL_OK || feedback_if_due(r, err) != SL_OK)
        return err->code;
    note_pending(r);
    if (r->bursting) {
        sl_sleep_ms(r->nap_ms, &r->stop);
        return SL_OK;
    }
    wait_for_news(r);
    return SL_OK;
}

static sl_rc on_message(sl_reader *r, sl_error *err)
{
    sl_repl_message *m = &r->message;
    switch (m->kind) {
    case SL_REPL_DATA:
        r->burst += m->len;
        sl_pulse_beat(&r->run->pulse);
        return r->o.decoder->decode(r->decoder, m->data, m->len, m->start, err);
    case SL_REPL_KEEPALIVE:
        on_keepalive(r, m);
        return m->reply_now ? feedback_if_due(r, err) : SL_OK;
    case SL_REPL_NOTHING:
        return on_empty(r, err);
    case SL_REPL_END:
        break;
    }
    return sl_fail(err, SL_TRANSIENT, "the source ended the stream (is it shutting down?)");
}

static void *reader_main(void *self)
{
    sl_reader *r = self;
    sl_error *err = &r->err;
    int messages = 0;
    while (!sl_stopping(&r->stop)) {
        if (sl_repl_receive(r->pg, &r->message, 0, &r->stop, err) != SL_OK ||
            on_message(r, err) != SL_OK)
            break;
        /* A stream that never pauses must not keep us from acknowledging. */
        if (++messages % 1024 == 0 && feedback_if_due(r, err) != SL_OK)
            break;
    }
    if (sl_start_explain(err) != SL_OK)
        sl_while(err, "reading the source's changes");
    sl_exchange_close(r->o.exchange);
    return NULL;
}

/* ---- life ---- */

/* "schema"."table"("column", …) of the columns that the specification lists, or lists out. */
static void add_columns(sl_buf *out, const sl_route *route, const char *const *names)
{
    if (!names || !names[0])
        return;
    sl_sql_add(out, out->len ? ", %I.%I(" : "%I.%I(", route->src_schema, route->src_table);
    for (size_t i = 0; names[i]; i++)
        sl_sql_add(out, i ? ",%I" : "%I", names[i]);
    sl_buf_putc(out, ')');
}

static char *start_options(sl_reader *r, sl_arena *arena)
{
    SL_BUF(oids);
    SL_BUF(only);
    SL_BUF(except);
    const char *publications[3] = { r->run->publication, NULL, NULL };
    if (r->o.inserts_publication)
        publications[1] = r->run->publication_inserts;
    for (size_t i = 0; i < r->run->routes->n; i++) {
        const sl_route *route = &r->run->routes->items[i];
        sl_buf_printf(&oids, oids.len ? ",%u" : "%u", route->oid);
        if (!route->spec || route->condition) /* a filter may need what is not synchronized */
            continue;
        add_columns(&only, route, route->spec->include_columns);
        add_columns(&except, route, route->spec->exclude_columns);
    }
    sl_decoder_request request = { .version = r->pg->version,
                                   .binary = r->o.binary,
                                   .publications = publications,
                                   .oids = sl_buf_str(&oids),
                                   .columns = sl_buf_str(&only),
                                   .exclude_columns = sl_buf_str(&except) };
    return r->o.decoder->options(&request, arena);
}

sl_rc sl_reader_start(const sl_reader_options *options, sl_reader **reader, sl_error *err)
{
    SL_SCRATCH(tmp);
    sl_reader *r = sl_xcalloc(1, sizeof(*r));
    sl_sink sink = { .self = r,
                     .begin = on_begin,
                     .change = on_change,
                     .truncate = on_truncate,
                     .commit = on_commit };
    *reader = r;
    r->o = *options;
    r->run = options->run;
    r->pg = options->pg;
    r->acknowledged = r->told = options->acknowledged;
    r->lookup = (sl_lookup){ .run = r->run, .source = &r->source };
    sl_catalog catalog = { .self = &r->lookup,
                           .hidden_oid = r->pg->version < SL_PG_12,
                           .describe = sl_lookup_table };
    r->decoder = r->o.decoder->create(&sink, &catalog);
    r->filter = sl_filter_new(r->run, &r->source, r->o.binary);
    r->batch = sl_batch_new(r->o.pool);
    if (!sl_stop_init(&r->stop))
        return sl_fail(err, SL_TRANSIENT, "no file descriptor is left");
    if (sl_repl_start(r->pg, r->run->slot, options->applied_end, start_options(r, &tmp), err) !=
        SL_OK)
        return sl_start_explain(err);
    r->last_feedback_us = r->last_data_us = sl_mono_us();
    if (pthread_create(&r->thread, NULL, reader_main, r) != 0)
        return sl_fail(err, SL_TRANSIENT, "no thread could be started");
    r->running = true;
    return SL_OK;
}

sl_rc sl_reader_stop(sl_reader *r, bool polite, sl_error *err)
{
    sl_error ignored = SL_ERROR_INIT;
    if (r->running) {
        sl_stop_request(&r->stop, SL_STOP_DONE);
        sl_exchange_wake(r->o.exchange);
        pthread_join(r->thread, NULL);
        r->running = false;
    }
    if (polite && PQstatus(r->pg->conn) == CONNECTION_OK &&
        send_feedback(r, sl_mono_us(), &ignored) == SL_OK)
        sl_repl_stop(r->pg);
    if (r->err.code != SL_OK && r->err.code != SL_CANCELLED)
        *err = r->err;
    return err->code;
}

void sl_reader_free(sl_reader *r)
{
    if (!r)
        return;
    sl_repl_message_free(&r->message);
    sl_batch_free(r->batch);
    if (r->o.decoder)
        r->o.decoder->destroy(r->decoder);
    sl_stop_free(&r->stop);
    sl_pg_close(r->pg);
    sl_filter_free(r->filter);
    sl_pg_close(r->source);
    free(r);
}
