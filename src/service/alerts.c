/* alerts.c: rules against what is known of tasks, once a second, in the main thread.
 *
 * How: one table of kinds, each with a function that says of a task: on, off, or not known now (its
 * worker says nothing): then everything stays as it is. What is on and the messages for it are
 * stored in one transaction; sending is deliver.c's. While the catalog cannot be written nothing
 * changes here either, and the next second tries again. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "service/service.h"

#define STALE_US INT64_C(35000000)      /* progress comes at least every ten seconds */
#define ENDANGERED_US INT64_C(90000000) /* a worker says it every minute */
#define DAY_US INT64_C(86400000000)

typedef enum verdict { UNKNOWN, OFF, ON } verdict;

/* One rule and one task. Lives as long as the service, since there are few and they come back. */
typedef struct alert {
    char rule[SL_ID_SIZE + 2], task[17];
    bool on, fired;
    uint64_t seen; /* the tick that looked at it last */
    int64_t since_us, notified_us;
    double value;
    const struct kind *kind;
} alert;

struct sl_alerts {
    sl_map *index; /* "rule/task" → alert */
    alert **items;
    size_t n;
    uint64_t tick;
    _Atomic bool changed;
    json_t *rules; /* array */
    json_t *own;   /* {task: its specification's alerts} */
    json_t *ends;  /* {task: end of its subscription, µs} */
};

/* ---- kinds ---- */

typedef struct look {
    const sl_task *task;
    double threshold;
    int64_t ends_us; /* of its subscription; 0: none */
    double value;    /* out */
} look;

static bool in(const char *state, const char *words)
{
    const char *p = strstr(words, state);
    size_t n = strlen(state);
    return p && p[-1] == ' ' && p[n] == ' ';
}

static verdict look_failed(look *l)
{
    l->value = 1;
    if (in(l->task->state, " failed "))
        return ON;
    return in(l->task->state, " initializing retrying ") ? UNKNOWN : OFF;
}

static verdict look_retrying(look *l)
{
    l->value = 1;
    if (in(l->task->state, " retrying "))
        return ON;
    return in(l->task->state, " initializing ") ? UNKNOWN : OFF;
}

/* A number of the worker's last progress, while it says something. */
static verdict over(look *l, const char *key)
{
    const sl_task *task = l->task;
    const json_t *value = json_object_get(task->progress, key);
    if (!in(task->state, " initializing synchronizing retrying pausing paused failed "))
        return OFF; /* nothing runs and nothing is held */
    if (task->job != SL_JOB_RUN || !json_is_number(value) || json_number_value(value) < 0 ||
        in(task->state, " retrying ") || sl_mono_us() - task->progress_us > STALE_US)
        return UNKNOWN;
    l->value = json_number_value(value);
    return l->value > l->threshold ? ON : OFF;
}

static verdict look_lag(look *l)
{
    return over(l, "lag_seconds");
}

static verdict look_wal(look *l)
{
    return over(l, "wal_held_bytes");
}

static verdict look_slot(look *l)
{
    int64_t told = l->task->endangered_us;
    l->value = 1;
    if (told > 0 && sl_mono_us() - told < ENDANGERED_US)
        return ON;
    return look_lag(&(look){ .task = l->task }) == UNKNOWN ? UNKNOWN : OFF;
}

static verdict look_subscription(look *l)
{
    if (l->ends_us == 0 || in(l->task->state, " released "))
        return OFF;
    l->value = floor((double)(l->ends_us - sl_now_us()) / (double)DAY_US);
    return l->value < l->threshold ? ON : OFF;
}

static const struct kind {
    const char *name;
    double standard; /* threshold: -1: has to be given; NAN: none */
    verdict (*look)(look *l);
    const char *on, *off;
} kinds[] = {
    { "failed", NAN, look_failed, "Task {task} has failed: {reason}", "Task {task} is {state}." },
    { "lag", -1, look_lag, "Task {task} is {value} s behind its source (limit {threshold} s).",
      "Task {task} is {value} s behind its source, within its limit of {threshold} s again." },
    { "retrying", NAN, look_retrying,
      "Task {task} cannot go on and tries again by itself since {since}: {reason}",
      "Task {task} is {state} again." },
    { "wal_held", -1, look_wal,
      "The source keeps {value} bytes of WAL for task {task} (limit {threshold}).",
      "The source keeps {value} bytes of WAL for task {task}, within the limit of {threshold} "
      "again." },
    { "slot_in_danger", NAN, look_slot,
      "The WAL kept for task {task} comes near the source's max_slot_wal_keep_size: its slot may "
      "be "
      "lost, and with it the task.",
      "The slot of task {task} is out of danger." },
    { "subscription_ends", 7, look_subscription,
      "The subscription of task {task} ends in {value} days; the task is paused then.",
      "The subscription of task {task} goes on for {value} days." },
};
#define N_KINDS (sizeof(kinds) / sizeof(kinds[0]))

