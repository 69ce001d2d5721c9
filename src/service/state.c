/* state.c: the states of a task: one table of moves, one of what a user may ask for in each, and
 * the one function that changes a state. */
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "service/service.h"

/* From, and to which (words between blanks). Staying is always allowed. */
static const char *const moves[][2] = {
    { "draft", " checking " },
    { "checking", " ready check_failed draft " },
    { "check_failed", " checking draft " },
    { "ready", " checking draft initializing " },
    { "initializing",
      " synchronizing retrying pausing paused failed finished check_failed releasing " },
    { "synchronizing", " initializing retrying pausing paused failed finished releasing " },
    { "retrying", " initializing synchronizing pausing paused failed finished releasing " },
    { "pausing", " paused stopped failed finished releasing " },
    { "paused", " initializing pausing releasing " },
    { "failed", " initializing pausing releasing " },
    { "finished", " releasing " },
    { "stopped", " releasing " },
    { "releasing", " released failed " },
    { "released", " checking draft " },
};

/* What a user may ask for. Delete also needs that nothing is on the servers. */
static const char *const allowed[][2] = {
    { "edit", " draft check_failed ready paused failed released " },
    { "check", " draft check_failed ready released " },
    { "start", " ready " },
    { "pause", " initializing synchronizing retrying " },
    { "resume", " paused failed " },
    { "stop", " initializing synchronizing retrying pausing paused failed " },
    { "release", " initializing synchronizing retrying pausing paused failed finished stopped " },
    { "delete", " draft check_failed ready released " },
};
#define N(table) (sizeof(table) / sizeof((table)[0]))

static bool has_word(const char *words, const char *word)
{
    size_t n = strlen(word);
    for (const char *p = words; n > 0 && (p = strstr(p, word)); p += n)
        if (p[-1] == ' ' && p[n] == ' ')
            return true;
    return false;
}

bool sl_state_may_move(const char *from, const char *to)
{
    for (size_t i = 0; i < N(moves); i++)
        if (strcmp(moves[i][0], from) == 0)
            return strcmp(from, to) == 0 || has_word(moves[i][1], to);
    return false;
}

bool sl_state_allows(const char *state, bool started, const char *action)
{
    for (size_t i = 0; i < N(allowed); i++)
        if (strcmp(allowed[i][0], action) == 0)
            return has_word(allowed[i][1], state) && !(started && strcmp(action, "delete") == 0);
    return false;
}

json_t *sl_state_actions(const char *state, bool started)
{
    json_t *actions = json_array();
    for (size_t i = 0; i < N(allowed); i++)
        if (sl_state_allows(state, started, allowed[i][0]))
            json_array_append_new(actions, json_string(allowed[i][0]));
    return actions;
}

static void set(char **field, const char *value)
{
    char *copy = value ? sl_xstrdup(value) : NULL;
    free(*field);
    *field = copy;
}

void sl_state_save(sl_service *s, sl_task *task)
{
    sl_error err = SL_ERROR_INIT;
    sl_rc rc =
        sl_task_store_state(s->catalog, task->id, task->state, task->reason, task->desired, &err);
    if (rc == SL_OK && task->unsaved)
        sl_info("task %s: its state %s is in the catalog now", task->id, task->state);
    else if (rc != SL_OK && !task->unsaved)
        sl_log_error(&err, "a task's state will be stored later");
    s->catalog_failures += rc != SL_OK;
    task->unsaved = rc != SL_OK;
}

sl_rc sl_state_move(sl_service *s, sl_task *task, const char *to, const char *reason,
                    const char *desired, bool must_store, sl_error *err)
{
    if (!sl_state_may_move(task->state, to))
        return sl_fail(err, SL_USAGE, "task %s is %s: it cannot become %s", task->id, task->state,
                       to);
    bool moved = strcmp(task->state, to) != 0;
    if (must_store && sl_task_store_state(s->catalog, task->id, to, reason,
                                          desired ? desired : task->desired, err) != SL_OK)
        return err->code;
    sl_metering_note(task);
    set(&task->state, to);
    set(&task->reason, reason);
    if (desired)
        set(&task->desired, desired);
    if (!must_store)
        sl_state_save(s, task);
    if (moved) {
        sl_info("task %s is %s%s%s", task->id, to, reason ? ": " : "", reason ? reason : "");
        sl_events_keep(s, task, "task.state",
                       json_pack("{s:s, s:s*}", "state", to, "reason", reason));
    }
    return SL_OK;
}
