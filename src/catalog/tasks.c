/* tasks.c: tasks, their specifications and states. */
#include <string.h>

#include "catalog/db.h"
#include "core/clock.h"

/* ---- reading ---- */

#define TASK_COLUMNS                                                                               \
    "t.id, t.name, t.state, t.reason, t.state_since AS \"t:state_since\","                         \
    " t.created_at AS \"t:created_at\", t.spec_version, t.started AS \"b:started\", t.desired,"    \
    " t.precheck AS \"j:precheck\", t.last_error AS \"j:last_error\", s.spec AS \"j:spec\""
#define TASK_TABLES " FROM task t JOIN spec s ON s.task = t.id AND s.version = t.spec_version "

static const char *text_in(sl_arena *arena, const json_t *row, const char *key)
{
    return sl_arena_strdup(arena, json_string_value(json_object_get(row, key)));
}

sl_rc sl_task_read(sl_catalog *c, const char *id, sl_arena *arena, sl_task_row *out, sl_error *err)
{
    json_t *row = NULL;
    *out = (sl_task_row){ 0 };
    sl_rc rc = sl_db_row(c, &row, err,
                         "SELECT " TASK_COLUMNS ", source_secret, destination_secret" TASK_TABLES
                         "WHERE t.id = ?",
                         "s", id);
    if (rc != SL_OK)
        return rc;
    *out = (sl_task_row){
        .id = text_in(arena, row, "id"),
        .name = text_in(arena, row, "name"),
        .state = text_in(arena, row, "state"),
        .reason = text_in(arena, row, "reason"),
        .desired = text_in(arena, row, "desired"),
        .started = json_is_true(json_object_get(row, "started")),
        .spec_version = json_integer_value(json_object_get(row, "spec_version")),
        .spec = json_incref(json_object_get(row, "spec")),
        .passwords = { text_in(arena, row, "source_secret"),
                       text_in(arena, row, "destination_secret") },
    };
    json_decref(row);
    return SL_OK;
}

void sl_task_row_free(sl_task_row *row)
{
    json_decref(row->spec);
    row->spec = NULL;
}

sl_rc sl_task_get(sl_catalog *c, const char *id, json_t **task, sl_error *err)
{
    return sl_db_row(c, task, err, "SELECT " TASK_COLUMNS TASK_TABLES "WHERE t.id = ?", "s", id);
}

sl_rc sl_task_list(sl_catalog *c, const char *states, const char *region, const char *text,
                   const sl_page *page, json_t **tasks, sl_error *err)
{
    SL_SCRATCH(tmp);
    json_t *rows;
    const char *after;
    if (sl_db_cursor(page, &tmp, &after, err) != SL_OK)
        return err->code;
    sl_rc rc =
        sl_db_rows(c, &rows, err,
                   "SELECT " TASK_COLUMNS ", t.name || char(1) || t.id AS sort" TASK_TABLES "WHERE"
                   " t.name || char(1) || t.id > ?1 AND " IN_WORDS(
                       "t.state", 2) " AND (?3 IS NULL OR"
                                     " json_extract(s.spec, '$.source.region') = ?3 OR"
                                     " json_extract(s.spec, '$.destination.region') = ?3) AND"
                                     " " HAS_TEXT("t.name || ' ' || t.id",
                                                  4) " ORDER BY sort LIMIT ?5",
                   "ssssi", after, states, region, text, (int64_t)page->limit + 1);
    *tasks = rc == SL_OK ? sl_db_page(rows, page, "sort") : NULL;
    return rc;
}

sl_rc sl_task_desires(sl_catalog *c, json_t **tasks, sl_error *err)
{
    return sl_db_rows(
        c, tasks, err,
        "SELECT id, desired, state, reason, started AS \"b:started\" FROM task ORDER BY id", "");
}

/* The servers of each task, two rows per task. */
#define SERVERS                                                                                    \
    "WITH side AS (SELECT t.id, t.desired, coalesce(s.spec ->> 'retry_minutes', 120) AS minutes,"  \
    " e.value AS endpoint" TASK_TABLES ", json_each(json_array(s.spec -> 'source', s.spec ->"      \
    " 'destination')) e), server AS MATERIALIZED (SELECT id, desired, minutes,"                    \
    " lower(coalesce(endpoint ->> 'host', '')) || '|' || coalesce(endpoint ->> 'port', 5432) ||"   \
    " '|' || coalesce(endpoint ->> 'socket', '') || '|' || coalesce(endpoint -> 'ssh' ->> 'host'," \
    " '') AS name FROM side) "

sl_rc sl_task_least_retry(sl_catalog *c, const char *id, int64_t *minutes, sl_error *err)
{
    json_t *row = NULL;
    sl_rc rc = sl_db_row(c, &row, err,
                         SERVERS "SELECT min(minutes) AS minutes FROM server WHERE id = ?1 OR"
                                 " (desired = 'run' AND name IN (SELECT name FROM server WHERE id ="
                                 " ?1))",
                         "s", id);
    *minutes = json_integer_value(json_object_get(row, "minutes"));
    json_decref(row);
    return rc;
}

sl_rc sl_task_least_retries(sl_catalog *c, json_t **rows, sl_error *err)
{
    return sl_db_rows(c, rows, err,
                      SERVERS ", least AS MATERIALIZED (SELECT name, min(minutes) AS minutes FROM"
                              " server WHERE desired = 'run' GROUP BY name) SELECT s.id,"
                              " min(l.minutes) AS minutes FROM server s JOIN least l USING (name)"
                              " WHERE s.desired = 'run' GROUP BY s.id",
                      "");
}

