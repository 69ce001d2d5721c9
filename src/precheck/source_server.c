/* source_server.c: checks of the source server: versions, settings, slots, sessions. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "precheck/internal.h"

/* The value of a setting, NULL when the server does not have it. */
static sl_rc setting(sl_check_context *c, const char *name, char **value, sl_error *err)
{
    SL_SCRATCH(tmp);
    *value = NULL;
    sl_rc rc = sl_pg_value(c->source,
                           sl_sql(&tmp, "SELECT setting FROM pg_settings WHERE name = %L", name),
                           &c->arena, value, err);
    return rc == SL_NOT_FOUND ? SL_OK : rc;
}

sl_rc sl_check_source_version(sl_check_context *c, sl_error *err)
{
    (void)err;
    const sl_server *s = &c->run->source;
    if (s->version < SL_PG_OLDEST)
        sl_report(c, "",
                  sl_say(c, "The source is PostgreSQL %s; changes can be decoded only from 9.4 on.",
                         s->version_text),
                  "Upgrade the source to PostgreSQL 9.4 or later.");
    else if (s->version > SL_PG_NEWEST)
        sl_report_warning(c, "",
                          sl_say(c,
                                 "The source is PostgreSQL %s, newer than the versions that this "
                                 "pgsluice was tested with (9.4 to 18).",
                                 s->version_text),
                          "Look for a newer pgsluice.");
    return SL_OK;
}

/* Minors from which on the known bugs that lose rows are fixed: weak-lock DDL, slots that start in
 * mid transaction, WAL removed too early (release notes of August 2025). Older branches: their
 * last. */
static const struct {
    int from, good;
} good_minors[] = {
    { 90400, 90426 },   { 90500, 90525 },   { 90600, 90624 },   { 100000, 100023 },
    { 110000, 110022 }, { 120000, 120022 }, { 130000, 130022 }, { 140000, 140019 },
    { 150000, 150014 }, { 160000, 160010 }, { 170000, 170006 },
};

static void check_minor(sl_check_context *c, const sl_server *s, const char *side)
{
    for (size_t i = 0; i < sizeof(good_minors) / sizeof(good_minors[0]); i++) {
        char good[16];
        if (s->version < good_minors[i].from || s->version >= good_minors[i].good ||
            (s->version >= SL_PG_10 && s->version / 10000 != good_minors[i].from / 10000))
            continue;
        sl_version_text(good_minors[i].good, good);
        sl_report(c, "",
                  sl_say(c,
                         "The %s is PostgreSQL %s; minor versions before %s have bugs that can "
                         "lose rows in logical decoding.",
                         side, s->version_text, good),
                  sl_say(c,
                         "Install PostgreSQL %s or a later minor version of the same branch and "
                         "restart the server.",
                         good));
    }
}

sl_rc sl_check_source_minor(sl_check_context *c, sl_error *err)
{
    (void)err;
    check_minor(c, &c->run->source, "source");
    return SL_OK;
}

sl_rc sl_check_destination_minor(sl_check_context *c, sl_error *err)
{
    (void)err;
    check_minor(c, &c->run->destination, "destination");
    return SL_OK;
}

sl_rc sl_check_source_primary(sl_check_context *c, sl_error *err)
{
    SL_RESULT(res);
    if (sl_check_ask(c, c->source, "the recovery state", "SELECT pg_is_in_recovery()", &res, err) !=
        SL_OK)
        return err->code;
    if (sl_cell_bool(res, 0, 0))
        sl_report(
            c, "", "The source is a standby; a task reads from the primary.",
            "source: { target_session_attrs: read-write }   # with the primary among the hosts");
    return SL_OK;
}

