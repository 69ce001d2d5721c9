/* rows.c: moves the rows of one part, under one lock and snapshot, in one destination transaction.
 *
 * On the source a member keeps one transaction under the snapshot. A table is locked behind a
 * savepoint, so that its lock can be given back while the snapshot stays. Under the lock the heap
 * that the snapshot sees is compared with the present one: after a rewrite (VACUUM FULL, ALTER
 * TABLE, TRUNCATE) the old snapshot would find rows missing without any error. Every part does
 * this, so it does not matter that between two parts nobody may hold the lock; parts that came
 * before a rewrite was found are thrown away, for a table's rows come from one heap.
 *
 * On the destination the part's row comes first: it fences (state.h). A table that this task made
 * is written directly; a table of its own part is emptied and filled frozen in the same
 * transaction. A table that was there is filled through a staging table, and what it has already
 * stays. */
#include <stdlib.h>
#include <string.h>
#include "copy/internal.h"
#include "pg/relay.h"
#include "spec/condition.h"

#define LOCK_TIMEOUT "2s"
#define REPORT_EVERY_US INT64_C(10000000)
#define FREEZE_FROM ((int64_t)1 << 20) /* below it a TRUNCATE costs more than it brings */

/* -- what to do about errors that users meet ----------------------------------------------------
 */

static const struct remedy {
    const char *sqlstate, *text; /* text: part of the message, or NULL */
    sl_side side;
    const char *hint; /* %s: the table */
} remedies[] = {
    { "42501", "row-level security", SL_SOURCE,
      "Row-level security hides rows of %s from the source account: ALTER ROLE … BYPASSRLS, or use "
      "the "
      "owner of a table without FORCE ROW LEVEL SECURITY." },
    { "42501", NULL, SL_SOURCE, "Let the source account read it: GRANT SELECT ON %s TO …" },
    { "42501", NULL, SL_DESTINATION,
      "The destination account must own %s, or have INSERT and TRUNCATE on it." },
    { "42703", NULL, SL_DESTINATION,
      "The destination's %s lacks a column of the source's: add it, or leave the column out." },
    { "22P05", NULL, SL_SOURCE,
      "%s holds characters that the destination's encoding does not have: "
      "use a destination database in UTF8." },
    { "22021", NULL, SL_DESTINATION,
      "%s holds bytes that are not valid in the declared encoding: "
      "correct them on the source." },
};

static sl_rc explain(sl_error *err, const sl_work *work)
{
    sl_side side = strncmp(err->message, "source", 6) == 0 ? SL_SOURCE : SL_DESTINATION;
    for (size_t i = 0; i < sizeof(remedies) / sizeof(remedies[0]) && !err->hint[0]; i++) {
        const struct remedy *r = &remedies[i];
        if (side != r->side || strcmp(err->sqlstate, r->sqlstate) != 0 ||
            (r->text && !strstr(err->message, r->text)))
            continue;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        sl_hint(err, r->hint, work->label); /* from the table above */
#pragma GCC diagnostic pop
    }
    return sl_while(err, "copying table %s", work->label);
}

/* The destination computes generated columns, and a table that was there may lack some. */
static bool is_copied(const sl_work *work, size_t column)
{
    return !work->table->route->columns[column].generated &&
           !(work->absent && work->absent[column]);
}

static const char *column_list(const sl_work *work, bool destination, sl_arena *arena)
{
    SL_BUF(list);
    const sl_route *route = work->table->route;
    for (size_t i = 0; i < route->n_columns; i++) {
        const sl_column *c = &route->columns[i];
        if (is_copied(work, i))
            sl_sql_add(&list, "%s%I", list.len ? ", " : "", destination ? c->dst_name : c->name);
    }
    return sl_arena_strdup(arena, sl_buf_str(&list));
}

/* -- source -------------------------------------------------------------------------------------
 */

