/* relay.h: moves one COPY from a source session to a destination session without looking at rows.
 *
 * COPY's data messages have the same bytes in both directions, so whole blocks go from socket to
 * socket; only the five-byte headers are read, to count rows and to see errors and the end. Reader
 * and writer are decoupled by a few MiB. Works on plain and TLS connections; on others (GSS) and
 * when PGSLUICE_RELAY=libpq is set, by libpq's row calls. */
#ifndef SL_PG_RELAY_H
#define SL_PG_RELAY_H

#include "pg/pg.h"

typedef struct sl_relay_counters {
    /* Grown while the relay runs, so that a display can read them from another thread. */
    _Atomic int64_t *rows, *bytes; /* each may be NULL */
} sl_relay_counters;

/* Runs `source_sql` (COPY … TO STDOUT) and `destination_sql` (COPY … FROM STDIN) against each
 * other, until both are complete. *rows_written is the destination's own count. On error both
 * sessions are usable again where that is possible (the transaction is then aborted, as after any
 * error), else their connection is bad, and err says which side failed first. The sessions must be
 * idle (no pending results). */
sl_rc sl_relay_copy(sl_pg *source, const char *source_sql, sl_pg *destination,
                    const char *destination_sql, sl_relay_counters *counters, int64_t *rows_written,
                    const sl_stop *stop, sl_error *err);

#endif
