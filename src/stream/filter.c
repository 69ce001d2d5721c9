/* filter.c: see filter.h.
 *
 * Rows travel as parameters in the form they came in, text or binary, each in a row of VALUES under
 * the column's name, type and collation as the source's catalog has them now. */
#include "stream/filter.h"

#include <stdlib.h>
#include <string.h>

#include "spec/columns.h"
#include "spec/condition.h"

#define MAX_ROWS 1000    /* of one query */
#define MAX_PARAMS 60000 /* the protocol's limit is 65535 */
#define FETCH_ROWS 100
#define VISIBLE_MS 5

/* A column of a table with a condition, as the source has it now. */
typedef struct source_column {
    const char *name, *type, *collation, *equals; /* SQL; collation NULL: the type's own */
} source_column;

/* What the queries need of one relation; per version of it. */
typedef struct source_table {
    const sl_relation *rel;
    const source_column **columns; /* per column of rel; NULL: gone */
    uint16_t *used, n_used;        /* columns of rel that the condition uses */
    uint16_t *key, n_key;
    bool *needed; /* per column of rel: the destination has it, or the condition uses it */
    struct source_table *next;
} source_table;

/* A change that is to be judged. */
typedef struct item {
    uint32_t index; /* in the batch */
    sl_change *change;
    const uint8_t **values; /* the new row's; NULL without one */
    bool exact;             /* the old row is known whole */
    bool decided, matches, old_matches, gone;
} item;

struct sl_filter {
    sl_run *run;
    sl_pg **source;
    bool binary;
    source_table *tables;
    sl_arena arena; /* lives as long as the filter */
    sl_arena batch; /* of one batch */
};

sl_filter *sl_filter_new(sl_run *run, sl_pg **source, bool binary)
{
    size_t n = 0;
    for (size_t i = 0; i < run->routes->n; i++)
        n += run->routes->items[i].condition != NULL;
    if (n == 0)
        return NULL;
    sl_filter *f = sl_xcalloc(1, sizeof(*f));
    f->run = run;
    f->source = source;
    f->binary = binary;
    return f;
}

void sl_filter_free(sl_filter *f)
{
    if (!f)
        return;
    sl_arena_free(&f->arena);
    sl_arena_free(&f->batch);
    free(f);
}

static sl_rc connect(sl_filter *f, sl_error *err)
{
    return *f->source ? SL_OK
                      : sl_run_connect(f->run, SL_SOURCE, "source catalog", 0, f->source, err);
}

/* ---- what the source knows of a table ---- */

/* The key's equality is its type's, so that the key's index is used. */
static const char table_sql[] =
    "SELECT a.attname, pg_catalog.format_type(a.atttypid, -1),"
    " CASE WHEN a.attcollation <> t.typcollation THEN (SELECT pg_catalog.format('%%I.%%I',"
    "  n.nspname, c.collname) FROM pg_catalog.pg_collation c JOIN pg_catalog.pg_namespace n"
    "  ON n.oid = c.collnamespace WHERE c.oid = a.attcollation) END,"
    " coalesce((SELECT pg_catalog.format('OPERATOR(%%I.%%s)', n.nspname, o.oprname)"
    "  FROM pg_catalog.pg_opclass oc JOIN pg_catalog.pg_amop ao ON ao.amopfamily = oc.opcfamily"
    "  AND ao.amopstrategy = 3 AND ao.amoplefttype = oc.opcintype"
    "  AND ao.amoprighttype = oc.opcintype JOIN pg_catalog.pg_operator o ON o.oid = ao.amopopr"
    "  JOIN pg_catalog.pg_namespace n ON n.oid = o.oprnamespace WHERE oc.opcmethod = 403"
    "  AND oc.opcdefault AND oc.opcintype = a.atttypid), 'OPERATOR(pg_catalog.=)')"
    " FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid"
    " WHERE a.attrelid = %u AND a.attnum > 0 AND NOT a.attisdropped";

