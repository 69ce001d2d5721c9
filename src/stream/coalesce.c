/* coalesce.c: the table of what follows what, and the hash table of rows.
 *
 * Invariants:
 *  1. A row that is found has the key bytes of the change, its bound, and the group's generation.
 *  2. A row's state says whether the row existed before the group and is to exist after it: INSERT
 *     no/yes, UPDATE yes/yes, DELETE yes/no, REPLACE yes/yes anew, PHANTOM no/no.
 *  3. A change that the state forbids (an INSERT of a row that is there) is a barrier, so that it
 *     meets the destination in order and fails there, if it is to fail. */
#include "stream/coalesce.h"

#include <stdlib.h>
#include <string.h>

typedef struct slot {
    uint32_t hash, row; /* row: index + 1, 0 is free */
} slot;

struct sl_coalescer {
    sl_row *rows;
    uint32_t n_rows, cap_rows;
    slot *slots;
    uint32_t mask, cap_slots;
    sl_arena arena; /* groups and merged rows */
    sl_group *groups, **last_group;
    uint32_t generation;
};

#define FORBIDDEN 255

#define PUT 3 /* an UPDATE that is `maybe` */

/* [state][operation] → state; operation: insert, update, delete, put */
static const uint8_t follow[SL_ROW_STATES][4] = {
    [SL_ROW_INSERT] = { FORBIDDEN, SL_ROW_INSERT, SL_ROW_PHANTOM, SL_ROW_INSERT },
    [SL_ROW_UPDATE] = { FORBIDDEN, SL_ROW_UPDATE, SL_ROW_DELETE, SL_ROW_UPDATE },
    [SL_ROW_DELETE] = { SL_ROW_REPLACE, FORBIDDEN, FORBIDDEN, SL_ROW_REPLACE },
    [SL_ROW_REPLACE] = { FORBIDDEN, SL_ROW_REPLACE, SL_ROW_DELETE, SL_ROW_REPLACE },
    [SL_ROW_PUT] = { FORBIDDEN, SL_ROW_PUT, SL_ROW_DELETE, SL_ROW_PUT },
    [SL_ROW_PHANTOM] = { SL_ROW_INSERT, FORBIDDEN, FORBIDDEN, SL_ROW_INSERT },
};
static const uint8_t initial[4] = { SL_ROW_INSERT, SL_ROW_UPDATE, SL_ROW_DELETE, SL_ROW_PUT };

sl_coalescer *sl_coalescer_new(void)
{
    sl_coalescer *c = sl_xcalloc(1, sizeof(*c));
    c->arena.block_size = 64 * 1024;
    sl_coalescer_reset(c, 0);
    return c;
}

void sl_coalescer_free(sl_coalescer *c)
{
    if (!c)
        return;
    sl_arena_free(&c->arena);
    free(c->rows);
    free(c->slots);
    free(c);
}

/* Rows are pointed to, so their array is sized before the first one. */
void sl_coalescer_reset(sl_coalescer *c, uint32_t n_changes)
{
    for (sl_group *group = c->groups; group; group = group->next)
        group->bound->group = NULL;
    c->groups = NULL;
    c->last_group = &c->groups;
    sl_arena_reset(&c->arena);
    c->n_rows = 0;
    if (n_changes > c->cap_rows) {
        c->cap_rows = n_changes;
        free(c->rows);
        c->rows = sl_xmalloc(c->cap_rows * sizeof(*c->rows));
    }
    uint32_t size = 64;
    while (size < n_changes * 2)
        size *= 2;
    if (size > c->cap_slots) {
        c->cap_slots = size;
        free(c->slots);
        c->slots = sl_xmalloc(size * sizeof(*c->slots));
    }
    memset(c->slots, 0, size * sizeof(*c->slots));
    c->mask = size - 1;
}

sl_group *sl_coalescer_groups(sl_coalescer *c)
{
    return c->groups;
}

void sl_group_clear(sl_group *group)
{
    group->head = group->tail = NULL;
    group->n_rows = 0;
    memset(group->n, 0, sizeof(group->n));
    group->generation++;
}

static sl_group *get_group(sl_coalescer *c, sl_bound *bound)
{
    if (bound->group)
        return bound->group;
    sl_group *group = SL_NEW(&c->arena, sl_group);
    group->bound = bound;
    *c->last_group = group;
    c->last_group = &group->next;
    return bound->group = group;
}

static uint32_t hash_key(const sl_bound *bound, const sl_change *change)
{
    const uint32_t *off = sl_key_offsets(change);
    uint64_t hash = (uintptr_t)bound;
    for (uint16_t i = 0; i < bound->n_key; i++) {
        const uint8_t *v = change->data + off[bound->fields[bound->key[i]].column];
        hash = sl_hash64(v, 1 + sl_value_len(v) + (sl_value_len(v) ? 4 : 0), hash);
    }
    return (uint32_t)(hash ^ (hash >> 32));
}

