/* views.c: queries for views and for what lies on tables: statistics, rules, triggers, policies;
 * see verbatim.h. */
#include "schema/verbatim.h"

/* A view's rule and row types are other keys of it; columns may have defaults and comments. */
#define VIEW_ALIASES                                                                               \
    "concat_ws(' ', 2618, (SELECT w.oid FROM pg_rewrite w WHERE w.ev_class = c.oid AND"            \
    " w.rulename = '_RETURN'), 1247, c.reltype, 1247, (SELECT t.typarray FROM pg_type t WHERE"     \
    " t.oid = c.reltype))"
#define COLUMN_COMMENTS                                                                            \
    "(SELECT string_agg(format('COMMENT ON COLUMN %I.%I.%I IS %L;', n.nspname, c.relname,"         \
    " a.attname, d.description), E'\\n' ORDER BY a.attnum) FROM pg_description d JOIN"             \
    " pg_attribute a ON a.attrelid = d.objoid AND a.attnum = d.objsubid WHERE d.objoid = c.oid"    \
    " AND d.classoid = 'pg_class'::regclass AND d.objsubid > 0)"
#define OPTIONS                                                                                    \
    "(SELECT ' WITH (' || string_agg(format('%I=%L', split_part(o, '=', 1),"                       \
    " substr(o, strpos(o, '=') + 1)), ', ') || ')' FROM unnest(c.reloptions) o)"

const char *sl_query_views(sl_cat *cat)
{
    return "SELECT c.oid, 'view', n.nspname, c.relname, NULL,"
           " format(E'CREATE VIEW %I.%I%s AS\\n%s', n.nspname, c.relname, " OPTIONS
           ", pg_get_viewdef(c.oid)), concat_ws(E'\\n', (SELECT string_agg(format('ALTER VIEW %I.%I"
           " ALTER COLUMN %I SET DEFAULT %s;', n.nspname, c.relname, a.attname,"
           " pg_get_expr(f.adbin, f.adrelid)), E'\\n' ORDER BY a.attnum) FROM pg_attrdef f JOIN"
           " pg_attribute a ON a.attrelid = f.adrelid AND a.attnum = f.adnum WHERE f.adrelid ="
           " c.oid), " COLUMN_COMMENTS
           "), NULL, format('VIEW %I.%I', n.nspname, c.relname), " VIEW_ALIASES
           ", NULL FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
           " WHERE c.relkind = 'v' AND c.relpersistence <> 't' AND " NOT_A_MEMBER("pg_class", "c");
}

const char *sl_query_materialized_views(sl_cat *cat)
{
    return "SELECT c.oid, 'materialized view', n.nspname, c.relname, NULL,"
           " format(E'CREATE MATERIALIZED VIEW %I.%I%s AS\\n%s\\nWITH NO DATA;', n.nspname,"
           " c.relname, " OPTIONS ", rtrim(pg_get_viewdef(c.oid), '; ')), " COLUMN_COMMENTS ","
           " CASE WHEN c.relispopulated THEN format('REFRESH MATERIALIZED VIEW %I.%I', n.nspname,"
           " c.relname) END, format('MATERIALIZED VIEW %I.%I', n.nspname, c.relname), " VIEW_ALIASES
           ", NULL FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
           " WHERE c.relkind = 'm' AND " NOT_A_MEMBER("pg_class", "c");
}

const char *sl_query_materialized_view_columns(sl_cat *cat)
{
    const char *compression = "NULL";
    if (cat->version >= SL_PG_14 && cat->dst_version >= SL_PG_14)
        compression = "CASE a.attcompression WHEN 'p' THEN s.head || 'COMPRESSION pglz;' WHEN 'l'"
                      " THEN s.head || 'COMPRESSION lz4;' END";
    return sl_sql(
        &cat->arena,
        "SELECT * FROM (SELECT c.oid, 'column settings', n.nspname, c.relname, c.oid,"
        " string_agg(concat_ws(E'\\n', CASE WHEN a.attstorage <> y.typstorage THEN s.head || "
        "'STORAGE '"
        " || CASE a.attstorage WHEN 'p' THEN 'PLAIN;' WHEN 'e' THEN 'EXTERNAL;' WHEN 'm' THEN"
        " 'MAIN;' ELSE 'EXTENDED;' END END, CASE WHEN a.attstattarget >= 0 THEN s.head ||"
        " 'STATISTICS ' || a.attstattarget || ';' END, %s), E'\\n') AS settings, NULL, NULL, NULL,"
        " NULL, NULL FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped"
        " JOIN pg_type y ON y.oid = a.atttypid CROSS JOIN LATERAL (SELECT format('ALTER "
        "MATERIALIZED"
        " VIEW %%I.%%I ALTER COLUMN %%I SET ', n.nspname, c.relname, a.attname) AS head) s"
        " WHERE c.relkind = 'm' GROUP BY 1, 2, 3, 4) v WHERE v.settings <> ''",
        compression);
}

