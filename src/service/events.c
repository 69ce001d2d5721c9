/* events.c: what a worker says (docs/events.md), line by line: into the task's state, its progress,
 * and the history. A line that is not understood is no reason to do anything to the task. */
#include <stdio.h>
#include <string.h>

#include "core/log.h"
#include "pg/pg.h"
#include "service/service.h"
#include "service/wording.h"

#define METRIC_SECONDS 10

static void told(sl_service *s, sl_task *task)
{
    task->progress_number++;
    s->news_number++;
    pthread_cond_broadcast(&s->news);
}

static void failed_to_store(sl_service *s, const sl_error *err, const char *what)
{
    if (s->catalog_failures++ % 100 == 0)
        sl_log_error(err, what);
}

void sl_events_keep(sl_service *s, sl_task *task, const char *event, json_t *fields)
{
    int64_t id;
    sl_error err = SL_ERROR_INIT;
    if (sl_event_store(s->catalog, task->id, sl_now_us(), event, fields, &id, &err) != SL_OK)
        failed_to_store(s, &err, "an event could not be stored");
    json_decref(fields);
    s->news_number++;
    pthread_cond_broadcast(&s->news);
}

/* ---- progress ---- */

static int64_t number(const json_t *o, const char *key)
{
    return (int64_t)json_number_value(json_object_get(o, key));
}

static int64_t rows_of(const json_t *progress)
{
    return number(progress, "rows_copied") + number(progress, "inserts") +
           number(progress, "updates") + number(progress, "deletes");
}

/* What a rate becomes when it was `latest` over the last seconds: smooth over some of them. */
static double smoothed(double rate, double latest, double seconds)
{
    return rate + seconds / (seconds + 2.3) * (latest - rate);
}

static void set_hop_rates(sl_task *task, double seconds)
{
    static const char *const keys[SL_HOPS] = { "source_lsn", "received_lsn", "applied_lsn",
                                               "acked_lsn" };
    for (int i = 0; i < SL_HOPS; i++) {
        const char *text = json_string_value(json_object_get(task->progress, keys[i]));
        uint64_t before = task->hop_lsns[i];
        task->hop_lsns[i] = 0;
        if (text)
            sl_lsn_parse(text, &task->hop_lsns[i]);
        bool counts = seconds > 0 && before > 0 && task->hop_lsns[i] >= before;
        task->hop_rates[i] = counts
                                 ? smoothed(task->hop_rates[i],
                                            (double)(task->hop_lsns[i] - before) / seconds, seconds)
                                 : 0;
    }
}

static void set_rate(sl_task *task)
{
    int64_t now = sl_mono_us(), rows = rows_of(task->progress);
    double seconds = task->rate_at_us > 0 ? (double)(now - task->rate_at_us) / 1e6 : 0;
    if (seconds > 0 && rows >= task->rate_rows) {
        task->rate = smoothed(task->rate, (double)(rows - task->rate_rows) / seconds, seconds);
        if (task->rate < 0.05)
            task->rate = 0;
    }
    set_hop_rates(task, seconds);
    task->rate_at_us = now;
    task->rate_rows = rows;
}

/* A point of one task: gauges as they are, counters as what was added since the last one. */
static json_t *metric_point(const sl_task *task)
{
    static const char *const gauges[] = { "lag_seconds", "lag_bytes", "wal_held_bytes" };
    static const char *const counters[] = { "rows_copied", "bytes_copied", "transactions",
                                            "inserts",     "updates",      "deletes",
                                            "conflicts" };
    json_t *point = json_object();
    for (size_t i = 0; i < sizeof(gauges) / sizeof(gauges[0]); i++)
        json_object_set(point, gauges[i], json_object_get(task->progress, gauges[i]));
    for (size_t i = 0; i < sizeof(counters) / sizeof(counters[0]); i++) {
        int64_t before = task->metric_base ? number(task->metric_base, counters[i]) : 0;
        int64_t added = number(task->progress, counters[i]) - before;
        json_object_set_new(point, counters[i], json_integer(added > 0 ? added : 0));
    }
    return point;
}

static void note_metric(sl_task *task)
{
    json_decref(task->metric_base);
    task->metric_base = json_incref(task->progress);
}

