/* lsn.c: small facts as text: LSNs, versions, sides. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pg/pg.h"

bool sl_lsn_parse(const char *text, sl_lsn *lsn)
{
    unsigned hi, lo;
    int n = 0;
    if (!text || sscanf(text, "%8X/%8X%n", &hi, &lo, &n) != 2 || text[n] != '\0')
        return false;
    *lsn = (sl_lsn)hi << 32 | lo;
    return true;
}

char *sl_lsn_text(sl_lsn lsn, char *buf)
{
    snprintf(buf, 24, SL_LSN_FMT, SL_LSN_ARGS(lsn));
    return buf;
}

char *sl_version_text(int version, char *buf)
{
    if (version >= SL_PG_10)
        snprintf(buf, 16, "%d.%d", version / 10000, version % 10000);
    else
        snprintf(buf, 16, "%d.%d.%d", version / 10000, version / 100 % 100, version % 100);
    return buf;
}

const char *sl_side_name(sl_side side)
{
    return side == SL_SOURCE ? "source" : "destination";
}

int64_t sl_cell_int(const PGresult *res, int row, int col)
{
    return PQgetisnull(res, row, col) ? 0 : strtoll(PQgetvalue(res, row, col), NULL, 10);
}

bool sl_cell_bool(const PGresult *res, int row, int col)
{
    return !PQgetisnull(res, row, col) && PQgetvalue(res, row, col)[0] == 't';
}

sl_lsn sl_cell_lsn(const PGresult *res, int row, int col)
{
    sl_lsn lsn = 0;
    if (!PQgetisnull(res, row, col) && !sl_lsn_parse(PQgetvalue(res, row, col), &lsn))
        lsn = 0;
    return lsn;
}

const char *sl_overriding_sql(int version)
{
    return version >= SL_PG_10 ? "OVERRIDING SYSTEM VALUE " : "";
}

const char *sl_position_sql(int version)
{
    return version >= SL_PG_10 ? "CASE WHEN pg_catalog.pg_is_in_recovery()"
                                 " THEN pg_catalog.pg_last_wal_replay_lsn()"
                                 " ELSE pg_catalog.pg_current_wal_insert_lsn() END"
                               : "CASE WHEN pg_catalog.pg_is_in_recovery()"
                                 " THEN pg_catalog.pg_last_xlog_replay_location()"
                                 " ELSE pg_catalog.pg_current_xlog_insert_location() END";
}