static sl_rc open_place(sl_member *m, sl_place *place, sl_error *err)
{
    SL_SCRATCH(tmp);
    if (place->open)
        return SL_OK;
    if (sl_member_source(m, err) != SL_OK)
        return err->code;
    const char *sql = sl_sql(&tmp,
                             "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;"
                             " SET TRANSACTION SNAPSHOT %L; SAVEPOINT unlocked",
                             place->snapshot->name);
    if (sl_pg_exec(m->source, sql, err) != SL_OK) {
        if (strcmp(err->sqlstate, "22023") == 0 || strcmp(err->sqlstate, "42704") == 0)
            err->code = SL_TRANSIENT; /* its holder is gone: a new attempt makes a new one */
        return sl_while(err, "importing snapshot %s", place->snapshot->name);
    }
    place->open = true;
    return SL_OK;
}

sl_rc sl_place_unlock(sl_member *m, sl_place *place, sl_error *err)
{
    if (!place->locked)
        return SL_OK;
    place->locked = NULL;
    return sl_pg_exec(m->source, "ROLLBACK TO SAVEPOINT unlocked", err);
}

/* Who keeps us from the table: told at the first try and then now and then. */
static void report_busy(sl_member *m, sl_work *work)
{
    SL_SCRATCH(tmp);
    SL_RESULT(res);
    sl_error ignored = SL_ERROR_INIT;
    if (work->reported_us && sl_mono_us() - work->reported_us < REPORT_EVERY_US)
        return;
    work->reported_us = sl_mono_us();
    const char *sql = sl_sql(&tmp,
                             "SELECT l.pid, COALESCE(a.usename, ''), COALESCE(a.state, ''),"
                             " COALESCE(pg_catalog.left(a.query, 200), '')"
                             " FROM pg_catalog.pg_locks l LEFT JOIN pg_catalog.pg_stat_activity a"
                             " ON a.pid = l.pid WHERE l.relation = %u AND l.granted"
                             " AND l.mode = 'AccessExclusiveLock' LIMIT 1",
                             work->table->route->oid);
    if (sl_pg_query(m->source, sql, &res, &ignored) != SL_OK || PQntuples(res) == 0)
        return;
    sl_event(m->run, "table.locked", "{s:s, s:I, s:s, s:s, s:s}", "table", work->label, "pid",
             (json_int_t)sl_cell_int(res, 0, 0), "user", sl_cell(res, 0, 1), "query",
             sl_cell(res, 0, 3), "message",
             sl_arena_printf(&tmp,
                             "%s is locked by session %s (user %s, %s): copied when it is free",
                             work->label, sl_cell(res, 0, 0), sl_cell(res, 0, 1),
                             sl_cell(res, 0, 2)));
}

/* A rewrite may have changed the columns too; what was decided by them is then void. A query's own
 * columns are the present ones, where the catalogs are read as the snapshot sees them. */
static sl_rc check_columns(sl_member *m, const sl_work *work, sl_error *err)
{
    SL_SCRATCH(tmp);
    SL_RESULT(res);
    const sl_route *route = work->table->route;
    const char *sql = sl_sql(&tmp, "SELECT %s FROM ONLY %s LIMIT 0", column_list(work, false, &tmp),
                             sl_route_src_sql(route, &tmp));
    if (sl_pg_query(m->source, sql, &res, err) != SL_OK)
        return err->code;
    int i = 0;
    for (size_t c = 0; c < route->n_columns; c++) {
        const sl_column *col = &route->columns[c];
        if (!is_copied(work, c) || PQftype(res, i++) == col->type.base)
            continue;
        sl_fail(err, SL_FAILED,
                "source: the type of %s.%s was changed while the table waited for its copy",
                work->label, col->name);
        return sl_hint(
            err, "Make the same change in the destination's table, then start pgsluice again.");
    }
    return SL_OK;
}

/* The heap that the snapshot sees against the present one. The table's name must still be this
 * table. */