void sl_events_metrics(sl_service *s)
{
    int64_t slot = sl_now_us() / 1000000 / METRIC_SECONDS * METRIC_SECONDS;
    sl_error err = SL_ERROR_INIT;
    if (slot == s->metric_slot)
        return;
    s->metric_slot = slot;
    json_t *points = json_array();
    for (size_t i = 0; i < s->n_tasks; i++)
        if (s->tasks[i]->progress && s->tasks[i]->job == SL_JOB_RUN)
            json_array_append_new(points, json_pack("{s:s, s:o}", "task", s->tasks[i]->id, "values",
                                                    metric_point(s->tasks[i])));
    if (json_array_size(points) > 0 && sl_metric_store_all(s->catalog, slot, points, &err) != SL_OK)
        failed_to_store(s, &err, "metrics could not be stored");
    for (size_t i = 0; err.code == SL_OK && i < s->n_tasks; i++)
        if (s->tasks[i]->progress)
            note_metric(s->tasks[i]);
    json_decref(points);
}

static void on_progress(sl_service *s, sl_task *task, json_t *fields)
{
    char when[32];
    json_object_set_new(fields, "time", json_string(sl_time_text(sl_now_us(), when)));
    json_decref(task->progress);
    task->progress = json_incref(fields);
    task->progress_us = sl_mono_us();
    set_rate(task);
    json_object_set_new(task->progress, "rows_per_second", json_real(task->rate));
    told(s, task);
}

/* ---- states ---- */

static void move(sl_service *s, sl_task *task, const char *to, const char *reason)
{
    sl_error ignored = SL_ERROR_INIT;
    if (sl_state_may_move(task->state, to))
        sl_state_move(s, task, to, reason, NULL, false, &ignored);
}

static void on_task_state(sl_service *s, sl_task *task, json_t *fields)
{
    const char *state = json_string_value(json_object_get(fields, "state"));
    const char *reason = json_string_value(json_object_get(fields, "reason"));
    if (!state)
        return;
    if (strcmp(state, "finished") == 0)
        task->finished = true;
    /* How it ended is judged when it has ended. */
    if (strcmp(state, "synchronizing") == 0 || strcmp(state, "retrying") == 0)
        move(s, task, state, reason);
    if (strcmp(state, "synchronizing") == 0) {
        sl_error ignored = SL_ERROR_INIT;
        json_decref(task->retry);
        task->retry = NULL;
        task->crashes_in_a_row = 0;
        sl_task_set_error(s->catalog, task->id, NULL, &ignored);
    }
}

static void on_stage(sl_service *s, sl_task *task, json_t *fields)
{
    const char *stage = json_string_value(json_object_get(fields, "stage"));
    if (stage && (strcmp(stage, "schema") == 0 || strcmp(stage, "copy") == 0))
        move(s, task, "initializing", NULL);
    sl_events_keep(s, task, "stage", json_incref(fields));
}

static void on_started(sl_service *s, sl_task *task, json_t *fields)
{
    sl_error err = SL_ERROR_INIT;
    if (!task->started && sl_task_set_started(s->catalog, task->id, true, &err) != SL_OK)
        failed_to_store(s, &err, "that a task was started could not be stored");
    task->started = true;
    if (task->findings)
        sl_events_checked(s, task, &(int){ 0 });
    sl_events_keep(s, task, "worker.started", json_incref(fields));
}

static void on_retrying(sl_service *s, sl_task *task, json_t *fields)
{
    char since[32], until[32];
    json_t *error = json_object_get(fields, "error");
    json_t *first = task->retry ? json_incref(json_object_get(task->retry, "since"))
                                : json_string(sl_time_text(sl_now_us(), since));
    json_decref(task->retry);
    task->retry =
        json_pack("{s:o, s:s, s:I, s:O}", "since", first, "until",
                  sl_time_text(number(fields, "until_us"), until), "attempt",
                  (json_int_t)number(fields, "attempt"), "error", error ? error : json_null());
    sl_events_keep(s, task, "retrying", json_incref(fields));
}

static void on_endangered(sl_service *s, sl_task *task, json_t *fields)
{
    task->endangered_us = sl_mono_us();
    sl_events_keep(s, task, "slot.endangered", json_incref(fields));
}

static void on_metered(sl_service *s, sl_task *task, json_t *fields)
{
    sl_metering_release(s, task, fields);
}

static void on_error(sl_service *s, sl_task *task, json_t *fields)
{
    json_decref(task->error);
    task->error = json_incref(fields);
    sl_events_keep(s, task, "error", json_incref(fields));
}

/* ---- findings ---- */

static void on_finding(sl_service *s, sl_task *task, json_t *fields)
{
    if (!task->findings)
        task->findings = json_array();
    if (json_array_size(task->findings) < 100000)
        json_array_append(task->findings, fields);
}

