/* tasks_api.c: routes of tasks and their lifecycle, findings, errors, the plan. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "service/http.h"
#include "service/wording.h"

/* ---- a task as the API shows it ---- */

static json_t *endpoint_summary(const json_t *endpoint)
{
    static const char *const keys[] = { "host", "socket", "database", "user", "region" };
    json_t *out = json_object(), *port = json_object_get(endpoint, "port");
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        json_t *value = json_object_get(endpoint, keys[i]);
        json_object_set_new(out, keys[i], value ? json_incref(value) : json_null());
    }
    json_object_set_new(out, "port",
                        json_is_integer(port)
                            ? json_sprintf("%lld", (long long)json_integer_value(port))
                        : port ? json_incref(port)
                               : json_null());
    return out;
}

static json_t *stages_of(const json_t *spec)
{
    json_t *stages = json_object_get(spec, "stages");
    return stages ? json_incref(stages) : json_pack("[s, s, s]", "schema", "full", "incremental");
}

static json_t *or_null(json_t *value)
{
    return value ? json_incref(value) : json_null();
}

static json_t *worker_json(const sl_task *task)
{
    char since[32];
    if (task->job != SL_JOB_RUN)
        return json_null();
    return json_pack("{s:i, s:s, s:i}", "pid", (int)task->process.pid, "started_at",
                     sl_time_text(task->job_since_us, since), "restarts", task->restarts);
}

/* row: of the catalog (stolen); task: what the supervisor knows, which is newer. Under the lock. */
static json_t *task_json(json_t *row, const sl_task *task)
{
    static const char *const same[] = { "id",           "name",     "state_since", "created_at",
                                        "spec_version", "precheck", "last_error" };
    const json_t *spec = json_object_get(row, "spec");
    json_t *out = json_object();
    for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++)
        json_object_set_new(out, same[i], or_null(json_object_get(row, same[i])));
    json_object_set_new(out, "state", json_string(task->state));
    json_object_set_new(out, "reason", task->reason ? json_string(task->reason) : json_null());
    json_object_set_new(out, "actions", sl_state_actions(task->state, task->started));
    json_object_set_new(out, "source", endpoint_summary(json_object_get(spec, "source")));
    json_object_set_new(out, "destination", endpoint_summary(json_object_get(spec, "destination")));
    json_object_set_new(out, "stages", stages_of(spec));
    json_t *class = json_object_get(spec, "class");
    json_object_set_new(out, "class", class ? json_incref(class) : json_string("unlimited"));
    json_object_set_new(out, "progress", or_null(task->progress));
    json_object_set_new(out, "retry",
                        strcmp(task->state, "retrying") == 0 ? or_null(task->retry) : json_null());
    json_object_set_new(out, "worker", worker_json(task));
    json_decref(row);
    return out;
}

void sl_reply_task(sl_request *r, int status, const char *id)
{
    json_t *row = NULL, *json = NULL;
    sl_error err = SL_ERROR_INIT;
    sl_rc rc;
    { /* both of one moment: a new state is never shown with what was stored before it */
        SL_SERVICE_LOCKED(r->s);
        rc = sl_task_get(r->s->catalog, id, &row, &err);
        const sl_task *task = rc == SL_OK ? sl_supervisor_find(r->s, id) : NULL;
        if (task)
            json = task_json(row, task);
        else
            json_decref(row);
    }
    if (json)
        sl_reply(r, status, json);
    else
        sl_problem_error(r, &err, rc == SL_OK ? SL_NOT_FOUND : rc, "invalid");
}

static void get_task(sl_request *r)
{
    sl_reply_task(r, 200, r->params[0]);
}

static void list_tasks(sl_request *r)
{
    sl_page page;
    json_t *rows = NULL, *row, *items = json_array();
    sl_error err = SL_ERROR_INIT;
    size_t i;
    sl_rc rc = SL_USAGE;
    if (sl_request_page(r, &page))
        rc = sl_task_list(r->s->catalog, sl_query(r, "state"), sl_query(r, "region"),
                          sl_query(r, "q"), &page, &rows, &err);
    if (rc == SL_OK) {
        SL_SERVICE_LOCKED(r->s);
        json_array_foreach(json_object_get(rows, "items"), i, row)
        {
            const sl_task *task =
                sl_supervisor_find(r->s, json_string_value(json_object_get(row, "id")));
            if (task)
                json_array_append_new(items, task_json(json_incref(row), task));
        }
        json_object_set(rows, "items", items);
    }
    json_decref(items);
    if (rc == SL_OK)
        sl_reply(r, 200, rows);
    else if (!r->answered)
        sl_problem_error(r, &err, rc, "bad_request");
}

