/* route.h: where each source table goes.
 *
 * A route is resolved once, when a worker starts, from the spec and the source's catalog, and used
 * by every stage: no other code maps a name. Routes are immutable afterwards and may be read from
 * any thread. */
#ifndef SL_SPEC_ROUTE_H
#define SL_SPEC_ROUTE_H

#include "pg/pg.h"
#include "pg/types.h"
#include "spec/spec.h"

typedef enum sl_identity {
    SL_IDENTITY_NOTHING, /* rows cannot be told apart: inserts and truncates only */
    SL_IDENTITY_KEY,     /* replica identity default (primary key) or index: key columns */
    SL_IDENTITY_FULL,    /* all columns; see also key: a full identity may still have a key */
} sl_identity;

typedef struct sl_column {
    int attnum; /* on the source */
    const char *name, *dst_name;
    sl_type type;
    int32_t typmod;
    const char *type_sql; /* format_type(type, -1) on the source, schema-qualified: a cast to it
                             cuts nothing off */
    bool not_null;
    bool generated;       /* computed in the destination: never written */
    bool is_virtual;      /* generated, and computed when it is read (18+) */
    char identity;        /* 'a' always, 'd' by default, 0 */
    bool in_key;          /* part of key below */
    bool in_relation_key; /* flagged as key by the source's replica identity */
    bool proven;          /* sl_type_binary_proven */
} sl_column;

/* A column that the specification leaves out. */
typedef struct sl_left_out {
    int attnum;
    const char *name;
    bool generated;
} sl_left_out;

typedef struct sl_route {
    size_t index; /* in sl_routes.items; also the index of its sl_table */
    uint32_t oid; /* on the source */
    const char *src_schema, *src_table, *dst_schema, *dst_table;
    char relkind;          /* 'r' holds rows; 'p' partitioned root: schema and publication only */
    char persistence;      /* 'p', 'u' unlogged: copied, never streamed */
    bool is_partition;     /* a leaf or sub-root of another */
    bool has_children;     /* relkind r with inheritance children: ONLY is needed */
    char replica_identity; /* pg_class.relreplident: d n f i */
    sl_column *columns;    /* the selected ones, in attnum order, generated ones too */
    size_t n_columns;
    sl_left_out *left_out; /* the others */
    size_t n_left_out;
    sl_identity identity;
    /* What rows are matched by in the destination: indexes into columns. With SL_IDENTITY_KEY the
     * replica identity's columns; with SL_IDENTITY_FULL the primary key's or a unique not-null
     * non-deferrable index's, if there is one, else none (n_key 0). */
    int *key;
    size_t n_key;
    const char *key_index; /* the source's index behind key, or NULL */
    bool key_deferrable;   /* the primary key is deferrable: no replica identity, not key above */
    bool cascades_in;      /* rows can vanish by a foreign key's ON DELETE/UPDATE action */
    bool extra_unique;     /* unique or exclusion constraints besides the key */
    sl_keyless keyless;    /* the policy that applies */
    unsigned operations;   /* SL_OP_* */
    const struct sl_condition *condition; /* on the source's rows (spec/condition.h), or NULL */
    double where_rows;  /* the source's estimate of the rows that match it, -1 unknown */
    bool binary_copy;   /* every copied column is proven */
    double reltuples;   /* estimate, -1 unknown */
    int64_t bytes;      /* heap and TOAST, on disk */
    int64_t heap_pages; /* relpages by pg_relation_size */
    /* merge: the table is the partition of merge_schema.merge_table for merge_value of
     * merge_column, a column that the source does not have; else NULL. */
    const char *merge_schema, *merge_table, *merge_column, *merge_value;
    const sl_spec_table *spec; /* the entry that selected it, NULL with a whole schema */
} sl_route;

typedef struct sl_routes {
    sl_arena arena;
    sl_route *items; /* ordered by schema, table */
    size_t n;
    sl_map *by_source; /* "schema\0table" → sl_route * */
    sl_map *by_oid;    /* uint32_t → sl_route * */
    /* Source schemas and their destination names, for objects that are not tables. */
    struct sl_schema_route {
        const char *src, *dst;
        bool whole;
    } * schemas;
    size_t n_schemas;
    bool binary_stream; /* every streamed column of every route is proven */
    bool mapped;        /* some schema, table or column has another name in the destination, or
                           names.rules or names.case may give others another one */
} sl_routes;

/* Reads the selected tables with their columns and keys from the source in a handful of queries.
 * A missing table or schema is SL_USAGE with file, line and the closest names. `source` may be
 * inside a transaction with a snapshot. */
sl_rc sl_routes_resolve(const sl_spec *spec, sl_pg *source, sl_routes **routes, sl_error *err);
void sl_routes_free(sl_routes *routes);
/* Takes tables out again (uint32_t OID → not NULL), before anybody uses the routes. */
void sl_routes_remove(sl_routes *routes, const sl_map *oids);
const sl_route *sl_route_find(const sl_routes *routes, const char *schema, const char *table);
const sl_route *sl_route_by_oid(const sl_routes *routes, uint32_t oid);
/* The destination's name of a source schema; NULL when it is not part of the task. */
const char *sl_route_schema(const sl_routes *routes, const char *src_schema);

/* "schema.table" quoted for SQL; and for people: plain, with double quotes only where it would be
 * ambiguous. */
char *sl_route_src_sql(const sl_route *route, sl_arena *arena);
char *sl_route_dst_sql(const sl_route *route, sl_arena *arena);
char *sl_route_label(const sl_route *route, sl_arena *arena);

#endif