sl_rc sl_check_integer_datetimes(sl_check_context *c, sl_error *err)
{
    (void)err;
    const sl_server *s = &c->run->source, *d = &c->run->destination;
    if (s->integer_datetimes != d->integer_datetimes)
        sl_report(c, "",
                  sl_say(c,
                         "integer_datetimes is %s on the source and %s on the destination: the "
                         "binary forms of times differ.",
                         s->integer_datetimes ? "on" : "off", d->integer_datetimes ? "on" : "off"),
                  "Use a server that was built with integer datetimes (the default since 8.4).");
    return SL_OK;
}

sl_rc sl_check_wal_level(sl_check_context *c, sl_error *err)
{
    char *level;
    if (setting(c, "wal_level", &level, err) != SL_OK)
        return err->code;
    if (level && strcmp(level, "logical") != 0)
        sl_report(c, "",
                  sl_say(c,
                         "wal_level is %s on the source; changes can be decoded only from logical. "
                         "The change needs a restart of the server.",
                         level),
                  "ALTER SYSTEM SET wal_level = logical;");
    return SL_OK;
}

/* ---- slots ---- */

static void report_lost_slot(sl_check_context *c, const char *why)
{
    sl_report(c, c->run->slot,
              sl_say(c,
                     "The task's slot %s is invalidated (%s): the server has removed changes that "
                     "the destination does not have.",
                     c->run->slot, why),
              sl_say(c, "pgsluice release %s   # then run it again, from the beginning",
                     c->run->spec->file));
}

/* Slots that nobody uses, as a way to free one. */
static const char *idle_slots(sl_check_context *c, const PGresult *res)
{
    SL_BUF(sql);
    for (int i = 0; i < PQntuples(res); i++)
        if (!sl_cell_bool(res, i, 1) && strcmp(PQgetvalue(res, i, 0), c->run->slot) != 0)
            sl_sql_add(&sql,
                       "\n-- or, when nobody needs it any more: SELECT "
                       "pg_drop_replication_slot(%L);",
                       PQgetvalue(res, i, 0));
    return sl_arena_strdup(&c->arena, sl_buf_str(&sql));
}

sl_rc sl_check_slot(sl_check_context *c, sl_error *err)
{
    SL_RESULT(res);
    char *limit;
    if (setting(c, "max_replication_slots", &limit, err) != SL_OK ||
        sl_check_ask(c, c->source, "the slots",
                     sl_sql(&c->arena,
                            "SELECT slot_name, active, %s FROM pg_replication_slots"
                            " ORDER BY 1",
                            c->source->version >= SL_PG_13 ? "wal_status" : "NULL"),
                     &res, err) != SL_OK)
        return err->code;
    int used = PQntuples(res), max = limit ? atoi(limit) : 0;
    bool ours = false;
    for (int i = 0; i < used; i++) {
        if (strcmp(PQgetvalue(res, i, 0), c->run->slot) != 0)
            continue;
        const char *status = sl_cell(res, i, 2);
        ours = true;
        if (status && strcmp(status, "lost") == 0)
            report_lost_slot(c, status);
    }
    if (!ours && used >= max)
        sl_report(c, "",
                  sl_say(c,
                         "All %d replication slots of the source are taken "
                         "(max_replication_slots); the task needs one. The change needs a restart "
                         "of the server.",
                         max),
                  sl_say(c, "ALTER SYSTEM SET max_replication_slots = %d;%s",
                         max < 5 ? 10 : max + 5, idle_slots(c, res)));
    return SL_OK;
}