/* ---- lifecycle ---- */

static void act(sl_request *r, const char *action, bool force)
{
    sl_error err = SL_ERROR_INIT;
    sl_rc rc = SL_NOT_FOUND;
    {
        SL_SERVICE_LOCKED(r->s);
        sl_task *task = sl_supervisor_find(r->s, r->params[0]);
        if (task)
            rc = sl_supervisor_action(r->s, task, action, force, &err);
    }
    if (rc == SL_OK)
        sl_reply_task(r, 202, r->params[0]);
    else
        sl_problem_error(r, &err, rc, "wrong_state");
}

static void check_task(sl_request *r)
{
    act(r, "check", false);
}

static void start_task(sl_request *r)
{
    act(r, "start", false);
}

static void pause_task(sl_request *r)
{
    act(r, "pause", false);
}

static void resume_task(sl_request *r)
{
    act(r, "resume", false);
}

static void stop_task(sl_request *r)
{
    act(r, "stop", false);
}

static void release_task(sl_request *r)
{
    static const char *const keys[] = { "force", NULL };
    const json_t *force = json_object_get(r->json, "force");
    if (!sl_body_only(r, keys))
        return;
    if (force && !json_is_boolean(force))
        sl_problem_field(r, "/force", "is neither true nor false");
    else
        act(r, "release", json_is_true(force));
}

static void delete_task(sl_request *r)
{
    sl_error err = SL_ERROR_INIT;
    sl_rc rc = SL_NOT_FOUND;
    {
        SL_SERVICE_LOCKED(r->s);
        sl_task *task = sl_supervisor_find(r->s, r->params[0]);
        if (task &&
            (!sl_state_allows(task->state, task->started, "delete") || task->job != SL_JOB_NONE)) {
            rc = sl_fail(&err, SL_USAGE, "the task is %s and may have something on the servers",
                         task->state);
            sl_hint(&err, "Release it first.");
        } else if (task) {
            rc = sl_task_delete(r->s->catalog, task->id, &err);
            if (rc == SL_OK)
                sl_supervisor_remove(r->s, task);
        }
    }
    if (rc == SL_OK)
        sl_reply_nothing(r);
    else
        sl_problem_error(r, &err, rc, "wrong_state");
}

/* ---- questions to the servers, answered by a process ---- */

/* What a command printed on failure as its last line {"event": "error", …}; else its exit code. */
static void reply_failed(sl_request *r, const sl_buf *output, int code)
{
    const char *text = sl_buf_str(output), *last = text;
    for (const char *p = text; (p = strchr(p, '\n')) && p[1];)
        last = ++p;
    json_t *error = json_loads(last, JSON_DISABLE_EOF_CHECK, NULL);
    if (r->params[0])
        sl_wording_fields(error, r->params[0]);
    const char *message = json_string_value(json_object_get(error, "message"));
    const char *hint = json_string_value(json_object_get(error, "hint"));
    const char *what = json_string_value(json_object_get(error, "code"));
    bool passing = what && strcmp(what, "transient") == 0;
    bool usage = what && strcmp(what, "usage") == 0;
    sl_problem(r,
               passing   ? "unavailable"
               : usage   ? "invalid"
               : message ? "upstream"
                         : "server_error",
               hint, "%s", message ? message : "the process that asked the servers failed");
    if (!message)
        sl_warn("a process that asked servers ended with exit code %d", code);
    json_decref(error);
}

bool sl_ask_with(sl_request *r, const char *const *words, const char *text, int seconds,
                 sl_buf *output)
{
    sl_error err = SL_ERROR_INIT;
    int code = 0;
    sl_rc rc = sl_process_ask(r->s, words, text, seconds, output, &code, &err);
    if (rc != SL_OK)
        sl_problem_error(r, &err, rc, "invalid");
    else if (code != 0)
        reply_failed(r, output, code);
    return rc == SL_OK && code == 0;
}

bool sl_ask_task(sl_request *r, const char *const *words, int seconds, int also, sl_buf *output)
{
    sl_error err = SL_ERROR_INIT;
    char *text = NULL;
    int code = 0;
    sl_rc rc = sl_specs_of_task(r->s, r->params[0], false, &text, &err);
    if (rc == SL_OK)
        rc = sl_process_ask(r->s, words, text, seconds, output, &code, &err);
    sl_specs_wipe(text);
    if (rc != SL_OK)
        sl_problem_error(r, &err, rc, "invalid");
    else if (code != 0 && code != also)
        reply_failed(r, output, code);
    return rc == SL_OK && (code == 0 || code == also);
}

static bool ask(sl_request *r, const char *const *words, int seconds, sl_buf *output)
{
    return sl_ask_task(r, words, seconds, 0, output);
}

