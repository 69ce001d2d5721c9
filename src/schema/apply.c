/* apply.c: creates objects in the destination and records what became of them.
 *
 * Objects are created in batches, one transaction and one round trip each, together with their
 * records. A batch that fails is rolled back; the objects before the culprit are tried again as a
 * batch, the culprit alone, and so on: what one object costs, no other pays. An empty SELECT after
 * every object tells how far a batch came.
 *
 * After kill -9 a transaction that still lay in the socket may be executed while we run: so
 * "already exists" is believed only after another look at the record. */
#include "schema/schema.h"

#include <stdlib.h>
#include <string.h>

enum { BATCH = 50 };

#define SETTINGS                                                                                   \
    "SET LOCAL check_function_bodies = off; SET LOCAL client_min_messages = error;"                \
    " SET LOCAL lock_timeout = 0;\n"

#define MUTED                                                                                      \
    "created disabled, as it would fire for our writes: enable it when applications move over"

static const struct {
    const char *sqlstate, *hint;
} hints[] = {
    { "42501", "Let the destination's user own the schema, or grant it CREATE on it and on the "
               "database." },
    { "42P07", "Something of that name is in the destination: drop or rename it, or set conflict: "
               "proceed to keep a table that is there." },
    { "42704", "Create what is missing in the destination, or select it too." },
    { "42883", "Create the function in the destination, or select its schema as a whole." },
    { "58P01", "Install the extension's package on the destination's server." },
    { "0A000", "The destination's version or installation does not have this." },
};

static void map_key(sl_buf *key, const char *kind, const char *name)
{
    sl_buf_clear(key);
    sl_buf_add(key, kind, strlen(kind) + 1);
    sl_buf_puts(key, name);
}

static void *look_up(const sl_map *map, const char *kind, const char *name)
{
    SL_BUF(key);
    map_key(&key, kind, name);
    return sl_map_get(map, key.data, key.len);
}

/* May the role keep triggers from firing for our writes? */
static sl_rc load_replica_role(sl_pg *destination, bool *may, sl_error *err)
{
    SL_RESULT(res);
    SL_SCRATCH(tmp);
    const char *granted =
        destination->version >= SL_PG_15
            ? "has_parameter_privilege(current_user, 'session_replication_role', 'SET')"
            : "false";
    if (sl_pg_query(destination,
                    sl_sql(&tmp,
                           "SELECT rolsuper OR %s FROM pg_catalog.pg_roles"
                           " WHERE rolname = current_user",
                           granted),
                    &res, err) != SL_OK)
        return sl_while(err, "reading the role's rights");
    *may = PQntuples(res) && sl_cell_bool(res, 0, 0);
    return SL_OK;
}

static sl_rc load_there(sl_pg *destination, sl_map **there, sl_error *err)
{
    SL_RESULT(res);
    SL_BUF(key);
    if (sl_pg_query(destination,
                    "SELECT 'schema', nspname, oid::text FROM pg_catalog.pg_namespace UNION ALL"
                    " SELECT 'extension', extname, oid::text FROM pg_catalog.pg_extension",
                    &res, err) != SL_OK)
        return sl_while(err, "reading what the destination has");
    *there = sl_map_new();
    for (int i = 0; i < PQntuples(res); i++) {
        map_key(&key, sl_cell(res, i, 0), sl_cell(res, i, 1));
        sl_map_put(*there, key.data, key.len, *there);
    }
    return SL_OK;
}

static sl_rc load_destination(sl_run *run, sl_schema *schema, sl_pg *destination, sl_error *err)
{
    sl_rc rc = SL_OK;
    pthread_mutex_lock(&schema->lock);
    if (!schema->recorded)
        rc = sl_state_load_objects(run, destination, &schema->recorded, err);
    if (rc == SL_OK && !schema->there) {
        rc = load_replica_role(destination, &schema->replica_role, err);
        if (rc == SL_OK)
            rc = load_there(destination, &schema->there, err);
    }
    pthread_mutex_unlock(&schema->lock);
    return rc;
}

/* --- results --- */

static void announce(sl_run *run, const sl_object *object, sl_object_result result,
                     const char *sqlstate, const char *detail)
{
    static const char *const events[] = { NULL, "object.skipped", "object.failed",
                                          "object.unsupported" };
    if (events[result])
        sl_event(run, events[result], "{s:s, s:s, s:s?, s:s?}", "kind", object->kind, "name",
                 object->identity, "sqlstate", sqlstate, "reason", detail);
}