const char *sl_query_materialized_view_indexes(sl_cat *cat)
{
    return "SELECT i.indexrelid, 'index', n.nspname, c.relname, i.indrelid,"
           " pg_get_indexdef(i.indexrelid) || ';', CASE WHEN i.indisclustered THEN"
           " format('ALTER MATERIALIZED VIEW %I.%I CLUSTER ON %I;', n.nspname, r.relname, "
           "c.relname)"
           " END, NULL, format('INDEX %I.%I', n.nspname, c.relname), NULL, NULL FROM pg_index i"
           " JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_class r ON r.oid = i.indrelid"
           " JOIN pg_namespace n ON n.oid = c.relnamespace WHERE r.relkind = 'm' AND i.indisvalid";
}

const char *sl_query_statistics(sl_cat *cat)
{
    const char *target =
        SL_SINCE(cat, SL_PG_13,
                 "CASE WHEN s.stxstattarget >= 0 THEN format('ALTER STATISTICS %I.%I SET STATISTICS"
                 " %s;', n.nspname, s.stxname, s.stxstattarget) END",
                 "NULL");
    return sl_sql(&cat->arena,
                  "SELECT s.oid, 'statistics', n.nspname, s.stxname, s.stxrelid,"
                  " pg_get_statisticsobjdef(s.oid) || ';', %s, NULL,"
                  " format('STATISTICS %%I.%%I', n.nspname, s.stxname), NULL, NULL"
                  " FROM pg_statistic_ext s JOIN pg_namespace n ON n.oid = s.stxnamespace",
                  target);
}

#define ENABLED_STATE(what, column, name)                                                          \
    "CASE " column " WHEN 'D' THEN format('ALTER TABLE %%I.%%I DISABLE " what " %%I;', n.nspname," \
    " r.relname, " name ") WHEN 'R' THEN format('ALTER TABLE %%I.%%I ENABLE REPLICA " what         \
    " %%I;', n.nspname, r.relname, " name ") WHEN 'A' THEN format('ALTER TABLE %%I.%%I ENABLE"     \
    " ALWAYS " what " %%I;', n.nspname, r.relname, " name ") END"
#define MUTED(what, column, name)                                                                  \
    "CASE WHEN r.relkind IN ('r', 'p') AND " column " <> 'D' THEN format('ALTER TABLE %%I.%%I"     \
    " DISABLE " what " %%I;', n.nspname, r.relname, " name ") END"

const char *sl_query_triggers(sl_cat *cat)
{
    const char *definition =
        cat->dst_version >= SL_PG_11
            ? "pg_get_triggerdef(t.oid)"
            : "regexp_replace(pg_get_triggerdef(t.oid), '^(.*) EXECUTE FUNCTION ',"
              " '\\1 EXECUTE PROCEDURE ')";
    return sl_sql(
        &cat->arena,
        "SELECT t.oid, 'trigger', n.nspname, format('%%s.%%s', " LABEL("r.relname") ", " LABEL(
            "t.tgname") "),"
                        " t.tgrelid, %s || ';', " ENABLED_STATE(
                            "TRIGGER", "t.tgenabled",
                            "t.tgname") ", NULL, format('TRIGGER %%I ON %%I.%%I', t.tgname, "
                                        "n.nspname, r.relname), "
                                        "NULL, " MUTED("TRIGGER", "t.tgenabled",
                                                       "t.tgname") " FROM pg_trigger t JOIN "
                                                                   "pg_class r ON r.oid = "
                                                                   "t.tgrelid"
                                                                   " JOIN pg_namespace n ON n.oid "
                                                                   "= r.relnamespace"
                                                                   " WHERE NOT t.tgisinternal AND "
                                                                   "t.oid >= 16384%s",
        definition, SL_SINCE(cat, SL_PG_13, " AND t.tgparentid = 0", ""));
}