static sl_rc compare_heaps(sl_member *m, const sl_work *work, sl_part_outcome *outcome,
                           sl_error *err)
{
    SL_SCRATCH(tmp);
    SL_RESULT(res);
    const sl_route *route = work->table->route;
    const char *sql = sl_sql(&tmp,
                             "SELECT pg_catalog.to_regclass(%L)::pg_catalog.oid = %u,"
                             " (SELECT relfilenode FROM pg_catalog.pg_class WHERE oid = %u),"
                             " pg_catalog.pg_relation_filenode(%u)",
                             sl_route_src_sql(route, &tmp), route->oid, route->oid, route->oid);
    if (sl_pg_query(m->source, sql, &res, err) != SL_OK)
        return err->code;
    if (!sl_cell_bool(res, 0, 0)) {
        m->run->routes_stale = true;
        return sl_fail(err, SL_TRANSIENT, "source: table %s was dropped or replaced", work->label);
    }
    const char *seen = sl_cell(res, 0, 1), *now = sl_cell(res, 0, 2);
    if (seen && now && strcmp(seen, now) == 0)
        return SL_OK;
    *outcome = SL_PART_STALE;
    return check_columns(m, work, err);
}

sl_rc sl_place_lock(sl_member *m, sl_place *place, sl_work *work, sl_part_outcome *outcome,
                    sl_error *err)
{
    SL_SCRATCH(tmp);
    *outcome = SL_PART_COPIED;
    if (open_place(m, place, err) != SL_OK)
        return err->code;
    if (place->locked == work)
        return SL_OK;
    if (sl_place_unlock(m, place, err) != SL_OK)
        return err->code;
    sl_error locking = SL_ERROR_INIT;
    sl_rc rc = sl_pg_exec(m->source,
                          sl_sql(&tmp,
                                 "SET LOCAL lock_timeout = '" LOCK_TIMEOUT "';"
                                 "LOCK TABLE ONLY %s IN ACCESS SHARE MODE;"
                                 "SET LOCAL lock_timeout = 0",
                                 sl_route_src_sql(work->table->route, &tmp)),
                          &locking);
    if (rc != SL_OK && strcmp(locking.sqlstate, "55P03") == 0) {
        *outcome = SL_PART_BUSY;
        rc = sl_pg_exec(m->source, "ROLLBACK TO SAVEPOINT unlocked", err);
        if (rc == SL_OK)
            report_busy(m, work);
        return rc;
    }
    if (rc != SL_OK) {
        *err = locking;
        return explain(err, work);
    }
    place->locked = work;
    if (compare_heaps(m, work, outcome, err) != SL_OK)
        return explain(err, work);
    return SL_OK;
}

/* -- how ----------------------------------------------------------------------------------------
 */

/* Compares the columns of a table that this run did not make with the source's: exactly the same
 * types make binary safe; where rows are added to a user's table, only the common ones are. */
static sl_rc compare_columns(sl_pg *destination, sl_work *work, sl_error *err)
{
    SL_SCRATCH(tmp);
    SL_RESULT(res);
    const sl_route *route = work->table->route;
    const char *sql = sl_sql(&tmp,
                             "SELECT attname, pg_catalog.format_type(atttypid, NULL)"
                             " FROM pg_catalog.pg_attribute WHERE attrelid ="
                             " pg_catalog.to_regclass(%L) AND attnum > 0 AND NOT attisdropped",
                             sl_route_dst_sql(route, &tmp));
    if (sl_pg_query(destination, sql, &res, err) != SL_OK)
        return sl_while(err, "reading the columns of destination table %s", work->label);
    for (size_t c = 0; c < route->n_columns; c++) {
        const sl_column *col = &route->columns[c];
        int row = PQntuples(res) - 1;
        while (row >= 0 && strcmp(sl_cell(res, row, 0), col->dst_name) != 0)
            row--;
        if (work->staged && work->absent)
            work->absent[c] = row < 0;
        if (is_copied(work, c))
            work->binary &= row >= 0 && strcmp(sl_cell(res, row, 1), col->type_sql) == 0;
    }
    return SL_OK;
}