static void finish(sl_run *run, sl_object *object, sl_object_result result)
{
    if (object->done)
        return;
    if (result == SL_OBJECT_CREATED && object->route && run->tables &&
        strcmp(object->kind, "table") == 0)
        run->tables[object->route->index].created = true;
    if (result == SL_OBJECT_FAILED)
        run->progress.objects_failed++;
    object->done = (int)result + 1;
    run->progress.objects_done++;
}

/* Records a result that is not "created", in a transaction of its own. */
static sl_rc settle(sl_run *run, sl_object *object, sl_pg *destination, sl_object_result result,
                    const char *sqlstate, const char *detail, sl_error *err)
{
    if (sl_state_record_object(run, destination, object->kind, object->identity, result, sqlstate,
                               detail, err) != SL_OK)
        return err->code;
    announce(run, object, result, sqlstate, detail);
    finish(run, object, result);
    return SL_OK;
}

/* Did this task find the object's table there? Then everything on it is left as it is. */
static bool table_was_there(const sl_schema *schema, const sl_object *object)
{
    const sl_object *table = object->route ? schema->tables[object->route->index] : NULL;
    return table && table != object && table->done == SL_OBJECT_SKIPPED + 1;
}

/* A table that the destination cannot have stops the stage: its rows would have nowhere to go. */
static sl_rc refuse(const sl_object *object, sl_error *err)
{
    if (!object->unsupported || !object->required)
        return SL_OK;
    sl_fail(err, SL_FAILED, "%s %s cannot be created in the destination: %s", object->kind,
            object->identity, object->unsupported);
    return sl_hint(err, "Leave it out of the task's objects, or use a newer destination.");
}

/* What is known without asking the destination. False: the object has to be created. */
static bool decided(const sl_schema *schema, const sl_object *object, sl_object_result *result,
                    const char **detail)
{
    if (object->unsupported) {
        *result = SL_OBJECT_UNSUPPORTED;
        *detail = object->unsupported;
        return true;
    }
    *result = SL_OBJECT_SKIPPED;
    if (look_up(schema->there, object->kind, object->destination)) {
        *detail = "it was there";
        return true;
    }
    *detail = "its table was there: it is left as it is";
    return table_was_there(schema, object);
}

/* --- one transaction --- */

/* Runs several statements; *objects counts the empty SELECTs that were reached. */
static sl_rc run_statements(sl_pg *destination, const char *sql, size_t *objects, sl_error *err)
{
    sl_rc rc = SL_OK;
    *objects = 0;
    if (!PQsendQuery(destination->conn, sql))
        return sl_pg_fail(destination, NULL, err);
    for (PGresult *res; (res = PQgetResult(destination->conn)) != NULL; PQclear(res)) {
        ExecStatusType status = PQresultStatus(res);
        if (status == PGRES_TUPLES_OK)
            ++*objects;
        else if (status != PGRES_COMMAND_OK && status != PGRES_EMPTY_QUERY && rc == SL_OK)
            rc = sl_pg_fail(destination, res, err);
    }
    if (rc != SL_OK && PQtransactionStatus(destination->conn) != PQTRANS_IDLE) {
        sl_error ignored = SL_ERROR_INIT;
        if (sl_pg_exec(destination, "ROLLBACK", &ignored) != SL_OK)
            rc = SL_TRANSIENT;
    }
    return rc;
}

/* Triggers and rules would fire for the stream's writes: without the replica role they wait,
 * disabled. */
static bool is_muted(const sl_run *run, const sl_schema *schema, const sl_object *object)
{
    return object->mute_sql && !schema->replica_role &&
           (run->spec->stages & SL_STAGE_INCREMENTAL) != 0;
}

static sl_rc create(sl_run *run, const sl_schema *schema, sl_object *const *objects, size_t n,
                    sl_pg *destination, size_t *reached, sl_error *err)
{
    SL_BUF(sql);
    SL_SCRATCH(tmp);
    sl_object_record *records = SL_NEW_ARRAY(&tmp, sl_object_record, n);
    sl_buf_puts(&sql, "BEGIN; " SETTINGS);
    for (size_t i = 0; i < n; i++) {
        bool muted = is_muted(run, schema, objects[i]);
        sl_sql_add(&sql, "%s\n%s\n%s\nSELECT;\n", objects[i]->sql,
                   objects[i]->after_sql ? objects[i]->after_sql : "",
                   muted ? objects[i]->mute_sql : "");
        records[i] = (sl_object_record){ .kind = objects[i]->kind,
                                         .identity = objects[i]->identity,
                                         .result = SL_OBJECT_CREATED,
                                         .detail = muted ? MUTED : objects[i]->detail };
    }
    sl_sql_add(&sql, "%s; COMMIT", sl_state_objects_sql(run, records, n, &tmp));
    sl_rc rc = run_statements(destination, sl_buf_str(&sql), reached, err);
    for (size_t i = 0; i < n && rc == SL_OK; i++)
        finish(run, objects[i], SL_OBJECT_CREATED);
    return rc;
}

