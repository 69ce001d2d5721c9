/* precheck.h: what must be right before a task starts, looked at without changing anything.
 *
 * Checks are rows of one table (precheck/checks.c): id, side, severity, title, function. A check
 * adds one finding per object it looked at that is not in order, or one that says it passed. A
 * finding carries the cause and a remedy that can be copied and carried out as it is (SQL, or a
 * line of configuration). */
#ifndef SL_PRECHECK_PRECHECK_H
#define SL_PRECHECK_PRECHECK_H

#include "state/state.h"

typedef enum sl_finding_result {
    SL_FINDING_PASSED,
    SL_FINDING_WARNING, /* told, does not hold the task up */
    SL_FINDING_FAILED,  /* holds the task up unless ignored */
    SL_FINDING_NOT_RUN, /* could not be looked at because of an earlier finding */
} sl_finding_result;

typedef struct sl_finding {
    const char *check;  /* "source.wal_level" */
    const char *object; /* "public.orders", or "" for the whole side */
    const char *title;  /* "wal_level is logical" */
    sl_side side;
    sl_finding_result result;
    bool ignorable; /* a failed one may be named in precheck.ignore */
    bool ignored;
    const char *cause, *remedy; /* NULL when passed */
} sl_finding;

typedef struct sl_findings {
    sl_arena arena; /* owns the strings */
    sl_finding *items;
    size_t n, cap;
    const char *only; /* run this check alone; or NULL. Set by the caller, not owned */
} sl_findings;
void sl_findings_free(sl_findings *findings);

/* Runs every check. run has servers, names and routes (sl_task_open); both sessions are idle. SL_OK
 * whatever the findings say; an error means that a check could not run. */
sl_rc sl_precheck_run(sl_run *run, sl_pg *source, sl_pg *destination, sl_findings *out,
                      sl_error *err);
/* The findings when a side cannot be opened at all: its reachability failed with err's cause and
 * hint, everything else was not run. */
void sl_precheck_unreachable(sl_side side, const sl_error *why, sl_findings *out);

bool sl_precheck_knows(const char *check);

/* No failed finding that is not ignored. */
bool sl_findings_pass(const sl_findings *findings);
/* Passed (warnings and ignored ones counting) of all, 0 … 100. */
int sl_findings_rate(const sl_findings *findings);
/* One finding as a JSON object (new reference). */
json_t *sl_finding_json(const sl_finding *finding);

#endif
