/* apply.c: segments of batches, their transactions, and what happens when one fails.
 *
 * A segment is what one round of statements does: the whole transactions of a batch, or the part of
 * a large one. It is sent (`send_segment`), and settled before the next one begins.
 *
 * Invariants:
 *  1. The first statement after BEGIN is the fence or the checkpoint's update; both fail the
 *     transaction when the epoch has moved.
 *  2. The checkpoint moves to the end of a segment's last transaction in the transaction that
 *     holds its changes, never otherwise.
 *  3. At most one segment is unsettled, and its batch is kept until it is settled.
 *  4. A failure that is not the data's (lost connection, deadlock, fence) leaves nothing behind:
 *     the transaction is gone, and the caller starts again from the checkpoint. */
#include "stream/apply.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "stream/apply_internal.h"
#include "stream/conflicts.h"

/* ---- life ---- */

static sl_rc connect_both(sl_applier *a, sl_error *err)
{
    sl_pg *data = NULL;
    sl_rc rc = sl_run_connect(a->run, SL_DESTINATION, "destination applier",
                              SL_CONNECT_REPLICA_ROLE, &data, err);
    if (rc == SL_OK) {
        a->strict = !data->replica_role;
        rc = sl_session_new(a->run, data, &a->session, err);
    }
    if (rc == SL_OK)
        rc = sl_run_connect(a->run, SL_DESTINATION, "destination control", 0, &a->control, err);
    return rc;
}

/* A statement of the state's, made to fail when it touches no row. */
static char *fencing(sl_applier *a, sl_cp_statement which)
{
    return sl_arena_printf(&a->arena,
                           "WITH fence AS (%s RETURNING 1) SELECT 1 / count(*) FROM fence",
                           sl_checkpoint_sql(a->run, which, &a->arena));
}

sl_rc sl_applier_new(sl_run *run, bool binary, sl_applier **applier, sl_error *err)
{
    sl_applier *a = sl_xcalloc(1, sizeof(*a));
    a->run = run;
    a->binary = binary;
    sl_rc rc = connect_both(a, err);
    if (rc == SL_OK) {
        a->advance_sql = fencing(a, SL_CP_ADVANCE);
        a->fence_sql = fencing(a, SL_CP_FENCE);
        a->binder = sl_binder_new(run, a->control, binary, a->strict);
        a->writer = sl_writer_new(run, a->session, a->binder, binary);
        a->coalescer = sl_coalescer_new();
        rc = sl_binder_load(a->binder, err);
    }
    if (rc == SL_OK)
        *applier = a;
    else
        sl_applier_free(a);
    return rc;
}

void sl_applier_free(sl_applier *a)
{
    if (!a)
        return;
    sl_coalescer_free(a->coalescer);
    sl_writer_free(a->writer);
    sl_session_free(a->session);
    sl_binder_free(a->binder);
    sl_pg_close(a->control);
    sl_batch_free(a->pending.batch);
    sl_arena_free(&a->arena);
    sl_arena_free(&a->scratch);
    free(a);
}

bool sl_applier_in_transaction(const sl_applier *a)
{
    return a->open;
}

bool sl_applier_needs_text(const sl_applier *a)
{
    return sl_binder_needs_text(a->binder);
}

sl_lsn sl_applier_applied(const sl_applier *a)
{
    return a->applied;
}

sl_pg *sl_applier_control(sl_applier *a)
{
    return a->control;
}

/* ---- control statements ---- */

void sl_apply_begin(sl_applier *a)
{
    sl_session_send(a->session, "BEGIN", NULL);
}

