/* tables.c: per-table and per-part state in the destination. */
#include <stdlib.h>
#include <string.h>

#include "spec/names.h"
#include "state/internal.h"

const char *sl_state_is_table(const sl_run *run, const sl_table *table, sl_arena *arena)
{
    return sl_sql(arena, "task_id = %L AND schema_name = %L AND table_name = %L", run->id,
                  table->route->src_schema, table->route->src_table);
}

/* May a table that was there before be emptied? Only where `report` promises an empty one: without
 * the schema stage, and it is empty now. */
static sl_rc is_promised_empty(sl_run *run, sl_pg *destination, const sl_route *route, bool *owned,
                               sl_error *err)
{
    SL_SCRATCH(tmp);
    SL_RESULT(res);
    *owned = false;
    if (run->spec->stages & SL_STAGE_SCHEMA || !(run->spec->stages & SL_STAGE_FULL) ||
        run->spec->conflict != SL_CONFLICT_REPORT || route->relkind != 'r')
        return SL_OK;
    if (sl_pg_query(destination,
                    sl_sql(&tmp, "SELECT 1 FROM %s LIMIT 1", sl_route_dst_sql(route, &tmp)), &res,
                    err) != SL_OK)
        return sl_while(err, "looking whether destination table %s is empty",
                        sl_route_label(route, &tmp));
    *owned = PQntuples(res) == 0;
    return SL_OK;
}

static sl_rc insert_missing(sl_run *run, sl_pg *destination, const sl_map *known, sl_error *err)
{
    SL_SCRATCH(tmp);
    SL_BUF(schemas);
    SL_BUF(tables);
    SL_BUF(dst_schemas);
    SL_BUF(dst_tables);
    SL_BUF(owned);
    SL_BUF(oids);
    sl_buf *columns[] = { &schemas, &tables, &dst_schemas, &dst_tables, &owned, &oids };
    size_t n = 0;
    for (size_t c = 0; c < 6; c++)
        sl_array_start(columns[c]);
    for (size_t i = 0; i < run->routes->n; i++) {
        const sl_route *r = &run->routes->items[i];
        const char *label = sl_arena_printf(&tmp, "%s%c%s", r->src_schema, 1, r->src_table);
        bool may_empty;
        if (sl_map_get(known, label, strlen(label)))
            continue;
        if (is_promised_empty(run, destination, r, &may_empty, err) != SL_OK)
            return err->code;
        const char *values[] = { r->src_schema, r->src_table,          r->dst_schema,
                                 r->dst_table,  may_empty ? "t" : "f", sl_text_int(&tmp, r->oid) };
        for (size_t c = 0; c < 6; c++)
            sl_array_add(columns[c], values[c]);
        n++;
    }
    for (size_t c = 0; c < 6; c++)
        sl_array_end(columns[c]);
    if (n == 0)
        return SL_OK;
    const char *schema = run->spec->state_schema;
    const char *sql =
        sl_sql(&tmp,
               "INSERT INTO %I.tables (task_id, schema_name, table_name, dst_schema,"
               " dst_table, owned, source_oid, state) SELECT t.task_id, u.*, 'waiting' FROM %I.task"
               " t, unnest($3::text[], $4::text[], $5::text[], $6::text[],"
               " $7::boolean[], $8::bigint[]) u WHERE t.task_id = $1 AND t.epoch = $2::bigint",
               schema, schema);
    return sl_state_fenced_exec(run, destination, sql, 8,
                                (const char *[]){ run->id, sl_text_int(&tmp, run->epoch),
                                                  schemas.data, tables.data, dst_schemas.data,
                                                  dst_tables.data, owned.data, oids.data },
                                "storing the tables of the task", err);
}

static sl_rc parse_state(const char *text, sl_table_state *state, sl_error *err)
{
    for (int s = SL_TABLE_WAITING; s <= SL_TABLE_FAILED; s++) {
        if (strcmp(text, sl_table_state_name(s)) == 0) {
            *state = s;
            return SL_OK;
        }
    }
    return sl_fail(err, SL_FAILED,
                   "the destination's state schema holds an unknown table state: %s", text);
}

