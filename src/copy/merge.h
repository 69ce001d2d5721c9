/* merge.h: makes a table's rows those of another table, by their difference.
 *
 * What is equal stays untouched; the table is never emptied. */
#ifndef SL_COPY_MERGE_H
#define SL_COPY_MERGE_H

#include "state/state.h"

typedef struct sl_merged {
    int64_t deleted, updated, inserted;
} sl_merged;

/* In the open transaction of `destination`. `from` (SQL name) has the route's written columns under
 * their destination names. Rows are matched by the route's key; without a key the whole contents
 * are replaced. Columns that only the destination has keep their values in rows that stay. */
sl_rc sl_merge_rows(const sl_route *route, const char *from, sl_pg *destination, sl_merged *merged,
                    sl_error *err);

#endif
