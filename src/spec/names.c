/* names.c: see names.h. */
#include "spec/names.h"

#include <regex.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "core/buf.h"
#include "spec/check.h"

/* ---- patterns of objects ---- */

/* Takes one part of "schema.table.column" off *text: up to a dot outside of double quotes. NULL at
 * the end. */
static const char *take_part(const char **text, sl_arena *arena)
{
    const char *p = *text;
    SL_BUF(part);
    if (!*p)
        return NULL;
    bool quoted = *p == '"';
    for (p += quoted; *p; p++) {
        if (quoted && *p == '"') {
            if (p[1] != '"')
                break;
            p++;
        } else if (!quoted && *p == '.') {
            break;
        }
        sl_buf_putc(&part, *p);
    }
    p += quoted && *p == '"';
    p += *p == '.';
    *text = p;
    return sl_arena_strdup(arena, sl_buf_str(&part));
}

size_t sl_names_split(const char *text, const char **parts, size_t max, sl_arena *arena)
{
    size_t n = 0;
    for (const char *part; (part = take_part(&text, arena)); n++)
        if (n < max)
            parts[n] = part;
    return n;
}

/* Do the names match the pattern's parts? A pattern of fewer parts says nothing of the rest. */
static bool matches(const char *pattern, const char *const *names, size_t n)
{
    SL_SCRATCH(tmp);
    for (size_t i = 0; pattern && i < n; i++) {
        const char *part = take_part(&pattern, &tmp);
        if (!part)
            return true;
        if (!sl_pattern_match(part, names[i]))
            return false;
    }
    return true;
}

/* ---- rules ---- */

static sl_rc check_parts(const sl_spec *spec, const sl_spec_rule *rule, sl_error *err)
{
    static const size_t allowed[] = {
        [SL_RULE_TABLES] = 2, [SL_RULE_SCHEMAS] = 1, [SL_RULE_COLUMNS] = 3
    };
    SL_SCRATCH(tmp);
    size_t n = 0;
    for (const char *p = rule->objects; p && take_part(&p, &tmp);)
        n++;
    if (rule->objects && n != allowed[rule->of]) {
        sl_fail(err, SL_USAGE, "%s:%d: the rule's objects have %zu parts where %zu are expected",
                spec->file, rule->line, n, allowed[rule->of]);
        return sl_hint(err, "of: tables takes schema.table, of: columns schema.table.column, of: "
                            "schemas a schema; * stands for any; a part with a dot is written in "
                            "double quotes.");
    }
    if (!rule->prefix && !rule->suffix && !rule->replace && !rule->regex)
        return sl_fail(err, SL_USAGE,
                       "%s:%d: the rule changes nothing: give prefix, suffix, replace or regex",
                       spec->file, rule->line);
    return SL_OK;
}

static sl_rc compile(sl_spec *spec, sl_spec_rule *rule, sl_error *err)
{
    size_t n = 0;
    while (rule->regex && rule->regex[2 * n])
        n++;
    regex_t *made = n ? SL_NEW_ARRAY(&spec->arena, regex_t, n) : NULL;
    for (size_t i = 0; i < n; i++) {
        char text[200];
        int rc = regcomp(&made[i], rule->regex[2 * i], REG_EXTENDED);
        if (rc != 0) {
            regerror(rc, &made[i], text, sizeof(text));
            while (i-- > 0)
                regfree(&made[i]);
            return sl_fail(err, SL_USAGE, "%s:%d: a regular expression of the rule is wrong: %s",
                           spec->file, rule->line, text);
        }
    }
    rule->compiled = made;
    return SL_OK;
}

sl_rc sl_names_prepare(sl_spec *spec, sl_error *err)
{
    for (size_t i = 0; i < spec->n_rules; i++)
        if (check_parts(spec, &spec->rules[i], err) != SL_OK ||
            compile(spec, &spec->rules[i], err) != SL_OK)
            return err->code;
    return SL_OK;
}

void sl_names_release(sl_spec *spec)
{
    for (size_t i = 0; i < spec->n_rules && spec->rules; i++) {
        regex_t *compiled = spec->rules[i].compiled;
        for (size_t j = 0; compiled && spec->rules[i].regex[2 * j]; j++)
            regfree(&compiled[j]);
    }
}

static const char *replace_all(const char *name, const char *from, const char *to, sl_arena *arena)
{
    SL_BUF(out);
    size_t len = strlen(from);
    for (const char *p = name; *p;) {
        if (len && strncmp(p, from, len) == 0) {
            sl_buf_puts(&out, to);
            p += len;
        } else {
            sl_buf_putc(&out, *p++);
        }
    }
    return sl_arena_strdup(arena, sl_buf_str(&out));
}

static void add_replacement(sl_buf *out, const char *to, const char *text, const regmatch_t *groups)
{
    for (const char *p = to; *p; p++) {
        if (*p != '\\' || !p[1]) {
            sl_buf_putc(out, *p);
            continue;
        }
        p++;
        if (*p < '0' || *p > '9')
            sl_buf_putc(out, *p);
        else if (groups[*p - '0'].rm_so >= 0)
            sl_buf_add(out, text + groups[*p - '0'].rm_so,
                       (size_t)(groups[*p - '0'].rm_eo - groups[*p - '0'].rm_so));
    }
}

static const char *replace_matches(const char *name, const regex_t *regex, const char *to,
                                   sl_arena *arena)
{
    SL_BUF(out);
    regmatch_t groups[10];
    const char *p = name;
    while (regexec(regex, p, 10, groups, p == name ? 0 : REG_NOTBOL) == 0) {
        sl_buf_add(&out, p, (size_t)groups[0].rm_so);
        add_replacement(&out, to, p, groups);
        p += groups[0].rm_eo;
        if (groups[0].rm_eo == groups[0].rm_so) { /* an empty match: go on behind a character */
            if (!*p)
                break;
            sl_buf_putc(&out, *p++);
        }
    }
    sl_buf_puts(&out, p);
    return sl_arena_strdup(arena, sl_buf_str(&out));
}

