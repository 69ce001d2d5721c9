/* ranged.c: see the header. */
#include "stream/ranged.h"

#include <string.h>

static const sl_rel_column *key_column(const sl_ranges *ranges, const sl_relation *rel, int *index)
{
    for (int i = 0; i < rel->n_columns; i++) {
        if (strcmp(rel->columns[i].name, ranges->column) != 0)
            continue;
        *index = i;
        return &rel->columns[i];
    }
    return NULL;
}

/* Does the copy of the range that holds this value lack what commits at lsn? */
static bool lacks(const sl_ranges *ranges, sl_lsn lsn, const uint8_t *value, bool *lacking)
{
    sl_range_key key;
    if (!sl_ranges_key(ranges->uuid, sl_value_kind(value), sl_value_data(value),
                       sl_value_len(value), &key))
        return false;
    *lacking = lsn >= ranges->lsn[sl_ranges_find(ranges, key)];
    return true;
}

/* The row comes from a range whose copy knows that it has gone: here it is new, so it must be
 * complete. */
static sl_rc to_insert(sl_change *change, uint32_t *offsets)
{
    const sl_relation *rel = change->rel;
    for (int i = 0; i < rel->n_columns; i++) {
        bool old_sent = change->old_kind == 'O' || (change->old_kind == 'K' && rel->columns[i].key);
        offsets[i] = change->new_off[i];
        if (sl_value_sent(change->data + offsets[i]))
            continue;
        if (!old_sent || !sl_value_sent(change->data + change->old_off[i]))
            return SL_NOT_FOUND;
        offsets[i] = change->old_off[i];
    }
    change->op = SL_CHANGE_INSERT;
    change->new_off = offsets;
    change->old_off = NULL;
    change->old_kind = 0;
    change->unchanged = false;
    return SL_OK;
}

static void to_delete(sl_change *change)
{
    change->op = SL_CHANGE_DELETE;
    change->new_off = NULL;
    change->unchanged = false;
}

sl_rc sl_ranged_change(const sl_ranges *ranges, sl_lsn lsn, sl_change *change, uint32_t *offsets,
                       bool *wanted)
{
    int i;
    bool before = false, after = false;
    const sl_rel_column *column = key_column(ranges, change->rel, &i);
    /* A key's old value is sent only where the column belongs to the identity. */
    if (!column || (!column->key && change->rel->identity != 'f'))
        return SL_NOT_FOUND;
    const uint32_t *old = change->old_kind ? change->old_off : change->new_off;
    if (change->op != SL_CHANGE_INSERT && !lacks(ranges, lsn, change->data + old[i], &before))
        return SL_NOT_FOUND;
    if (change->op == SL_CHANGE_DELETE) {
        *wanted = before;
        return SL_OK;
    }
    if (!lacks(ranges, lsn, change->data + change->new_off[i], &after))
        return SL_NOT_FOUND;
    if (change->op == SL_CHANGE_INSERT)
        before = after;
    *wanted = before || after;
    if (before && !after)
        to_delete(change);
    return after && !before ? to_insert(change, offsets) : SL_OK;
}