static const struct kind *find_kind(const char *name)
{
    for (size_t i = 0; name && i < N_KINDS; i++)
        if (strcmp(kinds[i].name, name) == 0)
            return &kinds[i];
    return NULL;
}

bool sl_alerts_is_kind(const char *name)
{
    return find_kind(name) != NULL;
}

double sl_alerts_standard(const char *name)
{
    const struct kind *kind = find_kind(name);
    return kind ? kind->standard : NAN;
}

/* ---- texts ---- */

static const char *const words[] = { "task",  "id",        "state", "reason", "rule", "kind",
                                     "value", "threshold", "since", "event",  NULL };

const char *sl_alerts_bad_word(const char *text, size_t *n)
{
    for (const char *p = text; (p = strchr(p, '{')); p += *n) {
        bool known = false;
        *n = strcspn(++p, "}");
        for (int i = 0; words[i]; i++)
            known |= strlen(words[i]) == *n && strncmp(words[i], p, *n) == 0;
        if (!known || !p[*n])
            return p;
    }
    return NULL;
}

static const char *number_text(double value, sl_arena *arena)
{
    return sl_arena_printf(arena, fabs(value) >= 1000 || value == floor(value) ? "%.0f" : "%.1f",
                           value);
}

/* {word} becomes the text of values' member. */
static const char *fill_in(const char *template, const json_t *values, sl_arena *arena)
{
    SL_BUF(out);
    for (const char *p = template; *p;) {
        size_t n = strcspn(p, "{"), k;
        sl_buf_add(&out, p, n);
        p += n;
        if (!*p)
            break;
        k = strcspn(++p, "}");
        const json_t *value = json_object_get(values, sl_arena_strndup(arena, p, k));
        sl_buf_puts(&out, json_is_string(value) ? json_string_value(value) : "");
        p += k + (p[k] == '}');
    }
    return sl_arena_strdup(arena, sl_buf_str(&out));
}

/* What receivers get: docs/alerts.md. */
static json_t *make_message(sl_service *s, const sl_task *task, const json_t *rule, const alert *a,
                            const char *event, sl_arena *arena)
{
    char since[32], now[32];
    json_t *row = NULL;
    sl_error ignored = SL_ERROR_INIT;
    const json_t *limit = json_object_get(rule, "threshold");
    double threshold = json_is_number(limit) ? json_number_value(limit) : a->kind->standard;
    const char *template = json_string_value(json_object_get(rule, "template"));
    bool over = strcmp(event, "recovered") == 0;
    sl_task_get(s->catalog, task->id, &row, &ignored);
    const char *name = json_string_value(json_object_get(row, "name"));
    const char *rule_name = json_string_value(json_object_get(rule, "name"));
    name = name ? name : task->id;
    json_t *values =
        json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "task", name, "id",
                  task->id, "state", task->state, "reason", task->reason ? task->reason : "",
                  "rule", rule_name, "kind", a->kind->name, "value", number_text(a->value, arena),
                  "threshold", isnan(threshold) ? "" : number_text(threshold, arena), "since",
                  sl_time_text(a->since_us, since), "event", event);
    const char *text = fill_in(template ? template
                               : over   ? a->kind->off
                                        : a->kind->on,
                               values, arena);
    json_decref(values);
    json_t *message =
        json_pack("{s:s, s:s, s:{s:s, s:s, s:s}, s:{s:s, s:s, s:s, s:s?}, s:f, s:o, s:s, s:o, s:s}",
                  "event", event, "time", sl_time_text(sl_now_us(), now), "rule", "id", a->rule,
                  "name", rule_name, "kind", a->kind->name, "task", "id", task->id, "name", name,
                  "state", task->state, "reason", task->reason, "value", a->value, "threshold",
                  isnan(threshold) ? json_null() : json_real(threshold), "since", since, "subject",
                  json_sprintf("[pgsluice] %s: %s%s", name, a->kind->name, over ? " is over" : ""),
                  "text", text);
    json_decref(row);
    return message;
}

