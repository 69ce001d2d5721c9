/* relations.h: which of the source's relations a specification selects. Internal to spec/: routes.c
 * makes routes of them. */
#ifndef SL_SPEC_RELATIONS_H
#define SL_SPEC_RELATIONS_H

#include "pg/pg.h"
#include "spec/spec.h"

/* A row of pg_class. */
typedef struct sl_relation_row {
    uint32_t oid;
    const char *schema, *name;
    char relkind, persistence, replica_identity;
    bool is_partition, of_extension;
    double reltuples; /* -1: unknown */
    uint32_t parent;  /* of a partition, else 0 */
    bool selected;
    const sl_spec_table *spec; /* the entry that selected it, or NULL */
} sl_relation_row;

typedef struct sl_relations {
    sl_relation_row *items; /* the selected ones, ordered by schema and name (bytes) */
    size_t n;
} sl_relations;

/* Reads the relations of the specification's schemas and selects tables; adds the partitions of
 * selected partitioned tables. SL_USAGE for a schema or table that is not there, or is no table. */
sl_rc sl_relations_select(const sl_spec *spec, sl_pg *source, sl_arena *arena, sl_relations *out,
                          sl_error *err);

#endif
