/* suggest.h: which known names are near one that is not known, for messages. */
#ifndef SL_SPEC_SUGGEST_H
#define SL_SPEC_SUGGEST_H

#include <stddef.h>

/* The candidates nearest to name, at most three, nearest first, into found (the rest NULL). Near
 * is: equal but for case, or a few letters apart (insertions, deletions, replacements, swapped
 * neighbours; more in longer names). Returns how many. */
size_t sl_nearest(const char *name, const char *const *candidates, size_t n, const char *found[3]);

/* "a", "a or b", "a, b or c" from what sl_nearest found; buf is returned, "" when n is 0. */
char *sl_nearest_text(const char *const *found, size_t n, char *buf, size_t size);

#endif
