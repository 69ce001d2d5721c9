/* merge.c: DELETE what is gone, UPDATE what differs, INSERT what is new.
 *
 * Rows are compared by their images (record_image_eq), which needs no operator of the columns'
 * types and tells 1.0 from 1.00. Two rows that swapped a unique value cannot be updated one by one;
 * then what differs is deleted and inserted anew. */
#include <stdlib.h>
#include <string.h>

#include "copy/merge.h"

/* A list of columns: "a.x, a.y"; keys or all that are written. */
static const char *columns(const sl_route *route, const char *alias, bool keys, sl_arena *arena)
{
    SL_BUF(list);
    for (size_t i = 0; i < route->n_columns; i++) {
        const sl_column *c = &route->columns[i];
        if (c->generated || (keys && !c->in_key))
            continue;
        sl_buf_puts(&list, list.len ? ", " : "");
        if (alias)
            sl_sql_add(&list, "%s.%I", alias, c->dst_name);
        else
            sl_sql_add(&list, "%I", c->dst_name);
    }
    return sl_arena_strdup(arena, sl_buf_str(&list));
}

/* Types whose equality is equality of images, and can be hashed: bool, bytea, int8, int2, int4,
 * oid, date, timestamp, timestamptz, uuid. */
static bool equality_is_exact(const sl_type *type)
{
    static const uint32_t exact[] = { 16, 17, 20, 21, 23, 26, 1082, 1114, 1184, 2950 };
    for (size_t i = 0; i < sizeof(exact) / sizeof(exact[0]); i++)
        if (type->oid == exact[i])
            return true;
    return false;
}

/* The casts keep the parser from comparing the rows field by field. */
static const char *same(const sl_route *route, bool keys, sl_arena *arena)
{
    SL_BUF(plain);
    for (size_t i = 0; keys && i < route->n_key; i++) {
        const sl_column *c = &route->columns[route->key[i]];
        if (!equality_is_exact(&c->type)) {
            sl_buf_clear(&plain);
            break;
        }
        sl_sql_add(&plain, "%st.%I OPERATOR(pg_catalog.=) s.%I", i ? " AND " : "", c->dst_name,
                   c->dst_name);
    }
    if (plain.len)
        return sl_arena_strdup(arena, plain.data);
    return sl_arena_printf(arena, "ROW(%s)::record OPERATOR(pg_catalog.*=) ROW(%s)::record",
                           columns(route, "t", keys, arena), columns(route, "s", keys, arena));
}

/* "x = s.x, …" of what an UPDATE may set; NULL when there is nothing but key. */
static const char *assignments(const sl_route *route, sl_arena *arena)
{
    SL_BUF(list);
    for (size_t i = 0; i < route->n_columns; i++) {
        const sl_column *c = &route->columns[i];
        if (!c->generated && !c->in_key && c->identity != 'a')
            sl_sql_add(&list, "%s%I = s.%I", list.len ? ", " : "", c->dst_name, c->dst_name);
    }
    return list.len ? sl_arena_strdup(arena, list.data) : NULL;
}

static sl_rc count_rows(sl_pg *destination, const char *sql, int64_t *rows, sl_error *err)
{
    SL_RESULT(res);
    if (sl_pg_query(destination, sql, &res, err) != SL_OK)
        return err->code;
    *rows += strtoll(PQcmdTuples(res), NULL, 10);
    return SL_OK;
}

typedef struct statements {
    const char *remove, *update, *insert; /* update may be NULL */
} statements;

static sl_rc run_all(sl_pg *destination, const statements *st, sl_merged *merged, sl_error *err)
{
    sl_rc rc = count_rows(destination, st->remove, &merged->deleted, err);
    if (rc == SL_OK && st->update)
        rc = count_rows(destination, st->update, &merged->updated, err);
    return rc == SL_OK ? count_rows(destination, st->insert, &merged->inserted, err) : rc;
}

/* by_key: rows are matched by key and updated; else by all their columns. */
static statements compose(const sl_route *route, const char *from, bool by_key, int version,
                          sl_arena *arena)
{
    const char *table = sl_route_dst_sql(route, arena);
    const char *match = same(route, by_key, arena);
    const char *set = by_key ? assignments(route, arena) : NULL;
    statements st = {
        .remove =
            sl_sql(arena, "DELETE FROM ONLY %s t WHERE NOT EXISTS (SELECT 1 FROM %s s WHERE %s)",
                   table, from, match),
        .insert = sl_sql(arena,
                         "INSERT INTO %s (%s) %sSELECT %s FROM %s s WHERE NOT"
                         " EXISTS (SELECT 1 FROM ONLY %s t WHERE %s)",
                         table, columns(route, NULL, false, arena), sl_overriding_sql(version),
                         columns(route, "s", false, arena), from, table, match),
    };
    if (set)
        st.update = sl_sql(arena, "UPDATE ONLY %s t SET %s FROM %s s WHERE %s AND NOT (%s)", table,
                           set, from, match, same(route, false, arena));
    return st;
}

/* Duplicate rows have no difference that could be told: all of them go and come. */
static statements replace_all(const sl_route *route, const char *from, int version, sl_arena *arena)
{
    const char *table = sl_route_dst_sql(route, arena), *list = columns(route, NULL, false, arena);
    return (statements){
        .remove = sl_sql(arena, "DELETE FROM ONLY %s", table),
        .insert = list[0] ? sl_sql(arena, "INSERT INTO %s (%s) %sSELECT %s FROM %s", table, list,
                                   sl_overriding_sql(version), list, from)
                          : sl_sql(arena, "INSERT INTO %s SELECT FROM %s", table, from),
    };
}

sl_rc sl_merge_rows(const sl_route *route, const char *from, sl_pg *destination, sl_merged *merged,
                    sl_error *err)
{
    SL_SCRATCH(tmp);
    sl_error why = SL_ERROR_INIT;
    *merged = (sl_merged){ 0 };
    bool keyed = route->n_key > 0;
    int version = destination->version;
    statements st =
        keyed ? compose(route, from, true, version, &tmp) : replace_all(route, from, version, &tmp);
    sl_rc rc = sl_pg_exec(destination, "SAVEPOINT merging", err);
    if (rc == SL_OK)
        rc = run_all(destination, &st, merged, &why);
    if (rc != SL_OK && keyed && strcmp(why.sqlstate, "23505") == 0) {
        *merged = (sl_merged){ 0 };
        sl_error_clear(&why);
        st = compose(route, from, false, version, &tmp);
        rc = sl_pg_exec(destination, "ROLLBACK TO SAVEPOINT merging", err);
        if (rc == SL_OK)
            rc = run_all(destination, &st, merged, &why);
    }
    if (rc != SL_OK) {
        if (err->code == SL_OK)
            *err = why;
        return sl_while(err, "merging the difference into table %s", sl_route_label(route, &tmp));
    }
    return SL_OK;
}
