/* destination_server.c: checks of the destination server and database. */
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>

#include "precheck/internal.h"

/* Major versions, to be compared: 9.4, 9.5 and 9.6 are some too. */
static int major(int version)
{
    return version >= SL_PG_10 ? version / 10000 * 10000 : version / 100 * 100;
}

sl_rc sl_check_destination_version(sl_check_context *c, sl_error *err)
{
    (void)err;
    const sl_server *s = &c->run->source, *d = &c->run->destination;
    if (d->version < SL_PG_OLDEST)
        sl_report(c, "",
                  sl_say(c,
                         "The destination is PostgreSQL %s; 9.4 is the oldest that is "
                         "supported.",
                         d->version_text),
                  "Use a destination of PostgreSQL 9.4 or later.");
    else if (major(d->version) < major(s->version))
        sl_report_warning(
            c, "",
            sl_say(c,
                   "The destination (PostgreSQL %s) is older than the source (%s): what "
                   "it does not know is left out or refused.",
                   d->version_text, s->version_text),
            s->version >= SL_PG_10
                ? sl_say(c, "Use a destination of PostgreSQL %d or later.", s->version / 10000)
                : sl_say(c, "Use a destination of PostgreSQL 9.%d or later.",
                         s->version / 100 % 100));
    else if (d->version > SL_PG_NEWEST)
        sl_report_warning(
            c, "",
            sl_say(c,
                   "The destination is PostgreSQL %s, newer than the versions that this "
                   "pgsluice was tested with (9.4 to 18).",
                   d->version_text),
            "Look for a newer pgsluice.");
    return SL_OK;
}

sl_rc sl_check_destination_writable(sl_check_context *c, sl_error *err)
{
    SL_RESULT(res);
    if (sl_check_ask(c, c->destination, "the recovery state",
                     "SELECT pg_is_in_recovery(), current_setting('transaction_read_only') = 'on'",
                     &res, err) != SL_OK)
        return err->code;
    if (sl_cell_bool(res, 0, 0))
        sl_report(
            c, "", "The destination is a standby, which takes no writes.",
            "destination: { target_session_attrs: read-write }   # with the primary among the "
            "hosts");
    else if (sl_cell_bool(res, 0, 1))
        sl_report(c, "",
                  "The destination's transactions are read-only, although the session asked for "
                  "the opposite.",
                  sl_sql(&c->arena, "ALTER DATABASE %I RESET default_transaction_read_only;",
                         c->run->destination.database));
    return SL_OK;
}

sl_rc sl_check_not_the_source(sl_check_context *c, sl_error *err)
{
    (void)err;
    const sl_server *s = &c->run->source, *d = &c->run->destination;
    if (s->system_id[0] && strcmp(s->system_id, d->system_id) == 0 &&
        strcmp(s->database, d->database) == 0)
        sl_report(c, "",
                  sl_say(c, "Source and destination are the same database, %s.", s->database),
                  "Correct host, port or database of one of them.");
    return SL_OK;
}

/* ---- the state schema ---- */

static sl_rc check_state_tables(sl_check_context *c, sl_error *err)
{
    SL_RESULT(res);
    const char *schema = c->run->spec->state_schema, *user = c->run->destination.user;
    if (sl_check_ask(c, c->destination, "the state schema",
                     sl_sql(&c->arena,
                            "SELECT count(*) FROM pg_class c JOIN pg_namespace n"
                            " ON n.oid = c.relnamespace WHERE n.nspname = %L AND c.relkind = 'r'"
                            " AND NOT (has_schema_privilege(n.oid, 'USAGE')"
                            "  AND has_table_privilege(c.oid, 'SELECT')"
                            "  AND has_table_privilege(c.oid, 'INSERT')"
                            "  AND has_table_privilege(c.oid, 'UPDATE')"
                            "  AND has_table_privilege(c.oid, 'DELETE'))",
                            schema),
                     &res, err) != SL_OK)
        return err->code;
    if (sl_cell_int(res, 0, 0) > 0)
        sl_report(
            c, schema,
            sl_say(c, "The state schema %s is there, and the role %s may not use it.", schema,
                   user),
            sl_sql(&c->arena,
                   "GRANT USAGE ON SCHEMA %I TO %I; GRANT SELECT, INSERT, UPDATE, DELETE ON ALL "
                   "TABLES IN SCHEMA %I TO %I; GRANT USAGE ON ALL SEQUENCES IN SCHEMA %I TO %I;",
                   schema, user, schema, user, schema, user));
    return SL_OK;
}