/* Prepared, for it is part of every transaction, however small. */
static void run_checkpoint(sl_applier *a, sl_stmt **place, const char *sql, int n,
                           const sl_txn *txn)
{
    static const Oid types[] = { SL_OID_TEXT, SL_OID_INT8, SL_OID_PG_LSN,
                                 SL_OID_INT8, SL_OID_INT8, SL_OID_INT8 };
    sl_expect e = { .kind = SL_EXPECT_FENCE };
    char epoch[8], lsn[8], us[8], rows[8], bytes[8];
    if (!*place || !(*place)->prepared)
        sl_session_prepare(a->session, place, sql, n, types, 0);
    sl_put64(epoch, (uint64_t)a->run->epoch);
    sl_put64(lsn, txn ? txn->end_lsn : 0);
    sl_put64(us, txn ? (uint64_t)txn->commit_us : 0);
    sl_put64(rows, (uint64_t)(a->carried_rows + a->rows));
    sl_put64(bytes, (uint64_t)(a->carried_bytes + a->bytes));
    const char *values[] = { a->run->id, epoch, lsn, us, rows, bytes };
    const int lengths[] = { (int)strlen(a->run->id), 8, 8, 8, 8, 8 };
    sl_session_run(a->session, *place, values, lengths, &e);
}

void sl_apply_fence(sl_applier *a)
{
    run_checkpoint(a, &a->fence, a->fence_sql, 2, NULL);
    if (a->strict)
        sl_session_send(a->session, "SET CONSTRAINTS ALL DEFERRED", NULL);
}

void sl_apply_advance(sl_applier *a, const sl_txn *txn)
{
    run_checkpoint(a, &a->advance, a->advance_sql, 6, txn);
}

sl_rc sl_apply_commit(sl_applier *a, sl_failure *failure)
{
    sl_expect e = { .kind = SL_EXPECT_COMMIT };
    sl_session_send(a->session, "COMMIT", &e);
    sl_session_sync(a->session);
    sl_rc rc = sl_session_wait(a->session, failure);
    a->open = rc != SL_OK;
    if (rc == SL_OK) {
        sl_conflicts_keep(a->run);
        a->run->progress.metered_rows += a->carried_rows + a->rows;
        a->run->progress.metered_bytes += a->carried_bytes + a->bytes;
        a->carried_rows = a->carried_bytes = a->rows = a->bytes = 0;
    }
    return rc;
}

sl_rc sl_apply_rollback(sl_applier *a, const char *sql, sl_error *err)
{
    sl_failure failure;
    sl_session_send(a->session, sql, NULL);
    sl_session_sync(a->session);
    sl_rc rc = sl_session_wait(a->session, &failure);
    if (rc != SL_OK)
        *err = failure.err, err->code = rc;
    return rc;
}

/* ---- changes ---- */

/* The destination's table does not take what the source's has become: it is left alone from here
 * on, the others go on. What it lacks since then only a resync can bring. */
static sl_rc set_table_aside(sl_applier *a, const sl_route *route, const sl_error *why,
                             sl_error *err)
{
    SL_SCRATCH(tmp);
    sl_table *table = &a->run->tables[route->index];
    const char *reason = sl_arena_printf(&tmp, "%s. %s", why->message, why->hint);
    table->columns_changed = true;
    if (sl_state_set_table(a->run, a->control, table, SL_TABLE_SET_ASIDE, reason, err) != SL_OK)
        return err->code;
    sl_warn("table %s is set aside: %s Then: pgsluice resync %s %s", sl_route_label(route, &tmp),
            reason, a->run->spec->file, sl_route_label(route, &tmp));
    return SL_OK;
}

/* *bound is NULL for a table that is set aside. */
static sl_rc bind(sl_applier *a, const sl_relation *rel, sl_bound **bound, sl_error *err)
{
    sl_error why = SL_ERROR_INIT;
    *bound = rel->bound;
    if (*bound)
        return SL_OK;
    sl_relation *own = (sl_relation *)(uintptr_t)rel; /* the member is this thread's */
    sl_rc rc = sl_bind(a->binder, own, bound, &why);
    if (rc == SL_FAILED)
        return set_table_aside(a, rel->route, &why, err);
    if (rc != SL_OK)
        *err = why;
    return rc;
}

/* Does the table's resync hold the change in hand already, or is about to? */
static bool left_out(const sl_applier *a, const sl_route *route)
{
    if (a->run->tables[route->index].state == SL_TABLE_SET_ASIDE)
        return true;
    return a->run->resynced && a->commit_lsn < a->run->tables[route->index].snapshot_lsn;
}