/* The ranges that are copied, of the tables that have some. */
static sl_rc read_parts(sl_run *run, sl_pg *destination, sl_error *err)
{
    SL_SCRATCH(tmp);
    SL_RESULT(res);
    const char *schema = run->spec->state_schema;
    if (sl_pg_query(destination,
                    sl_sql(&tmp,
                           "SELECT schema_name, table_name, p.part, p.row_count, p.byte_count,"
                           " p.snapshot_lsn FROM %I.tables t JOIN %I.part p USING (task_id,"
                           " schema_name, table_name, generation) WHERE task_id = %L AND t.ranges"
                           " IS NOT NULL AND p.snapshot_lsn IS NOT NULL",
                           schema, schema, run->id),
                    &res, err) != SL_OK)
        return sl_while(err, "reading which ranges are copied");
    for (int i = 0; i < PQntuples(res); i++) {
        const sl_route *r = sl_route_find(run->routes, sl_cell(res, i, 0), sl_cell(res, i, 1));
        sl_ranges *ranges = r ? run->tables[r->index].ranges : NULL;
        int64_t part = sl_cell_int(res, i, 2);
        if (!ranges || part < 0 || (size_t)part >= ranges->n)
            continue;
        ranges->rows[part] = sl_cell_int(res, i, 3);
        ranges->bytes[part] = sl_cell_int(res, i, 4);
        ranges->lsn[part] = sl_cell_lsn(res, i, 5);
    }
    for (size_t i = 0; i < run->routes->n; i++)
        if (run->tables[i].ranges)
            sl_ranges_settle(run->tables[i].ranges);
    return SL_OK;
}

/* A table that is synchronized keeps its name: its rows are where they are. */
static sl_rc same_names(const sl_route *route, const char *schema, const char *table, sl_error *err)
{
    SL_SCRATCH(tmp);
    if (strcmp(route->dst_schema, schema) == 0 && strcmp(route->dst_table, table) == 0)
        return SL_OK;
    sl_fail(err, SL_FAILED,
            "table %s is synchronized into %s.%s, and the specification now says %s.%s",
            sl_route_label(route, &tmp), schema, table, route->dst_schema, route->dst_table);
    return sl_hint(err,
                   "Take the change of names back; or release the task (pgsluice release FILE) "
                   "and begin anew.");
}

static const char *condition_of(const sl_route *route)
{
    return route->condition ? route->spec->where : "";
}

/* The rows that are there were chosen by the condition of then; none that is stored is of a state
 * schema from before conditions were. A resync that is asked for chooses them anew. */
static sl_rc same_condition(const sl_table *t, const char *stored, const char *request,
                            sl_error *err)
{
    SL_SCRATCH(tmp);
    const char *now = condition_of(t->route);
    if (!stored || strcmp(stored, now) == 0 || t->state == SL_TABLE_WAITING ||
        t->state == SL_TABLE_SET_ASIDE || t->snapshot_lsn == SL_LSN_RESYNC ||
        (request && strcmp(request, "resync") == 0))
        return SL_OK;
    const char *label = sl_route_label(t->route, &tmp);
    sl_fail(err, SL_FAILED,
            "the rows of table %s were chosen by %s%s%s, and the specification now says %s%s%s",
            label, stored[0] ? "the condition (" : "no condition", stored, stored[0] ? ")" : "",
            now[0] ? "(" : "no condition", now, now[0] ? ")" : "");
    if (t->state < SL_TABLE_CATCHING_UP)
        return sl_hint(err, "Its copy is not complete: take the change back; or release the task "
                            "(pgsluice release FILE) and begin anew.");
    return sl_hint(err,
                   "Take the change back; or have them chosen anew: pgsluice resync FILE %s, then "
                   "run again.",
                   label);
}

