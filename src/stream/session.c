/* session.c: the pipeline, its expectations, and waiting that a request to stop can end.
 *
 * Invariants:
 *  1. Every statement sent has one entry in the ring of expectations; results come in that order.
 *  2. The connection is non-blocking. Whoever sends much lets results in (`pump`) as soon as the
 *     socket is full, so that client and server never wait for each other, and at most one
 *     statement's parameters lie in memory unsent.
 *  3. After a request to stop, what was sent has STOP_GRACE to end; then it is cancelled, and
 *     after the same time again the connection is given up. */
#include "stream/session.h"

#include "stream/conflicts.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STOP_GRACE_US 1500000

struct sl_session {
    sl_run *run;
    sl_pg *pg;
    sl_expect *ring;
    uint32_t head, n, cap;
    bool pipeline;  /* in pipeline mode */
    bool separator; /* the NULL after a result is still to come */
    bool copying;
    uint32_t copy_tag, unpolled;
    int64_t stop_seen_us;
    bool cancelled;
    sl_failure failure;
    sl_stmt *newest, *oldest;
    int n_stmts;
    uint64_t last_name;
    int binary[SL_MAX_ROW_PARAMS]; /* formats of parameters: all 1 */
};

/* ---- failures ---- */

static void fail(sl_session *s, const sl_expect *e, sl_rc rc)
{
    s->failure.rc = rc;
    s->failure.tag = e ? e->tag : 0;
}

/* A broken connection: nothing that was sent will be answered. */
static void fail_connection(sl_session *s)
{
    if (s->failure.rc == SL_OK) {
        sl_pg_fail(s->pg, NULL, &s->failure.err);
        fail(s, NULL, SL_TRANSIENT);
    }
    s->n = 0;
    s->separator = s->copying = false;
}

static void fail_result(sl_session *s, const sl_expect *e, const PGresult *res)
{
    if (s->failure.rc != SL_OK)
        return;
    const char *constraint = PQresultErrorField(res, PG_DIAG_CONSTRAINT_NAME);
    snprintf(s->failure.constraint, sizeof(s->failure.constraint), "%s",
             constraint ? constraint : "");
    sl_rc rc = sl_pg_fail(s->pg, res, &s->failure.err);
    if (s->cancelled)
        rc = SL_CANCELLED;
    else if (e->kind == SL_EXPECT_FENCE && strcmp(s->failure.err.sqlstate, "22012") == 0)
        rc = SL_FENCED;
    if (rc == SL_FENCED) {
        sl_error_clear(&s->failure.err);
        sl_fail(&s->failure.err, rc, "another pgsluice has taken task %s over", s->run->id);
    }
    fail(s, e, rc);
}

static void fail_count(sl_session *s, const sl_expect *e, int64_t count)
{
    if (s->failure.rc != SL_OK)
        return;
    s->failure.wrong_count = true;
    s->failure.count = count;
    sl_fail(&s->failure.err, SL_FAILED, "%lld rows were affected where %lld were expected",
            (long long)count, (long long)e->count);
    fail(s, e, SL_FAILED);
}

bool sl_session_failed(const sl_session *s)
{
    return s->failure.rc != SL_OK;
}

void sl_session_refuse(sl_session *s, uint32_t tag, const char *message, const char *hint)
{
    sl_expect e = { .tag = tag };
    if (s->failure.rc != SL_OK)
        return;
    sl_fail(&s->failure.err, SL_FAILED, "%s", message);
    sl_hint(&s->failure.err, "%s", hint);
    fail(s, &e, SL_FAILED);
}

/* ---- results ---- */

static void count_conflicts(sl_session *s, const sl_expect *e, sl_conflict_kind kind, int64_t n)
{
    s->failure.conflicts += n;
    if (e->bound)
        sl_conflicts_note(s->run, e->bound->table, kind, n);
}

static void fail_commit(sl_session *s, const sl_expect *e)
{
    if (s->failure.rc != SL_OK)
        return;
    sl_fail(&s->failure.err, SL_TRANSIENT, "the destination rolled the transaction back");
    fail(s, e, SL_TRANSIENT);
}

