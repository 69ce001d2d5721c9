/* inspect.c: test connectivity, and the tree of schemas, tables and columns, page by page. */
#include "service/inspect.h"

#include <jansson.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pg/pg.h"
#include "pg/replication.h"
#include "service/service.h"
#include "spec/route.h"
#include "spec/spec.h"

typedef struct question {
    const json_t *json;
    bool source;
    sl_spec *spec; /* around the endpoint */
    const sl_endpoint *endpoint;
    sl_arena arena;
} question;

static const char *word(const question *q, const char *key)
{
    return json_string_value(json_object_get(q->json, key));
}

static sl_rc connect_to(question *q, bool replication, sl_pg **pg, sl_error *err)
{
    sl_pg_options options = { .side = q->source ? SL_SOURCE : SL_DESTINATION,
                              .name = "inspection",
                              .application_name = "pgsluice/inspect",
                              .replication = replication };
    sl_rc rc = sl_pg_connect(q->endpoint, &options, pg, err);
    if (rc == SL_OK && !replication)
        rc = sl_pg_exec(*pg, "SET statement_timeout = '30s'", err);
    return rc;
}

/* ---- test connectivity ---- */

static void add_cause(json_t *out, const sl_error *err)
{
    json_object_set_new(out, "cause", json_string(err->message));
    if (err->hint[0])
        json_object_set_new(out, "hint", json_string(err->hint));
    if (err->sqlstate[0])
        json_object_set_new(out, "sqlstate", json_string(err->sqlstate));
}

static sl_rc add_rights(sl_pg *pg, json_t *out, sl_error *err)
{
    SL_RESULT(res);
    sl_rc rc = sl_pg_query(pg,
                           "SELECT r.rolsuper, r.rolreplication OR r.rolsuper,"
                           " pg_catalog.has_database_privilege(pg_catalog.current_database(),"
                           " 'CREATE'), pg_catalog.host(pg_catalog.inet_client_addr()),"
                           " EXISTS (SELECT 1 FROM pg_catalog.pg_roles m WHERE m.rolname IN"
                           " ('rds_replication', 'rds_superuser') AND"
                           " pg_catalog.pg_has_role(m.oid, 'member')) FROM pg_catalog.pg_roles r"
                           " WHERE r.rolname = current_user",
                           &res, err);
    if (rc != SL_OK || PQntuples(res) == 0)
        return rc;
    bool managed = sl_cell_bool(res, 0, 4);
    const char *address = sl_cell(res, 0, 3);
    json_object_set_new(out, "rights",
                        json_pack("{s:b, s:b, s:b}", "superuser", sl_cell_bool(res, 0, 0),
                                  "replication", sl_cell_bool(res, 0, 1) || managed,
                                  "create_on_database", sl_cell_bool(res, 0, 2)));
    json_object_set_new(out, "address", address ? json_string(address) : json_null());
    return SL_OK;
}

static void add_replication(question *q, json_t *out)
{
    SL_PG(pg);
    sl_error err = SL_ERROR_INIT;
    json_t *found = json_object();
    bool reached = connect_to(q, true, &pg, &err) == SL_OK;
    json_object_set_new(found, "reached", json_boolean(reached));
    if (!reached) {
        add_cause(found, &err);
        json_object_del(found, "sqlstate");
    }
    json_object_set_new(out, "replication", found);
}

static void add_warnings(question *q, sl_pg *pg, const sl_server *server, json_t *out)
{
    SL_RESULT(res);
    sl_error ignored = SL_ERROR_INIT;
    json_t *warnings = json_array();
    if (server->version < 90400)
        json_array_append_new(warnings, json_string("versions before 9.4 are not supported"));
    if (q->source && sl_pg_query(pg, "SHOW wal_level", &res, &ignored) == SL_OK &&
        strcmp(PQgetvalue(res, 0, 0), "logical") != 0)
        json_array_append_new(warnings,
                              json_sprintf("wal_level is %s: for incremental synchronization run "
                                           "ALTER SYSTEM SET wal_level = logical; and restart the "
                                           "server",
                                           PQgetvalue(res, 0, 0)));
    json_object_set_new(out, "warnings", warnings);
}

