/* jobs.h: which table's part, index or statistics is next: the queue between the copy's threads.
 *
 * A table goes through: its parts, any number at once; then its schema objects of the index phase,
 * in order, plain indexes at once, others alone; then ANALYZE. Larger tables come first. While rows
 * are left, at most half of the members (but one at least) build indexes. Parts that found the
 * table locked come again after a pause.
 *
 * Invariants (all under the lock):
 *  1. A table's parts are handed out only after its first taker has said sl_jobs_begun.
 *  2. A stale table (rewritten since the snapshot) hands out nothing more; whoever ends its last
 *     active part is told to reset it.
 *  3. A table's objects are handed out only after all its rows are durable.
 *
 * Knows no SQL. Thread-safe. */
#ifndef SL_COPY_JOBS_H
#define SL_COPY_JOBS_H

#include <pthread.h>
#include "schema/schema.h"

typedef enum sl_part_state { SL_PART_TODO, SL_PART_ACTIVE, SL_PART_DONE } sl_part_state;

typedef struct sl_part {
    int number;        /* from 0 */
    const char *where; /* condition on the source; NULL: the whole table */
    sl_part_state state;
    _Atomic int64_t rows, bytes; /* relayed so far */
    _Atomic bool finished;       /* for displays */
} sl_part;

/* One table's way through the copy. */
typedef struct sl_work {
    sl_table *table;
    const char *label; /* schema.table as people read it */
    sl_part *parts;
    size_t n_parts;
    sl_object **objects; /* of the index phase, in order */
    size_t n_objects;
    bool binary, staged, freeze; /* how its rows are written; see rows.c */
    bool resumed; /* goes on with an interrupted copy: parts are done already, also in `done` */
    bool *absent; /* by column: a table that was there lacks it; NULL: it lacks none */
    int64_t began_us, reported_us;
    /* The rest belongs to jobs.c. */
    bool rows_in, begun, beginning, stale, reset;
    size_t active, done;
    int64_t retry_at_us;
    size_t next_object, objects_active;
    bool alone; /* an object that tolerates no other is being made */
    bool analyzing, finished;
} sl_work;

typedef enum sl_job_kind {
    SL_JOB_ROWS,
    SL_JOB_OBJECT,
    SL_JOB_ANALYZE,
    SL_JOB_LET_GO, /* nothing to do now: give back the lock, and the snapshot if no rows are left */
} sl_job_kind;

typedef struct sl_job {
    sl_job_kind kind;
    sl_work *work;
    sl_part *part;     /* ROWS */
    bool first;        /* ROWS: the table has not begun: prepare it, then sl_jobs_begun */
    sl_object *object; /* OBJECT */
} sl_job;

typedef enum sl_part_outcome {
    SL_PART_COPIED,
    SL_PART_BUSY,  /* locked by somebody else: again later */
    SL_PART_STALE, /* the snapshot does not show the table's present heap */
} sl_part_outcome;

typedef enum sl_next_step {
    SL_STEP_NONE,
    SL_STEP_ROWS_IN, /* all parts are durable: store that, then sl_jobs_rows_in */
    SL_STEP_RESET,   /* nobody copies it any more: store that it waits for another snapshot */
} sl_next_step;

typedef struct sl_jobs {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    sl_work *works;
    size_t n;
    size_t open; /* all works before it are finished */
    int members;
    int building; /* members at objects or ANALYZE */
    bool aborted;
} sl_jobs;

/* works are in the order in which they should be copied; rows_in is set where only objects are
 * left. */
void sl_jobs_init(sl_jobs *jobs, sl_work *works, size_t n, int members);
void sl_jobs_free(sl_jobs *jobs);
/* Waits for the next job; false when there will be none, or stop is requested. `near` is the table
 * whose lock the member holds, or NULL: its parts come first. `reading`: the member holds the
 * snapshot. Neither is held while there is nothing to do with it, however long the others take. */
bool sl_jobs_take(sl_jobs *jobs, const sl_work *near, bool reading, const sl_stop *stop,
                  sl_job *job);
void sl_jobs_begun(sl_jobs *jobs, sl_work *work);
sl_next_step sl_jobs_part_done(sl_jobs *jobs, const sl_job *job, sl_part_outcome outcome);
void sl_jobs_rows_in(sl_jobs *jobs, sl_work *work);
void sl_jobs_object_done(sl_jobs *jobs, const sl_job *job);
/* Are there rows that somebody may still have to read under the snapshot? */
bool sl_jobs_rows_left(sl_jobs *jobs);
size_t sl_jobs_stale(sl_jobs *jobs);

#endif