static void check_result(sl_session *s, const sl_expect *e, const PGresult *res)
{
    if (e->kind == SL_EXPECT_COMMIT) {
        if (strcmp(PQcmdStatus((PGresult *)(uintptr_t)res), "COMMIT") != 0)
            fail_commit(s, e);
    } else if (e->kind == SL_EXPECT_UPSERT) {
        int64_t written = sl_cell_int(res, 0, 0);
        if (written != e->count)
            fail_count(s, e, written);
        count_conflicts(s, e, SL_ROW_EXISTS, sl_cell_int(res, 0, 1));
    } else if (e->kind == SL_EXPECT_COUNT) {
        int64_t count = strtoll(PQcmdTuples((PGresult *)(uintptr_t)res), NULL, 10);
        if (count > e->count || (count < e->count && !e->missing_ok))
            fail_count(s, e, count);
        else if (count < e->count)
            count_conflicts(s, e, SL_ROW_MISSING, e->count - count);
    }
}

static void settle(sl_session *s, const sl_expect *e, const PGresult *res)
{
    ExecStatusType status = PQresultStatus(res);
    bool good = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
    if (e->kind == SL_EXPECT_PREPARE && e->stmt) {
        e->stmt->confirmed = good;
        e->stmt->prepared = good;
    }
    if (status == PGRES_PIPELINE_ABORTED || status == PGRES_PIPELINE_SYNC)
        return;
    if (!good)
        fail_result(s, e, res);
    else
        check_result(s, e, res);
}

/* Takes what libpq has, without waiting. */
static void take_results(sl_session *s)
{
    while (s->n > 0 && !PQisBusy(s->pg->conn)) {
        SL_RESULT(res);
        res = PQgetResult(s->pg->conn);
        if (s->separator) { /* a NULL ends each statement's results */
            s->separator = res != NULL;
            continue;
        }
        if (!res) {
            fail_connection(s);
            return;
        }
        sl_expect e = s->ring[s->head];
        s->head = (s->head + 1) % s->cap;
        s->n--;
        s->separator = e.kind != SL_EXPECT_SYNC;
        settle(s, &e, res);
    }
}

/* Waits for the socket. False when the wait must end. */
static bool wait_socket(sl_session *s, bool for_write)
{
    struct pollfd p = { .fd = PQsocket(s->pg->conn), .events = POLLIN };
    if (for_write)
        p.events |= POLLOUT;
    if (sl_stopping(s->run->stop)) {
        int64_t now = sl_mono_us();
        s->stop_seen_us = s->stop_seen_us ? s->stop_seen_us : now;
        if (!s->cancelled && now - s->stop_seen_us > STOP_GRACE_US) {
            s->cancelled = true;
            sl_pg_cancel(s->pg);
        } else if (now - s->stop_seen_us > 2 * STOP_GRACE_US) {
            fail_connection(s); /* a server that does not even answer the cancel */
            return false;
        }
    }
    if (poll(&p, 1, 100) > 0 && (p.revents & (POLLIN | POLLERR | POLLHUP)) &&
        !PQconsumeInput(s->pg->conn)) {
        fail_connection(s);
        return false;
    }
    return true;
}

/* Sends what is unsent, and with `all` waits for every result. */
static void pump(sl_session *s, bool all)
{
    s->unpolled = 0;
    for (;;) {
        int unsent = PQflush(s->pg->conn);
        if (unsent < 0) {
            /* An error that the server sent before it closed says more than the broken socket. */
            PQconsumeInput(s->pg->conn);
            take_results(s);
            fail_connection(s);
            return;
        }
        take_results(s);
        if (all ? s->n == 0 : unsent == 0)
            return;
        if (!wait_socket(s, unsent > 0))
            return;
    }
}

sl_rc sl_session_wait(sl_session *s, sl_failure *failure)
{
    pump(s, true);
    *failure = s->failure;
    s->failure = (sl_failure){ 0 };
    return failure->rc;
}

/* ---- sending ---- */

static bool enter_pipeline(sl_session *s)
{
    if (!s->pipeline) {
        if (!PQenterPipelineMode(s->pg->conn)) {
            fail_connection(s);
            return false;
        }
        s->pipeline = true;
    }
    return true;
}

static void expect(sl_session *s, const sl_expect *e)
{
    if (s->n == s->cap) {
        uint32_t cap = s->cap ? s->cap * 2 : 256;
        sl_expect *ring = sl_xmalloc(cap * sizeof(*ring));
        for (uint32_t i = 0; i < s->n; i++)
            ring[i] = s->ring[(s->head + i) % s->cap];
        free(s->ring);
        s->ring = ring;
        s->head = 0;
        s->cap = cap;
    }
    s->ring[(s->head + s->n++) % s->cap] = *e;
}

static void sent(sl_session *s, int ok, const sl_expect *e)
{
    if (!ok) {
        fail_connection(s);
        return;
    }
    expect(s, e);
    if (++s->unpolled >= 64)
        pump(s, false);
}

