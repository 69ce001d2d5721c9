/* sequences.c: sequences and their present values.
 *
 * A sequence is created before the tables whose defaults use it and handed to its owner by the
 * table (table_ddl.c). An identity column's sequence comes with the column. Values are set at the
 * end, from the source's last_value and is_called, a chunk of sequences per statement. */
#include "schema/internal.h"

#include <string.h>
#include "spec/names.h"

void sl_cat_sequence_options(sl_cat *cat, sl_buf *buf, const sl_cat_sequence *seq)
{
    sl_sql_add(buf, " START WITH %s INCREMENT BY %s MINVALUE %s MAXVALUE %s CACHE %s%s", seq->start,
               seq->increment, seq->min, seq->max, seq->cache, seq->cycle ? " CYCLE" : "");
}

static void emit_sequence(sl_cat *cat, sl_node *node)
{
    SL_BUF(sql);
    SL_BUF(after);
    const sl_cat_sequence *seq = node->data;
    const char *name = sl_cat_name(cat, seq->schema, seq->name);
    bool unlogged = seq->unlogged && cat->dst_version >= SL_PG_15;
    sl_sql_add(&sql, "CREATE %sSEQUENCE %s", unlogged ? "UNLOGGED " : "", name);
    if (cat->dst_version >= SL_PG_10) /* before, all are bigint, and the limits say the same */
        sl_sql_add(&sql, " AS %s", seq->type);
    sl_cat_sequence_options(cat, &sql, seq);
    sl_buf_putc(&sql, ';');
    if (seq->unlogged && !unlogged)
        sl_cat_detail(cat, node, "logged: unlogged sequences need PostgreSQL 15");
    sl_cat_add_comment(cat, &after, SL_CLASS_REL, node->oid, 0,
                       sl_sql(&cat->arena, "SEQUENCE %s", name));
    node->sql = sl_cat_keep(cat, &sql);
    node->after_sql = sl_cat_keep(cat, &after);
}

static void sequence_row(sl_cat *cat, const PGresult *row)
{
    sl_cat_sequence *seq = SL_NEW(&cat->arena, sl_cat_sequence);
    seq->oid = sl_cat_oid(row, 0);
    if (sl_cat_find(cat, SL_CLASS_REL, seq->oid))
        return;
    seq->schema = sl_cat_text(cat, row, 1);
    seq->name = sl_cat_text(cat, row, 2);
    seq->unlogged = sl_cat_char(row, 3) == 'u';
    seq->type = sl_cat_text(cat, row, 4);
    seq->start = sl_cat_text(cat, row, 5);
    seq->increment = sl_cat_text(cat, row, 6);
    seq->max = sl_cat_text(cat, row, 7);
    seq->min = sl_cat_text(cat, row, 8);
    seq->cache = sl_cat_text(cat, row, 9);
    seq->cycle = sl_cell_bool(row, 0, 10);
    seq->owner = sl_cat_oid(row, 11);
    seq->owner_attnum = (int)sl_cell_int(row, 0, 12);
    seq->identity = sl_cat_char(row, 13) == 'i';
    sl_cat_table *owner = sl_cat_table_of(cat, seq->owner);
    if (seq->identity) {
        sl_cat_column *column = owner ? sl_cat_column_of(owner, seq->owner_attnum) : NULL;
        if (column)
            column->sequence = seq;
        if (owner)
            sl_cat_alias(cat, SL_CLASS_REL, seq->oid, owner->node);
        return;
    }
    sl_node *node = sl_cat_add(cat, SL_CLASS_REL, seq->oid, SL_RANK_SEQUENCE, "sequence",
                               seq->schema, seq->name);
    node->wanted = owner || (seq->owner == 0 && sl_cat_whole(cat, seq->schema));
    node->pullable = node->required = true;
    node->data = seq;
    node->emit = emit_sequence;
    seq->node = node;
    if (owner)
        sl_cat_push(cat, &owner->owned, &owner->n_owned, seq);
}

/* Below 10 a sequence's settings are in the sequence itself: rows for those that may be read. */
typedef struct old_sequences {
    sl_buf rows; /* UNION ALL of what pg_sequence holds from 10 on */
} old_sequences;

