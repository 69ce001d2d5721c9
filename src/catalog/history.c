/* history.c: findings, events, tables' progress, metrics; and what is thrown away with time. */
#include <string.h>

#include "catalog/db.h"
#include "core/clock.h"

/* ---- findings ---- */

sl_rc sl_findings_store(sl_catalog *c, const char *task, const json_t *findings,
                        const json_t *summary, sl_error *err)
{
    SL_DB_LOCKED(c);
    size_t i;
    json_t *finding;
    sl_rc rc = sl_db_begin(c, err);
    if (rc == SL_OK)
        rc = sl_db_run(c, NULL, err, "DELETE FROM finding WHERE task = ?", "s", task);
    json_array_foreach(findings, i, finding)
    {
        if (rc == SL_OK)
            rc = sl_db_run(c, NULL, err, "INSERT INTO finding VALUES (?, ?, ?)", "sij", task,
                           (int64_t)i, finding);
    }
    if (rc == SL_OK)
        rc = sl_db_run(c, NULL, err, "UPDATE task SET precheck = ? WHERE id = ?", "js", summary,
                       task);
    return sl_db_end(c, rc, err);
}

sl_rc sl_findings_read(sl_catalog *c, const char *task, json_t **findings, sl_error *err)
{
    json_t *rows = NULL, *row = NULL;
    SL_DB_LOCKED(c);
    sl_rc rc = sl_db_row(c, &row, err, "SELECT precheck AS \"j:precheck\" FROM task WHERE id = ?",
                         "s", task);
    if (rc == SL_OK)
        rc = sl_db_rows(
            c, &rows, err,
            "SELECT finding AS \"j:finding\" FROM finding WHERE task = ? ORDER BY number", "s",
            task);
    *findings = NULL;
    if (rc == SL_OK) {
        size_t i;
        json_t *one, *items = json_array();
        json_array_foreach(rows, i, one) json_array_append(items, json_object_get(one, "finding"));
        *findings =
            json_pack("{s:O, s:o}", "summary", json_object_get(row, "precheck"), "items", items);
    }
    json_decref(rows);
    json_decref(row);
    return rc;
}

/* ---- events ---- */

#define EVENT_COLUMNS "id, time AS \"t:time\", task, event, fields AS \"j:fields\""

sl_rc sl_event_store(sl_catalog *c, const char *task, int64_t time_us, const char *event,
                     const json_t *fields, int64_t *id, sl_error *err)
{
    SL_DB_LOCKED(c);
    sl_rc rc =
        sl_db_run(c, NULL, err, "INSERT INTO event (time, task, event, fields) VALUES (?, ?, ?, ?)",
                  "issj", time_us, task, event, fields);
    *id = rc == SL_OK ? sqlite3_last_insert_rowid(c->db) : 0;
    return rc;
}

sl_rc sl_event_list(sl_catalog *c, const char *task, const char *events, const sl_page *page,
                    json_t **found, sl_error *err)
{
    json_t *rows;
    int64_t before;
    if (sl_db_cursor_number(page, &before, err) != SL_OK)
        return err->code;
    sl_rc rc =
        sl_db_rows(c, &rows, err,
                   "SELECT " EVENT_COLUMNS " FROM event WHERE id < ?1 AND (?2 IS NULL OR task"
                   " = ?2) AND " IN_WORDS("event", 3) " ORDER BY id DESC LIMIT ?4",
                   "issi", before, task, events, (int64_t)page->limit + 1);
    *found = rc == SL_OK ? sl_db_page(rows, page, "id") : NULL;
    return rc;
}

sl_rc sl_event_after(sl_catalog *c, const char *task, int64_t id, int limit, json_t **found,
                     sl_error *err)
{
    return sl_db_rows(c, found, err,
                      "SELECT " EVENT_COLUMNS " FROM event WHERE id > ?1 AND (?2 IS NULL OR task ="
                      " ?2) ORDER BY id LIMIT ?3",
                      "isi", id, task, (int64_t)limit);
}

int64_t sl_event_last_id(sl_catalog *c)
{
    json_t *row = NULL;
    sl_db_row(c, &row, NULL, "SELECT coalesce(max(id), 0) AS id FROM event", "");
    int64_t id = json_integer_value(json_object_get(row, "id"));
    json_decref(row);
    return id;
}

/* ---- tables ---- */