sl_rc sl_task_spec_history(sl_catalog *c, const char *id, const sl_page *page, json_t **versions,
                           sl_error *err)
{
    json_t *rows;
    int64_t before;
    if (sl_db_cursor_number(page, &before, err) != SL_OK)
        return err->code;
    sl_rc rc = sl_db_rows(c, &rows, err,
                          "SELECT version, time AS \"t:time\", actor FROM spec WHERE task = ? AND"
                          " version < ? ORDER BY version DESC LIMIT ?",
                          "sii", id, before, (int64_t)page->limit + 1);
    *versions = rc == SL_OK ? sl_db_page(rows, page, "version") : NULL;
    return rc;
}

sl_rc sl_task_spec_version(sl_catalog *c, const char *id, int64_t version, json_t **spec,
                           sl_error *err)
{
    json_t *row = NULL;
    sl_rc rc = sl_db_row(c, &row, err,
                         "SELECT spec AS \"j:spec\" FROM spec WHERE task = ? AND version = ?", "si",
                         id, version);
    *spec = rc == SL_OK ? json_incref(json_object_get(row, "spec")) : NULL;
    json_decref(row);
    return rc;
}

/* ---- writing ---- */

static sl_rc insert_spec(sl_catalog *c, const char *id, int64_t version, const json_t *spec,
                         const char *actor, sl_error *err)
{
    return sl_db_run(c, NULL, err,
                     "INSERT INTO spec (task, version, spec, time, actor) VALUES (?, ?, ?, ?, ?)",
                     "sijis", id, version, spec, sl_now_us(), actor);
}

sl_rc sl_task_create(sl_catalog *c, const char *id, const char *name, const json_t *spec,
                     const char *const sealed[2], const char *actor, sl_error *err)
{
    SL_DB_LOCKED(c);
    sl_rc rc = sl_db_begin(c, err);
    if (rc == SL_OK)
        rc = sl_db_run(c, NULL, err,
                       "INSERT INTO task (id, name, state, state_since, created_at, desired,"
                       " spec_version, source_secret, destination_secret) VALUES (?, ?, 'draft', ?,"
                       " ?, 'none', 1, ?, ?)",
                       "ssiiss", id, name, sl_now_us(), sl_now_us(), sealed[0], sealed[1]);
    if (rc == SL_OK)
        rc = insert_spec(c, id, 1, spec, actor, err);
    return sl_db_end(c, rc, err);
}

sl_rc sl_task_replace_spec(sl_catalog *c, const char *id, int64_t version, const char *name,
                           const json_t *spec, const char *const sealed[2], const char *actor,
                           sl_error *err)
{
    SL_DB_LOCKED(c);
    int changed = 0;
    sl_rc rc = sl_db_begin(c, err);
    if (rc == SL_OK)
        rc = sl_db_run(c, &changed, err,
                       "UPDATE task SET name = ?, spec_version = spec_version + 1, source_secret ="
                       " ?, destination_secret = ? WHERE id = ? AND spec_version = ?",
                       "ssssi", name, sealed[0], sealed[1], id, version);
    if (rc == SL_OK && changed == 0)
        rc = SL_NOT_FOUND;
    if (rc == SL_OK)
        rc = insert_spec(c, id, version + 1, spec, actor, err);
    return sl_db_end(c, rc, err);
}

static sl_rc one_changed(sl_rc rc, int changed)
{
    return rc == SL_OK && changed == 0 ? SL_NOT_FOUND : rc;
}

sl_rc sl_task_set_passwords(sl_catalog *c, const char *id, const char *const sealed[2],
                            sl_error *err)
{
    int changed = 0;
    sl_rc rc = sl_db_run(c, &changed, err,
                         "UPDATE task SET source_secret = coalesce(?, source_secret),"
                         " destination_secret = coalesce(?, destination_secret) WHERE id = ?",
                         "sss", sealed[0], sealed[1], id);
    return one_changed(rc, changed);
}

sl_rc sl_task_delete(sl_catalog *c, const char *id, sl_error *err)
{
    int changed = 0;
    sl_rc rc = sl_db_run(c, &changed, err, "DELETE FROM task WHERE id = ?", "s", id);
    return one_changed(rc, changed);
}

sl_rc sl_task_store_state(sl_catalog *c, const char *id, const char *state, const char *reason,
                          const char *desired, sl_error *err)
{
    int changed = 0;
    sl_rc rc = sl_db_run(c, &changed, err,
                         "UPDATE task SET state_since = CASE WHEN state = ?1 THEN state_since ELSE"
                         " ?2 END, state = ?1, reason = ?3, desired = coalesce(?4, desired) WHERE"
                         " id = ?5",
                         "sisss", state, sl_now_us(), reason, desired, id);
    return one_changed(rc, changed);
}

sl_rc sl_task_set_started(sl_catalog *c, const char *id, bool started, sl_error *err)
{
    return sl_db_run(c, NULL, err, "UPDATE task SET started = ? WHERE id = ?", "is",
                     (int64_t)started, id);
}

sl_rc sl_task_set_error(sl_catalog *c, const char *id, const json_t *error, sl_error *err)
{
    return sl_db_run(c, NULL, err, "UPDATE task SET last_error = ? WHERE id = ?", "js", error, id);
}
