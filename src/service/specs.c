/* specs.c: specifications as the API takes and shows them.
 *
 * Stored is the specification as JSON without passwords; those are sealed beside it. A worker reads
 * it with the passwords in it. Ways of giving a password that would make the service read its own
 * files or environment for a user are refused, unless whoever started it has set some apart. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "service/service.h"
#include "spec/spec.h"
#include "spec/tree.h"

/* ---- YAML ---- */

static bool is_canonical_integer(const char *text)
{
    const char *digits = text[0] == '-' ? text + 1 : text;
    size_t n = strspn(digits, "0123456789");
    return n > 0 && n < 19 && digits[n] == '\0' && (digits[0] != '0' || (n == 1 && digits == text));
}

static json_t *scalar(const sl_node *node)
{
    if (sl_node_is_null(node))
        return json_null();
    if (!node->quoted && is_canonical_integer(node->text))
        return json_integer(strtoll(node->text, NULL, 10));
    if (!node->quoted && strcmp(node->text, "true") == 0)
        return json_true();
    if (!node->quoted && strcmp(node->text, "false") == 0)
        return json_false();
    return json_string(node->text);
}

static json_t *from_node(const sl_node *node)
{
    json_t *out = node->kind == SL_NODE_SCALAR ? scalar(node)
                  : node->kind == SL_NODE_LIST ? json_array()
                                               : json_object();
    for (const sl_node *child = node->first; child; child = child->next)
        if (node->kind == SL_NODE_LIST)
            json_array_append_new(out, from_node(child));
        else
            json_object_set_new(out, child->key, from_node(child));
    return out;
}

sl_rc sl_specs_from_yaml(const char *text, size_t n, json_t **spec, sl_error *err)
{
    SL_SCRATCH(tmp);
    const sl_node *root;
    if (sl_tree_parse(&tmp, text, n, "spec", &root, err) != SL_OK)
        return err->code;
    if (!root || root->kind != SL_NODE_MAP)
        return sl_fail(err, SL_USAGE, "the text is not a map of a task's keys (name: …)");
    *spec = from_node(root);
    return SL_OK;
}

static bool is_plain(const char *s)
{
    static const char *const words[] = { "true", "false", "null", "yes", "no", "on", "off" };
    if (!isalpha((unsigned char)s[0]))
        return false;
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (strcasecmp(s, words[i]) == 0)
            return false;
    return strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_./-") ==
           strlen(s);
}

static void add_scalar(const json_t *value, sl_buf *out)
{
    if (json_is_string(value) && is_plain(json_string_value(value))) {
        sl_buf_puts(out, json_string_value(value));
        return;
    }
    char *text = json_dumps(value, JSON_ENCODE_ANY);
    sl_buf_puts(out, text ? text : "null");
    free(text);
}

static bool is_empty(const json_t *v)
{
    return (json_is_array(v) && json_array_size(v) == 0) ||
           (json_is_object(v) && json_object_size(v) == 0);
}

static void add_yaml(const json_t *value, int depth, sl_buf *out);

static void add_member(const json_t *value, int depth, sl_buf *out)
{
    if ((json_is_object(value) || json_is_array(value)) && !is_empty(value)) {
        sl_buf_putc(out, '\n');
        add_yaml(value, depth + 1, out);
        return;
    }
    sl_buf_putc(out, ' ');
    add_scalar(value, out);
    sl_buf_putc(out, '\n');
}

static void add_yaml(const json_t *value, int depth, sl_buf *out)
{
    const char *key;
    json_t *child;
    size_t i;
    json_array_foreach((json_t *)value, i, child)
    {
        sl_buf_printf(out, "%*s-", 2 * depth, "");
        add_member(child, depth, out);
    }
    json_object_foreach((json_t *)value, key, child)
    {
        sl_buf_printf(out, "%*s", 2 * depth, "");
        json_t *name = json_string(key);
        add_scalar(name, out);
        json_decref(name);
        sl_buf_putc(out, ':');
        add_member(child, depth, out);
    }
}

void sl_specs_to_yaml(const json_t *spec, sl_buf *out)
{
    add_yaml(spec, 0, out);
}

/* ---- passwords ---- */

#define SECRET_PREFIX "PGSLUICE_SECRET_"

static char *secrets_dir; /* set once, before any request; with a slash at its end */

