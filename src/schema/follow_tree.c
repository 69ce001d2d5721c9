/* follow_tree.c: the half of follow.h that reads the parse tree.
 *
 * libpg_query gives the tree as JSON with the byte offset of every relation and column reference.
 * The walk is generic; a table of handlers does what some nodes need. Scopes: an unqualified column
 * is the base's only outside of queries (the server qualifies every column inside of them, as they
 * have an outer query), or the target's of an UPDATE or DELETE of one table. */
#include "schema/follow.h"

#include <jansson.h>
#include <pg_query.h>
#include <string.h>

/* A qualifier that means a relation whose columns have to be edited. */
typedef struct meaning {
    const char *qualifier;
    const sl_renamed *relation;
    const char *renamed; /* what the qualifier itself has to become, or NULL */
    const struct meaning *next;
} meaning;

typedef struct scope {
    const meaning *meanings;
    const sl_renamed *bare;   /* the relation of unqualified columns, or NULL */
    const sl_renamed *target; /* of an INSERT, UPDATE, DELETE, MERGE */
    bool from;                /* relations may have aliases here */
} scope;

typedef struct walker {
    sl_text *text;
    size_t prefix; /* bytes before the text in what was parsed */
    const sl_renamed *base;
    bool top; /* the next SELECT is what the text was wrapped in */
} walker;

static void walk(walker *w, const json_t *node, const scope *s);
static void walk_value(walker *w, const char *key, const json_t *value, const scope *s);

static const char *text_of(const json_t *node, const char *key)
{
    return json_string_value(json_object_get(node, key));
}

/* The token that a node points at, or the number of tokens. */
static size_t token_of(const walker *w, const json_t *node)
{
    size_t location = (size_t)json_integer_value(json_object_get(node, "location"));
    return location < w->prefix ? w->text->n : sl_text_token_at(w->text, location - w->prefix);
}

/* ---- relations ---- */

/* "(a, b)": the source's names up to the last that is another in the destination. */
static const char *column_aliases(walker *w, const sl_renamed *r)
{
    SL_BUF(list);
    for (size_t i = 0; i < r->last_renamed; i++)
        sl_sql_add(&list, "%s%I", i ? ", " : "(", r->columns[i].name);
    if (r->last_renamed)
        sl_buf_putc(&list, ')');
    return sl_arena_strdup(&w->text->cat->arena, sl_buf_str(&list));
}

/* Marks schema.name as a relation's; returns it if it is renamed. */
static const sl_renamed *mark_relation(walker *w, const json_t *relation)
{
    const char *schema = text_of(relation, "schemaname"), *name = text_of(relation, "relname");
    size_t token = token_of(w, relation);
    if (!schema || !name || token >= w->text->n)
        return NULL;
    w->text->tokens[token].relation = true;
    return sl_cat_renamed(w->text->cat, schema, name);
}

static void give_alias(walker *w, const json_t *relation, const sl_renamed *r, const char *as,
                       bool columns)
{
    sl_text *t = w->text;
    size_t name = token_of(w, relation) + 2;
    const json_t *alias = json_object_get(relation, "alias");
    const char *list = columns ? column_aliases(w, r) : "";
    if (!alias) {
        if (strcmp(r->name, r->dst_name) != 0 || list[0])
            sl_text_insert(t, name, sl_sql(&t->cat->arena, "%s%I%s", as, r->name, list));
        return;
    }
    const char *alias_name = text_of(alias, "aliasname");
    if (json_object_get(alias, "colnames") || !list[0] || !alias_name)
        return;
    for (size_t i = name + 1; i < t->n && i <= name + 2; i++)
        if (t->tokens[i].value && strcmp(t->tokens[i].value, alias_name) == 0)
            sl_text_insert(t, i, list);
}

static void on_relation(walker *w, const json_t *node, const scope *s)
{
    const sl_renamed *r = mark_relation(w, node);
    if (r && s->from)
        give_alias(w, node, r, " ", true);
}

/* ---- columns ---- */

static const meaning *meaning_of(const scope *s, const char *qualifier)
{
    for (const meaning *m = s->meanings; m; m = m->next)
        if (strcmp(m->qualifier, qualifier) == 0)
            return m;
    return NULL;
}

static void on_column(walker *w, const json_t *node, const scope *s)
{
    const json_t *fields = json_object_get(node, "fields");
    size_t n = json_array_size(fields), token = token_of(w, node);
    const char *first = text_of(json_object_get(json_array_get(fields, 0), "String"), "sval");
    if (token >= w->text->n || !first)
        return;
    w->text->tokens[token].column = true;
    if (n == 1) {
        sl_text_rename_column(w->text, token, s->bare);
        return;
    }
    const meaning *m = meaning_of(s, first);
    if (!m)
        return;
    if (m->renamed)
        sl_text_edit(w->text, token, sl_sql(&w->text->cat->arena, "%I", m->renamed));
    sl_text_rename_column(w->text, token + 2, m->relation);
}

