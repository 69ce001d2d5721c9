/* afterwards.c: a thread that adds the foreign keys that could not be there earlier.
 *
 * The run it works with is its own, with its own stop: the stream ends for reasons that are not the
 * run's. Its failures are told and change nothing else; the next start of the stream tries again.
 */
#include "stream/afterwards.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "copy/copy.h"
#include "core/log.h"

struct sl_afterwards {
    sl_run run;
    const sl_stop *run_stop;
    sl_stop stop;
    pthread_t thread;
    _Atomic bool done;
};

static void *afterwards_main(void *self)
{
    sl_afterwards *a = self;
    sl_error err = SL_ERROR_INIT;
    sl_rc rc = sl_copy_retry_keys(&a->run, &err);
    if (rc != SL_OK && rc != SL_CANCELLED && !sl_stopping(&a->stop))
        sl_log_error(&err, "foreign keys that are left");
    a->done = true;
    return NULL;
}

sl_afterwards *sl_afterwards_start(sl_run *run)
{
    sl_afterwards *a = sl_xcalloc(1, sizeof(*a));
    a->run_stop = run->stop;
    a->run.spec = run->spec;
    a->run.epoch = run->epoch;
    a->run.source = run->source;
    a->run.destination = run->destination;
    a->run.routes = run->routes;
    a->run.tables = run->tables;
    a->run.stop = &a->stop;
    memcpy(a->run.id, run->id, sizeof(run->id));
    memcpy(a->run.slot, run->slot, sizeof(run->slot));
    memcpy(a->run.application, run->application, sizeof(run->application));
    a->run.sink = run->sink;
    a->run.sink_self = run->sink_self;
    if (sl_stop_init(&a->stop) && pthread_create(&a->thread, NULL, afterwards_main, a) == 0)
        return a;
    sl_stop_free(&a->stop);
    free(a);
    return NULL;
}

void sl_afterwards_wait(sl_afterwards *a)
{
    while (a && !a->done && sl_sleep_ms(20, a->run_stop))
        ;
}

void sl_afterwards_free(sl_afterwards *a)
{
    if (!a)
        return;
    sl_stop_request(&a->stop, SL_STOP_DONE);
    pthread_join(a->thread, NULL);
    sl_stop_free(&a->stop);
    free(a);
}
