/* types.c: enum, domain, composite and range types, and collations.
 *
 * All of the source's types become nodes; those in schemas selected as a whole are wanted, others
 * when a wanted object needs them. Array and multirange types are other keys of the same node. Base
 * types live in C functions, so they come with their extension or are reported. */
#include "schema/follow.h"

#include <string.h>

typedef struct cat_type {
    char kind;                                    /* pg_type.typtype */
    uint32_t relation;                            /* of a composite type */
    const char *base, *collation, *default_value; /* domain */
    bool not_null;
    sl_buf items; /* labels, attributes, constraints: SQL, comma- or space-separated */
    sl_buf after; /* what has to follow */
    sl_node *shell;
    const char *options; /* of a base type: SQL from the catalog */
    /* range */
    const char *subtype, *opclass, *canonical, *subdiff, *multirange;
} cat_type;

/* Buffers live as long as the catalog: copied out of the heap when a type is written. */
static void emit_type(sl_cat *cat, sl_node *node);

static void emit_shell(sl_cat *cat, sl_node *node)
{
    node->sql = sl_sql(cat->out, "CREATE TYPE %s;", sl_cat_name(cat, node->schema, node->name));
}

/* The type's name, for the functions that the type itself needs; wanted only then (break_circles).
 */
static void add_shell(sl_cat *cat, sl_node *type)
{
    sl_node *shell = sl_cat_add(cat, 0, 0, SL_RANK_TYPE, "shell type", type->schema, type->name);
    shell->pullable = true;
    shell->required = type->required;
    shell->emit = emit_shell;
    ((cat_type *)type->data)->shell = shell;
}

/* Functions of a base type, and a range type's canonical function, take or return the type that
 * needs them: they make do with the shell. */
void sl_cat_break_circles(sl_cat *cat)
{
    for (size_t i = 0; i < cat->n_nodes; i++) {
        sl_node *type = cat->nodes[i];
        cat_type *data = type->emit == emit_type ? type->data : NULL;
        if (!data || !data->shell)
            continue;
        bool used = false;
        for (sl_edge *need = type->needs; need; need = need->next)
            for (sl_edge *back = need->to->needs; back; back = back->next)
                if (need->to->rank == SL_RANK_ROUTINE && back->to == type) {
                    back->to = data->shell;
                    used = true;
                }
        if (used)
            sl_cat_edge(cat, type, data->shell);
    }
}

static void type_row(sl_cat *cat, const PGresult *row)
{
    uint32_t oid = sl_cat_oid(row, 0);
    if (sl_cat_find(cat, SL_CLASS_TYPE, oid))
        return;
    cat_type *type = SL_NEW(&cat->arena, cat_type);
    const char *schema = sl_cat_text(cat, row, 1);
    type->kind = sl_cat_char(row, 3);
    type->relation = sl_cat_oid(row, 5);
    type->not_null = sl_cell_bool(row, 0, 6);
    type->default_value = sl_follow_names(cat, sl_cat_text(cat, row, 7));
    type->base = sl_follow_names(cat, sl_cat_text(cat, row, 8));
    type->collation = sl_follow_names(cat, sl_cat_text(cat, row, 9));
    sl_node *node =
        sl_cat_add(cat, SL_CLASS_TYPE, oid, SL_RANK_TYPE, "type", schema, sl_cat_text(cat, row, 2));
    node->wanted = sl_cat_whole(cat, schema);
    node->pullable = node->required = true;
    node->data = type;
    node->emit = emit_type;
    sl_cat_alias(cat, SL_CLASS_TYPE, sl_cat_oid(row, 4), node);
    sl_cat_alias(cat, SL_CLASS_REL, type->relation, node);
    type->options = sl_follow_names(cat, sl_cat_text(cat, row, 10));
    if (type->kind == 'b') /* its functions need a superuser: tables that use it tell */
        node->required = false;
    if (type->kind == 'b' || type->kind == 'r')
        add_shell(cat, node);
}

static cat_type *type_of(sl_cat *cat, const PGresult *row, sl_node **node)
{
    *node = sl_cat_find(cat, SL_CLASS_TYPE, sl_cat_oid(row, 0));
    return *node && (*node)->rank == SL_RANK_TYPE ? (*node)->data : NULL;
}

static void label_row(sl_cat *cat, const PGresult *row)
{
    sl_node *node;
    cat_type *type = type_of(cat, row, &node);
    if (type)
        sl_sql_add(&type->items, "%s\n    %L", type->items.len ? "," : "", sl_cell(row, 0, 1));
}

