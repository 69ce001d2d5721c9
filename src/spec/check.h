/* check.h: what a specification's keys demand of each other. Internal to spec/. */
#ifndef SL_SPEC_CHECK_H
#define SL_SPEC_CHECK_H

#include "spec/spec.h"

#define SL_KEYLESS_UNSET ((sl_keyless)-1) /* of a table: not given, takes the task's */

/* Checks a specification whose keys are all read, and completes what depends on several of them: a
 * table's name and keyless policy, sl_spec_schema.whole. SL_USAGE with file and line. */
sl_rc sl_spec_check(sl_spec *spec, sl_error *err);

/* A table pattern: does it match the name, and how exact is it (greater is more exact; INT_MAX for
 * a name without * and ?). The letters themselves are written [*] and [?]. */
bool sl_pattern_match(const char *pattern, const char *name);
int sl_pattern_exactness(const char *pattern);
/* The only name that matches; NULL when there may be several. */
const char *sl_pattern_name(const char *pattern, sl_arena *arena);

#endif
