/* write.c: turns rows into parameters, and chooses the strategy.
 *
 * A value on the wire is a kind byte, a length and bytes; length and bytes are copied as they are
 * into an array parameter or a field of binary COPY, so there is one copy per value. */
#include "stream/write.h"

#include <stdlib.h>
#include <string.h>

#include "stream/statement.h"

#define BULK_MIN 8               /* rows; below, one statement per row is faster */
#define COPY_MIN 500             /* rows that are worth the two round trips of COPY */
#define CHUNK_ROWS 8192          /* per bulk statement */
#define CHUNK_BYTES (512 * 1024) /* … and about that many bytes */
#define COPY_CHUNK (256 * 1024)
#define ARRAY_HEADER 20

typedef struct sorted {
    uint64_t prefix; /* of the key, so that it compares like the index */
    sl_row *row;
} sorted;

struct sl_writer {
    sl_run *run;
    sl_session *session;
    sl_binder *binder;
    bool binary;
    sl_arena arena; /* of one call */
    sl_buf sql, copy;
    sl_buf params[SL_MAX_ROW_PARAMS];
    const char *values[SL_MAX_ROW_PARAMS];
    int lengths[SL_MAX_ROW_PARAMS];
    Oid types[SL_MAX_ROW_PARAMS];
    sorted *rows; /* those of the statement at hand */
    uint32_t n_rows, cap_rows;
};

sl_writer *sl_writer_new(sl_run *run, sl_session *session, sl_binder *binder, bool binary)
{
    sl_writer *w = sl_xcalloc(1, sizeof(*w));
    w->run = run;
    w->session = session;
    w->binder = binder;
    w->binary = binary;
    return w;
}

void sl_writer_free(sl_writer *w)
{
    if (!w)
        return;
    for (int i = 0; i < SL_MAX_ROW_PARAMS; i++)
        sl_buf_free(&w->params[i]);
    sl_buf_free(&w->sql);
    sl_buf_free(&w->copy);
    sl_arena_free(&w->arena);
    free(w->rows);
    free(w);
}

/* ---- statements ---- */

/* A plan was made for the table's size at that time: with a table that has outgrown it the planner
 * would now choose another index. */
static bool outgrown(const sl_stmt *stmt, const sl_bound *bound)
{
    int64_t size = stmt->born < 1000 ? 1000 : stmt->born;
    return bound->inserted > 10 * size;
}

/* The statement in that place, or NULL with w->sql empty for the caller to fill. */
static sl_stmt *ready(sl_writer *w, sl_stmt *const *place, const sl_bound *bound)
{
    if (*place && (*place)->prepared && !outgrown(*place, bound))
        return *place;
    sl_buf_clear(&w->sql);
    return NULL;
}

static sl_stmt *prepare(sl_writer *w, sl_stmt **place, const sl_bound *bound, int n, uint32_t tag)
{
    sl_stmt *stmt = sl_session_prepare(w->session, place, sl_buf_str(&w->sql), n, w->types, tag);
    stmt->born = bound->inserted;
    return stmt;
}

/* Parameter types of the match: the key, or the whole row. Returns the next number. */
static int match_types(sl_writer *w, const sl_bound *bound, int n, bool bulk)
{
    int count = bound->whole_row ? bound->n_fields : bound->n_key;
    for (int i = 0; i < count; i++) {
        const sl_field *f = &bound->fields[bound->whole_row ? i : bound->key[i]];
        w->types[n++] = bulk ? f->array : f->param;
    }
    return n;
}

static sl_stmt *insert_stmt(sl_writer *w, sl_bound *bound, sl_stmt_use use, uint32_t tag)
{
    bool bulk = use == SL_STMT_INSERT_BULK || use == SL_STMT_PUT_BULK;
    bool put = use == SL_STMT_PUT_ROW || use == SL_STMT_PUT_BULK;
    bool upsert = bound->upsert || (use == SL_STMT_UPSERT_ROW && bound->key_index);
    sl_overwrite overwrite = put ? SL_OVERWRITE : upsert ? SL_OVERWRITE_COUNT : SL_OVERWRITE_NOT;
    sl_stmt *stmt = ready(w, &bound->stmts[use], bound);
    if (stmt)
        return stmt;
    sl_statement_insert(&w->sql, bound, bulk, overwrite);
    for (int i = 0; i < bound->n_fields; i++)
        w->types[i] = bulk ? bound->fields[i].array : bound->fields[i].param;
    stmt = prepare(w, &bound->stmts[use], bound, bound->n_fields, tag);
    stmt->upsert = sl_statement_counts(bound, overwrite);
    return stmt;
}