static sl_rc read_columns(sl_filter *f, source_table *t, sl_error *err)
{
    SL_SCRATCH(tmp);
    SL_RESULT(res);
    const sl_relation *rel = t->rel;
    if (connect(f, err) != SL_OK ||
        sl_pg_query(*f->source, sl_arena_printf(&tmp, table_sql, rel->oid), &res, err) != SL_OK)
        return sl_while(err, "reading the columns of %s.%s", rel->schema, rel->table);
    for (int i = 0; i < PQntuples(res); i++)
        for (uint16_t c = 0; c < rel->n_columns; c++) {
            if (strcmp(rel->columns[c].name, PQgetvalue(res, i, 0)) != 0)
                continue;
            source_column *s = SL_NEW(&f->arena, source_column);
            s->name = rel->columns[c].name;
            s->type = sl_arena_strdup(&f->arena, PQgetvalue(res, i, 1));
            s->collation = sl_arena_strdup(&f->arena, sl_cell(res, i, 2));
            s->equals = sl_arena_strdup(&f->arena, PQgetvalue(res, i, 3));
            t->columns[c] = s;
        }
    return SL_OK;
}

/* The condition's columns, each of which the stream must have and the source still know. */
static sl_rc find_used(source_table *t, sl_error *err)
{
    const sl_relation *rel = t->rel;
    for (const char *const *name = rel->route->condition->columns; *name; name++) {
        uint16_t c = 0;
        while (c < rel->n_columns && strcmp(rel->columns[c].name, *name) != 0)
            c++;
        if (c == rel->n_columns || !t->columns[c]) {
            sl_fail(err, SL_FAILED, "the condition of table %s.%s uses column %s, which %s",
                    rel->schema, rel->table, *name,
                    c == rel->n_columns ? "its changes do not have"
                                        : "the source's table does not have any more");
            return sl_hint(err, "Was it renamed or dropped? Rename it back, or correct `where` and "
                                "ask for the table's rows anew: `pgsluice resync`.");
        }
        t->used[t->n_used++] = c;
        t->needed[c] = true;
    }
    return SL_OK;
}

static sl_rc table_of(sl_filter *f, const sl_relation *rel, source_table **out, sl_error *err)
{
    for (source_table *t = f->tables; t; t = t->next)
        if (t->rel == rel) {
            *out = t;
            return SL_OK;
        }
    source_table *t = SL_NEW(&f->arena, source_table);
    uint16_t n = rel->n_columns;
    t->rel = rel;
    t->columns = SL_NEW_ARRAY(&f->arena, const source_column *, n + 1);
    t->used = SL_NEW_ARRAY(&f->arena, uint16_t, n + 1);
    t->key = SL_NEW_ARRAY(&f->arena, uint16_t, n + 1);
    t->needed = SL_NEW_ARRAY(&f->arena, bool, n + 1);
    for (uint16_t c = 0; c < n; c++) {
        t->needed[c] = sl_column_selected(rel->route->spec, rel->columns[c].name);
        if (rel->columns[c].key && rel->identity != 'f')
            t->key[t->n_key++] = c;
    }
    if (read_columns(f, t, err) != SL_OK || find_used(t, err) != SL_OK)
        return err->code;
    t->next = f->tables;
    f->tables = t;
    *out = t;
    return SL_OK;
}

/* ---- rows as parameters ---- */

typedef struct params {
    const char **values;
    int *lengths, *formats;
    int n;
    sl_buf sql;
} params;

static void start_params(sl_filter *f, params *p, size_t max)
{
    *p = (params){ .values = SL_NEW_ARRAY(&f->batch, const char *, max + 1),
                   .lengths = SL_NEW_ARRAY(&f->batch, int, max + 1),
                   .formats = SL_NEW_ARRAY(&f->batch, int, max + 1) };
}

