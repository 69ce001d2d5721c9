/* replication.c: commands and messages of a replication=database connection. */
#include "pg/replication.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define NEAR_US 2000
#define NEAR_WINDOW (256 * 1024)

sl_rc sl_repl_identify(sl_pg *pg, sl_system *out, sl_error *err)
{
    SL_RESULT(res);
    if (sl_pg_query(pg, "IDENTIFY_SYSTEM", &res, err) != SL_OK)
        return sl_while(err, "identifying the source system");
    snprintf(out->system_id, sizeof(out->system_id), "%s", PQgetvalue(res, 0, 0));
    out->timeline = (unsigned)sl_cell_int(res, 0, 1);
    out->flush_lsn = sl_cell_lsn(res, 0, 2);
    return SL_OK;
}

sl_rc sl_repl_switch_point(sl_pg *pg, unsigned present, unsigned timeline, sl_lsn *left,
                           sl_error *err)
{
    SL_SCRATCH(tmp);
    SL_RESULT(res);
    *left = 0;
    if (sl_pg_query(pg, sl_sql(&tmp, "TIMELINE_HISTORY %u", present), &res, err) != SL_OK)
        return sl_while(err, "reading the history of timeline %u", present);
    /* A line is: parent's id, where it was left, why. */
    for (const char *line = PQgetvalue(res, 0, 1); line && *line; line = strchr(line, '\n')) {
        unsigned id, high, low;
        line += *line == '\n';
        if (sscanf(line, "%u %X/%X", &id, &high, &low) == 3 && id == timeline)
            *left = (sl_lsn)high << 32 | low;
    }
    return SL_OK;
}

/* Creating a slot waits for running transactions, so the wait must end when a stop is requested. */
static sl_rc exec_interruptible(sl_pg *pg, const char *sql, PGresult **res, const sl_stop *stop,
                                sl_error *err)
{
    if (!PQsendQuery(pg->conn, sql))
        return sl_pg_fail(pg, NULL, err);
    while (PQisBusy(pg->conn)) {
        if (sl_wait_fd(PQsocket(pg->conn), POLLIN, -1, stop) < 0) {
            sl_pg_cancel(pg);
            PQclear(PQgetResult(pg->conn));
            return sl_fail(err, SL_CANCELLED, "stopped while waiting for the source");
        }
        if (!PQconsumeInput(pg->conn))
            return sl_pg_fail(pg, NULL, err);
    }
    *res = PQgetResult(pg->conn);
    for (PGresult *more; (more = PQgetResult(pg->conn));)
        PQclear(more);
    if (PQresultStatus(*res) == PGRES_TUPLES_OK || PQresultStatus(*res) == PGRES_COMMAND_OK)
        return SL_OK;
    return sl_pg_fail(pg, *res, err);
}

static sl_rc explain_slot_failure(sl_error *err, const char *slot)
{
    if (strcmp(err->sqlstate, "53400") == 0) {
        err->code = SL_FAILED;
        sl_hint(err, "Raise max_replication_slots on the source and restart it, or drop a slot "
                     "that nobody needs: SELECT slot_name, active FROM pg_replication_slots; "
                     "SELECT pg_drop_replication_slot('…').");
    } else if (strcmp(err->sqlstate, "55000") == 0) {
        sl_hint(err, "Set wal_level = logical on the source and restart it.");
    } else if (strcmp(err->sqlstate, "58P01") == 0) { /* no such library */
        sl_hint(err, "Install the output plugin on the source (decoding/README.md), or choose "
                     "another one with the specification's key `decoder`.");
    } else if (strcmp(err->sqlstate, "42501") == 0) {
        sl_hint(err, "Give the source account the REPLICATION attribute: ALTER ROLE … "
                     "REPLICATION.");
    }
    return sl_while(err, "creating replication slot %s", slot);
}

sl_rc sl_repl_create_slot(sl_pg *pg, const char *slot, const char *plugin, bool temporary,
                          sl_slot_made *made, const sl_stop *stop, sl_error *err)
{
    SL_SCRATCH(tmp);
    SL_RESULT(res);
    const char *options = pg->version >= SL_PG_10 ? " EXPORT_SNAPSHOT" : "";
    if (pg->version >= SL_PG_17 && !temporary) {
        char *standby;
        if (sl_pg_value(pg, "SELECT pg_catalog.pg_is_in_recovery()", &tmp, &standby, err) != SL_OK)
            return sl_while(err, "creating replication slot %s", slot);
        if (standby[0] == 'f')
            options = " (SNAPSHOT 'export', FAILOVER)";
    }
    /* Every version of 10 to 18 takes the older form; 9.x knows no option, always exports and has
     * no temporary slots. */
    const char *sql =
        sl_sql(&tmp, "CREATE_REPLICATION_SLOT %I%s LOGICAL %I%s", slot,
               temporary && pg->version >= SL_PG_10 ? " TEMPORARY" : "", plugin, options);
    if (exec_interruptible(pg, sql, &res, stop, err) != SL_OK)
        return explain_slot_failure(err, slot);
    made->consistent_point = sl_cell_lsn(res, 0, 1);
    snprintf(made->snapshot, sizeof(made->snapshot), "%s", PQgetvalue(res, 0, 2));
    return SL_OK;
}

/* A walsender sends every change by itself, and while the window is open each of them is a TCP
 * segment of its own: on a fast network more than half of the walsender's time. A small window that
 * a napping reader lets fill up makes the source's kernel put thousands of changes together. Far
 * away the window stays as large as the distance needs it. */