/* A later worker's routes may be newer than the table it finds. */
bool sl_rows_are_new(const sl_run *run, const sl_table *table)
{
    return table->created && table->generation == 0 && run->epoch == 1;
}

sl_rc sl_rows_choose(sl_run *run, sl_pg *destination, sl_work *work, sl_error *err)
{
    const sl_table *t = work->table;
    work->binary = t->route->binary_copy;
    work->freeze = t->created && work->n_parts == 1 && t->route->bytes >= FREEZE_FROM &&
                   run->spec->stages & SL_STAGE_SCHEMA;
    if (sl_rows_are_new(run, t))
        return SL_OK;
    if (!t->created && run->spec->conflict != SL_CONFLICT_PROCEED) {
        sl_fail(err, SL_FAILED, "destination table %s was there before and is not empty",
                work->label);
        return sl_hint(err,
                       "Drop or empty it, or set `conflict: proceed` to keep its rows and add the "
                       "others.");
    }
    work->staged = !t->created;
    return work->binary || work->staged ? compare_columns(destination, work, err) : SL_OK;
}

/* "(a, b)", or nothing for a table without columns to copy. */
static const char *in_brackets(const char *list, sl_arena *arena)
{
    return list[0] ? sl_arena_printf(arena, " (%s)", list) : "";
}

static const char *copy_out(const sl_work *work, const sl_part *part, sl_arena *arena)
{
    const char *format = work->binary ? "binary" : "text";
    const sl_route *route = work->table->route;
    const char *columns = column_list(work, false, arena);
    const sl_condition *condition = route->condition;
    if (!part->where && !condition)
        return sl_sql(arena, "COPY %s%s TO STDOUT (FORMAT %s)", sl_route_src_sql(route, arena),
                      in_brackets(columns, arena), format);
    return sl_sql(arena, "COPY (SELECT %s FROM ONLY %s WHERE %s%s%s) TO STDOUT (FORMAT %s)",
                  columns, sl_route_src_sql(route, arena), part->where ? part->where : "",
                  part->where && condition ? " AND " : "", condition ? condition->sql : "", format);
}

/* A char(n) whose type is the same on both sides, as it is in every binary copy. */
static sl_relay_trim padded_columns(const sl_work *work, sl_arena *arena)
{
    const sl_route *route = work->table->route;
    bool *blank = SL_NEW_ARRAY(arena, bool, route->n_columns);
    sl_relay_trim trim = { .blank = NULL };
    for (size_t i = 0; i < route->n_columns && work->binary; i++) {
        const sl_column *c = &route->columns[i];
        if (!is_copied(work, i))
            continue;
        blank[trim.n_fields] = c->type.oid == SL_OID_BPCHAR && c->typmod >= 0;
        if (blank[trim.n_fields++])
            trim.blank = blank;
    }
    return trim;
}

static const char *staging_name(const sl_run *run, const sl_work *work, sl_arena *arena)
{
    return sl_sql(arena, "%I.%I", run->spec->state_schema,
                  sl_arena_printf(arena, "staging_%s_%016llx", run->id,
                                  (unsigned long long)sl_hash64(work->label, strlen(work->label),
                                                                0)));
}

static const char *copy_in(const sl_run *run, const sl_work *work, sl_arena *arena)
{
    const sl_route *route = work->table->route;
    return sl_sql(arena, "COPY %s%s FROM STDIN (FORMAT %s%s)",
                  work->staged ? staging_name(run, work, arena) : sl_route_dst_sql(route, arena),
                  in_brackets(column_list(work, true, arena), arena),
                  work->binary ? "binary" : "text", work->freeze ? ", FREEZE" : "");
}

/* -- destination --------------------------------------------------------------------------------
 */

