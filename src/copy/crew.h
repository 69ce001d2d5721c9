/* crew.h: several threads at the same work, each with its own sessions; one failure ends all.
 *
 * The crew has a stop of its own: requested when the run's is, or when a member fails. Members pass
 * it to whatever waits. Statements that do not look at it are cancelled on the server, again and
 * again until the member is back. */
#ifndef SL_COPY_CREW_H
#define SL_COPY_CREW_H

#include <pthread.h>
#include "state/run.h"

typedef struct sl_crew sl_crew;

typedef struct sl_member {
    sl_crew *crew;
    sl_run *run;
    int number;                  /* from 0 */
    void *self;                  /* the work */
    const sl_stop *stop;         /* the crew's */
    sl_pg *source, *destination; /* this member's own; open and close them with the calls below */
    pthread_t thread;
    sl_error err;
} sl_member;

typedef struct sl_crew_work {
    /* What each member does until there is nothing left. SL_CANCELLED after a stop. */
    sl_rc (*work)(sl_member *member, sl_error *err);
    void (*tick)(void *self); /* called by the waiting thread some times a second; or NULL */
    void *self;
} sl_crew_work;

/* Runs `size` members until all are back. The first failure is returned; SL_CANCELLED when the run
 * was stopped. */
sl_rc sl_crew_run(sl_run *run, int size, const sl_crew_work *work, sl_error *err);

/* Opens a session if there is none. */
sl_rc sl_member_source(sl_member *member, sl_error *err);
sl_rc sl_member_destination(sl_member *member, sl_error *err);
void sl_member_leave_source(sl_member *member);

/* How many members suit this run, the spec's `workers` first. */
int sl_crew_size(const sl_run *run, size_t work_items);

#endif