sl_rc sl_check_state_schema(sl_check_context *c, sl_error *err)
{
    SL_RESULT(res);
    const char *schema = c->run->spec->state_schema, *user = c->run->destination.user;
    if (c->state_exists)
        return check_state_tables(c, err);
    if (sl_check_ask(c, c->destination, "the state schema",
                     sl_sql(&c->arena,
                            "SELECT has_database_privilege(current_database(), 'CREATE'),"
                            " (SELECT has_schema_privilege(oid, 'USAGE')"
                            "   AND has_schema_privilege(oid, 'CREATE')"
                            "  FROM pg_namespace WHERE nspname = %L)",
                            schema),
                     &res, err) != SL_OK)
        return err->code;
    const char *usable = sl_cell(res, 0, 1);
    if (usable && usable[0] == 'f')
        sl_report(c, schema,
                  sl_say(c, "The schema %s is there, and the role %s may not create tables in it.",
                         schema, user),
                  sl_sql(&c->arena, "GRANT USAGE, CREATE ON SCHEMA %I TO %I;", schema, user));
    else if (!usable && !sl_cell_bool(res, 0, 0))
        sl_report(c, schema,
                  sl_say(c,
                         "The task keeps its state in the schema %s of the destination; it is not "
                         "there, and the role %s may not create it.",
                         schema, user),
                  sl_sql(&c->arena, "CREATE SCHEMA %I AUTHORIZATION %I;", schema, user));
    return SL_OK;
}

/* ---- encodings, collations, extensions ---- */

sl_rc sl_check_encoding(sl_check_context *c, sl_error *err)
{
    (void)err;
    const sl_server *s = &c->run->source, *d = &c->run->destination;
    if (strcmp(s->encoding, d->encoding) == 0 || strcmp(d->encoding, "SQL_ASCII") == 0)
        return SL_OK;
    char *remedy =
        sl_sql(&c->arena,
               "CREATE DATABASE %I ENCODING %L TEMPLATE template0;   -- as the destination",
               d->database, s->encoding);
    if (strcmp(s->encoding, "SQL_ASCII") == 0)
        sl_report(c, "",
                  sl_say(c,
                         "The source's encoding is SQL_ASCII, which checks nothing; texts that are "
                         "no valid %s are refused by the destination.",
                         d->encoding),
                  remedy);
    else if (strcmp(d->encoding, "UTF8") != 0)
        sl_report(c, "",
                  sl_say(c,
                         "The source's encoding is %s, the destination's %s: characters that the "
                         "latter lacks cannot be written.",
                         s->encoding, d->encoding),
                  remedy);
    return SL_OK;
}