void sl_events_checked(sl_service *s, sl_task *task, int *failed)
{
    int passed = 0, warnings = 0, ignored = 0;
    size_t i;
    json_t *finding;
    char when[32];
    sl_error err = SL_ERROR_INIT;
    *failed = 0;
    if (!task->findings)
        return;
    json_array_foreach(task->findings, i, finding)
    {
        const char *result = json_string_value(json_object_get(finding, "result"));
        bool is_failed = result && strcmp(result, "failed") == 0;
        bool left_out = is_failed && json_is_true(json_object_get(finding, "ignored"));
        passed += result && strcmp(result, "passed") == 0;
        warnings += result && strcmp(result, "warning") == 0;
        ignored += left_out;
        *failed += is_failed && !left_out;
    }
    size_t n = json_array_size(task->findings);
    size_t good = (size_t)(passed + warnings + ignored);
    json_t *summary =
        json_pack("{s:i, s:i, s:i, s:i, s:i, s:s}", "rate", n ? (int)(100 * good / n) : 0, "passed",
                  passed, "warnings", warnings, "failed", *failed, "ignored", ignored, "checked_at",
                  sl_time_text(sl_now_us(), when));
    if (sl_findings_store(s->catalog, task->id, task->findings, summary, &err) != SL_OK)
        failed_to_store(s, &err, "findings could not be stored");
    json_decref(summary);
    json_decref(task->findings);
    task->findings = NULL;
}

/* ---- tables ---- */

static void store_tables(sl_service *s, sl_task *task, const json_t *tables)
{
    sl_error err = SL_ERROR_INIT;
    if (sl_tables_store(s->catalog, task->id, tables, &err) != SL_OK)
        failed_to_store(s, &err, "the tables' progress could not be stored");
}

static void on_tables(sl_service *s, sl_task *task, json_t *fields)
{
    const json_t *tables = json_object_get(fields, "tables");
    if (json_is_array(tables))
        store_tables(s, task, tables);
    told(s, task);
}

static void on_table_state(sl_service *s, sl_task *task, json_t *fields)
{
    json_t *reason = json_object_get(fields, "reason");
    json_t *row =
        json_pack("[{s:O*, s:O*, s:O}]", "table", json_object_get(fields, "table"), "state",
                  json_object_get(fields, "state"), "reason", reason ? reason : json_null());
    store_tables(s, task, row);
    json_decref(row);
    sl_events_keep(s, task, "table.state", json_incref(fields));
}

static void on_table_copied(sl_service *s, sl_task *task, json_t *fields)
{
    json_t *row =
        json_pack("[{s:O*, s:O*, s:O*}]", "table", json_object_get(fields, "table"), "rows",
                  json_object_get(fields, "rows"), "bytes", json_object_get(fields, "bytes"));
    store_tables(s, task, row);
    json_decref(row);
    sl_events_keep(s, task, "table.copied", json_incref(fields));
}

void sl_events_line(sl_service *s, sl_task *task, const char *line, size_t n)
{
    static const struct {
        const char *event;
        void (*take)(sl_service *s, sl_task *task, json_t *fields);
    } rows[] = {
        { "progress", on_progress },
        { "tables", on_tables },
        { "task.state", on_task_state },
        { "stage", on_stage },
        { "worker.started", on_started },
        { "retrying", on_retrying },
        { "error", on_error },
        { "metered", on_metered },
        { "slot.endangered", on_endangered },
        { "finding", on_finding },
        { "table.state", on_table_state },
        { "table.copied", on_table_copied },
    };
    json_t *fields = json_loadb(line, n, 0, NULL);
    if (!json_is_object(fields)) {
        json_decref(fields);
        return;
    }
    const char *event = json_string_value(json_object_get(fields, "event"));
    bool check = !event && task->job == SL_JOB_CHECK; /* `check` prints the findings alone */
    char name[64];
    snprintf(name, sizeof(name), "%s", check ? "finding" : event ? event : "");
    sl_wording_fields(fields, task->id);
    json_object_del(fields, "event");
    json_object_del(fields, "time");
    bool taken = name[0] == '\0';
    for (size_t i = 0; !taken && i < sizeof(rows) / sizeof(rows[0]); i++)
        if (strcmp(rows[i].event, name) == 0) {
            rows[i].take(s, task, fields);
            taken = true;
        }
    if (!taken) /* one that this version does not know is history all the same */
        sl_events_keep(s, task, name, json_incref(fields));
    json_decref(fields);
}
