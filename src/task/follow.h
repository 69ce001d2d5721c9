/* follow.h: tables that appear on the source while the stream runs.
 *
 * Now and then the stream's monitor lends its session: when the catalogs have changed the
 * specification is resolved anew, and a table that it selects and the run does not know yet ends
 * the stream (run->new_tables). The next attempt, which follows at once, makes the table and leaves
 * its rows to the resync beside the stream, so that others wait for moments only.
 *
 * A table that cannot be followed yet (nothing tells its rows apart, it may not be published or
 * read, something in the destination has its name) is left out of the routes, told once, and looked
 * at again when the catalogs change: many are made in several steps. One that is locked is looked
 * at again soon. */
#ifndef SL_TASK_FOLLOW_H
#define SL_TASK_FOLLOW_H

#include "task/internal.h"
#include "task/resync.h"

typedef struct sl_follow {
    worker *w;
    const sl_resync *resync; /* while it works at a table nothing new is begun; may be NULL */
    char mark[64];           /* of the catalogs when they were looked at last */
} sl_follow;

/* For run->look_around; self is an sl_follow. */
void sl_follow_look(void *self, sl_pg *source);

/* The schema of new tables could not be made: they are left out for as long as this process lives,
 * and the others go on (SL_TRANSIENT, run->new_tables). The error stays where no table is new. */
sl_rc sl_follow_give_up(worker *w, sl_error *err);

/* Before routes are read anew because of new tables: these are no news. */
void sl_follow_note_known(sl_run *run);
/* Leaves the tables out of new routes that are new since then and cannot be followed yet. */
sl_rc sl_follow_leave_out(sl_run *run, sl_pg *source, sl_error *err);

#endif