sl_rc sl_tables_store(sl_catalog *c, const char *task, const json_t *tables, sl_error *err)
{
    SL_DB_LOCKED(c);
    size_t i;
    json_t *table;
    sl_rc rc = sl_db_begin(c, err);
    json_array_foreach(tables, i, table)
    {
        const char *name = json_string_value(json_object_get(table, "table"));
        const char *state = json_string_value(json_object_get(table, "state"));
        if (rc == SL_OK && name)
            rc =
                sl_db_run(c, NULL, err,
                          "INSERT INTO table_progress (task, name, state, progress) VALUES (?1, ?2,"
                          " coalesce(?3, 'waiting'), ?4) ON CONFLICT (task, name) DO UPDATE SET"
                          " state = coalesce(?3, state), progress = json_patch(progress, ?4)",
                          "sssj", task, name, state, table);
    }
    return sl_db_end(c, rc, err);
}

sl_rc sl_tables_forget(sl_catalog *c, const char *task, const char *name, sl_error *err)
{
    return sl_db_run(
        c, NULL, err,
        "DELETE FROM table_progress WHERE task = ?1 AND (?2 IS NULL OR name = ?2 OR substr(name, 1,"
        " length(?2) + 1) = ?2 || '.')",
        "ss", task, name);
}

static json_t *table_row(const json_t *row)
{
    static const struct {
        const char *key;
        int standard;
    } numbers[] = { { "rows", 0 },    { "rows_total", -1 }, { "bytes", 0 },   { "bytes_total", 0 },
                    { "parts", 0 },   { "parts_done", 0 },  { "inserts", 0 }, { "updates", 0 },
                    { "deletes", 0 }, { "conflicts", 0 } };
    const json_t *progress = json_object_get(row, "progress");
    json_t *reason = json_object_get(progress, "reason");
    json_t *out = json_pack("{s:O, s:O, s:O}", "table", json_object_get(row, "name"), "state",
                            json_object_get(row, "state"), "reason", reason ? reason : json_null());
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        json_t *value = json_object_get(progress, numbers[i].key);
        if (json_is_integer(value))
            json_object_set(out, numbers[i].key, value);
        else
            json_object_set_new(out, numbers[i].key, json_integer(numbers[i].standard));
    }
    return out;
}

sl_rc sl_tables_list(sl_catalog *c, const char *task, const char *states, const char *text,
                     const sl_page *page, json_t **tables, sl_error *err)
{
    SL_SCRATCH(tmp);
    SL_DB_LOCKED(c);
    json_t *rows, *counts = NULL, *items = json_array(), *row;
    const char *after;
    size_t i;
    sl_rc rc = sl_db_cursor(page, &tmp, &after, err);
    if (rc == SL_OK)
        rc =
            sl_db_rows(c, &rows, err,
                       "SELECT name, state, progress AS \"j:progress\" FROM table_progress WHERE"
                       " task = ?1 AND name > ?2 AND " IN_WORDS(
                           "state", 3) " AND (?4 IS NULL OR"
                                       " instr(lower(name), lower(?4)) > 0) ORDER BY name LIMIT ?5",
                       "ssssi", task, after, states, text, (int64_t)page->limit + 1);
    if (rc == SL_OK)
        rc = sl_db_row(c, &counts, err,
                       "SELECT json_group_object(state, n) AS \"j:states\" FROM (SELECT state,"
                       " count(*) AS n FROM table_progress WHERE task = ? GROUP BY state)",
                       "s", task);
    if (rc != SL_OK) {
        json_decref(items);
        return rc;
    }
    json_array_foreach(rows, i, row) json_array_append_new(items, table_row(row));
    json_decref(rows);
    *tables = sl_db_page(items, page, "table");
    json_object_set(*tables, "states", json_object_get(counts, "states"));
    json_decref(counts);
    return SL_OK;
}

/* ---- metrics ---- */

/* Names of the series; gauges first. A counter is the difference to the point before. */
static const char *const series[] = { "lag_seconds", "lag_bytes",    "wal_held_bytes",
                                      "rows_copied", "bytes_copied", "transactions",
                                      "inserts",     "updates",      "deletes",
                                      "conflicts" };
#define N_SERIES (sizeof(series) / sizeof(series[0]))

sl_rc sl_metric_store(sl_catalog *c, const char *task, int64_t time_s, const json_t *values,
                      sl_error *err)
{
    return sl_db_run(c, NULL, err,
                     "INSERT OR REPLACE INTO metric SELECT ?1, ?2, value ->> 'lag_seconds',"
                     " value ->> 'lag_bytes', value ->> 'wal_held_bytes', value ->> 'rows_copied',"
                     " value ->> 'bytes_copied', value ->> 'transactions', value ->> 'inserts',"
                     " value ->> 'updates', value ->> 'deletes', value ->> 'conflicts' FROM"
                     " (SELECT ?3 AS value)",
                     "sij", task, time_s, values);
}

