/* state.h: what the destination remembers of a task, so that a worker needs no local state.
 *
 * All of it lies in one schema of the destination (spec key state_schema, default pgsluice), made
 * and versioned here. Tables (all with task_id):
 *   task        one row: identity and epoch; written once per worker start
 *   task_state  one row: stage, state, reason; for `status`
 *   checkpoint  one row: how far the stream is applied; updated by every data transaction
 *   tables      one row per source table: state, snapshot_lsn, generation, rows
 *   part        one row per copied part, inserted first by the transaction that writes its rows
 *   object      one row per schema object: result; inserted by the transaction that creates it
 *   error       changes that could not be applied, with what to do about them
 *
 * Fencing (why a killed worker's COMMIT that still lies in a socket does no harm): a starting
 * worker locks the task and checkpoint rows, raises epoch, commits, and only then reads the
 * checkpoint. The first statement of every data transaction is one of sl_checkpoint_sql's, with
 * `epoch = mine`; the first statement of a part's transaction is sl_state_part_begin. Both lock a
 * row that the next worker's raise needs, so they either commit before it or fail after it. */
#ifndef SL_STATE_STATE_H
#define SL_STATE_STATE_H

#include "state/run.h"

#define SL_STATE_VERSION 5

/* Makes the schema and its tables if they are not there; refuses a newer version. */
sl_rc sl_state_create(const char *state_schema, sl_pg *destination, sl_error *err);
/* Is there a state schema with its tables? Changes nothing. */
sl_rc sl_state_exists(const char *state_schema, sl_pg *destination, bool *exists, sl_error *err);

/* Takes the task for this worker: waits up to 10 s for a predecessor's lease (an advisory lock held
 * by `keeper`, which must stay open and idle for the worker's life), or with takeover terminates
 * its sessions; then raises the epoch. Makes the task's row if it is new. Sets run->epoch and
 * run->application. SL_FAILED "… is being run by …" when somebody else holds it. */
sl_rc sl_state_take(sl_run *run, sl_pg *keeper, bool takeover, sl_error *err);
/* SL_FENCED when somebody has raised the epoch since. */
sl_rc sl_state_check_epoch(sl_run *run, sl_pg *destination, sl_error *err);

/* Ends the sessions of earlier workers of this task on either server (application_name of another
 * epoch), so that their locks and the slot are free. Not being allowed to is no error. */
void sl_state_end_predecessors(sl_run *run, sl_pg *pg);

typedef struct sl_checkpoint {
    bool exists;
    sl_lsn applied_end_lsn; /* de-duplicates: skip transactions with commit LSN below it */
    sl_lsn acked_lsn;       /* upper bound of what the slot was ever told */
    sl_lsn consistent_point;
    char system_id[24];
    unsigned timeline;
    char slot[64];
    int64_t applied_commit_us; /* source commit time of the last applied transaction, Unix us */
} sl_checkpoint;
/* What was ever written (progress.metered_*) as the `metered` of an event; NULL until it is known.
 */
json_t *sl_state_metered(const sl_run *run);
/* A table's rows are in, and that is committed. */
void sl_state_note_metered(sl_run *run, const sl_table *table);
sl_rc sl_checkpoint_read(sl_run *run, sl_pg *destination, sl_checkpoint *out, sl_error *err);
/* Written right after the slot was made. A slot without a checkpoint is a crash's left-over. */
sl_rc sl_checkpoint_insert(sl_run *run, sl_pg *destination, const sl_checkpoint *cp, sl_error *err);

/* The fencing statements as SQL text; each touches one row, or none when the worker is fenced.
 * Parameters: $1 task id (text), $2 epoch (bigint), and then
 *   advance  $3 applied_end_lsn (pg_lsn), $4 the commit's time (bigint, Unix us), $5 and $6 rows
 *            and bytes of the changes since the last one (bigint), which are added up; sets
 *            acked_lsn to the greater of itself and $3
 *   fence    nothing more; locks the row, for the first statement of a transaction whose end is
 *            not known yet
 *   ack      $3 acked_lsn (pg_lsn), for idle acknowledgements */
typedef enum { SL_CP_ADVANCE, SL_CP_FENCE, SL_CP_ACK } sl_cp_statement;
char *sl_checkpoint_sql(const sl_run *run, sl_cp_statement which, sl_arena *arena);

/* Brings the tables' rows in line with the routes (adds new ones as waiting) and loads them into
 * run->tables (allocated here, freed by sl_state_free_tables). */
sl_rc sl_state_load_tables(sl_run *run, sl_pg *destination, sl_error *err);
void sl_state_free_tables(sl_run *run);
/* After the schema's first phase: tables that this task created are its own to empty
 * (sl_table.created). */
sl_rc sl_state_own_created(sl_run *run, sl_pg *destination, sl_error *err);

/* The one function that changes a table's state, against the table of allowed moves; stores it,
 * with snapshot_lsn, generation, ranges, rows and bytes as they are in *table, then shows it. Runs
 * inside the caller's transaction if there is one. reason may be NULL. */
sl_rc sl_state_set_table(sl_run *run, sl_pg *destination, sl_table *table, sl_table_state to,
                         const char *reason, sl_error *err);

/* Asks the worker, now or when it runs next, to bring one table's rows in step anew (`pgsluice
 * resync`), or to leave it out until then (`pgsluice set-aside`). schema may be NULL. SL_NOT_FOUND
 * when the task has no such table that the stream follows. */
