/* alerts.c: whom to tell (contacts), when (rules), what is on (alerts), and what was sent
 * (deliveries). */
#include <string.h>

#include "catalog/db.h"
#include "core/clock.h"

static sl_rc one_changed(sl_rc rc, int changed)
{
    return rc == SL_OK && changed == 0 ? SL_NOT_FOUND : rc;
}

/* ---- contacts ---- */

/* The members of the row's `inner` object move to the row itself. */
static void flatten(json_t *row, const char *inner)
{
    json_t *object = json_incref(json_object_get(row, inner));
    json_object_del(row, inner);
    json_object_update_missing(row, object);
    json_decref(object);
}

/* {"items": rows}, flattened; sql takes no parameters. */
static sl_rc list(sl_catalog *c, json_t **items, const char *inner, const char *sql, sl_error *err)
{
    json_t *rows, *row;
    size_t i;
    sl_rc rc = sl_db_rows(c, &rows, err, sql, "");
    if (rc != SL_OK)
        return rc;
    json_array_foreach(rows, i, row) flatten(row, inner);
    *items = json_pack("{s:o}", "items", rows);
    return SL_OK;
}

#define CONTACT_COLUMNS                                                                            \
    "id, name, kind, settings AS \"j:settings\", secret IS NOT NULL AS \"b:has_secret\""

sl_rc sl_contact_store(sl_catalog *c, const char *id, const char *name, const char *kind,
                       const json_t *settings, const char *sealed, sl_error *err)
{
    SL_DB_LOCKED(c);
    json_t *other = NULL;
    sl_rc rc = sl_db_row(c, &other, err, "SELECT 1 AS one FROM contact WHERE name = ? AND id <> ?",
                         "ss", name, id);
    json_decref(other);
    if (rc == SL_OK)
        return sl_fail(err, SL_USAGE, "there is a contact named %.200s already", name);
    if (rc != SL_NOT_FOUND)
        return rc;
    return sl_db_run(c, NULL, err,
                     "INSERT INTO contact (id, name, kind, settings, secret, created_at) VALUES"
                     " (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (id) DO UPDATE SET name = ?2, kind ="
                     " ?3, settings = ?4, secret = ?5",
                     "sssjsi", id, name, kind, settings, sealed, sl_now_us());
}

sl_rc sl_contact_get(sl_catalog *c, const char *id, sl_arena *arena, json_t **contact,
                     char **sealed, sl_error *err)
{
    sl_rc rc = sl_db_row(c, contact, err,
                         "SELECT " CONTACT_COLUMNS ", secret FROM contact WHERE id = ?1 OR name ="
                         " ?1 ORDER BY id <> ?1 LIMIT 1",
                         "s", id);
    if (rc != SL_OK)
        return rc;
    if (sealed)
        *sealed = sl_arena_strdup(arena, json_string_value(json_object_get(*contact, "secret")));
    json_object_del(*contact, "secret");
    flatten(*contact, "settings");
    return SL_OK;
}

sl_rc sl_contact_list(sl_catalog *c, json_t **contacts, sl_error *err)
{
    return list(c, contacts, "settings",
                "SELECT " CONTACT_COLUMNS " FROM contact ORDER BY name LIMIT 1000", err);
}

sl_rc sl_contact_delete(sl_catalog *c, const char *id, sl_error *err)
{
    SL_DB_LOCKED(c);
    int changed = 0;
    json_t *rule = NULL;
    sl_rc rc = sl_db_row(c, &rule, err,
                         "SELECT r.rule ->> 'name' AS name FROM alert_rule r,"
                         " json_each(r.rule -> 'contacts') e JOIN contact c ON c.id = ?1 AND"
                         " e.value IN (c.id, c.name) LIMIT 1",
                         "s", id);
    if (rc == SL_OK) {
        sl_fail(err, SL_USAGE, "the rule %.200s tells this contact",
                json_string_value(json_object_get(rule, "name")));
        sl_hint(err, "Take the contact out of the rule first.");
    }
    json_decref(rule);
    if (rc != SL_NOT_FOUND)
        return rc == SL_OK ? err->code : rc;
    rc = sl_db_run(c, NULL, err,
                   "UPDATE delivery SET state = 'failed', next_at = NULL, result = 'the contact was"
                   " deleted' WHERE contact = ? AND state = 'waiting'",
                   "s", id);
    if (rc == SL_OK)
        rc = sl_db_run(c, &changed, err, "DELETE FROM contact WHERE id = ?", "s", id);
    return one_changed(rc, changed);
}