void sl_apply_measure(sl_applier *a, const sl_batch *batch, uint32_t from, uint32_t to)
{
    sl_lsn in_hand = a->commit_lsn;
    a->rows = a->bytes = 0;
    for (uint32_t t = from; t < to; t++) {
        const sl_batch_txn *txn = &batch->txns[t];
        a->commit_lsn = txn->txn.commit_lsn;
        for (uint32_t i = txn->first; i < txn->first + txn->n; i++) {
            const sl_change *change = batch->changes[i];
            if (change->op == SL_CHANGE_TRUNCATE || left_out(a, change->rel->route))
                continue;
            a->rows++;
            a->bytes += change->len;
        }
    }
    a->commit_lsn = in_hand;
}

/* The bounds of a TRUNCATE's tables; NULL for those that are not synchronized. Partitioned tables
 * are left out: their partitions are listed too. */
static sl_rc truncate_bounds(sl_applier *a, const sl_change *change, sl_bound ***bounds,
                             sl_error *err)
{
    *bounds = SL_NEW_ARRAY(&a->scratch, sl_bound *, change->n_rels);
    for (int i = 0; i < change->n_rels; i++) {
        const sl_route *route = change->rels[i]->route;
        if (!route || route->relkind == 'p' || !(route->operations & SL_OP_TRUNCATE) ||
            left_out(a, route))
            continue;
        if (bind(a, change->rels[i], &(*bounds)[i], err) != SL_OK)
            return err->code;
    }
    return SL_OK;
}

/* Sends one change by itself, in order; tag is its index + 1. */
sl_rc sl_apply_one(sl_applier *a, const sl_change *change, uint32_t tag, sl_error *err)
{
    if (change->op == SL_CHANGE_TRUNCATE) {
        sl_bound **bounds;
        if (truncate_bounds(a, change, &bounds, err) != SL_OK)
            return err->code;
        sl_write_truncate(a->writer, bounds, change->n_rels, change, tag);
        return SL_OK;
    }
    sl_bound *bound;
    if (left_out(a, change->rel->route))
        return SL_OK;
    if (bind(a, change->rel, &bound, err) == SL_OK && bound)
        sl_write_change(a->writer, bound, change, tag);
    return err->code;
}

/* ---- sending a segment ---- */

static sl_rc ensure_begun(sl_applier *a, const segment *seg, sl_error *err)
{
    if (a->begun)
        return SL_OK;
    if (sl_applier_settle(a, err) != SL_OK)
        return err->code;
    a->begun = true;
    const sl_batch_txn *last = &seg->batch->txns[seg->to - 1];
    if (!a->open) {
        sl_apply_begin(a);
        if (seg->part) {
            sl_apply_fence(a);
        } else {
            sl_apply_measure(a, seg->batch, seg->from, seg->to);
            sl_apply_advance(a, &last->txn);
            if (a->strict)
                sl_session_send(a->session, "SET CONSTRAINTS ALL DEFERRED", NULL);
        }
        a->open = true;
    }
    if (seg->part)
        sl_session_send(a->session, "SAVEPOINT part", NULL);
    return SL_OK;
}

static sl_rc flush_group(sl_applier *a, const segment *seg, sl_group *group, sl_error *err)
{
    if (group->n_rows == 0)
        return SL_OK;
    if (ensure_begun(a, seg, err) == SL_OK)
        sl_write_group(a->writer, group);
    return err->code;
}

/* All groups; those of one COPY first, for COPY cannot be pipelined. */
static sl_rc flush_all(sl_applier *a, const segment *seg, sl_error *err)
{
    sl_group *groups = sl_coalescer_groups(a->coalescer);
    for (sl_group *group = groups; group; group = group->next)
        if (group->n_rows && sl_write_is_copy(a->writer, group) &&
            flush_group(a, seg, group, err) != SL_OK)
            return err->code;
    for (sl_group *group = groups; group; group = group->next)
        if (flush_group(a, seg, group, err) != SL_OK)
            return err->code;
    return SL_OK;
}

