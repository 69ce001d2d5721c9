/* views_api.c: routes that show a task from another side: what became of its schema objects, the
 * rate of each hop, one check again, the support bundle. */
#include <stdlib.h>
#include <string.h>

#include "precheck/precheck.h"
#include "service/bundle.h"
#include "service/http.h"

/* ---- schema report ---- */

static bool fits(sl_request *r, const json_t *object)
{
    const char *result = sl_query(r, "result"), *text = sl_query(r, "q");
    const char *name = json_string_value(json_object_get(object, "object"));
    const char *found = json_string_value(json_object_get(object, "result"));
    return name && found && (!result || strcmp(result, found) == 0) &&
           (!text || strcasestr(name, text));
}

/* The cursor is the number of objects that were given before: the report only grows while the
 * schema is made. */
static bool take_offset(sl_request *r, const sl_page *page, size_t *offset)
{
    char *end = NULL;
    *offset = page->cursor ? strtoul(page->cursor, &end, 10) : 0;
    if (!page->cursor || (page->cursor[0] >= '0' && page->cursor[0] <= '9' && !*end))
        return true;
    sl_problem(r, "bad_request", NULL, "cursor is not one that this service gave");
    return false;
}

static void schema_report(sl_request *r)
{
    static const char *const words[] = { "pgsluice", "report", "-", "--json", NULL };
    SL_BUF(output);
    sl_page page;
    size_t offset, n = 0;
    if (!sl_request_page(r, &page) || !take_offset(r, &page, &offset) ||
        !sl_was_started(r, json_pack("{s:[], s:n}", "items", "next_cursor")) ||
        !sl_ask_task(r, words, 60, 0, &output))
        return;
    json_t *items = json_array(), *cursor = json_null();
    for (const char *line = sl_buf_str(&output), *end; (end = strchr(line, '\n')); line = end + 1) {
        json_t *object = json_loadb(line, (size_t)(end - line), 0, NULL);
        bool good = fits(r, object);
        if (good && n >= offset && n < offset + (size_t)page.limit)
            json_array_append(items, object);
        n += good;
        json_decref(object);
    }
    if (n > offset + (size_t)page.limit)
        cursor = json_sprintf("%zu", offset + (size_t)page.limit);
    sl_reply(r, 200, json_pack("{s:o, s:o}", "items", items, "next_cursor", cursor));
}

/* ---- rates per hop ---- */

#define WORTH_NAMING (INT64_C(1) << 20) /* bytes between two hops before one is a bottleneck */

static json_t *gap(const sl_task *task, sl_hop from, sl_hop to)
{
    uint64_t a = task->hop_lsns[from], b = task->hop_lsns[to];
    return a && b ? json_integer((json_int_t)(a > b ? a - b : 0)) : json_null();
}

static json_t *hop(const sl_task *task, const char *name, sl_hop at, json_t *lag_bytes)
{
    static const char *const keys[SL_HOPS] = { "source_lsn", "received_lsn", "applied_lsn",
                                               "acked_lsn" };
    json_t *lsn = json_object_get(task->progress, keys[at]);
    bool known = task->hop_lsns[at] > 0;
    return json_pack("{s:s, s:o, s:o, s:o, s:n, s:n, s:b}", "hop", name, "lsn",
                     known ? json_incref(lsn) : json_null(), "bytes_per_second",
                     known ? json_real(task->hop_rates[at]) : json_null(), "lag_bytes", lag_bytes,
                     "rows_per_second", "lag_seconds", "bottleneck", 0);
}

static void mark_bottleneck(json_t *hops)
{
    json_t *worst = NULL, *one;
    json_int_t most = WORTH_NAMING;
    size_t i;
    json_array_foreach(hops, i, one)
    {
        json_int_t lag = json_integer_value(json_object_get(one, "lag_bytes"));
        /* What the slot holds includes all of it; what is applied is acknowledged now and then. */
        bool queues = i == 2 || i == 3 || (i == 4 && !worst);
        if (queues && lag > most) {
            worst = one;
            most = lag;
        }
    }
    if (worst)
        json_object_set_new(worst, "bottleneck", json_true());
}

static json_t *hops_of(const sl_task *task)
{
    json_int_t held = json_integer_value(json_object_get(task->progress, "wal_held_bytes"));
    bool knows_held = json_object_get(task->progress, "wal_held_bytes") && held >= 0;
    json_t *hops = json_array();
    json_array_append_new(hops, hop(task, "source", SL_HOP_SOURCE, json_integer(0)));
    json_array_append_new(hops, hop(task, "slot", SL_HOP_ACKED,
                                    knows_held ? json_integer(held) : json_null()));
    json_array_append_new(hops, hop(task, "decode", SL_HOP_RECEIVED,
                                    gap(task, SL_HOP_SOURCE, SL_HOP_RECEIVED)));
    json_t *apply = hop(task, "apply", SL_HOP_APPLIED, gap(task, SL_HOP_RECEIVED, SL_HOP_APPLIED));
    json_object_set_new(apply, "rows_per_second", json_real(task->rate));
    json_object_set(apply, "lag_seconds", json_object_get(task->progress, "lag_seconds"));
    json_array_append_new(hops, apply);
    json_array_append_new(hops, hop(task, "destination", SL_HOP_ACKED,
                                    gap(task, SL_HOP_APPLIED, SL_HOP_ACKED)));
    mark_bottleneck(hops);
    return hops;
}

