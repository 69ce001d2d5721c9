/* routines.c: queries for routines, aggregates, operators and their classes, casts, text search;
 * see verbatim.h. */
#include "schema/verbatim.h"

const char *sl_query_routines(sl_cat *cat)
{
    return sl_sql(&cat->arena,
                  "SELECT p.oid, %s, n.nspname, format('%%s(%%s)', " LABEL(
                      "p.proname") ", a.args), NULL,"
                                   " regexp_replace(pg_get_functiondef(p.oid), '^CREATE OR "
                                   "REPLACE', 'CREATE') || ';', NULL,"
                                   " NULL, format('%%s %%I.%%I(%%s)', %s, n.nspname, p.proname, "
                                   "a.args), NULL, NULL"
                                   " FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace"
                                   " CROSS JOIN LATERAL (SELECT "
                                   "pg_get_function_identity_arguments(p.oid) AS args) a"
                                   " WHERE %s AND " NOT_A_MEMBER("pg_proc", "p"),
                  SL_SINCE(cat, SL_PG_11,
                           "CASE p.prokind WHEN 'p' THEN 'procedure' ELSE 'function' END",
                           "'function'"),
                  SL_SINCE(cat, SL_PG_11,
                           "CASE p.prokind WHEN 'p' THEN 'PROCEDURE' ELSE 'FUNCTION' END",
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

const char *sl_query_aggregates(sl_cat *cat)
{
    /* clang-format off */
    return sl_sql(
        &cat->arena,
        "SELECT p.oid, 'aggregate', n.nspname, format('%%s(%%s)', " LABEL("p.proname") ", s.args), NULL,"
        " format(E'CREATE AGGREGATE %%I.%%I(%%s) (\\n    %%s\\n);', n.nspname, p.proname, s.args,"
        " concat_ws(E',\\n    ', 'SFUNC = ' || a.aggtransfn::regproc,"
        " 'STYPE = ' || format_type(a.aggtranstype, NULL), "
        SPACE_OPTION("SSPACE", "aggtransspace")
        FUNCTION_OPTION("FINALFUNC", "aggfinalfn")
        "CASE WHEN a.aggfinalextra THEN 'FINALFUNC_EXTRA' END, %s%s"
        "'INITCOND = ' || quote_literal(a.agginitval), "
        FUNCTION_OPTION("MSFUNC", "aggmtransfn")
        FUNCTION_OPTION("MINVFUNC", "aggminvtransfn")
        "CASE WHEN a.aggmtranstype <> 0 THEN 'MSTYPE = ' || format_type(a.aggmtranstype, NULL)"
        " END, "
        SPACE_OPTION("MSSPACE", "aggmtransspace")
        FUNCTION_OPTION("MFINALFUNC", "aggmfinalfn")
        "CASE WHEN a.aggmfinalextra THEN 'MFINALFUNC_EXTRA' END, %s"
        "'MINITCOND = ' || quote_literal(a.aggminitval),"
        " CASE WHEN a.aggsortop <> 0 THEN format('SORTOP = OPERATOR(%%s)',"
        " a.aggsortop::regoper) END,"
        " CASE WHEN a.aggkind = 'h' THEN 'HYPOTHETICAL' END%s)),"
        " NULL, NULL, format('AGGREGATE %%I.%%I(%%s)', n.nspname, p.proname, s.args), NULL, NULL"
        " FROM pg_aggregate a JOIN pg_proc p ON p.oid = a.aggfnoid"
        " JOIN pg_namespace n ON n.oid = p.pronamespace"
        " CROSS JOIN LATERAL (SELECT coalesce(nullif(pg_get_function_identity_arguments(p.oid),"
        " ''), '*') AS args) s WHERE "
        NOT_A_MEMBER("pg_proc", "p"),
        SL_SINCE(cat, SL_PG_11, MODIFY_OPTION("FINALFUNC_MODIFY", "aggfinalmodify"), ""),
        SL_SINCE(cat, SL_PG_9_6, FUNCTION_OPTION("COMBINEFUNC", "aggcombinefn")
                                 FUNCTION_OPTION("SERIALFUNC", "aggserialfn")
                                 FUNCTION_OPTION("DESERIALFUNC", "aggdeserialfn"), ""),
        SL_SINCE(cat, SL_PG_11, MODIFY_OPTION("MFINALFUNC_MODIFY", "aggmfinalmodify"), ""),
        SL_SINCE(cat, SL_PG_9_6, ", CASE p.proparallel WHEN 's' THEN 'PARALLEL = SAFE'"
                                 " WHEN 'r' THEN 'PARALLEL = RESTRICTED' END", ""));
    /* clang-format on */
}

const char *sl_query_operators(sl_cat *cat)
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

const char *sl_query_casts(sl_cat *cat)
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

/* Members of families and classes (2602 pg_amop, 2603 pg_amproc) are other keys of what they belong
 * to. */
#define MEMBERS(refclass)                                                                          \
    "(SELECT string_agg(format('%s %s', d.classid, d.objid), ' ') FROM pg_depend d WHERE"          \
    " d.refclassid = '" refclass "'::regclass AND d.refobjid = o.oid AND d.deptype IN ('a', 'i')"  \
    " AND d.classid IN (2602, 2603))"
#define MEMBER_ITEMS(refclass)                                                                     \
    "concat_ws(E',\\n    ', (SELECT string_agg(format('OPERATOR %s %s%s', m.amopstrategy,"         \
    " m.amopopr::regoperator, (SELECT format(' FOR ORDER BY %I.%I', sn.nspname, sf.opfname) FROM"  \
    " pg_opfamily sf JOIN pg_namespace sn ON sn.oid = sf.opfnamespace WHERE sf.oid ="              \
    " m.amopsortfamily)), E',\\n    ' ORDER BY m.amoplefttype, m.amoprighttype, m.amopstrategy)"   \
    " FROM pg_amop m JOIN pg_depend d ON d.classid = 2602 AND d.objid = m.oid WHERE d.refclassid " \
    "="                                                                                            \
    " '" refclass "'::regclass AND d.refobjid = o.oid AND d.deptype IN ('a', 'i')),"               \
    " (SELECT string_agg(format('FUNCTION %s (%s, %s) %s', m.amprocnum,"                           \
    " format_type(m.amproclefttype, NULL), format_type(m.amprocrighttype, NULL),"                  \
    " m.amproc::regprocedure), E',\\n    ' ORDER BY m.amproclefttype, m.amprocrighttype,"          \
    " m.amprocnum) FROM pg_amproc m JOIN pg_depend d ON d.classid = 2603 AND d.objid = m.oid "     \
    "WHERE"                                                                                        \
    " d.refclassid = '" refclass                                                                   \
    "'::regclass AND d.refobjid = o.oid AND d.deptype IN ('a', 'i')))"

const char *sl_query_operator_families(sl_cat *cat)
{
    return "SELECT o.oid, 'operator family', n.nspname, format('%s using %s', " LABEL(
        "o.opfname") ", a.amname),"
                     " NULL, format('CREATE OPERATOR FAMILY %I.%I USING %I;', n.nspname, "
                     "o.opfname, "
                     "a.amname),"
                     " (SELECT format(E'ALTER OPERATOR FAMILY %I.%I USING %I ADD\n    %s;', "
                     "n.nspname,"
                     " o.opfname, a.amname, items) FROM (SELECT " MEMBER_ITEMS(
                         "pg_opfamily") " AS items) i"
                                        " WHERE items <> ''), NULL, format('OPERATOR FAMILY %I.%I "
                                        "USING %I', "
                                        "n.nspname, o.opfname,"
                                        " a.amname), " MEMBERS(
                                            "pg_opfamily") ", NULL FROM pg_opfamily o JOIN "
                                                           "pg_namespace n ON"
                                                           " n.oid = o.opfnamespace JOIN pg_am a "
                                                           "ON a.oid = "
                                                           "o.opfmethod WHERE " NOT_A_MEMBER(
                                                               "pg_opfamily", "o");
}

const char *sl_query_operator_classes(sl_cat *cat)
{
    return "SELECT o.oid, 'operator class', n.nspname, format('%s using %s', " LABEL(
        "o.opcname") ", a.amname),"
                     " NULL, format(E'CREATE OPERATOR CLASS %I.%I\n    %sFOR TYPE %s USING %I "
                     "FAMILY %I.%I AS"
                     "\n    %s;', n.nspname, o.opcname, CASE WHEN o.opcdefault THEN 'DEFAULT ' END,"
                     " format_type(o.opcintype, NULL), a.amname, fn.nspname, f.opfname, "
                     "concat_ws(E',\n    ',"
                     " CASE WHEN o.opckeytype <> 0 THEN 'STORAGE ' || format_type(o.opckeytype, "
                     "NULL) WHEN"
                     " " MEMBERS(
                         "pg_opclass") " IS NULL THEN 'STORAGE ' || format_type(o.opcintype, NULL) "
                                       "END,"
                                       " nullif(" MEMBER_ITEMS(
                                           "pg_opclass") ", ''))), NULL, NULL, format('OPERATOR "
                                                         "CLASS %I.%I"
                                                         " USING %I', n.nspname, o.opcname, "
                                                         "a.amname), " MEMBERS(
                                                             "pg_opclass") ", NULL"
                                                                           " FROM pg_opclass o "
                                                                           "JOIN "
                                                                           "pg_namespace n ON "
                                                                           "n.oid = "
                                                                           "o.opcnamespace"
                                                                           " JOIN pg_am a ON a.oid "
                                                                           "= "
                                                                           "o.opcmethod JOIN "
                                                                           "pg_opfamily f "
                                                                           "ON f.oid = o.opcfamily"
                                                                           " JOIN pg_namespace fn "
                                                                           "ON fn.oid "
                                                                           "= f.opfnamespace "
                                                                           "WHERE " NOT_A_MEMBER(
                                                                               "pg_opclass", "o");
}

const char *sl_query_dictionaries(sl_cat *cat)
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

const char *sl_query_configurations(sl_cat *cat)
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
