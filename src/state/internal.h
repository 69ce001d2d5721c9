/* internal.h: helpers shared by the files of src/state. */
#ifndef SL_STATE_INTERNAL_H
#define SL_STATE_INTERNAL_H

#include "state/state.h"

/* A text[] literal of n strings ({"a","b"}), for one parameter instead of n statements. */
void sl_array_start(sl_buf *array);
void sl_array_add(sl_buf *array, const char *value); /* NULL value becomes NULL */
void sl_array_end(sl_buf *array);

/* Runs sql with text parameters; SL_FENCED when it touched no row. what: for the message. */
sl_rc sl_state_fenced_exec(sl_run *run, sl_pg *destination, const char *sql, int n,
                           const char *const *values, const char *what, sl_error *err);
sl_rc sl_state_fenced(sl_run *run, sl_error *err);

/* Number → text in the arena, for parameters. */
const char *sl_text_int(sl_arena *arena, int64_t value);

#endif
