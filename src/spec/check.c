/* check.c: see check.h. Rules over several keys, one function each, in a table. */
#include "spec/check.h"

#include <limits.h>
#include <stdint.h>
#include <string.h>
#include "core/buf.h"
#include "pg/tunnel.h"
#include "spec/condition.h"
#include "spec/names.h"

static size_t count_commas(const char *text)
{
    size_t n = 0;
    for (; *text; text++)
        n += *text == ',';
    return n;
}

/* What becomes a word of ssh's command line means there what it says here, and nothing more. */
static bool is_plain(const char *text, const char *more)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    for (const char *p = text; *p; p++)
        if (!strchr(letters, *p) && !strchr(more, *p))
            return false;
    return text[0] != '-';
}

static sl_rc check_ssh(const sl_spec *spec, const sl_endpoint *e, const char *side, sl_error *err)
{
    if (!e->ssh_host)
        return SL_OK;
    const char *wrong = !is_plain(e->ssh_host, ":%")                     ? "ssh.host"
                        : e->ssh_user && !is_plain(e->ssh_user, "@+\\$") ? "ssh.user"
                        : e->ssh_port && strchr(e->ssh_port, ',')        ? "ssh.port"
                        : e->host && !is_plain(e->host, ":%,")           ? "host"
                        : e->socket && !is_plain(e->socket, "/@+~")      ? "socket"
                        : e->ssh_known_hosts && strpbrk(e->ssh_known_hosts, "\"\\")
                            ? "ssh.known_hosts"
                            : NULL;
    if (wrong)
        return sl_fail(err, SL_USAGE,
                       "%s: %s.%s has characters that a tunnel's name or path cannot have",
                       spec->file, side, wrong);
    if (e->host && count_commas(e->host) >= SL_TUNNEL_HOSTS)
        return sl_fail(err, SL_USAGE, "%s: %s.host lists more than %d hosts", spec->file, side,
                       SL_TUNNEL_HOSTS);
    return SL_OK;
}

static sl_rc check_endpoint(const sl_spec *spec, const sl_endpoint *e, const char *side,
                            sl_error *err)
{
    if (!e->host == !e->socket) {
        sl_fail(err, SL_USAGE, "%s: %s.host and %s.socket: %s", spec->file, side, side,
                e->host ? "both are given" : "both are missing");
        return sl_hint(err, "Give %s.host for TCP, or %s.socket, the directory of a Unix socket.",
                       side, side);
    }
    if (e->host && e->host[0] == '/')
        return sl_fail(err, SL_USAGE, "%s: %s.host is a path: write it as %s.socket", spec->file,
                       side, side);
    size_t ports = count_commas(e->port), hosts = e->host ? count_commas(e->host) : 0;
    if (ports && ports != hosts)
        return sl_fail(err, SL_USAGE, "%s: %s.port lists %zu ports for %zu hosts", spec->file, side,
                       ports + 1, hosts + 1);
    if (!e->ssl_cert != !e->ssl_key)
        return sl_fail(err, SL_USAGE, "%s: %s.ssl: cert and key go together: %s is missing",
                       spec->file, side, e->ssl_cert ? "key" : "cert");
    return check_ssh(spec, e, side, err);
}

static sl_rc check_endpoints(sl_spec *spec, sl_error *err)
{
    sl_rc rc = check_endpoint(spec, &spec->source, "source", err);
    return rc == SL_OK ? check_endpoint(spec, &spec->destination, "destination", err) : rc;
}

static bool is_system_schema(const char *name)
{
    return strncmp(name, "pg_", 3) == 0 || strcmp(name, "information_schema") == 0;
}

static sl_rc check_state_schema(sl_spec *spec, sl_error *err)
{
    if (is_system_schema(spec->state_schema))
        return sl_fail(err, SL_USAGE, "%s: state_schema cannot be %s: that name is the server's",
                       spec->file, spec->state_schema);
    return SL_OK;
}

static sl_rc check_schemas(sl_spec *spec, sl_error *err)
{
    sl_map *seen = sl_map_new();
    sl_rc rc = SL_OK;
    for (size_t i = 0; i < spec->n_schemas && rc == SL_OK; i++) {
        const sl_spec_schema *s = &spec->schemas[i];
        const sl_spec_schema *other = sl_map_get(seen, s->schema, strlen(s->schema));
        if (other)
            rc = sl_fail(err, SL_USAGE, "%s:%d: the schema %s is listed twice (first in line %d)",
                         spec->file, s->line, s->schema, other->line);
        else if (is_system_schema(s->schema))
            rc = sl_fail(err, SL_USAGE,
                         "%s:%d: the schema %s belongs to the server and is never "
                         "synchronized",
                         spec->file, s->line, s->schema);
        else if (strcmp(s->schema, spec->state_schema) == 0)
            rc = sl_fail(err, SL_USAGE,
                         "%s:%d: the schema %s holds the state of tasks and is never "
                         "synchronized",
                         spec->file, s->line, s->schema);
        sl_map_put(seen, s->schema, strlen(s->schema), (void *)s);
    }
    sl_map_free(seen);
    return rc;
}