sl_rc sl_check_collations(sl_check_context *c, sl_error *err)
{
    SL_RESULT(res);
    SL_RESULT(there);
    if (sl_check_query(c, "the collations",
                       "SELECT DISTINCT o2.collname FROM unnest($1::oid[]) AS o(oid)"
                       " JOIN pg_attribute a ON a.attrelid = o.oid AND a.attnum > 0"
                       "  AND NOT a.attisdropped"
                       " JOIN pg_collation o2 ON o2.oid = a.attcollation"
                       " WHERE o2.collnamespace = 11" /* pg_catalog */
                       " AND o2.collname NOT IN ('default', 'C', 'POSIX') ORDER BY 1",
                       &res, err) != SL_OK ||
        sl_check_ask(c, c->destination, "the collations",
                     "SELECT collname FROM pg_collation WHERE collnamespace = 11" /* pg_catalog */
                     " AND collencoding IN (-1, pg_char_to_encoding(getdatabaseencoding()))",
                     &there, err) != SL_OK)
        return err->code;
    sl_map *known = sl_map_new();
    for (int i = 0; i < PQntuples(there); i++)
        sl_map_put(known, PQgetvalue(there, i, 0), strlen(PQgetvalue(there, i, 0)), c);
    for (int i = 0; i < PQntuples(res); i++) {
        const char *name = PQgetvalue(res, i, 0);
        if (!sl_map_get(known, name, strlen(name)))
            sl_report(c, name,
                      sl_say(c,
                             "Columns have the collation %s, which the destination does not have.",
                             name),
                      "SELECT pg_import_system_collations('pg_catalog');   -- after installing the "
                      "locale on the destination's machine");
    }
    sl_map_free(known);
    return SL_OK;
}

/* Extensions that the types of selected columns, and operator classes of their indexes, belong to.
 */
static const char extensions_sql[] =
    "WITH RECURSIVE t AS (SELECT a.atttypid AS oid FROM unnest($1::oid[]) AS o(oid)"
    "  JOIN pg_attribute a ON a.attrelid = o.oid AND a.attnum > 0 AND NOT a.attisdropped"
    " UNION SELECT p.oid FROM t JOIN pg_type x ON x.oid = t.oid"
    "  JOIN pg_type p ON p.oid = ANY (ARRAY[x.typbasetype, x.typelem])),"
    " used AS (SELECT 'pg_type'::regclass AS class, oid FROM t"
    " UNION SELECT 'pg_opclass'::regclass, k.oid FROM unnest($1::oid[]) AS o(oid)"
    "  JOIN pg_index i ON i.indrelid = o.oid, unnest(i.indclass::oid[]) AS k(oid))"
    " SELECT DISTINCT e.extname FROM used u JOIN pg_depend d ON d.classid = u.class"
    "  AND d.objid = u.oid AND d.deptype = 'e'"
    " JOIN pg_extension e ON e.oid = d.refobjid ORDER BY 1";

/* The server reads the control files of all extensions for that, and fails on one that is broken.
 */
static sl_rc available_failed(sl_check_context *c, const char *name, const sl_error *why,
                              sl_error *err)
{
    if (why->code != SL_FAILED) {
        *err = *why;
        return err->code;
    }
    sl_report_warning(c, name,
                      sl_say(c,
                             "Tables need the extension %s; whether the destination has it cannot "
                             "be told: %s",
                             name, why->message),
                      sl_sql(&c->arena, "CREATE EXTENSION IF NOT EXISTS %I;", name));
    return SL_OK;
}

static void judge_extension(sl_check_context *c, const char *name, const PGresult *res)
{
    const char *user = c->run->destination.user;
    if (PQntuples(res) == 0)
        sl_report(c, name,
                  sl_say(c,
                         "Tables need the extension %s, whose files are not on the destination's "
                         "machine.",
                         name),
                  sl_say(c,
                         "Install the package that has it (most are in Debian's "
                         "postgresql-%d), then run the precheck again.",
                         c->run->destination.version / 10000));
    else if (!sl_cell_bool(res, 0, 0) && !sl_cell_bool(res, 0, 1))
        sl_report(c, name,
                  sl_say(c,
                         "Tables need the extension %s, and the role %s may not create it in the "
                         "destination.",
                         name, user),
                  sl_sql(&c->arena, "CREATE EXTENSION %I;   -- by a superuser, in the database %s",
                         name, c->run->destination.database));
}

