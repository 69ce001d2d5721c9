/* relay_libpq.c: one COPY by libpq's row calls: for connections whose bytes are not ours to move,
 * and as the tests' reference. A row is held in memory; an error of the destination is seen at the
 * end. */
#include <poll.h>
#include <stdlib.h>
#include "pg/relay_run.h"

static sl_rc start(sl_pg *pg, const char *sql, ExecStatusType expected, sl_error *err)
{
    SL_RESULT(res);
    res = PQexec(pg->conn, sql);
    return PQresultStatus(res) == expected ? SL_OK : sl_pg_fail(pg, res, err);
}

/* One row; *row is NULL at the end of the COPY. */
static sl_rc get_row(const sl_relay_plan *plan, sl_pg *source, char **row, int *len, sl_error *err)
{
    for (;;) {
        *len = PQgetCopyData(source->conn, row, 1);
        if (*len > 0)
            return SL_OK;
        *row = NULL;
        if (*len == -1)
            return SL_OK;
        if (*len == -2)
            return sl_pg_fail(source, NULL, err);
        if (sl_wait_fd(PQsocket(source->conn), POLLIN, -1, plan->stop) < 0)
            return sl_fail(err, SL_CANCELLED, "stopped during COPY");
        if (!PQconsumeInput(source->conn))
            return sl_pg_fail(source, NULL, err);
    }
}

static sl_rc move_rows(const sl_relay_plan *plan, sl_pg *source, sl_pg *destination, sl_error *err)
{
    for (;;) {
        char *row;
        int len;
        if (get_row(plan, source, &row, &len, err) != SL_OK)
            return err->code;
        if (!row)
            return SL_OK;
        sl_rate_take(plan->job->rate, 1);
        sl_rate_wait(plan->job->rate, plan->stop);
        int put = PQputCopyData(destination->conn, row, len);
        PQfreemem(row);
        if (put != 1)
            return sl_pg_fail(destination, NULL, err);
        if (plan->job->counters.rows)
            atomic_fetch_add(plan->job->counters.rows, 1);
        if (plan->job->counters.bytes)
            atomic_fetch_add(plan->job->counters.bytes, len);
    }
}

/* Takes all results; the first bad one becomes the error. *tag gets the command's row count. */
static sl_rc finish(sl_pg *pg, int64_t *tag, sl_error *err)
{
    sl_rc rc = SL_OK;
    PGresult *res;
    while ((res = PQgetResult(pg->conn)) != NULL) {
        ExecStatusType status = PQresultStatus(res);
        if (status == PGRES_COMMAND_OK && tag)
            *tag = strtoll(PQcmdTuples(res), NULL, 10);
        else if (status != PGRES_COMMAND_OK && rc == SL_OK)
            rc = sl_pg_fail(pg, res, err);
        PQclear(res);
        if (status == PGRES_COPY_IN || status == PGRES_COPY_OUT)
            break;
    }
    return rc;
}

/* Ends the source's COPY: cancel, then read what it had sent. */
static void drain(sl_pg *source)
{
    char *row;
    sl_pg_cancel(source);
    while (PQgetCopyData(source->conn, &row, 0) > 0)
        PQfreemem(row);
    sl_error ignored = SL_ERROR_INIT;
    finish(source, NULL, &ignored);
}

sl_rc sl_relay_libpq(const sl_relay_plan *plan, sl_pg *source, sl_pg *destination, sl_error *err)
{
    if (start(source, plan->job->source_sql, PGRES_COPY_OUT, err) != SL_OK)
        return err->code;
    if (start(destination, plan->job->destination_sql, PGRES_COPY_IN, err) != SL_OK) {
        drain(source);
        return err->code;
    }
    int64_t before = plan->job->counters.rows ? *plan->job->counters.rows : 0;
    sl_rc rc = move_rows(plan, source, destination, err);
    if (rc == SL_OK)
        rc = finish(source, NULL, err);
    else
        drain(source);
    PQputCopyEnd(destination->conn, rc == SL_OK ? NULL : "the source failed");
    sl_error other = SL_ERROR_INIT;
    sl_rc ended = finish(destination, plan->rows_written, rc == SL_OK ? err : &other);
    if (rc == SL_OK)
        rc = ended;
    if (rc == SL_OK && plan->job->counters.rows)
        atomic_fetch_add(plan->job->counters.rows,
                         before + *plan->rows_written - *plan->job->counters.rows);
    return rc;
}