/* A partition's copy of its table's trigger can be switched on its own. */
const char *sl_query_trigger_states(sl_cat *cat)
{
    return sl_sql(
        &cat->arena,
        "SELECT t.oid, 'trigger state', n.nspname, format('%%s.%%s', " LABEL(
            "r.relname") ", " LABEL("t.tgname") "),"
                                                " t.tgrelid, CASE t.tgenabled WHEN 'O' THEN "
                                                "format('ALTER TABLE %%I.%%I ENABLE"
                                                " TRIGGER %%I;', n.nspname, r.relname, t.tgname) "
                                                "ELSE " ENABLED_STATE(
                                                    "TRIGGER", "t.tgenabled",
                                                    "t.tgname") " END, NULL, NULL, NULL, "
                                                                "NULL, " MUTED("TRIGGER",
                                                                               "t.tgenabled",
                                                                               "t.tgname") " FROM "
                                                                                           "pg_"
                                                                                           "trigger"
                                                                                           " t "
                                                                                           "JOIN "
                                                                                           "pg_"
                                                                                           "trigger"
                                                                                           " p ON "
                                                                                           "p.oid "
                                                                                           "= "
                                                                                           "t."
                                                                                           "tgparen"
                                                                                           "tid"
                                                                                           " JOIN "
                                                                                           "pg_"
                                                                                           "class "
                                                                                           "r ON "
                                                                                           "r.oid "
                                                                                           "= "
                                                                                           "t."
                                                                                           "tgrelid"
                                                                                           " JOIN "
                                                                                           "pg_"
                                                                                           "namespa"
                                                                                           "ce n "
                                                                                           "ON "
                                                                                           "n.oid ="
                                                                                           " r."
                                                                                           "relname"
                                                                                           "space "
                                                                                           "WHERE "
                                                                                           "t."
                                                                                           "tgenabl"
                                                                                           "ed <> "
                                                                                           "p."
                                                                                           "tgenabl"
                                                                                           "ed AND "
                                                                                           "NOT "
                                                                                           "p."
                                                                                           "tgisint"
                                                                                           "ernal");
}

const char *sl_query_rules(sl_cat *cat)
{
    return sl_sql(
        &cat->arena,
        "SELECT w.oid, 'rule', n.nspname, format('%%s.%%s', " LABEL("r.relname") ", " LABEL(
            "w.rulename") "),"
                          " w.ev_class, pg_get_ruledef(w.oid), " ENABLED_STATE(
                              "RULE", "w.ev_enabled",
                              "w.rulename") ", NULL, format('RULE %%I ON %%I.%%I', w.rulename, "
                                            "n.nspname, "
                                            "r.relname), NULL, " MUTED(
                                                "RULE", "w.ev_enabled",
                                                "w.rulename") " FROM pg_rewrite w JOIN "
                                                              "pg_class r ON r.oid = "
                                                              "w.ev_class"
                                                              " JOIN pg_namespace n ON n.oid "
                                                              "= r.relnamespace"
                                                              " WHERE w.rulename <> '_RETURN' "
                                                              "AND w.oid >= 16384");
}

const char *sl_query_policies(sl_cat *cat)
{
    return sl_sql(
        &cat->arena,
        "SELECT p.oid, 'policy', n.nspname, format('%%s.%%s', " LABEL("r.relname") ", " LABEL(
            "p.polname") "), p.polrelid,"
                         " format('CREATE POLICY %%I ON %%I.%%I%%s FOR %%s TO %%s%%s%%s;', "
                         "p.polname, n.nspname,"
                         " r.relname, CASE WHEN NOT %s THEN ' AS RESTRICTIVE'%s END,"
                         " CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' "
                         "THEN 'UPDATE'"
                         " WHEN 'd' THEN 'DELETE' ELSE 'ALL' END, CASE WHEN p.polroles = '{0}' "
                         "THEN 'PUBLIC' ELSE"
                         " (SELECT string_agg(quote_ident(o.rolname), ', ' ORDER BY o.rolname) "
                         "FROM pg_roles o"
                         " WHERE o.oid = ANY (p.polroles)) END,"
                         " ' USING (' || pg_get_expr(p.polqual, p.polrelid) || ')',"
                         " ' WITH CHECK (' || pg_get_expr(p.polwithcheck, p.polrelid) || ')'), "
                         "NULL, NULL,"
                         " format('POLICY %%I ON %%I.%%I', p.polname, n.nspname, r.relname), NULL, "
                         "NULL"
                         " FROM pg_policy p JOIN pg_class r ON r.oid = p.polrelid"
                         " JOIN pg_namespace n ON n.oid = r.relnamespace",
        SL_SINCE(cat, SL_PG_10, "p.polpermissive", "true"),
        cat->dst_version >= SL_PG_10 ? " ELSE ' AS PERMISSIVE'" : "");
}

const char *sl_query_row_security(sl_cat *cat)
{
    return "SELECT r.oid, 'row security', n.nspname, r.relname, r.oid, concat_ws(E'\\n',"
           " CASE WHEN r.relrowsecurity THEN format('ALTER TABLE %I.%I ENABLE ROW LEVEL SECURITY;',"
           " n.nspname, r.relname) END, CASE WHEN r.relforcerowsecurity THEN format('ALTER TABLE"
           " ONLY %I.%I FORCE ROW LEVEL SECURITY;', n.nspname, r.relname) END), NULL, NULL, NULL,"
           " NULL, NULL FROM pg_class r JOIN pg_namespace n ON n.oid = r.relnamespace"
           " WHERE (r.relrowsecurity OR r.relforcerowsecurity) AND r.oid >= 16384";
}