static sl_stmt *update_stmt(sl_writer *w, sl_bound *bound, sl_colset *set, bool bulk, uint32_t tag)
{
    sl_stmt **place = bulk ? &set->bulk : &set->row;
    sl_stmt *stmt = ready(w, place, bound);
    if (stmt)
        return stmt;
    sl_statement_update(&w->sql, bound, set, bulk);
    for (int i = 0; i < set->n; i++) {
        const sl_field *f = &bound->fields[set->fields[i]];
        w->types[i] = bulk ? f->array : f->param;
    }
    return prepare(w, place, bound, match_types(w, bound, set->n, bulk), tag);
}

static sl_stmt *delete_stmt(sl_writer *w, sl_bound *bound, bool bulk, uint32_t tag)
{
    sl_stmt **place = &bound->stmts[bulk ? SL_STMT_DELETE_BULK : SL_STMT_DELETE_ROW];
    sl_stmt *stmt = ready(w, place, bound);
    if (stmt)
        return stmt;
    sl_statement_delete(&w->sql, bound, bulk);
    return prepare(w, place, bound, match_types(w, bound, 0, bulk), tag);
}

static bool proceeds(const sl_writer *w)
{
    return w->run->spec->conflict == SL_CONFLICT_PROCEED;
}

static sl_expect expect_rows(const sl_bound *bound, const sl_stmt *stmt, int64_t count,
                             bool missing_ok, uint32_t tag)
{
    return (sl_expect){
        .kind = stmt->upsert ? SL_EXPECT_UPSERT : SL_EXPECT_COUNT,
        .tag = tag,
        .count = count,
        .missing_ok = missing_ok,
        .bound = (sl_bound *)(uintptr_t)bound,
    };
}

/* ---- one row per statement ---- */

static void set_value(sl_writer *w, int n, const uint8_t *v)
{
    bool null = sl_value_null(v) || !sl_value_sent(v);
    w->values[n] = null ? NULL : (const char *)sl_value_data(v);
    w->lengths[n] = (int)sl_value_len(v);
}

/* The old row's values that rows are matched by, from parameter n on. */
static void set_match(sl_writer *w, const sl_bound *bound, const sl_change *change, int n)
{
    const uint32_t *off = sl_key_offsets(change);
    int count = bound->whole_row ? bound->n_fields : bound->n_key;
    for (int i = 0; i < count; i++) {
        const sl_field *f = &bound->fields[bound->whole_row ? i : bound->key[i]];
        set_value(w, n + i, change->data + off[f->column]);
    }
}

static void insert_row(sl_writer *w, sl_bound *bound, const uint8_t *const *values, sl_stmt_use use,
                       uint32_t tag)
{
    sl_stmt *stmt = insert_stmt(w, bound, use, tag);
    for (int i = 0; i < bound->n_fields; i++)
        set_value(w, i, values[bound->fields[i].column]);
    sl_expect e = expect_rows(bound, stmt, 1, false, tag);
    sl_session_run(w->session, stmt, w->values, w->lengths, &e);
    bound->inserted++;
}

static void update_row(sl_writer *w, sl_bound *bound, sl_colset *set, const sl_change *key,
                       const uint8_t *const *values, uint32_t tag)
{
    if (set->n == 0)
        return; /* only columns that the destination computes, or the unchanged key */
    sl_stmt *stmt = update_stmt(w, bound, set, false, tag);
    for (int i = 0; i < set->n; i++)
        set_value(w, i, values[bound->fields[set->fields[i]].column]);
    set_match(w, bound, key, set->n);
    sl_expect e = expect_rows(bound, stmt, 1, bound->tolerate_missing, tag);
    if (key->maybe)
        e.kind = SL_EXPECT_DONE;
    sl_session_run(w->session, stmt, w->values, w->lengths, &e);
}

static void delete_row(sl_writer *w, sl_bound *bound, const sl_change *change, int64_t expected,
                       uint32_t tag)
{
    sl_stmt *stmt = delete_stmt(w, bound, false, tag);
    set_match(w, bound, change, 0);
    sl_expect e = expect_rows(bound, stmt, expected, bound->tolerate_missing || proceeds(w), tag);
    if (change->maybe)
        e.kind = SL_EXPECT_DONE;
    sl_session_run(w->session, stmt, w->values, w->lengths, &e);
}