static json_t *make_messages(sl_service *s, const sl_task *task, const json_t *rule, const alert *a,
                             const char *event)
{
    SL_SCRATCH(tmp);
    json_t *messages = json_array(), *who, *contact;
    json_t *message = make_message(s, task, rule, a, event, &tmp);
    sl_error ignored = SL_ERROR_INIT;
    size_t i;
    json_array_foreach(json_object_get(rule, "contacts"), i, who)
    {
        const char *name = json_string_value(who);
        if (!name || sl_contact_get(s->catalog, name, &tmp, &contact, NULL, &ignored) != SL_OK) {
            sl_warn("there is no contact %s to tell of task %s", name ? name : "?", task->id);
            continue;
        }
        json_array_append_new(messages, json_pack("{s:O, s:O, s:s, s:O}", "contact",
                                                  json_object_get(contact, "id"), "contact_name",
                                                  json_object_get(contact, "name"), "event", event,
                                                  "message", message));
        json_decref(contact);
    }
    json_decref(message);
    return messages;
}

/* ---- one rule, one task ---- */

static bool store(sl_service *s, const sl_task *task, const json_t *rule, const alert *a, bool on,
                  int64_t notified_us, const char *event)
{
    sl_error err = SL_ERROR_INIT;
    json_t *messages = event ? make_messages(s, task, rule, a, event) : NULL;
    sl_rc rc = sl_alert_store(s->catalog, a->rule, a->task, a->kind->name, on, a->since_us,
                              notified_us, a->value, messages, &err);
    json_decref(messages);
    if (rc != SL_OK && s->catalog_failures++ % 100 == 0)
        sl_log_error(&err, "an alert could not be stored; it is tried again");
    return rc == SL_OK;
}

static void keep(sl_service *s, sl_task *task, const json_t *rule, const alert *a,
                 const char *event)
{
    sl_events_keep(s, task, event,
                   json_pack("{s:s, s:O, s:s, s:f}", "rule", a->rule, "name",
                             json_object_get(rule, "name"), "kind", a->kind->name, "value",
                             a->value));
}

static bool is_muted(const json_t *rule)
{
    int64_t until;
    const char *text = json_string_value(json_object_get(rule, "muted_until"));
    return text && sl_time_parse(text, &until) && until > sl_now_us();
}

static int64_t seconds_of(const json_t *rule, const char *key, int factor)
{
    return json_integer_value(json_object_get(rule, key)) * factor * INT64_C(1000000);
}

static void step_on(sl_service *s, sl_task *task, const json_t *rule, alert *a)
{
    int64_t now = sl_now_us(), repeat = seconds_of(rule, "repeat_minutes", 60);
    bool muted = is_muted(rule);
    const char *event = NULL;
    if (!a->on)
        a->since_us = now;
    a->on = true;
    if (now < a->since_us) /* the clock was set back */
        a->since_us = now;
    bool fires = !a->fired && now - a->since_us >= seconds_of(rule, "for_seconds", 1);
    if (!muted && (fires || (a->fired && a->notified_us == 0)))
        event = "firing";
    else if (!muted && a->fired && repeat > 0 && now - a->notified_us >= repeat)
        event = "repeat";
    if (!fires && !event)
        return;
    if (!store(s, task, rule, a, true, event ? now : 0, event))
        return;
    if (event)
        a->notified_us = now;
    if (fires)
        keep(s, task, rule, a, "alert.firing");
    a->fired = true;
}

static void step_off(sl_service *s, sl_task *task, const json_t *rule, alert *a)
{
    const json_t *wanted = json_object_get(rule, "on_recovery");
    bool tell = a->notified_us > 0 && !json_is_false(wanted) && !is_muted(rule);
    if (a->fired) {
        if (!store(s, task, rule, a, false, 0, tell ? "recovered" : NULL))
            return;
        keep(s, task, rule, a, "alert.recovered");
    }
    a->on = a->fired = false;
    a->notified_us = 0;
}

static alert *find_alert(struct sl_alerts *all, const char *rule, const char *task, bool make)
{
    char key[40];
    int n = snprintf(key, sizeof(key), "%s/%s", rule, task);
    alert *a = sl_map_get(all->index, key, (size_t)n);
    if (a || !make)
        return a;
    a = sl_xcalloc(1, sizeof(*a));
    snprintf(a->rule, sizeof(a->rule), "%s", rule);
    snprintf(a->task, sizeof(a->task), "%s", task);
    all->items = sl_xrealloc(all->items, (all->n + 1) * sizeof(alert *));
    all->items[all->n++] = a;
    sl_map_put(all->index, key, (size_t)n, a);
    return a;
}

