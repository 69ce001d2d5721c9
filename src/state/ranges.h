/* ranges.h: a large table's key ranges, each copied under a snapshot of its own if a restart comes
 * between.
 *
 * The bounds are fixed when the copy begins, and stored; with every range goes the LSN of the
 * snapshot under which it was copied. Where these differ, the stream asks for the range of a
 * change's row before it knows whether the copy holds the change already.
 *
 * A key is one column of the row identity, an integer or a uuid, as a number that sorts like it. */
#ifndef SL_STATE_RANGES_H
#define SL_STATE_RANGES_H

#include "pg/pg.h"

typedef unsigned __int128 sl_range_key;

typedef struct sl_ranges {
    char *column;          /* on the source */
    bool uuid;             /* else an integer */
    uint32_t filenode;     /* the heap that the ranges are of: another one has other rows */
    size_t n;              /* range i is [bounds[i - 1], bounds[i]); the first and last are open */
    sl_range_key *bounds;  /* n - 1, ascending */
    sl_lsn *lsn;           /* n; of each range's snapshot, 0 while it is not copied */
    int64_t *rows, *bytes; /* n; what was copied */
    sl_lsn oldest, newest; /* of lsn, once all are copied; see sl_ranges_settle */
} sl_ranges;

/* Room for n ranges; free with sl_ranges_free. */
sl_ranges *sl_ranges_new(const char *column, bool uuid, uint32_t filenode, size_t n);
void sl_ranges_free(sl_ranges *r); /* NULL is fine */

/* The form in which bounds are stored, and back; NULL when the text is not ours. */
char *sl_ranges_text(const sl_ranges *r, sl_arena *arena);
sl_ranges *sl_ranges_parse(const char *text);

/* A value in text (kind 't', not terminated) or binary ('b') form; false when it is none. */
bool sl_ranges_key(bool uuid, char kind, const void *data, size_t len, sl_range_key *key);
size_t sl_ranges_find(const sl_ranges *r, sl_range_key key);
/* Range i as a condition on the source's table. */
char *sl_ranges_where(const sl_ranges *r, size_t i, sl_arena *arena);

/* Are all ranges copied? Then sets oldest and newest. */
bool sl_ranges_settle(sl_ranges *r);
/* Copied at different moments, and is lsn one between them? */
static inline bool sl_ranges_between(const sl_ranges *r, sl_lsn lsn)
{
    return r && lsn < r->newest;
}

#endif
