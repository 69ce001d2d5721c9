/* read.c: from a tree of nodes to an sl_spec, as the table of keys says.
 *
 * How: a map is read against the rows of its scope: unknown keys are refused with what is near and
 * what is allowed, keys that are not honoured yet by name, values by the converter of their type;
 * then missing keys take their defaults through the same converters. What concerns several keys at
 * once is checked afterwards (check.c).
 *
 * No message contains a value that could be a password: texts are not echoed, only words that were
 * compared with a fixed list. */
#include "spec/spec.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>
#include "core/buf.h"
#include "pg/tunnel.h"
#include "spec/check.h"
#include "spec/keys.h"
#include "spec/names.h"
#include "spec/password.h"
#include "spec/suggest.h"
#include "spec/tree.h"

#define MAX_TEXT 4096
#define MAX_NAME 63 /* NAMEDATALEN - 1 */

typedef struct reader {
    sl_spec *spec;
    sl_arena *arena;
    const char *file;
    sl_error *err;
    char path[256]; /* of the key being read: objects[0].tables[2].table */
    bool destination;
} reader;

typedef sl_rc (*convert_fn)(reader *r, const sl_key *key, const sl_node *node, void *field);
static const convert_fn converters[SL_VALUE_END];
static sl_rc read_map(reader *r, sl_scope scope, const sl_node *map, void *base);

/* ---- messages ---- */

/* "file:line: path text", with what the key takes as the hint. */
__attribute__((format(printf, 4, 5))) static sl_rc bad(reader *r, const sl_key *key, int line,
                                                       const char *fmt, ...)
{
    char text[400], takes[160];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    sl_fail(r->err, SL_USAGE, "%s:%d: %s %s", r->file, line, r->path, text);
    return sl_hint(r->err, "%s takes: %s.", r->path, sl_key_takes(key, takes));
}

