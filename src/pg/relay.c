/* relay.c: one COPY from a source session to a destination session: chooses the way and leaves both
 * connections in a state that libpq knows.
 *
 * The relay reads and writes libpq's sockets behind its back, so libpq must be idle with nothing
 * buffered before, and learn the transaction's state after a failure (an empty query does that). */
#include "pg/relay.h"
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include "pg/relay_channel.h"
#include "pg/relay_run.h"

#define RING_SIZE ((size_t)4 << 20)
#define PATIENCE_US INT64_C(10000000)

static bool wants_libpq(void)
{
    const char *way = getenv("PGSLUICE_RELAY");
    return way && strcmp(way, "libpq") == 0;
}

static sl_rc check_idle(sl_pg *pg, sl_error *err)
{
    if (PQstatus(pg->conn) != CONNECTION_OK)
        return sl_pg_fail(pg, NULL, err);
    PGTransactionStatusType status = PQtransactionStatus(pg->conn);
    if (status == PQTRANS_ACTIVE || PQisBusy(pg->conn))
        return sl_fail(err, SL_FAILED, "a COPY on the %s cannot start: the session is busy",
                       sl_side_name(pg->side));
    return SL_OK;
}

/* After a failed COPY: libpq has not seen that the transaction is aborted. */
static void tell_libpq(sl_channel *ch)
{
    if (ch->closed)
        return;
    SL_RESULT(res);
    res = PQexec(ch->pg->conn, "");
}

sl_rc sl_relay_copy(const sl_relay_job *job, sl_pg *source, sl_pg *destination,
                    int64_t *rows_written, const sl_stop *stop, sl_error *err)
{
    sl_relay_plan plan = {
        .job = job,
        .rows_written = rows_written,
        .stop = stop,
        .cancel = sl_pg_cancel,
        .ring_size = RING_SIZE,
        .patience_us = PATIENCE_US,
    };
    if (check_idle(source, err) != SL_OK || check_idle(destination, err) != SL_OK)
        return err->code;
    sl_channel from, to;
    bool direct = !wants_libpq() && sl_channel_open(&from, source);
    if (direct && !sl_channel_open(&to, destination)) {
        sl_channel_close(&from);
        direct = false;
    }
    if (!direct)
        return sl_relay_libpq(&plan, source, destination, err);
    sl_rc rc = sl_relay_run(&plan, &from, &to, err);
    sl_channel_close(&from);
    sl_channel_close(&to);
    if (rc != SL_OK) {
        tell_libpq(&from);
        tell_libpq(&to);
    }
    return rc;
}