/* --- one object --- */

static bool says_it_exists(const char *sqlstate)
{
    static const char *const states[] = { "42P07", "42710", "42P06", "42723", "23505", "42P16" };
    for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++)
        if (strcmp(sqlstate, states[i]) == 0)
            return true;
    return false;
}

/* Kinds that may be there already without harm; a table only if the spec says so. */
static bool may_be_there(const sl_run *run, const char *kind)
{
    static const char *const kinds[] = { "schema",
                                         "extension",
                                         "type",
                                         "collation",
                                         "sequence",
                                         "function",
                                         "procedure",
                                         "aggregate",
                                         "operator",
                                         "cast",
                                         "text search dictionary",
                                         "text search configuration" };
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (strcmp(kind, kinds[i]) == 0)
            return true;
    return strcmp(kind, "table") == 0 && run->spec->conflict == SL_CONFLICT_PROCEED;
}

/* A predecessor's last transaction may have made it while we tried. */
static sl_rc recorded_meanwhile(sl_run *run, const sl_object *object, sl_pg *destination,
                                bool *created, sl_error *err)
{
    sl_map *recorded;
    sl_rc rc = sl_state_load_objects(run, destination, &recorded, err);
    if (rc != SL_OK)
        return rc;
    *created = (intptr_t)look_up(recorded, object->kind, object->identity) == SL_OBJECT_CREATED + 1;
    sl_map_free(recorded);
    return SL_OK;
}

static sl_rc fail_stage(sl_run *run, sl_object *object, sl_pg *destination, sl_error *why,
                        sl_error *err)
{
    sl_error ignored = SL_ERROR_INIT;
    char text[1500];
    settle(run, object, destination, SL_OBJECT_FAILED, why->sqlstate,
           sl_error_text(why, text, sizeof(text)), &ignored);
    object->done = 0; /* tried again by the next attempt */
    if (err && err->code == SL_OK)
        *err = *why;
    if (err && strcmp(object->kind, "extension") == 0 && strcmp(why->sqlstate, "42501") == 0) {
        err->hint[0] = '\0'; /* the server's says less */
        sl_hint(err, "A superuser of the destination has to run: %s", object->sql);
    }
    return sl_while(err, "creating %s %s", object->kind, object->identity);
}

static void add_hint(sl_error *why)
{
    for (size_t i = 0; i < sizeof(hints) / sizeof(hints[0]); i++)
        if (strcmp(why->sqlstate, hints[i].sqlstate) == 0)
            sl_hint(why, "%s", hints[i].hint);
}

/* Attaching a partition to a table whose indexes are there already gives it its own. */
static sl_rc came_with_attach(const sl_object *object, sl_pg *destination, bool *there,
                              sl_error *err)
{
    SL_SCRATCH(tmp);
    SL_RESULT(res);
    sl_rc rc = sl_pg_query(
        destination,
        sl_sql(
            &tmp,
            "SELECT FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid"
            " JOIN pg_class t ON t.oid = x.indrelid JOIN pg_namespace n ON n.oid = t.relnamespace"
            " JOIN pg_inherits h ON h.inhrelid = i.oid WHERE t.oid = to_regclass(%L) AND %L IN"
            " (concat_ws('.', n.nspname, i.relname),"
            " concat_ws('.', n.nspname, t.relname, i.relname))",
            sl_route_dst_sql(object->route, &tmp), object->destination),
        &res, err);
    *there = rc == SL_OK && PQntuples(res) > 0;
    return rc;
}