void sl_session_send_params(sl_session *s, const char *sql, int n, const char *const *values,
                            const sl_expect *e)
{
    if (!sl_session_failed(s) && enter_pipeline(s))
        sent(s, PQsendQueryParams(s->pg->conn, sql, n, NULL, values, NULL, NULL, 0), e);
}

void sl_session_send(sl_session *s, const char *sql, const sl_expect *e)
{
    static const sl_expect done = { .kind = SL_EXPECT_DONE };
    sl_session_send_params(s, sql, 0, NULL, e ? e : &done);
}

void sl_session_sync(sl_session *s)
{
    static const sl_expect sync = { .kind = SL_EXPECT_SYNC };
    if (PQstatus(s->pg->conn) == CONNECTION_BAD || !s->pipeline)
        return;
    /* Also after a failure: the server skips everything up to here. */
    if (PQpipelineSync(s->pg->conn))
        expect(s, &sync);
    else
        fail_connection(s);
    pump(s, false);
}

/* ---- prepared statements ---- */

static void unlink_stmt(sl_session *s, sl_stmt *stmt)
{
    *(stmt->newer ? &stmt->newer->older : &s->newest) = stmt->older;
    *(stmt->older ? &stmt->older->newer : &s->oldest) = stmt->newer;
    stmt->newer = stmt->older = NULL;
}

static void link_newest(sl_session *s, sl_stmt *stmt)
{
    stmt->older = s->newest;
    *(s->newest ? &s->newest->newer : &s->oldest) = stmt;
    s->newest = stmt;
}

static void drop_stmt(sl_session *s, sl_stmt *stmt)
{
    char sql[40];
    if (stmt->prepared) {
        snprintf(sql, sizeof(sql), "DEALLOCATE %s", stmt->name);
        sl_session_send(s, sql, NULL);
    }
    unlink_stmt(s, stmt);
    s->n_stmts--;
    *stmt->owner = NULL;
    for (uint32_t i = 0; i < s->n && !stmt->confirmed; i++) { /* its PREPARE is not answered yet */
        sl_expect *e = &s->ring[(s->head + i) % s->cap];
        if (e->stmt == stmt)
            e->stmt = NULL;
    }
    free(stmt);
}

sl_stmt *sl_session_prepare(sl_session *s, sl_stmt **owner, const char *sql, int n,
                            const Oid *types, uint32_t tag)
{
    if (*owner)
        drop_stmt(s, *owner);
    if (s->n_stmts >= SL_MAX_STATEMENTS)
        drop_stmt(s, s->oldest);
    sl_stmt *stmt = sl_xcalloc(1, sizeof(*stmt));
    snprintf(stmt->name, sizeof(stmt->name), "s%llu", (unsigned long long)++s->last_name);
    stmt->n_params = (uint16_t)n;
    stmt->owner = owner;
    *owner = stmt;
    link_newest(s, stmt);
    s->n_stmts++;
    sl_expect e = { .kind = SL_EXPECT_PREPARE, .tag = tag, .stmt = stmt };
    if (!sl_session_failed(s) && enter_pipeline(s)) {
        stmt->prepared = true;
        sent(s, PQsendPrepare(s->pg->conn, stmt->name, sql, n, types), &e);
    }
    return stmt;
}

void sl_session_run(sl_session *s, sl_stmt *stmt, const char *const *values, const int *lengths,
                    const sl_expect *e)
{
    if (sl_session_failed(s) || !enter_pipeline(s))
        return;
    if (stmt != s->newest) {
        unlink_stmt(s, stmt);
        link_newest(s, stmt);
    }
    sent(s,
         PQsendQueryPrepared(s->pg->conn, stmt->name, stmt->n_params, values, lengths, s->binary,
                             0),
         e);
}

/* ---- out of the pipeline ---- */

static bool leave_pipeline(sl_session *s)
{
    pump(s, true);
    if (s->pipeline && PQstatus(s->pg->conn) == CONNECTION_OK) {
        if (!PQexitPipelineMode(s->pg->conn)) {
            fail_connection(s);
            return false;
        }
        s->pipeline = false;
    }
    return PQstatus(s->pg->conn) == CONNECTION_OK;
}

sl_rc sl_session_plain(sl_session *s, sl_pg **pg, sl_failure *failure)
{
    if (s->pipeline && s->n > 0)
        sl_session_sync(s);
    leave_pipeline(s);
    *pg = s->pg;
    *failure = s->failure;
    s->failure = (sl_failure){ 0 };
    return failure->rc;
}

