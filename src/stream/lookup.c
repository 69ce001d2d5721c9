/* lookup.c: asks the source for a table's OID, columns and replica identity, as they are now. */
#include "stream/lookup.h"

/* The key columns of the replica identity's index; a deferrable primary key is none. */
static const char *key_sql(int version, sl_arena *arena)
{
    return sl_sql(
        arena,
        "EXISTS (SELECT 1 FROM pg_catalog.pg_index i,"
        " pg_catalog.generate_series(0, %s - 1) k WHERE i.indrelid = c.oid"
        " AND i.indkey[k] = a.attnum AND CASE c.relreplident WHEN 'i' THEN i.indisreplident"
        " WHEN 'd' THEN i.indisprimary AND i.indimmediate END)",
        version >= SL_PG_11 ? "i.indnkeyatts" : "i.indnatts");
}

static char *table_sql(int version, const char *schema, const char *table, sl_arena *arena)
{
    return sl_sql(
        arena,
        "SELECT c.oid, c.relreplident, a.attname, a.atttypid, a.atttypmod,"
        " c.relreplident = 'f' OR %s, %s FROM pg_catalog.pg_class c"
        " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
        " LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0"
        " AND NOT a.attisdropped WHERE n.nspname = %L AND c.relname = %L ORDER BY a.attnum",
        key_sql(version, arena), version >= SL_PG_12 ? "a.attgenerated <> ''" : "false", schema,
        table);
}

static sl_rc gone(const sl_run *run, const char *schema, const char *table, sl_error *err)
{
    if (!sl_route_schema(run->routes, schema))
        return SL_NOT_FOUND;
    sl_fail(err, SL_FAILED,
            "the source's stream has changes of table %s.%s, which is not there any more", schema,
            table);
    return sl_hint(err,
                   "test_decoding does not tell whether it was dropped or renamed. Rename it back "
                   "and run again, or release the task and start it anew.");
}

sl_rc sl_lookup_table(void *self, const char *schema, const char *table, sl_arena *arena,
                      sl_catalog_table *out, sl_error *err)
{
    sl_lookup *l = self;
    SL_RESULT(res);
    if (!*l->source &&
        sl_run_connect(l->run, SL_SOURCE, "source catalog", 0, l->source, err) != SL_OK)
        return err->code;
    if (sl_pg_query(*l->source, table_sql((*l->source)->version, schema, table, arena), &res,
                    err) != SL_OK)
        return sl_while(err, "looking up table %s.%s of the stream", schema, table);
    if (PQntuples(res) == 0)
        return gone(l->run, schema, table, err);
    *out = (sl_catalog_table){ .oid = (uint32_t)sl_cell_int(res, 0, 0),
                               .identity = sl_cell(res, 0, 1)[0],
                               .columns = SL_NEW_ARRAY(arena, sl_catalog_column, PQntuples(res)) };
    for (int i = 0; i < PQntuples(res) && sl_cell(res, i, 2); i++)
        out->columns[out->n_columns++] =
            (sl_catalog_column){ .name = sl_arena_strdup(arena, sl_cell(res, i, 2)),
                                 .type = (uint32_t)sl_cell_int(res, i, 3),
                                 .typmod = (int32_t)sl_cell_int(res, i, 4),
                                 .key = sl_cell_bool(res, i, 5),
                                 .generated = sl_cell_bool(res, i, 6) };
    return SL_OK;
}
