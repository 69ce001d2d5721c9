/* statement.c: composes INSERT, UPDATE, DELETE and COPY for one bound.
 *
 * Identifiers were quoted when the bound was made; types come from the destination's format_type.
 * Below 9.5 there is no ON CONFLICT, below 10 no OVERRIDING. Rows without a key are compared by
 * record image, which tells 1.0 from 1.00 and takes types without equality, and exactly one of them
 * is affected: by its ctid (and tableoid, below a partitioned table). */
#include "stream/statement.h"

static void add_names(sl_buf *sql, const sl_bound *bound, const char *prefix)
{
    for (uint16_t i = 0; i < bound->n_fields; i++)
        sl_buf_printf(sql, "%s%s%s", i ? ", " : "", prefix, bound->fields[i].name);
}

/* The value of parameter number n: itself, or its column of unnest's result. */
static void add_param(sl_buf *sql, int n, bool bulk, const char *cast)
{
    sl_buf_printf(sql, bulk ? "u.c%d%s" : "$%d%s", n, cast);
}

static void add_unnest(sl_buf *sql, int n)
{
    sl_buf_puts(sql, "unnest(");
    for (int i = 1; i <= n; i++)
        sl_buf_printf(sql, "%s$%d", i > 1 ? ", " : "", i);
    sl_buf_puts(sql, ") AS u(");
    for (int i = 1; i <= n; i++)
        sl_buf_printf(sql, "%sc%d", i > 1 ? ", " : "", i);
    sl_buf_puts(sql, ")");
}

/* ON CONFLICT (key) DO UPDATE SET all other columns. */
static void add_on_conflict(sl_buf *sql, const sl_bound *bound)
{
    int n = 0;
    sl_buf_puts(sql, " ON CONFLICT (");
    if (bound->route->merge_column)
        sl_sql_add(sql, "%I, ", bound->route->merge_column);
    for (uint16_t i = 0; i < bound->n_key; i++)
        sl_buf_printf(sql, "%s%s", i ? ", " : "", bound->fields[bound->key[i]].name);
    sl_buf_puts(sql, ") DO");
    for (uint16_t i = 0; i < bound->n_fields; i++) {
        const sl_field *f = &bound->fields[i];
        if (!f->key && f->settable)
            sl_buf_printf(sql, "%s %s = EXCLUDED.%s", n++ ? "," : " UPDATE SET", f->name, f->name);
    }
    if (n == 0) /* nothing but the key: written over by itself, so that it counts */
        sl_buf_printf(sql, " UPDATE SET %s = EXCLUDED.%s", bound->fields[bound->key[0]].name,
                      bound->fields[bound->key[0]].name);
}

/* xmax tells an overwritten row from a new one, but not through a partitioned table. */
bool sl_statement_counts(const sl_bound *bound, sl_overwrite overwrite)
{
    if (overwrite != SL_OVERWRITE_NOT && bound->target->version < SL_PG_9_5)
        return true;
    return overwrite == SL_OVERWRITE_COUNT && bound->target->relkind == 'r';
}

static void add_values(sl_buf *sql, const sl_bound *bound, bool bulk)
{
    for (uint16_t i = 0; i < bound->n_fields; i++) {
        sl_buf_puts(sql, i ? ", " : "");
        add_param(sql, i + 1, bulk, bound->fields[i].cast);
    }
}

/* " WHERE …" on the row of t with the key among the values. */
static void add_same_key(sl_buf *sql, const sl_bound *bound, bool bulk)
{
    for (uint16_t i = 0; i < bound->n_key; i++) {
        const sl_field *f = &bound->fields[bound->key[i]];
        sl_buf_printf(sql, "%s t.%s %s ", i ? " AND" : " WHERE", f->name, f->equals);
        add_param(sql, bound->key[i] + 1, bulk, f->cast);
    }
}

/* 9.4 has no ON CONFLICT: an UPDATE, and an INSERT of those that it does not find. Both see the
 * table as it was before the statement, and nobody else writes to it. */
static void update_or_insert(sl_buf *sql, const sl_bound *bound, bool bulk, bool counts)
{
    const sl_target *target = bound->target;
    int n = 0;
    sl_buf_printf(sql, "WITH w AS (UPDATE ONLY %s AS t SET ", target->sql);
    for (uint16_t i = 0; i < bound->n_fields; i++) {
        sl_buf_printf(sql, "%s%s = ", n++ ? ", " : "", bound->fields[i].name);
        add_param(sql, i + 1, bulk, bound->fields[i].cast);
    }
    if (bulk) {
        sl_buf_puts(sql, " FROM ");
        add_unnest(sql, bound->n_fields);
    }
    add_same_key(sql, bound, bulk);
    sl_buf_printf(sql, " RETURNING 1), i AS (INSERT INTO %s (", target->sql);
    add_names(sql, bound, "");
    sl_buf_puts(sql, ") SELECT ");
    add_values(sql, bound, bulk);
    if (bulk) {
        sl_buf_puts(sql, " FROM ");
        add_unnest(sql, bound->n_fields);
    }
    sl_buf_printf(sql, " WHERE NOT EXISTS (SELECT 1 FROM ONLY %s AS t", target->sql);
    add_same_key(sql, bound, bulk);
    sl_buf_printf(sql,
                  ") RETURNING 1) SELECT (SELECT count(*) FROM w) + (SELECT count(*) FROM i), %s",
                  counts ? "(SELECT count(*) FROM w)" : "0");
}

