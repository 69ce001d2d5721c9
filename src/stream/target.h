/* target.h: what a destination table looks like, as far as applying changes needs it.
 *
 * Read from the destination's catalogs for all routes at once when the stream starts, and again for
 * one table when its source announces columns that were not known. */
#ifndef SL_STREAM_TARGET_H
#define SL_STREAM_TARGET_H

#include "spec/route.h"

typedef struct sl_target_column {
    const char *name;
    const char *type; /* with domains resolved, format_type(…, -1): for casts that never truncate */
    const char *declared; /* the column's own type, format_type(…, -1) */
    const char *equals;   /* "OPERATOR(schema.op)": equality of the type's default operator class */
    uint32_t base;        /* type's OID */
    char kind;            /* type's pg_type.typtype */
    bool generated;
    char identity; /* pg_attribute.attidentity, 0 for none */
} sl_target_column;

/* A unique index over plain columns, without predicate, valid. */
typedef struct sl_target_index {
    const char *name;
    bool deferrable;
    int n;
    int *columns;        /* into sl_target.columns */
    const char **equals; /* of the index's operator classes */
} sl_target_index;

typedef struct sl_target {
    int version;  /* of its server */
    char relkind; /* 0: the table does not exist */
    bool fires; /* has triggers that fire also in replica role: they want every change, in order */
    const char *sql;  /* qualified and quoted */
    const char *only; /* "ONLY " for relkind r, else "" */
    sl_target_column *columns;
    int n_columns;
    sl_target_index *indexes;
    int n_indexes;
} sl_target;

typedef struct sl_targets {
    sl_arena arena;
    sl_target *items; /* parallel to routes->items */
} sl_targets;

sl_rc sl_targets_load(const sl_routes *routes, sl_pg *destination, sl_targets **targets,
                      sl_error *err);
/* Reads one table anew. What was read before stays valid memory until sl_targets_free. */
sl_rc sl_targets_reload(sl_targets *targets, const sl_route *route, sl_pg *destination,
                        sl_error *err);
void sl_targets_free(sl_targets *targets);

/* -1 when there is no such column. */
int sl_target_column_index(const sl_target *target, const char *name);
/* The unique index over exactly these columns (of target), in any order; NULL when there is none.
 */
const sl_target_index *sl_target_find_index(const sl_target *target, const int *columns, int n,
                                            int constant);

#endif