/* A key column that the destination generates ALWAYS cannot be SET. */
static bool key_is_settable(const sl_bound *bound)
{
    for (int i = 0; i < bound->n_key; i++)
        if (!bound->fields[bound->key[i]].settable)
            return false;
    return true;
}

static void update_change(sl_writer *w, sl_bound *bound, const sl_change *change, uint32_t tag)
{
    bool partial, new_key = sl_key_changes(bound, change);
    const uint8_t **values = sl_change_values(bound, change, &w->arena, &partial);
    if (new_key && !key_is_settable(bound)) {
        if (partial || bound->enforced) {
            sl_session_refuse(
                w->session, tag,
                "a key that is GENERATED ALWAYS AS IDENTITY in the destination changed",
                "Make it GENERATED BY DEFAULT in the destination: ALTER TABLE … ALTER "
                "COLUMN … SET GENERATED BY DEFAULT.");
            return;
        }
        delete_row(w, bound, change, 1, tag);
        insert_row(w, bound, values, SL_STMT_INSERT_ROW, tag);
        return;
    }
    sl_colset *set = sl_bound_colset(w->binder, bound, values, new_key || bound->whole_row);
    update_row(w, bound, set, change, values, tag);
}

/* An UPDATE whose row may not be there. */
static void put_change(sl_writer *w, sl_bound *bound, const sl_change *change, uint32_t tag)
{
    bool partial, new_key = sl_key_changes(bound, change);
    const uint8_t **values = sl_change_values(bound, change, &w->arena, &partial);
    if (bound->can_put && !new_key) {
        insert_row(w, bound, values, SL_STMT_PUT_ROW, tag);
        return;
    }
    if (new_key && !key_is_settable(bound)) {
        delete_row(w, bound, change, 1, tag);
        insert_row(w, bound, values, SL_STMT_INSERT_ROW, tag);
        return;
    }
    sl_stmt *stmt = ready(w, &bound->stmts[SL_STMT_MOVE], bound);
    if (!stmt) {
        sl_statement_move(&w->sql, bound);
        for (int i = 0; i < bound->n_fields; i++)
            w->types[i] = bound->fields[i].param;
        stmt = prepare(w, &bound->stmts[SL_STMT_MOVE], bound,
                       match_types(w, bound, bound->n_fields, false), tag);
    }
    for (int i = 0; i < bound->n_fields; i++)
        set_value(w, i, values[bound->fields[i].column]);
    set_match(w, bound, change, bound->n_fields);
    sl_expect e = { .kind = SL_EXPECT_DONE, .tag = tag, .bound = bound };
    sl_session_run(w->session, stmt, w->values, w->lengths, &e);
}

/* Servers before 10.20, 11.15, 12.10, 13.6 and 14.2 do not log a key's value that is stored out of
 * line (TOAST) and that an UPDATE leaves as it is. */
static bool key_is_sent(const sl_bound *bound, const sl_change *change)
{
    const uint32_t *off = sl_key_offsets(change);
    for (int i = 0; i < bound->n_key; i++)
        if (!sl_value_sent(change->data + off[bound->fields[bound->key[i]].column]))
            return false;
    return true;
}

void sl_write_change(sl_writer *w, sl_bound *bound, const sl_change *change, uint32_t tag)
{
    bool partial;
    sl_arena_reset(&w->arena);
    if (change->op == SL_CHANGE_INSERT) {
        insert_row(w, bound, sl_change_values(bound, change, &w->arena, &partial),
                   SL_STMT_INSERT_ROW, tag);
        return;
    }
    if (bound->n_key == 0 && !bound->whole_row) {
        sl_session_refuse(w->session, tag, "the table has no row identity on the source",
                          "Give it a primary key, or REPLICA IDENTITY FULL.");
        return;
    }
    if (!key_is_sent(bound, change))
        sl_session_refuse(
            w->session, tag,
            "the source did not log which row it is about: the key has a value of some kilobytes "
            "that is stored out of line, and this PostgreSQL version leaves it out",
            "Leave the change out, then resynchronize the table (pgsluice resync). To have such "
            "rows' keys logged from now on, on the source: ALTER TABLE … REPLICA IDENTITY FULL.");
    else if (change->op == SL_CHANGE_UPDATE && change->maybe && !change->gone)
        put_change(w, bound, change, tag);
    else if (change->op == SL_CHANGE_UPDATE)
        update_change(w, bound, change, tag);
    else
        delete_row(w, bound, change, 1, tag);
}

