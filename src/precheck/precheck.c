/* precheck.c: runs the table of checks and keeps the findings.
 *
 * Nothing is changed on either server. A check that cannot look (a right is missing, say) becomes a
 * failed finding that names the reason; a lost connection ends the precheck with an error. */
#include "precheck/precheck.h"

#include <stdlib.h>
#include <string.h>

#include "precheck/internal.h"
#include "spec/suggest.h"

/* ---- findings ---- */

void sl_findings_free(sl_findings *findings)
{
    free(findings->items);
    sl_arena_free(&findings->arena);
    *findings = (sl_findings){ 0 };
}

static sl_finding *add_finding(sl_findings *out)
{
    if (out->n == out->cap) {
        out->cap = out->cap ? 2 * out->cap : 64;
        out->items = sl_xrealloc(out->items, out->cap * sizeof(*out->items));
    }
    return memset(&out->items[out->n++], 0, sizeof(*out->items));
}

/* Does the specification's precheck.ignore name the check, or the check at this object? */
static bool is_ignored(const sl_spec *spec, const char *check, const char *object)
{
    size_t n = strlen(check);
    for (const char *const *entry = spec->precheck_ignore; entry && *entry; entry++)
        if (strncmp(*entry, check, n) == 0 &&
            ((*entry)[n] == '\0' || ((*entry)[n] == '@' && strcmp(*entry + n + 1, object) == 0)))
            return true;
    return false;
}

static void report(sl_check_context *c, sl_finding_result result, const char *object,
                   const char *cause, const char *remedy)
{
    sl_arena *arena = &c->out->arena;
    sl_finding *f = add_finding(c->out);
    f->check = c->check->id;
    f->title = c->check->title;
    f->side = c->check->side;
    f->object = sl_arena_strdup(arena, object ? object : "");
    f->result = result;
    f->ignorable = c->check->severity == SL_IGNORABLE;
    f->ignored = result == SL_FINDING_FAILED && f->ignorable &&
                 is_ignored(c->run->spec, f->check, f->object);
    f->cause = sl_arena_strdup(arena, cause);
    f->remedy = sl_arena_strdup(arena, remedy);
}

void sl_report(sl_check_context *c, const char *object, const char *cause, const char *remedy)
{
    bool warning = c->check->severity == SL_WARNS;
    report(c, warning ? SL_FINDING_WARNING : SL_FINDING_FAILED, object, cause, remedy);
}

void sl_report_warning(sl_check_context *c, const char *object, const char *cause,
                       const char *remedy)
{
    report(c, SL_FINDING_WARNING, object, cause, remedy);
}

bool sl_findings_pass(const sl_findings *findings)
{
    for (size_t i = 0; i < findings->n; i++)
        if (findings->items[i].result == SL_FINDING_FAILED && !findings->items[i].ignored)
            return false;
    return true;
}

int sl_findings_rate(const sl_findings *findings)
{
    size_t good = 0;
    for (size_t i = 0; i < findings->n; i++) {
        const sl_finding *f = &findings->items[i];
        good += f->result == SL_FINDING_PASSED || f->result == SL_FINDING_WARNING || f->ignored;
    }
    return findings->n ? (int)(100 * good / findings->n) : 100;
}

static const char *result_name(sl_finding_result result)
{
    static const char *const names[] = { "passed", "warning", "failed", "not_run" };
    return names[result];
}

json_t *sl_finding_json(const sl_finding *f)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:b, s:b, s:s?, s:s?}", "check", f->check, "object",
                     f->object, "title", f->title, "side", sl_side_name(f->side), "result",
                     result_name(f->result), "ignorable", f->ignorable, "ignored", f->ignored,
                     "cause", f->cause, "remedy", f->remedy);
}

/* ---- helpers of the checks ---- */

sl_rc sl_check_query(sl_check_context *c, const char *what, const char *sql, PGresult **res,
                     sl_error *err)
{
    const char *values[] = { c->oids };
    if (sl_pg_query_params(c->source, sql, 1, values, res, err) != SL_OK)
        return sl_while(err, "reading %s of the source's tables", what);
    return SL_OK;
}

sl_rc sl_check_ask(sl_check_context *c, sl_pg *pg, const char *what, const char *sql,
                   PGresult **res, sl_error *err)
{
    if (sl_pg_query(pg, sql, res, err) != SL_OK)
        return sl_while(err, "reading %s of the %s", what, sl_side_name(pg->side));
    return SL_OK;
}

const sl_route *sl_check_route(const sl_check_context *c, const PGresult *res, int row, int col)
{
    return sl_route_by_oid(c->run->routes, (uint32_t)sl_cell_int(res, row, col));
}

void sl_name_list_add(sl_name_list *names, const char *name)
{
    if (names->n++ < names->most)
        sl_buf_printf(&names->text, "%s%s", names->text.len ? ", " : "", name);
}

const char *sl_name_list_text(sl_name_list *names)
{
    if (names->n > names->most)
        sl_buf_printf(&names->text, " and %zu more", names->n - names->most);
    return sl_buf_str(&names->text);
}

void sl_name_list_free(sl_name_list *names)
{
    sl_buf_free(&names->text);
}

/* ---- checks of no server ---- */

sl_rc sl_check_passes(sl_check_context *c, sl_error *err)
{
    (void)c;
    (void)err;
    return SL_OK;
}

sl_rc sl_check_retry_time(sl_check_context *c, sl_error *err)
{
    (void)err;
    int minutes = c->run->spec->retry_minutes;
    if (minutes < 30)
        sl_report(c, "",
                  sl_say(c,
                         "The task fails when a server is away for more than %d minutes; the "
                         "restart of a large server may take longer.",
                         minutes),
                  "retry_minutes: 120");
    return SL_OK;
}

