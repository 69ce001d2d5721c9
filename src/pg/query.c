/* query.c: statements on an idle connection, and what their failures mean. */
#include <stdio.h>
#include <string.h>

#include "pg/pg.h"

/* What may go away by itself (ARCHITECTURE.md, decision 5). An entry of two characters is a whole
 * class. */
static const char *const transient_states[] = {
    "08",                            /* connection exceptions */
    "57P01", "57P02", "57P03",       /* shutdown, crash shutdown, cannot connect now */
    "40001", "40P01",                /* serialization failure, deadlock */
    "53",                            /* insufficient resources: disk, memory, connections */
    "55006", "55P03",                /* slot still active, lock not available */
    "57014",                         /* statement cancelled or timed out */
    "25P03", "25P04", "25006", NULL, /* session and transaction timeouts, read-only standby */
};

bool sl_sqlstate_transient(const char *sqlstate)
{
    for (size_t i = 0; transient_states[i]; i++)
        if (strncmp(sqlstate, transient_states[i], strlen(transient_states[i])) == 0)
            return true;
    return false;
}

/* libpq's messages end in newlines and may have several lines. */
static void one_line(char *out, size_t size, const char *text)
{
    size_t n = 0;
    for (; text && *text && n + 1 < size; text++)
        out[n++] = *text == '\n' || *text == '\t' ? ' ' : *text;
    while (n > 0 && out[n - 1] == ' ')
        n--;
    out[n] = '\0';
}

sl_rc sl_pg_fail_fields(sl_pg *pg, const char *sqlstate, const char *message, const char *detail,
                        const char *hint, sl_error *err)
{
    char text[900], more[300];
    bool lost = !sqlstate || !sqlstate[0];
    one_line(text, sizeof(text), message);
    one_line(more, sizeof(more), detail);
    sl_rc code = lost || sl_sqlstate_transient(sqlstate) ? SL_TRANSIENT : SL_FAILED;
    bool first = err && err->code == SL_OK;
    sl_fail(err, code, "%s: %s%s%s%s", sl_side_name(pg->side),
            text[0] ? text : "the connection was lost", more[0] ? " (" : "", more,
            more[0] ? ")" : "");
    if (first && !lost)
        snprintf(err->sqlstate, sizeof(err->sqlstate), "%s", sqlstate);
    if (first && hint && hint[0])
        sl_hint(err, "%s", hint);
    return err ? err->code : code;
}

sl_rc sl_pg_fail(sl_pg *pg, const PGresult *res, sl_error *err)
{
    if (res && PQresultErrorField(res, PG_DIAG_SQLSTATE))
        return sl_pg_fail_fields(pg, PQresultErrorField(res, PG_DIAG_SQLSTATE),
                                 PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY),
                                 PQresultErrorField(res, PG_DIAG_MESSAGE_DETAIL),
                                 PQresultErrorField(res, PG_DIAG_MESSAGE_HINT), err);
    return sl_pg_fail_fields(pg, NULL, PQerrorMessage(pg->conn), NULL, NULL, err);
}

static sl_rc check(sl_pg *pg, PGresult *answer, PGresult **res, sl_error *err)
{
    ExecStatusType status = PQresultStatus(answer);
    PQclear(*res);
    *res = answer;
    if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK || status == PGRES_EMPTY_QUERY)
        return SL_OK;
    return sl_pg_fail(pg, answer, err);
}

sl_rc sl_pg_query(sl_pg *pg, const char *sql, PGresult **res, sl_error *err)
{
    return check(pg, PQexec(pg->conn, sql), res, err);
}

sl_rc sl_pg_exec(sl_pg *pg, const char *sql, sl_error *err)
{
    SL_RESULT(res);
    return sl_pg_query(pg, sql, &res, err);
}

sl_rc sl_pg_query_params(sl_pg *pg, const char *sql, int n, const char *const *values,
                         PGresult **res, sl_error *err)
{
    return check(pg, PQexecParams(pg->conn, sql, n, NULL, values, NULL, NULL, 0), res, err);
}

sl_rc sl_pg_value(sl_pg *pg, const char *sql, sl_arena *out, char **value, sl_error *err)
{
    SL_RESULT(res);
    *value = NULL;
    if (sl_pg_query(pg, sql, &res, err) != SL_OK)
        return err ? err->code : SL_FAILED;
    if (PQntuples(res) == 0)
        return SL_NOT_FOUND;
    *value = sl_arena_strdup(out, sl_cell(res, 0, 0));
    return SL_OK;
}

void sl_pg_cancel(sl_pg *pg)
{
    char text[256];
    PGcancel *cancel = PQgetCancel(pg->conn);
    if (cancel)
        PQcancel(cancel, text, sizeof(text));
    PQfreeCancel(cancel);
}
