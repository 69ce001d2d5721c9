/* verbatim.c: objects whose definition the server writes itself: routines, aggregates, operators,
 * casts, text search, views, triggers, rules, policies, statistics.
 *
 * Each kind is a query whose rows are whole objects: statements under an empty search_path, so
 * every name in them is schema-qualified. Those of schemas selected as a whole and those on
 * selected tables are wanted; routines and what expressions call are pulled in from anywhere when
 * they are needed.
 *
 * "OR REPLACE" is taken out of the server's text: a routine that is in the destination stays. */
#include <stdlib.h>
#include <string.h>

#include "schema/internal.h"

enum { OID, KIND, SCHEMA, NAME, TABLE, SQL, AFTER, VALIDATE, COMMENT_ON, ALIASES, MUTE };

typedef struct verbatim {
    const char *sql, *after, *validate, *comment_on, *mute;
} verbatim;

/* What rows of a kind have in common. */
typedef struct verbatim_kind {
    uint32_t classid;
    sl_rank rank;
    sl_phase phase;
    bool pullable;
    const char *what;
    const char *(*query)(sl_cat *cat);
} verbatim_kind;

#define NOT_A_MEMBER(catalog, alias)                                                               \
    alias ".oid >= 16384 AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = '" catalog      \
          "'::regclass AND e.objid = " alias ".oid AND e.deptype IN ('e', 'i'))"

static const char *routines(sl_cat *cat)
{
    return sl_sql(
        &cat->arena,
        "SELECT p.oid, %s, n.nspname, format('%%s(%%s)', p.proname, a.args), NULL,"
        " regexp_replace(pg_get_functiondef(p.oid), '^CREATE OR REPLACE', 'CREATE') || ';', NULL,"
        " NULL, format('%%s %%I.%%I(%%s)', %s, n.nspname, p.proname, a.args), NULL, NULL"
        " FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace"
        " CROSS JOIN LATERAL (SELECT pg_get_function_identity_arguments(p.oid) AS args) a"
        " WHERE %s AND " NOT_A_MEMBER("pg_proc", "p"),
        SL_SINCE(cat, SL_PG_11, "CASE p.prokind WHEN 'p' THEN 'procedure' ELSE 'function' END",
                 "'function'"),
        SL_SINCE(cat, SL_PG_11, "CASE p.prokind WHEN 'p' THEN 'PROCEDURE' ELSE 'FUNCTION' END",
                 "'FUNCTION'"),
        SL_SINCE(cat, SL_PG_11, "p.prokind <> 'a'", "NOT p.proisagg"));
}

/* An option of CREATE AGGREGATE that is a function, a type or a number, when it is set. */
#define FUNCTION_OPTION(name, column)                                                              \
    "CASE WHEN a." column " <> 0 THEN '" name " = ' || a." column "::regproc END, "
#define SPACE_OPTION(name, column)                                                                 \
    "CASE WHEN a." column " <> 0 THEN '" name " = ' || a." column " END, "
#define MODIFY_OPTION(name, column)                                                                \
    "CASE WHEN a." column                                                                          \
    " <> CASE a.aggkind WHEN 'n' THEN 'r' ELSE 'w' END::\"char\" THEN '" name                      \
    " = ' || CASE a." column " WHEN 'r' THEN 'READ_ONLY' WHEN 's' THEN 'SHAREABLE'"                \
    " ELSE 'READ_WRITE' END END, "