sl_rc sl_check_wal_senders(sl_check_context *c, sl_error *err)
{
    SL_RESULT(res);
    char *limit;
    /* Senders of this task go when its new worker comes. */
    if (setting(c, "max_wal_senders", &limit, err) != SL_OK ||
        sl_check_ask(c, c->source, "the WAL senders",
                     sl_sql(&c->arena,
                            "SELECT count(*) FROM pg_stat_replication"
                            " WHERE coalesce(application_name, '') !~ %L",
                            sl_say(c, "^pgsluice/%s(/|$)", c->run->id)),
                     &res, err) != SL_OK)
        return err->code;
    int used = (int)sl_cell_int(res, 0, 0), max = limit ? atoi(limit) : 0;
    if (used >= max)
        sl_report(c, "",
                  sl_say(c,
                         "All %d WAL senders of the source are busy (max_wal_senders); the task "
                         "needs one, and a second one during the copy. The change needs a restart "
                         "of the server.",
                         max),
                  sl_say(c, "ALTER SYSTEM SET max_wal_senders = %d;", max < 5 ? 10 : max + 5));
    else if (used + 1 >= max)
        sl_report_warning(c, "",
                          sl_say(c,
                                 "Only one of %d WAL senders is free; the copy takes a second one "
                                 "when a table is rewritten meanwhile.",
                                 max),
                          sl_say(c, "ALTER SYSTEM SET max_wal_senders = %d;", max + 5));
    return SL_OK;
}

/* ---- the right to replicate ---- */

/* The one test that tells the truth about pg_hba.conf, roles and managed services: connect. */
sl_rc sl_check_replication(sl_check_context *c, sl_error *err)
{
    SL_PG(walsender);
    sl_error failure = SL_ERROR_INIT;
    sl_rc rc = sl_run_connect(c->run, SL_SOURCE, "replication check", SL_CONNECT_REPLICATION,
                              &walsender, &failure);
    if (rc == SL_OK)
        return SL_OK;
    if (rc == SL_CANCELLED)
        return sl_fail(err, rc, "%s", failure.message);
    const char *user = c->run->source.user;
    if (strcmp(failure.sqlstate, "42501") == 0 ||
        strstr(failure.message, "superuser or replication role"))
        sl_report(c, "",
                  sl_say(c, "The role %s may not replicate: it lacks the attribute REPLICATION.",
                         user),
                  sl_sql(&c->arena, "ALTER ROLE %I REPLICATION;", user));
    else if (strcmp(failure.sqlstate, "53300") == 0)
        sl_report(c, "", failure.message, "ALTER SYSTEM SET max_wal_senders = 10;");
    else
        sl_report(c, "", failure.message, failure.hint[0] ? failure.hint : NULL);
    return SL_OK;
}

/* It was chosen when the precheck began, see sl_run_choose_plugin. */
sl_rc sl_check_decoder(sl_check_context *c, sl_error *err)
{
    (void)err;
    const sl_plugin_choice *choice = &c->run->plugin;
    if (!choice->usable)
        sl_report(c, "", choice->why, choice->remedy);
    else if (choice->why[0])
        sl_report_warning(c, "",
                          sl_say(c, "Changes are read with %s. %s", choice->plugin->library,
                                 choice->why),
                          choice->remedy);
    return SL_OK;
}

/* ---- what may happen later ---- */

sl_rc sl_check_wal_limit(sl_check_context *c, sl_error *err)
{
    char *keep, *idle;
    if (setting(c, "max_slot_wal_keep_size", &keep, err) != SL_OK ||
        setting(c, "idle_replication_slot_timeout", &idle, err) != SL_OK)
        return err->code;
    if (keep && strcmp(keep, "-1") != 0)
        sl_report(
            c, "max_slot_wal_keep_size",
            sl_say(c,
                   "max_slot_wal_keep_size is %s MB on the source: when the task falls behind "
                   "by more (paused, or the destination is down), its slot is lost and it has "
                   "to start over.",
                   keep),
            "ALTER SYSTEM SET max_slot_wal_keep_size = -1; SELECT pg_reload_conf();");
    if (idle && strcmp(idle, "0") != 0)
        sl_report(c, "idle_replication_slot_timeout",
                  sl_say(c,
                         "idle_replication_slot_timeout is %s s on the source: a slot that nobody "
                         "reads for that long is lost, and the task has to start over.",
                         idle),
                  "ALTER SYSTEM SET idle_replication_slot_timeout = 0; SELECT pg_reload_conf();");
    return SL_OK;
}

#define OLD_SECONDS 60