static json_t *test(question *q, sl_error *err)
{
    SL_PG(pg);
    sl_server server;
    json_t *out =
        json_pack("{s:b, s:s}", "reached", 0, "side", q->source ? "source" : "destination");
    sl_rc rc = connect_to(q, false, &pg, err);
    if (rc == SL_OK)
        rc = sl_pg_server(pg, &server, err);
    if (rc == SL_OK)
        rc = add_rights(pg, out, err);
    if (rc != SL_OK) {
        add_cause(out, err);
        sl_error_clear(err);
        return out;
    }
    json_object_set_new(out, "reached", json_true());
    json_object_set_new(out, "version", json_string(server.version_text));
    json_object_set_new(out, "database", json_string(server.database));
    json_object_set_new(out, "user", json_string(server.user));
    json_object_set_new(out, "encoding", json_string(server.encoding));
    json_object_set_new(out, "encrypted", json_boolean(PQsslInUse(pg->conn)));
    if (q->source)
        add_replication(q, out);
    else
        json_object_set_new(out, "replication", json_null());
    add_warnings(q, pg, &server, out);
    return out;
}

/* ---- the tree ---- */

#define SYSTEM_SCHEMAS                                                                             \
    "n.nspname !~ '^pg_(toast|temp|catalog)' AND n.nspname NOT IN ('information_schema')"

/* Parameters: $1 after, $2 search, $3 schema, $4 table, $5 limit + 1. */
static const char schemas_sql[] =
    "SELECT n.nspname, (SELECT count(*) FROM pg_catalog.pg_class c WHERE c.relnamespace = n.oid AND"
    " c.relkind IN ('r', 'p')) FROM pg_catalog.pg_namespace n WHERE " SYSTEM_SCHEMAS
    " AND n.nspname::text COLLATE \"C\" > $1::text AND ($2::text IS NULL OR "
    "pg_catalog.strpos(pg_catalog.lower("
    "n.nspname), pg_catalog.lower($2)) > 0) AND ($3::text IS NULL OR true) AND ($4::text IS NULL OR"
    " true) ORDER BY n.nspname::text COLLATE \"C\" LIMIT $5::bigint";

static const char tables_sql[] =
    "SELECT c.relname, c.relkind, c.reltuples, pg_catalog.pg_table_size(c.oid), (SELECT"
    " pg_catalog.array_to_json(pg_catalog.array_agg(a.attname ORDER BY k.n)) FROM"
    " pg_catalog.pg_index i, LATERAL pg_catalog.unnest(i.indkey::int2[]) WITH ORDINALITY k (attnum,"
    " n), pg_catalog.pg_attribute a WHERE i.indrelid = c.oid AND i.indisprimary AND a.attrelid ="
    " c.oid AND a.attnum = k.attnum), CASE WHEN c.relreplident = 'f' THEN 'full' WHEN"
    " c.relreplident = 'i' OR c.relreplident = 'd' AND EXISTS (SELECT 1 FROM pg_catalog.pg_index i"
    " WHERE i.indrelid = c.oid AND i.indisprimary AND i.indimmediate) THEN 'key' ELSE 'none' END,"
    " (SELECT pn.nspname || '.' || p.relname FROM pg_catalog.pg_inherits h JOIN pg_catalog.pg_class"
    " p ON p.oid = h.inhparent JOIN pg_catalog.pg_namespace pn ON pn.oid = p.relnamespace WHERE"
    " h.inhrelid = c.oid AND p.relkind = 'p' LIMIT 1) FROM pg_catalog.pg_class c JOIN"
    " pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $3::text AND c.relkind"
    " IN ('r', 'p') AND c.relpersistence <> 't' AND c.relname::text COLLATE \"C\" > $1::text AND"
    " ($2::text IS NULL OR pg_catalog.strpos(pg_catalog.lower(c.relname), pg_catalog.lower($2)) > "
    "0)"
    " AND ($4::text IS NULL OR true) ORDER BY c.relname::text COLLATE \"C\" LIMIT $5::bigint";

/* Columns come in their order; the cursor is the number of the last one. */
static const char columns_sql[] =
    "SELECT a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), a.attnotnull, %s, EXISTS"
    " (SELECT 1 FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid AND i.indisprimary AND a.attnum"
    " = ANY (i.indkey::int2[])), a.attnum FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c"
    " ON c.oid = a.attrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE "
    "n.nspname"
    " = $3::text AND c.relname = $4::text AND a.attnum > 0 AND NOT a.attisdropped AND a.attnum >"
    " coalesce(nullif($1::text, '')::int, 0) AND ($2::text IS NULL OR pg_catalog.strpos("
    "pg_catalog.lower(a.attname), pg_catalog.lower($2)) > 0) ORDER BY a.attnum LIMIT $5::bigint";

