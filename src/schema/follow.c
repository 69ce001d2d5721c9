/* follow.c: the lexical half of follow.h: tokens, qualified names, edits. */
#include "schema/follow.h"

#include <stdlib.h>
#include <string.h>
#include "spec/names.h"

/* ---- what is renamed ---- */

static void renamed_key(sl_buf *key, const char *schema, const char *name)
{
    sl_buf_clear(key);
    sl_buf_add(key, schema, strlen(schema) + 1);
    sl_buf_puts(key, name);
}

sl_renamed *sl_cat_renamed(const sl_cat *cat, const char *schema, const char *name)
{
    SL_BUF(key);
    if (!cat->renamed)
        return NULL;
    renamed_key(&key, schema, name);
    return sl_map_get(cat->renamed, key.data, key.len);
}

const sl_renamed *sl_cat_renamed_route(const sl_cat *cat, const sl_route *route)
{
    return sl_cat_renamed(cat, route->src_schema, route->src_table);
}

static sl_renamed *add_renamed(sl_cat *cat, const char *schema, const char *name,
                               const char *dst_schema, const char *dst_name)
{
    SL_BUF(key);
    sl_renamed *r = SL_NEW(&cat->arena, sl_renamed);
    *r = (sl_renamed){
        .schema = schema, .name = name, .dst_schema = dst_schema, .dst_name = dst_name
    };
    renamed_key(&key, schema, name);
    sl_map_put(cat->renamed, key.data, key.len, r);
    return r;
}

static void add_column(sl_cat *cat, sl_renamed *r, const char *name, const char *dst)
{
    r->columns =
        sl_arena_grow(&cat->arena, r->columns, r->n_columns, &r->capacity, sizeof(*r->columns));
    r->columns[r->n_columns++] = (sl_renamed_column){ name, dst };
    if (strcmp(name, dst) != 0)
        r->last_renamed = r->n_columns;
}

static void add_route(sl_cat *cat, const sl_route *route)
{
    sl_renamed *r =
        add_renamed(cat, route->src_schema, route->src_table, route->dst_schema, route->dst_table);
    for (size_t i = 0; i < route->n_columns; i++)
        add_column(cat, r, route->columns[i].name, route->columns[i].dst_name);
}

/* A view, a foreign table, or a sequence and the table that owns it. */
static void relation_row(sl_cat *cat, const PGresult *row)
{
    const sl_spec *spec = cat->run->spec;
    const char *schema = sl_cat_text(cat, row, 1), *name = sl_cat_text(cat, row, 2);
    if (sl_cat_find(cat, SL_CLASS_REL, sl_cat_oid(row, 0))) /* a member of an extension */
        return;
    const sl_route *owner = sl_route_by_oid(cat->routes, sl_cat_oid(row, 3));
    const char *dst = owner ? sl_names_belonging(spec, owner->src_schema, owner->src_table,
                                                 owner->dst_table, name, &cat->arena)
                            : sl_names_table(spec, NULL, schema, name, &cat->arena);
    add_renamed(cat, schema, name, sl_cat_schema(cat, schema), dst);
}

static void view_column_row(sl_cat *cat, const PGresult *row)
{
    const char *schema = sl_cell(row, 0, 0), *view = sl_cell(row, 0, 1);
    sl_renamed *r = sl_cat_renamed(cat, schema, view);
    const char *name = sl_cat_text(cat, row, 2);
    if (r)
        add_column(cat, r, name,
                   sl_names_column(cat->run->spec, NULL, schema, view, name, &cat->arena));
}