static size_t enter(reader *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static size_t enter(reader *r, const char *fmt, ...)
{
    size_t before = strlen(r->path);
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(r->path + before, sizeof(r->path) - before, fmt, ap);
    va_end(ap);
    return before;
}

static void leave(reader *r, size_t before)
{
    r->path[before] = '\0';
}

/* ---- converters: one per sl_value ---- */

/* The scalar's text, not empty and, but for PostgreSQL's names, without control characters. NULL
 * with err filled. */
static const char *text_of(reader *r, const sl_key *key, const sl_node *node)
{
    if (node->kind != SL_NODE_SCALAR || sl_node_is_null(node)) {
        bad(r, key, node->line, "is %s where a text is expected", sl_node_kind_text(node));
        return NULL;
    }
    size_t len = strlen(node->text);
    if (len == 0 || len > MAX_TEXT) {
        bad(r, key, node->line, len ? "is longer than 4096 bytes" : "is empty");
        return NULL;
    }
    bool name = key->value == SL_VALUE_NAME || key->value == SL_VALUE_PATTERN ||
                key->value == SL_VALUE_TEXTS || key->value == SL_VALUE_PAIRS;
    for (const char *p = node->text; *p && !name; p++)
        if ((unsigned char)*p < ' ' || *p == 0x7f) {
            bad(r, key, node->line, "contains a control character");
            return NULL;
        }
    return node->text;
}

static sl_rc convert_text(reader *r, const sl_key *key, const sl_node *node, void *field)
{
    const char *text = text_of(r, key, node);
    if (text)
        *(const char **)field = text;
    return text ? SL_OK : r->err->code;
}

static sl_rc convert_name(reader *r, const sl_key *key, const sl_node *node, void *field)
{
    const char *text = text_of(r, key, node);
    if (!text)
        return r->err->code;
    bool pattern = key->value == SL_VALUE_PATTERN && strpbrk(text, "*?");
    if (strlen(text) > (pattern ? 4 * MAX_NAME : MAX_NAME))
        return bad(r, key, node->line, "is longer than PostgreSQL's names (63 bytes)");
    *(const char **)field = text;
    return SL_OK;
}

static sl_rc convert_id(reader *r, const sl_key *key, const sl_node *node, void *field)
{
    const char *text = text_of(r, key, node);
    if (!text)
        return r->err->code;
    size_t len = strlen(text);
    if (len < 8 || len > 16 || strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789") != len)
        return bad(r, key, node->line, "is not 8 to 16 lower-case letters and digits");
    *(const char **)field = text;
    return SL_OK;
}

static sl_rc convert_port(reader *r, const sl_key *key, const sl_node *node, void *field)
{
    const char *text = text_of(r, key, node);
    char shown[48];
    if (!text)
        return r->err->code;
    for (const char *p = text;; p++) {
        size_t digits = strspn(p, "0123456789");
        long port = digits && digits <= 5 ? strtol(p, NULL, 10) : 0;
        if (port < 1 || port > 65535 || (p[digits] && p[digits] != ','))
            return bad(r, key, node->line, "does not take %s: it is no port",
                       sl_node_key_text(text, shown));
        p += digits;
        if (!*p)
            break;
    }
    *(const char **)field = text;
    return SL_OK;
}

static sl_rc convert_path(reader *r, const sl_key *key, const sl_node *node, void *field)
{
    const char *text = text_of(r, key, node);
    if (!text)
        return r->err->code;
    const char *home = getenv("HOME");
    if (key->value == SL_VALUE_DIRECTORY && text[0] != '/' && text[0] != '@')
        return bad(r, key, node->line, "is not an absolute path");
    if (strncmp(text, "~/", 2) == 0) {
        if (!home || !home[0])
            return bad(r, key, node->line, "begins with ~/, but HOME is not set");
        text = sl_arena_printf(r->arena, "%s%s", home, text + 1);
    }
    *(const char **)field = text;
    return SL_OK;
}

/* The word of the key's list that the node is, NULL with err filled. */
static const sl_word *word_of(reader *r, const sl_key *key, const sl_node *node)
{
    const char *text = text_of(r, key, node), *words[16], *found[3];
    size_t n = 0;
    if (!text)
        return NULL;
    for (const sl_word *w = key->words; w->word; w++) {
        if (strcmp(w->word, text) == 0)
            return w;
        if (n < 16)
            words[n++] = w->word;
    }
    char shown[48], near[128];
    sl_nearest_text(found, sl_nearest(text, words, n, found) ? 1 : 0, near, sizeof(near));
    bad(r, key, node->line, "does not take %s%s%s%s", sl_node_key_text(text, shown),
        near[0] ? "; did you mean " : "", near, near[0] ? "?" : "");
    return NULL;
}

static sl_rc convert_choice(reader *r, const sl_key *key, const sl_node *node, void *field)
{
    const sl_word *word = word_of(r, key, node);
    if (word)
        *(const char **)field = word->word;
    return word ? SL_OK : r->err->code;
}

static sl_rc convert_enum(reader *r, const sl_key *key, const sl_node *node, void *field)
{
    const sl_word *word = word_of(r, key, node);
    if (word)
        *(int *)field = word->value;
    return word ? SL_OK : r->err->code;
}

static sl_rc need_list(reader *r, const sl_key *key, const sl_node *node)
{
    if (node->kind != SL_NODE_LIST)
        return bad(r, key, node->line, "is %s where a list is expected", sl_node_kind_text(node));
    return node->n ? SL_OK : bad(r, key, node->line, "is an empty list");
}

static sl_rc convert_flags(reader *r, const sl_key *key, const sl_node *node, void *field)
{
    if (need_list(r, key, node) != SL_OK)
        return r->err->code;
    unsigned flags = 0;
    for (const sl_node *item = node->first; item; item = item->next) {
        const sl_word *word = word_of(r, key, item);
        if (!word)
            return r->err->code;
        if (flags & (unsigned)word->value)
            return bad(r, key, item->line, "names %s twice", word->word);
        flags |= (unsigned)word->value;
    }
    *(unsigned *)field = flags;
    return SL_OK;
}

static sl_rc number_of(reader *r, const sl_key *key, const sl_node *node, int64_t *out)
{
    if (node->kind != SL_NODE_SCALAR || node->quoted || sl_node_is_null(node))
        return bad(r, key, node->line, "is %s where a number is expected",
                   node->kind == SL_NODE_SCALAR && node->quoted ? "a text in quotes"
                                                                : sl_node_kind_text(node));
    char *end;
    errno = 0;
    long long value = strtoll(node->text, &end, 10);
    if (end == node->text || *end || isspace((unsigned char)node->text[0]))
        return bad(r, key, node->line, "is not a whole number");
    if (errno || value < key->min || value > key->max)
        return bad(r, key, node->line, "is out of range");
    *out = value;
    return SL_OK;
}

static sl_rc convert_int(reader *r, const sl_key *key, const sl_node *node, void *field)
{
    int64_t value = 0;
    if (number_of(r, key, node, &value) != SL_OK)
        return r->err->code;
    *(int *)field = (int)value;
    return SL_OK;
}

static sl_rc convert_bytes(reader *r, const sl_key *key, const sl_node *node, void *field)
{
    return number_of(r, key, node, field);
}

static sl_rc convert_bool(reader *r, const sl_key *key, const sl_node *node, void *field)
{
    bool scalar = node->kind == SL_NODE_SCALAR && !node->quoted;
    if (scalar && strcasecmp(node->text, "true") == 0)
        *(bool *)field = true;
    else if (scalar && strcasecmp(node->text, "false") == 0)
        *(bool *)field = false;
    else
        return bad(r, key, node->line, "is neither true nor false");
    return SL_OK;
}

/* An entry of precheck.ignore: the check's name, and after an @ the object's. */
static bool is_check(const char *text)
{
    size_t n = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_.");
    return n > 0 && (text[n] == '\0' || (text[n] == '@' && text[n + 1] != '\0'));
}

static sl_rc convert_texts(reader *r, const sl_key *key, const sl_node *node, void *field)
{
    if (need_list(r, key, node) != SL_OK)
        return r->err->code;
    const char **texts = SL_NEW_ARRAY(r->arena, const char *, node->n + 1);
    size_t n = 0;
    for (const sl_node *item = node->first; item; item = item->next) {
        texts[n] = text_of(r, key, item);
        if (!texts[n])
            return r->err->code;
        if (key->value == SL_VALUE_CHECKS && !is_check(texts[n]))
            return bad(r, key, item->line, "does not begin with the name of a check");
        n++;
    }
    *(const char *const **)field = texts;
    return SL_OK;
}

static sl_rc convert_pairs(reader *r, const sl_key *key, const sl_node *node, void *field)
{
    if (node->kind != SL_NODE_MAP || node->n == 0)
        return bad(r, key, node->line, "is %s where names and their new names are expected",
                   sl_node_kind_text(node));
    const char **pairs = SL_NEW_ARRAY(r->arena, const char *, 2 * node->n + 1);
    size_t n = 0;
    for (const sl_node *item = node->first; item; item = item->next) {
        bool removed = key->value == SL_VALUE_CHANGES && item->kind == SL_NODE_SCALAR &&
                       item->quoted && !item->text[0];
        pairs[n++] = item->key;
        pairs[n] = removed ? "" : text_of(r, key, item);
        if (!pairs[n])
            return r->err->code;
        if (key->value == SL_VALUE_PAIRS && strlen(pairs[n]) > MAX_NAME)
            return bad(r, key, item->line, "has a name longer than PostgreSQL's names (63 bytes)");
        n++;
    }
    *(const char *const **)field = pairs;
    return SL_OK;
}

static sl_rc convert_map(reader *r, const sl_key *key, const sl_node *node, void *field)
{
    bool before = r->destination;
    r->destination =
        before || (key->scope == SL_SCOPE_TASK && strcmp(key->name, "destination") == 0);
    sl_rc rc = node->kind == SL_NODE_MAP ? read_map(r, key->child, node, field)
                                         : bad(r, key, node->line, "is %s where a map is expected",
                                               sl_node_kind_text(node));
    r->destination = before;
    return rc;
}

static sl_rc convert_password(reader *r, const sl_key *key, const sl_node *node, void *field)
{
    typedef sl_rc (*fetch_fn)(sl_arena * arena, const char *where, const char *name,
                              const char **password, sl_error *err);
    static const fetch_fn fetch[SL_VALUE_END] = {
        [SL_VALUE_PASSWORD_FILE] = sl_password_from_file,
        [SL_VALUE_PASSWORD_ENV] = sl_password_from_env,
        [SL_VALUE_PASSWORD_CREDENTIAL] = sl_password_from_credential,
    };
    const char **password = field;
    if (*password)
        return bad(r, key, node->line,
                   "comes after another password key of the same server: give one");
    if (!fetch[key->value])
        return convert_text(r, key, node, field);
    const char *name = NULL;
    sl_rc rc = key->value == SL_VALUE_PASSWORD_FILE ? convert_path(r, key, node, &name)
                                                    : convert_text(r, key, node, &name);
    if (rc != SL_OK)
        return rc;
    char where[320];
    snprintf(where, sizeof(where), "%s:%d: %s", r->file, node->line, r->path);
    return fetch[key->value](r->arena, where, name, password, r->err);
}

/* What a list of maps is made of. */
static const struct item_kind {
    sl_scope scope;
    size_t size, line; /* of the struct, and where it keeps its line */
    const char *example;
} item_kinds[] = {
    { SL_SCOPE_SCHEMA, sizeof(sl_spec_schema), offsetof(sl_spec_schema, line), "schema: NAME" },
    { SL_SCOPE_TABLE, sizeof(sl_spec_table), offsetof(sl_spec_table, line), "table: NAME" },
    { SL_SCOPE_RULE, sizeof(sl_spec_rule), offsetof(sl_spec_rule, line), "prefix: TEXT" },
};

/* A list of maps: `field` is the array's pointer, its length goes to the key's `count`. */
static sl_rc convert_maps(reader *r, const sl_key *key, const sl_node *node, void *field)
{
    const struct item_kind *kind = item_kinds;
    while (kind->scope != key->child)
        kind++;
    if (need_list(r, key, node) != SL_OK)
        return r->err->code;
    char *items = sl_arena_zalloc(r->arena, kind->size * node->n), *item = items;
    size_t i = 0;
    for (const sl_node *child = node->first; child; child = child->next, item += kind->size, i++) {
        size_t before = enter(r, "[%zu]", i);
        if (child->kind != SL_NODE_MAP)
            return bad(r, key, child->line, "is %s where a map is expected (%s)",
                       sl_node_kind_text(child), kind->example);
        memcpy(item + kind->line, &child->line, sizeof(int));
        if (kind->scope == SL_SCOPE_TABLE)
            ((sl_spec_table *)item)->keyless = SL_KEYLESS_UNSET;
        if (read_map(r, key->child, child, item) != SL_OK)
            return r->err->code;
        leave(r, before);
    }
    *(void **)field = items;
    return SL_OK;
}

static const convert_fn converters[SL_VALUE_END] = {
    [SL_VALUE_TEXT] = convert_text,
    [SL_VALUE_NAME] = convert_name,
    [SL_VALUE_PATTERN] = convert_name,
    [SL_VALUE_ID] = convert_id,
    [SL_VALUE_PORT] = convert_port,
    [SL_VALUE_PATH] = convert_path,
    [SL_VALUE_DIRECTORY] = convert_path,
    [SL_VALUE_CHOICE] = convert_choice,
    [SL_VALUE_INT] = convert_int,
    [SL_VALUE_BYTES] = convert_bytes,
    [SL_VALUE_BOOL] = convert_bool,
    [SL_VALUE_ENUM] = convert_enum,
    [SL_VALUE_FLAGS] = convert_flags,
    [SL_VALUE_TEXTS] = convert_texts,
    [SL_VALUE_CHECKS] = convert_texts,
    [SL_VALUE_PAIRS] = convert_pairs,
    [SL_VALUE_CHANGES] = convert_pairs,
    [SL_VALUE_MAP] = convert_map,
    [SL_VALUE_MAPS] = convert_maps,
    [SL_VALUE_PASSWORD] = convert_password,
    [SL_VALUE_PASSWORD_FILE] = convert_password,
    [SL_VALUE_PASSWORD_ENV] = convert_password,
    [SL_VALUE_PASSWORD_CREDENTIAL] = convert_password,
};

/* ---- maps ---- */

static sl_rc refuse_unknown(reader *r, sl_scope scope, const sl_node *node)
{
    const char *names[48], *found[3];
    size_t n = 0;
    SL_BUF(allowed);
    for (const sl_key *key = sl_keys; key->scope != SL_SCOPE_NONE; key++) {
        if (key->scope != scope || !sl_key_applies(key, r->destination))
            continue;
        sl_buf_printf(&allowed, "%s%s", n ? ", " : "", key->name);
        if (n < 48)
            names[n++] = key->name;
    }
    char shown[48];
    sl_node_key_text(node->key, shown);
    n = sl_nearest(node->key, names, n, found);
    sl_fail(r->err, SL_USAGE, "%s:%d: unknown key %s%s%s%s%s%s", r->file, node->line, r->path,
            r->path[0] ? "." : "", shown, n ? "; did you mean " : "", n ? found[0] : "",
            n ? "?" : "");
    return sl_hint(r->err, "Allowed %s%s: %s.", r->path[0] ? "in " : "are", r->path,
                   sl_buf_str(&allowed));
}

/* A key that this version does not honour yet: true only if its value is the one that changes
 * nothing. */
static bool honoured(reader *r, const sl_key *key, const sl_node *node)
{
    if (!key->until)
        return true;
    bool same =
        key->until[0] && node->kind == SL_NODE_SCALAR && strcmp(node->text, key->until) == 0;
    if (same)
        return true;
    if (key->flags & SL_KEY_SERVICE) {
        sl_fail(r->err, SL_USAGE, "%s:%d: %s is only for tasks of the service", r->file, node->line,
                r->path);
        sl_hint(r->err,
                "Remove the key, or give the task to pgsluice serve: pgsluice task create.");
        return false;
    }
    /* A value that is wrong in any version gets that message. */
    if (key->words && node->kind == SL_NODE_SCALAR && !word_of(r, key, node))
        return false;
    char shown[48] = "";
    if (key->words && node->kind == SL_NODE_SCALAR)
        sl_node_key_text(node->text, shown);
    sl_fail(r->err, SL_USAGE, "%s:%d: %s%s%s is not supported yet by this version of pgsluice",
            r->file, node->line, r->path, shown[0] ? ": " : "", shown);
    if (key->until[0])
        sl_hint(r->err, "Remove the key, or write %s: %s.", key->name, key->until);
    else
        sl_hint(r->err, "Remove the key.");
    return false;
}

static sl_rc read_value(reader *r, const sl_key *key, const sl_node *node, void *base)
{
    if (!honoured(r, key, node))
        return r->err->code;
    if (key->offset == SL_KEY_NOT_STORED)
        return SL_OK;
    if (key->value == SL_VALUE_MAPS && node->kind == SL_NODE_LIST)
        *(size_t *)((char *)base + key->count) = node->n;
    return converters[key->value](r, key, node, (char *)base + key->offset);
}

/* The default as a node: read like what a user writes. */
static const sl_node *standard_node(reader *r, const sl_key *key, int line)
{
    sl_node *node = SL_NEW(r->arena, sl_node);
    node->line = line;
    node->text = key->standard;
    if (key->value != SL_VALUE_FLAGS)
        return node;
    *node = (sl_node){ .kind = SL_NODE_LIST, .line = line };
    for (const char *p = key->standard; *p; p += strspn(p, ", ")) {
        sl_node *item = SL_NEW(r->arena, sl_node);
        item->line = line;
        item->text = sl_arena_strndup(r->arena, p, strcspn(p, ","));
        item->next = node->first;
        node->first = item;
        node->n++;
        p += strcspn(p, ",");
    }
    return node;
}

static const sl_node *member(const sl_node *map, const char *name)
{
    for (const sl_node *child = map->first; child; child = child->next)
        if (strcmp(child->key, name) == 0)
            return child;
    return NULL;
}

static sl_rc read_absent(reader *r, sl_scope scope, const sl_node *map, void *base)
{
    for (const sl_key *key = sl_keys; key->scope != SL_SCOPE_NONE; key++) {
        if (key->scope != scope || !sl_key_applies(key, r->destination) || member(map, key->name))
            continue;
        if (key->flags & SL_KEY_REQUIRED) {
            sl_fail(r->err, SL_USAGE, "%s:%d: %s%s%s is missing", r->file, map->line, r->path,
                    r->path[0] ? "." : "", key->name);
            return sl_hint(r->err, "%s: %s.", key->name, key->help);
        }
        if (!key->standard || key->standard[0] == '(' || key->offset == SL_KEY_NOT_STORED)
            continue;
        if (read_value(r, key, standard_node(r, key, map->line), base) != SL_OK)
            return r->err->code;
    }
    return SL_OK;
}

static sl_rc read_map(reader *r, sl_scope scope, const sl_node *map, void *base)
{
    for (const sl_node *node = map->first; node; node = node->next) {
        const sl_key *key = sl_key_find(scope, node->key, r->destination);
        if (!key)
            return refuse_unknown(r, scope, node);
        size_t before = enter(r, "%s%s", r->path[0] ? "." : "", key->name);
        if (read_value(r, key, node, base) != SL_OK)
            return r->err->code;
        leave(r, before);
    }
    return read_absent(r, scope, map, base);
}

/* ---- the whole ---- */

sl_rc sl_spec_parse(const char *text, size_t len, const char *file, sl_spec **spec, sl_error *err)
{
    sl_error unused = SL_ERROR_INIT;
    err = err ? err : &unused;
    sl_spec *s = sl_xcalloc(1, sizeof(*s));
    s->file = sl_arena_strdup(&s->arena, file);
    s->source.free_bytes = s->destination.free_bytes = -1;
    reader r = { .spec = s, .arena = &s->arena, .file = s->file, .err = err };
    const sl_node *root;
    sl_rc rc = sl_tree_parse(&s->arena, text, len, s->file, &root, err);
    if (rc == SL_OK && !root)
        rc = sl_fail(err, SL_USAGE, "%s: the specification is empty", file);
    else if (rc == SL_OK && root->kind != SL_NODE_MAP)
        rc = sl_fail(err, SL_USAGE, "%s:%d: %s where the task's keys are expected (name: …)", file,
                     root->line, sl_node_kind_text(root));
    if (rc == SL_OK)
        rc = read_map(&r, SL_SCOPE_TASK, root, s);
    if (rc == SL_OK)
        rc = sl_spec_check(s, err);
    for (int i = 0; i < 2 && rc == SL_OK; i++) {
        sl_endpoint *e = i == 0 ? &s->source : &s->destination;
        e->tunnel = e->ssh_host ? sl_tunnel_new(e) : NULL;
    }
    if (rc != SL_OK) {
        sl_spec_free(s);
        return rc;
    }
    *spec = s;
    return SL_OK;
}

static void close_fdp(const int *fd)
{
    if (*fd > STDIN_FILENO)
        close(*fd);
}

sl_rc sl_spec_read(const char *file, sl_spec **spec, sl_error *err)
{
    bool standard_input = strcmp(file, "-") == 0;
    const char *name = standard_input ? "standard input" : file;
    __attribute__((cleanup(close_fdp))) int fd =
        standard_input ? STDIN_FILENO : open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        sl_fail_errno(err, SL_USAGE, "%s cannot be read", name);
        return sl_hint(err, "Give the path of the task's specification, or - for standard input.");
    }
    SL_BUF(text);
    char block[16384];
    for (;;) {
        ssize_t n = read(fd, block, sizeof(block));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return sl_fail_errno(err, SL_USAGE, "%s cannot be read", name);
        if (n == 0 || text.len > SL_TREE_MAX_BYTES)
            break;
        sl_buf_add(&text, block, (size_t)n);
    }
    sl_rc rc = sl_spec_parse(sl_buf_str(&text), text.len, name, spec, err);
    if (text.data)
        explicit_bzero(text.data, text.len); /* it may hold a password */
    return rc;
}

void sl_spec_free(sl_spec *spec)
{
    if (!spec)
        return;
    sl_endpoint *endpoints[] = { &spec->source, &spec->destination };
    sl_tunnel_free(spec->source.tunnel);
    sl_tunnel_free(spec->destination.tunnel);
    for (size_t i = 0; i < 2; i++)
        if (endpoints[i]->password) {
            char *password = (char *)endpoints[i]->password;
            explicit_bzero(password, strlen(password));
        }
    sl_names_release(spec);
    sl_arena_free(&spec->arena);
    free(spec);
}
