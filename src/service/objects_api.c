/* objects_api.c: adds and removes objects of a task that runs.
 *
 * The new specification is checked by a process of its own first, so that a bad addition does not
 * stop what runs. Then the task's process is replaced: its stream stands for as long as a restart
 * takes. New tables are copied beside the stream (task/added.c). */
#include <stdlib.h>
#include <string.h>

#include "service/http.h"

/* ---- the specification's objects ---- */

static json_t *find_schema(json_t *objects, const char *name, size_t *at)
{
    for (*at = 0; *at < json_array_size(objects); ++*at) {
        json_t *entry = json_array_get(objects, *at);
        const char *schema = json_string_value(json_object_get(entry, "schema"));
        if (schema && strcmp(schema, name) == 0)
            return entry;
    }
    return NULL;
}

static size_t find_table(const json_t *tables, const char *name)
{
    size_t i;
    json_t *entry;
    json_array_foreach((json_t *)tables, i, entry)
    {
        const char *table = json_string_value(json_object_get(entry, "table"));
        if (table && strcmp(table, name) == 0)
            break;
    }
    return i;
}

static bool is_excluding(const json_t *tables)
{
    size_t i;
    json_t *entry;
    json_array_foreach((json_t *)tables, i,
                       entry) if (!json_is_true(json_object_get(entry, "exclude"))) return false;
    return true;
}

/* False when answered. */
static bool add_entry(sl_request *r, json_t *objects, json_t *added, size_t number)
{
    size_t at, i;
    const char *path = sl_arena_printf(&r->arena, "/add/%zu", number);
    const char *name = json_string_value(json_object_get(added, "schema"));
    json_t *tables = json_object_get(added, "tables"), *table;
    if (!name || (tables && !json_is_array(tables))) {
        sl_problem_field(r, path, "is no entry of objects: {schema, tables}");
        return false;
    }
    json_t *there = find_schema(objects, name, &at);
    if (!there) {
        json_array_append(objects, added);
        return true;
    }
    json_t *known = json_object_get(there, "tables");
    if (!tables || !known) { /* the whole schema from now on, but for what says otherwise */
        if (!tables && known)
            json_array_append_new(known, json_pack("{s:s}", "table", "*"));
        return true;
    }
    json_array_foreach(tables, i, table)
    {
        const char *word = json_string_value(json_object_get(table, "table"));
        size_t before = word ? find_table(known, word) : json_array_size(known);
        if (before < json_array_size(known))
            json_array_remove(known, before); /* it may have been left out so far */
        json_array_append(known, table);
    }
    return true;
}

/* A pattern that only this name matches. */
static const char *literally(const char *name, sl_arena *arena)
{
    SL_BUF(pattern);
    for (; *name; name++)
        sl_buf_printf(&pattern, *name == '*' || *name == '?' ? "[%c]" : "%c", *name);
    return sl_arena_strdup(arena, sl_buf_str(&pattern));
}

static bool remove_table(json_t *objects, const char *word, const char *dot, sl_arena *arena)
{
    size_t at;
    json_t *there = find_schema(objects, sl_arena_strndup(arena, word, (size_t)(dot - word)), &at);
    json_t *tables = json_object_get(there, "tables");
    if (!there)
        return false;
    /* An entry's own words, patterns included, or a table's name. */
    bool own = tables && find_table(tables, dot + 1) < json_array_size(tables);
    const char *pattern = own ? dot + 1 : literally(dot + 1, arena);
    bool removed = tables && find_table(tables, pattern) < json_array_size(tables);
    if (removed)
        json_array_remove(tables, find_table(tables, pattern));
    if (tables && json_array_size(tables) == 0)
        return json_array_remove(objects, at) == 0;
    if (!tables)
        json_object_set_new(there, "tables", tables = json_array());
    /* Left out by name where a pattern, or the schema as a whole, would take it. */
    bool by_pattern = is_excluding(tables);
    for (size_t i = 0; i < json_array_size(tables); i++)
        by_pattern |=
            strpbrk(json_string_value(json_object_get(json_array_get(tables, i), "table")), "*?") !=
            NULL;
    if (by_pattern)
        json_array_append_new(tables, json_pack("{s:s, s:b}", "table", pattern, "exclude", 1));
    return removed || by_pattern;
}

static bool remove_entry(sl_request *r, json_t *objects, const json_t *word, size_t number)
{
    size_t at;
    const char *name = json_string_value(word), *dot = name ? strchr(name, '.') : NULL;
    bool removed = dot && remove_table(objects, name, dot, &r->arena);
    if (name && !dot && find_schema(objects, name, &at))
        removed = json_array_remove(objects, at) == 0;
    if (!removed)
        sl_problem_field(r, sl_arena_printf(&r->arena, "/remove/%zu", number),
                         "is no schema, or schema.table, of the task");
    return removed;
}

static bool change(sl_request *r, json_t *spec)
{
    size_t i;
    json_t *entry, *add = json_object_get(r->json, "add"),
                   *remove = json_object_get(r->json, "remove");
    json_t *objects = json_object_get(spec, "objects");
    if (json_array_size(add) + json_array_size(remove) == 0) {
        sl_problem(r, "invalid", NULL, "give add, remove or both, as lists");
        return false;
    }
    json_array_foreach(remove, i, entry) if (!remove_entry(r, objects, entry, i)) return false;
    json_array_foreach(add, i, entry) if (!add_entry(r, objects, entry, i)) return false;
    return true;
}

