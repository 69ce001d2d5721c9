/* tables.c: copies all tables that are not yet copied, several at once, and builds their indexes.
 *
 * Each member of the crew takes job after job: a part, an index, a table's statistics. Its source
 * session holds the snapshot only as long as there are rows to read, so that the source can clean
 * up while indexes are still built. */
#include <stdlib.h>
#include <string.h>
#include "copy/internal.h"

/* Why a unique index waits: rows of different moments can collide, also where they do not now. */
#define OUT_OF_STEP                                                                                \
    "waits for the stream: the table's ranges were copied at different moments, before and after " \
    "a restart"

typedef struct copying {
    sl_run *run;
    sl_schema *schema; /* NULL without the schema stage */
    sl_snapshot *snapshot;
    sl_arena arena;
    sl_work *works;
    size_t n;
    sl_jobs jobs;
    int size;
} copying;

/* -- a member -----------------------------------------------------------------------------------
 */

static sl_rc copy_rows(copying *c, sl_member *m, sl_place *place, const sl_job *job, sl_error *err)
{
    sl_part_outcome outcome;
    sl_rc rc = sl_place_lock(m, place, job->work, &outcome, err);
    if (rc == SL_OK && outcome == SL_PART_COPIED && job->first) {
        rc = sl_rows_begin(m, job->work, err);
        if (rc == SL_OK && job->work->n_parts > 1)
            sl_jobs_begun(&c->jobs, job->work);
    }
    if (rc == SL_OK && outcome == SL_PART_COPIED)
        rc = sl_rows_copy(m, c->snapshot, job->work, job->part, err);
    if (rc != SL_OK)
        return rc;
    sl_next_step step = sl_jobs_part_done(&c->jobs, job, outcome);
    if (step == SL_STEP_RESET)
        return sl_rows_reset(m, job->work, err);
    if (step != SL_STEP_ROWS_IN)
        return SL_OK;
    rc = sl_rows_complete(m, c->snapshot, job->work, err);
    if (rc == SL_OK)
        sl_jobs_rows_in(&c->jobs, job->work);
    return rc;
}

static sl_rc build(copying *c, sl_member *m, const sl_job *job, sl_error *err)
{
    sl_rc rc = sl_member_destination(m, err);
    if (rc == SL_OK && job->kind == SL_JOB_OBJECT && job->object->excludes &&
        job->work->table->ranges)
        rc = sl_schema_defer(c->run, c->schema, job->object, OUT_OF_STEP, m->destination, err);
    else if (rc == SL_OK && job->kind == SL_JOB_OBJECT)
        rc = sl_apply_object(c->run, c->schema, job->object, m->destination, err);
    else if (rc == SL_OK)
        rc = sl_analyze(c->run, m->destination, job->work->table, err);
    if (rc == SL_OK)
        sl_jobs_object_done(&c->jobs, job);
    return rc;
}

/* Gives up what this member does not need for anything but rows. */
static sl_rc let_go(copying *c, sl_member *m, sl_place *place, sl_error *err)
{
    if (!m->source)
        return SL_OK;
    if (sl_jobs_rows_left(&c->jobs))
        return sl_place_unlock(m, place, err);
    sl_member_leave_source(m);
    *place = (sl_place){ .snapshot = c->snapshot };
    return SL_OK;
}

static sl_rc work(sl_member *m, sl_error *err)
{
    copying *c = m->self;
    sl_place place = { .snapshot = c->snapshot };
    sl_job job;
    sl_rc rc = SL_OK;
    while (rc == SL_OK && sl_jobs_take(&c->jobs, place.locked, m->source != NULL, m->stop, &job)) {
        rc = job.kind == SL_JOB_ROWS ? copy_rows(c, m, &place, &job, err)
                                     : let_go(c, m, &place, err);
        if (rc == SL_OK && (job.kind == SL_JOB_OBJECT || job.kind == SL_JOB_ANALYZE))
            rc = build(c, m, &job, err);
    }
    if (rc == SL_OK && sl_stopping(m->stop))
        rc = sl_fail(err, SL_CANCELLED, "stopped while copying");
    return rc;
}

/* -- around it ----------------------------------------------------------------------------------
 */

/* Some times a second: the figures that displays read, and the snapshot's end. */
static void look_after(void *self)
{
    copying *c = self;
    int64_t rows = 0, bytes = 0;
    for (size_t i = 0; i < c->n; i++) {
        sl_work *w = &c->works[i];
        sl_table *t = w->table;
        if (t->state == SL_TABLE_COPYING) {
            int64_t part_rows = 0, part_bytes = 0;
            int done = 0;
            for (size_t p = 0; p < w->n_parts; p++) {
                part_rows += w->parts[p].rows;
                part_bytes += w->parts[p].bytes;
                done += w->parts[p].finished;
            }
            t->rows = part_rows;
            t->bytes = part_bytes;
            t->parts_done = done;
        }
    }
    for (size_t i = 0; i < c->run->routes->n; i++) {
        rows += c->run->tables[i].rows;
        bytes += c->run->tables[i].bytes;
    }
    if (c->snapshot->holder && !sl_jobs_rows_left(&c->jobs))
        sl_snapshot_release(c->snapshot); /* the source may clean up while indexes are built */
    c->run->progress.rows_copied = rows;
    c->run->progress.bytes_copied = bytes;
}

