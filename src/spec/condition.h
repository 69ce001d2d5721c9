/* condition.h: a table's condition on its rows (`where`).
 *
 * One SQL expression over the table's own columns, whose result depends on the row alone: no
 * subquery, no aggregate, nothing that is volatile or that changes with time, session or other
 * tables. It is evaluated by the source only, with an empty search_path and TimeZone UTC: by COPY
 * and, for changes, by the stream (stream/filter.h). */
#ifndef SL_SPEC_CONDITION_H
#define SL_SPEC_CONDITION_H

#include "spec/route.h"

/* A function or operator that the condition names. */
typedef struct sl_named {
    const char *schema; /* or NULL: the search_path is empty, so it is pg_catalog's */
    const char *name;
    int n_args;
    bool is_operator;
} sl_named;

typedef struct sl_condition {
    const char *sql;            /* in parentheses, fit for any place of an expression */
    const char *const *columns; /* that it uses, NULL-terminated */
    const sl_named *named;
    size_t n_named;
} sl_condition;

/* Parses with PostgreSQL's own grammar (libpg_query: 15's) and refuses what cannot be a condition.
 * where begins the messages: "shop.yaml:4". SL_USAGE. Everything lives in the arena. */
sl_rc sl_condition_parse(sl_arena *arena, const char *where, const char *text,
                         const sl_condition **out, sl_error *err);

/* After the columns are read: every route's condition is understood by the source, uses columns
 * that are there, and no function that may not be used; fills where_rows. SL_USAGE with file and
 * line. */
sl_rc sl_conditions_check(const sl_spec *spec, sl_routes *routes, sl_pg *source, sl_error *err);

#endif