static void apply_rule(sl_service *s, sl_task *task, const json_t *rule)
{
    struct sl_alerts *all = s->alerts;
    const struct kind *kind = find_kind(json_string_value(json_object_get(rule, "kind")));
    const char *id = json_string_value(json_object_get(rule, "id"));
    const json_t *threshold = json_object_get(rule, "threshold");
    if (!kind || !id)
        return;
    look l = { .task = task,
               .threshold =
                   json_is_number(threshold) ? json_number_value(threshold) : kind->standard,
               .ends_us = json_integer_value(json_object_get(all->ends, task->id)) };
    verdict v = kind->look(&l);
    alert *a = find_alert(all, id, task->id, v == ON);
    if (!a)
        return;
    a->seen = all->tick;
    a->kind = kind;
    if (v == UNKNOWN || (v == OFF && !a->on))
        return;
    a->value = l.value;
    (v == ON ? step_on : step_off)(s, task, rule, a);
}

/* ---- all of them ---- */

static bool is_for(const json_t *rule, const char *task)
{
    const json_t *tasks = json_object_get(rule, "tasks");
    size_t i;
    json_t *id;
    if (!json_is_array(tasks))
        return true;
    json_array_foreach(tasks, i, id) if (strcmp(json_string_value(id), task) == 0) return true;
    return false;
}

/* A task's own alerts are two rules without an id of their own. */
static void apply_own(sl_service *s, sl_task *task, const json_t *own)
{
    json_t *lag = json_object_get(own, "lag_seconds"), *contacts = json_object_get(own, "contacts");
    if (!contacts)
        return;
    if (!json_is_false(json_object_get(own, "on_failure"))) {
        json_t *rule = json_pack("{s:s, s:s, s:s, s:O}", "id", "own.failed", "name",
                                 "of the task itself", "kind", "failed", "contacts", contacts);
        apply_rule(s, task, rule);
        json_decref(rule);
    }
    if (json_is_number(lag)) {
        json_t *rule =
            json_pack("{s:s, s:s, s:s, s:O, s:O}", "id", "own.lag", "name", "of the task itself",
                      "kind", "lag", "contacts", contacts, "threshold", lag);
        apply_rule(s, task, rule);
        json_decref(rule);
    }
}

static bool reload(sl_service *s)
{
    struct sl_alerts *all = s->alerts;
    json_t *rules = NULL, *own = NULL, *ends = NULL, *row;
    sl_error err = SL_ERROR_INIT;
    size_t i;
    sl_rc rc = sl_rule_list(s->catalog, &rules, &err);
    if (rc == SL_OK)
        rc = sl_rule_of_tasks(s->catalog, &own, &err);
    if (rc == SL_OK)
        rc = sl_billing_ends(s->catalog, &ends, &err);
    if (rc == SL_OK) {
        json_decref(all->rules);
        json_decref(all->own);
        json_decref(all->ends);
        all->rules = json_incref(json_object_get(rules, "items"));
        all->own = json_incref(own);
        all->ends = json_object();
        json_array_foreach(ends, i, row)
            json_object_set(all->ends, json_string_value(json_object_get(row, "task")),
                            json_object_get(row, "ends_us"));
    } else if (s->catalog_failures++ % 100 == 0) {
        sl_log_error(&err, "alert rules could not be read");
    }
    json_decref(rules);
    json_decref(own);
    json_decref(ends);
    return rc == SL_OK;
}

/* What is on for a rule or a task that is gone, or that the rule is no longer for. */
static void forget_unseen(sl_service *s)
{
    struct sl_alerts *all = s->alerts;
    sl_error ignored = SL_ERROR_INIT;
    for (size_t i = 0; i < all->n; i++) {
        alert *a = all->items[i];
        if (!a->on || a->seen == all->tick)
            continue;
        if (!a->fired || sl_alert_store(s->catalog, a->rule, a->task, "", false, 0, 0, 0, NULL,
                                        &ignored) == SL_OK)
            a->on = a->fired = false;
    }
}

void sl_alerts_tick(sl_service *s)
{
    struct sl_alerts *all = s->alerts;
    json_t *rule;
    size_t k;
    if (all->changed) {
        all->changed = false;
        all->changed = !reload(s);
    }
    all->tick++;
    for (size_t i = 0; i < s->n_tasks; i++) {
        sl_task *task = s->tasks[i];
        json_array_foreach(all->rules, k, rule)
        {
            if (is_for(rule, task->id))
                apply_rule(s, task, rule);
        }
        const json_t *own = json_object_get(all->own, task->id);
        if (own)
            apply_own(s, task, own);
    }
    forget_unseen(s);
}