static const char *aggregates(sl_cat *cat)
{
    return sl_sql(
        &cat->arena,
        "SELECT p.oid, 'aggregate', n.nspname, format('%%s(%%s)', p.proname, s.args), NULL,"
        " format(E'CREATE AGGREGATE %%I.%%I(%%s) (\\n    %%s\\n);', n.nspname, p.proname, s.args,"
        " concat_ws(E',\\n    ', 'SFUNC = ' || a.aggtransfn::regproc,"
        " 'STYPE = ' || format_type(a.aggtranstype, NULL), " SPACE_OPTION("SSPACE", "aggtransspace")
            FUNCTION_OPTION(
                "FINALFUNC",
                "aggfinalfn") "CASE WHEN a.aggfinalextra THEN 'FINALFUNC_EXTRA' END, "
                              "%s" FUNCTION_OPTION("COMBINEFUNC", "aggcombinefn")
                                  FUNCTION_OPTION("SERIALFUNC", "aggserialfn") FUNCTION_OPTION(
                                      "DESERIALFUNC",
                                      "aggdeserialfn") "'INITCOND = ' || "
                                                       "quote_literal(a.agginitval),"
                                                       " " FUNCTION_OPTION("MSFUNC", "aggmtransfn") FUNCTION_OPTION(
                                                           "MINVFUNC",
                                                           "aggminvtransfn") "CASE WHEN "
                                                                             "a.aggmtranstype "
                                                                             "<> 0 THEN "
                                                                             "'MSTYPE = ' || "
                                                                             "format_type(a."
                                                                             "aggmtranstype, "
                                                                             "NULL)"
                                                                             " END,"
                                                                             " " SPACE_OPTION(
                                                                                 "MSSPACE",
                                                                                 "aggmtransspac"
                                                                                 "e")
                                                                                 FUNCTION_OPTION(
                                                                                     "MFINALFUN"
                                                                                     "C",
                                                                                     "aggmfinal"
                                                                                     "fn") "CAS"
                                                                                           "E "
                                                                                           "WHE"
                                                                                           "N "
                                                                                           "a."
                                                                                           "agg"
                                                                                           "mfi"
                                                                                           "nal"
                                                                                           "ext"
                                                                                           "ra "
                                                                                           "THE"
                                                                                           "N "
                                                                                           "'MF"
                                                                                           "INA"
                                                                                           "LFU"
                                                                                           "NC_"
                                                                                           "EXT"
                                                                                           "RA'"
                                                                                           " EN"
                                                                                           "D, "
                                                                                           "%s"
                                                                                           "'MI"
                                                                                           "NIT"
                                                                                           "CON"
                                                                                           "D "
                                                                                           "= "
                                                                                           "' "
                                                                                           "|| "
                                                                                           "quo"
                                                                                           "te_"
                                                                                           "lit"
                                                                                           "era"
                                                                                           "l("
                                                                                           "a."
                                                                                           "agg"
                                                                                           "min"
                                                                                           "itv"
                                                                                           "al)"
                                                                                           ","
                                                                                           " CA"
                                                                                           "SE "
                                                                                           "WHE"
                                                                                           "N "
                                                                                           "a."
                                                                                           "agg"
                                                                                           "sor"
                                                                                           "top"
                                                                                           " <>"
                                                                                           " 0 "
                                                                                           "THE"
                                                                                           "N "
                                                                                           "for"
                                                                                           "mat"
                                                                                           "('"
                                                                                           "SOR"
                                                                                           "TOP"
                                                                                           " = "
                                                                                           "OPE"
                                                                                           "RAT"
                                                                                           "OR("
                                                                                           "%%"
                                                                                           "s)'"
                                                                                           ", "
                                                                                           "a."
                                                                                           "agg"
                                                                                           "sor"
                                                                                           "top"
                                                                                           "::"
                                                                                           "reg"
                                                                                           "ope"
                                                                                           "r)"
                                                                                           " EN"
                                                                                           "D, "
                                                                                           "CAS"
                                                                                           "E "
                                                                                           "WHE"
                                                                                           "N "
                                                                                           "a."
                                                                                           "agg"
                                                                                           "kin"
                                                                                           "d "
                                                                                           "= "
                                                                                           "'h'"
                                                                                           " TH"
                                                                                           "EN "
                                                                                           "'HY"
                                                                                           "POT"
                                                                                           "HET"
                                                                                           "ICA"
                                                                                           "L' "
                                                                                           "END"
                                                                                           ","
                                                                                           " CA"
                                                                                           "SE "
                                                                                           "p."
                                                                                           "pro"
                                                                                           "par"
                                                                                           "all"
                                                                                           "el "
                                                                                           "WHE"
                                                                                           "N "
                                                                                           "'s'"
                                                                                           " TH"
                                                                                           "EN "
                                                                                           "'PA"
                                                                                           "RAL"
                                                                                           "LEL"
                                                                                           " = "
                                                                                           "SAF"
                                                                                           "E' "
                                                                                           "WHE"
                                                                                           "N "
                                                                                           "'r'"
                                                                                           " TH"
                                                                                           "EN "
                                                                                           "'PA"
                                                                                           "RAL"
                                                                                           "LEL"
                                                                                           " = "
                                                                                           "RES"
                                                                                           "TRI"
                                                                                           "CTE"
                                                                                           "D'"
                                                                                           " EN"
                                                                                           "D))"
                                                                                           ", "
                                                                                           "NUL"
                                                                                           "L, "
                                                                                           "NUL"
                                                                                           "L, "
                                                                                           "for"
                                                                                           "mat"
                                                                                           "('"
                                                                                           "AGG"
                                                                                           "REG"
                                                                                           "ATE"
                                                                                           " %%"
                                                                                           "I.%"
                                                                                           "%I("
                                                                                           "%%"
                                                                                           "s)'"
                                                                                           ", "
                                                                                           "n."
                                                                                           "nsp"
                                                                                           "nam"
                                                                                           "e, "
                                                                                           "p."
                                                                                           "pro"
                                                                                           "nam"
                                                                                           "e, "
                                                                                           "s."
                                                                                           "arg"
                                                                                           "s),"
                                                                                           " NU"
                                                                                           "LL,"
                                                                                           " NU"
                                                                                           "LL "
                                                                                           "FRO"
                                                                                           "M "
                                                                                           "pg_"
                                                                                           "agg"
                                                                                           "reg"
                                                                                           "ate"
                                                                                           " a "
                                                                                           "JOI"
                                                                                           "N "
                                                                                           "pg_"
                                                                                           "pro"
                                                                                           "c "
                                                                                           "p "
                                                                                           "ON "
                                                                                           "p."
                                                                                           "oid"
                                                                                           " = "
                                                                                           "a."
                                                                                           "agg"
                                                                                           "fno"
                                                                                           "id"
                                                                                           " JO"
                                                                                           "IN "
                                                                                           "pg_"
                                                                                           "nam"
                                                                                           "esp"
                                                                                           "ace"
                                                                                           " n "
                                                                                           "ON "
                                                                                           "n."
                                                                                           "oid"
                                                                                           " = "
                                                                                           "p."
                                                                                           "pro"
                                                                                           "nam"
                                                                                           "esp"
                                                                                           "ace"
                                                                                           " CR"
                                                                                           "OSS"
                                                                                           " JO"
                                                                                           "IN "
                                                                                           "LAT"
                                                                                           "ERA"
                                                                                           "L "
                                                                                           "(SE"
                                                                                           "LEC"
                                                                                           "T"
                                                                                           " co"
                                                                                           "ale"
                                                                                           "sce"
                                                                                           "(nu"
                                                                                           "lli"
                                                                                           "f("
                                                                                           "pg_"
                                                                                           "get"
                                                                                           "_fu"
                                                                                           "nct"
                                                                                           "ion"
                                                                                           "_id"
                                                                                           "ent"
                                                                                           "ity"
                                                                                           "_ar"
                                                                                           "gum"
                                                                                           "ent"
                                                                                           "s("
                                                                                           "p."
                                                                                           "oid"
                                                                                           "), "
                                                                                           "'')"
                                                                                           ", "
                                                                                           "'*'"
                                                                                           ") "
                                                                                           "AS "
                                                                                           "arg"
                                                                                           "s) "
                                                                                           "s"
                                                                                           " WH"
                                                                                           "ERE"
                                                                                           " " NOT_A_MEMBER(
                                                                                               "pg_"
                                                                                               "pro"
                                                                                               "c",
                                                                                               "p"),
        SL_SINCE(cat, SL_PG_11, MODIFY_OPTION("FINALFUNC_MODIFY", "aggfinalmodify"), ""),
        SL_SINCE(cat, SL_PG_11, MODIFY_OPTION("MFINALFUNC_MODIFY", "aggmfinalmodify"), ""));
}

