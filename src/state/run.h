/* run.h: what all stages of one worker share: the specification, both servers, the routes, the
 * tables' states, progress, the request to stop. Made by src/task, lent to every stage. */
#ifndef SL_STATE_RUN_H
#define SL_STATE_RUN_H

#include <jansson.h>
#include <pthread.h>
#include "core/pulse.h"
#include "core/rate.h"
#include "pg/pg.h"
#include "pg/plugin.h"
#include "spec/route.h"
#include "spec/spec.h"
#include "state/gate.h"
#include "state/progress.h"
#include "state/ranges.h"

/* States of a table (docs/states.md). Stored as text in the destination, see sl_table_state_name.
 */
typedef enum sl_table_state {
    SL_TABLE_WAITING,
    SL_TABLE_COPYING,
    SL_TABLE_INDEXING, /* its rows are in, snapshot_lsn is set; never copied again */
    SL_TABLE_CATCHING_UP,
    SL_TABLE_SYNCHRONIZING,
    SL_TABLE_SET_ASIDE,
    SL_TABLE_FAILED,
} sl_table_state;
const char *sl_table_state_name(sl_table_state state);

/* Where a row of the destination was not as the stream expected it. */
typedef enum sl_conflict_kind {
    SL_ROW_EXISTS,      /* an INSERT's key is there already */
    SL_ROW_MISSING,     /* the row of an UPDATE or DELETE is not there */
    SL_UNIQUE_CONFLICT, /* another row has the value of a unique index */
    SL_CONFLICT_KINDS
} sl_conflict_kind;

/* The snapshot_lsn of a table that the stream leaves alone, because a resync is about to replace
 * its rows. */
#define SL_LSN_RESYNC UINT64_MAX

typedef struct sl_table {
    const sl_route *route;
    _Atomic int state; /* sl_table_state; change it with sl_state_set_table only */
    /* Set with INDEXING; a change is applied iff its commit LSN is at or after. */
    sl_lsn snapshot_lsn;
    uint32_t source_oid; /* of the source's table whose rows the destination has; 0: not known */
    bool created;        /* by this task: it may be emptied; fixed before the copy starts */
    int generation;      /* of the copy; each new snapshot for the table raises it */
    sl_ranges *ranges;   /* of a copy that a restart can resume, until its rows are in step;
                            NULL: none. The copy's own, later only read */
    _Atomic int64_t rows, bytes; /* copied */
    _Atomic int parts, parts_done;
    _Atomic bool analyzed;                                /* in this run, since its rows are in */
    _Atomic int64_t inserts, updates, deletes, conflicts; /* streamed, in this run */
    _Atomic bool columns_changed; /* its route is not what the source's table is now */
    int64_t noted[SL_CONFLICT_KINDS], unstored[SL_CONFLICT_KINDS]; /* see stream/conflicts.h */
} sl_table;

/* One line of a task's history: `event` is a word with dots ("table.copied"), fields is stolen (may
 * be NULL). Goes to --json output, or the log as text. Thread-safe. */
typedef void (*sl_event_sink)(void *self, const char *event, const json_t *fields);

typedef struct sl_run {
    const sl_spec *spec;
    char id[32]; /* a resync's own run: the task's, "_r" and eight hex digits */
    int64_t epoch;
    int64_t epoch_base; /* a resync's own run: where its epochs begin; else 0 */
    sl_server source, destination;
    sl_routes *routes;
    sl_table *tables; /* parallel to routes->items */
    /* Set by a stage that found a table's columns changed on the source: the routes are resolved
     * anew by the next attempt, for which the stage returns SL_TRANSIENT. */
    _Atomic bool routes_stale;
    /* New tables, or new partitions of a selected one, are there: the stream ends with
     * SL_TRANSIENT, and the next attempt follows at once. */
    _Atomic bool new_tables;
    sl_map *left_out; /* uint32_t → why: tables that cannot be followed yet; NULL: none */
    sl_map *known;    /* uint32_t: tables of earlier routes of this process; NULL: the first */
    sl_map *asked;    /* uint32_t: unknown partitions that an attempt was made for */
    /* Lent the idle session of the stream's monitor now and then; or NULL. */
    void (*look_around)(void *self, sl_pg *source);
    void *look_self;
    sl_gate *gate;           /* stops the stream between transactions; NULL: never */
    int64_t conflicts_noted; /* the sum of the tables' */
    _Atomic bool resynced;   /* a table's snapshot_lsn has moved while the stream ran */
    sl_progress progress;
    sl_pulse pulse; /* beats when a change comes after a pause, and when a stage begins */
    sl_rate *rate;  /* rows copied and applied; NULL: no limit */
    sl_stop *stop;
    sl_plugin_choice plugin;      /* see sl_run_choose_plugin */
    char slot[64];                /* pgsluice_<id> */
    char publication[64];         /* pgsluice_<id>, or the spec's */
    char publication_inserts[64]; /* pgsluice_<id>_inserts: tables without identity */
    char application[64];         /* pgsluice/<id>/<epoch>: application_name of every connection */
    sl_event_sink sink;
    void *sink_self;
} sl_run;

/* A connection for a stage: options such as client encoding and application_name are chosen here.
 * name is a literal for messages. flags: */
enum {
    SL_CONNECT_REPLICATION = 1,
    SL_CONNECT_REPLICA_ROLE = 2,
    SL_CONNECT_WHILE_STOPPING = 4, /* for what is done at a clean stop: not ended by run->stop */
};
sl_rc sl_run_connect(sl_run *run, sl_side side, const char *name, unsigned flags, sl_pg **pg,
                     sl_error *err);

/* Sets run->plugin once per process: that of the task's slot if there is one (the specification's
 * `decoder` goes before, and the start of the stream tells when they differ), else what the source
 * has and allows. The choice may be one that cannot be used: see sl_plugin_choice. */
sl_rc sl_run_choose_plugin(sl_run *run, sl_pg *source, sl_error *err);
bool sl_run_publishes(const sl_run *run); /* the chosen plugin reads publications */

/* fields is a json_pack format and its arguments, as in json_pack: sl_event(run, "table.copied",
 * "{s:s, s:I}", "table", label, "rows", rows). */
void sl_event(sl_run *run, const char *event, const char *fmt, ...);
void sl_run_set_stage(sl_run *run, sl_stage stage); /* progress and event */

#endif