/* ---- rules ---- */

sl_rc sl_rule_store(sl_catalog *c, const char *id, const json_t *rule, sl_error *err)
{
    return sl_db_run(c, NULL, err,
                     "INSERT INTO alert_rule (id, rule, created_at) VALUES (?1, ?2, ?3) ON CONFLICT"
                     " (id) DO UPDATE SET rule = ?2",
                     "sji", id, rule, sl_now_us());
}

sl_rc sl_rule_get(sl_catalog *c, const char *id, json_t **rule, sl_error *err)
{
    sl_rc rc = sl_db_row(c, rule, err, "SELECT id, rule AS \"j:rule\" FROM alert_rule WHERE id = ?",
                         "s", id);
    if (rc == SL_OK)
        flatten(*rule, "rule");
    return rc;
}

sl_rc sl_rule_list(sl_catalog *c, json_t **rules, sl_error *err)
{
    return list(c, rules, "rule",
                "SELECT id, rule AS \"j:rule\" FROM alert_rule ORDER BY rule ->> 'name', id LIMIT"
                " 1000",
                err);
}

sl_rc sl_rule_delete(sl_catalog *c, const char *id, sl_error *err)
{
    SL_DB_LOCKED(c);
    int changed = 0;
    sl_rc rc = sl_db_run(c, NULL, err, "DELETE FROM alert WHERE rule = ?", "s", id);
    if (rc == SL_OK)
        rc = sl_db_run(c, &changed, err, "DELETE FROM alert_rule WHERE id = ?", "s", id);
    return one_changed(rc, changed);
}

sl_rc sl_rule_of_tasks(sl_catalog *c, json_t **rules, sl_error *err)
{
    json_t *rows, *row;
    size_t i;
    sl_rc rc = sl_db_rows(c, &rows, err,
                          "SELECT t.id, s.spec -> 'alerts' AS \"j:alerts\" FROM task t JOIN spec s"
                          " ON s.task = t.id AND s.version = t.spec_version WHERE s.spec ->"
                          " 'alerts' IS NOT NULL",
                          "");
    if (rc != SL_OK)
        return rc;
    *rules = json_object();
    json_array_foreach(rows, i, row)
        json_object_set(*rules, json_string_value(json_object_get(row, "id")),
                        json_object_get(row, "alerts"));
    json_decref(rows);
    return SL_OK;
}

/* ---- alerts that are on ---- */

sl_rc sl_alert_list(sl_catalog *c, json_t **alerts, sl_error *err)
{
    return sl_db_rows(c, alerts, err,
                      "SELECT rule, task, kind, since AS since_us, notified_at AS notified_us,"
                      " value FROM alert ORDER BY since, task, rule",
                      "");
}

sl_rc sl_alert_store(sl_catalog *c, const char *rule, const char *task, const char *kind, bool on,
                     int64_t since_us, int64_t notified_us, double value, const json_t *messages,
                     sl_error *err)
{
    SL_DB_LOCKED(c);
    json_t *m;
    size_t i;
    sl_rc rc = sl_db_begin(c, err);
    if (rc == SL_OK && on)
        rc = sl_db_run(c, NULL, err,
                       "INSERT OR REPLACE INTO alert (rule, task, kind, since, notified_at, value)"
                       " VALUES (?, ?, ?, ?, nullif(?, 0), ?)",
                       "sssiid", rule, task, kind, since_us, notified_us, value);
    else if (rc == SL_OK)
        rc = sl_db_run(c, NULL, err, "DELETE FROM alert WHERE rule = ? AND task = ?", "ss", rule,
                       task);
    json_array_foreach(messages, i, m)
    {
        if (rc == SL_OK)
            rc = sl_delivery_create(c, json_string_value(json_object_get(m, "contact")),
                                    json_string_value(json_object_get(m, "contact_name")), rule,
                                    task, json_string_value(json_object_get(m, "event")),
                                    json_object_get(m, "message"), 0, NULL, err);
    }
    return sl_db_end(c, rc, err);
}