static const char *operators(sl_cat *cat)
{
    return "SELECT o.oid, 'operator', n.nspname, format('%s(%s, %s)', o.oprname, s.l, s.r), NULL,"
           " format('CREATE OPERATOR %I.%s (%s);', n.nspname, o.oprname, concat_ws(', ',"
           " 'PROCEDURE = ' || o.oprcode, 'LEFTARG = ' || nullif(s.l, 'NONE'),"
           " 'RIGHTARG = ' || nullif(s.r, 'NONE'),"
           " CASE WHEN o.oprcom <> 0 THEN format('COMMUTATOR = OPERATOR(%s)', o.oprcom::regoper) "
           "END,"
           " CASE WHEN o.oprnegate <> 0 THEN format('NEGATOR = OPERATOR(%s)', o.oprnegate::regoper)"
           " END, CASE WHEN o.oprrest <> 0 THEN 'RESTRICT = ' || o.oprrest END,"
           " CASE WHEN o.oprjoin <> 0 THEN 'JOIN = ' || o.oprjoin END,"
           " CASE WHEN o.oprcanhash THEN 'HASHES' END, CASE WHEN o.oprcanmerge THEN 'MERGES' END)),"
           " NULL, NULL, format('OPERATOR %I.%s (%s, %s)', n.nspname, o.oprname, s.l, s.r), NULL, "
           "NULL"
           " FROM pg_operator o JOIN pg_namespace n ON n.oid = o.oprnamespace CROSS JOIN LATERAL"
           " (SELECT CASE WHEN o.oprleft = 0 THEN 'NONE' ELSE format_type(o.oprleft, NULL) END AS "
           "l,"
           " CASE WHEN o.oprright = 0 THEN 'NONE' ELSE format_type(o.oprright, NULL) END AS r) s"
           " WHERE o.oprcode <> 0 AND " NOT_A_MEMBER("pg_operator", "o");
}

