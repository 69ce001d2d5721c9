/* bind.h: how the columns of a relation, as the source describes it, are written to the
 * destination.
 *
 * One sl_bound per version of a relation. It is made by the applier's thread with the first change
 * that needs it, and keeps the relation's prepared statements. Every list of columns of the apply
 * code is in terms of `fields`: the columns that are written. */
#ifndef SL_STREAM_BIND_H
#define SL_STREAM_BIND_H

#include "state/state.h"
#include "stream/change.h"
#include "stream/target.h"

struct sl_stmt;

/* How a key's values are put in the index's order before a bulk statement. */
typedef enum sl_sort { SL_SORT_BYTES, SL_SORT_INT_BINARY, SL_SORT_INT_TEXT } sl_sort;

typedef struct sl_field {
    uint16_t column; /* of the relation */
    const sl_target_column *target;
    const char *name;  /* the destination's, quoted */
    const char *cast;  /* "::type" where the parameter's type does not say it, or "" */
    const char *exact; /* the same to the column's declared type, for comparing whole rows */
    const char *equals;
    uint32_t param; /* type of a parameter that holds one value; its format is always binary */
    uint32_t element,
        array; /* types of an unnest parameter; array 0: this column cannot go that way */
    bool key, copy_binary;
    bool settable; /* may be in SET: not GENERATED ALWAYS AS IDENTITY */
    sl_sort sort;
} sl_field;

/* Statements over one set of columns that are present. */
typedef struct sl_colset {
    struct sl_colset *next;
    struct sl_stmt *row, *bulk;
    uint16_t n;
    uint16_t fields[]; /* indexes of the fields that are SET, ascending */
} sl_colset;

typedef enum sl_stmt_use {
    SL_STMT_INSERT_ROW,
    SL_STMT_INSERT_BULK,
    SL_STMT_DELETE_ROW,
    SL_STMT_DELETE_BULK,
    SL_STMT_PUT_ROW, /* a row that may be there: overwritten, and no conflict */
    SL_STMT_PUT_BULK,
    SL_STMT_MOVE, /* the same by UPDATE, else INSERT: for a new key, or without a unique index */
    SL_STMT_UPSERT_ROW, /* a missing row that an UPDATE brings back */
    SL_STMT_USES
} sl_stmt_use;

typedef struct sl_bound {
    const sl_relation *rel;
    const sl_route *route;
    sl_table *table;
    const sl_target *target;
    const char *label; /* source's schema.table, for people */
    sl_field *fields;
    uint16_t n_fields;
    uint16_t *key; /* indexes into fields; what rows are matched by */
    uint16_t n_key;
    const sl_target_index *key_index; /* behind key in the destination; NULL: none */
    bool whole_row;                   /* no key, the identity is the whole row */
    bool ordered;                     /* every change by itself, in order */
    bool flat;                        /* every field can go through unnest */
    bool copy_binary;      /* COPY in binary is right; else in text, if the stream is text */
    bool tolerate_missing; /* a missing row is counted, no error */
    bool enforced;         /* foreign keys and triggers act */
    bool can_put;          /* ON CONFLICT can find the row by its key */
    bool upsert;           /* INSERT overwrites a row that is there */
    struct sl_stmt *stmts[SL_STMT_USES];
    sl_colset *colsets;
    struct sl_group *group; /* of the coalescer, while the bound has pending rows */
    int64_t
        inserted; /* rows, since the stream began: prepared statements are made anew as it grows */
} sl_bound;

typedef struct sl_binder sl_binder;
/* destination (for catalog queries, outside of transactions) stays the caller's. binary: the
 * stream's values are in binary. enforced: the applying session has no replica role, so that
 * foreign keys act. */
sl_binder *sl_binder_new(sl_run *run, sl_pg *destination, bool binary, bool enforced);
void sl_binder_free(sl_binder *b);
/* Has a bound failed because the stream must be text? Then a new stream, in text, goes on from
 * here. */
bool sl_binder_needs_text(const sl_binder *b);
/* Reads the destination's tables. */
sl_rc sl_binder_load(sl_binder *b, sl_error *err);

/* The bound of a relation of that route; kept in rel->bound. SL_FAILED when the destination's table
 * or one of its columns is missing. */
sl_rc sl_bind(sl_binder *b, sl_relation *rel, sl_bound **bound, sl_error *err);

/* The columns that an UPDATE sets: those whose value was sent (values per column of the relation;
 * NULL: all of them), without the key's unless with_key. */
sl_colset *sl_bound_colset(sl_binder *b, sl_bound *bound, const uint8_t *const *values,
                           bool with_key);

#endif