static int by_size(const void *a, const void *b)
{
    const sl_work *x = a, *y = b;
    if (x->table->route->bytes != y->table->route->bytes)
        return x->table->route->bytes < y->table->route->bytes ? 1 : -1;
    return x->table->route->index < y->table->route->index ? -1 : 1;
}

static bool wants_copy(const sl_table *t)
{
    return t->route->relkind == 'r' &&
           (t->state == SL_TABLE_WAITING || t->state == SL_TABLE_COPYING ||
            t->state == SL_TABLE_FAILED);
}

/* A table whose rows are in may still lack indexes, from a run that was ended. */
static bool wants_objects(const sl_table *t)
{
    return t->route->relkind == 'r' && t->state == SL_TABLE_INDEXING;
}

static void collect_tables(copying *c)
{
    sl_run *run = c->run;
    sl_progress *p = &run->progress;
    int64_t rows = 0, bytes = 0, tables = 0, copied = 0;
    c->works = SL_NEW_ARRAY(&c->arena, sl_work, run->routes->n);
    for (size_t i = 0; i < run->routes->n; i++) {
        sl_table *t = &run->tables[i];
        if (t->route->relkind != 'r')
            continue;
        tables++;
        rows += t->route->reltuples > 0 ? (int64_t)t->route->reltuples : 0;
        bytes += t->route->bytes;
        bool copy = wants_copy(t);
        copied += !copy;
        if (!copy && !wants_objects(t))
            continue;
        sl_work *w = &c->works[c->n++];
        w->table = t;
        w->label = sl_route_label(t->route, &c->arena);
        w->absent = SL_NEW_ARRAY(&c->arena, bool, t->route->n_columns + 1);
        w->rows_in = !copy;
        if (copy && t->state == SL_TABLE_FAILED)
            t->generation += t->generation == 0; /* what it holds is not known to be nothing */
    }
    qsort(c->works, c->n, sizeof(*c->works), by_size);
    p->tables_total = tables;
    p->tables_copied = copied;
    p->rows_total = rows;
    p->bytes_total = bytes;
}

/* The index phase's objects by table, in their order. */
static void collect_objects(copying *c)
{
    sl_schema *schema = c->schema;
    sl_work **by_route = SL_NEW_ARRAY(&c->arena, sl_work *, c->run->routes->n);
    int64_t total = 0;
    for (size_t i = 0; i < c->n; i++)
        by_route[c->works[i].table->route->index] = &c->works[i];
    for (int pass = 0; schema && pass < 2; pass++) {
        for (size_t i = 0; i < schema->n; i++) {
            sl_object *o = &schema->objects[i];
            sl_work *w = o->route ? by_route[o->route->index] : NULL;
            if (o->phase != SL_PHASE_INDEX || !w)
                continue;
            if (pass == 1)
                w->objects[w->n_objects] = o;
            total += pass;
            w->n_objects++;
        }
        for (size_t i = 0; pass == 0 && i < c->n; i++) {
            c->works[i].objects = SL_NEW_ARRAY(&c->arena, sl_object *, c->works[i].n_objects);
            c->works[i].n_objects = 0;
        }
    }
    c->run->progress.indexes_total = total;
    c->run->progress.indexes_done = 0;
}

/* A table that is to be filled: how, unless an interrupted copy lacks nothing but its end. */
static sl_rc prepare_table(copying *c, sl_work *w, sl_pg **destination, sl_error *err)
{
    bool complete = w->resumed && w->done == w->n_parts;
    if ((complete || !sl_rows_are_new(c->run, w->table)) && !*destination &&
        sl_run_connect(c->run, SL_DESTINATION, "copy preparation", 0, destination, err) != SL_OK)
        return err->code;
    if (!complete)
        return sl_rows_choose(c->run, *destination, w, err);
    w->rows_in = true;
    return sl_rows_finish(c->run, *destination, w, err);
}

static sl_rc prepare(copying *c, size_t *jobs, sl_error *err)
{
    SL_PG(destination);
    collect_tables(c);
    collect_objects(c);
    sl_rc rc = sl_plan_parts(c->run, c->snapshot, c->works, c->n, &c->arena, err);
    for (size_t i = 0; i < c->n && rc == SL_OK; i++) {
        sl_work *w = &c->works[i];
        *jobs += w->n_parts + w->n_objects;
        w->table->parts = (int)w->n_parts;
        w->table->parts_done = (int)w->done;
        if (!w->rows_in)
            rc = prepare_table(c, w, &destination, err);
    }
    return rc;
}

sl_rc sl_copy_tables(sl_run *run, sl_schema *schema, sl_snapshot *snapshot, size_t *unfinished,
                     sl_error *err)
{
    copying c = { .run = run, .schema = schema, .snapshot = snapshot };
    size_t jobs = 0;
    *unfinished = 0;
    sl_rc rc = prepare(&c, &jobs, err);
    if (rc == SL_OK && c.n > 0) {
        c.size = sl_crew_size(run, jobs);
        sl_jobs_init(&c.jobs, c.works, c.n, c.size);
        sl_crew_work crew = { .work = work, .tick = look_after, .self = &c };
        rc = sl_crew_run(run, c.size, &crew, err);
        *unfinished = sl_jobs_stale(&c.jobs);
        sl_jobs_free(&c.jobs);
    }
    sl_arena_free(&c.arena);
    return rc;
}