static const char *casts(sl_cat *cat)
{
    return "SELECT c.oid, 'cast', n.nspname, s.name, NULL, format('CREATE CAST %s %s%s;', s.name,"
           " CASE c.castmethod WHEN 'i' THEN 'WITH INOUT' WHEN 'b' THEN 'WITHOUT FUNCTION' ELSE"
           " 'WITH FUNCTION ' || c.castfunc::regprocedure END, CASE c.castcontext WHEN 'i' THEN"
           " ' AS IMPLICIT' WHEN 'a' THEN ' AS ASSIGNMENT' ELSE '' END), NULL, NULL,"
           " 'CAST ' || s.name, NULL, NULL FROM pg_cast c CROSS JOIN LATERAL (SELECT"
           " format('(%s AS %s)', format_type(c.castsource, NULL), format_type(c.casttarget, NULL))"
           " AS name, coalesce((SELECT pronamespace FROM pg_proc p WHERE p.oid = c.castfunc AND"
           " p.oid >= 16384), (SELECT typnamespace FROM pg_type t WHERE t.oid IN (c.castsource,"
           " c.casttarget) AND t.oid >= 16384 ORDER BY t.oid LIMIT 1)) AS nsp) s"
           " JOIN pg_namespace n ON n.oid = s.nsp WHERE " NOT_A_MEMBER("pg_cast", "c");
}

static const char *dictionaries(sl_cat *cat)
{
    return "SELECT d.oid, 'text search dictionary', n.nspname, d.dictname, NULL,"
           " format('CREATE TEXT SEARCH DICTIONARY %I.%I (TEMPLATE = %I.%I%s);', n.nspname,"
           " d.dictname, tn.nspname, t.tmplname, ', ' || d.dictinitoption), NULL, NULL,"
           " format('TEXT SEARCH DICTIONARY %I.%I', n.nspname, d.dictname), NULL, NULL"
           " FROM pg_ts_dict d JOIN pg_namespace n ON n.oid = d.dictnamespace"
           " JOIN pg_ts_template t ON t.oid = d.dicttemplate"
           " JOIN pg_namespace tn ON tn.oid = t.tmplnamespace WHERE " NOT_A_MEMBER("pg_ts_dict",
                                                                                   "d");
}