bool sl_write_upsert(sl_writer *w, sl_bound *bound, const sl_change *change, uint32_t tag)
{
    bool partial;
    sl_arena_reset(&w->arena);
    const uint8_t **values = sl_change_values(bound, change, &w->arena, &partial);
    if (partial)
        return false;
    insert_row(w, bound, values, SL_STMT_UPSERT_ROW, tag);
    return true;
}

/* TRUNCATE refuses a table that one left out refers to; its rows are there by a newer copy and must
 * stay. In the replica role DELETE neither checks nor cascades. */
static void delete_all(sl_writer *w, sl_bound *const *bounds, int n, const sl_expect *e)
{
    for (int i = 0; i < n; i++) {
        if (!bounds[i])
            continue;
        const sl_target *target = bounds[i]->target;
        sl_buf_clear(&w->sql);
        sl_buf_printf(&w->sql, "DELETE FROM %s%s", target->only, target->sql);
        sl_session_send(w->session, sl_buf_str(&w->sql), e);
    }
}

void sl_write_truncate(sl_writer *w, sl_bound *const *bounds, int n, const sl_change *change,
                       uint32_t tag)
{
    sl_expect e = { .kind = SL_EXPECT_DONE, .tag = tag };
    int written = 0;
    bool enforced = false;
    for (int i = 0; i < n; i++)
        enforced |= bounds[i] && bounds[i]->enforced;
    if (change->options & SL_TRUNCATE_PARTIAL && !enforced) {
        delete_all(w, bounds, n, &e);
        return;
    }
    sl_buf_clear(&w->sql);
    for (int i = 0; i < n; i++) {
        if (!bounds[i])
            continue;
        const sl_target *target = bounds[i]->target;
        sl_buf_printf(&w->sql, "%s%s%s", written++ ? ", " : "TRUNCATE ", target->only, target->sql);
    }
    if (written == 0)
        return;
    if (change->options & SL_TRUNCATE_RESTART)
        sl_buf_puts(&w->sql, " RESTART IDENTITY");
    sl_session_send(w->session, sl_buf_str(&w->sql), &e);
}

/* ---- many rows per statement ---- */

static void begin_array(sl_buf *b, uint32_t element)
{
    sl_buf_clear(b);
    sl_buf_put32(b, 1); /* dimensions */
    sl_buf_put32(b, 0); /* has NULLs: set with the first one */
    sl_buf_put32(b, element);
    sl_buf_put32(b, 0); /* length: set at the end */
    sl_buf_put32(b, 1); /* lower bound */
}

/* Length and bytes, or length -1. Returns the bytes that were added. */
static inline size_t put_value(sl_buf *b, const uint8_t *v, bool *null)
{
    size_t n = 4;
    if (sl_value_null(v) || !sl_value_sent(v)) {
        sl_buf_put32(b, UINT32_MAX);
        *null = true;
        return n;
    }
    n += sl_value_len(v);
    if (b->cap - b->len <= n)
        sl_buf_reserve(b, n);
    memcpy(b->data + b->len, v + 1, n);
    b->len += n;
    return n;
}

static void put_element(sl_writer *w, int param, const uint8_t *v, size_t *bytes)
{
    bool null = false;
    *bytes += put_value(&w->params[param], v, &null);
    if (null)
        sl_put32(w->params[param].data + 4, 1);
}

/* What a bulk statement over w->rows is made of. */
typedef struct bulk {
    sl_bound *bound;
    sl_stmt *stmt;
    const uint16_t *set; /* fields that are written */
    int n_set;
    bool match; /* then the key */
    bool missing_ok;
    int64_t per_row; /* rows affected by each; -1: any number */
} bulk;

static int bulk_field(const bulk *b, int i)
{
    return i < b->n_set ? b->set[i] : b->bound->key[i - b->n_set];
}