static void attribute_row(sl_cat *cat, const PGresult *row)
{
    sl_node *node;
    cat_type *type = type_of(cat, row, &node);
    if (!type || type->kind != 'c')
        return;
    sl_sql_add(&type->items, "%s\n    %I %s", type->items.len ? "," : "", sl_cell(row, 0, 2),
               sl_follow_names(cat, sl_cell(row, 0, 3)));
    if (sl_cell(row, 0, 4))
        sl_sql_add(&type->items, " COLLATE %s", sl_follow_names(cat, sl_cell(row, 0, 4)));
    sl_cat_add_comment(cat, &type->after, SL_CLASS_REL, type->relation, (int)sl_cell_int(row, 0, 1),
                       sl_sql(&cat->arena, "COLUMN %s.%I",
                              sl_cat_name(cat, node->schema, node->name), sl_cell(row, 0, 2)));
}

static void domain_constraint_row(sl_cat *cat, const PGresult *row)
{
    sl_node *node;
    cat_type *type = type_of(cat, row, &node);
    uint32_t oid = sl_cat_oid(row, 1);
    const char *name = sl_cell(row, 0, 2);
    if (!type)
        return;
    const char *definition = sl_follow_names(cat, sl_cell(row, 0, 3));
    const char *domain = sl_cat_name(cat, node->schema, node->name);
    sl_cat_alias(cat, SL_CLASS_CONSTRAINT, oid, node);
    if (sl_cell_bool(row, 0, 5)) { /* not null: named from 17 on, else said by the type */
        if (cat->dst_version < SL_PG_17)
            return;
        type->not_null = false;
    }
    if (sl_cell_bool(row, 0, 4))
        sl_sql_add(&type->items, "\n    CONSTRAINT %I %s", name, definition);
    else
        sl_sql_add(&type->after, "ALTER DOMAIN %s ADD CONSTRAINT %I %s;\n", domain, name,
                   definition);
    sl_cat_add_comment(cat, &type->after, SL_CLASS_CONSTRAINT, oid, 0,
                       sl_sql(&cat->arena, "CONSTRAINT %I ON DOMAIN %s", name, domain));
}

static void range_row(sl_cat *cat, const PGresult *row)
{
    sl_node *node;
    cat_type *type = type_of(cat, row, &node);
    if (!type)
        return;
    type->subtype = sl_follow_names(cat, sl_cat_text(cat, row, 1));
    type->opclass = sl_follow_names(cat, sl_cat_text(cat, row, 2));
    type->collation = sl_follow_names(cat, sl_cat_text(cat, row, 3));
    type->canonical = sl_follow_names(cat, sl_cat_text(cat, row, 4));
    type->subdiff = sl_follow_names(cat, sl_cat_text(cat, row, 5));
    type->multirange = sl_follow_names(cat, sl_cat_text(cat, row, 6));
    sl_cat_alias(cat, SL_CLASS_TYPE, sl_cat_oid(row, 7), node);
    sl_cat_alias(cat, SL_CLASS_TYPE, sl_cat_oid(row, 8), node);
}

static void emit_domain(sl_buf *sql, const cat_type *type, const char *name)
{
    sl_sql_add(sql, "CREATE DOMAIN %s AS %s", name, type->base);
    if (type->collation)
        sl_sql_add(sql, " COLLATE %s", type->collation);
    if (type->default_value)
        sl_sql_add(sql, " DEFAULT %s", type->default_value);
    sl_sql_add(sql, "%s%s;", type->not_null ? " NOT NULL" : "", sl_buf_str(&type->items));
}

static void emit_range(sl_cat *cat, sl_buf *sql, const cat_type *type, const char *name)
{
    const struct {
        const char *option, *value;
    } options[] = {
        { "subtype_opclass", type->opclass },
        { "collation", type->collation },
        { "subtype_diff", type->subdiff },
        { "canonical", type->canonical },
        { "multirange_type_name", cat->dst_version >= SL_PG_14 ? type->multirange : NULL },
    };
    sl_sql_add(sql, "CREATE TYPE %s AS RANGE (\n    subtype = %s", name, type->subtype);
    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
        if (options[i].value)
            sl_sql_add(sql, ",\n    %s = %s", options[i].option, options[i].value);
    sl_buf_puts(sql, "\n);");
}