sl_rc sl_specs_allow_references(const char *dir, sl_error *err)
{
    char *real = realpath(dir, NULL);
    if (!real) {
        sl_fail_errno(err, SL_USAGE, "the directory %s", dir);
        return sl_hint(err, "--secrets names a directory of files with one password each.");
    }
    secrets_dir = sl_xcalloc(1, strlen(real) + 2);
    sprintf(secrets_dir, "%s/", real);
    free(real);
    return SL_OK;
}

/* Is what this key refers to set apart for users of the API? */
static bool may_refer(const char *key, const json_t *value)
{
    const char *word = json_string_value(value);
    if (!secrets_dir || !word)
        return false;
    if (strcmp(key, "password_env") == 0)
        return strncmp(word, SECRET_PREFIX, strlen(SECRET_PREFIX)) == 0;
    if (strcmp(key, "password_credential") == 0)
        return word[0] != '.' && !strchr(word, '/');
    char *real = realpath(word, NULL); /* wherever links lead */
    bool inside = real && strncmp(real, secrets_dir, strlen(secrets_dir)) == 0;
    free(real);
    return inside;
}

/* ssh's default key is the service's own: users get those that were set apart. */
static sl_rc check_ssh(const json_t *endpoint, const char *name, sl_error *err)
{
    static const char *const files[] = { "key_file", "known_hosts" };
    const json_t *ssh = json_object_get(endpoint, "ssh");
    for (size_t i = 0; i < 2; i++) {
        const json_t *value = json_object_get(ssh, files[i]);
        bool missing = i == 0 && json_is_object(ssh) && (!value || json_is_null(value));
        if (!missing && (!value || json_is_null(value) || may_refer(files[i], value)))
            continue;
        sl_fail(err, SL_USAGE, "spec:1: %s.ssh.%s %s", name, files[i],
                missing ? "is missing" : "is not taken by the service");
        return sl_hint(err, "Name a file in the directory that `pgsluice serve --secrets DIR` sets "
                            "apart for users.");
    }
    return SL_OK;
}

sl_rc sl_specs_take_endpoint(json_t *endpoint, const char *name, sl_arena *arena,
                             const char **password, sl_error *err)
{
    static const char *const refused[] = { "password_file", "password_env", "password_credential" };
    *password = NULL;
    if (!json_is_object(endpoint))
        return sl_fail(err, SL_USAGE, "spec:1: %s is not a map", name);
    for (size_t i = 0; i < 3; i++)
        if (json_object_get(endpoint, refused[i]) &&
            !may_refer(refused[i], json_object_get(endpoint, refused[i]))) {
            sl_fail(err, SL_USAGE, "spec:1: %s.%s is not taken by the service", name, refused[i]);
            return sl_hint(err, "Give the password itself as %s.password: it is stored sealed.",
                           name);
        }
    if (check_ssh(endpoint, name, err) != SL_OK)
        return err->code;
    json_t *given = json_object_get(endpoint, "password");
    if (json_is_integer(given)) /* YAML without quotes */
        *password = sl_arena_printf(arena, "%lld", (long long)json_integer_value(given));
    else if (json_is_string(given) && json_string_length(given) > 0)
        *password = sl_arena_strdup(arena, json_string_value(given));
    else if (given && !json_is_null(given))
        return sl_fail(err, SL_USAGE, "spec:1: %s.password is not a text", name);
    json_object_del(endpoint, "password");
    json_object_del(endpoint, "has_password");
    return SL_OK;
}

static void drop_nulls(json_t *value)
{
    const char *key;
    json_t *child;
    void *next;
    size_t i;
    json_array_foreach(value, i, child) drop_nulls(child);
    json_object_foreach_safe(value, next, key, child)
    {
        if (json_is_null(child))
            json_object_del(value, key);
        else
            drop_nulls(child);
    }
}

sl_rc sl_specs_take(json_t *spec, const char *id, sl_arena *arena, const char *passwords[2],
                    sl_error *err)
{
    static const char *const sides[] = { "source", "destination" };
    if (!json_is_object(spec))
        return sl_fail(err, SL_USAGE, "the specification is not an object");
    for (int i = 0; i < 2; i++) {
        json_t *endpoint = json_object_get(spec, sides[i]);
        passwords[i] = NULL;
        if (endpoint &&
            sl_specs_take_endpoint(endpoint, sides[i], arena, &passwords[i], err) != SL_OK)
            return err->code;
    }
    json_t *precheck = json_object_get(spec, "precheck");
    if (is_empty(json_object_get(precheck, "ignore")))
        json_object_del(precheck, "ignore");
    if (is_empty(precheck))
        json_object_del(spec, "precheck");
    drop_nulls(spec);
    if (!json_object_get(spec, "name"))
        json_object_set_new(spec, "name", json_sprintf("task-%s", id));
    json_object_set_new(spec, "id", json_string(id));
    return SL_OK;
}