/* What is pending of a table, in any version of its relation. */
static sl_rc flush_table(sl_applier *a, const segment *seg, const sl_route *route, sl_error *err)
{
    for (sl_group *g = sl_coalescer_groups(a->coalescer); g; g = g->next)
        if (g->bound->route == route && flush_group(a, seg, g, err) != SL_OK)
            return err->code;
    return SL_OK;
}

static sl_rc barrier(sl_applier *a, const segment *seg, const sl_change *change, uint32_t tag,
                     sl_error *err)
{
    sl_rc rc = SL_OK;
    if (a->strict)
        rc = flush_all(a, seg, err);
    else if (change->op != SL_CHANGE_TRUNCATE)
        rc = flush_table(a, seg, change->rel->route, err);
    for (int i = 0; rc == SL_OK && i < change->n_rels; i++)
        if (change->rels[i]->route)
            rc = flush_table(a, seg, change->rels[i]->route, err);
    if (rc == SL_OK)
        rc = ensure_begun(a, seg, err);
    return rc == SL_OK ? sl_apply_one(a, change, tag, err) : rc;
}

/* Where foreign keys act nothing is reordered: only a run of INSERTs into one table is kept
 * together. */
static sl_rc take_strict(sl_applier *a, const segment *seg, sl_bound *bound,
                         const sl_change *change, uint32_t tag, sl_error *err)
{
    if (change->op != SL_CHANGE_INSERT || bound->upsert)
        return barrier(a, seg, change, tag, err);
    if ((!bound->group || bound->group->n_rows == 0) && flush_all(a, seg, err) != SL_OK)
        return err->code;
    sl_coalesce_append(a->coalescer, bound, change);
    return SL_OK;
}

static sl_rc take_change(sl_applier *a, const segment *seg, uint32_t index, sl_error *err)
{
    const sl_change *change = seg->batch->changes[index];
    a->commit_lsn = seg->batch->txns[change->txn].txn.commit_lsn;
    if (change->op == SL_CHANGE_TRUNCATE)
        return barrier(a, seg, change, index + 1, err);
    if (left_out(a, change->rel->route))
        return SL_OK;
    sl_bound *bound = change->rel->bound;
    if (!bound) {
        /* A new version of the relation: what is pending under the old one comes first. */
        if (flush_table(a, seg, change->rel->route, err) != SL_OK ||
            bind(a, change->rel, &bound, err) != SL_OK || !bound)
            return err->code;
    }
    if (a->strict)
        return take_strict(a, seg, bound, change, index + 1, err);
    if (sl_coalesce(a->coalescer, bound, change))
        return SL_OK;
    return barrier(a, seg, change, index + 1, err);
}

void sl_segment_range(const segment *seg, uint32_t *from, uint32_t *to)
{
    *from = seg->batch->txns[seg->from].first;
    *to = seg->batch->txns[seg->to - 1].first + seg->batch->txns[seg->to - 1].n;
}

static sl_rc send_segment(sl_applier *a, const segment *seg, sl_error *err)
{
    uint32_t from, to;
    sl_segment_range(seg, &from, &to);
    a->begun = false;
    sl_coalescer_reset(a->coalescer, to - from);
    sl_arena_reset(&a->scratch);
    for (uint32_t i = from; i < to; i++)
        if (take_change(a, seg, i, err) != SL_OK)
            return err->code;
    if (flush_all(a, seg, err) != SL_OK || ensure_begun(a, seg, err) != SL_OK)
        return err->code;
    a->pending = *seg;
    sl_session_sync(a->session);
    return SL_OK;
}

/* ---- settling ---- */

