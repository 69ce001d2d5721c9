/* service_api.c: health, the summary, metrics for Prometheus. */
#include <math.h>
#include <string.h>

#include "service/http.h"

static void reply_health(sl_request *r)
{
    sl_reply(r, 200, json_pack("{s:s}", "status", "ok"));
}

static void readiness(sl_request *r)
{
    sl_error err = SL_ERROR_INIT;
    sl_rc rc = sl_catalog_probe(r->s->catalog, &err);
    if (rc == SL_OK && !r->s->stopping)
        reply_health(r);
    else /* the cause is in the log: who is asking is not known */
        sl_problem(r, "unavailable", NULL, "%s",
                   rc == SL_OK ? "the service is stopping" : "the catalog cannot be written");
}

static void summary(sl_request *r)
{
    char since[32];
    json_t *states = json_object();
    SL_SERVICE_LOCKED(r->s);
    for (size_t i = 0; i < r->s->n_tasks; i++) {
        const char *state = r->s->tasks[i]->state;
        json_int_t n = json_integer_value(json_object_get(states, state));
        json_object_set_new(states, state, json_integer(n + 1));
    }
    sl_reply(r, 200,
             json_pack("{s:s, s:s, s:I, s:o}", "version", SL_VERSION, "started_at",
                       sl_time_text(r->s->started_us, since), "tasks", (json_int_t)r->s->n_tasks,
                       "states", states));
}

/* ---- Prometheus ---- */

static const struct metric {
    const char *name, *type, *key, *help;
} metrics[] = {
    { "pgsluice_task_lag_seconds", "gauge", "lag_seconds",
      "Source clock minus the commit time of the oldest transaction that is not applied." },
    { "pgsluice_task_lag_bytes", "gauge", "lag_bytes",
      "WAL between the source and what is applied." },
    { "pgsluice_task_wal_held_bytes", "gauge", "wal_held_bytes",
      "WAL that the source keeps for the task's slot." },
    { "pgsluice_task_rows_copied", "gauge", "rows_copied",
      "Rows copied by the present process of the task." },
    { "pgsluice_task_bytes_copied", "gauge", "bytes_copied",
      "Bytes copied by the present process of the task." },
    { "pgsluice_task_transactions", "gauge", "transactions",
      "Transactions applied by the present process of the task." },
    { "pgsluice_task_inserts", "gauge", "inserts", "Rows inserted by the present process." },
    { "pgsluice_task_updates", "gauge", "updates", "Rows updated by the present process." },
    { "pgsluice_task_deletes", "gauge", "deletes", "Rows deleted by the present process." },
    { "pgsluice_task_conflicts", "gauge", "conflicts", "Conflicts seen by the present process." },
    { "pgsluice_task_rows_per_second", "gauge", "rows_per_second", "Rows copied and applied." },
};
#define N(table) (sizeof(table) / sizeof((table)[0]))

static void add_header(sl_buf *out, const char *name, const char *type, const char *help)
{
    sl_buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void add_metric(sl_service *s, const struct metric *m, sl_buf *out)
{
    add_header(out, m->name, m->type, m->help);
    for (size_t i = 0; i < s->n_tasks; i++) {
        const json_t *value = json_object_get(s->tasks[i]->progress, m->key);
        double number = json_number_value(value);
        if (value && !(number < 0))
            sl_buf_printf(out, "%s{task=\"%s\"} %.15g\n", m->name, s->tasks[i]->id, number);
    }
}

static void add_tasks(sl_service *s, sl_buf *out)
{
    add_header(out, "pgsluice_task_state", "gauge", "1 for the state that the task is in.");
    for (size_t i = 0; i < s->n_tasks; i++)
        sl_buf_printf(out, "pgsluice_task_state{task=\"%s\",state=\"%s\"} 1\n", s->tasks[i]->id,
                      s->tasks[i]->state);
    add_header(out, "pgsluice_task_restarts", "gauge",
               "Starts of the task's process since the user started or resumed it.");
    for (size_t i = 0; i < s->n_tasks; i++)
        sl_buf_printf(out, "pgsluice_task_restarts{task=\"%s\"} %d\n", s->tasks[i]->id,
                      s->tasks[i]->restarts);
    int processes = 0;
    for (size_t i = 0; i < s->n_tasks; i++)
        processes += s->tasks[i]->job != SL_JOB_NONE;
    add_header(out, "pgsluice_processes", "gauge", "Processes of tasks.");
    sl_buf_printf(out, "pgsluice_processes %d\n", processes);
    add_header(out, "pgsluice_catalog_failures_total", "counter",
               "Writes to the catalog that failed.");
    sl_buf_printf(out, "pgsluice_catalog_failures_total %lld\n", (long long)s->catalog_failures);
    add_header(out, "pgsluice_build_info", "gauge", "1, with the version.");
    sl_buf_printf(out, "pgsluice_build_info{version=\"%s\"} 1\n", SL_VERSION);
}

static void prometheus(sl_request *r)
{
    SL_BUF(out);
    {
        SL_SERVICE_LOCKED(r->s);
        for (size_t i = 0; i < N(metrics); i++)
            add_metric(r->s, &metrics[i], &out);
        add_tasks(r->s, &out);
    }
    sl_reply_text(r, 200, "text/plain; version=0.0.4", sl_buf_str(&out));
}

const sl_route_row sl_routes_service[] = {
    { "GET", "/healthz", SL_ROLE_NONE, 0, reply_health, "health" },
    { "GET", "/readyz", SL_ROLE_NONE, 0, readiness, "readiness" },
    { "GET", "/metrics", SL_ROLE_VIEWER, 0, prometheus, "prometheus" },
    { "GET", "/api/v1/summary", SL_ROLE_VIEWER, 0, summary, "summary" },
    { NULL },
};