static void hop_rates(sl_request *r)
{
    json_t *hops = NULL;
    {
        SL_SERVICE_LOCKED(r->s);
        const sl_task *task = sl_supervisor_find(r->s, r->params[0]);
        if (task)
            hops = task->job == SL_JOB_RUN && task->progress ? hops_of(task) : json_array();
    }
    if (hops)
        sl_reply(r, 200, json_pack("{s:o}", "hops", hops));
    else
        sl_problem(r, "not_found", NULL, "there is no task %s", r->params[0]);
}

/* ---- one check again ---- */

/* The task's findings with those of one check replaced by what the process said; new reference. */
static json_t *merged(const json_t *items, const char *check, const sl_buf *output)
{
    json_t *all = json_array(), *finding;
    bool there = false;
    size_t i;
    json_t *fresh = json_array();
    for (const char *line = sl_buf_str(output), *end; (end = strchr(line, '\n')); line = end + 1)
        if ((finding = json_loadb(line, (size_t)(end - line), 0, NULL))) {
            json_object_del(finding, "event");
            json_array_append_new(fresh, finding);
        }
    json_array_foreach((json_t *)items, i, finding)
    {
        const char *name = json_string_value(json_object_get(finding, "check"));
        bool same = name && strcmp(name, check) == 0;
        if (same && !there)
            json_array_extend(all, fresh);
        else if (!same)
            json_array_append(all, finding);
        there |= same;
    }
    if (!there)
        json_array_extend(all, fresh);
    json_decref(fresh);
    return all;
}

/* May it be asked for? Also when the process has answered: then somebody may have been quicker. */
static bool may_recheck(sl_request *r, const sl_task *task)
{
    bool is_checked =
        task && (strcmp(task->state, "check_failed") == 0 || strcmp(task->state, "ready") == 0);
    if (!task)
        sl_problem(r, "not_found", NULL, "there is no task %s", r->params[0]);
    else if (!is_checked || task->job != SL_JOB_NONE)
        sl_problem(r, "wrong_state", "Run the whole precheck first.",
                   "the task is %s: there is no precheck to go back to", task->state);
    return task && is_checked && task->job == SL_JOB_NONE;
}

static bool store_findings(sl_request *r, const json_t *items, const sl_buf *output)
{
    sl_error ignored = SL_ERROR_INIT;
    int failed = 0;
    SL_SERVICE_LOCKED(r->s);
    sl_task *task = sl_supervisor_find(r->s, r->params[0]);
    if (!may_recheck(r, task))
        return false;
    json_decref(task->findings);
    task->findings = merged(items, r->params[1], output);
    sl_events_checked(r->s, task, &failed);
    const char *to = failed ? "check_failed" : "ready";
    const char *why = failed ? sl_arena_printf(&r->arena, "%d finding%s to be cured or ignored",
                                               failed, failed == 1 ? " has" : "s have")
                             : NULL;
    if (strcmp(task->state, to) != 0)
        sl_state_move(r->s, task, "checking", NULL, NULL, false, &ignored);
    sl_state_move(r->s, task, to, why, "none", false, &ignored);
    return true;
}

static void rerun_check(sl_request *r)
{
    const char *words[] = { "pgsluice", "check", "-", "--json", "--only", r->params[1], NULL };
    sl_error err = SL_ERROR_INIT;
    json_t *findings = NULL;
    SL_BUF(output);
    bool may;
    {
        SL_SERVICE_LOCKED(r->s);
        may = may_recheck(r, sl_supervisor_find(r->s, r->params[0]));
    }
    if (!may)
        return;
    if (!sl_precheck_knows(r->params[1])) {
        sl_problem(r, "not_found", "GET …/findings names those there are.", "there is no check %s",
                   r->params[1]);
        return;
    }
    sl_rc rc = sl_findings_read(r->s->catalog, r->params[0], &findings, &err);
    if (rc != SL_OK)
        sl_problem_error(r, &err, rc, "invalid");
    else if (sl_ask_task(r, words, 120, 3, &output) &&
             store_findings(r, json_object_get(findings, "items"), &output))
        sl_reply_task(r, 202, r->params[0]);
    json_decref(findings);
}

/* ---- support bundle ---- */

static void support_bundle(sl_request *r)
{
    SL_BUF(archive);
    sl_error err = SL_ERROR_INIT;
    sl_rc rc = sl_bundle_make(r, &archive, &err);
    if (rc != SL_OK) {
        sl_problem_error(r, &err, rc, "invalid");
        return;
    }
    struct MHD_Response *response =
        MHD_create_response_from_buffer(archive.len, archive.data, MHD_RESPMEM_MUST_COPY);
    MHD_add_response_header(response, "Content-Type", "application/gzip");
    MHD_add_response_header(response, "Content-Disposition",
                            sl_arena_printf(&r->arena,
                                            "attachment; filename=\"pgsluice-%s.tar.gz\"",
                                            r->params[0]));
    sl_reply_response(r, 200, response);
}

#define V1 "/api/v1/tasks"
const sl_route_row sl_routes_views[] = {
    { "GET", V1 "/*/schema-report", SL_ROLE_VIEWER, 0, schema_report, "schema_report" },
    { "GET", V1 "/*/rates", SL_ROLE_VIEWER, 0, hop_rates, "hop_rates" },
    { "POST", V1 "/*/findings/*/rerun", SL_ROLE_OPERATOR, 0, rerun_check, "rerun_check" },
    { "GET", V1 "/*/support-bundle", SL_ROLE_OPERATOR, 0, support_bundle, "support_bundle" },
    { NULL },
};
