/* relay.h: moves one COPY from a source session to a destination session.
 *
 * COPY's data messages have the same bytes in both directions, so whole blocks go from socket to
 * socket; only the five-byte headers are read, to count rows and to see errors and the end. Rows
 * are looked at only where blanks need not be sent. Reader
 * and writer are decoupled by a few MiB. Works on plain and TLS connections; on others (GSS) and
 * when PGSLUICE_RELAY=libpq is set, by libpq's row calls. */
#ifndef SL_PG_RELAY_H
#define SL_PG_RELAY_H

#include "core/rate.h"
#include "pg/pg.h"

typedef struct sl_relay_counters {
    /* Grown while the relay runs, so that a display can read them from another thread. */
    _Atomic int64_t *rows, *bytes; /* each may be NULL */
} sl_relay_counters;

/* Which fields of a binary COPY are char(n) with the same n on both sides: the blanks at their end
 * need not be sent, for the destination puts them back. blank is NULL where there is none. A hint:
 * rows that are not whole in memory go as they are. */
typedef struct sl_relay_trim {
    const bool *blank; /* n_fields, in the COPY's order */
    uint16_t n_fields;
} sl_relay_trim;

typedef struct sl_relay_job {
    const char *source_sql;      /* COPY … TO STDOUT */
    const char *destination_sql; /* COPY … FROM STDIN, in the same format */
    sl_relay_trim trim;
    sl_relay_counters counters;
    sl_rate *rate; /* a limit on rows, or NULL */
} sl_relay_job;

/* Runs the job's two statements against each other, until both are complete. *rows_written is the
 * destination's own count. On error both sessions are usable again where that is possible (the
 * transaction is then aborted, as after any error), else their connection is bad, and err says
 * which side failed first. The sessions must be idle (no pending results). */
sl_rc sl_relay_copy(const sl_relay_job *job, sl_pg *source, sl_pg *destination,
                    int64_t *rows_written, const sl_stop *stop, sl_error *err);

#endif
