/* migrate.c: the catalog's tables, version by version. PRAGMA user_version says how far a file is;
 * each step runs in one transaction. A step that was released is never changed. */
#include "catalog/db.h"

static const char *const steps[] = {
    "CREATE TABLE setting (name TEXT PRIMARY KEY, value ANY NOT NULL) STRICT;"

    "CREATE TABLE task (id TEXT PRIMARY KEY, name TEXT NOT NULL, state TEXT NOT NULL, reason TEXT,"
    " state_since INTEGER NOT NULL, created_at INTEGER NOT NULL, desired TEXT NOT NULL,"
    " started INTEGER NOT NULL DEFAULT 0, spec_version INTEGER NOT NULL, source_secret TEXT,"
    " destination_secret TEXT, precheck TEXT, last_error TEXT) STRICT;"
    "CREATE INDEX task_name ON task (name, id);"

    "CREATE TABLE spec (task TEXT NOT NULL REFERENCES task ON DELETE CASCADE,"
    " version INTEGER NOT NULL, spec TEXT NOT NULL, time INTEGER NOT NULL, actor TEXT NOT NULL,"
    " PRIMARY KEY (task, version)) STRICT;"

    "CREATE TABLE finding (task TEXT NOT NULL REFERENCES task ON DELETE CASCADE,"
    " number INTEGER NOT NULL, finding TEXT NOT NULL, PRIMARY KEY (task, number)) STRICT;"

    "CREATE TABLE event (id INTEGER PRIMARY KEY AUTOINCREMENT, time INTEGER NOT NULL,"
    " task TEXT NOT NULL REFERENCES task ON DELETE CASCADE, event TEXT NOT NULL,"
    " fields TEXT NOT NULL) STRICT;"
    "CREATE INDEX event_task ON event (task, id);"

    "CREATE TABLE table_progress (task TEXT NOT NULL REFERENCES task ON DELETE CASCADE,"
    " name TEXT NOT NULL, state TEXT NOT NULL, progress TEXT NOT NULL,"
    " PRIMARY KEY (task, name)) STRICT;"

    "CREATE TABLE metric (task TEXT NOT NULL REFERENCES task ON DELETE CASCADE,"
    " time INTEGER NOT NULL, lag_seconds REAL, lag_bytes INTEGER, wal_held_bytes INTEGER,"
    " rows_copied INTEGER, bytes_copied INTEGER, transactions INTEGER, inserts INTEGER,"
    " updates INTEGER, deletes INTEGER, conflicts INTEGER, PRIMARY KEY (task, time)) STRICT,"
    " WITHOUT ROWID;"

    "CREATE TABLE user (name TEXT PRIMARY KEY, hash TEXT NOT NULL, role TEXT NOT NULL,"
    " disabled INTEGER NOT NULL DEFAULT 0, created_at INTEGER NOT NULL, last_login_at INTEGER)"
    " STRICT;"
    "CREATE TABLE token (id TEXT PRIMARY KEY, hash TEXT NOT NULL UNIQUE, name TEXT NOT NULL,"
    " user TEXT NOT NULL REFERENCES user ON DELETE CASCADE, role TEXT NOT NULL,"
    " created_at INTEGER NOT NULL, expires_at INTEGER, last_used_at INTEGER) STRICT;"
    "CREATE TABLE session (hash TEXT PRIMARY KEY, user TEXT NOT NULL REFERENCES user ON DELETE"
    " CASCADE, expires_at INTEGER NOT NULL) STRICT;"
    "CREATE TABLE audit (id INTEGER PRIMARY KEY AUTOINCREMENT, time INTEGER NOT NULL,"
    " actor TEXT NOT NULL, address TEXT NOT NULL, action TEXT NOT NULL, object TEXT, detail TEXT)"
    " STRICT;"

    "CREATE TABLE connection (id TEXT PRIMARY KEY, name TEXT NOT NULL, endpoint TEXT NOT NULL,"
    " secret TEXT, created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL) STRICT;"
    "CREATE TABLE draft (id TEXT PRIMARY KEY, user TEXT NOT NULL REFERENCES user ON DELETE CASCADE,"
    " name TEXT NOT NULL, version INTEGER NOT NULL, updated_at INTEGER NOT NULL,"
    " content TEXT NOT NULL) STRICT;"
    "CREATE TABLE answer (user TEXT NOT NULL, key TEXT NOT NULL, request TEXT NOT NULL,"
    " status INTEGER NOT NULL, body TEXT NOT NULL, time INTEGER NOT NULL, PRIMARY KEY (user, key))"
    " STRICT;",
    /* 2: alerts; usage and billing */
    "CREATE TABLE contact (id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, kind TEXT NOT NULL,"
    " settings TEXT NOT NULL, secret TEXT, created_at INTEGER NOT NULL) STRICT;"
    "CREATE TABLE alert_rule (id TEXT PRIMARY KEY, rule TEXT NOT NULL, created_at INTEGER NOT NULL)"
    " STRICT;"
    "CREATE TABLE alert (rule TEXT NOT NULL, task TEXT NOT NULL REFERENCES task ON DELETE CASCADE,"
    " kind TEXT NOT NULL, since INTEGER NOT NULL, notified_at INTEGER, value REAL NOT NULL,"
    " PRIMARY KEY (rule, task)) STRICT;"
    "CREATE TABLE delivery (id INTEGER PRIMARY KEY AUTOINCREMENT, time INTEGER NOT NULL,"
    " contact TEXT NOT NULL, contact_name TEXT NOT NULL, rule TEXT, task TEXT,"
    " event TEXT NOT NULL, message TEXT NOT NULL, state TEXT NOT NULL,"
    " attempts INTEGER NOT NULL DEFAULT 0, next_at INTEGER, result TEXT) STRICT;"
    "CREATE INDEX delivery_waiting ON delivery (next_at) WHERE state = 'waiting';"
    "CREATE INDEX delivery_task ON delivery (task, id);"

    "CREATE TABLE price_list (id INTEGER PRIMARY KEY AUTOINCREMENT, time INTEGER NOT NULL,"
    " actor TEXT NOT NULL, prices TEXT NOT NULL) STRICT;"
    /* No reference to task: what was used stays when the task is deleted. */
    "CREATE TABLE usage (task TEXT NOT NULL, day INTEGER NOT NULL, class TEXT NOT NULL,"
    " billing TEXT NOT NULL, price_list INTEGER NOT NULL, name TEXT NOT NULL,"
    " running_us INTEGER NOT NULL DEFAULT 0, retrying_us INTEGER NOT NULL DEFAULT 0,"
    " rows INTEGER NOT NULL DEFAULT 0, bytes INTEGER NOT NULL DEFAULT 0,"
    " PRIMARY KEY (task, day, class, billing, price_list)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE charge (id INTEGER PRIMARY KEY AUTOINCREMENT, task TEXT NOT NULL,"
    " name TEXT NOT NULL, time INTEGER NOT NULL, class TEXT NOT NULL, months INTEGER NOT NULL,"
    " currency TEXT, amount REAL) STRICT;"
    "CREATE TABLE meter (task TEXT PRIMARY KEY REFERENCES task ON DELETE CASCADE,"
    " series TEXT NOT NULL, rows INTEGER NOT NULL, bytes INTEGER NOT NULL) STRICT;"
    "CREATE TABLE billing (task TEXT PRIMARY KEY REFERENCES task ON DELETE CASCADE,"
    " kind TEXT NOT NULL, months INTEGER, started_at INTEGER, ends_at INTEGER,"
    " accepted_terms TEXT) STRICT;"
    "CREATE TABLE acceptance (id INTEGER PRIMARY KEY AUTOINCREMENT, time INTEGER NOT NULL,"
    " actor TEXT NOT NULL, task TEXT NOT NULL, terms TEXT NOT NULL) STRICT;",
};
#define N_STEPS ((int)(sizeof(steps) / sizeof(steps[0])))

static sl_rc version_of(sl_catalog *c, int *version, sl_error *err)
{
    json_t *row = NULL;
    sl_rc rc = sl_db_row(c, &row, err, "PRAGMA user_version", "");
    *version = (int)json_integer_value(json_object_get(row, "user_version"));
    json_decref(row);
    return rc;
}

sl_rc sl_db_migrate(sl_catalog *c, sl_error *err)
{
    SL_SCRATCH(tmp);
    int version;
    sl_rc rc = version_of(c, &version, err);
    if (rc == SL_OK && version > N_STEPS) {
        sl_fail(err, SL_FAILED, "the catalog has version %d, this program knows %d", version,
                N_STEPS);
        return sl_hint(err, "Use the pgsluice that made it or a newer one.");
    }
    for (; rc == SL_OK && version < N_STEPS; version++) {
        rc = sl_db_begin(c, err);
        if (rc == SL_OK)
            rc = sl_db_exec(c, steps[version], err);
        if (rc == SL_OK)
            rc = sl_db_exec(c, sl_arena_printf(&tmp, "PRAGMA user_version = %d", version + 1), err);
        rc = sl_db_end(c, rc, err);
    }
    return rc;
}