static json_t *schema_item(const PGresult *res, int i)
{
    return json_pack("{s:s, s:s, s:I}", "kind", "schema", "name", sl_cell(res, i, 0), "tables",
                     (json_int_t)sl_cell_int(res, i, 1));
}

static json_t *table_item(const PGresult *res, int i)
{
    bool partitioned = sl_cell(res, i, 1)[0] == 'p';
    const char *key = sl_cell(res, i, 4);
    json_t *columns = key ? json_loads(key, 0, NULL) : NULL;
    double rows = strtod(sl_cell(res, i, 2), NULL);
    return json_pack("{s:s, s:s, s:f, s:I, s:o, s:s, s:s?}", "kind",
                     partitioned ? "partitioned_table" : "table", "name", sl_cell(res, i, 0),
                     "rows", rows, "bytes", (json_int_t)sl_cell_int(res, i, 3), "key",
                     columns ? columns : json_array(), "identity", sl_cell(res, i, 5),
                     "partition_of", sl_cell(res, i, 6));
}

static json_t *column_item(const PGresult *res, int i)
{
    return json_pack("{s:s, s:s, s:s, s:b, s:b, s:b}", "kind", "column", "name", sl_cell(res, i, 0),
                     "type", sl_cell(res, i, 1), "not_null", sl_cell_bool(res, i, 2), "generated",
                     sl_cell_bool(res, i, 3), "in_key", sl_cell_bool(res, i, 4));
}