static void emit_type(sl_cat *cat, sl_node *node)
{
    SL_BUF(sql);
    cat_type *type = node->data;
    const char *name = sl_cat_name(cat, node->schema, node->name);
    if (type->kind == 'd')
        emit_domain(&sql, type, name);
    else if (type->kind == 'r')
        emit_range(cat, &sql, type, name);
    else if (type->kind == 'b')
        sl_sql_add(&sql, "CREATE TYPE %s (\n    %s\n);", name, type->options);
    else
        sl_sql_add(&sql, "CREATE TYPE %s AS %s(%s\n);", name, type->kind == 'e' ? "ENUM " : "",
                   sl_buf_str(&type->items));
    sl_cat_add_comment(cat, &type->after, SL_CLASS_TYPE, node->oid, 0,
                       sl_sql(&cat->arena, "%s %s", type->kind == 'd' ? "DOMAIN" : "TYPE", name));
    node->sql = sl_cat_keep(cat, &sql);
    node->after_sql = sl_cat_keep(cat, &type->after);
}

void sl_cat_free_types(sl_cat *cat)
{
    for (size_t i = 0; i < cat->n_nodes; i++) {
        if (cat->nodes[i]->emit != emit_type)
            continue;
        cat_type *type = cat->nodes[i]->data;
        sl_buf_free(&type->items);
        sl_buf_free(&type->after);
    }
}

/* Which of the type's queries the kinds need. */
static sl_rc read_parts(sl_cat *cat)
{
    static const char collation[] =
        "(SELECT format('%I.%I', n.nspname, c.collname) FROM pg_collation c"
        " JOIN pg_namespace n ON n.oid = c.collnamespace WHERE c.oid = ";
    sl_rc rc = sl_cat_each(cat, "enum labels",
                           "SELECT enumtypid, enumlabel FROM pg_enum WHERE enumtypid >= 16384"
                           " ORDER BY enumtypid, enumsortorder",
                           label_row);
    if (rc == SL_OK)
        rc = sl_cat_each(
            cat, "composite types",
            sl_arena_printf(&cat->arena,
                            "SELECT r.reltype, a.attnum, a.attname,"
                            " format_type(a.atttypid, a.atttypmod), CASE WHEN a.attcollation <>"
                            " t.typcollation THEN %sa.attcollation) END"
                            " FROM pg_class r JOIN pg_attribute a ON a.attrelid = r.oid"
                            " JOIN pg_type t ON t.oid = a.atttypid WHERE r.relkind = 'c'"
                            " AND r.oid >= 16384 AND a.attnum > 0 AND NOT a.attisdropped"
                            " ORDER BY r.oid, a.attnum",
                            collation),
            attribute_row);
    if (rc == SL_OK)
        rc = sl_cat_each(cat, "domain constraints",
                         "SELECT contypid, oid, conname, pg_get_constraintdef(oid), convalidated,"
                         " contype = 'n' FROM pg_constraint WHERE contypid >= 16384"
                         " ORDER BY contypid, conname",
                         domain_constraint_row);
    if (rc != SL_OK)
        return rc;
    return sl_cat_each(
        cat, "range types",
        sl_arena_printf(
            &cat->arena,
            "SELECT r.rngtypid, format_type(r.rngsubtype, NULL), CASE WHEN NOT o.opcdefault THEN"
            " format('%%I.%%I', n.nspname, o.opcname) END, CASE WHEN r.rngcollation <>"
            " t.typcollation THEN %sr.rngcollation) END, nullif(r.rngcanonical, 0)::regproc,"
            " nullif(r.rngsubdiff, 0)::regproc, %s FROM pg_range r"
            " JOIN pg_type t ON t.oid = r.rngsubtype JOIN pg_opclass o ON o.oid = r.rngsubopc"
            " JOIN pg_namespace n ON n.oid = o.opcnamespace WHERE r.rngtypid >= 16384",
            collation,
            SL_SINCE(cat, SL_PG_14,
                     "(SELECT format('%I.%I', mn.nspname, m.typname) FROM pg_type m JOIN"
                     " pg_namespace mn ON mn.oid = m.typnamespace WHERE m.oid = r.rngmultitypid),"
                     " r.rngmultitypid, (SELECT typarray FROM pg_type WHERE oid = r.rngmultitypid)",
                     "NULL, 0, 0")),
        range_row);
}

