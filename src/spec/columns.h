/* columns.h: which of a table's columns an entry of the specification selects. */
#ifndef SL_SPEC_COLUMNS_H
#define SL_SPEC_COLUMNS_H

#include "spec/route.h"

/* spec may be NULL: everything is selected. */
bool sl_column_selected(const sl_spec_table *spec, const char *column);

/* After the columns are read: every column that the specification names is there, no table is left
 * without columns, and nothing that stays needs one that does not: the columns that tell rows
 * apart, of partition keys, and of generated columns' expressions. SL_USAGE with file and line. */
sl_rc sl_columns_check(const sl_spec *spec, const sl_routes *routes, sl_pg *source, sl_error *err);

/* The table's column that is left out under that number; NULL when there is none. */
const sl_left_out *sl_column_left_out(const sl_route *route, int attnum);

#endif