static void old_sequence_row(sl_cat *cat, const PGresult *row)
{
    old_sequences *old = (old_sequences *)cat->reader;
    sl_sql_add(&old->rows,
               " UNION ALL SELECT %s::oid, 'bigint'::regtype::oid, start_value, increment_by,"
               " max_value, min_value, cache_value, is_cycled FROM %I.%I",
               sl_cell(row, 0, 0), sl_cell(row, 0, 1), sl_cell(row, 0, 2));
}

static sl_rc settings_before_10(sl_cat *cat, const char **sql)
{
    old_sequences old = { 0 };
    sl_buf_puts(&old.rows, "SELECT NULL::oid, NULL::oid, 0::bigint, 0::bigint, 0::bigint,"
                           " 0::bigint, 0::bigint, false WHERE false");
    cat->reader = &old;
    sl_rc rc = sl_cat_each(cat, "sequences",
                           "SELECT c.oid, n.nspname, c.relname FROM pg_class c JOIN pg_namespace n"
                           " ON n.oid = c.relnamespace WHERE c.relkind = 'S' AND c.relpersistence"
                           " <> 't' AND n.nspname !~ '^pg_' AND has_table_privilege(c.oid,"
                           " 'SELECT')",
                           old_sequence_row);
    *sql = sl_arena_strdup(&cat->arena, sl_buf_str(&old.rows));
    sl_buf_free(&old.rows);
    return rc;
}

sl_rc sl_cat_read_sequences(sl_cat *cat)
{
    const char *settings = "SELECT seqrelid, seqtypid, seqstart, seqincrement, seqmax, seqmin,"
                           " seqcache, seqcycle FROM pg_sequence";
    if (cat->version < SL_PG_10 && settings_before_10(cat, &settings) != SL_OK)
        return cat->err->code;
    return sl_cat_each(
        cat, "sequences",
        sl_sql(&cat->arena,
               "SELECT c.oid, n.nspname, c.relname, c.relpersistence, format_type(s.seqtypid,"
               " NULL), s.seqstart, s.seqincrement, s.seqmax, s.seqmin, s.seqcache, s.seqcycle,"
               " coalesce(d.refobjid, 0), d.refobjsubid, d.deptype FROM (%s) s(seqrelid, seqtypid,"
               " seqstart, seqincrement, seqmax, seqmin, seqcache, seqcycle)"
               " JOIN pg_class c ON c.oid = s.seqrelid"
               " JOIN pg_namespace n ON n.oid = c.relnamespace"
               " LEFT JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND"
               " d.objsubid = 0 AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')"
               " WHERE c.relpersistence <> 't' ORDER BY n.nspname, c.relname",
               settings),
        sequence_row);
}

/* --- values --- */

enum { CHUNK = 500 };

typedef struct sequence_name {
    const char *src, *dst; /* quoted */
} sequence_name;

/* As sl_cat_name, which follow.c prepares, says it; but here there is no catalog. */
static const char *destination_name(const sl_run *run, const sl_route *owner, const char *schema,
                                    const char *name, sl_arena *arena)
{
    const char *mapped = sl_route_schema(run->routes, schema);
    if (owner && mapped)
        name = sl_names_belonging(run->spec, owner->src_schema, owner->src_table, owner->dst_table,
                                  name, arena);
    else if (mapped)
        name = sl_names_table(run->spec, NULL, schema, name, arena);
    return sl_sql(arena, "%I.%I", mapped ? mapped : schema, name);
}

/* The task's sequences: owned by selected tables (identity too), used in their defaults, or
 * standing alone in a schema that is selected as a whole. */