sl_rc sl_cat_read_renamed(sl_cat *cat)
{
    SL_BUF(schemas);
    if (!cat->routes->mapped)
        return SL_OK;
    cat->renamed = sl_map_new();
    for (size_t i = 0; i < cat->routes->n; i++)
        add_route(cat, &cat->routes->items[i]);
    for (size_t i = 0; i < cat->routes->n_schemas; i++)
        sl_sql_add(&schemas, "%s%L", i ? ", " : "", cat->routes->schemas[i].src);
    sl_rc rc = sl_cat_each(
        cat, "views and sequences",
        sl_sql(&cat->arena,
               "SELECT c.oid, n.nspname, c.relname, coalesce(d.refobjid, 0) FROM pg_class c"
               " JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_depend d"
               " ON c.relkind = 'S' AND d.classid = 'pg_class'::regclass AND d.objid = c.oid"
               " AND d.objsubid = 0 AND d.refclassid = 'pg_class'::regclass"
               " AND d.deptype IN ('a', 'i')"
               " WHERE c.relkind IN ('v', 'm', 'f', 'S') AND n.nspname IN (%s)",
               sl_buf_str(&schemas)),
        relation_row);
    if (rc != SL_OK)
        return rc;
    return sl_cat_each(
        cat, "columns of views",
        sl_sql(&cat->arena,
               "SELECT n.nspname, c.relname, a.attname FROM pg_class c"
               " JOIN pg_namespace n ON n.oid = c.relnamespace"
               " JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped"
               " WHERE c.relkind IN ('v', 'm') AND n.nspname IN (%s) ORDER BY c.oid, a.attnum",
               sl_buf_str(&schemas)),
        view_column_row);
}

/* ---- tokens ---- */

static bool begins_name(char c)
{
    return (c >= 'a' && c <= 'z') || c == '_' || (unsigned char)c >= 0x80;
}

static bool goes_on(char c)
{
    return begins_name(c) || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '$';
}

/* The end of 'text' or "text"; from: behind the opening quote. */
static const char *quoted_end(const char *p, char quote, bool backslashes)
{
    for (; *p; p++) {
        if (backslashes && *p == '\\' && p[1])
            p++;
        else if (*p == quote && p[1] == quote)
            p++;
        else if (*p == quote)
            return p + 1;
    }
    return p;
}

static char *unquote(sl_arena *arena, const char *from, const char *to, char quote)
{
    SL_BUF(out);
    for (const char *p = from; p < to; p++) {
        sl_buf_putc(&out, *p);
        if (*p == quote && p + 1 < to && p[1] == quote)
            p++;
    }
    return sl_arena_strdup(arena, sl_buf_str(&out));
}

static sl_token *new_token(sl_text *t)
{
    t->tokens = sl_arena_grow(&t->cat->arena, t->tokens, t->n, &t->capacity, sizeof(*t->tokens));
    return &t->tokens[t->n++];
}

/* $tag$ … $tag$; NULL when it is none. */
static const char *dollar_end(const char *p)
{
    const char *tag = p + 1;
    while (goes_on(*tag) && *tag != '$')
        tag++;
    if (*tag != '$')
        return NULL;
    size_t len = (size_t)(tag - p) + 1;
    for (const char *q = tag + 1; *q; q++)
        if (strncmp(q, p, len) == 0)
            return q + len;
    return NULL;
}

/* One token; returns its end. */
static const char *read_token(sl_text *t, const char *p)
{
    sl_arena *arena = &t->cat->arena;
    sl_token *token = new_token(t);
    const char *end = p + 1;
    token->kind = SL_TOKEN_OTHER;
    token->start = (size_t)(p - t->text);
    bool escapes = (*p == 'E' || *p == 'e') && p[1] == '\'';
    if (*p == '\'' || escapes) {
        end = quoted_end(p + 1 + escapes, '\'', escapes);
        token->kind = SL_TOKEN_STRING;
        token->value = escapes ? "" : unquote(arena, p + 1, end - 1, '\'');
    } else if (*p == '"') {
        end = quoted_end(p + 1, '"', false);
        token->kind = SL_TOKEN_NAME;
        token->value = unquote(arena, p + 1, end - 1, '"');
    } else if (*p == '$' && dollar_end(p)) {
        end = dollar_end(p);
        token->kind = SL_TOKEN_BODY;
        token->value = sl_arena_strndup(arena, p, (size_t)(end - p));
    } else if (goes_on(*p)) {
        while (goes_on(*end))
            end++;
        if (begins_name(*p)) {
            token->kind = SL_TOKEN_NAME;
            token->value = sl_arena_strndup(arena, p, (size_t)(end - p));
        } else if (*p >= 'A' && *p <= 'Z') {
            token->kind = SL_TOKEN_KEYWORD;
        }
    }
    token->len = (size_t)(end - p);
    return end;
}

static void read_tokens(sl_text *t)
{
    for (const char *p = t->text; *p;) {
        p += strspn(p, " \t\r\n");
        if (*p)
            p = read_token(t, p);
    }
}

