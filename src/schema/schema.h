/* schema.h: creates the source's schema in the destination.
 *
 * Reads the source's catalogs (under the slot's snapshot where there is one), orders the objects by
 * dependency and phase, generates DDL with the routes' names and applies it, each object in its own
 * transaction or savepoint with its result recorded in the destination (sl_state_record_object), so
 * that a restart skips what is there. Objects of kinds not yet synchronized are reported by name.
 */
#ifndef SL_SCHEMA_SCHEMA_H
#define SL_SCHEMA_SCHEMA_H

#include <pthread.h>
#include "state/state.h"

typedef enum sl_phase {
    SL_PHASE_PRE,   /* before the rows: schemas, extensions, types, sequences, tables, defaults,
                       checks */
    SL_PHASE_INDEX, /* when a table's rows are in: indexes, primary keys, unique, exclusion */
    SL_PHASE_POST,  /* when all indexes are there: foreign keys, index attachment, identity, … */
} sl_phase;

typedef struct sl_object {
    sl_phase phase;
    const char *kind;        /* "table", "index", "constraint" … */
    const char *identity;    /* schema-qualified source name, as people read it */
    const char *destination; /* the same in the destination */
    const char *sql;         /* one or several statements; NULL for an unsupported one */
    /* Run after sql in its own transaction (VALIDATE CONSTRAINT), or NULL. */
    const char *validate_sql;
    const char *unsupported; /* why it is not synchronized, or NULL */
    const sl_route *route;   /* the table it belongs to, or NULL */
    const char *after_sql; /* run in the same transaction after sql (comments, storage), or NULL */
    const char *mute_sql;  /* added where our writes would fire it (no replica role), or NULL */
    const char *detail;    /* what is different from the source, or NULL */
    bool required;         /* its failure fails the stage: tables, and what they need */
    bool excludes;         /* unique or an exclusion, and not the key's index */
    _Atomic int done;      /* 0, or sl_object_result + 1 */
} sl_object;

typedef struct sl_schema {
    sl_arena arena;
    sl_object *objects; /* in the order in which they can be created */
    size_t n;
    sl_object **tables;   /* by route index; NULL where there is none (a member of an extension) */
    sl_map *recorded;     /* what is recorded from an earlier run; loaded when needed */
    sl_map *there;        /* schemas and extensions of the destination: "kind\0name" */
    bool replica_role;    /* the destination's role may set session_replication_role */
    pthread_mutex_t lock; /* guards the loading of these */
} sl_schema;

/* Reads and generates; nothing is changed. `source` may be in a transaction with a snapshot.
 * `destination_version` decides downgrades. */
sl_rc sl_schema_load(sl_run *run, sl_pg *source, int destination_version, sl_schema **schema,
                     sl_error *err);
void sl_schema_free(sl_schema *schema);

/* Creates one object and records its result; a failure of the object itself is recorded, not
 * returned, unless the object is a table or something that tables need (then SL_FAILED). Skips what
 * is recorded as created. Thread-safe for different objects with different connections. */
sl_rc sl_schema_apply(sl_run *run, sl_schema *schema, sl_object *object, sl_pg *destination,
                      sl_error *err);
/* Records that an object is to be made later (sl_copy_retry_keys), and why. */
sl_rc sl_schema_defer(sl_run *run, sl_schema *schema, sl_object *object, const char *why,
                      sl_pg *destination, sl_error *err);
/* All objects of a phase, in order. */
sl_rc sl_schema_apply_phase(sl_run *run, sl_schema *schema, sl_phase phase, sl_pg *destination,
                            sl_error *err);
/* Those of them that are wanted, in order. */
sl_rc sl_schema_apply_where(sl_run *run, sl_schema *schema, sl_phase phase,
                            bool (*wanted)(const sl_object *object), sl_pg *destination,
                            sl_error *err);

/* Sets the destination's sequences that belong to the task to the source's present values (setval
 * with is_called), in one round trip each way. */
sl_rc sl_schema_sync_sequences(sl_run *run, sl_pg *source, sl_pg *destination, sl_error *err);

#endif
