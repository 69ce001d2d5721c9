/* internal.h: what the files of src/task share. */
#ifndef SL_TASK_INTERNAL_H
#define SL_TASK_INTERNAL_H

#include <pthread.h>

#include "copy/copy.h"
#include "task/task.h"

typedef struct worker {
    sl_run run;
    const sl_task_options *options;
    sl_pg *keeper; /* destination session that holds the lease; idle between short statements */
    sl_pg *source; /* source session for short statements */
    bool checked;  /* the precheck has passed in this process */
    bool follows;  /* this attempt began because of new tables */
    sl_lsn until;  /* target of --until-caught-up, 0 for none */
    /* Held while another thread than the attempts' reads run.routes, and while they go. */
    pthread_mutex_t routes_lock;
} worker;

/* Schema and full stages: everything before the stream, resumable. Nothing to do is SL_OK. */
sl_rc sl_task_initialize(worker *w, sl_error *err);

/* added.c: tables that are new in a task whose stream has run. */
/* Has the stream run? Then new tables are not to hold up the others. */
bool sl_added_streams(const worker *w);
/* Once their schema objects are made: may a resync bring the rows of all of them? */
bool sl_added_are_ours(const worker *w);
/* Asks for them as resyncs, which the stream's start then sees (sl_state_let_go_requested). */
sl_rc sl_added_request(worker *w, sl_error *err);

/* replaced.c: sets those tables aside whose name another table of the source has now. */
sl_rc sl_task_check_replaced(worker *w, sl_error *err);

/* A thread that once a second sends a progress event, and now and then brings the sequences in
 * step. Own connections; its failures are never the task's. */
typedef struct sl_task_watch sl_task_watch;
sl_task_watch *sl_task_watch_start(worker *w);
void sl_task_watch_stop(sl_task_watch *watch); /* NULL is fine */

/* How long to wait before attempt n (from 1) after a transient error: 1 s doubling up to 30 s. */
int64_t sl_task_backoff_ms(int attempt);

#endif