/* The object could not be created: what does that mean for it and for the stage? */
static sl_rc judge(sl_run *run, sl_object *object, sl_pg *destination, sl_error *why, sl_error *err)
{
    char text[1500];
    bool created = false;
    if (says_it_exists(why->sqlstate)) {
        if (recorded_meanwhile(run, object, destination, &created, err) != SL_OK)
            return err->code;
        if (created) {
            finish(run, object, SL_OBJECT_CREATED);
            return SL_OK;
        }
        if (may_be_there(run, object->kind))
            return settle(run, object, destination, SL_OBJECT_SKIPPED, why->sqlstate,
                          "it was there", err);
    }
    bool maybe = says_it_exists(why->sqlstate) || strcmp(why->sqlstate, "55000") == 0;
    if (maybe && object->route && came_with_attach(object, destination, &created, err) != SL_OK)
        return err->code;
    if (created)
        return settle(run, object, destination, SL_OBJECT_SKIPPED, why->sqlstate,
                      "it came with the partitioned table's", err);
    if (strcmp(object->kind, "extension") != 0)
        add_hint(why);
    if (object->required)
        return fail_stage(run, object, destination, why, err);
    sl_error_text(why, text, sizeof(text));
    return settle(run, object, destination, SL_OBJECT_FAILED, why->sqlstate, text, err);
}

static sl_rc create_alone(sl_run *run, sl_schema *schema, sl_object *object, sl_pg *destination,
                          sl_error *err)
{
    sl_object_result result;
    const char *detail;
    size_t reached;
    if (decided(schema, object, &result, &detail))
        return settle(run, object, destination, result, NULL, detail, err);
    sl_error why = SL_ERROR_INIT;
    sl_rc rc = create(run, schema, &object, 1, destination, &reached, &why);
    if (rc == SL_OK)
        return SL_OK;
    if (rc != SL_FAILED) {
        if (err && err->code == SL_OK)
            *err = why;
        sl_while(err, "creating %s %s", object->kind, object->identity);
        return rc;
    }
    return judge(run, object, destination, &why, err);
}

/* VALIDATE CONSTRAINT and the like: recorded on its own, so that a restart finds what is left. */
static sl_rc validate(sl_run *run, sl_schema *schema, sl_object *object, sl_pg *destination,
                      sl_error *err)
{
    char text[1500];
    sl_error why = SL_ERROR_INIT;
    if (!object->validate_sql || object->done != SL_OBJECT_CREATED + 1 ||
        (intptr_t)look_up(schema->recorded, "validation", object->identity) ==
            SL_OBJECT_CREATED + 1)
        return SL_OK;
    sl_rc rc = sl_pg_exec(destination, object->validate_sql, &why);
    if (rc == SL_OK)
        return sl_state_record_object(run, destination, "validation", object->identity,
                                      SL_OBJECT_CREATED, NULL, NULL, err);
    if (rc != SL_FAILED) {
        if (err && err->code == SL_OK)
            *err = why;
        return sl_while(err, "validating %s %s", object->kind, object->identity);
    }
    sl_error_text(&why, text, sizeof(text));
    run->progress.objects_failed++;
    sl_event(run, "object.failed", "{s:s, s:s, s:s, s:s}", "kind", "validation", "name",
             object->identity, "sqlstate", why.sqlstate, "reason", text);
    return sl_state_record_object(run, destination, "validation", object->identity,
                                  SL_OBJECT_FAILED, why.sqlstate, text, err);
}

/* What an earlier run has recorded, if that stands. */
static bool was_done(sl_run *run, const sl_schema *schema, sl_object *object)
{
    if (object->done)
        return true;
    intptr_t before = (intptr_t)look_up(schema->recorded, object->kind, object->identity) - 1;
    if (before != SL_OBJECT_CREATED && before != SL_OBJECT_SKIPPED &&
        !(before == SL_OBJECT_UNSUPPORTED && object->unsupported))
        return false;
    finish(run, object, (sl_object_result)before);
    return true;
}

sl_rc sl_schema_apply(sl_run *run, sl_schema *schema, sl_object *object, sl_pg *destination,
                      sl_error *err)
{
    sl_rc rc = load_destination(run, schema, destination, err);
    if (rc == SL_OK && !was_done(run, schema, object)) {
        rc = refuse(object, err);
        if (rc == SL_OK)
            rc = sl_state_check_epoch(run, destination, err);
        if (rc == SL_OK)
            rc = create_alone(run, schema, object, destination, err);
    }
    if (rc == SL_OK)
        rc = validate(run, schema, object, destination, err);
    return rc;
}

sl_rc sl_schema_defer(sl_run *run, sl_schema *schema, sl_object *object, const char *why,
                      sl_pg *destination, sl_error *err)
{
    if (load_destination(run, schema, destination, err) != SL_OK || was_done(run, schema, object))
        return err->code;
    if (sl_state_check_epoch(run, destination, err) != SL_OK ||
        sl_state_record_object(run, destination, object->kind, object->identity, SL_OBJECT_FAILED,
                               "23505", why, err) != SL_OK)
        return err->code;
    sl_event(run, "object.deferred", "{s:s, s:s, s:s}", "kind", object->kind, "name",
             object->identity, "reason", why);
    object->done = SL_OBJECT_FAILED + 1;
    run->progress.objects_done++;
    return SL_OK;
}

