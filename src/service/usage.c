/* usage.c: metering, and subscriptions that end.
 *
 * Time is counted by the wall clock while a task initializes, synchronizes or retries; rows and
 * bytes come as counters from its worker, which keeps them in the destination with the data itself,
 * so that neither a kill nor a line told twice changes what they add up to. Both wait in memory for
 * up to half a minute: a service that is killed loses that much of the time, and nothing of the
 * rows. */
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "service/service.h"

#define DAY_US INT64_C(86400000000)
#define FLUSH_US INT64_C(30000000)
#define MOST_DAYS 4000

struct sl_metering {
    json_t *terms; /* {task: {name, class, billing, ends_us}} */
    int64_t flushed_us;
    sl_usage *rows;
    size_t n, cap;
};

static bool is_running(const char *state)
{
    return strcmp(state, "initializing") == 0 || strcmp(state, "synchronizing") == 0 ||
           strcmp(state, "pausing") == 0;
}

static const char *term(const sl_service *s, const char *task, const char *key)
{
    return json_string_value(json_object_get(json_object_get(s->metering->terms, task), key));
}

int64_t sl_metering_end(const sl_service *s, const sl_task *task)
{
    return json_integer_value(
        json_object_get(json_object_get(s->metering->terms, task->id), "ends_us"));
}

bool sl_metering_ended(const sl_service *s, const sl_task *task)
{
    int64_t ends = sl_metering_end(s, task);
    return ends > 0 && ends <= sl_now_us();
}

const char *sl_metering_class(const sl_service *s, const sl_task *task)
{
    const char *class = term(s, task->id, "class");
    return class ? class : "unlimited";
}

/* ---- time ---- */

static sl_usage *new_row(sl_service *s, const sl_task *task, int64_t day)
{
    struct sl_metering *m = s->metering;
    if (m->n == m->cap) {
        m->cap = m->cap ? 2 * m->cap : 64;
        m->rows = sl_xrealloc(m->rows, m->cap * sizeof(*m->rows));
    }
    sl_usage *u = &m->rows[m->n++];
    const char *name = term(s, task->id, "name"), *billing = term(s, task->id, "billing");
    *u = (sl_usage){ .task = task->id,
                     .name = name ? name : task->id,
                     .class = sl_metering_class(s, task),
                     .billing = billing ? billing : "pay_as_you_go",
                     .day = day };
    return u;
}

static void add_time(sl_service *s, const sl_task *task, const sl_spent *spent)
{
    int64_t from = spent->from_us, left = spent->to_us - from;
    for (int i = 0; left > 0 && i < MOST_DAYS; i++) {
        int64_t day = from / DAY_US, today = (day + 1) * DAY_US - from;
        int64_t part = left < today ? left : today;
        sl_usage *u = new_row(s, task, day);
        *(spent->retrying ? &u->retrying_us : &u->running_us) = part;
        from += part;
        left -= part;
    }
}

void sl_metering_note(sl_task *task)
{
    int64_t now = sl_now_us();
    bool retrying = strcmp(task->state, "retrying") == 0;
    sl_spent *last = task->n_spent > 0 ? &task->spent[task->n_spent - 1] : NULL;
    if ((retrying || is_running(task->state)) && task->metered_us > 0 && now > task->metered_us) {
        if (last && last->retrying == retrying && last->to_us == task->metered_us) {
            last->to_us = now;
        } else if (task->n_spent < SL_MOST_SPENT) {
            task->spent[task->n_spent++] = (sl_spent){ task->metered_us, now, retrying };
        } else {
            last->to_us = now; /* a state that lasted for moments goes to the one before */
        }
    }
    task->metered_us = now;
}

/* ---- to the catalog ---- */

static bool reload(sl_service *s)
{
    json_t *rows = NULL, *row;
    sl_error err = SL_ERROR_INIT;
    size_t i;
    if (sl_billing_terms(s->catalog, &rows, &err) != SL_OK) {
        if (s->catalog_failures++ % 100 == 0)
            sl_log_error(&err, "classes and billing of tasks could not be read");
        return false;
    }
    json_decref(s->metering->terms);
    s->metering->terms = json_object();
    json_array_foreach(rows, i, row)
        json_object_set(s->metering->terms, json_string_value(json_object_get(row, "task")), row);
    json_decref(rows);
    return true;
}

static void add_counters(sl_service *s, const sl_task *task, const json_t *metered)
{
    const char *series = json_string_value(json_object_get(metered, "series"));
    if (!series)
        return;
    sl_usage *u = new_row(s, task, sl_now_us() / DAY_US);
    u->series = series;
    u->rows = json_integer_value(json_object_get(metered, "rows"));
    u->bytes = json_integer_value(json_object_get(metered, "bytes"));
}

sl_rc sl_metering_flush(sl_service *s, sl_error *err)
{
    struct sl_metering *m = s->metering;
    m->n = 0;
    for (size_t i = 0; i < s->n_tasks; i++) {
        sl_task *task = s->tasks[i];
        sl_metering_note(task);
        for (int k = 0; k < task->n_spent; k++)
            add_time(s, task, &task->spent[k]);
        add_counters(s, task, json_object_get(task->progress, "metered"));
    }
    if (m->n > 0 && sl_usage_add(s->catalog, m->rows, m->n, err) != SL_OK)
        return err->code;
    m->flushed_us = sl_mono_us();
    for (size_t i = 0; i < s->n_tasks; i++)
        s->tasks[i]->n_spent = 0;
    return SL_OK;
}

/* Under the terms of before, what was used before. */
static void flush(sl_service *s)
{
    sl_error err = SL_ERROR_INIT;
    if (sl_metering_flush(s, &err) != SL_OK && s->catalog_failures++ % 100 == 0)
        sl_log_error(&err, "usage could not be stored; it is tried again");
}

void sl_metering_release(sl_service *s, sl_task *task, const json_t *metered)
{
    sl_error err = SL_ERROR_INIT;
    s->metering->n = 0;
    add_counters(s, task, metered);
    if (s->metering->n > 0 &&
        sl_usage_add(s->catalog, s->metering->rows, s->metering->n, &err) != SL_OK)
        sl_log_error(&err, "the last rows of a task that is released could not be metered");
}

void sl_metering_tick(sl_service *s)
{
    sl_error err = SL_ERROR_INIT;
    if (s->terms_changed) {
        flush(s);
        s->terms_changed = false;
        s->terms_changed = !reload(s);
    } else if (sl_mono_us() - s->metering->flushed_us >= FLUSH_US) {
        flush(s);
    }
    for (size_t i = 0; i < s->n_tasks; i++) {
        sl_task *task = s->tasks[i];
        if (strcmp(task->desired, "run") == 0 && sl_metering_ended(s, task) &&
            sl_supervisor_action(s, task, "pause", false, &err) != SL_OK)
            sl_log_error(&err, "a task whose subscription has ended could not be paused");
        sl_error_clear(&err);
    }
}

void sl_metering_load(sl_service *s)
{
    s->metering = sl_xcalloc(1, sizeof(*s->metering));
    s->terms_changed = true;
    for (size_t i = 0; i < s->n_tasks; i++)
        s->tasks[i]->metered_us = sl_now_us();
    s->terms_changed = !reload(s);
}

void sl_metering_free(sl_service *s)
{
    if (!s->metering)
        return;
    flush(s);
    json_decref(s->metering->terms);
    free(s->metering->rows);
    free(s->metering);
    s->metering = NULL;
}