static sl_rc read_rows(sl_run *run, sl_pg *destination, sl_map *known, sl_error *err)
{
    SL_SCRATCH(tmp);
    SL_RESULT(res);
    bool ranges = false;
    if (sl_pg_query(destination,
                    sl_sql(&tmp,
                           "SELECT schema_name, table_name, state, snapshot_lsn, owned, generation,"
                           " row_count, byte_count, ranges, dst_schema, dst_table, condition,"
                           " request, source_oid FROM %I.tables WHERE task_id = %L",
                           run->spec->state_schema, run->id),
                    &res, err) != SL_OK)
        return sl_while(err, "reading the tables' states");
    for (int i = 0; i < PQntuples(res); i++) {
        const char *label =
            sl_arena_printf(&tmp, "%s%c%s", sl_cell(res, i, 0), 1, sl_cell(res, i, 1));
        sl_map_put(known, label, strlen(label), run);
        const sl_route *r = sl_route_find(run->routes, sl_cell(res, i, 0), sl_cell(res, i, 1));
        if (!r)
            continue;
        if (same_names(r, sl_cell(res, i, 9), sl_cell(res, i, 10), err) != SL_OK)
            return err->code;
        sl_table *t = &run->tables[r->index];
        sl_table_state state = SL_TABLE_WAITING;
        if (parse_state(sl_cell(res, i, 2), &state, err) != SL_OK)
            return err->code;
        t->state = state;
        t->snapshot_lsn = sl_cell_lsn(res, i, 3);
        t->created = sl_cell_bool(res, i, 4);
        t->generation = (int)sl_cell_int(res, i, 5);
        t->rows = sl_cell_int(res, i, 6);
        t->bytes = sl_cell_int(res, i, 7);
        sl_ranges_free(t->ranges);
        t->ranges = sl_cell(res, i, 8) ? sl_ranges_parse(sl_cell(res, i, 8)) : NULL;
        ranges |= t->ranges != NULL;
        t->source_oid = sl_cell(res, i, 13) ? (uint32_t)sl_cell_int(res, i, 13) : 0;
        if (same_condition(t, sl_cell(res, i, 11), sl_cell(res, i, 12), err) != SL_OK)
            return err->code;
    }
    return ranges ? read_parts(run, destination, err) : SL_OK;
}

sl_rc sl_state_load_tables(sl_run *run, sl_pg *destination, sl_error *err)
{
    if (!run->tables) {
        run->tables = sl_xcalloc(run->routes->n, sizeof(sl_table));
        for (size_t i = 0; i < run->routes->n; i++)
            run->tables[i].route = &run->routes->items[i];
    }
    sl_map *known = sl_map_new();
    sl_rc rc = read_rows(run, destination, known, err);
    if (rc == SL_OK)
        rc = insert_missing(run, destination, known, err);
    if (rc == SL_OK)
        rc = read_rows(run, destination, known, err);
    sl_map_free(known);
    return rc;
}

void sl_state_free_tables(sl_run *run)
{
    for (size_t i = 0; run->tables && i < run->routes->n; i++)
        sl_ranges_free(run->tables[i].ranges);
    free(run->tables);
    run->tables = NULL;
}

sl_rc sl_state_own_created(sl_run *run, sl_pg *destination, sl_error *err)
{
    SL_SCRATCH(tmp);
    const char *schema = run->spec->state_schema;
    if (sl_pg_exec(
            destination,
            sl_sql(&tmp,
                   "UPDATE %I.tables t SET owned = true FROM %I.object o WHERE t.task_id ="
                   " %L AND NOT t.owned AND o.task_id = t.task_id AND o.kind = 'table' AND"
                   " o.identity = " SL_NAMES_LABEL("t.schema_name") " || '.' || " SL_NAMES_LABEL(
                       "t.table_name") " AND o.result = 'created'",
                   schema, schema, run->id),
            err) != SL_OK)
        return sl_while(err, "storing which tables this task created");
    return sl_state_load_tables(run, destination, err);
}

