/* fallback.c: a segment that failed is applied again from its originals, one change per statement,
 * in order.
 *
 * First all of it at once, in a pipeline: what only failed because rows were reordered (unique
 * values that are swapped) succeeds now. If that fails too, the failing change is known: the
 * transactions before it are committed, its own is applied with care (a savepoint before every few
 * changes), and the change itself goes by the policy: a missing row is brought back (conflict:
 * proceed), the change is set aside in the error list within the same transaction, or the stream
 * stops with everything before that transaction applied. */
#include "core/log.h"
#include "stream/apply_internal.h"
#include "stream/conflicts.h"

#include <stdlib.h>
#include <string.h>

#define CAREFUL_CHANGES 256 /* between two savepoints */

static sl_rc take_failure(const sl_failure *failure, sl_error *err)
{
    *err = failure->err;
    err->code = failure->rc;
    return failure->rc;
}

/* Changes [from, to) in the open transaction. SL_FAILED with *failure for the data's errors. */
static sl_rc send_changes(sl_applier *a, const sl_batch *batch, uint32_t from, uint32_t to,
                          sl_error *err)
{
    for (uint32_t i = from; i < to && !sl_session_failed(a->session); i++) {
        a->commit_lsn = batch->txns[batch->changes[i]->txn].txn.commit_lsn;
        if (sl_apply_one(a, batch->changes[i], i + 1, err) != SL_OK)
            return err->code;
    }
    return SL_OK;
}

/* ---- one change that fails by itself ---- */

static sl_rc record(sl_applier *a, sl_pg *pg, const sl_change_error *e, bool *again, sl_error *err)
{
    if (sl_state_record_error(a->run, pg, e, again, err) != SL_OK)
        return err->code;
    sl_event(a->run, "change.failed", "{s:s, s:s, s:s, s:s, s:s*, s:s*, s:s}", "state", e->state,
             "schema", e->schema, "table", e->table, "operation", e->operation, "conflict",
             e->conflict, "key", e->key, "message", e->message);
    return SL_OK;
}

static void count_conflict(sl_applier *a, const sl_bound *bound, const sl_change_error *e)
{
    sl_conflict_kind kind = sl_conflict_kind_of(e->conflict);
    if (kind < SL_CONFLICT_KINDS)
        sl_conflicts_note(a->run, bound->table, kind, 1);
}

static sl_rc stop_at(sl_applier *a, const sl_bound *bound, sl_change_error *e,
                     const sl_failure *failure, sl_error *err)
{
    bool again = false;
    sl_error ignored = SL_ERROR_INIT;
    if (sl_apply_rollback(a, "ROLLBACK", err) != SL_OK)
        return err->code;
    a->open = false;
    e->state = "stopped";
    sl_conflicts_forget(a->run); /* with the transaction */
    if (record(a, a->control, e, &again, &ignored) != SL_OK)
        sl_log_error(&ignored, "recording the change that stops the stream");
    if (!again) /* else an earlier run has counted it */
        count_conflict(a, bound, e);
    sl_conflicts_keep(a->run);
    return sl_stop_error(a->run, e, failure, err);
}

static sl_rc set_aside(sl_applier *a, sl_change_error *e, sl_error *err)
{
    sl_pg *pg;
    sl_failure failure;
    if (sl_session_plain(a->session, &pg, &failure) != SL_OK)
        return take_failure(&failure, err);
    bool again;
    e->state = "set_aside";
    return record(a, pg, e, &again, err);
}

/* conflict: proceed, and the row of an UPDATE is missing: its new values are inserted. */
static sl_rc bring_back(sl_applier *a, const sl_change *change, uint32_t tag, sl_failure *failure,
                        bool *done, sl_error *err)
{
    sl_bound *bound = change->rel->bound;
    *done = false;
    if (a->run->spec->conflict != SL_CONFLICT_PROCEED || change->op != SL_CHANGE_UPDATE ||
        !failure->wrong_count || failure->count != 0)
        return SL_OK;
    sl_session_send(a->session, "SAVEPOINT back", NULL);
    if (sl_write_upsert(a->writer, bound, change, tag)) {
        sl_session_send(a->session, "RELEASE back", NULL);
        sl_session_sync(a->session);
        sl_failure again;
        sl_rc rc = sl_session_wait(a->session, &again);
        if (rc == SL_OK) {
            sl_conflicts_note(a->run, bound->table, SL_ROW_MISSING, 1);
            *done = true;
            return SL_OK;
        }
        if (rc != SL_FAILED)
            return take_failure(&again, err);
        *failure = again;
    }
    if (sl_apply_rollback(a, "ROLLBACK TO back", err) == SL_OK)
        sl_session_send(a->session, "RELEASE back", NULL);
    return err->code;
}