/* PQexecParams reads a text up to its end, which values on the wire do not have. */
static void add_value(sl_filter *f, params *p, const uint8_t *v)
{
    int i = p->n++;
    if (sl_value_null(v) || !sl_value_sent(v))
        return;
    p->formats[i] = sl_value_kind(v) == 'b';
    p->lengths[i] = (int)sl_value_len(v);
    p->values[i] = p->formats[i] ? (const char *)sl_value_data(v)
                                 : sl_arena_strndup(&f->batch, (const char *)sl_value_data(v),
                                                    sl_value_len(v));
}

/* "(number, CAST($n AS type), …)" of some columns. */
static void add_row(sl_filter *f, params *p, const source_table *t, size_t number,
                    const uint16_t *columns, uint16_t n, const uint8_t *const *values)
{
    sl_buf_printf(&p->sql, "%s(%zu", p->n || p->sql.data[p->sql.len - 1] == ')' ? "," : "", number);
    for (uint16_t i = 0; i < n; i++) {
        const source_column *c = t->columns[columns[i]];
        add_value(f, p, values[columns[i]]);
        sl_buf_printf(&p->sql, ",CAST($%d AS %s)", p->n, c->type);
        if (c->collation)
            sl_buf_printf(&p->sql, " COLLATE %s", c->collation);
    }
    sl_buf_putc(&p->sql, ')');
}

/* ") AS v(" number", "column", …)": the number's name is nobody's column. */
static void end_rows(params *p, const source_table *t, const uint16_t *columns, uint16_t n)
{
    sl_buf_puts(&p->sql, ") AS v(\" number\"");
    for (uint16_t i = 0; i < n; i++)
        sl_sql_add(&p->sql, ", %I", t->columns[columns[i]]->name);
    sl_buf_putc(&p->sql, ')');
}

static sl_rc run_query(sl_filter *f, const source_table *t, params *p, int format, PGresult **res,
                       sl_error *err)
{
    sl_pg *pg = *f->source;
    PQclear(*res);
    *res = PQexecParams(pg->conn, sl_buf_str(&p->sql), p->n, NULL, p->values, p->lengths,
                        p->formats, format);
    sl_buf_free(&p->sql);
    if (PQresultStatus(*res) == PGRES_TUPLES_OK)
        return SL_OK;
    sl_rc rc = sl_pg_fail(pg, *res, err);
    if (rc == SL_FAILED)
        sl_hint(err, "The source cannot judge a changed row by the table's `where`. Correct the "
                     "condition, then run again.");
    sl_while(err, "judging changes of table %s.%s by its condition", t->rel->schema, t->rel->table);
    return rc;
}

/* ---- judging ---- */

typedef struct row_ref {
    const uint8_t *const *values;
    bool *matches;
} row_ref;

static sl_rc judge_chunk(sl_filter *f, const source_table *t, row_ref *rows, size_t n,
                         sl_error *err)
{
    SL_RESULT(res);
    params p;
    start_params(f, &p, n * t->n_used);
    sl_buf_puts(&p.sql, "SELECT v.\" number\" FROM (VALUES ");
    for (size_t i = 0; i < n; i++)
        add_row(f, &p, t, i, t->used, t->n_used, rows[i].values);
    end_rows(&p, t, t->used, t->n_used);
    sl_buf_printf(&p.sql, " WHERE %s", t->rel->route->condition->sql);
    if (run_query(f, t, &p, 0, &res, err) != SL_OK)
        return err->code;
    for (int i = 0; i < PQntuples(res); i++)
        *rows[sl_cell_int(res, i, 0)].matches = true;
    return SL_OK;
}

static sl_rc judge(sl_filter *f, const source_table *t, row_ref *rows, size_t n, sl_error *err)
{
    size_t chunk =
        t->n_used && MAX_PARAMS / t->n_used < MAX_ROWS ? MAX_PARAMS / t->n_used : MAX_ROWS;
    for (size_t from = 0; from < n; from += chunk)
        if (judge_chunk(f, t, rows + from, n - from < chunk ? n - from : chunk, err) != SL_OK)
            return err->code;
    return SL_OK;
}

