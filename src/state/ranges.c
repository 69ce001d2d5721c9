/* ranges.c: key ranges of a large table; see the header. */
#include "state/ranges.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

sl_ranges *sl_ranges_new(const char *column, bool uuid, uint32_t filenode, size_t n)
{
    sl_ranges *r = sl_xcalloc(1, sizeof(*r));
    r->column = sl_xstrdup(column);
    r->uuid = uuid;
    r->filenode = filenode;
    r->n = n;
    r->bounds = sl_xcalloc(n, sizeof(*r->bounds));
    r->lsn = sl_xcalloc(n, sizeof(*r->lsn));
    r->rows = sl_xcalloc(n, sizeof(*r->rows));
    r->bytes = sl_xcalloc(n, sizeof(*r->bytes));
    return r;
}

void sl_ranges_free(sl_ranges *r)
{
    if (!r)
        return;
    free(r->column);
    free(r->bounds);
    free(r->lsn);
    free(r->rows);
    free(r->bytes);
    free(r);
}

/* ---- keys ---- */

#define INT_BIAS (UINT64_C(1) << 63)

static bool int_from_text(const char *text, size_t len, sl_range_key *key)
{
    char digits[24], *end;
    if (len == 0 || len >= sizeof(digits))
        return false;
    memcpy(digits, text, len);
    digits[len] = '\0';
    *key = (uint64_t)strtoll(digits, &end, 10) ^ INT_BIAS;
    return *end == '\0';
}

static bool int_from_binary(const void *data, size_t len, sl_range_key *key)
{
    int64_t v;
    if (len == 2)
        v = (int16_t)sl_get16(data);
    else if (len == 4)
        v = (int32_t)sl_get32(data);
    else if (len == 8)
        v = (int64_t)sl_get64(data);
    else
        return false;
    *key = (uint64_t)v ^ INT_BIAS;
    return true;
}

static bool uuid_from_text(const char *text, size_t len, sl_range_key *key)
{
    int digits = 0;
    *key = 0;
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        if (c == '-')
            continue;
        int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
        if (digit < 0 || ++digits > 32)
            return false;
        *key = *key << 4 | (unsigned)digit;
    }
    return digits == 32;
}

bool sl_ranges_key(bool uuid, char kind, const void *data, size_t len, sl_range_key *key)
{
    if (kind == 't')
        return uuid ? uuid_from_text(data, len, key) : int_from_text(data, len, key);
    if (kind != 'b')
        return false;
    if (!uuid)
        return int_from_binary(data, len, key);
    if (len != 16)
        return false;
    *key = (sl_range_key)sl_get64(data) << 64 | sl_get64((const char *)data + 8);
    return true;
}

static char *key_text(bool uuid, sl_range_key key, sl_arena *arena)
{
    if (!uuid)
        return sl_arena_printf(arena, "%lld", (long long)((uint64_t)key ^ INT_BIAS));
    uint64_t high = (uint64_t)(key >> 64), low = (uint64_t)key;
    return sl_arena_printf(arena, "%08x-%04x-%04x-%04x-%012llx", (unsigned)(high >> 32),
                           (unsigned)(high >> 16 & 0xffff), (unsigned)(high & 0xffff),
                           (unsigned)(low >> 48), (unsigned long long)(low & 0xffffffffffff));
}

size_t sl_ranges_find(const sl_ranges *r, sl_range_key key)
{
    size_t from = 0, to = r->n - 1; /* the answer lies in [from, to] */
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        if (key < r->bounds[middle])
            to = middle;
        else
            from = middle + 1;
    }
    return from;
}

char *sl_ranges_where(const sl_ranges *r, size_t i, sl_arena *arena)
{
    const char *type = r->uuid ? "pg_catalog.uuid" : "pg_catalog.int8";
    const char *from = i > 0 ? key_text(r->uuid, r->bounds[i - 1], arena) : NULL;
    const char *to = i + 1 < r->n ? key_text(r->uuid, r->bounds[i], arena) : NULL;
    const char *least =
        from ? sl_sql(arena, "%I OPERATOR(pg_catalog.>=) %L::%s", r->column, from, type) : "true";
    const char *below =
        to ? sl_sql(arena, " AND %I OPERATOR(pg_catalog.<) %L::%s", r->column, to, type) : "";
    return sl_arena_printf(arena, "%s%s", least, below);
}

/* ---- stored ---- */

char *sl_ranges_text(const sl_ranges *r, sl_arena *arena)
{
    json_t *bounds = json_array();
    SL_SCRATCH(tmp);
    for (size_t i = 0; i + 1 < r->n; i++)
        json_array_append_new(bounds, json_string(key_text(r->uuid, r->bounds[i], &tmp)));
    json_t *o =
        json_pack("{s:s, s:s, s:I, s:o}", "column", r->column, "type", r->uuid ? "uuid" : "integer",
                  "filenode", (json_int_t)r->filenode, "bounds", bounds);
    char *text = json_dumps(o, JSON_COMPACT);
    char *kept = sl_arena_strdup(arena, text);
    free(text);
    json_decref(o);
    return kept;
}

static bool read_bounds(sl_ranges *r, const json_t *bounds)
{
    for (size_t i = 0; i + 1 < r->n; i++) {
        const char *text = json_string_value(json_array_get(bounds, i));
        if (!text || !sl_ranges_key(r->uuid, 't', text, strlen(text), &r->bounds[i]) ||
            (i > 0 && r->bounds[i] <= r->bounds[i - 1]))
            return false;
    }
    return true;
}

sl_ranges *sl_ranges_parse(const char *text)
{
    const char *column, *type;
    json_int_t filenode;
    json_t *bounds;
    sl_ranges *r = NULL;
    json_t *o = json_loads(text, 0, NULL);
    if (o && json_unpack(o, "{s:s, s:s, s:I, s:o}", "column", &column, "type", &type, "filenode",
                         &filenode, "bounds", &bounds) == 0) {
        r = sl_ranges_new(column, strcmp(type, "uuid") == 0, (uint32_t)filenode,
                          json_array_size(bounds) + 1);
        if (!read_bounds(r, bounds)) {
            sl_ranges_free(r);
            r = NULL;
        }
    }
    json_decref(o);
    return r;
}

bool sl_ranges_settle(sl_ranges *r)
{
    r->oldest = r->newest = r->lsn[0];
    for (size_t i = 0; i < r->n; i++) {
        if (r->lsn[i] == 0)
            return false;
        r->oldest = r->lsn[i] < r->oldest ? r->lsn[i] : r->oldest;
        r->newest = r->lsn[i] > r->newest ? r->lsn[i] : r->newest;
    }
    return true;
}