sl_rc sl_check_ignore_list(sl_check_context *c, sl_error *err)
{
    (void)err;
    const char *ids[64], *found[3];
    size_t n = 0;
    for (const sl_check *check = sl_checks; check->fn && n < 64; check++)
        ids[n++] = check->id;
    for (const char *const *entry = c->run->spec->precheck_ignore; entry && *entry; entry++) {
        char *id = sl_arena_strndup(&c->arena, *entry, strcspn(*entry, "@"));
        const sl_check *check = sl_check_find(id);
        if (check && check->severity != SL_IGNORABLE && check->severity != SL_WARNS)
            sl_report(c, id, sl_say(c, "%s cannot be ignored: the task would not run.", id),
                      sl_say(c, "Remove %s from precheck.ignore.", *entry));
        else if (!check)
            sl_report(c, id, sl_say(c, "There is no check %s.", id),
                      sl_nearest(id, ids, n, found)
                          ? sl_say(c, "precheck: { ignore: [%s] }", found[0])
                          : sl_say(c, "Remove %s from precheck.ignore.", *entry));
    }
    return SL_OK;
}

/* ---- running ---- */

/* What this task has already put into the destination: no conflict, whatever the mode. */
static sl_rc load_own(sl_check_context *c, sl_arena *arena, sl_error *err)
{
    SL_RESULT(res);
    const sl_spec *spec = c->run->spec;
    c->created = sl_map_new();
    if (sl_state_exists(spec->state_schema, c->destination, &c->state_exists, err) != SL_OK ||
        !c->state_exists)
        return err->code;
    sl_rc rc = sl_check_ask(
        c, c->destination, "the task's state",
        sl_sql(arena,
               "SELECT identity FROM %I.object WHERE task_id = %L AND kind = 'table'"
               " AND result = 'created'"
               " UNION SELECT schema_name || '.' || table_name FROM %I.tables WHERE task_id = %L"
               " AND (owned OR state <> 'waiting')",
               spec->state_schema, c->run->id, spec->state_schema, c->run->id),
        &res, err);
    if (rc == SL_FAILED && strcmp(err->sqlstate, "42501") == 0) {
        sl_error_clear(err); /* destination.state_schema says so */
        return SL_OK;
    }
    for (int i = 0; rc == SL_OK && i < PQntuples(res); i++) {
        const char *label = PQgetvalue(res, i, 0);
        sl_map_put(c->created, label, strlen(label), c);
    }
    return rc;
}

static sl_rc run_check(sl_check_context *c, const sl_check *check, sl_error *err)
{
    const sl_spec *spec = c->run->spec;
    if (check->stages && !(check->stages & spec->stages))
        return SL_OK;
    size_t before = c->out->n;
    sl_error failure = SL_ERROR_INIT;
    c->check = check;
    sl_rc rc = check->fn(c, &failure);
    if (rc == SL_TRANSIENT || rc == SL_CANCELLED) {
        if (err)
            *err = failure;
        return sl_while(err, "checking %s", check->id);
    }
    if (rc == SL_NOT_FOUND) { /* does not apply */
        sl_arena_reset(&c->arena);
        return SL_OK;
    }
    if (rc != SL_OK)
        sl_report(c, "", sl_say(c, "This could not be looked at: %s", failure.message),
                  failure.hint[0] ? failure.hint : NULL);
    if (c->out->n == before)
        report(c, SL_FINDING_PASSED, "", NULL, NULL);
    sl_arena_reset(&c->arena);
    return SL_OK;
}

sl_rc sl_precheck_run(sl_run *run, sl_pg *source, sl_pg *destination, sl_findings *out,
                      sl_error *err)
{
    sl_error unused = SL_ERROR_INIT;
    err = err ? err : &unused;
    SL_BUF(oids);
    SL_SCRATCH(scratch);
    sl_check_context c = { .run = run, .source = source, .destination = destination, .out = out };
    sl_array_start(&oids);
    for (size_t i = 0; i < run->routes->n; i++)
        sl_array_add_oid(&oids, run->routes->items[i].oid);
    sl_array_end(&oids);
    c.oids = oids.data;
    sl_rc rc = load_own(&c, &scratch, err);
    if (rc == SL_OK && run->spec->stages & SL_STAGE_INCREMENTAL)
        rc = sl_run_choose_plugin(run, source, err);
    for (const sl_check *check = sl_checks; check->fn && rc == SL_OK; check++)
        if (!out->only || strcmp(out->only, check->id) == 0)
            rc = run_check(&c, check, err);
    sl_map_free(c.created);
    sl_arena_free(&c.arena);
    return rc;
}

bool sl_precheck_knows(const char *check)
{
    return sl_check_find(check) != NULL;
}

void sl_precheck_unreachable(sl_side side, const sl_error *why, sl_findings *out)
{
    const char *id = side == SL_SOURCE ? "source.reachable" : "destination.reachable";
    for (const sl_check *check = sl_checks; check->fn; check++) {
        if (out->only && strcmp(out->only, check->id) != 0 && strcmp(id, check->id) != 0)
            continue;
        sl_finding *f = add_finding(out);
        bool failed = strcmp(check->id, id) == 0;
        f->check = check->id;
        f->title = check->title;
        f->side = check->side;
        f->object = "";
        f->result = failed ? SL_FINDING_FAILED : SL_FINDING_NOT_RUN;
        f->ignorable = false;
        f->cause = failed ? sl_arena_strdup(&out->arena, why->message)
                          : sl_arena_printf(&out->arena, "%s failed", id);
        f->remedy = failed && why->hint[0] ? sl_arena_strdup(&out->arena, why->hint) : NULL;
    }
}