static const char *apply_rule(const sl_spec_rule *rule, const char *name, sl_arena *arena)
{
    const regex_t *compiled = rule->compiled;
    for (size_t i = 0; rule->replace && rule->replace[i]; i += 2)
        name = replace_all(name, rule->replace[i], rule->replace[i + 1], arena);
    for (size_t i = 0; compiled && rule->regex[i]; i += 2)
        name = replace_matches(name, &compiled[i / 2], rule->regex[i + 1], arena);
    if (rule->prefix || rule->suffix)
        name = sl_arena_printf(arena, "%s%s%s", rule->prefix ? rule->prefix : "", name,
                               rule->suffix ? rule->suffix : "");
    return name;
}

/* What the rules of a kind make of a name. path: the source's names that patterns are about. */
static const char *apply_rules(const sl_spec *spec, sl_rule_of of, const char *const *path,
                               size_t n, const char *name, sl_arena *arena)
{
    for (size_t i = 0; i < spec->n_rules; i++)
        if (spec->rules[i].of == of && matches(spec->rules[i].objects, path, n))
            name = apply_rule(&spec->rules[i], name, arena);
    return name;
}

/* ---- case ---- */

static const char *fold(const sl_spec *spec, sl_rule_of of, const char *name, sl_arena *arena)
{
    bool lower = spec->name_case == SL_CASE_LOWER ||
                 (spec->name_case == SL_CASE_DTS && of != SL_RULE_COLUMNS);
    if (!lower && spec->name_case != SL_CASE_UPPER)
        return name;
    char *folded = sl_arena_strdup(arena, name);
    for (char *p = folded; *p; p++) {
        if (lower && *p >= 'A' && *p <= 'Z')
            *p += 'a' - 'A';
        else if (!lower && *p >= 'a' && *p <= 'z')
            *p -= 'a' - 'A';
    }
    return folded;
}

/* ---- names ---- */

const char *sl_names_schema(const sl_spec *spec, const char *schema, sl_arena *arena)
{
    for (size_t i = 0; i < spec->n_schemas; i++)
        if (spec->schemas[i].rename && strcmp(spec->schemas[i].schema, schema) == 0)
            return spec->schemas[i].rename;
    const char *path[] = { schema };
    return fold(spec, SL_RULE_SCHEMAS, apply_rules(spec, SL_RULE_SCHEMAS, path, 1, schema, arena),
                arena);
}

const char *sl_names_table(const sl_spec *spec, const sl_spec_table *entry, const char *schema,
                           const char *table, sl_arena *arena)
{
    /* A partition that came with its table's entry is not what that entry renames. */
    if (entry && entry->rename && entry->name && strcmp(entry->name, table) == 0)
        return entry->rename;
    const char *path[] = { schema, table };
    return fold(spec, SL_RULE_TABLES, apply_rules(spec, SL_RULE_TABLES, path, 2, table, arena),
                arena);
}

const char *sl_names_column(const sl_spec *spec, const sl_spec_table *entry, const char *schema,
                            const char *table, const char *column, sl_arena *arena)
{
    const char *const *renames = entry ? entry->column_renames : NULL;
    for (; renames && renames[0]; renames += 2)
        if (strcmp(renames[0], column) == 0)
            return renames[1];
    const char *path[] = { schema, table, column };
    return fold(spec, SL_RULE_COLUMNS, apply_rules(spec, SL_RULE_COLUMNS, path, 3, column, arena),
                arena);
}

const char *sl_names_fit(const char *name, sl_arena *arena)
{
    size_t len = strlen(name), keep = SL_NAME_MAX - 9;
    if (len <= SL_NAME_MAX)
        return name;
    uint32_t hash = 2166136261u; /* FNV-1a */
    for (const char *p = name; *p; p++)
        hash = (hash ^ (unsigned char)*p) * 16777619u;
    while (keep > 0 && ((unsigned char)name[keep] & 0xc0) == 0x80) /* not within a character */
        keep--;
    return sl_arena_printf(arena, "%.*s_%08x", (int)keep, name, hash);
}

const char *sl_names_belonging(const sl_spec *spec, const char *schema, const char *table,
                               const char *dst_table, const char *name, sl_arena *arena)
{
    size_t len = strlen(table);
    const char *path[] = { schema, table };
    if (strncmp(name, table, len) == 0 && (name[len] == '_' || name[len] == '\0'))
        name = sl_arena_printf(arena, "%s%s", dst_table,
                               fold(spec, SL_RULE_TABLES, name + len, arena));
    else
        name = fold(spec, SL_RULE_TABLES, apply_rules(spec, SL_RULE_TABLES, path, 2, name, arena),
                    arena);
    return sl_names_fit(name, arena);
}

const char *sl_names_label(const char *name, sl_arena *arena)
{
    const char *p = name;
    while ((unsigned char)*p >= ' ' && !strchr(".\"\x7f", *p))
        p++;
    if (*p == '\0' && p > name)
        return name;
    SL_BUF(out);
    sl_buf_putc(&out, '"');
    for (p = name; *p; p++) {
        if (*p == '"')
            sl_buf_putc(&out, '"');
        sl_buf_putc(&out, *p);
    }
    sl_buf_putc(&out, '"');
    return sl_arena_strdup(arena, sl_buf_str(&out));
}