const char *const sl_plan_words[] = { "pgsluice", "plan", "-", "--json", NULL };

void sl_reply_plan(sl_request *r, const sl_buf *output)
{
    json_t *plan = json_loadb(sl_buf_str(output), output->len, 0, NULL);
    if (plan)
        sl_reply(r, 200, plan);
    else
        sl_problem(r, "server_error", NULL, "the plan could not be read");
}

static void plan_task(sl_request *r)
{
    SL_BUF(output);
    if (ask(r, sl_plan_words, 120, &output))
        sl_reply_plan(r, &output);
}

/* Does anything of the task exist in the destination? Answers when not. */
bool sl_was_started(sl_request *r, json_t *otherwise)
{
    bool found = false, started = false;
    {
        SL_SERVICE_LOCKED(r->s);
        const sl_task *task = sl_supervisor_find(r->s, r->params[0]);
        found = task != NULL;
        started = task && task->started;
    }
    if (!found)
        sl_problem(r, "not_found", NULL, "there is no task %s", r->params[0]);
    else if (!started && otherwise)
        sl_reply(r, 200, json_incref(otherwise));
    else if (!started)
        sl_problem(r, "wrong_state", NULL, "the task was not started yet");
    json_decref(otherwise);
    return found && started;
}

static void list_errors(sl_request *r)
{
    static const char *const words[] = { "pgsluice", "errors", "-", "list", "--json", NULL };
    SL_BUF(output);
    if (!sl_was_started(r, json_pack("{s:[]}", "items")) || !ask(r, words, 60, &output))
        return;
    json_t *items = json_array(), *error;
    for (const char *line = sl_buf_str(&output); *line; line += strcspn(line, "\n") + 1) {
        error = json_loadb(line, strcspn(line, "\n"), 0, NULL);
        if (r->who.role < SL_ROLE_OPERATOR)
            json_object_del(error, "row");
        sl_wording_fields(error, r->params[0]);
        if (error)
            json_array_append_new(items, error);
        if (!strchr(line, '\n'))
            break;
    }
    sl_reply(r, 200, json_pack("{s:o}", "items", items));
}

static void reply_done(sl_request *r, const char *const *words)
{
    SL_BUF(output);
    if (!ask(r, words, 120, &output))
        return;
    size_t n = output.len;
    while (n > 0 && output.data[n - 1] == '\n')
        n--;
    json_t *message = json_stringn(sl_buf_str(&output), n);
    sl_reply(r, 200, json_pack("{s:o}", "message", message ? message : json_string("Done.")));
}

static void choose_errors(sl_request *r, const char *action)
{
    static const char *const keys[] = { "ids", "all", NULL };
    const json_t *ids = json_object_get(r->json, "ids"), *all = json_object_get(r->json, "all");
    size_t n = json_array_size(ids), count = 0;
    if (!sl_body_only(r, keys) || !sl_was_started(r, NULL))
        return;
    if (!ids == !all || (all && !json_is_true(all)) || (ids && (n == 0 || n > 1000))) {
        sl_problem(r, "invalid", NULL, "give either ids (1 to 1000 numbers) or all: true");
        return;
    }
    const char **words = SL_NEW_ARRAY(&r->arena, const char *, n + 8);
    words[count++] = "pgsluice";
    words[count++] = "errors";
    words[count++] = "-";
    words[count++] = action;
    if (all)
        words[count++] = "--all";
    for (size_t i = 0; i < n; i++) {
        json_int_t id = json_integer_value(json_array_get(ids, i));
        if (id < 1) {
            sl_problem_field(r, sl_arena_printf(&r->arena, "/ids/%zu", i),
                             "is not a number from 1");
            return;
        }
        words[count++] = sl_arena_printf(&r->arena, "%lld", (long long)id);
    }
    words[count++] = "--json";
    reply_done(r, words);
}

static void retry_errors(sl_request *r)
{
    choose_errors(r, "retry");
}

static void skip_errors(sl_request *r)
{
    choose_errors(r, "skip");
}

static void skip_transaction(sl_request *r)
{
    static const char *const keys[] = { "lsn", NULL };
    const char *lsn = sl_body_text(r, "lsn", 3, 17);
    if (!lsn || !sl_body_only(r, keys) || !sl_was_started(r, NULL))
        return;
    if (strspn(lsn, "0123456789ABCDEFabcdef/") != strlen(lsn)) {
        sl_problem_field(r, "/lsn", "is not an LSN such as 16/B374D848");
        return;
    }
    const char *words[] = { "pgsluice", "skip", "-", "--lsn", lsn, "--json", NULL };
    reply_done(r, words);
}

