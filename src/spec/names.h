/* names.h: what things of the source are called in the destination.
 *
 * The order: a `rename` of its own, and nothing else; or the bulk rules one after the other, their
 * patterns compared with the source's names; then the case policy. Letters are changed as the
 * server folds names: ASCII only. Pure functions; what they return lives in the arena, or is the
 * name that was given. Threads: any, once sl_names_prepare has run. */
#ifndef SL_SPEC_NAMES_H
#define SL_SPEC_NAMES_H

#include "spec/spec.h"

#define SL_NAME_MAX 63 /* bytes in PostgreSQL's names */

/* Compiles and checks the rules; SL_USAGE with file and line. Part of sl_spec_check. */
sl_rc sl_names_prepare(sl_spec *spec, sl_error *err);
void sl_names_release(sl_spec *spec);

const char *sl_names_schema(const sl_spec *spec, const char *schema, sl_arena *arena);
/* Also of views and sequences. entry: the one that selected the table, or NULL. */
const char *sl_names_table(const sl_spec *spec, const sl_spec_table *entry, const char *schema,
                           const char *table, sl_arena *arena);
const char *sl_names_column(const sl_spec *spec, const sl_spec_table *entry, const char *schema,
                            const char *table, const char *column, sl_arena *arena);
/* An index, a constraint or an owned sequence. A name that begins with the table's, as those that
 * PostgreSQL chooses do, begins with the table's new one; others follow the rules and the case
 * policy. Never longer than SL_NAME_MAX: shortened with a mark of its own where it would be. */
const char *sl_names_belonging(const sl_spec *spec, const char *schema, const char *table,
                               const char *dst_table, const char *name, sl_arena *arena);

/* The parts of "schema.table", double quotes aside; at most max of them are stored. */
size_t sl_names_split(const char *text, const char **parts, size_t max, sl_arena *arena);

/* A name with what tells it apart where it has to be shortened. */
const char *sl_names_fit(const char *name, sl_arena *arena);

/* A name as part of a label that people read (schema.table): in double quotes where it would be
 * ambiguous otherwise, so that no two objects have one label. */
const char *sl_names_label(const char *name, sl_arena *arena);
/* The same in SQL, of a column of type name or text. */
#define SL_NAMES_LABEL(column)                                                                     \
    "CASE WHEN " column "::pg_catalog.text ~ '[\".\\x01-\\x1f\\x7f]' THEN '\"' ||"                 \
    " pg_catalog.replace(" column "::pg_catalog.text, '\"', '\"\"') || '\"' ELSE " column          \
    "::pg_catalog.text END"

#endif