void sl_alerts_changed(sl_service *s)
{
    s->alerts->changed = true;
    s->terms_changed = true;
}

json_t *sl_alerts_show(sl_service *s)
{
    char since[32];
    json_t *items = json_array();
    for (size_t i = 0; i < s->alerts->n; i++) {
        const alert *a = s->alerts->items[i];
        if (a->fired)
            json_array_append_new(items, json_pack("{s:s, s:s, s:s, s:s, s:f, s:b}", "rule",
                                                   a->rule, "task", a->task, "kind", a->kind->name,
                                                   "since", sl_time_text(a->since_us, since),
                                                   "value", a->value, "told", a->notified_us > 0));
    }
    return items;
}

sl_rc sl_alerts_load(sl_service *s, sl_error *err)
{
    json_t *rows = NULL, *row;
    size_t i;
    struct sl_alerts *all = s->alerts = sl_xcalloc(1, sizeof(*all));
    all->index = sl_map_new();
    all->changed = true;
    if (sl_alert_list(s->catalog, &rows, err) != SL_OK)
        return err->code;
    json_array_foreach(rows, i, row)
    {
        alert *a = find_alert(all, json_string_value(json_object_get(row, "rule")),
                              json_string_value(json_object_get(row, "task")), true);
        const struct kind *kind = find_kind(json_string_value(json_object_get(row, "kind")));
        a->kind = kind ? kind : &kinds[0];
        a->on = a->fired = true;
        a->since_us = json_integer_value(json_object_get(row, "since_us"));
        a->notified_us = json_integer_value(json_object_get(row, "notified_us"));
        a->value = json_number_value(json_object_get(row, "value"));
    }
    json_decref(rows);
    return SL_OK;
}

void sl_alerts_free(sl_service *s)
{
    struct sl_alerts *all = s->alerts;
    if (!all)
        return;
    for (size_t i = 0; i < all->n; i++)
        free(all->items[i]);
    free(all->items);
    sl_map_free(all->index);
    json_decref(all->rules);
    json_decref(all->own);
    json_decref(all->ends);
    free(all);
    s->alerts = NULL;
}

/* ---- a specification's own ---- */

sl_rc sl_alerts_check_own(sl_service *s, const json_t *alerts, sl_error *err)
{
    const json_t *failure = json_object_get(alerts, "on_failure");
    const json_t *lag = json_object_get(alerts, "lag_seconds");
    const json_t *contacts = json_object_get(alerts, "contacts");
    const char *key;
    json_t *value, *found;
    SL_SCRATCH(tmp);
    size_t i;
    if (!json_is_object(alerts))
        return sl_fail(err, SL_USAGE, "spec:1: alerts is not a map");
    json_object_foreach((json_t *)alerts, key,
                        value) if (strcmp(key, "on_failure") != 0 &&
                                   strcmp(key, "lag_seconds") != 0 &&
                                   strcmp(key, "contacts") !=
                                       0) return sl_fail(err, SL_USAGE,
                                                         "spec:1: unknown key alerts.%.100s", key);
    if (failure && !json_is_boolean(failure))
        return sl_fail(err, SL_USAGE, "spec:1: alerts.on_failure is neither true nor false");
    if (lag && !json_is_null(lag) &&
        (!json_is_integer(lag) || json_integer_value(lag) < 1 ||
         json_integer_value(lag) > 31536000))
        return sl_fail(err, SL_USAGE, "spec:1: alerts.lag_seconds is no number from 1 to 31536000");
    if (contacts && (!json_is_array(contacts) || json_array_size(contacts) > 50))
        return sl_fail(err, SL_USAGE, "spec:1: alerts.contacts is no list of at most 50 contacts");
    json_array_foreach(contacts, i, value)
    {
        const char *name = json_string_value(value);
        sl_rc rc = name ? sl_contact_get(s->catalog, name, &tmp, &found, NULL, err) : SL_NOT_FOUND;
        if (rc == SL_NOT_FOUND)
            return sl_fail(err, SL_USAGE, "spec:1: alerts.contacts[%zu] names no contact", i);
        if (rc != SL_OK)
            return rc;
        json_decref(found);
    }
    return SL_OK;
}