/* ---- one table again ---- */

static void ask_of_table(sl_request *r, const char *command)
{
    const char *words[] = { "pgsluice", command, "-", "--json", "--", r->params[1], NULL };
    SL_BUF(output);
    if (sl_was_started(r, NULL) && ask(r, words, 60, &output))
        sl_reply_task(r, 202, r->params[0]);
}

static void resync_table(sl_request *r)
{
    ask_of_table(r, "resync");
}

static void set_table_aside(sl_request *r)
{
    ask_of_table(r, "set-aside");
}

/* ---- findings ---- */

static void list_findings(sl_request *r)
{
    json_t *findings = NULL;
    sl_error err = SL_ERROR_INIT;
    sl_rc rc = sl_findings_read(r->s->catalog, r->params[0], &findings, &err);
    if (rc == SL_OK)
        sl_reply(r, 200, findings);
    else
        sl_problem_error(r, &err, rc, "invalid");
}

/* ---- the log ---- */

static void task_log(sl_request *r)
{
    const char *given = sl_query(r, "bytes"), *id = r->params[0];
    char *end = NULL;
    long bytes = given ? strtol(given, &end, 10) : 65536;
    if (strspn(id, "abcdefghijklmnopqrstuvwxyz0123456789") != strlen(id)) { /* a file's name */
        sl_problem(r, "not_found", NULL, "there is no such task");
        return;
    }
    if ((given && *end) || bytes < 1 || bytes > 1 << 20) {
        sl_problem(r, "bad_request", NULL, "bytes is a number from 1 to 1048576");
        return;
    }
    FILE *in = fopen(sl_arena_printf(&r->arena, "%s/log/%s.log", r->s->options.data_dir, id), "re");
    char *text = sl_arena_zalloc(&r->arena, (size_t)bytes + 1);
    if (in && (fseek(in, -bytes, SEEK_END) == 0 || fseek(in, 0, SEEK_SET) == 0))
        text[fread(text, 1, (size_t)bytes, in)] = '\0';
    if (in)
        fclose(in);
    if (in)
        sl_reply_text(r, 200, "text/plain", text);
    else
        sl_problem(r, "not_found", NULL, "task %s has no log: nothing of it has run here", id);
}

#define V1 "/api/v1/tasks"
const sl_route_row sl_routes_tasks[] = {
    { "GET", V1, SL_ROLE_VIEWER, 0, list_tasks, "list_tasks" },
    { "GET", V1 "/*", SL_ROLE_VIEWER, 0, get_task, "get_task" },
    { "DELETE", V1 "/*", SL_ROLE_OPERATOR, 0, delete_task, "delete_task" },
    { "POST", V1 "/*/check", SL_ROLE_OPERATOR, 0, check_task, "check_task" },
    { "POST", V1 "/*/start", SL_ROLE_OPERATOR, 0, start_task, "start_task" },
    { "POST", V1 "/*/pause", SL_ROLE_OPERATOR, 0, pause_task, "pause_task" },
    { "POST", V1 "/*/resume", SL_ROLE_OPERATOR, 0, resume_task, "resume_task" },
    { "POST", V1 "/*/stop", SL_ROLE_OPERATOR, 0, stop_task, "stop_task" },
    { "POST", V1 "/*/release", SL_ROLE_OPERATOR, SL_ROUTE_BODY | SL_ROUTE_OPTIONAL, release_task,
      "release_task" },
    { "GET", V1 "/*/findings", SL_ROLE_VIEWER, 0, list_findings, "list_findings" },
    { "GET", V1 "/*/errors", SL_ROLE_VIEWER, 0, list_errors, "list_errors" },
    { "POST", V1 "/*/errors/retry", SL_ROLE_OPERATOR, SL_ROUTE_BODY, retry_errors, "retry_errors" },
    { "POST", V1 "/*/errors/skip", SL_ROLE_OPERATOR, SL_ROUTE_BODY, skip_errors, "skip_errors" },
    { "POST", V1 "/*/transactions/skip", SL_ROLE_OPERATOR, SL_ROUTE_BODY, skip_transaction,
      "skip_transaction" },
    { "POST", V1 "/*/tables/*/resync", SL_ROLE_OPERATOR, 0, resync_table, "resync_table" },
    { "POST", V1 "/*/tables/*/set-aside", SL_ROLE_OPERATOR, 0, set_table_aside, "set_table_aside" },
    { "GET", V1 "/*/log", SL_ROLE_VIEWER, 0, task_log, "task_log" },
    { "GET", V1 "/*/plan", SL_ROLE_OPERATOR, 0, plan_task, "plan_task" },
    { NULL },
};
