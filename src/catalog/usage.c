/* usage.c: what tasks used, by day, and what it costs.
 *
 * A row of `usage` belongs to one day, class, kind of billing and price list, so that a later
 * change of any of them changes nothing of what was metered before. Amounts are worked out when a
 * report is made. */
#include <string.h>

#include "catalog/db.h"
#include "core/clock.h"

/* ---- metering ---- */

/* What of the worker's counters is new: they grow within a series (docs/events.md), may be told
 * again, and may be lower after a destination lost its last commits, which are then applied again.
 */
static sl_rc take_counters(sl_catalog *c, const sl_usage *u, int64_t *rows, int64_t *bytes,
                           sl_error *err)
{
    json_t *meter = NULL;
    *rows = *bytes = 0;
    if (!u->series)
        return SL_OK;
    sl_rc rc = sl_db_row(c, &meter, err, "SELECT series, rows, bytes FROM meter WHERE task = ?",
                         "s", u->task);
    if (rc != SL_OK && rc != SL_NOT_FOUND)
        return rc;
    const char *series = json_string_value(json_object_get(meter, "series"));
    bool same = series && strcmp(series, u->series) == 0;
    int64_t old_rows = same ? json_integer_value(json_object_get(meter, "rows")) : 0;
    int64_t old_bytes = same ? json_integer_value(json_object_get(meter, "bytes")) : 0;
    json_decref(meter);
    *rows = u->rows > old_rows ? u->rows - old_rows : 0;
    *bytes = u->bytes > old_bytes ? u->bytes - old_bytes : 0;
    if (same && *rows == 0 && *bytes == 0)
        return SL_OK;
    return sl_db_run(c, NULL, err,
                     "INSERT OR REPLACE INTO meter (task, series, rows, bytes) VALUES"
                     " (?, ?, ?, ?)",
                     "ssii", u->task, u->series, old_rows + *rows, old_bytes + *bytes);
}

static sl_rc add(sl_catalog *c, const sl_usage *u, sl_error *err)
{
    int64_t rows, bytes;
    sl_rc rc = take_counters(c, u, &rows, &bytes, err);
    if (rc != SL_OK || (rows == 0 && bytes == 0 && u->running_us == 0 && u->retrying_us == 0))
        return rc;
    return sl_db_run(c, NULL, err,
                     "INSERT INTO usage (task, day, class, billing, price_list, name, running_us,"
                     " retrying_us, rows, bytes) VALUES (?1, ?2, ?3, ?4, (SELECT"
                     " coalesce(max(id), 0) FROM price_list), ?5, ?6, ?7, ?8, ?9) ON CONFLICT DO"
                     " UPDATE SET name = ?5, running_us = running_us + ?6, retrying_us ="
                     " retrying_us + ?7, rows = rows + ?8, bytes = bytes + ?9",
                     "sisssiiii", u->task, u->day, u->class, u->billing, u->name, u->running_us,
                     u->retrying_us, rows, bytes);
}

sl_rc sl_usage_add(sl_catalog *c, const sl_usage *usage, size_t n, sl_error *err)
{
    SL_DB_LOCKED(c);
    sl_rc rc = sl_db_begin(c, err);
    for (size_t i = 0; i < n && rc == SL_OK; i++)
        rc = add(c, &usage[i], err);
    return sl_db_end(c, rc, err);
}

/* ---- the report ---- */

/* Times are priced by the hour of their class; a subscription's use is in its price. A class
 * without a price makes the amount unknown (NULL), not nothing. */
#define AMOUNT                                                                                     \
    "CASE WHEN u.billing = 'subscription' THEN 0.0 ELSE ((u.running_us + u.retrying_us) / 3.6e9 *" \
    " (p.prices ->> ('$.hour.\"' || u.class || '\"')) + u.rows / 1e6 * coalesce(p.prices ->>"      \
    " 'million_rows', 0) + u.bytes / 1073741824.0 * coalesce(p.prices ->> 'gibibyte', 0)) END"

sl_rc sl_usage_report(sl_catalog *c, int64_t from_day, int64_t to_day, const char *task,
                      json_t **report, sl_error *err)
{
    json_t *rows = NULL, *prices = NULL;
    SL_DB_LOCKED(c);
    sl_rc rc = sl_prices_get(c, &prices, err);
    if (rc == SL_OK)
        rc = sl_db_rows(
            c, &rows, err,
            "WITH used AS (SELECT u.task, u.name, strftime('%Y-%m', u.day * 86400, 'unixepoch') AS"
            " month, u.class, u.billing, u.running_us, u.retrying_us, u.rows, u.bytes, " AMOUNT
            " AS amount, u.day AS at FROM usage u LEFT JOIN price_list p ON p.id = u.price_list"
            " WHERE u.day >= ?1 AND u.day < ?2 AND (?3 IS NULL OR u.task = ?3) UNION ALL SELECT"
            " task, name, strftime('%Y-%m', time / 1000000, 'unixepoch'), class, 'subscription', 0,"
            " 0, 0, 0, amount, time / 86400000000 FROM charge WHERE time / 86400000000 >= ?1 AND"
            " time / 86400000000 < ?2 AND (?3 IS NULL OR task = ?3)) SELECT task, max(name) AS "
            "name,"
            " month, class, billing, round(sum(running_us + retrying_us) / 3.6e9, 6) AS hours,"
            " round(sum(retrying_us) / 3.6e9, 6) AS retrying_hours, sum(rows) AS rows, sum(bytes)"
            " AS bytes, CASE WHEN count(amount) = count(*) THEN round(sum(amount), 6) END AS price"
            " FROM used GROUP BY task, month, class, billing ORDER BY month, name, task, class,"
            " billing",
            "iis", from_day, to_day, task);
    if (rc == SL_OK)
        *report =
            json_pack("{s:O, s:o}", "currency", json_object_get(prices, "currency"), "items", rows);
    json_decref(prices);
    return rc;
}

