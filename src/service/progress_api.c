/* progress_api.c: routes of tables, events and metrics. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "service/http.h"

static bool exists(sl_request *r)
{
    bool found;
    {
        SL_SERVICE_LOCKED(r->s);
        found = sl_supervisor_find(r->s, r->params[0]) != NULL;
    }
    if (!found)
        sl_problem(r, "not_found", NULL, "there is no task %s", r->params[0]);
    return found;
}

static void list_tables(sl_request *r)
{
    sl_page page;
    json_t *tables = NULL;
    sl_error err = SL_ERROR_INIT;
    if (!exists(r) || !sl_request_page(r, &page))
        return;
    sl_rc rc = sl_tables_list(r->s->catalog, r->params[0], sl_query(r, "state"), sl_query(r, "q"),
                              &page, &tables, &err);
    if (rc == SL_OK)
        sl_reply(r, 200, tables);
    else
        sl_problem_error(r, &err, rc, "bad_request");
}

static void reply_events(sl_request *r, const char *task)
{
    sl_page page;
    json_t *events = NULL;
    sl_error err = SL_ERROR_INIT;
    if (sl_accepts(r, "text/event-stream")) {
        sl_reply_stream(r, task);
        return;
    }
    if (!sl_request_page(r, &page))
        return;
    sl_rc rc = sl_event_list(r->s->catalog, task, sl_query(r, "event"), &page, &events, &err);
    if (rc == SL_OK)
        sl_reply(r, 200, events);
    else
        sl_problem_error(r, &err, rc, "bad_request");
}

static void list_task_events(sl_request *r)
{
    if (exists(r))
        reply_events(r, r->params[0]);
}

static void list_events(sl_request *r)
{
    reply_events(r, NULL);
}

/* A time of the query in Unix seconds, or the default; false when answered. */
static bool query_time(sl_request *r, const char *name, int64_t *seconds)
{
    const char *text = sl_query(r, name);
    int64_t us;
    if (!text)
        return true;
    if (!sl_time_parse(text, &us)) {
        sl_problem(r, "bad_request", NULL, "%s is a time such as 2026-11-22T13:45:00Z", name);
        return false;
    }
    *seconds = us / 1000000;
    return true;
}

static void task_metrics(sl_request *r)
{
    const int64_t most = 2000;
    sl_error err = SL_ERROR_INIT;
    json_t *series = NULL;
    int64_t to = sl_now_us() / 1000000 + 1, from = to - 900;
    const char *given = sl_query(r, "step");
    char *end = NULL;
    long step = given ? strtol(given, &end, 10) : 10;
    if (!exists(r) || !query_time(r, "to", &to))
        return;
    from = to - 900;
    if (!query_time(r, "from", &from))
        return;
    if ((given && *end) || step < 10 || step > 86400 || from >= to ||
        to - from > INT64_C(400) * 86400) {
        sl_problem(r, "bad_request", NULL,
                   "step is 10 to 86400, from is before to, and at most 400 days lie between");
        return;
    }
    if ((to - from) / step > most)
        step = (long)((to - from) / most / 10 * 10 + 10);
    sl_rc rc = sl_metric_series(r->s->catalog, r->params[0], from, to, step, &series, &err);
    if (rc == SL_OK)
        sl_reply(r, 200, series);
    else
        sl_problem_error(r, &err, rc, "bad_request");
}

const sl_route_row sl_routes_progress[] = {
    { "GET", "/api/v1/tasks/*/tables", SL_ROLE_VIEWER, 0, list_tables, "list_tables" },
    { "GET", "/api/v1/tasks/*/events", SL_ROLE_VIEWER, 0, list_task_events, "list_task_events" },
    { "GET", "/api/v1/tasks/*/metrics", SL_ROLE_VIEWER, 0, task_metrics, "task_metrics" },
    { "GET", "/api/v1/events", SL_ROLE_VIEWER, 0, list_events, "list_events" },
    { NULL },
};