static void send_chunk(sl_writer *w, const bulk *b, uint32_t from, uint32_t to)
{
    int n = b->n_set + (b->match ? b->bound->n_key : 0);
    for (int i = 0; i < n; i++) {
        sl_put32(w->params[i].data + 12, to - from);
        w->values[i] = w->params[i].data;
        w->lengths[i] = (int)w->params[i].len;
    }
    sl_expect e =
        expect_rows(b->bound, b->stmt, (int64_t)(to - from) * b->per_row, b->missing_ok, 0);
    if (b->per_row < 0)
        e.kind = SL_EXPECT_DONE;
    sl_session_run(w->session, b->stmt, w->values, w->lengths, &e);
}

static void send_bulk(sl_writer *w, const bulk *b)
{
    int n = b->n_set + (b->match ? b->bound->n_key : 0);
    for (uint32_t from = 0, at = 0; from < w->n_rows; from = at) {
        size_t bytes = 0;
        for (int i = 0; i < n; i++)
            begin_array(&w->params[i], b->bound->fields[bulk_field(b, i)].element);
        for (; at < w->n_rows && at - from < CHUNK_ROWS && bytes < CHUNK_BYTES; at++) {
            const sl_row *row = w->rows[at].row;
            for (int i = 0; i < b->n_set; i++)
                put_element(w, i, sl_row_value(row, b->bound->fields[b->set[i]].column), &bytes);
            for (int i = b->n_set; i < n; i++)
                put_element(w, i, sl_row_key(row, &b->bound->fields[bulk_field(b, i)]), &bytes);
        }
        send_chunk(w, b, from, at);
    }
}

/* ---- order ---- */

static uint64_t int_prefix(const uint8_t *data, uint32_t len, bool text)
{
    int64_t v = 0;
    if (text) {
        char digits[24] = { 0 };
        memcpy(digits, data, len < sizeof(digits) ? len : sizeof(digits) - 1);
        v = strtoll(digits, NULL, 10);
    } else if (len == 2) {
        v = (int16_t)sl_get16(data);
    } else if (len == 4) {
        v = (int32_t)sl_get32(data);
    } else if (len == 8) {
        v = (int64_t)sl_get64(data);
    }
    return (uint64_t)v ^ (UINT64_C(1) << 63);
}

static uint64_t key_prefix(const sl_row *row)
{
    const sl_field *f = &row->bound->fields[row->bound->key[0]];
    const uint8_t *v = sl_row_key(row, f), *data = sl_value_data(v);
    uint32_t len = sl_value_len(v);
    if (f->sort != SL_SORT_BYTES)
        return int_prefix(data, len, f->sort == SL_SORT_INT_TEXT);
    uint8_t first[8] = { 0 };
    memcpy(first, data, len < 8 ? len : 8);
    return sl_get64(first);
}

static int compare_prefix(const void *a, const void *b)
{
    uint64_t x = ((const sorted *)a)->prefix, y = ((const sorted *)b)->prefix;
    return (x > y) - (x < y);
}

static void sort_rows(sl_writer *w)
{
    bool sorted_already = true;
    for (uint32_t i = 0; i < w->n_rows; i++) {
        w->rows[i].prefix = key_prefix(w->rows[i].row);
        sorted_already &= i == 0 || w->rows[i - 1].prefix <= w->rows[i].prefix;
    }
    if (!sorted_already)
        qsort(w->rows, w->n_rows, sizeof(*w->rows), compare_prefix);
}

/* The group's rows in one of two states (with that set of columns, if it is given). */
static void gather(sl_writer *w, const sl_group *group, sl_row_state a, sl_row_state b,
                   const sl_colset *set)
{
    if (group->n_rows > w->cap_rows) {
        w->cap_rows = group->n_rows * 2;
        free(w->rows);
        w->rows = sl_xmalloc(w->cap_rows * sizeof(*w->rows));
    }
    w->n_rows = 0;
    for (sl_row *row = group->head; row; row = row->next)
        if ((row->state == a || row->state == b) && (!set || row->set == set))
            w->rows[w->n_rows++].row = row;
}

/* ---- the phases of a group ---- */

static bool key_is_flat(const sl_bound *bound)
{
    for (int i = 0; i < bound->n_key; i++)
        if (!bound->fields[bound->key[i]].array)
            return false;
    return true;
}

/* The row is known by its first change; whether it must be there is said by any of them. */
static void delete_known(sl_writer *w, sl_bound *bound, const sl_row *row, int64_t expected)
{
    sl_change change = *row->first;
    change.maybe = expected > 0 && (row->first->maybe || row->last->maybe);
    delete_row(w, bound, &change, expected, 0);
}