static json_t *encode_cursor(const char *text)
{
    size_t size = sodium_base64_encoded_len(strlen(text), sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    char *encoded = sl_xmalloc(size);
    sodium_bin2base64(encoded, size, (const unsigned char *)text, strlen(text),
                      sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    json_t *cursor = json_string(encoded);
    free(encoded);
    return cursor;
}

static sl_rc decode_cursor(question *q, const char **after, sl_error *err)
{
    const char *given = word(q, "cursor");
    size_t n;
    *after = "";
    if (!given || !given[0])
        return SL_OK;
    char *decoded = sl_arena_zalloc(&q->arena, strlen(given) + 1);
    if (sodium_base642bin((unsigned char *)decoded, strlen(given), given, strlen(given), NULL, &n,
                          NULL, sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0 ||
        (word(q, "table") && strspn(decoded, "0123456789") != strlen(decoded)))
        return sl_fail(err, SL_USAGE, "cursor is not one that this service gave");
    *after = decoded;
    return SL_OK;
}

static json_t *browse(question *q, sl_error *err)
{
    SL_PG(pg);
    SL_RESULT(res);
    const char *schema = word(q, "schema"), *table = word(q, "table"), *after;
    json_int_t limit = json_integer_value(json_object_get(q->json, "limit"));
    limit = limit > 0 ? limit : 200;
    if (decode_cursor(q, &after, err) != SL_OK || connect_to(q, false, &pg, err) != SL_OK)
        return NULL;
    const char *generated = pg->version >= 120000 ? "a.attgenerated <> ''" : "false";
    const char *sql = table    ? sl_sql(&q->arena, columns_sql, generated)
                      : schema ? tables_sql
                               : schemas_sql;
    const char *values[] = { after, word(q, "search"), schema, table,
                             sl_arena_printf(&q->arena, "%lld", (long long)limit + 1) };
    if (sl_pg_query_params(pg, sql, 5, values, &res, err) != SL_OK)
        return NULL;
    json_t *items = json_array(), *cursor = json_null();
    for (int i = 0; i < PQntuples(res) && i < limit; i++)
        json_array_append_new(items, table    ? column_item(res, i)
                                     : schema ? table_item(res, i)
                                              : schema_item(res, i));
    if (PQntuples(res) > limit)
        cursor = encode_cursor(sl_cell(res, (int)limit - 1, table ? 5 : 0));
    return json_pack("{s:o, s:o}", "items", items, "next_cursor", cursor);
}

/* ---- a condition on rows ---- */

/* Without the file and line in front, which say nothing here. */
static json_t *not_valid(sl_error *err)
{
    const char *cause = err->message;
    if (strncmp(cause, "spec:", 5) == 0 && strstr(cause, ": "))
        cause = strstr(cause, ": ") + 2;
    json_t *out =
        json_pack("{s:b, s:s, s:s*, s:n, s:n, s:n}", "valid", 0, "cause", cause, "hint",
                  err->hint[0] ? err->hint : NULL, "position", "rows_estimate", "rows_total");
    sl_error_clear(err);
    return out;
}

/* -1: not known, as of a table that is locked just now. */
static json_t *rows_or_null(double rows)
{
    return rows < 0 ? json_null() : json_real(rows);
}

static json_t *valid(const sl_routes *routes)
{
    const sl_route *r = routes->n ? &routes->items[0] : NULL;
    bool locked = r && r->condition && r->where_rows < 0;
    return json_pack("{s:b, s:s?, s:s?, s:n, s:o, s:o}", "valid", 1, "cause",
                     locked ? "The table is locked by another session: the condition's types and "
                              "the number of its rows are checked when it is free."
                            : NULL,
                     "hint",
                     locked ? "Check again when the migration that locks it has ended." : NULL,
                     "position", "rows_estimate", rows_or_null(r ? r->where_rows : 0), "rows_total",
                     rows_or_null(r ? r->reltuples : 0));
}

/* The routes' own judgement of a specification with this one table. */
static json_t *filter(question *q, sl_error *err)
{
    SL_PG(pg);
    sl_routes *routes = NULL;
    if (connect_to(q, false, &pg, err) != SL_OK)
        return NULL;
    json_t *out = NULL;
    sl_rc rc = sl_routes_resolve(q->spec, pg, &routes, err);
    if (rc == SL_USAGE || rc == SL_FAILED)
        out = not_valid(err);
    else if (rc == SL_OK)
        out = valid(routes);
    sl_routes_free(routes);
    return out;
}

/* ---- the question ---- */

static sl_rc read_question(question *q, sl_error *err)
{
    SL_BUF(text);
    char block[8192];
    for (ssize_t n; (n = read(STDIN_FILENO, block, sizeof(block))) > 0 && text.len < (1 << 20);)
        sl_buf_add(&text, block, (size_t)n);
    q->json = json_loadb(sl_buf_str(&text), text.len, 0, NULL);
    q->source = json_is_true(json_object_get(q->json, "source"));
    json_t *endpoint = json_object_get(q->json, "endpoint");
    json_t *objects =
        word(q, "where") ? json_pack("[{s:s, s:[{s:s, s:s}]}]", "schema", word(q, "schema"),
                                     "tables", "table", word(q, "table"), "where", word(q, "where"))
                         : json_pack("[{s:s}]", "schema", "x");
    json_t *spec = json_pack("{s:s, s:O*, s:{s:s, s:s, s:s}, s:o}", "name", "x",
                             q->source ? "source" : "destination", endpoint,
                             q->source ? "destination" : "source", "host", "x", "database", "x",
                             "user", "x", "objects", objects);
    char *around = json_dumps(spec, JSON_COMPACT);
    json_decref(spec);
    sl_rc rc =
        sl_spec_parse(around ? around : "", around ? strlen(around) : 0, "spec", &q->spec, err);
    sl_specs_wipe(around);
    if (rc == SL_OK)
        q->endpoint = q->source ? &q->spec->source : &q->spec->destination;
    return rc;
}

int sl_inspect(void)
{
    question q = { 0 };
    sl_error err = SL_ERROR_INIT;
    json_t *answer = NULL;
    alarm(60); /* nobody waits longer */
    sl_rc rc = sodium_init() >= 0 ? read_question(&q, &err) : SL_FAILED;
    const char *what = q.json ? word(&q, "what") : NULL;
    if (rc == SL_OK)
        answer = what && strcmp(what, "test") == 0     ? test(&q, &err)
                 : what && strcmp(what, "filter") == 0 ? filter(&q, &err)
                                                       : browse(&q, &err);
    else if (rc == SL_USAGE && what && strcmp(what, "filter") == 0)
        answer = not_valid(&err);
    if (!answer)
        answer = json_pack("{s:s, s:s}", "problem",
                           err.message[0] ? err.message : "the question was not understood", "hint",
                           err.hint);
    json_dumpf(answer, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(answer);
    json_decref((json_t *)q.json);
    sl_spec_free(q.spec);
    sl_arena_free(&q.arena);
    return 0;
}