static sl_rc list_sequences(sl_run *run, sl_pg *source, sl_arena *arena, sequence_name **names,
                            size_t *n, sl_error *err)
{
    SL_RESULT(res);
    SL_BUF(oids);
    SL_BUF(whole);
    const sl_routes *routes = run->routes;
    for (size_t i = 0; i < routes->n; i++)
        sl_sql_add(&oids, "%s%u", i ? "," : "", routes->items[i].oid);
    for (size_t i = 0; i < routes->n_schemas; i++)
        if (routes->schemas[i].whole)
            sl_sql_add(&whole, ", %L", routes->schemas[i].src);
    char *sql = sl_sql(
        arena,
        "WITH t AS (SELECT unnest('{%s}'::oid[]) AS oid),"
        " used AS (SELECT d.refobjid AS oid FROM t JOIN pg_attrdef a ON a.adrelid = t.oid"
        "  JOIN pg_depend d ON d.classid = 'pg_attrdef'::regclass AND d.objid = a.oid"
        "  AND d.refclassid = 'pg_class'::regclass)"
        " SELECT n.nspname, c.relname, coalesce(d.refobjid, 0) FROM pg_class c"
        " JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_depend d ON d.classid = "
        "'pg_class'::regclass AND d.objid = c.oid"
        "  AND d.objsubid = 0 AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')"
        " WHERE c.relkind = 'S' AND c.relpersistence <> 't' AND (d.refobjid IN (SELECT oid FROM t)"
        "  OR c.oid IN (SELECT oid FROM used)"
        "  OR (d.refobjid IS NULL AND n.nspname IN (NULL%s)"
        "   AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_class'::regclass"
        "    AND e.objid = c.oid AND e.deptype = 'e')))",
        sl_buf_str(&oids), sl_buf_str(&whole));
    if (sl_pg_query(source, sql, &res, err) != SL_OK)
        return sl_while(err, "listing sequences");
    *n = (size_t)PQntuples(res);
    *names = SL_NEW_ARRAY(arena, sequence_name, *n + 1);
    for (size_t i = 0; i < *n; i++) {
        const char *schema = sl_cell(res, (int)i, 0), *name = sl_cell(res, (int)i, 1);
        const sl_route *owner = sl_route_by_oid(routes, (uint32_t)sl_cell_int(res, (int)i, 2));
        (*names)[i].src = sl_sql(arena, "%I.%I", schema, name);
        (*names)[i].dst = destination_name(run, owner, schema, name, arena);
    }
    return SL_OK;
}

static sl_rc sync_chunk(sl_pg *source, sl_pg *destination, const sequence_name *names, size_t n,
                        sl_error *err)
{
    SL_RESULT(res);
    SL_BUF(sql);
    for (size_t i = 0; i < n; i++)
        sl_sql_add(&sql, "%sSELECT %zu, last_value, is_called FROM %s", i ? " UNION ALL " : "", i,
                   names[i].src);
    if (sl_pg_query(source, sl_buf_str(&sql), &res, err) != SL_OK) {
        sl_hint(err, "Grant SELECT on the sequences to the source's user.");
        return sl_while(err, "reading sequences");
    }
    sl_buf_clear(&sql);
    sl_sql_add(&sql,
               "SELECT pg_catalog.setval(v.s, v.value, v.called) FROM (SELECT"
               " pg_catalog.to_regclass(name::%s) AS s, value, called FROM (VALUES ",
               destination->version >= SL_PG_9_6 ? "text" : "cstring");
    for (int i = 0; i < PQntuples(res); i++)
        sl_sql_add(&sql, "%s(%L, %s::bigint, %L::bool)", i ? ", " : "",
                   names[sl_cell_int(res, i, 0)].dst, sl_cell(res, i, 1), sl_cell(res, i, 2));
    sl_buf_puts(&sql, ") AS v(name, value, called)) AS v WHERE v.s IS NOT NULL");
    if (sl_pg_query(destination, sl_buf_str(&sql), &res, err) != SL_OK)
        return sl_while(err, "setting sequences");
    return SL_OK;
}

sl_rc sl_schema_sync_sequences(sl_run *run, sl_pg *source, sl_pg *destination, sl_error *err)
{
    SL_SCRATCH(arena);
    sequence_name *names;
    size_t n = 0;
    sl_rc rc = list_sequences(run, source, &arena, &names, &n, err);
    for (size_t i = 0; i < n && rc == SL_OK; i += CHUNK)
        rc = sync_chunk(source, destination, names + i, n - i < CHUNK ? n - i : CHUNK, err);
    return rc;
}
