/* task.h: what `pgsluice run` and a supervised worker do: one task through its stages.
 *
 * The worker keeps no local state, so a restart, a retry within the process and the first start are
 * the same code: an attempt reads from the destination what is done and goes on from there. */
#ifndef SL_TASK_TASK_H
#define SL_TASK_TASK_H

#include "pg/replication.h"
#include "precheck/precheck.h"
#include "state/state.h"

/* What another thread may change while the task runs. */
typedef struct sl_limits {
    sl_rate rate;              /* rows copied and applied */
    _Atomic int retry_minutes; /* 0: the specification's */
} sl_limits;

typedef struct sl_task_options {
    /* End when all that was committed on the source at the start is applied. */
    bool until_caught_up;
    sl_limits *limits;  /* may be NULL: none but the specification's */
    bool takeover;      /* end another worker that has the task */
    sl_stop *stop;      /* a clean stop; required */
    sl_event_sink sink; /* events, see docs/events.md; may be NULL */
    void *sink_self;
    /* Called with the findings of the precheck before the stages start; may be NULL. */
    void (*findings)(void *self, const sl_findings *findings);
    /* Called once the run exists, so that a display can read its progress and tables until
     * sl_task_run returns; may be NULL. */
    void (*started)(void *self, const sl_run *run);
    void *self;
} sl_task_options;

/* Runs to the end. SL_OK: complete (or caught up); SL_CANCELLED: stopped cleanly, a later run goes
 * on; SL_PRECHECK, SL_FENCED, SL_FAILED, SL_TRANSIENT (past the retry time): see err. */
sl_rc sl_task_run(const sl_spec *spec, const sl_task_options *options, sl_error *err);

/* Connects to both servers and fills run's id, names, servers and routes, changing nothing: the
 * common start of run, check, plan, status, errors and release. Either connection may be NULL in
 * `need` (SL_NEED_*); run must be zeroed with spec and stop set. */
enum { SL_NEED_SOURCE = 1, SL_NEED_DESTINATION = 2, SL_NEED_ROUTES = 4 };
sl_rc sl_task_open(sl_run *run, unsigned need, sl_pg **source, sl_pg **destination, sl_error *err);
void sl_task_close(sl_run *run); /* routes and tables */

#endif