/* A range type's constructors come with it. */
static void constructor_row(sl_cat *cat, const PGresult *row)
{
    sl_node *node = sl_cat_find(cat, SL_CLASS_TYPE, sl_cat_oid(row, 1));
    if (node)
        sl_cat_alias(cat, SL_CLASS_PROC, sl_cat_oid(row, 0), node);
}

/* The options of CREATE TYPE for a base type, as pg_dump writes them. */
#define BASE_OPTION(name, column)                                                                  \
    "CASE WHEN t." column " <> 0 THEN '" name " = ' || t." column "::regproc END, "

static char *base_options(sl_cat *cat)
{
    return sl_sql(
        &cat->arena,
        "CASE WHEN t.typtype = 'b' THEN concat_ws(E',\n    ', 'INTERNALLENGTH = ' || CASE WHEN"
        " t.typlen < 0 THEN 'VARIABLE' ELSE t.typlen::text END, " BASE_OPTION("INPUT", "typinput")
            BASE_OPTION("OUTPUT", "typoutput") BASE_OPTION("RECEIVE", "typreceive")
                BASE_OPTION("SEND", "typsend") BASE_OPTION("TYPMOD_IN", "typmodin")
                    BASE_OPTION("TYPMOD_OUT", "typmodout") BASE_OPTION(
                        "ANALYZE",
                        "typanalyze") "%s"
                                      "CASE WHEN t.typcollation <> 0 THEN 'COLLATABLE = true' END,"
                                      " 'DEFAULT = ' || quote_literal(t.typdefault), CASE WHEN "
                                      "t.typelem <> 0 THEN 'ELEMENT = ' ||"
                                      " format_type(t.typelem, NULL) END, 'CATEGORY = ' || "
                                      "quote_literal(t.typcategory::text),"
                                      " CASE WHEN t.typispreferred THEN 'PREFERRED = true' END, "
                                      "'DELIMITER = ' ||"
                                      " quote_literal(t.typdelim::text), 'ALIGNMENT = ' || CASE "
                                      "t.typalign WHEN 'c' THEN 'char' WHEN 's'"
                                      " THEN 'int2' WHEN 'i' THEN 'int4' ELSE 'double' END, "
                                      "'STORAGE = ' || CASE t.typstorage WHEN"
                                      " 'e' THEN 'external' WHEN 'x' THEN 'extended' WHEN 'm' THEN "
                                      "'main' ELSE 'plain' END,"
                                      " CASE WHEN t.typbyval THEN 'PASSEDBYVALUE' END) END",
        SL_SINCE(cat, SL_PG_14,
                 "CASE WHEN t.typsubscript <> 0 AND t.typelem = 0 THEN 'SUBSCRIPT = ' ||"
                 " t.typsubscript::regproc END, ",
                 ""));
}

sl_rc sl_cat_read_types(sl_cat *cat)
{
    sl_rc rc = sl_cat_each(
        cat, "types",
        sl_sql(
            &cat->arena,
            "SELECT t.oid, n.nspname, t.typname, t.typtype, t.typarray, t.typrelid, t.typnotnull,"
            " coalesce(pg_get_expr(t.typdefaultbin, 0), CASE WHEN t.typtype = 'd' THEN"
            "  quote_literal(t.typdefault) END),"
            " CASE WHEN t.typtype = 'd' THEN format_type(t.typbasetype, t.typtypmod) END,"
            " CASE WHEN t.typtype = 'd' AND t.typcollation <> b.typcollation THEN"
            "  (SELECT format('%%I.%%I', cn.nspname, c.collname) FROM pg_collation c JOIN "
            "pg_namespace cn"
            "   ON cn.oid = c.collnamespace WHERE c.oid = t.typcollation) END, %s"
            " FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace"
            " LEFT JOIN pg_type b ON b.oid = t.typbasetype"
            " WHERE t.oid >= 16384 AND n.nspname !~ '^pg_(temp|toast)' AND (t.typtype IN ('e', "
            "'d', "
            "'r')"
            "  OR (t.typtype = 'c' AND (SELECT relkind FROM pg_class WHERE oid = t.typrelid) = 'c')"
            "  OR (t.typtype = 'b' AND NOT EXISTS (SELECT FROM pg_type e WHERE e.oid = t.typelem"
            "   AND e.typarray = t.oid)))",
            base_options(cat)),
        type_row);
    if (rc == SL_OK)
        rc = read_parts(cat);
    if (rc != SL_OK)
        return rc;
    return sl_cat_each(cat, "range constructors",
                       "SELECT objid, refobjid FROM pg_depend WHERE classid = 'pg_proc'::regclass"
                       " AND refclassid = 'pg_type'::regclass AND deptype = 'i'",
                       constructor_row);
}