/* from → to; a state may always be stored again (figures change). */
#define MOVE(to) (1u << (to))
static const unsigned allowed[] = {
    [SL_TABLE_WAITING] = MOVE(SL_TABLE_COPYING) | MOVE(SL_TABLE_CATCHING_UP),
    [SL_TABLE_COPYING] = MOVE(SL_TABLE_WAITING) | MOVE(SL_TABLE_INDEXING),
    [SL_TABLE_INDEXING] = MOVE(SL_TABLE_CATCHING_UP) | MOVE(SL_TABLE_SYNCHRONIZING),
    [SL_TABLE_CATCHING_UP] = MOVE(SL_TABLE_SYNCHRONIZING) | MOVE(SL_TABLE_WAITING),
    [SL_TABLE_SYNCHRONIZING] = MOVE(SL_TABLE_WAITING) | MOVE(SL_TABLE_CATCHING_UP),
    [SL_TABLE_SET_ASIDE] = MOVE(SL_TABLE_WAITING) | MOVE(SL_TABLE_CATCHING_UP),
    [SL_TABLE_FAILED] =
        MOVE(SL_TABLE_WAITING) | MOVE(SL_TABLE_COPYING) | MOVE(SL_TABLE_CATCHING_UP),
};

static bool may_move(int from, int to)
{
    return from == to || to == SL_TABLE_FAILED || to == SL_TABLE_SET_ASIDE ||
           (allowed[from] & MOVE(to));
}

sl_rc sl_state_set_table(sl_run *run, sl_pg *destination, sl_table *table, sl_table_state to,
                         const char *reason, sl_error *err)
{
    SL_SCRATCH(tmp);
    char lsn[24];
    const char *schema = run->spec->state_schema;
    const char *label = sl_route_label(table->route, &tmp);
    /* Once the rows are in step every change is later than any range's snapshot. */
    bool in_use = table->ranges && to >= SL_TABLE_COPYING && to <= SL_TABLE_CATCHING_UP &&
                  table->snapshot_lsn != SL_LSN_RESYNC;
    /* From here on the rows are this table's, whatever was there before. */
    bool its_own = table->source_oid == 0 || to == SL_TABLE_COPYING || to == SL_TABLE_CATCHING_UP;
    uint32_t oid = its_own ? table->route->oid : table->source_oid;
    if (!may_move(table->state, to))
        return sl_fail(err, SL_FAILED, "table %s cannot go from %s to %s (a bug: please report)",
                       label, sl_table_state_name(table->state), sl_table_state_name(to));
    /* Its rows are in, whole and for good: only now they count. */
    const char *metered =
        to == SL_TABLE_INDEXING && table->state != SL_TABLE_INDEXING
            ? sl_sql(&tmp,
                     "WITH metered AS (UPDATE %I.meter SET row_count = row_count + $8::bigint,"
                     " byte_count = byte_count + $9::bigint WHERE task_id = $1 AND EXISTS (SELECT 1"
                     " FROM %I.task WHERE task_id = $1 AND epoch = $2::bigint FOR SHARE)) ",
                     schema, schema)
            : "";
    const char *sql = sl_sql(&tmp,
                             "%sUPDATE %I.tables SET state = $5, snapshot_lsn = $6::pg_lsn,"
                             " generation = $7::integer, row_count = $8::bigint, byte_count ="
                             " $9::bigint, reason = $10, ranges = $11, condition = $12, source_oid "
                             "= $13::bigint, updated_at "
                             "= pg_catalog.now() WHERE task_id"
                             " = $1 AND schema_name = $3 AND table_name = $4 AND EXISTS (SELECT 1"
                             " FROM %I.task WHERE task_id = $1 AND epoch = $2::bigint FOR SHARE)",
                             metered, schema, schema);
    const char *values[] = { run->id,
                             sl_text_int(&tmp, run->epoch),
                             table->route->src_schema,
                             table->route->src_table,
                             sl_table_state_name(to),
                             table->snapshot_lsn ? sl_lsn_text(table->snapshot_lsn, lsn) : NULL,
                             sl_text_int(&tmp, table->generation),
                             sl_text_int(&tmp, table->rows),
                             sl_text_int(&tmp, table->bytes),
                             reason,
                             in_use ? sl_ranges_text(table->ranges, &tmp) : NULL,
                             condition_of(table->route),
                             sl_text_int(&tmp, oid) };
    sl_rc rc =
        sl_state_fenced_exec(run, destination, sql, 13, values,
                             sl_arena_printf(&tmp, "storing the state of table %s", label), err);
    if (rc != SL_OK)
        return rc;
    table->source_oid = oid;
    if (table->state != (int)to) {
        table->state = to;
        sl_event(run, "table.state", "{s:s, s:s, s:s*}", "table", label, "state",
                 sl_table_state_name(to), "reason", reason);
    }
    return SL_OK;
}

