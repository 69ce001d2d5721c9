/* internal.h: helpers shared by the files of src/state. */
#ifndef SL_STATE_INTERNAL_H
#define SL_STATE_INTERNAL_H

#include "state/state.h"

/* Runs sql with text parameters; SL_FENCED when it touched no row. what: for the message. */
sl_rc sl_state_fenced_exec(sl_run *run, sl_pg *destination, const char *sql, int n,
                           const char *const *values, const char *what, sl_error *err);
sl_rc sl_state_fenced(sl_run *run, sl_error *err);

/* The condition that a row of `tables` or `part` is of this table. */
const char *sl_state_is_table(const sl_run *run, const sl_table *table, sl_arena *arena);

/* Number → text in the arena, for parameters. */
const char *sl_text_int(sl_arena *arena, int64_t value);

#endif