/* ---- the precheck of the new one ---- */

static void reply_findings(sl_request *r, const sl_buf *output)
{
    for (const char *line = sl_buf_str(output), *end; (end = strchr(line, '\n')); line = end + 1) {
        json_t *f = json_loadb(line, (size_t)(end - line), 0, NULL);
        const char *result = json_string_value(json_object_get(f, "result"));
        const char *object = json_string_value(json_object_get(f, "object"));
        const char *cause = json_string_value(json_object_get(f, "cause"));
        const char *remedy = json_string_value(json_object_get(f, "remedy"));
        if (result && strcmp(result, "failed") == 0 && !json_is_true(json_object_get(f, "ignored")))
            sl_problem(r, "invalid", remedy, "the precheck would fail: %s%s%s",
                       object ? object : "", object && object[0] ? ": " : "",
                       cause ? cause : "see the task's log");
        json_decref(f);
        if (r->answered)
            return;
    }
    sl_problem(r, "invalid", NULL, "the precheck would fail");
}

static bool precheck(sl_request *r, const char *text)
{
    static const char *const words[] = { "pgsluice", "check", "-", "--json", NULL };
    sl_error err = SL_ERROR_INIT;
    SL_BUF(output);
    int code = 0;
    sl_rc rc = sl_process_ask(r->s, words, text, 120, &output, &code, &err);
    if (rc != SL_OK)
        sl_problem_error(r, &err, rc, "invalid");
    else if (code != 0)
        reply_findings(r, &output);
    return rc == SL_OK && code == 0;
}

/* ---- taking it over ---- */

static bool may_change(const sl_task *task)
{
    static const char *const states[] = { "synchronizing", "retrying", "paused", "failed" };
    for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++)
        if (strcmp(task->state, states[i]) == 0)
            return task->started;
    return false;
}

static sl_rc store(sl_request *r, const sl_task_row *row, const json_t *spec, sl_error *err)
{
    const char *const kept[2] = { row->passwords[0], row->passwords[1] };
    SL_SERVICE_LOCKED(r->s);
    sl_task *task = sl_supervisor_find(r->s, row->id);
    if (!task)
        return SL_NOT_FOUND;
    if (!may_change(task)) {
        sl_fail(err, SL_USAGE, "the task is %s: its objects cannot be changed beside a stream",
                task->state);
        return sl_hint(err, "Edit its specification, or wait until it synchronizes.");
    }
    sl_rc rc = sl_task_replace_spec(r->s->catalog, row->id, row->spec_version, row->name, spec,
                                    kept, r->who.user, err);
    if (rc == SL_NOT_FOUND)
        return sl_fail(err, SL_USAGE, "somebody else has changed the specification meanwhile");
    if (rc == SL_OK)
        sl_supervisor_reload(r->s, task);
    return rc;
}

static void forget_tables(sl_request *r)
{
    size_t i;
    json_t *word;
    sl_error ignored = SL_ERROR_INIT;
    json_array_foreach(json_object_get(r->json, "remove"), i, word)
        sl_tables_forget(r->s->catalog, r->params[0], json_string_value(word), &ignored);
}

static void change_objects(sl_request *r)
{
    static const char *const keys[] = { "add", "remove", NULL };
    sl_task_row row;
    const char *passwords[2] = { NULL, NULL };
    sl_error err = SL_ERROR_INIT;
    if (!sl_body_only(r, keys))
        return;
    sl_rc rc = sl_task_read(r->s->catalog, r->params[0], &r->arena, &row, &err);
    if (rc == SL_OK)
        rc = sl_specs_open(r->s, &row, &r->arena, passwords, &err);
    json_t *spec = rc == SL_OK ? json_deep_copy(row.spec) : NULL;
    if (rc != SL_OK) {
        sl_problem_error(r, &err, rc, "invalid");
    } else if (change(r, spec)) {
        rc = sl_specs_check(spec, passwords, &err);
        char *text = rc == SL_OK ? sl_specs_text(spec, passwords) : NULL;
        bool good = text && precheck(r, text);
        sl_specs_wipe(text);
        if (rc != SL_OK) {
            sl_problem_error(r, &err, rc, "invalid");
        } else if (good && (rc = store(r, &row, spec, &err)) == SL_OK) {
            forget_tables(r);
            sl_reply_task(r, 202, row.id);
        } else if (good) {
            sl_problem_error(r, &err, rc, "wrong_state");
        }
    }
    for (int i = 0; i < 2; i++)
        if (passwords[i])
            explicit_bzero((char *)passwords[i], strlen(passwords[i]));
    json_decref(spec);
    sl_task_row_free(&row);
}

const sl_route_row sl_routes_objects[] = {
    { "PATCH", "/api/v1/tasks/*/objects", SL_ROLE_OPERATOR, SL_ROUTE_BODY, change_objects,
      "change_objects" },
    { NULL },
};
