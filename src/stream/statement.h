/* statement.h: the SQL text of the statements that apply changes.
 *
 * Parameters come in the order of the lists: first the values that are written, then those that
 * rows are matched by. `bulk` statements take one array per column and go through unnest; they
 * affect one row per element. */
#ifndef SL_STREAM_STATEMENT_H
#define SL_STREAM_STATEMENT_H

#include "stream/bind.h"

/* All fields; a row with the same key is overwritten, if that is wanted; with COUNT the statement
 * answers with two counts (written, overwritten) where the table is a plain one. */
typedef enum sl_overwrite { SL_OVERWRITE_NOT, SL_OVERWRITE_COUNT, SL_OVERWRITE } sl_overwrite;
void sl_statement_insert(sl_buf *sql, const sl_bound *bound, bool bulk, sl_overwrite overwrite);
bool sl_statement_counts(const sl_bound *bound, sl_overwrite overwrite);
/* All fields of the row with the old key, or a new row where there is none. */
void sl_statement_move(sl_buf *sql, const sl_bound *bound);
/* SET of the set's fields; matched by key, or by the whole old row. */
void sl_statement_update(sl_buf *sql, const sl_bound *bound, const sl_colset *set, bool bulk);
void sl_statement_delete(sl_buf *sql, const sl_bound *bound, bool bulk);
/* COPY of all fields from STDIN, binary or text. */
void sl_statement_copy(sl_buf *sql, const sl_bound *bound, bool binary);

#endif
