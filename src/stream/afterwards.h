/* afterwards.h: what is left to do when every table is in step, beside the stream. */
#ifndef SL_STREAM_AFTERWARDS_H
#define SL_STREAM_AFTERWARDS_H

#include "state/run.h"

typedef struct sl_afterwards sl_afterwards;

/* Starts the work in a thread of its own; NULL when none could be started. */
sl_afterwards *sl_afterwards_start(sl_run *run);
/* Waits until the work is done, or the run is to stop. NULL is fine. */
void sl_afterwards_wait(sl_afterwards *a);
/* Ends the work wherever it is, and frees. */
void sl_afterwards_free(sl_afterwards *a);

#endif