/* --- a phase --- */

/* Creates a batch; on a failure narrows it down as the head of this file says. */
static sl_rc create_batch(sl_run *run, sl_schema *schema, sl_object **objects, size_t n,
                          sl_pg *destination, sl_error *err)
{
    sl_rc rc = n ? sl_state_check_epoch(run, destination, err) : SL_OK;
    while (n > 0 && rc == SL_OK) {
        size_t reached;
        sl_error why = SL_ERROR_INIT;
        rc = create(run, schema, objects, n, destination, &reached, &why);
        if (rc == SL_OK)
            break;
        if (rc != SL_FAILED) {
            if (err && err->code == SL_OK)
                *err = why;
            return rc;
        }
        if (reached >= n) /* the records or the commit failed: no single object's fault */
            reached = 0;
        rc = reached ? create_batch(run, schema, objects, reached, destination, err) : SL_OK;
        if (rc == SL_OK)
            rc = create_alone(run, schema, objects[reached], destination, err);
        objects += reached + 1;
        n -= reached + 1;
    }
    return rc;
}

/* Records what is decided without the destination, in one statement. */
static sl_rc settle_batch(sl_run *run, sl_object **objects, const sl_object_record *records,
                          size_t n, sl_pg *destination, sl_error *err)
{
    SL_SCRATCH(tmp);
    if (n == 0)
        return SL_OK;
    if (sl_pg_exec(destination, sl_state_objects_sql(run, records, n, &tmp), err) != SL_OK)
        return sl_while(err, "recording objects");
    for (size_t i = 0; i < n; i++) {
        announce(run, objects[i], records[i].result, NULL, records[i].detail);
        finish(run, objects[i], records[i].result);
    }
    return SL_OK;
}

typedef struct batch {
    sl_object *create[BATCH], *settle[BATCH];
    sl_object_record records[BATCH];
    size_t n_create, n_settle;
} batch;

static sl_rc flush(sl_run *run, sl_schema *schema, batch *b, sl_pg *destination, sl_error *err)
{
    sl_rc rc = settle_batch(run, b->settle, b->records, b->n_settle, destination, err);
    if (rc == SL_OK)
        rc = create_batch(run, schema, b->create, b->n_create, destination, err);
    for (size_t i = 0; i < b->n_create && rc == SL_OK; i++)
        rc = validate(run, schema, b->create[i], destination, err);
    b->n_create = b->n_settle = 0;
    return rc;
}

static void collect(const sl_schema *schema, batch *b, sl_object *object)
{
    sl_object_record record = { .kind = object->kind, .identity = object->identity };
    if (decided(schema, object, &record.result, &record.detail)) {
        b->settle[b->n_settle] = object;
        b->records[b->n_settle++] = record;
    } else {
        b->create[b->n_create++] = object;
    }
}

sl_rc sl_schema_apply_phase(sl_run *run, sl_schema *schema, sl_phase phase, sl_pg *destination,
                            sl_error *err)
{
    return sl_schema_apply_where(run, schema, phase, NULL, destination, err);
}

sl_rc sl_schema_apply_where(sl_run *run, sl_schema *schema, sl_phase phase,
                            bool (*wanted)(const sl_object *object), sl_pg *destination,
                            sl_error *err)
{
    sl_rc rc = load_destination(run, schema, destination, err);
    batch *b = sl_xcalloc(1, sizeof(*b));
    for (size_t i = 0; i < schema->n && rc == SL_OK; i++) {
        sl_object *object = &schema->objects[i];
        if (object->phase != phase || (wanted && !wanted(object)))
            continue;
        if (sl_stopping(run->stop))
            rc = sl_fail(err, SL_CANCELLED, "stopped while creating the schema");
        else if (was_done(run, schema, object))
            rc = validate(run, schema, object, destination, err);
        else if ((rc = refuse(object, err)) == SL_OK)
            collect(schema, b, object);
        if (rc == SL_OK && (b->n_create == BATCH || b->n_settle == BATCH))
            rc = flush(run, schema, b, destination, err);
    }
    if (rc == SL_OK)
        rc = flush(run, schema, b, destination, err);
    free(b);
    return rc;
}