static bool can_judge(const source_table *t, const uint8_t *const *values)
{
    for (uint16_t i = 0; i < t->n_used; i++)
        if (!sl_value_sent(values[t->used[i]]))
            return false;
    return true;
}

/* ---- unsent values ---- */

static bool is_whole(const source_table *t, const uint8_t *const *values)
{
    for (uint16_t c = 0; c < t->rel->n_columns; c++)
        if (t->needed[c] && !sl_value_sent(values[c]))
            return false;
    return true;
}

/* A transaction is sent as soon as its commit is in the WAL; others see it a moment later (with
 * synchronous replication much later). */
static sl_rc wait_until_visible(sl_filter *f, const sl_batch *batch, item *const *items, size_t n,
                                sl_error *err)
{
    static const char sql[] =
        "WITH s AS (SELECT pg_catalog.txid_current_snapshot() AS s) SELECT count(*) FROM s,"
        " pg_catalog.unnest($1::int8[]) x WHERE"
        " ((pg_catalog.txid_snapshot_xmax(s) & 4294967295) - x + 4294967296) % 4294967296"
        " NOT BETWEEN 1 AND 2147483647 OR x IN (SELECT y & 4294967295"
        " FROM pg_catalog.txid_snapshot_xip(s) y)";
    SL_BUF(xids);
    sl_array_start(&xids);
    for (size_t i = 0; i < n; i++) {
        uint32_t txn = items[i]->change->txn;
        if (i == 0 || txn != items[i - 1]->change->txn)
            sl_array_add_oid(&xids, batch->txns[txn].txn.xid);
    }
    sl_array_end(&xids);
    const char *values[] = { xids.data };
    for (;;) {
        SL_RESULT(res);
        if (sl_pg_query_params(*f->source, sql, 1, values, &res, err) != SL_OK)
            return sl_while(err, "looking whether a transaction is visible");
        if (sl_cell_int(res, 0, 0) == 0)
            return SL_OK;
        if (!sl_sleep_ms(VISIBLE_MS, f->run->stop))
            return sl_fail(err, SL_CANCELLED, "stopped");
    }
}

/* A result's cell as a value on the wire. */
static const uint8_t *cell_value(sl_filter *f, const PGresult *res, int row, int col, bool text)
{
    bool null = PQgetisnull(res, row, col);
    uint32_t n = (uint32_t)PQgetlength(res, row, col);
    uint8_t *v = sl_arena_alloc(&f->batch, 5 + (null ? 0 : n));
    v[0] = null ? 'n' : text ? 't' : 'b';
    if (null)
        return v;
    sl_put32(v + 1, n);
    memcpy(v + 5, PQgetvalue(res, row, col), n);
    return v;
}

static void take_fetched(sl_filter *f, const source_table *t, const PGresult *res,
                         const uint16_t *columns, uint16_t n, item *const *items)
{
    for (int i = 0; i < PQntuples(res); i++) {
        uint32_t number =
            f->binary ? sl_get32(PQgetvalue(res, i, 0)) : (uint32_t)sl_cell_int(res, i, 0);
        item *it = items[number];
        it->gone = false;
        for (uint16_t c = 0; c < n; c++)
            if (!sl_value_sent(it->values[columns[c]]))
                it->values[columns[c]] =
                    cell_value(f, res, i, c + 1, !f->binary || t->rel->columns[columns[c]].text);
    }
}