/* --- collations --- */

typedef struct collation {
    char provider;
    bool deterministic;
    const char *collate, *ctype, *locale, *rules;
} collation;

static void emit_collation(sl_cat *cat, sl_node *node)
{
    SL_BUF(sql);
    SL_BUF(after);
    const collation *coll = node->data;
    const char *name = sl_cat_name(cat, node->schema, node->name);
    const char *provider = coll->provider == 'i'   ? "icu"
                           : coll->provider == 'b' ? "builtin"
                                                   : "libc";
    sl_sql_add(&sql, "CREATE COLLATION %s (", name);
    if (cat->dst_version >= SL_PG_10)
        sl_sql_add(&sql, "provider = %s, ", provider);
    else if (coll->provider != 'c')
        node->unsupported = "collations of other providers than libc need PostgreSQL 10";
    if (!coll->deterministic) {
        sl_buf_puts(&sql, "deterministic = false, ");
        if (cat->dst_version < SL_PG_12)
            node->unsupported = "nondeterministic collations need PostgreSQL 12";
    }
    if (coll->locale || (coll->collate && coll->ctype && strcmp(coll->collate, coll->ctype) == 0))
        sl_sql_add(&sql, "locale = %L", coll->locale ? coll->locale : coll->collate);
    else
        sl_sql_add(&sql, "lc_collate = %L, lc_ctype = %L", coll->collate, coll->ctype);
    if (coll->rules)
        sl_sql_add(&sql, ", rules = %L", coll->rules);
    if (coll->rules && cat->dst_version < SL_PG_16)
        node->unsupported = "collation rules need PostgreSQL 16";
    if (coll->provider == 'b' && cat->dst_version < SL_PG_17)
        node->unsupported = "the builtin collation provider needs PostgreSQL 17";
    sl_buf_puts(&sql, ");");
    sl_cat_add_comment(cat, &after, SL_CLASS_COLLATION, node->oid, 0,
                       sl_sql(&cat->arena, "COLLATION %s", name));
    node->sql = sl_cat_keep(cat, &sql);
    node->after_sql = sl_cat_keep(cat, &after);
}

static void collation_row(sl_cat *cat, const PGresult *row)
{
    uint32_t oid = sl_cat_oid(row, 0);
    if (sl_cat_find(cat, SL_CLASS_COLLATION, oid))
        return;
    const char *schema = sl_cat_text(cat, row, 1);
    collation *coll = SL_NEW(&cat->arena, collation);
    coll->provider = sl_cat_char(row, 3);
    coll->deterministic = sl_cell_bool(row, 0, 4);
    coll->collate = sl_cat_text(cat, row, 5);
    coll->ctype = sl_cat_text(cat, row, 6);
    coll->locale = sl_cat_text(cat, row, 7);
    coll->rules = sl_cat_text(cat, row, 8);
    sl_node *node = sl_cat_add(cat, SL_CLASS_COLLATION, oid, SL_RANK_COLLATION, "collation", schema,
                               sl_cat_text(cat, row, 2));
    node->wanted = sl_cat_whole(cat, schema);
    node->pullable = true;
    node->data = coll;
    node->emit = emit_collation;
}

sl_rc sl_cat_read_collations(sl_cat *cat)
{
    const char *locale = cat->version >= SL_PG_17   ? "c.colllocale"
                         : cat->version >= SL_PG_15 ? "c.colliculocale"
                                                    : "NULL";
    return sl_cat_each(
        cat, "collations",
        sl_sql(&cat->arena,
               "SELECT c.oid, n.nspname, c.collname, %s, %s,"
               " c.collcollate, c.collctype, %s, %s FROM pg_collation c"
               " JOIN pg_namespace n ON n.oid = c.collnamespace WHERE c.oid >= 16384",
               SL_SINCE(cat, SL_PG_10, "c.collprovider", "'c'"),
               SL_SINCE(cat, SL_PG_12, "c.collisdeterministic", "true"), locale,
               SL_SINCE(cat, SL_PG_16, "c.collicurules", "NULL")),
        collation_row);
}