/* TRUNCATE waits for a dead predecessor's COPY that the server has not given up yet. Where a
 * foreign key points at the table, which TRUNCATE refuses, DELETE does it. */
static sl_rc empty_table(sl_pg *destination, const sl_work *work, sl_error *err)
{
    SL_SCRATCH(tmp);
    sl_error refused = SL_ERROR_INIT;
    const char *name = sl_route_dst_sql(work->table->route, &tmp);
    sl_rc rc =
        sl_pg_exec(destination, sl_sql(&tmp, "SAVEPOINT emptying; TRUNCATE TABLE ONLY %s", name),
                   &refused);
    if (rc == SL_OK)
        return SL_OK;
    if (strcmp(refused.sqlstate, "0A000") != 0) {
        *err = refused;
        return rc;
    }
    return sl_pg_exec(destination,
                      sl_sql(&tmp, "ROLLBACK TO SAVEPOINT emptying; DELETE FROM ONLY %s", name),
                      err);
}

/* Ends a transaction whose statements returned rc; keeps their error. */
static sl_rc end_transaction(sl_pg *destination, sl_rc rc, sl_error *err)
{
    sl_error ignored = SL_ERROR_INIT;
    if (rc == SL_OK)
        return sl_pg_exec(destination, "COMMIT", err);
    sl_pg_exec(destination, "ROLLBACK", &ignored);
    return rc;
}

sl_rc sl_rows_begin(sl_member *m, sl_work *work, sl_error *err)
{
    sl_table *t = work->table;
    bool fresh = t->state == SL_TABLE_WAITING && t->generation == 0;
    int kept = work->resumed ? (int)work->done : 0;
    work->began_us = sl_mono_us();
    if (sl_member_destination(m, err) != SL_OK)
        return err->code;
    t->generation += !work->resumed;
    t->rows = t->bytes = 0;
    sl_rc rc = sl_pg_exec(m->destination, "BEGIN", err);
    if (rc == SL_OK)
        rc = sl_state_set_table(m->run, m->destination, t, SL_TABLE_COPYING, NULL, err);
    if (rc == SL_OK && !fresh && !work->resumed)
        rc = sl_state_parts_clear(m->run, m->destination, t, err);
    if (rc == SL_OK && !fresh && !work->resumed && t->created)
        rc = empty_table(m->destination, work, err);
    rc = end_transaction(m->destination, rc, err);
    if (rc != SL_OK)
        return explain(err, work);
    sl_event(m->run, "table.copying", "{s:s, s:i, s:i, s:I, s:I}", "table", work->label, "parts",
             (int)work->n_parts, "parts_kept", kept, "rows_estimated",
             (json_int_t)t->route->reltuples, "bytes_on_disk", (json_int_t)t->route->bytes);
    return SL_OK;
}

/* An INSERT of those rows of another table that collide with none that is there; its count of rows
 * is the answer. 9.4 has no ON CONFLICT: there row by row, and the answer is a number. */
static sl_rc add_rows(sl_pg *destination, const char *table, const char *columns, const char *from,
                      int64_t *rows, sl_error *err)
{
    SL_SCRATCH(tmp);
    SL_RESULT(res);
    const char *target = sl_arena_printf(&tmp, "%s%s", table, in_brackets(columns, &tmp));
    if (destination->version >= SL_PG_9_5) {
        const char *sql = sl_sql(&tmp, "INSERT INTO %s %sSELECT %s FROM %s ON CONFLICT DO NOTHING",
                                 target, sl_overriding_sql(destination->version), columns, from);
        if (sl_pg_query(destination, sql, &res, err) == SL_OK)
            *rows = strtoll(PQcmdTuples(res), NULL, 10);
        return err->code;
    }
    const char *row = columns[0] ? sl_arena_printf(&tmp, "SELECT %s", columns) : "SELECT";
    const char *body =
        sl_sql(&tmp,
               "DECLARE place tid; added int8 := 0; BEGIN FOR place IN SELECT ctid FROM %s LOOP"
               " BEGIN INSERT INTO %s %s FROM %s WHERE ctid = place; added := added + 1;"
               " EXCEPTION WHEN unique_violation OR exclusion_violation THEN NULL; END; END LOOP;"
               " PERFORM pg_catalog.set_config('pgsluice.added', added::text, true); END",
               from, target, row, from);
    if (sl_pg_exec(destination, sl_sql(&tmp, "DO %L", body), err) != SL_OK ||
        sl_pg_query(destination, "SELECT pg_catalog.current_setting('pgsluice.added')", &res,
                    err) != SL_OK)
        return err->code;
    *rows = sl_cell_int(res, 0, 0);
    return SL_OK;
}