static sl_rc handle_change(sl_applier *a, const sl_batch *batch, uint32_t index,
                           sl_failure *failure, sl_error *err)
{
    SL_SCRATCH(tmp);
    bool done;
    sl_change_error e;
    const sl_change *change = batch->changes[index];
    if (bring_back(a, change, index + 1, failure, &done, err) != SL_OK || done)
        return err->code;
    sl_bound *bound = change->rel->bound;
    if (!bound) /* TRUNCATE of which the first table is not synchronized */
        for (int i = 0; i < change->n_rels && !bound; i++)
            bound = change->rels[i]->bound;
    sl_describe_change(a->control, a->binary, bound, change, &batch->txns[change->txn].txn, failure,
                       &tmp, &e);
    if (a->run->spec->on_error == SL_ON_ERROR_STOP)
        return stop_at(a, bound, &e, failure, err);
    count_conflict(a, bound, &e);
    return set_aside(a, &e, err);
}

/* ---- with care ---- */

/* Changes [from, to) in the open transaction, each that fails by the policy. */
static sl_rc careful_range(sl_applier *a, const sl_batch *batch, uint32_t from, uint32_t to,
                           sl_error *err)
{
    uint32_t limit = to;
    while (from < to) {
        sl_failure failure;
        uint32_t end = limit - from > CAREFUL_CHANGES ? from + CAREFUL_CHANGES : limit;
        sl_session_send(a->session, "SAVEPOINT care", NULL);
        if (send_changes(a, batch, from, end, err) != SL_OK)
            return err->code;
        sl_session_sync(a->session);
        sl_rc rc = sl_session_wait(a->session, &failure);
        if (rc == SL_OK) {
            sl_session_send(a->session, "RELEASE care", NULL);
            from = end;
            limit = from == limit ? to : limit;
            continue;
        }
        if (rc != SL_FAILED || failure.tag == 0)
            return take_failure(&failure, err);
        if (sl_apply_rollback(a, "ROLLBACK TO care", err) != SL_OK)
            return err->code;
        sl_session_send(a->session, "RELEASE care", NULL);
        limit = failure.tag - 1; /* the good ones before it first, then it alone */
        if (limit > from)
            continue;
        if (handle_change(a, batch, from, &failure, err) != SL_OK)
            return err->code;
        from++;
        limit = to;
    }
    return SL_OK;
}

/* An error that no change is to blame for alone, such as a deferred constraint's at COMMIT. */
static sl_rc transaction_failed(sl_applier *a, const sl_txn *txn, const sl_failure *failure,
                                sl_error *err)
{
    if (failure->rc != SL_FAILED)
        return take_failure(failure, err);
    sl_error_clear(err);
    sl_fail(err, SL_FAILED, "transaction " SL_LSN_FMT " cannot be committed in the destination: %s",
            SL_LSN_ARGS(txn->commit_lsn), failure->err.message);
    memcpy(err->sqlstate, failure->err.sqlstate, sizeof(err->sqlstate));
    return sl_hint(err,
                   "%s%sMake the destination able to take it and run again, or leave the whole "
                   "transaction out: `pgsluice skip %s --lsn " SL_LSN_FMT "`.",
                   failure->err.hint, failure->err.hint[0] ? " " : "", a->run->spec->file,
                   SL_LSN_ARGS(txn->commit_lsn));
}

static sl_rc careful_transaction(sl_applier *a, const segment *seg, uint32_t txn, sl_error *err)
{
    const sl_batch_txn *t = &seg->batch->txns[txn];
    sl_failure failure = { 0 };
    sl_apply_begin(a);
    sl_apply_fence(a);
    a->open = true;
    if (careful_range(a, seg->batch, t->first, t->first + t->n, err) != SL_OK)
        return err->code;
    sl_apply_measure(a, seg->batch, txn, txn + 1);
    sl_apply_advance(a, &t->txn);
    if (sl_apply_commit(a, &failure) != SL_OK)
        return transaction_failed(a, &t->txn, &failure, err);
    return SL_OK;
}