sl_rc sl_metric_store_all(sl_catalog *c, int64_t time_s, const json_t *points, sl_error *err)
{
    SL_DB_LOCKED(c);
    size_t i;
    json_t *point;
    sl_rc rc = sl_db_begin(c, err);
    json_array_foreach((json_t *)points, i, point)
    {
        const char *task = json_string_value(json_object_get(point, "task"));
        if (rc == SL_OK)
            rc = sl_metric_store(c, task, time_s, json_object_get(point, "values"), err);
    }
    return sl_db_end(c, rc, err);
}

sl_rc sl_metric_series(sl_catalog *c, const char *task, int64_t from_s, int64_t to_s, int64_t step,
                       json_t **out, sl_error *err)
{
    json_t *rows, *row, *times = json_array(), *all = json_object();
    char from[32], to[32];
    size_t i;
    sl_rc rc = sl_db_rows(c, &rows, err,
                          "SELECT time / ?4 * ?4 AS at, max(lag_seconds) AS lag_seconds,"
                          " max(lag_bytes) AS lag_bytes, max(nullif(wal_held_bytes, -1)) AS"
                          " wal_held_bytes, sum(rows_copied) AS rows_copied, sum(bytes_copied) AS"
                          " bytes_copied, sum(transactions) AS transactions, sum(inserts) AS"
                          " inserts, sum(updates) AS updates, sum(deletes) AS deletes,"
                          " sum(conflicts) AS conflicts FROM metric WHERE task = ?1 AND time >= ?2"
                          " AND time < ?3 GROUP BY at ORDER BY at",
                          "siii", task, from_s, to_s, step);
    for (size_t s = 0; s < N_SERIES; s++)
        json_object_set_new(all, series[s], json_array());
    json_array_foreach(rc == SL_OK ? rows : NULL, i, row)
    {
        json_array_append(times, json_object_get(row, "at"));
        for (size_t s = 0; s < N_SERIES; s++)
            json_array_append(json_object_get(all, series[s]), json_object_get(row, series[s]));
    }
    json_decref(rows);
    *out = json_pack("{s:s, s:s, s:I, s:o, s:o}", "from", sl_time_text(from_s * 1000000, from),
                     "to", sl_time_text(to_s * 1000000, to), "step", (json_int_t)step, "times",
                     times, "series", all);
    return rc;
}

/* ---- age ---- */

#define DAY_US INT64_C(86400000000)
#define EVENTS_KEPT 10000 /* of each task */

static sl_rc thin_metrics(sl_catalog *c, sl_error *err)
{
    int64_t day_ago = (sl_now_us() - DAY_US) / 1000000 / 600 * 600;
    return sl_db_run(
        c, NULL, err,
        "INSERT OR REPLACE INTO metric SELECT task, time / 600 * 600, max(lag_seconds),"
        " max(lag_bytes), max(wal_held_bytes), sum(rows_copied), sum(bytes_copied),"
        " sum(transactions), sum(inserts), sum(updates), sum(deletes), sum(conflicts) FROM metric"
        " WHERE time < ?1 GROUP BY task, time / 600 HAVING count(*) > 1",
        "i", day_ago);
}

sl_rc sl_catalog_prune(sl_catalog *c, sl_error *err)
{
    SL_DB_LOCKED(c);
    int64_t now = sl_now_us();
    sl_rc rc = sl_db_begin(c, err);
    if (rc == SL_OK)
        rc = sl_db_run(c, NULL, err, "DELETE FROM session WHERE expires_at < ?", "i", now);
    if (rc == SL_OK)
        rc = sl_db_run(c, NULL, err, "DELETE FROM answer WHERE time < ?", "i", now - DAY_US);
    if (rc == SL_OK)
        rc = sl_db_run(c, NULL, err, "DELETE FROM delivery WHERE time < ?", "i", now - 90 * DAY_US);
    if (rc == SL_OK)
        rc = thin_metrics(c, err);
    if (rc == SL_OK)
        rc =
            sl_db_run(c, NULL, err,
                      "DELETE FROM metric WHERE time < ?1 OR (time < ?2 AND time % 600 <> 0)", "ii",
                      (now - sl_setting_number(c, "metrics_days", SL_METRICS_DAYS) * DAY_US) /
                          1000000,
                      (now - DAY_US) / 1000000 / 600 * 600);
    if (rc == SL_OK)
        rc =
            sl_db_run(c, NULL, err,
                      "WITH bound AS MATERIALIZED (SELECT t.id AS task, (SELECT e.id FROM event e"
                      " WHERE e.task = t.id ORDER BY e.id DESC LIMIT 1 OFFSET ?) AS id FROM task t)"
                      " DELETE FROM event WHERE id IN (SELECT e.id FROM bound b JOIN event e ON"
                      " e.task = b.task AND e.id <= b.id)",
                      "i", (int64_t)EVENTS_KEPT);
    return sl_db_end(c, rc, err);
}