/* What the staging table brought goes into the user's, whose rows stay. */
static sl_rc merge_staged(sl_member *m, const sl_work *work, int64_t *rows, sl_error *err)
{
    SL_SCRATCH(tmp);
    int64_t added = 0;
    const char *staging = staging_name(m->run, work, &tmp);
    const char *table = sl_route_dst_sql(work->table->route, &tmp);
    if (add_rows(m->destination, table, column_list(work, true, &tmp), staging, &added, err) !=
        SL_OK)
        return err->code;
    if (added < *rows)
        sl_event(m->run, "table.kept_rows", "{s:s, s:I, s:s}", "table", work->label, "rows",
                 (json_int_t)(*rows - added), "message",
                 sl_arena_printf(&tmp, "%s: %lld rows were there and stay", work->label,
                                 (long long)(*rows - added)));
    *rows = added;
    return sl_pg_exec(m->destination, sl_sql(&tmp, "DROP TABLE %s", staging), err);
}

static sl_rc prepare_target(sl_member *m, const sl_work *work, sl_error *err)
{
    SL_SCRATCH(tmp);
    const sl_route *route = work->table->route;
    if (work->freeze) /* frozen rows need a heap that this very transaction made */
        return sl_pg_exec(m->destination,
                          sl_sql(&tmp, "TRUNCATE TABLE ONLY %s", sl_route_dst_sql(route, &tmp)),
                          err);
    if (!work->staged)
        return SL_OK;
    return sl_pg_exec(m->destination,
                      sl_sql(&tmp, "CREATE UNLOGGED TABLE %s AS SELECT %s FROM %s LIMIT 0",
                             staging_name(m->run, work, &tmp), column_list(work, true, &tmp),
                             sl_route_dst_sql(route, &tmp)),
                      err);
}

static sl_rc store_indexing(sl_member *m, const sl_snapshot *snapshot, sl_work *work, sl_error *err)
{
    sl_table *t = work->table;
    t->snapshot_lsn = snapshot->lsn;
    if (t->ranges && sl_ranges_settle(t->ranges))
        t->snapshot_lsn = t->ranges->oldest;
    if (t->ranges && t->ranges->oldest == t->ranges->newest) { /* all of one moment after all */
        sl_ranges_free(t->ranges);
        t->ranges = NULL;
    }
    return sl_state_set_table(m->run, m->destination, work->table, SL_TABLE_INDEXING, NULL, err);
}