static const char *configurations(sl_cat *cat)
{
    return "SELECT c.oid, 'text search configuration', n.nspname, c.cfgname, NULL,"
           " format('CREATE TEXT SEARCH CONFIGURATION %I.%I (PARSER = %I.%I);', n.nspname,"
           " c.cfgname, pn.nspname, p.prsname), (SELECT string_agg(format('ALTER TEXT SEARCH"
           " CONFIGURATION %I.%I ADD MAPPING FOR %I WITH %s;', n.nspname, c.cfgname, m.alias,"
           " m.dicts), E'\\n' ORDER BY m.alias) FROM (SELECT t.alias, string_agg("
           " m.mapdict::regdictionary::text, ', ' ORDER BY m.mapseqno) AS dicts FROM "
           "pg_ts_config_map"
           " m JOIN ts_token_type(c.cfgparser) t ON t.tokid = m.maptokentype WHERE m.mapcfg = c.oid"
           " GROUP BY t.alias) m), NULL,"
           " format('TEXT SEARCH CONFIGURATION %I.%I', n.nspname, c.cfgname), NULL, NULL"
           " FROM pg_ts_config c JOIN pg_namespace n ON n.oid = c.cfgnamespace"
           " JOIN pg_ts_parser p ON p.oid = c.cfgparser"
           " JOIN pg_namespace pn ON pn.oid = p.prsnamespace"
           " WHERE " NOT_A_MEMBER("pg_ts_config", "c");
}

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

static const char *views(sl_cat *cat)
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

static const char *materialized_views(sl_cat *cat)
{
    return "SELECT c.oid, 'materialized view', n.nspname, c.relname, NULL,"
           " format(E'CREATE MATERIALIZED VIEW %I.%I%s AS\\n%s\\nWITH NO DATA;', n.nspname,"
           " c.relname, " OPTIONS ", rtrim(pg_get_viewdef(c.oid), '; ')), " COLUMN_COMMENTS ","
           " CASE WHEN c.relispopulated THEN format('REFRESH MATERIALIZED VIEW %I.%I', n.nspname,"
           " c.relname) END, format('MATERIALIZED VIEW %I.%I', n.nspname, c.relname), " VIEW_ALIASES
           ", NULL FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
           " WHERE c.relkind = 'm' AND " NOT_A_MEMBER("pg_class", "c");
}

static const char *materialized_view_indexes(sl_cat *cat)
{
    return "SELECT i.indexrelid, 'index', n.nspname, c.relname, i.indrelid,"
           " pg_get_indexdef(i.indexrelid) || ';', CASE WHEN i.indisclustered THEN"
           " format('ALTER MATERIALIZED VIEW %I.%I CLUSTER ON %I;', n.nspname, r.relname, "
           "c.relname)"
           " END, NULL, format('INDEX %I.%I', n.nspname, c.relname), NULL, NULL FROM pg_index i"
           " JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_class r ON r.oid = i.indrelid"
           " JOIN pg_namespace n ON n.oid = c.relnamespace WHERE r.relkind = 'm' AND i.indisvalid";
}

static const char *statistics(sl_cat *cat)
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

static const char *triggers(sl_cat *cat)
{
    return sl_sql(
        &cat->arena,
        "SELECT t.oid, 'trigger', n.nspname, format('%%s.%%s', r.relname, t.tgname),"
        " t.tgrelid, pg_get_triggerdef(t.oid) || ';', " ENABLED_STATE(
            "TRIGGER", "t.tgenabled",
            "t.tgname") ", NULL, format('TRIGGER %%I ON %%I.%%I', t.tgname, n.nspname, r.relname), "
                        "NULL, " MUTED("TRIGGER", "t.tgenabled",
                                       "t.tgname") " FROM pg_trigger t JOIN pg_class r ON r.oid = "
                                                   "t.tgrelid"
                                                   " JOIN pg_namespace n ON n.oid = r.relnamespace"
                                                   " WHERE NOT t.tgisinternal AND t.oid >= 16384%s",
        SL_SINCE(cat, SL_PG_13, " AND t.tgparentid = 0", ""));
}