void sl_statement_insert(sl_buf *sql, const sl_bound *bound, bool bulk, sl_overwrite overwrite)
{
    bool counts = sl_statement_counts(bound, overwrite);
    if (bound->n_fields == 0) {
        sl_buf_printf(sql, "INSERT INTO %s DEFAULT VALUES", bound->target->sql);
        return;
    }
    if (overwrite != SL_OVERWRITE_NOT && bound->target->version < SL_PG_9_5) {
        update_or_insert(sql, bound, bulk, overwrite == SL_OVERWRITE_COUNT);
        return;
    }
    sl_buf_printf(sql, "%sINSERT INTO %s (", counts ? "WITH w AS (" : "", bound->target->sql);
    add_names(sql, bound, "");
    sl_buf_printf(sql, ") %s%s", sl_overriding_sql(bound->target->version),
                  bulk ? "SELECT " : "VALUES (");
    add_values(sql, bound, bulk);
    sl_buf_puts(sql, bulk ? " FROM " : ")");
    if (bulk)
        add_unnest(sql, bound->n_fields);
    if (overwrite != SL_OVERWRITE_NOT)
        add_on_conflict(sql, bound);
    if (counts)
        sl_buf_puts(sql, " RETURNING (NOT xmax = 0) AS hit)"
                         " SELECT count(*), count(*) FILTER (WHERE hit) FROM w");
}

/* " WHERE …" on rows of t (the destination table), parameters from number first on. */
static void add_match(sl_buf *sql, const sl_bound *bound, int first, bool bulk)
{
    if (!bound->whole_row) {
        for (uint16_t i = 0; i < bound->n_key; i++) {
            const sl_field *f = &bound->fields[bound->key[i]];
            sl_buf_printf(sql, "%s t.%s %s ", i ? " AND" : " WHERE", f->name, f->equals);
            add_param(sql, first + i, bulk, f->cast);
        }
        return;
    }
    bool plain = bound->target->relkind == 'r';
    sl_buf_printf(sql,
                  plain ? " WHERE t.ctid = (SELECT s.ctid FROM %s%s AS s"
                        : " WHERE (t.tableoid, t.ctid) = (SELECT s.tableoid, s.ctid FROM %s%s AS s",
                  bound->target->only, bound->target->sql);
    sl_buf_puts(sql, " WHERE pg_catalog.record_image_eq(ROW(");
    add_names(sql, bound, "s.");
    sl_buf_puts(sql, "), ROW(");
    for (uint16_t i = 0; i < bound->n_fields; i++) {
        sl_buf_puts(sql, i ? ", " : "");
        add_param(sql, first + i, false, bound->fields[i].exact);
    }
    sl_buf_puts(sql, ")) LIMIT 1)");
}

void sl_statement_update(sl_buf *sql, const sl_bound *bound, const sl_colset *set, bool bulk)
{
    sl_buf_printf(sql, "UPDATE %s%s AS t SET ", bound->target->only, bound->target->sql);
    for (uint16_t i = 0; i < set->n; i++) {
        const sl_field *f = &bound->fields[set->fields[i]];
        sl_buf_printf(sql, "%s%s = ", i ? ", " : "", f->name);
        add_param(sql, i + 1, bulk, f->cast);
    }
    if (bulk) {
        sl_buf_puts(sql, " FROM ");
        add_unnest(sql, set->n + bound->n_key);
    }
    add_match(sql, bound, set->n + 1, bulk);
}

void sl_statement_move(sl_buf *sql, const sl_bound *bound)
{
    int n = 0;
    sl_buf_printf(sql, "WITH u AS (UPDATE %s%s AS t SET ", bound->target->only, bound->target->sql);
    for (uint16_t i = 0; i < bound->n_fields; i++) {
        const sl_field *f = &bound->fields[i];
        if (!f->settable)
            continue;
        sl_buf_printf(sql, "%s%s = ", n++ ? ", " : "", f->name);
        add_param(sql, i + 1, false, f->cast);
    }
    add_match(sql, bound, bound->n_fields + 1, false);
    sl_buf_printf(sql, " RETURNING 1) INSERT INTO %s (", bound->target->sql);
    add_names(sql, bound, "");
    sl_buf_printf(sql, ") %sSELECT ", sl_overriding_sql(bound->target->version));
    add_values(sql, bound, false);
    sl_buf_puts(sql, " WHERE NOT EXISTS (SELECT 1 FROM u)");
}

void sl_statement_delete(sl_buf *sql, const sl_bound *bound, bool bulk)
{
    sl_buf_printf(sql, "DELETE FROM %s%s AS t", bound->target->only, bound->target->sql);
    if (bulk) {
        sl_buf_puts(sql, " USING ");
        add_unnest(sql, bound->n_key);
    }
    add_match(sql, bound, 1, bulk);
}

void sl_statement_copy(sl_buf *sql, const sl_bound *bound, bool binary)
{
    sl_buf_printf(sql, "COPY %s (", bound->target->sql);
    add_names(sql, bound, "");
    sl_buf_puts(sql, binary ? ") FROM STDIN WITH (FORMAT binary)" : ") FROM STDIN");
}
