/* privileges.c: queries for grants, when the specification asks for them (include_privileges); see
 * verbatim.h.
 *
 * One object per grantee, so that a role that the destination does not have costs only its own
 * grants. Owners are the destination's user: what the source's owners hold is left out, and so is
 * who granted. */
#include "schema/verbatim.h"

#define GRANTEE                                                                                    \
    "CASE WHEN x.grantee = 0 THEN 'PUBLIC' ELSE (SELECT quote_ident(o.rolname) FROM pg_roles o"    \
    " WHERE o.oid = x.grantee) END"
#define GRANTABLE "CASE WHEN x.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END"

/* Of rows (oid, nspname, name, relation, what, owner, acl, columns): GRANT per grantee. columns is
 * put after every privilege. */
#define GRANTS(rows, first)                                                                        \
    "SELECT 0, 'privileges', v.nspname, v.name || ' to ' || v.grantee, v.relation,"                \
    " concat_ws(E'\\n', " first ", string_agg(format('GRANT %s ON %s TO %s%s;', v.privileges,"     \
    " v.what, v.grantee, v.grantable), E'\\n')), NULL, NULL, NULL, NULL, NULL"                     \
    " FROM (SELECT t.oid, t.nspname, t.name, t.relation, t.what, " GRANTEE                         \
    " AS grantee, " GRANTABLE                                                                      \
    " AS grantable, string_agg(x.privilege_type || t.columns, ', ' ORDER BY x.privilege_type)"     \
    " AS privileges FROM (" rows ") t CROSS JOIN LATERAL aclexplode(t.acl) x"                      \
    " WHERE x.grantee <> t.owner AND t.oid >= 16384 GROUP BY 1, 2, 3, 4, 5, 6, 7) v"               \
    " GROUP BY v.oid, v.nspname, v.name, v.relation, v.what, v.grantee"

const char *sl_query_relation_grants(sl_cat *cat)
{
    return GRANTS(
        "SELECT c.oid, n.nspname, c.relname AS name, c.oid AS relation, format('%s %I.%I',"
        " CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, n.nspname, c.relname)"
        " AS what, c.relowner AS owner, c.relacl AS acl, '' AS columns FROM pg_class c"
        " JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S')",
        "NULL");
}

const char *sl_query_column_grants(sl_cat *cat)
{
    return GRANTS(
        "SELECT c.oid, n.nspname, format('%s.%s', " LABEL("c.relname") ", " LABEL(
            "a.attname") ") AS name, c.oid AS"
                         " relation, format('TABLE %I.%I', n.nspname, c.relname) AS what, "
                         "c.relowner AS owner,"
                         " a.attacl AS acl, format(' (%I)', a.attname) AS columns FROM "
                         "pg_attribute a"
                         " JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid ="
                         " c.relnamespace WHERE a.attacl IS NOT NULL AND NOT a.attisdropped",
        "NULL");
}

const char *sl_query_schema_grants(sl_cat *cat)
{
    return GRANTS("SELECT n.oid, n.nspname, n.nspname AS name, NULL::oid AS relation,"
                  " format('SCHEMA %I', n.nspname) AS what, n.nspowner AS owner, n.nspacl AS acl,"
                  " '' AS columns FROM pg_namespace n",
                  "NULL");
}

const char *sl_query_type_grants(sl_cat *cat)
{
    return GRANTS("SELECT p.oid, n.nspname, p.typname AS name, NULL::oid AS relation,"
                  " format('TYPE %I.%I', n.nspname, p.typname) AS what, p.typowner AS owner,"
                  " p.typacl AS acl, '' AS columns FROM pg_type p"
                  " JOIN pg_namespace n ON n.oid = p.typnamespace WHERE p.typelem = 0",
                  "NULL");
}

/* Everybody may execute a new routine: where that was taken away, it is taken away first. */
const char *sl_query_routine_grants(sl_cat *cat)
{
    static const char rows[] = "SELECT p.oid, n.nspname, format('%%s(%%s)', " LABEL(
        "p.proname") ","
                     " pg_get_function_identity_arguments(p.oid)) AS name, NULL::oid AS relation,"
                     " format('%%s %%s', %s, p.oid::regprocedure) AS what, p.proowner AS owner, "
                     "p.proacl AS acl"
                     " FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE p.proacl "
                     "IS NOT NULL"
                     " AND "
                     "p.oid >= 16384 AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid ="
                     " 'pg_proc'::regclass AND e.objid = p.oid AND e.deptype = 'e')";
    char *from = sl_sql(&cat->arena, rows,
                        SL_SINCE(cat, SL_PG_11,
                                 "CASE p.prokind WHEN 'p' THEN 'PROCEDURE' ELSE 'FUNCTION' END",
                                 "'FUNCTION'"));
    return sl_sql(
        &cat->arena,
        "SELECT 0, 'privileges', t.nspname, t.name, t.relation, concat_ws(E'\\n', CASE WHEN NOT "
        "EXISTS"
        " (SELECT FROM aclexplode(t.acl) x WHERE x.grantee = 0) THEN format('REVOKE ALL ON %%s FROM"
        " PUBLIC;', t.what) END, (SELECT string_agg(format('GRANT %%s ON %%s TO %%s%%s;',"
        " x.privilege_type, t.what, " GRANTEE ", " GRANTABLE "), E'\\n') FROM aclexplode(t.acl) x"
        " WHERE x.grantee NOT IN (t.owner, 0))), NULL, NULL, NULL, NULL, NULL FROM (%s) t",
        from);
}

const char *sl_query_default_grants(sl_cat *cat)
{
    return "SELECT 0, 'default privileges', n.nspname, format('%s of %s to %s', k.kind, o.rolname,"
           " v.grantee), NULL, string_agg(format('ALTER DEFAULT PRIVILEGES FOR ROLE %I IN SCHEMA %I"
           " GRANT %s ON %s TO %s%s;', o.rolname, n.nspname, v.privileges, k.kind, v.grantee,"
           " v.grantable), E'\\n'), NULL, NULL, NULL, NULL, NULL FROM pg_default_acl d"
           " JOIN pg_namespace n ON n.oid = d.defaclnamespace JOIN pg_roles o ON o.oid = "
           "d.defaclrole"
           " CROSS JOIN LATERAL (SELECT CASE d.defaclobjtype WHEN 'r' THEN 'TABLES' WHEN 'S' THEN"
           " 'SEQUENCES' WHEN 'f' THEN 'FUNCTIONS' WHEN 'T' THEN 'TYPES' ELSE 'SCHEMAS' END AS "
           "kind)"
           " k CROSS JOIN LATERAL (SELECT " GRANTEE " AS grantee, " GRANTABLE " AS grantable,"
           " string_agg(x.privilege_type, ', ' ORDER BY x.privilege_type) AS privileges FROM"
           " aclexplode(d.defaclacl) x GROUP BY 1, 2) v GROUP BY 2, 3, 4, k.kind, o.rolname, "
           "v.grantee";
}
