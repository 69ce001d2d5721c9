/* progress.h: counters that stages grow and displays, events and metrics read, from any thread. */
#ifndef SL_STATE_PROGRESS_H
#define SL_STATE_PROGRESS_H

#include <stdint.h>

typedef enum sl_stage {
    SL_AT_START,
    SL_AT_PRECHECK,
    SL_AT_SCHEMA,
    SL_AT_COPY,   /* rows, and the indexes of tables whose rows are in */
    SL_AT_FINISH, /* foreign keys, statistics, sequences */
    SL_AT_STREAM,
    SL_AT_RETRYING,
    SL_AT_DONE,
} sl_stage;
const char *sl_stage_name(sl_stage stage);

typedef struct sl_progress {
    _Atomic int stage;                                           /* sl_stage */
    _Atomic int64_t stage_since_us;                              /* sl_now_us at its start */
    _Atomic int64_t objects_total, objects_done, objects_failed; /* schema objects of all phases */
    _Atomic int64_t tables_total, tables_copied;
    _Atomic int64_t rows_total;                             /* estimate from the catalog */
    _Atomic int64_t rows_copied, bytes_total, bytes_copied; /* bytes on disk, and in COPY's form */
    _Atomic int64_t indexes_total, indexes_done;
    /* Stream. LSNs are 0 until known. */
    _Atomic uint64_t received_lsn, applied_lsn, acked_lsn; /* ends of transactions */
    _Atomic uint64_t source_lsn;                           /* pg_current_wal_insert_lsn(), polled */
    _Atomic uint64_t target_lsn;                           /* --until-caught-up */
    _Atomic int64_t oldest_pending_us; /* commit time of the oldest unapplied transaction; 0 none */
    _Atomic int64_t clock_offset_us;   /* the source's clock minus ours */
    _Atomic int64_t wal_held_bytes;    /* by our slot; -1 unknown */
    _Atomic int64_t transactions, inserts, updates, deletes, truncates, conflicts, fallbacks;
    /* All that was ever written and is committed in the destination, by any worker of the task:
     * what usage is made of (docs/usage.md). series: of which beginning; 0 until known. */
    _Atomic int64_t metered_series, metered_rows, metered_bytes;
    /* Retrying. */
    _Atomic int64_t retry_since_us, retry_until_us;
} sl_progress;

/* Lag: seconds from the source's commit of the oldest transaction that is
 * not yet applied to the source's clock now, 0 when there is none; bytes from the source's insert
 * LSN to the applied LSN. */
double sl_progress_lag_seconds(const sl_progress *p);
int64_t sl_progress_lag_bytes(const sl_progress *p);

#endif
