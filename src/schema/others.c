/* others.c: objects of selected schemas, and on selected tables, that are not synchronized yet:
 * listed by name, so that nobody has to find out what is missing. Members of extensions are left
 * out. */
#include "schema/internal.h"

#include <string.h>

static void other_row(sl_cat *cat, const PGresult *row)
{
    uint32_t classid = sl_cat_oid(row, 0), oid = sl_cat_oid(row, 1);
    const char *schema = sl_cat_text(cat, row, 3);
    sl_cat_table *table = sl_cat_table_of(cat, sl_cat_oid(row, 5));
    if (sl_cat_find(cat, classid, oid))
        return;
    sl_node *node = sl_cat_add(cat, classid, oid, SL_RANK_OTHER, sl_cat_text(cat, row, 2), schema,
                               sl_cat_text(cat, row, 4));
    node->phase = SL_PHASE_POST;
    node->unsupported = "not synchronized by this version";
    node->wanted = table || (sl_cell(row, 0, 5) == NULL && sl_cat_whole(cat, schema));
}

/* One line per catalog: class, kind, name, table, FROM, schema's column. */
static const struct {
    const char *catalog, *kind, *name, *table, *schema, *where;
} sources[] = {
    { "pg_class",
      "CASE o.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' ELSE"
      " 'foreign table' END",
      "o.relname", "NULL", "o.relnamespace", "o.relkind IN ('v', 'm', 'f')" },
    { "pg_proc", "'routine'", "o.oid::regprocedure::text", "NULL", "o.pronamespace", "true" },
    { "pg_operator", "'operator'", "o.oid::regoperator::text", "NULL", "o.oprnamespace", "true" },
    { "pg_opclass", "'operator class'", "o.opcname", "NULL", "o.opcnamespace", "true" },
    { "pg_opfamily", "'operator family'", "o.opfname", "NULL", "o.opfnamespace", "true" },
    { "pg_conversion", "'conversion'", "o.conname", "NULL", "o.connamespace", "true" },
    { "pg_ts_config", "'text search configuration'", "o.cfgname", "NULL", "o.cfgnamespace",
      "true" },
    { "pg_ts_dict", "'text search dictionary'", "o.dictname", "NULL", "o.dictnamespace", "true" },
    { "pg_ts_parser", "'text search parser'", "o.prsname", "NULL", "o.prsnamespace", "true" },
    { "pg_ts_template", "'text search template'", "o.tmplname", "NULL", "o.tmplnamespace", "true" },
    { "pg_statistic_ext", "'statistics'", "o.stxname", "o.stxrelid", "o.stxnamespace", "true" },
    { "pg_trigger", "'trigger'", "o.tgname || ' on ' || r.relname", "o.tgrelid", "r.relnamespace",
      "NOT o.tgisinternal" },
    { "pg_rewrite", "'rule'", "o.rulename || ' on ' || r.relname", "o.ev_class", "r.relnamespace",
      "o.rulename <> '_RETURN'" },
    { "pg_policy", "'policy'", "o.polname || ' on ' || r.relname", "o.polrelid", "r.relnamespace",
      "true" },
};

sl_rc sl_cat_read_others(sl_cat *cat)
{
    SL_BUF(sql);
    for (size_t i = 0; i < sizeof(sources) / sizeof(sources[0]); i++) {
        bool on_table = strcmp(sources[i].table, "NULL") != 0;
        sl_sql_add(&sql, "%sSELECT %L::regclass::oid, o.oid, %s, n.nspname, %s, %s::oid FROM %s o",
                   i ? " UNION ALL " : "", sources[i].catalog, sources[i].kind, sources[i].name,
                   sources[i].table, sources[i].catalog);
        if (on_table)
            sl_sql_add(&sql, " JOIN pg_class r ON r.oid = %s", sources[i].table);
        sl_sql_add(&sql, " JOIN pg_namespace n ON n.oid = %s WHERE o.oid >= 16384 AND %s",
                   sources[i].schema, sources[i].where);
    }
    return sl_cat_each(cat, "other objects", sl_buf_str(&sql), other_row);
}
