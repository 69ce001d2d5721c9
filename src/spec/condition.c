/* condition.c: from the text of a condition to what it uses.
 *
 * How: libpg_query parses `SELECT WHERE text` with the server's own grammar and gives the tree as
 * JSON. Only kinds of nodes that compute a value from the row are let through, by name (a list of
 * what is allowed, so that a grammar's new kinds are refused until somebody has looked at them).
 * What functions and operators do is not known here: sl_conditions_check asks the source. */
#include "spec/condition.h"

#include <jansson.h>
#include <pg_query.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define PREFIX "SELECT WHERE "

typedef struct walker {
    sl_arena *arena;
    const char *where;
    const char **columns;
    sl_named *named;
    size_t n_columns, n_named, cap_columns, cap_named;
    sl_error *err;
} walker;

/* What the user may write, and why some of what he may not. reason NULL: allowed. */
static const struct kind {
    const char *name, *reason;
} kinds[] = {
    { "BoolExpr", NULL },
    { "A_Expr", NULL },
    { "A_Const", NULL },
    { "A_ArrayExpr", NULL },
    { "A_Indirection", NULL },
    { "A_Indices", NULL },
    { "ColumnRef", NULL },
    { "TypeCast", NULL },
    { "FuncCall", NULL },
    { "NullTest", NULL },
    { "BooleanTest", NULL },
    { "CoalesceExpr", NULL },
    { "MinMaxExpr", NULL },
    { "CaseExpr", NULL },
    { "CaseWhen", NULL },
    { "CollateClause", NULL },
    { "RowExpr", NULL },
    { "List", NULL },
    { "String", NULL },
    { "Integer", NULL },
    { "SubLink", "a subquery: other tables' changes would move rows without any change of theirs" },
    { "SQLValueFunction", "a value of the moment or the session, such as CURRENT_DATE" },
    { "ParamRef", "a parameter" },
    { "A_Star", "a *" },
    { "NamedArgExpr", "a named argument" },
    { "SetToDefault", "DEFAULT" },
};

static sl_rc refuse(walker *w, const char *what)
{
    sl_fail(w->err, SL_USAGE, "%s: where: the condition has %s", w->where, what);
    return sl_hint(w->err, "A condition is one expression over columns of its own table, whose "
                           "result depends on the row alone.");
}

static void *grow(walker *w, void *items, size_t n, size_t *cap, size_t size)
{
    if (n < *cap)
        return items;
    size_t more = *cap ? *cap * 2 : 8;
    void *grown = sl_arena_zalloc(w->arena, more * size);
    if (*cap)
        memcpy(grown, items, *cap * size);
    *cap = more;
    return grown;
}

static void add_column(walker *w, const char *name)
{
    for (size_t i = 0; i < w->n_columns; i++)
        if (strcmp(w->columns[i], name) == 0)
            return;
    w->columns = grow(w, (void *)w->columns, w->n_columns + 1, &w->cap_columns, sizeof(char *));
    w->columns[w->n_columns++] = sl_arena_strdup(w->arena, name);
}

/* [{"String": {"sval": "a"}}, …]: number i from the end. */
static const char *name_part(const json_t *names, size_t from_end)
{
    size_t n = json_array_size(names);
    if (from_end >= n)
        return NULL;
    const json_t *part = json_array_get(names, n - 1 - from_end);
    return json_string_value(json_object_get(json_object_get(part, "String"), "sval"));
}

static sl_rc add_named(walker *w, const json_t *names, int n_args, bool is_operator)
{
    const char *name = name_part(names, 0), *schema = name_part(names, 1);
    if (!name)
        return refuse(w, "a name that cannot be read");
    w->named = grow(w, w->named, w->n_named, &w->cap_named, sizeof(sl_named));
    w->named[w->n_named++] = (sl_named){ .schema = sl_arena_strdup(w->arena, schema),
                                         .name = sl_arena_strdup(w->arena, name),
                                         .n_args = n_args,
                                         .is_operator = is_operator };
    return SL_OK;
}

static sl_rc column_ref(walker *w, const json_t *body)
{
    const json_t *fields = json_object_get(body, "fields");
    const char *name = name_part(fields, 0);
    if (!name)
        return refuse(w, "a *");
    if (json_array_size(fields) != 1)
        return refuse(w,
                      sl_arena_printf(w->arena,
                                      "a qualified name before %s: columns are named alone", name));
    add_column(w, name);
    return SL_OK;
}

static sl_rc function(walker *w, const json_t *body)
{
    static const char *const refused[] = { "over",       "agg_star",     "agg_order",
                                           "agg_filter", "agg_distinct", "agg_within_group" };
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
        if (json_object_get(body, refused[i]))
            return refuse(w, "an aggregate or window function");
    return add_named(w, json_object_get(body, "funcname"),
                     (int)json_array_size(json_object_get(body, "args")), false);
}

static bool is_text_type(const char *type)
{
    return strcmp(type, "text") == 0 || strcmp(type, "varchar") == 0 || strcmp(type, "bpchar") == 0;
}

static sl_rc cast(walker *w, const json_t *body)
{
    const char *type = name_part(json_object_get(json_object_get(body, "typeName"), "names"), 0);
    if (type && strncmp(type, "reg", 3) == 0)
        return refuse(w, sl_arena_printf(w->arena, "a cast to %s, which looks into the catalogs",
                                         type));
    return SL_OK;
}

/* 'now', 'today' and the like, where they may be read as a date: they mean another moment every
 * time. */