/* ---- deliveries ---- */

#define DELIVERY_COLUMNS                                                                           \
    "id, time AS \"t:time\", contact, contact_name, rule, task, event, message ->> 'subject' AS"   \
    " subject, message ->> 'text' AS text, state, attempts, next_at AS \"t:next_attempt_at\","     \
    " result"

sl_rc sl_delivery_create(sl_catalog *c, const char *contact, const char *contact_name,
                         const char *rule, const char *task, const char *event,
                         const json_t *message, int64_t next_us, int64_t *id, sl_error *err)
{
    SL_DB_LOCKED(c);
    sl_rc rc = sl_db_run(c, NULL, err,
                         "INSERT INTO delivery (time, contact, contact_name, rule, task, event,"
                         " message, state, next_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 'waiting',"
                         " ?8)",
                         "isssssji", sl_now_us(), contact, contact_name, rule, task, event, message,
                         next_us ? next_us : sl_now_us());
    if (id)
        *id = sqlite3_last_insert_rowid(c->db);
    return rc;
}

sl_rc sl_delivery_due(sl_catalog *c, int limit, json_t **due, sl_error *err)
{
    return sl_db_rows(c, due, err,
                      "SELECT id, contact, attempts, message AS \"j:message\" FROM delivery WHERE"
                      " state = 'waiting' AND next_at <= ? ORDER BY next_at, id LIMIT ?",
                      "ii", sl_now_us(), (int64_t)limit);
}

sl_rc sl_delivery_result(sl_catalog *c, int64_t id, const char *state, int attempts,
                         int64_t next_us, const char *result, sl_error *err)
{
    int changed = 0;
    sl_rc rc = sl_db_run(c, &changed, err,
                         "UPDATE delivery SET state = ?, attempts = ?, next_at = nullif(?, 0),"
                         " result = ? WHERE id = ?",
                         "siisi", state, (int64_t)attempts, next_us, result, id);
    return one_changed(rc, changed);
}

sl_rc sl_delivery_message(sl_catalog *c, int64_t id, json_t **message, sl_error *err)
{
    json_t *row = NULL;
    sl_rc rc = sl_db_row(c, &row, err, "SELECT message AS \"j:message\" FROM delivery WHERE id = ?",
                         "i", id);
    *message = json_incref(json_object_get(row, "message"));
    json_decref(row);
    return rc;
}

sl_rc sl_delivery_get(sl_catalog *c, int64_t id, json_t **delivery, sl_error *err)
{
    return sl_db_row(c, delivery, err, "SELECT " DELIVERY_COLUMNS " FROM delivery WHERE id = ?",
                     "i", id);
}

sl_rc sl_delivery_list(sl_catalog *c, const char *task, const char *contact, const sl_page *page,
                       json_t **deliveries, sl_error *err)
{
    json_t *rows;
    int64_t before;
    if (sl_db_cursor_number(page, &before, err) != SL_OK)
        return err->code;
    sl_rc rc = sl_db_rows(c, &rows, err,
                          "SELECT " DELIVERY_COLUMNS " FROM delivery WHERE id < ?1 AND (?2 IS NULL"
                          " OR task = ?2) AND (?3 IS NULL OR contact = ?3 OR contact_name = ?3)"
                          " ORDER BY id DESC LIMIT ?4",
                          "issi", before, task, contact, (int64_t)page->limit + 1);
    *deliveries = rc == SL_OK ? sl_db_page(rows, page, "id") : NULL;
    return rc;
}