static sl_rc check_merge(const sl_spec *spec, const sl_spec_schema *s, const sl_spec_table *t,
                         sl_error *err)
{
    SL_SCRATCH(tmp);
    const char *parts[2];
    size_t n = sl_names_split(t->merge_into, parts, 2, &tmp);
    if (!t->name)
        return sl_fail(err, SL_USAGE,
                       "%s:%d: merge cannot be given for a pattern: %s.%s may be many tables",
                       spec->file, t->line, s->schema, t->pattern);
    if (t->rename)
        return sl_fail(err, SL_USAGE,
                       "%s:%d: merge and rename of table %s.%s: the name is merge.into", spec->file,
                       t->line, s->schema, t->pattern);
    for (size_t i = 0; i < n && i < 2; i++)
        if (!parts[i][0] || strlen(parts[i]) > SL_NAME_MAX)
            n = 0;
    if (n < 1 || n > 2)
        return sl_fail(err, SL_USAGE, "%s:%d: merge.into of table %s.%s is no table's name",
                       spec->file, t->line, s->schema, t->pattern);
    return SL_OK;
}

static sl_rc check_tables(sl_spec *spec, sl_error *err)
{
    sl_rc rc = SL_OK;
    for (size_t i = 0; i < spec->n_schemas && rc == SL_OK; i++) {
        sl_spec_schema *s = &spec->schemas[i];
        sl_map *seen = sl_map_new();
        bool included = false;
        for (size_t j = 0; j < s->n_tables && rc == SL_OK; j++) {
            sl_spec_table *t = &s->tables[j];
            const sl_spec_table *other = sl_map_get(seen, t->pattern, strlen(t->pattern));
            t->name = sl_pattern_name(t->pattern, &spec->arena);
            if (t->name && strlen(t->name) > SL_NAME_MAX)
                rc = sl_fail(err, SL_USAGE,
                             "%s:%d: table is longer than PostgreSQL's names (%d bytes)",
                             spec->file, t->line, SL_NAME_MAX);
            else if (other)
                rc = sl_fail(err, SL_USAGE,
                             "%s:%d: the table %s.%s is listed twice (first in line %d)",
                             spec->file, t->line, s->schema, t->pattern, other->line);
            sl_map_put(seen, t->pattern, strlen(t->pattern), t);
            s->whole |= strcmp(t->pattern, "*") == 0 && !t->exclude;
            included |= !t->exclude;
            if (rc == SL_OK && t->rename && !t->name)
                rc = sl_fail(err, SL_USAGE,
                             "%s:%d: rename cannot be given for a pattern: %s.%s may be many "
                             "tables; names.rules change many names",
                             spec->file, t->line, s->schema, t->pattern);
            if (rc == SL_OK && t->merge_into)
                rc = check_merge(spec, s, t, err);
            if (t->keyless == SL_KEYLESS_UNSET)
                t->keyless = spec->keyless;
        }
        s->whole |= !included;
        sl_map_free(seen);
    }
    return rc;
}

static sl_rc check_conditions(sl_spec *spec, sl_error *err)
{
    SL_SCRATCH(tmp);
    for (size_t i = 0; i < spec->n_schemas; i++)
        for (size_t j = 0; j < spec->schemas[i].n_tables; j++) {
            sl_spec_table *t = &spec->schemas[i].tables[j];
            const char *where = sl_arena_printf(&tmp, "%s:%d", spec->file, t->line);
            if (t->where &&
                sl_condition_parse(&spec->arena, where, t->where, &t->condition, err) != SL_OK)
                return err->code;
        }
    return SL_OK;
}

sl_rc sl_spec_check(sl_spec *spec, sl_error *err)
{
    static sl_rc (*const checks[])(sl_spec * spec, sl_error * err) = {
        check_endpoints, check_state_schema, check_schemas,
        check_tables,    check_conditions,   sl_names_prepare,
    };
    for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++)
        if (checks[i](spec, err) != SL_OK)
            return err->code;
    return SL_OK;
}

/* A letter of a pattern, as the bytes of one position: [*] and [?] are the letters themselves. */
static const char *letter_of(const char *pattern, bool *wild)
{
    bool escaped =
        pattern[0] == '[' && (pattern[1] == '*' || pattern[1] == '?') && pattern[2] == ']';
    *wild = *pattern == '*' || *pattern == '?';
    return escaped ? pattern + 1 : pattern;
}

static const char *next_letter(const char *pattern)
{
    bool wild;
    return pattern + (letter_of(pattern, &wild) == pattern ? 1 : 3);
}

/* Without recursion: after a mismatch, the last * takes one character more. */
bool sl_pattern_match(const char *pattern, const char *name)
{
    const char *star = NULL, *resume = NULL;
    while (*name) {
        bool wild;
        const char *letter = letter_of(pattern, &wild);
        if (wild && *letter == '*') {
            star = pattern++;
            resume = name;
        } else if (*letter && (wild || *letter == *name)) {
            /* One character, not one byte: ? passes over a whole UTF-8 sequence. */
            if (wild)
                while (((unsigned char)name[1] & 0xc0) == 0x80)
                    name++;
            pattern = next_letter(pattern);
            name++;
        } else if (star) {
            pattern = star + 1;
            name = ++resume;
        } else {
            return false;
        }
    }
    pattern += strspn(pattern, "*");
    return *pattern == '\0';
}

const char *sl_pattern_name(const char *pattern, sl_arena *arena)
{
    SL_BUF(name);
    bool wild = false;
    for (; *pattern && !wild; pattern = next_letter(pattern))
        sl_buf_putc(&name, *letter_of(pattern, &wild));
    return wild ? NULL : sl_arena_strdup(arena, sl_buf_str(&name));
}

/* Letters count most, then ? (one character each), and every * makes a pattern less exact. */
int sl_pattern_exactness(const char *pattern)
{
    int score = 0;
    bool wild, any = false;
    for (; *pattern; pattern = next_letter(pattern)) {
        char letter = *letter_of(pattern, &wild);
        score += !wild ? 32 : letter == '*' ? -1 : 16;
        any |= wild;
    }
    return any ? score : INT_MAX;
}