typedef enum sl_request_kind { SL_REQUEST_RESYNC, SL_REQUEST_SET_ASIDE } sl_request_kind;
sl_rc sl_state_request(const sl_run *run, sl_pg *destination, sl_request_kind kind,
                       const char *schema, const char *table, sl_error *err);
/* The worker's own: asks for resyncs of tables that are new in a task whose stream has run. n > 0.
 */
sl_rc sl_state_request_resyncs(sl_run *run, sl_pg *destination, const sl_table *const *tables,
                               size_t n, sl_error *err);
#define SL_ASIDE_BY_REQUEST "a user asked for it: a resync brings its rows in step again"
/* The next table that something is asked of, or whose resync a restart has interrupted; NULL when
 * there is none. What is to be set aside comes first. */
sl_rc sl_state_next_request(sl_run *run, sl_pg *destination, sl_table **table,
                            sl_request_kind *kind, sl_error *err);
/* Before the stream starts: tables that something is asked of are left alone by it from here on, so
 * that what may be wrong with their rows does not stop it. Reloads the tables. */
sl_rc sl_state_let_go_requested(sl_run *run, sl_pg *destination, sl_error *err);
sl_rc sl_state_clear_request(sl_run *run, sl_pg *destination, const sl_table *table, sl_error *err);

/* First statement of a part's transaction: claims (table, generation, part) for this epoch. A part
 * that is there already is SL_NOT_FOUND (nothing to do); SL_FENCED when the epoch has moved. */
sl_rc sl_state_part_begin(sl_run *run, sl_pg *destination, const sl_table *table, int part,
                          sl_error *err);
/* Last statement of a part's transaction, before COMMIT. lsn: of the snapshot it was copied under,
 * 0 without a stream. */
sl_rc sl_state_part_end(sl_run *run, sl_pg *destination, const sl_table *table, int part,
                        int64_t rows, int64_t bytes, sl_lsn lsn, sl_error *err);
/* Forgets a table's parts of all generations. */
sl_rc sl_state_parts_clear(sl_run *run, sl_pg *destination, const sl_table *table, sl_error *err);

typedef enum sl_object_result {
    SL_OBJECT_CREATED,
    SL_OBJECT_SKIPPED, /* was there, or is not wanted: detail says which */
    SL_OBJECT_FAILED,
    SL_OBJECT_UNSUPPORTED, /* not synchronized by this version: detail says why */
} sl_object_result;
const char *sl_object_result_name(sl_object_result result);

/* Records an object's result: inside the transaction that creates it, so that after a crash it is
 * known to be ours; a repeated record of the same (kind, identity) replaces. kind: "table", "index"
 * …; identity: schema-qualified source name as people read it; detail: reason or NULL. */
sl_rc sl_state_record_object(sl_run *run, sl_pg *destination, const char *kind,
                             const char *identity, sl_object_result result, const char *sqlstate,
                             const char *detail, sl_error *err);
/* The same for several, as SQL text for the caller's own transaction. */
typedef struct sl_object_record {
    const char *kind, *identity;
    sl_object_result result;
    const char *sqlstate, *detail; /* or NULL */
} sl_object_record;
char *sl_state_objects_sql(const sl_run *run, const sl_object_record *records, size_t n,
                           sl_arena *arena);
/* The recorded results: key "kind\0identity" (both without a final NUL) → (void *)(result + 1). */
sl_rc sl_state_load_objects(sl_run *run, sl_pg *destination, sl_map **objects, sl_error *err);

/* Stage, state and reason for `status` (own transaction, best effort while streaming). */
sl_rc sl_state_set_task(sl_run *run, sl_pg *destination, const char *state, const char *reason,
                        sl_error *err);

/* A change that could not be applied. Strings are borrowed. */
typedef struct sl_change_error {
    const char *state; /* "stopped": the stream waits at it; "set_aside": it went on */
    sl_lsn commit_lsn;
    uint32_t seq;               /* of the change in its transaction, from 1 */
    const char *schema, *table; /* source names */
    const char *operation;      /* insert, update, delete, truncate */
    const char *conflict;       /* row_exists, row_missing, unique_conflict, or NULL */
    const char *key, *row;      /* JSON objects, or NULL */
    const char *sqlstate, *message;
} sl_change_error;
/* Replaces an earlier record of the same (commit_lsn, seq), *again if there was one; runs in the
 * caller's transaction. */
sl_rc sl_state_record_error(sl_run *run, sl_pg *destination, const sl_change_error *e, bool *again,
                            sl_error *err);
/* Changes that the stream had stopped at and has applied since (before lsn) are no errors any more.
 * *left is how many it is still stopped at. */
sl_rc sl_state_errors_passed(sl_run *run, sl_pg *destination, sl_lsn lsn, int64_t *left,
                             sl_error *err);
/* What the user decided with `errors FILE skip`: "commit_lsn/seq" and whole transactions
 * ("commit_lsn/0", `skip FILE --lsn`). *skips is a map with text keys "X/X:seq"; free with
 * sl_map_free. */
sl_rc sl_state_load_skips(sl_run *run, sl_pg *destination, sl_map **skips, sl_error *err);

/* Removes the task's rows, and the schema when no task is left in it. */
sl_rc sl_state_remove(const char *state_schema, const char *task_id, sl_pg *destination,
                      sl_error *err);

#endif
