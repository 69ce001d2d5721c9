/* bind.c: matches a relation's columns, by name, with the route's and the destination's.
 *
 * A column that the route does not know was added on the source after the route was read, or
 * dropped before: it is written where the destination has it, left out where the user excluded it
 * or the source has it no more, and else an error. Nothing is dropped silently.
 *
 * In a text stream every parameter is text, cast in the statement to the destination's type without
 * a typmod (a cast with one would cut values silently). In a binary stream built-in scalars keep
 * their own type, and the server assigns them; enums travel as their label. */
#include "stream/bind.h"

#include <stdlib.h>
#include <string.h>
#include "spec/columns.h"
#include "spec/names.h"
#include "stream/renamed.h"

struct sl_binder {
    sl_run *run;
    sl_pg *destination, *source;
    sl_targets *targets;
    sl_arena arena; /* bounds: as many as there are versions of relations */
    bool binary, enforced, needs_text;
};

sl_binder *sl_binder_new(sl_run *run, sl_pg *destination, bool binary, bool enforced)
{
    sl_binder *b = sl_xcalloc(1, sizeof(*b));
    b->run = run;
    b->destination = destination;
    b->binary = binary;
    b->enforced = enforced;
    return b;
}

void sl_binder_free(sl_binder *b)
{
    if (!b)
        return;
    sl_pg_close(b->source);
    sl_targets_free(b->targets);
    sl_arena_free(&b->arena);
    free(b);
}

bool sl_binder_needs_text(const sl_binder *b)
{
    return b->needs_text;
}

sl_rc sl_binder_load(sl_binder *b, sl_error *err)
{
    return sl_targets_load(b->run->routes, b->destination, &b->targets, err);
}

/* ---- which destination column ---- */

static const sl_column *route_column(const sl_route *route, const char *name)
{
    for (size_t i = 0; i < route->n_columns; i++)
        if (strcmp(route->columns[i].name, name) == 0)
            return &route->columns[i];
    return NULL;
}

static sl_rc connect_source(sl_binder *b, sl_error *err)
{
    if (b->source)
        return SL_OK;
    return sl_run_connect(b->run, SL_SOURCE, "source catalog", 0, &b->source, err);
}

/* Does the source's table have that column now? */
static sl_rc source_has(sl_binder *b, const sl_relation *rel, const char *column, bool *has,
                        sl_error *err)
{
    SL_SCRATCH(tmp);
    SL_RESULT(res);
    if (connect_source(b, err) != SL_OK)
        return err->code;
    const char *sql = sl_sql(&tmp,
                             "SELECT 1 FROM pg_catalog.pg_attribute WHERE attrelid = %u"
                             " AND attname = %L AND NOT attisdropped",
                             rel->oid, column);
    if (sl_pg_query(b->source, sql, &res, err) != SL_OK)
        return sl_while(err, "reading the source's columns");
    *has = PQntuples(res) > 0;
    return SL_OK;
}

static sl_rc missing_column(const sl_bound *bound, const char *column, const char *dst_name,
                            bool added, sl_error *err)
{
    SL_SCRATCH(tmp);
    const sl_route *route = bound->route;
    sl_fail(err, SL_FAILED, "table %s has %scolumn %s, which the destination's table %s.%s has not",
            bound->label, added ? "the new " : "the ", column, route->dst_schema, route->dst_table);
    return sl_hint(err,
                   "%s Add it to the destination's table (ALTER TABLE %s ADD COLUMN %s …) or "
                   "exclude it in the specification, then run again.",
                   added ? "A column was added or renamed on the source."
                         : "The destination's table was changed.",
                   bound->target->sql, sl_sql(&tmp, "%I", dst_name));
}

/* The destination column for a column of the relation; *column is -1 where it is not written. */
static sl_rc find_target(sl_binder *b, sl_bound *bound, const char *name, int *column,
                         sl_error *err)
{
    const sl_route *route = bound->route;
    const sl_column *known = route_column(route, name);
    *column = -1;
    if (!known && !sl_column_selected(route->spec, name))
        return SL_OK;
    const char *dst_name = known ? known->dst_name
                                 : sl_names_column(b->run->spec, route->spec, route->src_schema,
                                                   route->src_table, name, &b->arena);
    *column = sl_target_column_index(bound->target, dst_name);
    if (*column < 0 && !known) {
        bool has = false;
        if (source_has(b, bound->rel, name, &has, err) != SL_OK)
            return err->code;
        if (!has)
            return SL_OK; /* dropped since: what it held matters to nobody */
    }
    if (*column >= 0)
        return SL_OK;
    if (known && (known->generated || b->run->spec->conflict == SL_CONFLICT_PROCEED))
        return SL_OK; /* only the common columns */
    return missing_column(bound, name, dst_name, !known, err);
}

/* ---- how it is written ---- */

static bool is_int(uint32_t type)
{
    return type == SL_OID_INT2 || type == SL_OID_INT4 || type == SL_OID_INT8;
}