static const char *rules(sl_cat *cat)
{
    return sl_sql(
        &cat->arena,
        "SELECT w.oid, 'rule', n.nspname, format('%%s.%%s', r.relname, w.rulename),"
        " w.ev_class, pg_get_ruledef(w.oid), " ENABLED_STATE(
            "RULE", "w.ev_enabled",
            "w.rulename") ", NULL, format('RULE %%I ON %%I.%%I', w.rulename, n.nspname, "
                          "r.relname), NULL, " MUTED("RULE", "w.ev_enabled",
                                                     "w.rulename") " FROM pg_rewrite w JOIN "
                                                                   "pg_class r ON r.oid = "
                                                                   "w.ev_class"
                                                                   " JOIN pg_namespace n ON n.oid "
                                                                   "= r.relnamespace"
                                                                   " WHERE w.rulename <> '_RETURN' "
                                                                   "AND w.oid >= 16384");
}

static const char *policies(sl_cat *cat)
{
    return "SELECT p.oid, 'policy', n.nspname, format('%s.%s', r.relname, p.polname), p.polrelid,"
           " format('CREATE POLICY %I ON %I.%I AS %s FOR %s TO %s%s%s;', p.polname, n.nspname,"
           " r.relname, CASE WHEN p.polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END,"
           " CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE'"
           " WHEN 'd' THEN 'DELETE' ELSE 'ALL' END, CASE WHEN p.polroles = '{0}' THEN 'PUBLIC' ELSE"
           " (SELECT string_agg(quote_ident(o.rolname), ', ' ORDER BY o.rolname) FROM pg_roles o"
           " WHERE o.oid = ANY (p.polroles)) END,"
           " ' USING (' || pg_get_expr(p.polqual, p.polrelid) || ')',"
           " ' WITH CHECK (' || pg_get_expr(p.polwithcheck, p.polrelid) || ')'), NULL, NULL,"
           " format('POLICY %I ON %I.%I', p.polname, n.nspname, r.relname), NULL, NULL"
           " FROM pg_policy p JOIN pg_class r ON r.oid = p.polrelid"
           " JOIN pg_namespace n ON n.oid = r.relnamespace";
}

static const char *row_security(sl_cat *cat)
{
    return "SELECT r.oid, 'row security', n.nspname, r.relname, r.oid, concat_ws(E'\\n',"
           " CASE WHEN r.relrowsecurity THEN format('ALTER TABLE %I.%I ENABLE ROW LEVEL SECURITY;',"
           " n.nspname, r.relname) END, CASE WHEN r.relforcerowsecurity THEN format('ALTER TABLE"
           " ONLY %I.%I FORCE ROW LEVEL SECURITY;', n.nspname, r.relname) END), NULL, NULL, NULL,"
           " NULL, NULL FROM pg_class r JOIN pg_namespace n ON n.oid = r.relnamespace"
           " WHERE (r.relrowsecurity OR r.relforcerowsecurity) AND r.oid >= 16384";
}