/* FOR SHARE on the task's row: the next worker's raise of the epoch waits for this transaction. */
sl_rc sl_state_part_begin(sl_run *run, sl_pg *destination, const sl_table *table, int part,
                          sl_error *err)
{
    SL_SCRATCH(tmp);
    SL_RESULT(res);
    const char *schema = run->spec->state_schema;
    const char *values[] = { run->id,
                             sl_text_int(&tmp, run->epoch),
                             table->route->src_schema,
                             table->route->src_table,
                             sl_text_int(&tmp, table->generation),
                             sl_text_int(&tmp, part) };
    const char *sql = sl_sql(&tmp,
                             "INSERT INTO %I.part (task_id, schema_name, table_name, generation,"
                             " part, epoch) SELECT task_id, $3, $4, $5::integer, $6::integer, epoch"
                             " FROM %I.task WHERE task_id = $1 AND epoch = $2::bigint FOR SHARE",
                             schema, schema);
    sl_error first = SL_ERROR_INIT;
    sl_rc rc = sl_pg_query_params(destination, sql, 6, values, &res, &first);
    if (rc == SL_OK)
        return atoi(PQcmdTuples(res)) == 0 ? sl_state_fenced(run, err) : SL_OK;
    if (strcmp(first.sqlstate, "23505") == 0)
        return SL_NOT_FOUND;
    if (err)
        *err = first;
    return sl_while(err, "claiming part %d of table %s", part, sl_route_label(table->route, &tmp));
}

sl_rc sl_state_part_end(sl_run *run, sl_pg *destination, const sl_table *table, int part,
                        int64_t rows, int64_t bytes, sl_lsn lsn, sl_error *err)
{
    char text[24];
    SL_SCRATCH(tmp);
    const char *values[] = { run->id,
                             table->route->src_schema,
                             table->route->src_table,
                             sl_text_int(&tmp, table->generation),
                             sl_text_int(&tmp, part),
                             sl_text_int(&tmp, rows),
                             sl_text_int(&tmp, bytes),
                             lsn ? sl_lsn_text(lsn, text) : NULL };
    return sl_state_fenced_exec(
        run, destination,
        sl_sql(&tmp,
               "UPDATE %I.part SET row_count = $6::bigint, byte_count = $7::bigint, snapshot_lsn ="
               " $8::pg_lsn WHERE task_id = $1 AND schema_name = $2 AND table_name = $3 AND"
               " generation = $4::integer AND part = $5::integer",
               run->spec->state_schema),
        8, values, "finishing a part", err);
}

sl_rc sl_state_parts_clear(sl_run *run, sl_pg *destination, const sl_table *table, sl_error *err)
{
    SL_SCRATCH(tmp);
    return sl_pg_exec(destination,
                      sl_sql(&tmp, "DELETE FROM %I.part WHERE %s", run->spec->state_schema,
                             sl_state_is_table(run, table, &tmp)),
                      err);
}