/* What we know of the type of the values on the wire. */
static sl_type wire_type(const sl_route *route, const sl_rel_column *column)
{
    const sl_column *known = route_column(route, column->name);
    if (known && known->type.oid == column->type)
        return known->type;
    return (sl_type){ .oid = column->type, .base = column->type, .kind = 'b' };
}

static sl_rc fill_binary(sl_binder *b, sl_field *f, const sl_type *type, const char *what,
                         sl_error *err)
{
    if (type->kind == 'e') {
        f->param = f->element = SL_OID_TEXT;
        f->array = SL_OID_TEXT_ARRAY;
        f->copy_binary = f->target->kind == 'e';
        return SL_OK;
    }
    if (!sl_type_binary_proven(type)) {
        b->needs_text = true;
        return sl_fail(err, SL_TRANSIENT, "%s got a type (OID %u) that is read as text", what,
                       type->base);
    }
    f->param = f->element = type->base;
    f->array = type->element ? 0 : sl_type_array_of(type->base);
    f->copy_binary = f->target->base == type->base;
    if (f->copy_binary)
        f->cast = "";
    f->sort = is_int(type->base) ? SL_SORT_INT_BINARY : SL_SORT_BYTES;
    return SL_OK;
}

static sl_rc fill_field(sl_binder *b, sl_bound *bound, sl_field *f, int column, sl_error *err)
{
    const sl_rel_column *source = &bound->rel->columns[f->column];
    const sl_target_column *t = &bound->target->columns[column];
    sl_type type = wire_type(bound->route, source);
    f->target = t;
    f->name = sl_sql(&b->arena, "%I", t->name);
    f->cast = sl_arena_printf(&b->arena, "::%s", t->type);
    f->exact = sl_arena_printf(&b->arena, "::%s", t->declared);
    f->equals = t->equals;
    f->settable = t->identity != 'a';
    if (b->binary && !source->text) {
        const char *what =
            sl_arena_printf(&b->arena, "column %s of %s", source->name, bound->label);
        return fill_binary(b, f, &type, what, err);
    }
    f->param = f->element = SL_OID_TEXT;
    f->array = SL_OID_TEXT_ARRAY;
    if (t->base == SL_OID_TEXT)
        f->cast = "";
    f->sort = is_int(t->base) ? SL_SORT_INT_TEXT : SL_SORT_BYTES;
    return SL_OK;
}

static sl_rc fill_fields(sl_binder *b, sl_bound *bound, sl_error *err)
{
    const sl_relation *rel = bound->rel;
    bound->fields = SL_NEW_ARRAY(&b->arena, sl_field, rel->n_columns);
    bound->flat = bound->copy_binary = true;
    for (uint16_t i = 0; i < rel->n_columns; i++) {
        int column;
        if (find_target(b, bound, rel->columns[i].name, &column, err) != SL_OK)
            return err->code;
        if (column < 0 || bound->target->columns[column].generated)
            continue;
        sl_field *f = &bound->fields[bound->n_fields++];
        f->column = i;
        if (fill_field(b, bound, f, column, err) != SL_OK)
            return err->code;
        bound->flat &= f->array != 0;
        bound->copy_binary &= f->copy_binary;
    }
    bound->flat &= bound->n_fields > 0;
    return SL_OK;
}

/* ---- the key ---- */

/* Is this column part of what rows are matched by? A replica identity of key columns flags them in
 * the relation itself, which also follows a change of the identity; a whole-row identity uses the
 * route's key, if it has one. */
static bool in_key(const sl_bound *bound, const sl_rel_column *column)
{
    if (bound->rel->identity != 'f')
        return column->key;
    const sl_route *route = bound->route;
    for (size_t i = 0; i < route->n_key; i++)
        if (strcmp(route->columns[route->key[i]].name, column->name) == 0)
            return true;
    return false;
}

static sl_rc fill_key(sl_binder *b, sl_bound *bound, sl_error *err)
{
    const sl_relation *rel = bound->rel;
    int columns[SL_MAX_COLUMNS];
    int wanted = 0;
    bound->key = SL_NEW_ARRAY(&b->arena, uint16_t, rel->n_columns);
    for (uint16_t i = 0; i < rel->n_columns; i++)
        wanted += in_key(bound, &rel->columns[i]);
    for (uint16_t i = 0; i < bound->n_fields; i++) {
        sl_field *f = &bound->fields[i];
        if (!in_key(bound, &rel->columns[f->column]))
            continue;
        f->key = true;
        columns[bound->n_key] = (int)(f->target - bound->target->columns);
        bound->key[bound->n_key++] = i;
    }
    if (bound->n_key != wanted) {
        sl_fail(err, SL_FAILED, "a key column of table %s is not written to the destination",
                bound->label);
        return sl_hint(err, "Select all columns of its replica identity.");
    }
    const char *merged = bound->route->merge_column;
    bound->key_index =
        sl_target_find_index(bound->target, columns, bound->n_key,
                             merged ? sl_target_column_index(bound->target, merged) : -1);
    for (int i = 0; bound->key_index && i < bound->n_key; i++)
        for (int k = 0; k < bound->key_index->n; k++)
            if (bound->key_index->columns[k] == columns[i])
                bound->fields[bound->key[i]].equals = bound->key_index->equals[k];
    bound->whole_row = rel->identity == 'f' && bound->n_key == 0;
    return SL_OK;
}