/* ---- all at once ---- */

/* Transactions [from, to) in one of the destination's, in order. */
static sl_rc ordered(sl_applier *a, const segment *seg, uint32_t from, uint32_t to,
                     sl_failure *failure, sl_error *err)
{
    const sl_batch *batch = seg->batch;
    const sl_batch_txn *last = &batch->txns[to - 1];
    sl_apply_begin(a);
    sl_apply_fence(a);
    a->open = true;
    if (send_changes(a, batch, batch->txns[from].first, last->first + last->n, err) != SL_OK)
        return err->code;
    sl_session_sync(a->session);
    sl_rc rc = sl_session_wait(a->session, failure);
    if (rc == SL_OK) {
        sl_apply_measure(a, batch, from, to);
        sl_apply_advance(a, &last->txn);
        rc = sl_apply_commit(a, failure);
    }
    if (rc != SL_OK && rc != SL_FAILED)
        return take_failure(failure, err);
    return rc;
}

static sl_rc rollback_all(sl_applier *a, sl_error *err)
{
    a->open = false;
    sl_conflicts_forget(a->run);
    return sl_apply_rollback(a, "ROLLBACK", err);
}

/* The transaction that a failure belongs to; `from` when it says nothing. */
static uint32_t guilty(const segment *seg, const sl_failure *failure, uint32_t from)
{
    return failure->tag ? seg->batch->changes[failure->tag - 1]->txn : from;
}

static sl_rc fall_back_whole(sl_applier *a, const segment *seg, sl_error *err)
{
    if (rollback_all(a, err) != SL_OK)
        return err->code;
    for (uint32_t from = seg->from; from < seg->to;) {
        sl_failure failure = { 0 };
        sl_rc rc = ordered(a, seg, from, seg->to, &failure, err);
        if (rc == SL_OK)
            return SL_OK;
        if (rc != SL_FAILED || err->code != SL_OK || rollback_all(a, err) != SL_OK)
            return err->code;
        uint32_t bad = guilty(seg, &failure, from);
        if (bad > from) {
            rc = ordered(a, seg, from, bad, &failure, err);
            if (rc == SL_FAILED && err->code == SL_OK) { /* another one, earlier */
                if (rollback_all(a, err) != SL_OK)
                    return err->code;
                bad = guilty(seg, &failure, from);
            } else if (rc != SL_OK) {
                return err->code;
            } else {
                from = bad;
            }
        }
        if (bad == from) {
            if (careful_transaction(a, seg, from, err) != SL_OK)
                return err->code;
            from++;
        }
    }
    return SL_OK;
}

static sl_rc fall_back_part(sl_applier *a, const segment *seg, sl_error *err)
{
    uint32_t from, to;
    const sl_batch_txn *t = &seg->batch->txns[seg->from];
    sl_failure failure = { 0 };
    sl_segment_range(seg, &from, &to);
    sl_conflicts_forget(a->run);
    if (sl_apply_rollback(a, "ROLLBACK TO part", err) != SL_OK ||
        careful_range(a, seg->batch, from, to, err) != SL_OK)
        return err->code;
    if (!t->txn.end_lsn)
        return SL_OK;
    sl_apply_measure(a, seg->batch, seg->from, seg->to);
    sl_apply_advance(a, &t->txn);
    if (sl_apply_commit(a, &failure) != SL_OK)
        return transaction_failed(a, &t->txn, &failure, err);
    return SL_OK;
}

sl_rc sl_apply_fallback(sl_applier *a, const segment *seg, sl_failure *failure, bool at_commit,
                        sl_error *err)
{
    const sl_batch_txn *last = &seg->batch->txns[seg->to - 1];
    a->run->progress.fallbacks++;
    sl_debug("applying %u transactions up to " SL_LSN_FMT " one by one: %s", seg->to - seg->from,
             SL_LSN_ARGS(last->txn.commit_lsn), failure->err.message);
    if (!seg->part)
        return fall_back_whole(a, seg, err);
    if (at_commit) /* the savepoint is gone */
        return transaction_failed(a, &last->txn, failure, err);
    return fall_back_part(a, seg, err);
}