/* Tables and views come before what is on them. Row security has no catalog row of its own. */
static const verbatim_kind kinds[] = {
    { SL_CLASS_PROC, SL_RANK_ROUTINE, SL_PHASE_PRE, true, "routines", routines },
    { SL_CLASS_PROC, SL_RANK_AGGREGATE, SL_PHASE_PRE, true, "aggregates", aggregates },
    { SL_CLASS_OPERATOR, SL_RANK_OPERATOR, SL_PHASE_PRE, true, "operators", operators },
    { SL_CLASS_CAST, SL_RANK_OPERATOR, SL_PHASE_PRE, true, "casts", casts },
    { SL_CLASS_TS_DICT, SL_RANK_TYPE, SL_PHASE_PRE, true, "dictionaries", dictionaries },
    { SL_CLASS_TS_CONFIG, SL_RANK_TYPE, SL_PHASE_PRE, true, "configurations", configurations },
    { SL_CLASS_REL, SL_RANK_VIEW, SL_PHASE_PRE, false, "views", views },
    { SL_CLASS_REL, SL_RANK_VIEW, SL_PHASE_POST, false, "materialized views", materialized_views },
    { SL_CLASS_REL, SL_RANK_OTHER, SL_PHASE_POST, false, "indexes of materialized views",
      materialized_view_indexes },
    { SL_CLASS_STATISTICS, SL_RANK_STATISTICS, SL_PHASE_POST, false, "statistics", statistics },
    { SL_CLASS_REWRITE, SL_RANK_RULE, SL_PHASE_POST, false, "rules", rules },
    { SL_CLASS_TRIGGER, SL_RANK_TRIGGER, SL_PHASE_POST, false, "triggers", triggers },
    { SL_CLASS_POLICY, SL_RANK_POLICY, SL_PHASE_POST, false, "policies", policies },
    { 0, SL_RANK_POLICY, SL_PHASE_POST, false, "row security", row_security },
};

static void emit_verbatim(sl_cat *cat, sl_node *node)
{
    SL_BUF(after);
    const verbatim *text = node->data;
    if (text->after)
        sl_sql_add(&after, "%s\n", text->after);
    if (text->comment_on)
        sl_cat_add_comment(cat, &after, node->classid, node->oid, 0, text->comment_on);
    node->sql = sl_arena_strdup(cat->out, text->sql);
    node->validate_sql = sl_arena_strdup(cat->out, text->validate);
    node->mute_sql = sl_arena_strdup(cat->out, text->mute);
    node->after_sql = sl_cat_keep(cat, &after);
}

/* "class oid class oid …" */
static void add_aliases(sl_cat *cat, sl_node *node, const char *list)
{
    int numbers[16];
    size_t n = list ? sl_cat_numbers(list, numbers, 16) : 0;
    for (size_t i = 0; i + 1 < n; i += 2)
        sl_cat_alias(cat, (uint32_t)numbers[i], (uint32_t)numbers[i + 1], node);
}

static void verbatim_row(sl_cat *cat, const PGresult *row)
{
    const verbatim_kind *kind = cat->reader;
    uint32_t oid = sl_cat_oid(row, OID), relation = sl_cat_oid(row, TABLE);
    sl_node *on = relation ? sl_cat_find(cat, SL_CLASS_REL, relation) : NULL;
    const char *schema = sl_cat_text(cat, row, SCHEMA);
    bool wanted = relation ? on && on->wanted : sl_cat_whole(cat, schema);
    if (sl_cat_find(cat, kind->classid, oid) || (!wanted && !kind->pullable))
        return;
    verbatim *text = SL_NEW(&cat->arena, verbatim);
    text->sql = sl_cat_text(cat, row, SQL);
    text->after = sl_cat_text(cat, row, AFTER);
    text->validate = sl_cat_text(cat, row, VALIDATE);
    text->comment_on = sl_cat_text(cat, row, COMMENT_ON);
    text->mute = sl_cat_text(cat, row, MUTE);
    sl_node *node = sl_cat_add(cat, kind->classid, oid, kind->rank, sl_cat_text(cat, row, KIND),
                               schema, sl_cat_text(cat, row, NAME));
    node->kind = sl_arena_strdup(cat->out, node->kind);
    node->phase = kind->phase;
    node->pullable = kind->pullable;
    node->wanted = wanted;
    node->route = on ? on->route : NULL;
    node->data = text;
    node->emit = emit_verbatim;
    sl_cat_edge(cat, node, on);
    add_aliases(cat, node, sl_cell(row, 0, ALIASES));
}

sl_rc sl_cat_read_verbatim(sl_cat *cat)
{
    sl_rc rc = SL_OK;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]) && rc == SL_OK; i++) {
        cat->reader = &kinds[i];
        rc = sl_cat_each(cat, kinds[i].what, kinds[i].query(cat), verbatim_row);
    }
    return rc;
}