/* Reads what up to FETCH_ROWS rows lack from the source's present rows. */
static sl_rc fetch_chunk(sl_filter *f, const source_table *t, item *const *items, size_t n,
                         sl_error *err)
{
    SL_RESULT(res);
    params p;
    uint16_t *columns = SL_NEW_ARRAY(&f->batch, uint16_t, t->rel->n_columns), n_columns = 0;
    for (uint16_t c = 0; c < t->rel->n_columns; c++) {
        bool lacking = false;
        for (size_t i = 0; i < n; i++)
            lacking |= t->needed[c] && !sl_value_sent(items[i]->values[c]);
        if (lacking && t->columns[c])
            columns[n_columns++] = c;
    }
    start_params(f, &p, n * t->n_key);
    sl_buf_puts(&p.sql, "SELECT v.\" number\"");
    for (uint16_t i = 0; i < n_columns; i++)
        sl_sql_add(&p.sql, ", s.%I%s", t->columns[columns[i]]->name,
                   f->binary && t->rel->columns[columns[i]].text ? "::text" : "");
    sl_buf_puts(&p.sql, " FROM (VALUES ");
    for (size_t i = 0; i < n; i++) {
        items[i]->gone = true;
        add_row(f, &p, t, i, t->key, t->n_key, items[i]->values);
    }
    end_rows(&p, t, t->key, t->n_key);
    sl_sql_add(&p.sql, " JOIN ONLY %I.%I s ON true", t->rel->route->src_schema,
               t->rel->route->src_table);
    for (uint16_t i = 0; i < t->n_key; i++)
        sl_sql_add(&p.sql, " AND s.%I %s v.%I", t->columns[t->key[i]]->name,
                   t->columns[t->key[i]]->equals, t->columns[t->key[i]]->name);
    if (run_query(f, t, &p, f->binary, &res, err) == SL_OK)
        take_fetched(f, t, res, columns, n_columns, items);
    return err->code;
}

static sl_rc fetch(sl_filter *f, const sl_batch *batch, const source_table *t, item *const *items,
                   size_t n, sl_error *err)
{
    for (uint16_t i = 0; i < t->n_key; i++)
        if (!t->columns[t->key[i]])
            return sl_fail(err, SL_FAILED, "key column %s of table %s.%s is gone from the source",
                           t->rel->columns[t->key[i]].name, t->rel->schema, t->rel->table);
    if (n > 0 && wait_until_visible(f, batch, items, n, err) != SL_OK)
        return err->code;
    for (size_t from = 0; from < n; from += FETCH_ROWS)
        if (fetch_chunk(f, t, items + from, n - from < FETCH_ROWS ? n - from : FETCH_ROWS, err) !=
            SL_OK)
            return err->code;
    return SL_OK;
}

/* ---- one table's changes ---- */

static const uint8_t **row_values(sl_filter *f, const sl_change *change, const uint32_t *off)
{
    uint16_t n = change->rel->n_columns;
    const uint8_t **values = SL_NEW_ARRAY(&f->batch, const uint8_t *, n + 1);
    for (uint16_t c = 0; c < n; c++)
        values[c] = change->data + off[c];
    return values;
}

/* The new row, unsent values taken from the old row as far as that was sent. */
static void take_new_row(sl_filter *f, item *it)
{
    const sl_change *change = it->change;
    it->exact = change->old_kind == 'O';
    if (!change->new_off || change->op == SL_CHANGE_DELETE)
        return;
    it->values = row_values(f, change, change->new_off);
    for (uint16_t c = 0; c < change->rel->n_columns; c++)
        if (!sl_value_sent(it->values[c]) &&
            (it->exact || (change->old_kind == 'K' && change->rel->columns[c].key)))
            it->values[c] = change->data + change->old_off[c];
}

/* New rows that can be judged as they are. */
static sl_rc judge_sent(sl_filter *f, const source_table *t, item *items, size_t n, sl_error *err)
{
    row_ref *rows = SL_NEW_ARRAY(&f->batch, row_ref, n + 1);
    size_t n_rows = 0;
    for (size_t i = 0; i < n; i++) {
        item *it = &items[i];
        if (!it->values || it->decided || !can_judge(t, it->values))
            continue;
        it->decided = true;
        rows[n_rows++] = (row_ref){ it->values, &it->matches };
    }
    return judge(f, t, rows, n_rows, err);
}