static bool any_maybe(const sl_writer *w)
{
    for (uint32_t i = 0; i < w->n_rows; i++)
        if (w->rows[i].row->first->maybe || w->rows[i].row->last->maybe)
            return true;
    return false;
}

static void write_deletes(sl_writer *w, sl_group *group, bool phantoms)
{
    sl_bound *bound = group->bound;
    sl_row_state a = phantoms ? SL_ROW_PHANTOM : SL_ROW_DELETE;
    if (group->n[a] + (phantoms ? 0 : group->n[SL_ROW_REPLACE]) == 0)
        return;
    gather(w, group, a, phantoms ? SL_ROW_PHANTOM : SL_ROW_REPLACE, NULL);
    if (w->n_rows < BULK_MIN || !key_is_flat(bound)) {
        for (uint32_t i = 0; i < w->n_rows; i++)
            delete_known(w, bound, w->rows[i].row, !phantoms);
        return;
    }
    sort_rows(w);
    bulk b = { .bound = bound,
               .stmt = delete_stmt(w, bound, true, 0),
               .match = true,
               .missing_ok = bound->tolerate_missing || proceeds(w),
               .per_row = phantoms       ? 0
                          : any_maybe(w) ? -1
                                         : 1 };
    send_bulk(w, &b);
}

static const uint8_t **row_values(sl_writer *w, const sl_row *row)
{
    uint16_t n = row->bound->rel->n_columns;
    const uint8_t **values = sl_arena_alloc(&w->arena, (n ? n : 1u) * sizeof(*values));
    for (uint16_t i = 0; i < n; i++)
        values[i] = sl_row_value(row, i);
    return values;
}

static void update_set(sl_writer *w, sl_group *group, sl_colset *set)
{
    sl_bound *bound = group->bound;
    bool flat = key_is_flat(bound);
    if (set->n == 0)
        return;
    gather(w, group, SL_ROW_UPDATE, SL_ROW_UPDATE, set);
    for (int i = 0; i < set->n; i++)
        flat &= bound->fields[set->fields[i]].array != 0;
    if (w->n_rows < BULK_MIN || !flat) {
        for (uint32_t i = 0; i < w->n_rows; i++) {
            sl_arena_reset(&w->arena);
            const sl_row *row = w->rows[i].row;
            update_row(w, bound, set, row->first, row_values(w, row), 0);
        }
        return;
    }
    sort_rows(w);
    bulk b = { .bound = bound,
               .stmt = update_stmt(w, bound, set, true, 0),
               .set = set->fields,
               .n_set = set->n,
               .match = true,
               .missing_ok = bound->tolerate_missing,
               .per_row = 1 };
    send_bulk(w, &b);
}

static void write_updates(sl_writer *w, sl_group *group)
{
    if (group->n[SL_ROW_UPDATE] == 0)
        return;
    sl_colset *all = sl_bound_colset(w->binder, group->bound, NULL, false);
    for (sl_row *row = group->head; row; row = row->next) {
        if (row->state != SL_ROW_UPDATE)
            continue;
        row->set = all;
        if (row->partial) {
            sl_arena_reset(&w->arena);
            row->set = sl_bound_colset(w->binder, group->bound, row_values(w, row), false);
        }
    }
    for (sl_colset *set = group->bound->colsets; set; set = set->next)
        update_set(w, group, set);
}

static uint32_t new_rows(const sl_group *group)
{
    return group->n[SL_ROW_INSERT] + group->n[SL_ROW_REPLACE];
}

/* COPY takes the values as they came: in binary where the types are the same, or all as text. */
static bool can_copy(const sl_writer *w, const sl_group *group)
{
    const sl_bound *bound = group->bound;
    return !bound->upsert && bound->n_fields > 0 && (!w->binary || bound->copy_binary) &&
           new_rows(group) >= (bound->flat ? COPY_MIN : BULK_MIN);
}

bool sl_write_is_copy(const sl_writer *w, const sl_group *group)
{
    return group->n_rows == new_rows(group) && group->n[SL_ROW_REPLACE] == 0 && can_copy(w, group);
}