static void count(sl_applier *a, const segment *seg)
{
    uint32_t from, to;
    int64_t n[SL_CHANGE_OPS] = { 0 };
    sl_segment_range(seg, &from, &to);
    for (uint32_t i = from; i < to; i++) {
        const sl_change *change = seg->batch->changes[i];
        const sl_bound *bound = change->rel->bound;
        n[change->op]++;
        if (!bound || change->op == SL_CHANGE_TRUNCATE)
            continue;
        _Atomic int64_t *counters[] = { &bound->table->inserts, &bound->table->updates,
                                        &bound->table->deletes };
        atomic_fetch_add_explicit(counters[change->op], 1, memory_order_relaxed);
    }
    a->run->progress.inserts += n[SL_CHANGE_INSERT];
    a->run->progress.updates += n[SL_CHANGE_UPDATE];
    a->run->progress.deletes += n[SL_CHANGE_DELETE];
    a->run->progress.truncates += n[SL_CHANGE_TRUNCATE];
}

static void settled(sl_applier *a, const segment *seg)
{
    const sl_batch_txn *last = &seg->batch->txns[seg->to - 1];
    count(a, seg);
    sl_conflicts_keep(a->run);
    uint32_t ended = seg->to - seg->from - (last->txn.end_lsn ? 0 : 1);
    a->run->progress.transactions += ended;
    if (!last->txn.end_lsn) {
        sl_apply_measure(a, seg->batch, seg->from, seg->to);
        a->carried_rows += a->rows;
        a->carried_bytes += a->bytes;
        a->rows = a->bytes = 0;
    } else {
        a->applied = last->txn.end_lsn;
        a->run->progress.applied_lsn = a->applied;
    }
    if (seg->last)
        sl_batch_free(seg->batch);
}

/* The counts are as expected: only now may the segment become permanent. A part's RELEASE needs no
 * answer, it goes with what is sent next. */
static sl_rc finish_segment(sl_applier *a, const segment *seg, sl_failure *failure)
{
    const sl_batch_txn *last = &seg->batch->txns[seg->to - 1];
    if (seg->part)
        sl_session_send(a->session, "RELEASE part", NULL);
    if (!last->txn.end_lsn)
        return SL_OK;
    if (seg->part) {
        sl_apply_measure(a, seg->batch, seg->from, seg->to);
        sl_apply_advance(a, &last->txn);
    }
    return sl_apply_commit(a, failure);
}

sl_rc sl_applier_settle(sl_applier *a, sl_error *err)
{
    sl_failure failure;
    segment seg = a->pending;
    if (!seg.batch)
        return SL_OK;
    if (a->broken)
        return sl_fail(err, SL_CANCELLED, "applying was given up");
    sl_rc rc = sl_session_wait(a->session, &failure);
    bool at_commit = rc == SL_OK;
    if (rc == SL_OK)
        rc = finish_segment(a, &seg, &failure);
    if (rc == SL_FAILED)
        rc = sl_apply_fallback(a, &seg, &failure, at_commit, err);
    else if (rc != SL_OK)
        *err = failure.err, err->code = rc;
    if (rc != SL_OK) {
        a->broken = true;
        return sl_while(err, "applying changes");
    }
    a->pending = (segment){ 0 };
    settled(a, &seg);
    return SL_OK;
}

/* ---- batches ---- */

static sl_rc send_part(sl_applier *a, sl_batch *batch, uint32_t txn, sl_error *err)
{
    segment seg = {
        .batch = batch, .from = txn, .to = txn + 1, .part = true, .last = txn + 1 == batch->n_txns
    };
    return send_segment(a, &seg, err);
}

sl_rc sl_applier_apply(sl_applier *a, sl_batch *batch, sl_error *err)
{
    uint32_t from = 0, whole = batch->n_txns - (sl_batch_open(batch) ? 1 : 0);
    sl_rc rc = SL_OK;
    if (batch->n_txns == 0) {
        sl_batch_free(batch);
        return SL_OK;
    }
    if (batch->txns[0].continued) {
        rc = send_part(a, batch, 0, err);
        from = 1;
    }
    if (rc == SL_OK && from < whole) {
        segment seg = { .batch = batch, .from = from, .to = whole, .last = whole == batch->n_txns };
        rc = send_segment(a, &seg, err);
        from = whole;
    }
    if (rc == SL_OK && from < batch->n_txns)
        rc = send_part(a, batch, from, err);
    if (rc != SL_OK && a->pending.batch != batch)
        sl_batch_free(batch);
    return rc;
}