static sl_rc judge_old(sl_filter *f, const source_table *t, item *items, size_t n, sl_error *err)
{
    row_ref *rows = SL_NEW_ARRAY(&f->batch, row_ref, n + 1);
    size_t n_rows = 0;
    for (size_t i = 0; i < n; i++)
        if (items[i].exact)
            rows[n_rows++] = (row_ref){ row_values(f, items[i].change, items[i].change->old_off),
                                        &items[i].old_matches };
    return judge(f, t, rows, n_rows, err);
}

static sl_rc judge_table(sl_filter *f, const sl_batch *batch, const source_table *t, item *items,
                         size_t n, sl_error *err)
{
    item **lacking = SL_NEW_ARRAY(&f->batch, item *, n + 1);
    size_t n_lacking = 0;
    if (judge_sent(f, t, items, n, err) != SL_OK || judge_old(f, t, items, n, err) != SL_OK)
        return err->code;
    for (size_t i = 0; i < n; i++)
        if (items[i].values && (!items[i].decided || items[i].matches) &&
            !is_whole(t, items[i].values))
            lacking[n_lacking++] = &items[i];
    if (fetch(f, batch, t, lacking, n_lacking, err) != SL_OK)
        return err->code;
    for (size_t i = 0; i < n_lacking; i++)
        if (lacking[i]->gone)
            lacking[i]->decided = lacking[i]->matches = true;
    return judge_sent(f, t, items, n, err);
}

/* ---- what a change is for the destination ---- */

/* False: nothing. */
static bool rewrite(sl_batch *batch, item *it)
{
    sl_change *change = it->change;
    bool is_update = change->op == SL_CHANGE_UPDATE;
    if (change->op == SL_CHANGE_INSERT)
        return it->matches;
    if (it->exact && !(is_update && it->matches) && !it->old_matches)
        return false;
    change->maybe = !it->exact;
    if (!is_update)
        return true;
    if (!it->matches) {
        change->op = SL_CHANGE_DELETE;
        return true;
    }
    if (it->exact && it->old_matches)
        return true;
    if (it->gone && !it->exact) {
        change->gone = true;
        return true;
    }
    change = sl_batch_fill(batch, it->index, it->values);
    if (it->exact) { /* it moves in */
        change->op = SL_CHANGE_INSERT;
        change->old_kind = 0;
        change->old_off = NULL;
    }
    return true;
}

/* The changes of one relation, from the first one on that is not done. */
static size_t gather(sl_filter *f, const sl_batch *batch, const sl_relation *rel, bool *done,
                     item *items)
{
    size_t n = 0;
    for (uint32_t i = 0; i < batch->n_changes; i++) {
        sl_change *change = batch->changes[i];
        if (done[i] || change->rel != rel || change->op == SL_CHANGE_TRUNCATE)
            continue;
        done[i] = true;
        items[n] = (item){ .index = i, .change = change };
        take_new_row(f, &items[n++]);
    }
    return n;
}

sl_rc sl_filter_batch(sl_filter *f, sl_batch *batch, sl_error *err)
{
    if (!f || batch->n_changes == 0)
        return SL_OK;
    sl_arena_reset(&f->batch);
    uint32_t total = batch->n_changes;
    bool *done = SL_NEW_ARRAY(&f->batch, bool, total), *drop = SL_NEW_ARRAY(&f->batch, bool, total);
    item *items = NULL;
    for (uint32_t i = 0; i < total; i++) {
        const sl_relation *rel = batch->changes[i]->rel;
        source_table *t = NULL;
        if (done[i] || batch->changes[i]->op == SL_CHANGE_TRUNCATE || !rel->route ||
            !rel->route->condition)
            continue;
        if (!items)
            items = SL_NEW_ARRAY(&f->batch, item, total);
        if (table_of(f, rel, &t, err) != SL_OK)
            return err->code;
        size_t n = gather(f, batch, rel, done, items);
        if (judge_table(f, batch, t, items, n, err) != SL_OK)
            return err->code;
        for (size_t k = 0; k < n; k++)
            drop[items[k].index] = !rewrite(batch, &items[k]);
    }
    if (items)
        sl_batch_remove(batch, drop);
    return SL_OK;
}