static bool same_key(const sl_bound *bound, const sl_change *a, const sl_change *b)
{
    const uint32_t *a_off = sl_key_offsets(a), *b_off = sl_key_offsets(b);
    for (uint16_t i = 0; i < bound->n_key; i++) {
        uint16_t column = bound->fields[bound->key[i]].column;
        if (!sl_value_same(a->data + a_off[column], b->data + b_off[column]))
            return false;
    }
    return true;
}

static sl_row *find(sl_coalescer *c, sl_group *group, const sl_change *change, uint32_t hash,
                    slot **free_slot)
{
    for (uint32_t i = hash & c->mask;; i = (i + 1) & c->mask) {
        slot *s = &c->slots[i];
        if (!s->row) {
            *free_slot = s;
            return NULL;
        }
        if (s->hash != hash)
            continue;
        sl_row *row = &c->rows[s->row - 1];
        if (row->bound == group->bound && row->generation == group->generation &&
            same_key(group->bound, row->first, change))
            return row;
    }
}

static sl_row *add_row(sl_coalescer *c, sl_group *group, const sl_change *change, uint8_t state)
{
    sl_row *row = &c->rows[c->n_rows++];
    *row = (sl_row){
        .bound = group->bound,
        .first = change,
        .last = change,
        .generation = group->generation,
        .state = state,
    };
    if (group->tail)
        group->tail->next = row;
    else
        group->head = row;
    group->tail = row;
    group->n[state]++;
    group->n_rows++;
    return row;
}

const uint8_t **sl_change_values(const sl_bound *bound, const sl_change *change, sl_arena *arena,
                                 bool *partial)
{
    uint16_t n = bound->rel->n_columns;
    const uint8_t **values = sl_arena_alloc(arena, (n ? n : 1u) * sizeof(*values));
    *partial = false;
    for (uint16_t i = 0; i < n; i++) {
        values[i] = change->data + change->new_off[i];
        if (sl_value_sent(values[i]))
            continue;
        /* A key row has only its key columns; the others are NULL there. */
        if (change->old_kind == 'O' || (change->old_kind == 'K' && bound->rel->columns[i].key))
            values[i] = change->data + change->old_off[i];
        *partial |= !sl_value_sent(values[i]);
    }
    return values;
}

/* The new row of an UPDATE on top of what the row already has. */
static void set_values(sl_coalescer *c, sl_row *row, const sl_change *change, bool had_values)
{
    if (!change->unchanged) {
        row->last = change;
        row->merged = NULL;
        row->partial = false;
        return;
    }
    bool partial;
    const uint8_t **values = sl_change_values(row->bound, change, &c->arena, &partial);
    if (partial && had_values) {
        partial = false;
        for (uint16_t i = 0; i < row->bound->rel->n_columns; i++) {
            if (!sl_value_sent(values[i]))
                values[i] = sl_row_value(row, i);
            partial |= !sl_value_sent(values[i]);
        }
    }
    row->last = change;
    row->merged = values;
    row->partial = partial;
}

bool sl_key_changes(const sl_bound *bound, const sl_change *change)
{
    if (!change->old_kind || !change->new_off)
        return false;
    for (uint16_t i = 0; i < bound->n_key; i++) {
        uint16_t column = bound->fields[bound->key[i]].column;
        const uint8_t *after = change->data + change->new_off[column];
        if (sl_value_sent(after) && !sl_value_same(change->data + change->old_off[column], after))
            return true;
    }
    return false;
}

bool sl_coalesce(sl_coalescer *c, sl_bound *bound, const sl_change *change)
{
    if (bound->ordered || bound->n_key == 0) {
        if (change->op != SL_CHANGE_INSERT)
            return false;
        sl_coalesce_append(c, bound, change);
        return true;
    }
    if (change->op == SL_CHANGE_UPDATE &&
        (sl_key_changes(bound, change) || (change->maybe && (change->gone || !bound->can_put))))
        return false;
    int op = change->op == SL_CHANGE_UPDATE && change->maybe ? PUT : change->op;
    sl_group *group = get_group(c, bound);
    uint32_t hash = hash_key(bound, change);
    slot *free_slot = NULL;
    sl_row *row = find(c, group, change, hash, &free_slot);
    if (!row) {
        row = add_row(c, group, change, initial[op]);
        row->hash = hash;
        *free_slot = (slot){ .hash = hash, .row = (uint32_t)(row - c->rows) + 1 };
        if (change->op == SL_CHANGE_UPDATE)
            set_values(c, row, change, false);
        return true;
    }
    uint8_t state = follow[row->state][op];
    if (state == FORBIDDEN && op == SL_CHANGE_DELETE && change->maybe)
        return true; /* it is gone already */
    if (state == FORBIDDEN)
        return false;
    group->n[row->state]--;
    group->n[state]++;
    if (change->op == SL_CHANGE_UPDATE) {
        set_values(c, row, change, true);
    } else {
        row->last = change;
        row->merged = NULL;
        row->partial = false;
    }
    row->state = state;
    return true;
}

void sl_coalesce_append(sl_coalescer *c, sl_bound *bound, const sl_change *change)
{
    add_row(c, get_group(c, bound), change, SL_ROW_INSERT);
}