/* A column that is set, or in the list of an INSERT. */
static void on_target_column(walker *w, const json_t *node, const scope *s)
{
    if (s->target && text_of(node, "name"))
        sl_text_rename_column(w->text, token_of(w, node), s->target);
    walk(w, node, s);
}

static void walk_targets(walker *w, const json_t *list, const scope *s)
{
    size_t i;
    const json_t *item;
    json_array_foreach(list, i, item) on_target_column(w, json_object_get(item, "ResTarget"), s);
}

/* ---- statements ---- */

static void walk_value(walker *w, const char *key, const json_t *value, const scope *s)
{
    static const char *const lists[] = { "fromClause", "usingClause", "sourceRelation" };
    scope inner = *s;
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
        inner.from |= strcmp(key, lists[i]) == 0;
    walk(w, value, &inner);
}

static void walk_but(walker *w, const json_t *node, const scope *s, const char *const *but)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)node, key, value)
    {
        bool skipped = false;
        for (size_t i = 0; but[i]; i++)
            skipped |= strcmp(but[i], key) == 0;
        if (skipped)
            continue;
        walk_value(w, key, value, s);
    }
}

static void on_select(walker *w, const json_t *node, const scope *s)
{
    static const char *const none[] = { NULL };
    scope inner = *s;
    inner.from = false;
    if (!w->top) {
        inner.bare = NULL;
        inner.target = NULL;
    }
    w->top = false;
    walk_but(w, node, &inner, none);
}

/* ON CONFLICT (a, b): the list has a place, its names have none. */
static void on_inference(walker *w, const json_t *infer, const sl_renamed *target)
{
    const sl_text *t = w->text;
    int depth = 0;
    for (size_t i = token_of(w, infer); i < t->n; i++) {
        bool begins = depth == 1 && (sl_text_is(t, i - 1, "(") || sl_text_is(t, i - 1, ","));
        if (begins && !sl_text_is(t, i + 1, "(") && !sl_text_is(t, i + 1, "."))
            sl_text_rename_column(w->text, i, target);
        depth += sl_text_is(t, i, "(") ? 1 : sl_text_is(t, i, ")") ? -1 : 0;
        if (depth == 0)
            return;
    }
}

/* INSERT, UPDATE, DELETE, MERGE: the target cannot have its columns' old names as aliases. */
static void on_change(walker *w, const json_t *node, const scope *s)
{
    static const char *const handled[] = { "relation", "cols", "targetList", NULL };
    const json_t *relation = json_object_get(node, "relation");
    const json_t *conflict = json_object_get(node, "onConflictClause");
    const sl_renamed *target = mark_relation(w, relation);
    const json_t *alias = json_object_get(relation, "alias");
    meaning excluded = { "excluded", target, NULL, s->meanings };
    meaning own = { "", target, NULL, &excluded };
    scope inner = *s;
    inner.target = target;
    inner.from = false;
    if (target) {
        own.qualifier = alias ? text_of(alias, "aliasname") : target->name;
        inner.meanings = &own;
        inner.bare = json_object_get(node, "fromClause") || json_object_get(node, "usingClause")
                         ? NULL
                         : target;
        give_alias(w, relation, target, " AS ", false);
    }
    walk_targets(w, json_object_get(node, "cols"), &inner);
    walk_targets(w, json_object_get(node, "targetList"), &inner);
    if (conflict) {
        walk_targets(w, json_object_get(conflict, "targetList"), &inner);
        if (target && json_object_get(conflict, "infer"))
            on_inference(w, json_object_get(conflict, "infer"), target);
    }
    walk_but(w, node, &inner, handled);
}

static void on_conflict(walker *w, const json_t *node, const scope *s)
{
    static const char *const handled[] = { "targetList", NULL };
    walk_but(w, node, s, handled); /* its list is on_change's */
}

static void on_merge_action(walker *w, const json_t *node, const scope *s)
{
    static const char *const handled[] = { "targetList", NULL };
    walk_targets(w, json_object_get(node, "targetList"), s);
    walk_but(w, node, s, handled);
}

static const char *const relation_keys[] = { "relation", "table", "view", NULL };

