/* internal.h: shared by the files of src/copy. */
#ifndef SL_COPY_INTERNAL_H
#define SL_COPY_INTERNAL_H

#include "copy/copy.h"
#include "copy/crew.h"
#include "copy/jobs.h"

/* Splits works[0..n) into parts, which live in the arena. */
sl_rc sl_plan_parts(sl_run *run, const sl_snapshot *snapshot, sl_work *works, size_t n,
                    sl_arena *arena, sl_error *err);
/* The same by key ranges: those of an interrupted copy, or new ones. *planned is false where the
 * table has no key for them, or its pages will do. `source` reads under the snapshot. */
sl_rc sl_plan_ranges(sl_run *run, sl_pg *source, sl_work *work, size_t parts, sl_arena *arena,
                     bool *planned, sl_error *err);

/* Was the table made by this very worker, from these very routes? Then its columns need no look. */
bool sl_rows_are_new(const sl_run *run, const sl_table *table);
/* Decides how a table's rows are written: binary or text, straight or through a staging table,
 * frozen. Looks at the destination only for tables that were there before. */
sl_rc sl_rows_choose(sl_run *run, sl_pg *destination, sl_work *work, sl_error *err);

/* A member's place among the source's tables: its transaction under the snapshot, and the table
 * that it holds locked. */
typedef struct sl_place {
    const sl_snapshot *snapshot;
    const sl_work *locked; /* NULL: none */
    bool open;
} sl_place;
/* Gives the table's lock back. */
sl_rc sl_place_unlock(sl_member *m, sl_place *place, sl_error *err);
/* Locks the job's table and compares its heap with the snapshot's. */
sl_rc sl_place_lock(sl_member *m, sl_place *place, sl_work *work, sl_part_outcome *outcome,
                    sl_error *err);

/* Empties what an earlier attempt left and makes the table COPYING under a new generation. */
sl_rc sl_rows_begin(sl_member *m, sl_work *work, sl_error *err);
/* Copies one part in a destination transaction of its own; a table's only part also makes the table
 * INDEXING. */
sl_rc sl_rows_copy(sl_member *m, const sl_snapshot *snapshot, sl_work *work, sl_part *part,
                   sl_error *err);
/* A resumed table of which no range is left: makes it INDEXING. */
sl_rc sl_rows_finish(sl_run *run, sl_pg *destination, sl_work *work, sl_error *err);
/* The state changes that need a transaction of their own. */
sl_rc sl_rows_complete(sl_member *m, const sl_snapshot *snapshot, sl_work *work, sl_error *err);
sl_rc sl_rows_reset(sl_member *m, sl_work *work, sl_error *err);

/* Settings of a session that builds indexes: memory by how many do. */
sl_rc sl_builder_settings(const sl_run *run, sl_pg *destination, int builders, sl_error *err);
sl_rc sl_analyze(sl_run *run, sl_pg *destination, sl_table *table, sl_error *err);
/* sl_schema_apply, again after a deadlock with another member. */
sl_rc sl_apply_object(sl_run *run, sl_schema *schema, sl_object *object, sl_pg *destination,
                      sl_error *err);

#endif
