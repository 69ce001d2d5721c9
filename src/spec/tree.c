/* tree.c: see tree.h.
 *
 * How: libfyaml's parser is asked for events, one at a time, and the tree is built here. Its own
 * document builder is not used: it keeps everything that YAML knows (anchors, tags, merge keys),
 * and the events give the line of every node. Text is checked to be UTF-8 before the library sees
 * it.
 *
 * Not done here: what a key means. See keys.c and read.c. */
#include "spec/tree.h"

#include <libfyaml.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef struct builder {
    sl_arena *arena;
    const char *file;
    sl_node *stack[SL_TREE_MAX_DEPTH]; /* the open lists and maps */
    size_t depth;
    const char *key; /* read, waiting for its value */
    int key_line;
    sl_node *root;
    bool document; /* one has begun */
    sl_error *err;
} builder;

bool sl_node_is_null(const sl_node *node)
{
    return node->kind == SL_NODE_SCALAR && !node->quoted &&
           (node->text[0] == '\0' || strcmp(node->text, "~") == 0 ||
            strcmp(node->text, "null") == 0 || strcmp(node->text, "Null") == 0 ||
            strcmp(node->text, "NULL") == 0);
}

const char *sl_node_kind_text(const sl_node *node)
{
    if (node->kind == SL_NODE_LIST)
        return "a list";
    if (node->kind == SL_NODE_MAP)
        return "a map";
    return sl_node_is_null(node) ? "nothing" : "a text";
}

char *sl_node_key_text(const char *key, char *buf)
{
    static const char shown[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.";
    size_t n = strspn(key, shown);
    bool cut = key[n] != '\0';
    if (n > 40) {
        n = 40;
        cut = true;
    }
    memcpy(buf, key, n);
    memcpy(buf + n, cut ? "…" : "", cut ? sizeof("…") : 1);
    return buf;
}

/* The length of the UTF-8 sequence at p, 0 if it is none (overlong forms and surrogates included).
 */
static size_t utf8_sequence(const uint8_t *p, size_t left)
{
    static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
    if (p[0] < 0x80)
        return 1;
    size_t n = p[0] >= 0xf0 && p[0] < 0xf5   ? 4
               : p[0] >= 0xe0 && p[0] < 0xf0 ? 3
               : p[0] >= 0xc2 && p[0] < 0xe0 ? 2
                                             : 0;
    if (n == 0 || n > left)
        return 0;
    uint32_t code = p[0] & (0xffu >> (n + 1));
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (p[i] & 0x3f);
    }
    bool surrogate = code >= 0xd800 && code <= 0xdfff;
    return code < least[n] || code > 0x10ffff || surrogate ? 0 : n;
}

static sl_rc check_text(const char *text, size_t len, const char *file, sl_error *err)
{
    if (len > SL_TREE_MAX_BYTES) {
        sl_fail(err, SL_USAGE, "%s: the specification is larger than 1 MiB", file);
        return sl_hint(err, "Select whole schemas, or tables by patterns (log_*), "
                            "instead of listing every table.");
    }
    int line = 1;
    for (size_t i = 0; i < len;) {
        size_t n = utf8_sequence((const uint8_t *)text + i, len - i);
        unsigned char c = (unsigned char)text[i];
        if (n == 0)
            return sl_fail(err, SL_USAGE, "%s:%d: not UTF-8 text", file, line);
        if ((c < ' ' && c != '\t' && c != '\n' && c != '\r') || c == 0x7f)
            return sl_fail(err, SL_USAGE, "%s:%d: a control character (0x%02x)", file, line, c);
        line += c == '\n';
        i += n;
    }
    return SL_OK;
}

static sl_rc refuse(builder *b, int line, const char *what)
{
    return sl_fail(b->err, SL_USAGE, "%s:%d: %s", b->file, line, what);
}

static int line_of(struct fy_event *event)
{
    const struct fy_mark *mark = fy_event_start_mark(event);
    return mark ? mark->line + 1 : 0;
}

/* Hangs a node below the innermost open list or map, under the waiting key. */
static sl_rc attach(builder *b, sl_node *node)
{
    if (b->depth == 0) {
        b->root = node;
        return SL_OK;
    }
    sl_node *parent = b->stack[b->depth - 1];
    if (parent->kind == SL_NODE_MAP) {
        if (!b->key)
            return refuse(b, node->line, "a key must be a plain word");
        node->key = b->key;
        node->line = b->key_line;
        b->key = NULL;
    }
    if (node->line == 0)
        node->line = parent->last ? parent->last->line : parent->line;
    if (parent->last)
        parent->last->next = node;
    else
        parent->first = node;
    parent->last = node;
    parent->n++;
    return SL_OK;
}

static sl_rc open_node(builder *b, struct fy_event *event, sl_node_kind kind)
{
    sl_node *node = SL_NEW(b->arena, sl_node);
    node->kind = kind;
    node->line = line_of(event);
    if (b->depth == SL_TREE_MAX_DEPTH)
        return refuse(b, node->line, "lists and maps are nested too deeply");
    if (attach(b, node) != SL_OK)
        return b->err->code;
    b->stack[b->depth++] = node;
    return SL_OK;
}

static int compare_keys(const void *a, const void *b)
{
    const sl_node *x = *(sl_node *const *)a, *y = *(sl_node *const *)b;
    int order = strcmp(x->key, y->key);
    return order ? order : (x->line > y->line) - (x->line < y->line);
}