/* COPY's text form: backslash, and what ends a field or a line, escaped. */
static void put_text(sl_buf *b, const uint8_t *v)
{
    static const char escapes[256] = { ['\\'] = '\\', ['\t'] = 't', ['\n'] = 'n', ['\r'] = 'r' };
    if (sl_value_null(v) || !sl_value_sent(v)) {
        sl_buf_add(b, "\\N", 2);
        return;
    }
    uint32_t n = sl_value_len(v);
    const uint8_t *p = sl_value_data(v);
    sl_buf_reserve(b, 2 * (size_t)n);
    char *out = b->data + b->len;
    for (uint32_t i = 0; i < n; i++) {
        char escape = escapes[p[i]];
        if (escape)
            *out++ = '\\';
        *out++ = escape ? escape : (char)p[i];
    }
    b->len = (size_t)(out - b->data);
}

static void put_copy_row(sl_writer *w, const sl_bound *bound, const sl_row *row)
{
    bool null;
    if (w->binary)
        sl_buf_put16(&w->copy, bound->n_fields);
    for (int i = 0; i < bound->n_fields; i++) {
        const uint8_t *v = sl_row_value(row, bound->fields[i].column);
        if (w->binary) {
            put_value(&w->copy, v, &null);
            continue;
        }
        if (i)
            sl_buf_putc(&w->copy, '\t');
        put_text(&w->copy, v);
    }
    if (!w->binary)
        sl_buf_putc(&w->copy, '\n');
}

static void copy_rows(sl_writer *w, sl_bound *bound)
{
    static const char signature[19] = "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0";
    sl_buf_clear(&w->sql);
    sl_statement_copy(&w->sql, bound, w->binary);
    sl_session_copy_begin(w->session, sl_buf_str(&w->sql), 0);
    sl_buf_clear(&w->copy);
    if (w->binary)
        sl_buf_add(&w->copy, signature, sizeof(signature));
    for (uint32_t i = 0; i < w->n_rows; i++) {
        put_copy_row(w, bound, w->rows[i].row);
        if (w->copy.len >= COPY_CHUNK) {
            sl_session_copy_data(w->session, w->copy.data, w->copy.len);
            sl_buf_clear(&w->copy);
        }
    }
    if (w->binary)
        sl_buf_put16(&w->copy, UINT16_MAX);
    sl_session_copy_data(w->session, w->copy.data, w->copy.len);
    sl_session_copy_end(w->session, w->n_rows);
}

/* w->rows, one statement for many where that is possible. */
static void insert_rows(sl_writer *w, sl_bound *bound, sl_stmt_use bulk_use, sl_stmt_use row_use)
{
    if (w->n_rows < BULK_MIN || !bound->flat) {
        for (uint32_t i = 0; i < w->n_rows; i++) {
            sl_arena_reset(&w->arena);
            insert_row(w, bound, row_values(w, w->rows[i].row), row_use, 0);
        }
        return;
    }
    uint16_t all[SL_MAX_COLUMNS];
    for (uint16_t i = 0; i < bound->n_fields; i++)
        all[i] = i;
    bulk b = { .bound = bound,
               .stmt = insert_stmt(w, bound, bulk_use, 0),
               .set = all,
               .n_set = bound->n_fields,
               .per_row = 1 };
    send_bulk(w, &b);
    bound->inserted += w->n_rows;
}

static void write_puts(sl_writer *w, sl_group *group)
{
    if (group->n[SL_ROW_PUT] == 0)
        return;
    gather(w, group, SL_ROW_PUT, SL_ROW_PUT, NULL);
    sort_rows(w);
    insert_rows(w, group->bound, SL_STMT_PUT_BULK, SL_STMT_PUT_ROW);
}

static void write_inserts(sl_writer *w, sl_group *group)
{
    sl_bound *bound = group->bound;
    if (new_rows(group) == 0)
        return;
    gather(w, group, SL_ROW_INSERT, SL_ROW_REPLACE, NULL);
    if (!can_copy(w, group)) {
        insert_rows(w, bound, SL_STMT_INSERT_BULK, SL_STMT_INSERT_ROW);
        return;
    }
    copy_rows(w, bound);
    bound->inserted += w->n_rows;
}

void sl_write_group(sl_writer *w, sl_group *group)
{
    sl_arena_reset(&w->arena);
    write_deletes(w, group, false);
    write_deletes(w, group, true);
    write_updates(w, group);
    write_puts(w, group);
    write_inserts(w, group);
    sl_group_clear(group);
}