static sl_rc constant(walker *w, const json_t *body)
{
    static const char *const moments[] = { "now", "today", "tomorrow", "yesterday" };
    const char *text = json_string_value(json_object_get(json_object_get(body, "sval"), "sval"));
    if (!text)
        return SL_OK;
    text += strspn(text, " \t");
    for (size_t i = 0; i < sizeof(moments) / sizeof(moments[0]); i++) {
        size_t n = strlen(moments[i]);
        if (strncasecmp(text, moments[i], n) == 0 && (text[n] == '\0' || text[n] == ' '))
            return refuse(w, sl_arena_printf(w->arena,
                                             "the constant '%s', which as a date is another one "
                                             "every day (as a text, write '%s'::text)",
                                             text, text));
    }
    return SL_OK;
}

static sl_rc visit(walker *w, const char *kind, const json_t *body)
{
    const struct kind *k = NULL;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]) && !k; i++)
        if (strcmp(kinds[i].name, kind) == 0)
            k = &kinds[i];
    if (!k)
        return refuse(w, sl_arena_printf(w->arena, "something that no condition takes (%s)", kind));
    if (k->reason)
        return refuse(w, k->reason);
    if (strcmp(kind, "ColumnRef") == 0)
        return column_ref(w, body);
    if (strcmp(kind, "FuncCall") == 0)
        return function(w, body);
    if (strcmp(kind, "TypeCast") == 0)
        return cast(w, body);
    if (strcmp(kind, "A_Const") == 0)
        return constant(w, body);
    if (strcmp(kind, "A_Expr") == 0)
        return add_named(w, json_object_get(body, "name"), 0, true);
    return SL_OK;
}

/* A text as a text: its constant means nothing but itself. */
static bool is_text_constant(const char *kind, const json_t *body)
{
    if (strcmp(kind, "TypeCast") != 0)
        return false;
    const char *type = name_part(json_object_get(json_object_get(body, "typeName"), "names"), 0);
    return type && is_text_type(type) &&
           json_object_get(json_object_get(body, "arg"), "A_Const") != NULL;
}

/* Nodes are objects of one member, named after their kind; other members are their fields. */
static sl_rc walk(walker *w, const json_t *node)
{
    const char *key;
    json_t *value;
    size_t i;
    if (json_is_array(node)) {
        json_array_foreach(node, i, value) if (walk(w, value) != SL_OK) return w->err->code;
        return SL_OK;
    }
    json_object_foreach((json_t *)(uintptr_t)node, key, value)
    {
        if (!json_is_object(value) && !json_is_array(value))
            continue;
        bool is_node = key[0] >= 'A' && key[0] <= 'Z';
        if (is_node && visit(w, key, value) != SL_OK)
            return w->err->code;
        if (strcmp(key, "typeName") == 0 || strcmp(key, "funcname") == 0 ||
            strcmp(key, "fields") == 0 || strcmp(key, "name") == 0 ||
            strcmp(key, "collname") == 0 || strcmp(key, "A_Const") == 0 ||
            (is_node && is_text_constant(key, value)))
            continue;
        if (walk(w, value) != SL_OK)
            return w->err->code;
    }
    return SL_OK;
}

/* The statement's condition, if it is `SELECT WHERE …` and nothing else: so the text is one
 * expression, and in parentheses it stays one. */
static const json_t *only_condition(const json_t *tree)
{
    const char *key;
    json_t *value;
    json_t *stmts = json_object_get(tree, "stmts");
    json_t *select =
        json_object_get(json_object_get(json_array_get(stmts, 0), "stmt"), "SelectStmt");
    if (json_array_size(stmts) != 1)
        return NULL;
    json_object_foreach(select, key, value) if (strcmp(key, "whereClause") != 0 &&
                                                strcmp(key, "limitOption") != 0 &&
                                                strcmp(key, "op") != 0) return NULL;
    return json_object_get(select, "whereClause");
}

static sl_rc walk_tree(walker *w, const char *tree_text)
{
    json_t *tree = json_loads(tree_text, 0, NULL);
    const json_t *condition = tree ? only_condition(tree) : NULL;
    sl_rc rc = condition ? walk(w, condition)
                         : refuse(w, "more than one expression (is a parenthesis missing?)");
    json_decref(tree);
    return rc;
}

sl_rc sl_condition_parse(sl_arena *arena, const char *where, const char *text,
                         const sl_condition **out, sl_error *err)
{
    walker w = { .arena = arena, .where = where, .err = err };
    char *sql = sl_arena_printf(arena, PREFIX "%s", text);
    PgQueryParseResult result = pg_query_parse(sql);
    sl_rc rc;
    if (result.error) {
        long at = (long)result.error->cursorpos - (long)strlen(PREFIX);
        rc = sl_fail(err, SL_USAGE, "%s: where: %s%s", where, result.error->message,
                     at > 0 && at <= (long)strlen(text)
                         ? sl_arena_printf(arena, ", at character %ld", at)
                         : "");
        sl_hint(err, "The syntax is that of PostgreSQL 15.");
    } else {
        rc = walk_tree(&w, result.parse_tree);
    }
    pg_query_free_parse_result(result);
    if (rc != SL_OK)
        return rc;
    sl_condition *c = SL_NEW(arena, sl_condition);
    w.columns = grow(&w, (void *)w.columns, w.n_columns, &w.cap_columns, sizeof(char *));
    *c = (sl_condition){ .sql = sl_arena_printf(arena, "(%s\n)",
                                                text), /* the text may end in a comment */
                         .columns = w.columns,
                         .named = w.named,
                         .n_named = w.n_named };
    *out = c;
    return SL_OK;
}