void sl_session_copy_begin(sl_session *s, const char *sql, uint32_t tag)
{
    static const sl_expect any = { .kind = SL_EXPECT_DONE };
    if (s->n > 0)
        sl_session_sync(s);
    if (sl_session_failed(s) || !leave_pipeline(s) || sl_session_failed(s))
        return;
    s->copy_tag = tag;
    if (!PQsendQuery(s->pg->conn, sql)) {
        fail_connection(s);
        return;
    }
    while (PQisBusy(s->pg->conn) || PQflush(s->pg->conn) > 0)
        if (!wait_socket(s, PQflush(s->pg->conn) > 0))
            return;
    SL_RESULT(res);
    res = PQgetResult(s->pg->conn);
    if (PQresultStatus(res) == PGRES_COPY_IN) {
        s->copying = true;
        return;
    }
    sl_expect e = any;
    e.tag = tag;
    fail_result(s, &e, res);
    for (PGresult *more; (more = PQgetResult(s->pg->conn));)
        PQclear(more);
}

void sl_session_copy_data(sl_session *s, const char *data, size_t n)
{
    while (s->copying) {
        int rc = PQputCopyData(s->pg->conn, data, (int)n);
        if (rc > 0)
            break;
        if (rc < 0) {
            fail_connection(s);
            return;
        }
        if (!wait_socket(s, true))
            return;
    }
    int unsent;
    while (s->copying && (unsent = PQflush(s->pg->conn)) != 0) {
        if (unsent < 0) {
            fail_connection(s);
            return;
        }
        if (!wait_socket(s, true))
            return;
    }
}

void sl_session_copy_end(sl_session *s, int64_t expected)
{
    if (!s->copying)
        return;
    s->copying = false;
    int rc;
    while ((rc = PQputCopyEnd(s->pg->conn, sl_session_failed(s) ? "given up" : NULL)) == 0)
        if (!wait_socket(s, true))
            return;
    while (rc > 0 && ((rc = PQflush(s->pg->conn)) > 0 || PQisBusy(s->pg->conn))) {
        if (!wait_socket(s, rc > 0))
            return;
        rc = 1;
    }
    SL_RESULT(res);
    res = PQgetResult(s->pg->conn);
    sl_expect e = { .kind = SL_EXPECT_COUNT, .tag = s->copy_tag, .count = expected };
    if (PQresultStatus(res) == PGRES_COMMAND_OK)
        check_result(s, &e, res);
    else if (PQstatus(s->pg->conn) == CONNECTION_BAD)
        fail_connection(s);
    else
        fail_result(s, &e, res);
    for (PGresult *more; (more = PQgetResult(s->pg->conn));)
        PQclear(more);
}

/* ---- life ---- */

/* The planner is pinned to the index of the key whatever statistics say: a table that was empty
 * when it was analyzed must not be scanned for every row when it has grown. */
static sl_rc set_up(sl_session *s, sl_error *err)
{
    SL_BUF(sql);
    sl_buf_puts(&sql, "SET synchronous_commit = off; SET enable_hashjoin = off;"
                      " SET enable_mergejoin = off; SET enable_seqscan = off;"
                      " SET enable_bitmapscan = off; SET enable_material = off");
    if (s->pg->version >= SL_PG_11)
        sl_buf_puts(&sql, "; SET jit = off");
    if (s->pg->version >= SL_PG_12)
        sl_buf_puts(&sql, "; SET plan_cache_mode = force_generic_plan");
    if (s->pg->version >= SL_PG_14)
        sl_buf_puts(&sql, "; SET enable_memoize = off");
    if (sl_pg_exec(s->pg, sl_buf_str(&sql), err) != SL_OK)
        return sl_while(err, "setting up the destination session");
    if (PQsetnonblocking(s->pg->conn, 1) != 0)
        return sl_pg_fail(s->pg, NULL, err);
    return SL_OK;
}

sl_rc sl_session_new(sl_run *run, sl_pg *destination, sl_session **session, sl_error *err)
{
    sl_session *s = sl_xcalloc(1, sizeof(*s));
    s->run = run;
    s->pg = destination;
    for (int i = 0; i < SL_MAX_ROW_PARAMS; i++)
        s->binary[i] = 1;
    *session = s;
    return set_up(s, err);
}

void sl_session_free(sl_session *s)
{
    if (!s)
        return;
    while (s->oldest) {
        sl_stmt *stmt = s->oldest;
        unlink_stmt(s, stmt);
        *stmt->owner = NULL;
        free(stmt);
    }
    free(s->ring);
    sl_pg_close(s->pg);
    free(s);
}