char *sl_specs_text(const json_t *spec, const char *const passwords[2])
{
    static const char *const sides[] = { "source", "destination" };
    json_t *full = json_deep_copy(spec);
    json_object_del(full, "alerts"); /* the service's own */
    for (int i = 0; i < 2; i++)
        if (passwords[i])
            json_object_set_new(json_object_get(full, sides[i]), "password",
                                json_string(passwords[i]));
    char *text = json_dumps(full, JSON_COMPACT);
    json_decref(full);
    return text ? text : sl_xstrdup("{}");
}

void sl_specs_wipe(char *text)
{
    if (text)
        explicit_bzero(text, strlen(text));
    free(text);
}

sl_rc sl_specs_check(const json_t *spec, const char *const passwords[2], sl_error *err)
{
    sl_spec *parsed = NULL;
    char *text = sl_specs_text(spec, passwords);
    sl_rc rc = sl_spec_parse(text, strlen(text), "spec", &parsed, err);
    sl_spec_free(parsed);
    sl_specs_wipe(text);
    return rc;
}

sl_rc sl_specs_open(sl_service *s, const sl_task_row *row, sl_arena *arena,
                    const char *passwords[2], sl_error *err)
{
    for (int i = 0; i < 2; i++) {
        char *opened = NULL;
        if (row->passwords[i] &&
            sl_secret_open(s->catalog, "task", row->passwords[i], arena, &opened, err) != SL_OK)
            return err->code;
        passwords[i] = opened;
    }
    return SL_OK;
}

sl_rc sl_specs_of_task(sl_service *s, const char *id, bool to_run, char **text, sl_error *err)
{
    SL_SCRATCH(tmp);
    sl_task_row row;
    int64_t minutes = 0;
    const char *passwords[2];
    sl_rc rc = sl_task_read(s->catalog, id, &tmp, &row, err);
    if (rc == SL_OK)
        rc = sl_specs_open(s, &row, &tmp, passwords, err);
    if (rc == SL_OK && to_run)
        rc = sl_task_least_retry(s->catalog, id, &minutes, err);
    if (rc == SL_OK && minutes > 0)
        json_object_set_new(row.spec, "retry_minutes", json_integer(minutes));
    if (rc == SL_OK)
        *text = sl_specs_text(row.spec, passwords);
    sl_task_row_free(&row);
    return rc;
}

void sl_specs_show(json_t *spec, bool source, bool destination)
{
    json_object_set_new(json_object_get(spec, "source"), "has_password", json_boolean(source));
    json_object_set_new(json_object_get(spec, "destination"), "has_password",
                        json_boolean(destination));
}

bool sl_specs_same(const json_t *a, const json_t *b, const char *key)
{
    const json_t *x = json_object_get(a, key), *y = json_object_get(b, key);
    return x && y ? json_equal(x, y) : !x && !y;
}

bool sl_specs_same_server(const json_t *before, const json_t *after)
{
    static const char *const keys[] = { "host", "port", "socket", "user", "ssh" };
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
        if (!sl_specs_same(before, after, keys[i]))
            return false;
    return true;
}

/* ---- messages ---- */

/* objects[0].tables[2].where → /objects/0/tables/2/where; n: length in text. */
static json_t *pointer(const char *text, size_t n)
{
    SL_BUF(out);
    sl_buf_putc(&out, '/');
    for (size_t i = 0; i < n; i++)
        if (text[i] == '.' || text[i] == '[')
            sl_buf_putc(&out, '/');
        else if (text[i] != ']')
            sl_buf_putc(&out, text[i]);
    return json_string(out.data);
}

json_t *sl_specs_field_error(const char *message)
{
    static const char unknown[] = "unknown key ";
    if (strncmp(message, "spec:", 5) != 0)
        return NULL;
    const char *p = message + 5 + strspn(message + 5, "0123456789");
    if (strncmp(p, ": ", 2) != 0)
        return NULL;
    p += 2;
    bool is_unknown = strncmp(p, unknown, sizeof(unknown) - 1) == 0;
    if (is_unknown)
        p += sizeof(unknown) - 1;
    size_t n = strspn(p, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.[]");
    if (n == 0 || (!is_unknown && p[n] != ' '))
        return NULL;
    return json_pack("{s:o, s:s}", "path", pointer(p, n), "message",
                     is_unknown ? "is not a key of a specification" : p + n + 1);
}