/* A key that stands twice in one map: the first such pair is named with both lines. */
static sl_rc check_duplicates(builder *b, const sl_node *map)
{
    if (map->n < 2)
        return SL_OK;
    SL_SCRATCH(scratch);
    sl_node **sorted = SL_NEW_ARRAY(&scratch, sl_node *, map->n);
    size_t n = 0;
    for (sl_node *child = map->first; child; child = child->next)
        sorted[n++] = child;
    qsort(sorted, n, sizeof(*sorted), compare_keys);
    for (size_t i = 1; i < n; i++) {
        if (strcmp(sorted[i - 1]->key, sorted[i]->key) != 0)
            continue;
        char key[48];
        return sl_fail(b->err, SL_USAGE, "%s:%d: the key %s is given twice (first in line %d)",
                       b->file, sorted[i]->line, sl_node_key_text(sorted[i]->key, key),
                       sorted[i - 1]->line);
    }
    return SL_OK;
}

static sl_rc close_node(builder *b)
{
    const sl_node *node = b->stack[--b->depth];
    return node->kind == SL_NODE_MAP ? check_duplicates(b, node) : SL_OK;
}

static sl_rc scalar(builder *b, struct fy_event *event)
{
    struct fy_token *token = event->scalar.value;
    size_t len = 0;
    const char *text = token ? fy_token_get_text(token, &len) : "";
    int line = line_of(event);
    if (!text || memchr(text, '\0', len))
        return refuse(b, line, "a text with a NUL character in it");
    const sl_node *parent = b->depth ? b->stack[b->depth - 1] : NULL;
    if (parent && parent->kind == SL_NODE_MAP && !b->key) {
        b->key = sl_arena_strndup(b->arena, text, len);
        b->key_line = line ? line : parent->line;
        return SL_OK;
    }
    sl_node *node = SL_NEW(b->arena, sl_node);
    node->kind = SL_NODE_SCALAR;
    node->line = line;
    node->text = sl_arena_strndup(b->arena, text, len);
    node->quoted = token && fy_token_scalar_style(token) != FYSS_PLAIN;
    return attach(b, node);
}

static sl_rc handle(builder *b, struct fy_event *event)
{
    if (fy_event_get_tag_token(event))
        return refuse(b, line_of(event), "tags (words that begin with !) are not supported");
    switch (event->type) {
    case FYET_DOCUMENT_START:
        if (b->document)
            return refuse(b, line_of(event),
                          "a second document (after ---): one file holds one task");
        b->document = true;
        return SL_OK;
    case FYET_MAPPING_START:
        return open_node(b, event, SL_NODE_MAP);
    case FYET_SEQUENCE_START:
        return open_node(b, event, SL_NODE_LIST);
    case FYET_MAPPING_END:
    case FYET_SEQUENCE_END:
        return close_node(b);
    case FYET_SCALAR:
        return scalar(b, event);
    case FYET_ALIAS:
        return refuse(b, line_of(event),
                      "aliases (words that begin with *) are not supported; "
                      "put a pattern in quotes: \"*_log\"");
    default:
        return SL_OK;
    }
}

/* The parser's own complaint: its first error has the line. */
static sl_rc syntax_error(builder *b, struct fy_diag *diag)
{
    void *iterator = NULL;
    const struct fy_diag_error *e = fy_diag_errors_iterate(diag, &iterator);
    if (!e)
        return sl_fail(b->err, SL_USAGE, "%s: neither YAML nor JSON", b->file);
    sl_fail(b->err, SL_USAGE, "%s:%d: %s", b->file, e->line, e->msg ? e->msg : "syntax error");
    return sl_hint(b->err,
                   "The specification is YAML or JSON; column %d of that line is where "
                   "reading it stopped.",
                   e->column);
}

static sl_rc run_parser(builder *b, const char *text, size_t len, struct fy_diag *diag)
{
    struct fy_parse_cfg cfg = { .flags = FYPCF_QUIET | FYPCF_COLLECT_DIAG | FYPCF_JSON_NONE,
                                .diag = diag };
    struct fy_parser *parser = fy_parser_create(&cfg);
    if (!parser || fy_parser_set_string(parser, text, len) != 0) {
        fy_parser_destroy(parser);
        return sl_fail(b->err, SL_FAILED, "%s: the YAML parser could not be set up", b->file);
    }
    sl_rc rc = SL_OK;
    struct fy_event *event;
    while (rc == SL_OK && (event = fy_parser_parse(parser))) {
        rc = handle(b, event);
        fy_parser_event_free(parser, event);
    }
    if (rc == SL_OK && fy_parser_get_stream_error(parser))
        rc = syntax_error(b, diag);
    fy_parser_destroy(parser);
    return rc;
}

sl_rc sl_tree_parse(sl_arena *arena, const char *text, size_t len, const char *file,
                    const sl_node **root, sl_error *err)
{
    *root = NULL;
    sl_error unused = SL_ERROR_INIT;
    builder b = { .arena = arena, .file = file, .err = err ? err : &unused };
    if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
        text += 3;
        len -= 3;
    }
    if (check_text(text, len, file, b.err) != SL_OK)
        return b.err->code;
    struct fy_diag_cfg cfg;
    fy_diag_cfg_default(&cfg);
    cfg.fp = NULL;
    cfg.output_fn = NULL;
    struct fy_diag *diag = fy_diag_create(&cfg);
    if (!diag)
        return sl_fail(b.err, SL_FAILED, "%s: the YAML parser could not be set up", file);
    fy_diag_set_collect_errors(diag, true);
    sl_rc rc = run_parser(&b, text, len, diag);
    fy_diag_destroy(diag);
    if (rc == SL_OK && b.root && !sl_node_is_null(b.root))
        *root = b.root;
    return rc;
}