static sl_rc write_part(sl_member *m, const sl_snapshot *snapshot, sl_work *work, sl_part *part,
                        sl_error *err)
{
    SL_SCRATCH(tmp);
    sl_table *t = work->table;
    int64_t rows = 0;
    sl_rc rc = sl_state_part_begin(m->run, m->destination, t, part->number, err);
    if (rc != SL_OK)
        return rc == SL_NOT_FOUND
                   ? sl_fail(err, SL_TRANSIENT, "part %d of table %s is there already",
                             part->number, work->label)
                   : rc;
    rc = prepare_target(m, work, err);
    const sl_relay_job job = {
        .source_sql = copy_out(work, part, &tmp),
        .destination_sql = copy_in(m->run, work, &tmp),
        .trim = padded_columns(work, &tmp),
        .counters = { .rows = &part->rows, .bytes = &part->bytes },
        .rate = m->run->rate,
    };
    if (rc == SL_OK)
        rc = sl_relay_copy(&job, m->source, m->destination, &rows, m->stop, err);
    if (rc == SL_OK && work->staged)
        rc = merge_staged(m, work, &rows, err);
    if (rc == SL_OK)
        rc = sl_state_part_end(m->run, m->destination, t, part->number, rows, part->bytes,
                               snapshot->lsn, err);
    if (rc == SL_OK && work->n_parts == 1) {
        t->rows = rows;
        t->bytes = part->bytes;
        rc = store_indexing(m, snapshot, work, err);
    }
    return rc;
}

sl_rc sl_rows_copy(sl_member *m, const sl_snapshot *snapshot, sl_work *work, sl_part *part,
                   sl_error *err)
{
    if (sl_member_destination(m, err) != SL_OK || sl_pg_exec(m->destination, "BEGIN", err) != SL_OK)
        return explain(err, work);
    sl_rc rc = end_transaction(m->destination, write_part(m, snapshot, work, part, err), err);
    if (rc != SL_OK) {
        part->rows = part->bytes = 0;
        return explain(err, work);
    }
    if (work->table->ranges) /* this thread's own element until the table is complete */
        work->table->ranges->lsn[part->number] = snapshot->lsn;
    if (work->n_parts == 1)
        sl_state_note_metered(m->run, work->table);
    return rc;
}

sl_rc sl_rows_finish(sl_run *run, sl_pg *destination, sl_work *work, sl_error *err)
{
    sl_member m = { .run = run, .destination = destination };
    const sl_snapshot none = { 0 };
    work->began_us = sl_mono_us();
    return sl_rows_complete(&m, &none, work, err);
}

sl_rc sl_rows_complete(sl_member *m, const sl_snapshot *snapshot, sl_work *work, sl_error *err)
{
    sl_table *t = work->table;
    sl_rc rc = SL_OK;
    if (work->n_parts > 1) {
        int64_t rows = 0, bytes = 0;
        for (size_t i = 0; i < work->n_parts; i++) {
            rows += work->parts[i].rows;
            bytes += work->parts[i].bytes;
        }
        t->rows = rows;
        t->bytes = bytes;
        rc = store_indexing(m, snapshot, work, err);
        if (rc == SL_OK)
            sl_state_note_metered(m->run, t);
    }
    if (rc != SL_OK)
        return explain(err, work);
    m->run->progress.tables_copied++;
    sl_event(m->run, "table.copied", "{s:s, s:I, s:I, s:f}", "table", work->label, "rows",
             (json_int_t)t->rows, "bytes", (json_int_t)t->bytes, "seconds",
             (double)(sl_mono_us() - work->began_us) / 1e6);
    return SL_OK;
}

sl_rc sl_rows_reset(sl_member *m, sl_work *work, sl_error *err)
{
    sl_table *t = work->table;
    for (size_t i = 0; i < work->n_parts; i++)
        work->parts[i].rows = work->parts[i].bytes = 0;
    t->rows = t->bytes = 0;
    sl_ranges_free(t->ranges);
    t->ranges = NULL;
    SL_SCRATCH(tmp);
    sl_event(m->run, "table.rewritten", "{s:s, s:s}", "table", work->label, "message",
             sl_arena_printf(&tmp, "%s was rewritten since the snapshot: copied under another",
                             work->label));
    if (t->state != SL_TABLE_COPYING)
        return SL_OK;
    if (sl_member_destination(m, err) != SL_OK ||
        sl_state_set_table(m->run, m->destination, t, SL_TABLE_WAITING,
                           "rewritten on the source since the snapshot", err) != SL_OK)
        return explain(err, work);
    return SL_OK;
}