bool sl_text_is(const sl_text *t, size_t token, const char *text)
{
    return token < t->n && t->tokens[token].len == strlen(text) &&
           strncmp(t->text + t->tokens[token].start, text, t->tokens[token].len) == 0;
}

static bool is_name(const sl_text *t, size_t token)
{
    return token < t->n && t->tokens[token].kind == SL_TOKEN_NAME;
}

size_t sl_text_token_at(const sl_text *t, size_t offset)
{
    size_t low = 0, high = t->n;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (t->tokens[middle].start < offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low < t->n && t->tokens[low].start == offset ? low : t->n;
}

/* ---- edits ---- */

static void add_edit(sl_text *t, size_t at, size_t len, const char *text)
{
    t->edits =
        sl_arena_grow(&t->cat->arena, t->edits, t->n_edits, &t->capacity_edits, sizeof(*t->edits));
    t->edits[t->n_edits++] = (sl_edit){ at, len, text };
}

void sl_text_edit(sl_text *t, size_t token, const char *text)
{
    if (token >= t->n || t->tokens[token].edited)
        return;
    t->tokens[token].edited = true;
    add_edit(t, t->tokens[token].start, t->tokens[token].len, text);
}

void sl_text_insert(sl_text *t, size_t token, const char *text)
{
    if (token < t->n)
        add_edit(t, t->tokens[token].start + t->tokens[token].len, 0, text);
}

void sl_text_rename_column(sl_text *t, size_t token, const sl_renamed *relation)
{
    if (!relation || !is_name(t, token))
        return;
    for (size_t i = 0; i < relation->last_renamed; i++) {
        const sl_renamed_column *c = &relation->columns[i];
        if (strcmp(c->name, t->tokens[token].value) == 0 && strcmp(c->name, c->dst_name) != 0)
            sl_text_edit(t, token, sl_sql(&t->cat->arena, "%I", c->dst_name));
    }
}

static int compare_edits(const void *a, const void *b)
{
    const sl_edit *x = a, *y = b;
    if (x->at != y->at)
        return x->at < y->at ? -1 : 1;
    return x->len < y->len ? -1 : x->len > y->len; /* an insertion before a replacement */
}

static const char *apply_edits(sl_text *t)
{
    SL_BUF(out);
    size_t at = 0;
    if (t->n_edits == 0)
        return t->text;
    qsort(t->edits, t->n_edits, sizeof(*t->edits), compare_edits);
    for (size_t i = 0; i < t->n_edits; i++) {
        sl_buf_add(&out, t->text + at, t->edits[i].at - at);
        sl_buf_puts(&out, t->edits[i].text);
        at = t->edits[i].at + t->edits[i].len;
    }
    sl_buf_puts(&out, t->text + at);
    return sl_arena_strdup(&t->cat->arena, sl_buf_str(&out));
}

/* ---- qualified names ---- */

static void follow_schema(sl_text *t, size_t token)
{
    const char *mapped = sl_route_schema(t->cat->routes, t->tokens[token].value);
    if (mapped && strcmp(mapped, t->tokens[token].value) != 0)
        sl_text_edit(t, token, sl_sql(&t->cat->arena, "%I", mapped));
}

/* schema.name, or schema.table.column */
static void follow_pair(sl_text *t, size_t i)
{
    bool call = sl_text_is(t, i + 3, "("), collation = i > 0 && sl_text_is(t, i - 1, "COLLATE");
    const sl_renamed *r = (call && !t->tokens[i].relation) || collation
                              ? NULL
                              : sl_cat_renamed(t->cat, t->tokens[i].value, t->tokens[i + 2].value);
    if (!r) {
        follow_schema(t, i);
        return;
    }
    if (strcmp(r->schema, r->dst_schema) != 0)
        sl_text_edit(t, i, sl_sql(&t->cat->arena, "%I", r->dst_schema));
    if (strcmp(r->name, r->dst_name) != 0)
        sl_text_edit(t, i + 2, sl_sql(&t->cat->arena, "%I", r->dst_name));
    if (sl_text_is(t, i + 3, ".") && is_name(t, i + 4))
        sl_text_rename_column(t, i + 4, r);
}

/* 'schema.name'::regclass and the like */
static void follow_string(sl_text *t, size_t i)
{
    sl_arena *arena = &t->cat->arena;
    bool cast = sl_text_is(t, i + 1, ":") && sl_text_is(t, i + 2, ":") && is_name(t, i + 3);
    if (!cast || strncmp(t->tokens[i + 3].value, "reg", 3) != 0)
        return;
    const char *value = t->tokens[i].value, *mapped;
    if (strcmp(t->tokens[i + 3].value, "regnamespace") == 0) {
        mapped = sl_route_schema(t->cat->routes, value);
        mapped = mapped ? sl_sql(arena, "%I", mapped) : value;
    } else {
        mapped = sl_follow_names(t->cat, value);
    }
    if (strcmp(mapped, value) != 0)
        sl_text_edit(t, i, sl_sql(arena, "%L", mapped));
}

/* SET search_path TO 'a', 'b' of a routine, which quotes every one. */
static void follow_search_path(sl_text *t, size_t i)
{
    for (i += 3; i < t->n && t->tokens[i].kind == SL_TOKEN_STRING; i += 2) {
        const char *mapped = sl_route_schema(t->cat->routes, t->tokens[i].value);
        if (mapped && strcmp(mapped, t->tokens[i].value) != 0)
            sl_text_edit(t, i, sl_sql(&t->cat->arena, "%L", mapped));
        if (!sl_text_is(t, i + 1, ","))
            return;
    }
}

static void follow_qualified(sl_text *t)
{
    for (size_t i = 0; i < t->n; i++) {
        const sl_token *token = &t->tokens[i];
        bool inside = i > 0 && sl_text_is(t, i - 1, ".");
        if (token->kind == SL_TOKEN_STRING)
            follow_string(t, i);
        else if (sl_text_is(t, i, "SET") && sl_text_is(t, i + 1, "search_path"))
            follow_search_path(t, i);
        else if (token->kind == SL_TOKEN_NAME && !token->column && !inside &&
                 sl_text_is(t, i + 1, ".") && i + 2 < t->n &&
                 t->tokens[i + 2].kind != SL_TOKEN_STRING)
            is_name(t, i + 2) ? follow_pair(t, i) : follow_schema(t, i);
    }
}

/* ---- columns that the tree has no places of ---- */

/* The elements of the lists in parentheses at the text's top: a name that is neither called nor
 * qualified is a column. */
static void follow_elements(sl_text *t, size_t from, const sl_renamed *base)
{
    int depth = 0;
    bool options = false;
    for (size_t i = from; i < t->n; i++) {
        bool opens = sl_text_is(t, i, "(");
        if (opens && depth == 0)
            options = i > 0 && sl_text_is(t, i - 1, "WITH");
        bool begins =
            depth == 1 && i > 0 && (sl_text_is(t, i - 1, "(") || sl_text_is(t, i - 1, ","));
        if (begins && !options && is_name(t, i) && !sl_text_is(t, i + 1, "(") &&
            !sl_text_is(t, i + 1, "."))
            sl_text_rename_column(t, i, base);
        depth += opens ? 1 : sl_text_is(t, i, ")") ? -1 : 0;
    }
}

/* A list of names between two keywords, as in UPDATE OF a, b ON. */
static void follow_list(sl_text *t, size_t i, const char *end, const sl_renamed *base)
{
    int depth = 0;
    for (; i < t->n && !(depth == 0 && (sl_text_is(t, i, end) || sl_text_is(t, i, "OR"))); i++) {
        depth += sl_text_is(t, i, "(") ? 1 : sl_text_is(t, i, ")") ? -1 : 0;
        if (depth == 0 && is_name(t, i) && !sl_text_is(t, i + 1, "(") &&
            !sl_text_is(t, i + 1, ".") && !(i > 0 && sl_text_is(t, i - 1, ".")))
            sl_text_rename_column(t, i, base);
    }
}

static void follow_headers(sl_text *t, const sl_renamed *base)
{
    if (sl_text_is(t, 0, "CREATE") && (sl_text_is(t, 1, "INDEX") || sl_text_is(t, 2, "INDEX")))
        follow_elements(t, 3, base);
    for (size_t i = 0; i < t->n; i++) {
        if (sl_text_is(t, i, "UPDATE") && sl_text_is(t, i + 1, "OF"))
            follow_list(t, i + 2, "ON", base);
        else if (sl_text_is(t, i, "ALTER") && sl_text_is(t, i + 1, "COLUMN"))
            sl_text_rename_column(t, i + 2, base);
        else if (sl_text_is(t, i, "ON") && sl_text_is(t, 1, "STATISTICS"))
            follow_list(t, i + 1, "FROM", base);
        else if (sl_text_is(t, i, "GRANT"))
            follow_elements(t, i, base);
    }
}

/* Without a tree: every bare name that is a column's, outside of types and calls. */
static bool follow_bare(sl_text *t, const sl_renamed *base)
{
    for (size_t i = 0; i < t->n; i++)
        if (sl_text_is(t, i, "SELECT"))
            return false;
    for (size_t i = 0; base && i < t->n; i++) {
        bool inside = i > 0 && (sl_text_is(t, i - 1, ".") || sl_text_is(t, i - 1, ":"));
        if (!inside && is_name(t, i) && !sl_text_is(t, i + 1, "(") && !sl_text_is(t, i + 1, "."))
            sl_text_rename_column(t, i, base);
    }
    return true;
}

/* ---- the whole ---- */

static bool has_body(const sl_text *t)
{
    for (size_t i = 0; i < t->n; i++)
        if (t->tokens[i].kind == SL_TOKEN_BODY)
            return true;
    return false;
}

const char *sl_follow(sl_cat *cat, sl_follow_kind kind, const sl_renamed *base, const char *text,
                      const char **why)
{
    sl_text t = { .cat = cat, .text = text };
    const char *reason = NULL;
    if (!text || !cat->renamed)
        return text;
    read_tokens(&t);
    bool parse = kind != SL_FOLLOW_NAMES && !(kind == SL_FOLLOW_STATEMENT && has_body(&t));
    if (parse && !sl_follow_tree(&t, kind, base, &reason) &&
        (kind == SL_FOLLOW_STATEMENT || !follow_bare(&t, base)) && why)
        *why = sl_arena_printf(cat->out, "it cannot be followed to the new names: %s", reason);
    if (kind == SL_FOLLOW_STATEMENT || kind == SL_FOLLOW_NAMES)
        follow_headers(&t, base);
    else if (kind != SL_FOLLOW_EXPRESSION)
        follow_elements(&t, 0, base);
    follow_qualified(&t);
    return apply_edits(&t);
}

const char *sl_follow_names(sl_cat *cat, const char *text)
{
    return sl_follow(cat, SL_FOLLOW_NAMES, NULL, text, NULL);
}

/* ---- string bodies ---- */

static bool mentions(const char *body, const char *name)
{
    size_t len = strlen(name);
    for (const char *p = body; (p = strstr(p, name)); p++)
        if ((p == body || !goes_on(p[-1])) && !goes_on(p[len]))
            return true;
    return false;
}

static bool table_mentioned(const char *body, const sl_route *r)
{
    return strcmp(r->src_table, r->dst_table) != 0 && mentions(body, r->src_table);
}

const char *sl_follow_mention(sl_cat *cat, const char *definition)
{
    sl_text t = { .cat = cat, .text = definition };
    if (!cat->renamed || !definition)
        return NULL;
    read_tokens(&t);
    for (size_t i = 0; i < t.n; i++) {
        const char *body = t.tokens[i].value;
        if (t.tokens[i].kind != SL_TOKEN_BODY)
            continue;
        for (size_t j = 0; j < cat->routes->n_schemas; j++)
            if (strcmp(cat->routes->schemas[j].src, cat->routes->schemas[j].dst) != 0 &&
                mentions(body, cat->routes->schemas[j].src))
                return cat->routes->schemas[j].src;
        for (size_t j = 0; j < cat->routes->n; j++) {
            const sl_route *r = &cat->routes->items[j];
            if (table_mentioned(body, r))
                return r->src_table;
            for (size_t c = 0; c < r->n_columns; c++)
                if (strcmp(r->columns[c].name, r->columns[c].dst_name) != 0 &&
                    mentions(body, r->columns[c].name))
                    return r->columns[c].name;
        }
    }
    return NULL;
}
