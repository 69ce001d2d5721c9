/* finish.c: what comes after all rows and indexes: statistics, foreign keys, attachments,
 * sequences, and the tables' next state. Every step can be repeated.
 *
 * Foreign keys are added unvalidated, then validated (one object does both): those of different
 * tables side by side, those of one table one after the other, for they would wait for each other
 * anyway. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include "copy/internal.h"

/* Items that members take one after the other; an item is a list of things to do in order. */
typedef struct heap_of_work {
    sl_run *run;
    sl_schema *schema;
    sl_object **objects; /* foreign keys and the like, sorted by table */
    size_t *starts;      /* item i is objects[starts[i] … starts[i + 1]) */
    sl_table **tables;   /* or: tables to analyze */
    size_t n;
    _Atomic size_t next;
} heap_of_work;

static sl_rc do_item(heap_of_work *h, sl_pg *destination, size_t item, sl_error *err)
{
    sl_rc rc = SL_OK;
    if (h->tables)
        return sl_analyze(h->run, destination, h->tables[item], err);
    for (size_t i = h->starts[item]; i < h->starts[item + 1] && rc == SL_OK; i++)
        rc = sl_apply_object(h->run, h->schema, h->objects[i], destination, err);
    return rc;
}

static sl_rc take_items(sl_member *m, sl_error *err)
{
    heap_of_work *h = m->self;
    sl_rc rc = sl_member_destination(m, err);
    while (rc == SL_OK && !sl_stopping(m->stop)) {
        size_t item = atomic_fetch_add(&h->next, 1);
        if (item >= h->n)
            return SL_OK;
        rc = do_item(h, m->destination, item, err);
    }
    return rc == SL_OK ? sl_fail(err, SL_CANCELLED, "stopped") : rc;
}

static sl_rc share_out(heap_of_work *h, sl_error *err)
{
    if (h->n == 0)
        return SL_OK;
    sl_crew_work crew = { .work = take_items, .self = h };
    return sl_crew_run(h->run, sl_crew_size(h->run, h->n), &crew, err);
}

/* Tables without statistics: never analyzed in this run, nor as the server remembers. */
static sl_rc analyze_rest(sl_run *run, sl_pg *destination, sl_error *err)
{
    SL_SCRATCH(tmp);
    heap_of_work h = { .run = run };
    h.tables = SL_NEW_ARRAY(&tmp, sl_table *, run->routes->n);
    for (size_t i = 0; i < run->routes->n; i++) {
        SL_RESULT(res);
        sl_table *t = &run->tables[i];
        if (t->analyzed || t->route->relkind != 'r' || t->state < SL_TABLE_INDEXING)
            continue;
        if (sl_pg_query(destination,
                        sl_sql(&tmp,
                               "SELECT 1 FROM pg_catalog.pg_stat_all_tables WHERE relid ="
                               " pg_catalog.to_regclass(%L) AND last_analyze IS NULL",
                               sl_route_dst_sql(t->route, &tmp)),
                        &res, err) != SL_OK)
            return sl_while(err, "looking for tables without statistics");
        if (PQntuples(res) > 0)
            h.tables[h.n++] = t;
    }
    return share_out(&h, err);
}

static int by_table(const void *a, const void *b)
{
    const sl_object *x = *(sl_object *const *)a, *y = *(sl_object *const *)b;
    if (x->route != y->route)
        return x->route->index < y->route->index ? -1 : 1;
    return x < y ? -1 : 1; /* objects lie in their order */
}

static bool is_shared_out(const sl_object *o)
{
    return o->phase == SL_PHASE_POST && o->validate_sql && o->route;
}

static bool is_not_shared_out(const sl_object *o)
{
    return !is_shared_out(o);
}

/* The last phase: what is not shared out comes first, in order; foreign keys need every key there.
 */
static sl_rc apply_post(sl_run *run, sl_schema *schema, sl_pg *destination, sl_error *err)
{
    SL_SCRATCH(tmp);
    heap_of_work h = { .run = run, .schema = schema };
    h.objects = SL_NEW_ARRAY(&tmp, sl_object *, schema->n);
    h.starts = SL_NEW_ARRAY(&tmp, size_t, schema->n + 1);
    size_t n = 0;
    if (sl_schema_apply_where(run, schema, SL_PHASE_POST, is_not_shared_out, destination, err) !=
        SL_OK)
        return err->code;
    for (size_t i = 0; i < schema->n; i++)
        if (is_shared_out(&schema->objects[i]))
            h.objects[n++] = &schema->objects[i];
    qsort(h.objects, n, sizeof(*h.objects), by_table);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || h.objects[i]->route != h.objects[i - 1]->route)
            h.starts[h.n++] = i;
    h.starts[h.n] = n;
    return share_out(&h, err);
}

/* One durable transaction: with it everything that was committed before it is on disk too. */
static sl_rc store_states(sl_run *run, sl_pg *destination, sl_error *err)
{
    bool stream = run->spec->stages & SL_STAGE_INCREMENTAL;
    bool wrote = false; /* without a stream nothing changes: one write makes the commit durable */
    sl_error ignored = SL_ERROR_INIT;
    sl_rc rc = sl_pg_exec(destination, "BEGIN; SET LOCAL synchronous_commit = on", err);
    for (size_t i = 0; i < run->routes->n && rc == SL_OK; i++) {
        sl_table *t = &run->tables[i];
        bool root = t->route->relkind != 'r' && t->state == SL_TABLE_WAITING;
        if (stream && (root || t->state == SL_TABLE_INDEXING))
            rc = sl_state_set_table(run, destination, t, SL_TABLE_CATCHING_UP, NULL, err);
        else if (!stream && !wrote && t->state == SL_TABLE_INDEXING)
            wrote = (rc = sl_state_set_table(run, destination, t, t->state, NULL, err)) == SL_OK;
    }
    if (rc == SL_OK)
        return sl_pg_exec(destination, "COMMIT", err);
    sl_pg_exec(destination, "ROLLBACK", &ignored);
    return rc;
}

static sl_rc sync_sequences(sl_run *run, sl_pg *destination, sl_error *err)
{
    SL_PG(source);
    if (sl_run_connect(run, SL_SOURCE, "sequences", 0, &source, err) != SL_OK)
        return err->code;
    return sl_schema_sync_sequences(run, source, destination, err);
}

sl_rc sl_copy_finish(sl_run *run, sl_schema *schema, sl_error *err)
{
    SL_PG(destination);
    sl_rc rc = sl_run_connect(run, SL_DESTINATION, "finishing session", SL_CONNECT_REPLICA_ROLE,
                              &destination, err);
    if (rc == SL_OK)
        rc = sl_builder_settings(run, destination, 1, err);
    /* What belongs to no table that was copied. */
    if (rc == SL_OK && schema)
        rc = sl_schema_apply_phase(run, schema, SL_PHASE_INDEX, destination, err);
    if (rc == SL_OK)
        rc = analyze_rest(run, destination, err);
    if (rc == SL_OK && schema)
        rc = apply_post(run, schema, destination, err);
    if (rc == SL_OK)
        rc = sync_sequences(run, destination, err);
    if (rc == SL_OK)
        rc = store_states(run, destination, err);
    if (rc != SL_OK)
        sl_while(err, "finishing the copy");
    return rc;
}