/* ---- prices and terms ---- */

sl_rc sl_prices_get(sl_catalog *c, json_t **prices, sl_error *err)
{
    json_t *row = NULL;
    sl_rc rc =
        sl_db_row(c, &row, err,
                  "SELECT prices AS \"j:prices\" FROM price_list ORDER BY id DESC LIMIT 1", "");
    if (rc == SL_OK)
        *prices = json_incref(json_object_get(row, "prices"));
    else if (rc == SL_NOT_FOUND)
        *prices = json_pack("{s:s, s:{}, s:{}}", "currency", "EUR", "hour", "month");
    json_decref(row);
    return rc == SL_NOT_FOUND ? SL_OK : rc;
}

sl_rc sl_prices_store(sl_catalog *c, const json_t *prices, const char *actor, sl_error *err)
{
    return sl_db_run(c, NULL, err, "INSERT INTO price_list (time, actor, prices) VALUES (?, ?, ?)",
                     "isj", sl_now_us(), actor, prices);
}

sl_rc sl_terms_get(sl_catalog *c, json_t **terms, sl_error *err)
{
    json_t *row = NULL;
    sl_rc rc = sl_db_row(c, &row, err,
                         "SELECT value AS \"j:terms\" FROM setting WHERE name = 'terms'", "");
    if (rc == SL_OK)
        *terms = json_incref(json_object_get(row, "terms"));
    else if (rc == SL_NOT_FOUND)
        *terms = json_pack("{s:n, s:s}", "version", "text", "");
    json_decref(row);
    return rc == SL_NOT_FOUND ? SL_OK : rc;
}

sl_rc sl_terms_store(sl_catalog *c, const json_t *terms, sl_error *err)
{
    return sl_db_run(c, NULL, err,
                     "INSERT INTO setting (name, value) VALUES ('terms', ?1) ON CONFLICT (name) DO"
                     " UPDATE SET value = ?1",
                     "j", terms);
}

/* ---- terms of a task ---- */

sl_rc sl_billing_get(sl_catalog *c, const char *task, json_t **billing, sl_error *err)
{
    return sl_db_row(c, billing, err,
                     "SELECT coalesce(b.kind, 'pay_as_you_go') AS kind, b.months, b.ends_at AS"
                     " \"t:ends_at\", b.accepted_terms FROM task t LEFT JOIN billing b ON b.task ="
                     " t.id WHERE t.id = ?",
                     "s", task);
}

sl_rc sl_billing_terms(sl_catalog *c, json_t **terms, sl_error *err)
{
    return sl_db_rows(
        c, terms, err,
        "SELECT t.id AS task, t.name, coalesce(s.spec ->> 'class', 'unlimited') AS"
        " class, coalesce(b.kind, 'pay_as_you_go') AS billing, b.ends_at AS ends_us"
        " FROM task t JOIN spec s ON s.task = t.id AND s.version = t.spec_version LEFT"
        " JOIN billing b ON b.task = t.id",
        "");
}

sl_rc sl_billing_ends(sl_catalog *c, json_t **ends, sl_error *err)
{
    return sl_db_rows(c, ends, err,
                      "SELECT task, ends_at AS ends_us FROM billing WHERE kind = 'subscription'",
                      "");
}

sl_rc sl_billing_store(sl_catalog *c, const char *task, const char *kind, int64_t months,
                       int64_t ends_us, const char *class, const char *terms, const char *actor,
                       sl_error *err)
{
    SL_DB_LOCKED(c);
    sl_rc rc = sl_db_begin(c, err);
    if (rc == SL_OK)
        rc = sl_db_run(c, NULL, err,
                       "INSERT OR REPLACE INTO billing (task, kind, months, started_at, ends_at,"
                       " accepted_terms) VALUES (?, ?, nullif(?, 0), ?, nullif(?, 0), ?)",
                       "ssiiis", task, kind, months, sl_now_us(), ends_us, terms);
    if (rc == SL_OK && months > 0)
        rc = sl_db_run(c, NULL, err,
                       "INSERT INTO charge (task, name, time, class, months, currency, amount)"
                       " SELECT t.id, t.name, ?2, ?3, ?4, p.prices ->> 'currency', ?4 * (p.prices"
                       " ->> ('$.month.\"' || ?3 || '\"')) FROM task t LEFT JOIN price_list p ON"
                       " p.id = (SELECT max(id) FROM price_list) WHERE t.id = ?1",
                       "sisi", task, sl_now_us(), class, months);
    if (rc == SL_OK && terms)
        rc = sl_db_run(c, NULL, err,
                       "INSERT INTO acceptance (time, actor, task, terms) VALUES (?, ?, ?, ?)",
                       "isss", sl_now_us(), actor, task, terms);
    return sl_db_end(c, rc, err);
}