/* Statements about one relation: its columns stand bare, and under its name. */
static void on_definition(walker *w, const json_t *node, const scope *s)
{
    const sl_renamed *r = NULL;
    for (size_t i = 0; relation_keys[i] && !r; i++)
        if (json_is_object(json_object_get(node, relation_keys[i])))
            r = mark_relation(w, json_object_get(node, relation_keys[i]));
    if (!r)
        r = w->base;
    meaning new_row = { "new", r, NULL, s->meanings }, old_row = { "old", r, NULL, &new_row };
    meaning own = { "", r, NULL, &old_row };
    scope inner = *s;
    if (r) {
        own.qualifier = r->name;
        own.renamed = strcmp(r->name, r->dst_name) != 0 ? r->dst_name : NULL;
        inner.meanings = &own;
        inner.bare = r;
    }
    walk_but(w, node, &inner, relation_keys);
}

/* A view: its own columns keep their names, or get a list of them. */
static void on_view(walker *w, const json_t *node, const scope *s)
{
    const json_t *view = json_object_get(node, "view");
    if (!view)
        view = json_object_get(json_object_get(node, "into"), "rel");
    const sl_renamed *r = mark_relation(w, view);
    if (r && r->last_renamed) {
        SL_BUF(list);
        for (size_t i = 0; i < r->n_columns; i++)
            sl_sql_add(&list, "%s%I", i ? ", " : " (", r->columns[i].dst_name);
        sl_buf_putc(&list, ')');
        sl_text_insert(w->text, token_of(w, view) + 2,
                       sl_arena_strdup(&w->text->cat->arena, sl_buf_str(&list)));
    }
    walk(w, json_object_get(node, "query"), s);
}

/* ---- the walk ---- */

static const struct handler {
    const char *key;
    void (*handle)(walker *w, const json_t *node, const scope *s);
} handlers[] = {
    { "ColumnRef", on_column },
    { "RangeVar", on_relation },
    { "SelectStmt", on_select },
    { "InsertStmt", on_change },
    { "UpdateStmt", on_change },
    { "DeleteStmt", on_change },
    { "MergeStmt", on_change },
    { "MergeWhenClause", on_merge_action },
    { "onConflictClause", on_conflict },
    { "RuleStmt", on_definition },
    { "CreateTrigStmt", on_definition },
    { "CreatePolicyStmt", on_definition },
    { "IndexStmt", on_definition },
    { "AlterTableStmt", on_definition },
    { "CreateStmt", on_definition },
    { "CreateStatsStmt", on_definition },
    { "ViewStmt", on_view },
    { "CreateTableAsStmt", on_view },
};

static void walk(walker *w, const json_t *node, const scope *s)
{
    const char *key;
    json_t *value;
    size_t i;
    if (json_is_array(node)) {
        json_array_foreach(node, i, value) walk(w, value, s);
        return;
    }
    json_object_foreach((json_t *)node, key, value)
    {
        const struct handler *found = NULL;
        for (i = 0; i < sizeof(handlers) / sizeof(handlers[0]) && !found; i++)
            if (strcmp(handlers[i].key, key) == 0)
                found = &handlers[i];
        if (found)
            found->handle(w, value, s);
        else
            walk_value(w, key, value, s);
    }
}

/* ---- the whole ---- */

/* Ownership: what the parser returned. */
static bool walk_tree(walker *w, const char *tree)
{
    json_t *root = json_loads(tree, 0, NULL);
    if (!root)
        return false;
    const sl_renamed *base = w->base;
    meaning own = { base ? base->name : "", base, NULL, NULL };
    scope s = { .meanings = base ? &own : NULL, .bare = base };
    if (base && strcmp(base->name, base->dst_name) != 0)
        own.renamed = base->dst_name;
    walk(w, root, &s);
    json_decref(root);
    return true;
}

bool sl_follow_tree(sl_text *t, sl_follow_kind kind, const sl_renamed *base, const char **why)
{
    static const char *const prefixes[] = {
        [SL_FOLLOW_EXPRESSION] = "SELECT ",
        [SL_FOLLOW_CONSTRAINT] = "ALTER TABLE x ADD ",
        [SL_FOLLOW_INDEX] = "CREATE INDEX ON x ",
        [SL_FOLLOW_PARTITION] = "CREATE TABLE x () PARTITION BY ",
        [SL_FOLLOW_STATEMENT] = "",
    };
    walker w = { .text = t,
                 .prefix = strlen(prefixes[kind]),
                 .base = base,
                 .top = kind == SL_FOLLOW_EXPRESSION };
    char *sql = sl_arena_printf(&t->cat->arena, "%s%s", prefixes[kind], t->text);
    PgQueryParseResult result = pg_query_parse(sql);
    bool done = !result.error && walk_tree(&w, result.parse_tree);
    if (!done)
        *why = result.error ? sl_arena_strdup(&t->cat->arena, result.error->message)
                            : "it is nested too deeply";
    pg_query_free_parse_result(result);
    return done;
}