static sl_rc report_sessions(sl_check_context *c, sl_error *err)
{
    SL_RESULT(res);
    if (sl_check_ask(
            c, c->source, "the sessions",
            sl_sql(&c->arena,
                   "SELECT pid, extract(epoch FROM now() - xact_start)::int8, usename,"
                   " coalesce(application_name, '') FROM pg_stat_activity"
                   " WHERE backend_xid IS NOT NULL AND pid <> pg_backend_pid()"
                   " AND xact_start < now() - interval '%d s' ORDER BY xact_start LIMIT 20",
                   OLD_SECONDS),
            &res, err) != SL_OK)
        return err->code;
    for (int i = 0; i < PQntuples(res); i++)
        sl_report(
            c, sl_say(c, "pid %s", PQgetvalue(res, i, 0)),
            sl_say(c,
                   "The session %s of %s (%s) has had a transaction open for %s s; the slot's "
                   "creation waits for its end.",
                   PQgetvalue(res, i, 0), PQgetvalue(res, i, 2), PQgetvalue(res, i, 3),
                   PQgetvalue(res, i, 1)),
            sl_say(c, "SELECT pg_terminate_backend(%s);", PQgetvalue(res, i, 0)));
    return SL_OK;
}

sl_rc sl_check_long_transactions(sl_check_context *c, sl_error *err)
{
    SL_RESULT(slot);
    SL_RESULT(res);
    if (sl_check_ask(c, c->source, "the slots",
                     sl_sql(&c->arena, "SELECT 1 FROM pg_replication_slots WHERE slot_name = %L",
                            c->run->slot),
                     &slot, err) != SL_OK)
        return err->code;
    if (PQntuples(slot) > 0)
        return SL_OK; /* it is made already */
    if (report_sessions(c, err) != SL_OK ||
        sl_check_ask(c, c->source, "the prepared transactions",
                     "SELECT gid, extract(epoch FROM now() - prepared)::int8, owner"
                     " FROM pg_prepared_xacts WHERE database = current_database()"
                     " ORDER BY prepared LIMIT 20",
                     &res, err) != SL_OK)
        return err->code;
    for (int i = 0; i < PQntuples(res); i++)
        sl_report(c, sl_say(c, "prepared %s", PQgetvalue(res, i, 0)),
                  sl_say(c,
                         "The transaction %s of %s was prepared %s s ago and is neither committed "
                         "nor rolled back; the slot's creation waits for that.",
                         PQgetvalue(res, i, 0), PQgetvalue(res, i, 2), PQgetvalue(res, i, 1)),
                  sl_sql(&c->arena, "ROLLBACK PREPARED %L;   -- or COMMIT PREPARED %L;",
                         PQgetvalue(res, i, 0), PQgetvalue(res, i, 0)));
    return SL_OK;
}

/* CREATE PUBLICATION locks every table it names, in one transaction. */
sl_rc sl_check_locks(sl_check_context *c, sl_error *err)
{
    SL_RESULT(res);
    if (sl_check_ask(c, c->source, "the size of the lock table",
                     "SELECT current_setting('max_locks_per_transaction')::int8,"
                     " current_setting('max_connections')::int8"
                     " + current_setting('max_prepared_transactions')::int8",
                     &res, err) != SL_OK)
        return err->code;
    int64_t per = sl_cell_int(res, 0, 0), sessions = sl_cell_int(res, 0, 1);
    int64_t tables = (int64_t)c->run->routes->n;
    if (tables > per * sessions * 7 / 10)
        sl_report(c, "",
                  sl_say(c,
                         "%lld tables are selected, and the source's lock table holds about %lld "
                         "locks (max_locks_per_transaction). The change needs a restart of the "
                         "server.",
                         (long long)tables, (long long)(per * sessions)),
                  sl_say(c, "ALTER SYSTEM SET max_locks_per_transaction = %lld;",
                         (long long)(2 * tables / (sessions ? sessions : 1) + 64)));
    return SL_OK;
}
