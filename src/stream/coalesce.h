/* coalesce.h: merges the changes of one row into one.
 *
 * Rows are told apart by table and the bytes of their key. The result per row is what it was before
 * and is to be after, so the order between rows of a table is free: delete, update, insert. Where
 * it is not (key changes, TRUNCATE, no key …) the change is a barrier: the caller flushes the
 * table's group first and applies the change by itself.
 *
 * Everything points into the batch; nothing is kept beyond sl_coalescer_reset. */
#ifndef SL_STREAM_COALESCE_H
#define SL_STREAM_COALESCE_H

#include "stream/bind.h"

typedef enum sl_row_state {
    SL_ROW_INSERT,  /* was not there, is to be there */
    SL_ROW_UPDATE,  /* was there, stays */
    SL_ROW_DELETE,  /* was there, is to go */
    SL_ROW_REPLACE, /* deleted and inserted again */
    SL_ROW_PUT,     /* may have been there, is to be there (a change that is `maybe`) */
    SL_ROW_PHANTOM, /* inserted and deleted again: must not be there before either */
    SL_ROW_STATES
} sl_row_state;

typedef struct sl_row {
    sl_bound *bound;
    const sl_change *first; /* its key identifies the row */
    const sl_change *last;  /* its new row is the latest */
    const uint8_t *
        *merged; /* per column of the relation, where last alone does not say it; or NULL */
    uint32_t hash, generation;
    struct sl_row *next; /* in its group, in order of first change */
    sl_colset *set;      /* the writer's: what an UPDATE sets */
    uint8_t state;
    bool partial; /* an unsent value is left */
} sl_row;

/* The pending rows of one bound. */
typedef struct sl_group {
    sl_bound *bound;
    sl_row *head, *tail;
    uint32_t n[SL_ROW_STATES]; /* rows by state */
    uint32_t n_rows, generation;
    struct sl_group *next; /* in order of first change since the reset */
} sl_group;

typedef struct sl_coalescer sl_coalescer;
sl_coalescer *sl_coalescer_new(void);
void sl_coalescer_free(sl_coalescer *c);
/* Forgets everything; n_changes is how many may come. */
void sl_coalescer_reset(sl_coalescer *c, uint32_t n_changes);

/* Takes the change in, or returns false: a barrier. The change must not be a TRUNCATE. */
bool sl_coalesce(sl_coalescer *c, sl_bound *bound, const sl_change *change);
/* Takes an INSERT in without looking for its row (tables without a key, runs kept in order). */
void sl_coalesce_append(sl_coalescer *c, sl_bound *bound, const sl_change *change);

/* The groups, also empty ones. */
sl_group *sl_coalescer_groups(sl_coalescer *c);
/* Forgets a group's rows, after they were flushed. */
void sl_group_clear(sl_group *group);

/* Offsets of the values that identify the row a change is about. */
static inline const uint32_t *sl_key_offsets(const sl_change *change)
{
    return change->old_kind ? change->old_off : change->new_off;
}
static inline const uint8_t *sl_row_key(const sl_row *row, const sl_field *field)
{
    return row->first->data + sl_key_offsets(row->first)[field->column];
}
static inline const uint8_t *sl_row_value(const sl_row *row, uint16_t column)
{
    return row->merged ? row->merged[column] : row->last->data + row->last->new_off[column];
}
/* Does an UPDATE change the key? An unsent value is an unchanged one. */
bool sl_key_changes(const sl_bound *bound, const sl_change *change);
/* The new row's values, unsent ones filled from the old row where that was sent; per column of the
 * relation. *partial: some are still unsent. */
const uint8_t **sl_change_values(const sl_bound *bound, const sl_change *change, sl_arena *arena,
                                 bool *partial);

#endif