/* What makes rows appear under a key, and what takes them from it. */
enum {
    ROWS_COME = SL_OP_INSERT | SL_OP_UPDATE,
    KEYS_MOVE = SL_OP_UPDATE | SL_OP_DELETE | SL_OP_TRUNCATE,
};

static void fill_policy(sl_binder *b, sl_bound *bound)
{
    const sl_route *route = bound->route;
    bool proceed = b->run->spec->conflict == SL_CONFLICT_PROCEED;
    bool deferrable = route->key_deferrable || (bound->key_index && bound->key_index->deferrable);
    bound->ordered = bound->n_key == 0 || deferrable || bound->target->fires;
    /* Where not all operations are carried over, a table lacks rows that later changes speak of
     * (their INSERT, or the UPDATE that gave them their key) and keeps others, whose keys come
     * again: the user chose so. */
    bool keeps_rows = (route->operations & KEYS_MOVE) != KEYS_MOVE;
    bound->can_put = bound->key_index && !deferrable;
    bound->upsert = (proceed || keeps_rows) && bound->can_put;
    bound->tolerate_missing =
        (route->operations & ROWS_COME) != ROWS_COME || (route->cascades_in && b->enforced);
    bound->enforced = b->enforced;
}

static sl_rc replaced(const sl_bound *bound, sl_error *err)
{
    sl_fail(err, SL_FAILED,
            "table %s was dropped and created again on the source, or another one has its name "
            "now; what the destination has is the old one's",
            bound->label);
    return sl_hint(err, "A resync takes the new one's rows.");
}

/* Is the column as the route says? */
static bool expected(const sl_route *route, const sl_rel_column *column)
{
    const sl_column *known = route_column(route, column->name);
    return known && known->type.oid == column->type;
}

/* The definitions have changed: the destination's too, perhaps, since it was read. */
static sl_rc catch_up(sl_binder *b, const sl_relation *rel, sl_error *err)
{
    uint16_t i = 0;
    while (i < rel->n_columns && expected(rel->route, &rel->columns[i]))
        i++;
    if (i < rel->n_columns &&
        sl_targets_reload(b->targets, rel->route, b->destination, err) != SL_OK)
        return err->code;
    if (sl_renamed_same(rel))
        return SL_OK;
    if (connect_source(b, err) != SL_OK)
        return err->code;
    return sl_renamed_check(b->run, b->source, rel, err);
}

sl_rc sl_bind(sl_binder *b, sl_relation *rel, sl_bound **out, sl_error *err)
{
    const sl_route *route = rel->route;
    sl_bound *bound = SL_NEW(&b->arena, sl_bound);
    *bound = (sl_bound){ .rel = rel, .route = route, .table = &b->run->tables[route->index] };
    bound->label = sl_route_label(route, &b->arena);
    if (rel->oid != route->oid)
        return replaced(bound, err);
    if (catch_up(b, rel, err) != SL_OK)
        return err->code;
    bound->target = &b->targets->items[route->index];
    if (!bound->target->relkind) {
        sl_fail(err, SL_FAILED, "table %s of the destination does not exist (for %s)",
                bound->target->sql, bound->label);
        return sl_hint(err, "Create it again, or remove it from the specification.");
    }
    if (fill_fields(b, bound, err) != SL_OK || fill_key(b, bound, err) != SL_OK)
        return err->code;
    fill_policy(b, bound);
    rel->bound = *out = bound;
    return SL_OK;
}

/* ---- sets of columns ---- */

static bool in_set(const sl_bound *bound, uint16_t field, const uint8_t *const *values,
                   bool with_key)
{
    const sl_field *f = &bound->fields[field];
    return (!f->key || with_key) && f->settable && (!values || sl_value_sent(values[f->column]));
}

static bool same_set(const sl_bound *bound, const sl_colset *set, const uint8_t *const *values,
                     bool with_key)
{
    uint16_t n = 0;
    for (uint16_t i = 0; i < bound->n_fields; i++) {
        if (!in_set(bound, i, values, with_key))
            continue;
        if (n == set->n || set->fields[n] != i)
            return false;
        n++;
    }
    return n == set->n;
}

sl_colset *sl_bound_colset(sl_binder *b, sl_bound *bound, const uint8_t *const *values,
                           bool with_key)
{
    for (sl_colset *set = bound->colsets; set; set = set->next)
        if (same_set(bound, set, values, with_key))
            return set;
    sl_colset *set =
        sl_arena_zalloc(&b->arena, sizeof(*set) + bound->n_fields * sizeof(set->fields[0]));
    for (uint16_t i = 0; i < bound->n_fields; i++)
        if (in_set(bound, i, values, with_key))
            set->fields[set->n++] = i;
    set->next = bound->colsets;
    bound->colsets = set;
    return set;
}