sl_rc sl_check_extensions(sl_check_context *c, sl_error *err)
{
    SL_RESULT(needed);
    if (sl_check_query(c, "the extensions", extensions_sql, &needed, err) != SL_OK)
        return err->code;
    for (int i = 0; i < PQntuples(needed); i++) {
        SL_RESULT(res);
        const char *name = PQgetvalue(needed, i, 0);
        char *sql = sl_sql(&c->arena,
                           "SELECT a.installed_version IS NOT NULL,"
                           " current_setting('is_superuser') = 'on' OR NOT v.superuser OR (%s AND"
                           "  has_database_privilege(current_database(), 'CREATE'))"
                           " FROM pg_available_extensions a JOIN pg_available_extension_versions v"
                           " ON v.name = a.name AND v.version = a.default_version"
                           " WHERE a.name = %L",
                           c->destination->version >= SL_PG_13 ? "v.trusted" : "false", name);
        sl_error why = SL_ERROR_INIT;
        if (sl_check_ask(c, c->destination, "the extensions", sql, &res, &why) == SL_OK)
            judge_extension(c, name, res);
        else if (available_failed(c, name, &why, err) != SL_OK)
            return err->code;
    }
    return SL_OK;
}

/* ---- room ---- */

/* The size of what is still to be copied, with the indexes as statistics know them. */
static sl_rc needed_bytes(sl_check_context *c, int64_t *bytes, sl_error *err)
{
    SL_RESULT(res);
    if (sl_check_query(c, "the index sizes",
                       "SELECT o.oid, sum(x.relpages * current_setting('block_size')::int8)::int8"
                       " FROM unnest($1::oid[]) AS o(oid) JOIN pg_index i ON i.indrelid = o.oid"
                       " JOIN pg_class x ON x.oid = i.indexrelid GROUP BY o.oid",
                       &res, err) != SL_OK)
        return err->code;
    *bytes = 0;
    for (size_t i = 0; i < c->run->routes->n; i++) {
        const char *label = sl_route_label(&c->run->routes->items[i], &c->arena);
        if (!sl_map_get(c->created, label, strlen(label)))
            *bytes += c->run->routes->items[i].bytes;
    }
    for (int i = 0; i < PQntuples(res); i++) {
        const char *label = sl_route_label(sl_check_route(c, res, i, 0), &c->arena);
        if (!sl_map_get(c->created, label, strlen(label)))
            *bytes += sl_cell_int(res, i, 1);
    }
    return SL_OK;
}

/* -1 when it cannot be measured from here. */
static int64_t local_free_bytes(sl_check_context *c)
{
    const sl_endpoint *e = &c->run->spec->destination;
    bool local = !e->ssh_host && (e->socket || strcmp(e->host, "localhost") == 0 ||
                                  strcmp(e->host, "127.0.0.1") == 0 || strcmp(e->host, "::1") == 0);
    sl_error ignored = SL_ERROR_INIT;
    char *directory = NULL;
    struct statvfs st;
    if (!local ||
        sl_pg_value(c->destination, "SELECT setting FROM pg_settings WHERE name = 'data_directory'",
                    &c->arena, &directory, &ignored) != SL_OK ||
        !directory || statvfs(directory, &st) != 0)
        return -1;
    return (int64_t)st.f_bavail * (int64_t)st.f_frsize;
}

sl_rc sl_check_free_space(sl_check_context *c, sl_error *err)
{
    int64_t needed = 0, free = c->run->spec->destination.free_bytes;
    if (needed_bytes(c, &needed, err) != SL_OK)
        return err->code;
    if (free < 0)
        free = local_free_bytes(c);
    long long megabytes = (long long)(needed / 1000000 + 1);
    if (free < 0)
        sl_report_warning(
            c, "",
            sl_say(c,
                   "The destination's free space cannot be measured from here; the "
                   "selected tables take %lld MB on the source.",
                   megabytes),
            sl_say(c, "destination: { free_bytes: %lld }   # what it has, if it is enough",
                   (long long)needed));
    else if (free < needed)
        sl_report(c, "",
                  sl_say(c,
                         "The destination has %lld MB of free space, and the selected tables take "
                         "%lld MB on the source.",
                         (long long)(free / 1000000), megabytes),
                  sl_say(c, "Make at least %lld MB free on the destination's disk.", megabytes));
    return SL_OK;
}
