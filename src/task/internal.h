/* internal.h: what the files of src/task share. */
#ifndef SL_TASK_INTERNAL_H
#define SL_TASK_INTERNAL_H

#include "copy/copy.h"
#include "task/task.h"

typedef struct worker {
    sl_run run;
    const sl_task_options *options;
    sl_pg *keeper; /* destination session that holds the lease; idle between short statements */
    sl_pg *source; /* source session for short statements */
    bool checked;  /* the precheck has passed in this process */
    sl_lsn until;  /* target of --until-caught-up, 0 for none */
} worker;

/* Schema and full stages: everything before the stream, resumable. Nothing to do is SL_OK. */
sl_rc sl_task_initialize(worker *w, sl_error *err);

/* added.c: tables added to a task whose stream has run. They are asked for as resyncs, which the
 * stream's start then sees (sl_state_let_go_requested); their schema objects must be there. */
bool sl_task_has_added(const worker *w);
sl_rc sl_task_request_added(worker *w, sl_error *err);

/* A thread that once a second sends a progress event, and now and then brings the sequences in
 * step. Own connections; its failures are never the task's. */
typedef struct sl_task_watch sl_task_watch;
sl_task_watch *sl_task_watch_start(worker *w);
void sl_task_watch_stop(sl_task_watch *watch); /* NULL is fine */

/* How long to wait before attempt n (from 1) after a transient error: 1 s doubling up to 30 s. */
int64_t sl_task_backoff_ms(int attempt);

#endif
