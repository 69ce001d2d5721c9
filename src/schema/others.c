/* others.c: objects of selected schemas, and on selected tables, that are not synchronized yet:
 * listed by name, so that nobody has to find out what is missing. Members of extensions are left
 * out. */
#include "schema/internal.h"

static void other_row(sl_cat *cat, const PGresult *row)
{
    uint32_t classid = sl_cat_oid(row, 0), oid = sl_cat_oid(row, 1);
    const char *schema = sl_cat_text(cat, row, 3);
    if (sl_cat_find(cat, classid, oid))
        return;
    sl_node *node =
        sl_cat_add(cat, classid, oid, SL_RANK_OTHER, sl_arena_strdup(cat->out, sl_cell(row, 0, 2)),
                   schema, sl_cat_text(cat, row, 4));
    node->phase = SL_PHASE_POST;
    node->unsupported = "not synchronized by this version";
    node->wanted = sl_cat_whole(cat, schema);
}

/* One line per catalog: catalog, kind, name, schema's column. */
static const struct {
    const char *catalog, *kind, *name, *schema, *where;
} sources[] = {
    { "pg_class", "'foreign table'", "o.relname", "o.relnamespace", "o.relkind = 'f'" },
    { "pg_conversion", "'conversion'", "o.conname", "o.connamespace", "true" },
    { "pg_ts_parser", "'text search parser'", "o.prsname", "o.prsnamespace", "true" },
    { "pg_ts_template", "'text search template'", "o.tmplname", "o.tmplnamespace", "true" },
};

sl_rc sl_cat_read_others(sl_cat *cat)
{
    SL_BUF(sql);
    for (size_t i = 0; i < sizeof(sources) / sizeof(sources[0]); i++)
        sl_sql_add(&sql,
                   "%sSELECT %L::regclass::oid, o.oid, %s, n.nspname, %s FROM %s o"
                   " JOIN pg_namespace n ON n.oid = %s WHERE o.oid >= 16384 AND %s",
                   i ? " UNION ALL " : "", sources[i].catalog, sources[i].kind, sources[i].name,
                   sources[i].catalog, sources[i].schema, sources[i].where);
    return sl_cat_each(cat, "other objects", sl_buf_str(&sql), other_row);
}