static void narrow_window(sl_pg *pg)
{
    struct tcp_info info = { 0 };
    socklen_t len = sizeof(info);
    int fd = PQsocket(pg->conn), bytes = NEAR_WINDOW;
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) == 0 && info.tcpi_rtt < NEAR_US)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes)); /* else it works without */
}

sl_rc sl_repl_start(sl_pg *pg, const char *slot, sl_lsn lsn, const char *options, sl_error *err)
{
    SL_SCRATCH(tmp);
    SL_RESULT(res);
    char start[24];
    const char *sql = sl_sql(&tmp, "START_REPLICATION SLOT %I LOGICAL %s (%s)", slot,
                             sl_lsn_text(lsn, start), options);
    res = PQexec(pg->conn, sql);
    if (PQresultStatus(res) == PGRES_COPY_BOTH) {
        narrow_window(pg);
        return SL_OK;
    }
    sl_pg_fail(pg, res, err);
    return sl_while(err, "starting replication from slot %s at %s", slot, start);
}

void sl_repl_message_free(sl_repl_message *msg)
{
    PQfreemem(msg->owned);
    *msg = (sl_repl_message){ .kind = SL_REPL_NOTHING };
}

static int64_t to_unix_us(uint64_t pg_us)
{
    return (int64_t)pg_us + SL_PG_EPOCH_US;
}

static sl_rc parse(sl_repl_message *msg, size_t len, sl_error *err)
{
    const char *p = msg->owned;
    if (len >= 25 && p[0] == 'w') {
        msg->kind = SL_REPL_DATA;
        msg->start = sl_get64(p + 1);
        msg->wal_end = sl_get64(p + 9);
        msg->send_time_us = to_unix_us(sl_get64(p + 17));
        msg->data = p + 25;
        msg->len = len - 25;
        return SL_OK;
    }
    if (len >= 18 && p[0] == 'k') {
        msg->kind = SL_REPL_KEEPALIVE;
        msg->wal_end = sl_get64(p + 1);
        msg->send_time_us = to_unix_us(sl_get64(p + 9));
        msg->reply_now = p[17] != 0;
        return SL_OK;
    }
    return sl_fail(
        err, SL_FAILED,
        "source: unknown replication message 0x%02x of %zu bytes (a proxy in between, or "
        "a server that is not PostgreSQL?)",
        len ? (unsigned char)p[0] : 0u, len);
}

/* The stream's end: an error, or the server's CommandComplete. */
static sl_rc stream_ended(sl_pg *pg, sl_repl_message *msg, sl_error *err)
{
    SL_RESULT(res);
    res = PQgetResult(pg->conn);
    ExecStatusType status = PQresultStatus(res);
    if (status == PGRES_FATAL_ERROR || status == PGRES_NONFATAL_ERROR)
        return sl_pg_fail(pg, res, err);
    msg->kind = SL_REPL_END;
    return SL_OK;
}

sl_rc sl_repl_receive(sl_pg *pg, sl_repl_message *msg, int timeout_ms, const sl_stop *stop,
                      sl_error *err)
{
    int64_t deadline = 0;
    sl_repl_message_free(msg);
    for (;;) {
        int n = PQgetCopyData(pg->conn, &msg->owned, 1);
        if (n > 0)
            return parse(msg, (size_t)n, err);
        if (n == -1)
            return stream_ended(pg, msg, err);
        if (n == -2)
            return sl_pg_fail(pg, NULL, err);
        int left = timeout_ms;
        if (timeout_ms > 0) {
            int64_t now = sl_mono_us();
            deadline = deadline ? deadline : now + (int64_t)timeout_ms * 1000;
            left = now >= deadline ? 0 : (int)((deadline - now + 999) / 1000);
        }
        int ready = sl_wait_fd(PQsocket(pg->conn), POLLIN, left, stop);
        if (ready <= 0)
            return SL_OK;
        if (!PQconsumeInput(pg->conn))
            return sl_pg_fail(pg, NULL, err);
    }
}

sl_rc sl_repl_feedback(sl_pg *pg, sl_lsn written, sl_lsn flushed, sl_lsn applied, bool reply,
                       sl_error *err)
{
    char m[34];
    m[0] = 'r';
    sl_put64(m + 1, written);
    sl_put64(m + 9, flushed);
    sl_put64(m + 17, applied);
    sl_put64(m + 25, (uint64_t)(sl_now_us() - SL_PG_EPOCH_US));
    m[33] = reply;
    if (PQputCopyData(pg->conn, m, sizeof(m)) <= 0 || PQflush(pg->conn) < 0)
        return sl_pg_fail(pg, NULL, err);
    return SL_OK;
}

void sl_repl_stop(sl_pg *pg)
{
    char *rest = NULL;
    if (PQputCopyEnd(pg->conn, NULL) <= 0 || PQflush(pg->conn) < 0)
        return;
    /* What the server still sends is dropped, for a second at most. */
    int64_t deadline = sl_mono_us() + 1000000;
    while (sl_mono_us() < deadline) {
        int n = PQgetCopyData(pg->conn, &rest, 1);
        if (n > 0) {
            PQfreemem(rest);
            continue;
        }
        if (n != 0 || sl_wait_fd(PQsocket(pg->conn), POLLIN, 100, NULL) < 0 ||
            !PQconsumeInput(pg->conn))
            return;
    }
}
