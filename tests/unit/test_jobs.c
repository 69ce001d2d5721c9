/* test_jobs.c: the copy's queue under threads (also run under ThreadSanitizer): every part once,
 * nothing before its time, stale tables reset by exactly one member, and an end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "copy/jobs.h"

#define TABLES 40
#define MAX_PARTS 9
#define OBJECTS 5
#define MEMBERS 4

typedef struct watch {
    _Atomic int begun, begins, active, copied, resets, rows_in, objects_active, objects, alone;
    _Atomic int analyzed;
    _Atomic int part_runs[MAX_PARTS];
} watch;

typedef struct stage {
    sl_jobs jobs;
    sl_work works[TABLES];
    sl_part parts[TABLES][MAX_PARTS];
    sl_object objects[TABLES][OBJECTS];
    sl_object *lists[TABLES][OBJECTS];
    watch seen[TABLES];
    sl_stop stop;
    int stale_at[TABLES]; /* the part whose taker finds the table rewritten, or -1 */
    _Atomic int busy_left;
    _Atomic int broken; /* asserts do not work in threads: counted, looked at in the end */
} stage;

#define EXPECT(s, condition) ((condition) ? (void)0 : (void)atomic_fetch_add(&(s)->broken, 1))

static stage *new_stage(void)
{
    static const char *const kinds[OBJECTS] = { "constraint", "index", "index", "index",
                                                "constraint" };
    stage *s = sl_xcalloc(1, sizeof(*s));
    for (int t = 0; t < TABLES; t++) {
        sl_work *w = &s->works[t];
        w->parts = s->parts[t];
        w->n_parts = (size_t)(1 + t % MAX_PARTS);
        w->objects = s->lists[t];
        w->n_objects = (size_t)(t % (OBJECTS + 1));
        for (int i = 0; i < OBJECTS; i++) {
            s->objects[t][i].kind = kinds[i];
            s->lists[t][i] = &s->objects[t][i];
        }
        for (int i = 0; i < MAX_PARTS; i++)
            s->parts[t][i].number = i;
        s->stale_at[t] = -1;
    }
    assert_true(sl_stop_init(&s->stop));
    sl_jobs_init(&s->jobs, s->works, TABLES, MEMBERS);
    return s;
}

static void free_stage(stage *s)
{
    sl_jobs_free(&s->jobs);
    sl_stop_free(&s->stop);
    free(s);
}

static void do_rows(stage *s, int t, const sl_job *job)
{
    watch *seen = &s->seen[t];
    sl_part_outcome outcome = SL_PART_COPIED;
    EXPECT(s, !seen->rows_in && !seen->resets);
    if (job->first && atomic_fetch_sub(&s->busy_left, 1) > 0)
        outcome = SL_PART_BUSY;
    else if (s->stale_at[t] == job->part->number)
        outcome = SL_PART_STALE;
    if (outcome == SL_PART_COPIED && job->first) {
        EXPECT(s, atomic_fetch_add(&seen->begins, 1) == 0);
        seen->begun = 1;
        sl_jobs_begun(&s->jobs, job->work);
    }
    EXPECT(s, outcome != SL_PART_COPIED || seen->begun);
    atomic_fetch_add(&seen->active, 1);
    sl_sleep_ms(outcome == SL_PART_STALE ? 3 : 1, NULL);
    if (outcome == SL_PART_COPIED) {
        EXPECT(s, atomic_fetch_add(&seen->part_runs[job->part->number], 1) == 0);
        atomic_fetch_add(&seen->copied, 1);
    }
    atomic_fetch_sub(&seen->active, 1);
    sl_next_step step = sl_jobs_part_done(&s->jobs, job, outcome);
    if (step == SL_STEP_RESET) {
        EXPECT(s, seen->active == 0 && s->stale_at[t] >= 0);
        EXPECT(s, atomic_fetch_add(&seen->resets, 1) == 0);
    } else if (step == SL_STEP_ROWS_IN) {
        EXPECT(s, seen->copied == (int)job->work->n_parts);
        EXPECT(s, atomic_fetch_add(&seen->rows_in, 1) == 0);
        sl_jobs_rows_in(&s->jobs, job->work);
    }
}

static void do_object(stage *s, int t, const sl_job *job)
{
    watch *seen = &s->seen[t];
    EXPECT(s, seen->rows_in == 1 && !seen->resets && !seen->analyzed);
    if (job->kind == SL_JOB_ANALYZE) {
        EXPECT(s, seen->objects == (int)job->work->n_objects && seen->objects_active == 0);
        seen->analyzed = 1;
    } else {
        bool alone = strcmp(job->object->kind, "index") != 0;
        int others = atomic_fetch_add(&seen->objects_active, 1);
        EXPECT(s, !seen->alone && (!alone || others == 0));
        seen->alone = alone;
        sl_sleep_ms(1, NULL);
        seen->alone = 0;
        atomic_fetch_sub(&seen->objects_active, 1);
        atomic_fetch_add(&seen->objects, 1);
    }
    sl_jobs_object_done(&s->jobs, job);
}

static void *live(void *arg)
{
    stage *s = arg;
    const sl_work *near = NULL;
    sl_job job;
    bool reading = false;
    while (sl_jobs_take(&s->jobs, near, reading, &s->stop, &job)) {
        if (job.kind == SL_JOB_LET_GO) {
            EXPECT(s, near || reading);
            reading = reading && sl_jobs_rows_left(&s->jobs);
            near = NULL;
            continue;
        }
        reading |= job.kind == SL_JOB_ROWS;
        int t = (int)(job.work - s->works);
        if (job.kind == SL_JOB_ROWS)
            do_rows(s, t, &job);
        else
            do_object(s, t, &job);
        near = job.kind == SL_JOB_ROWS ? job.work : NULL;
    }
    return NULL;
}

static void run_stage(stage *s)
{
    pthread_t threads[MEMBERS];
    for (int i = 0; i < MEMBERS; i++)
        pthread_create(&threads[i], NULL, live, s);
    for (int i = 0; i < MEMBERS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(s->broken, 0);
}

static void assert_table(const stage *s, int t)
{
    const watch *seen = &s->seen[t];
    const sl_work *w = &s->works[t];
    if (s->stale_at[t] >= 0) {
        assert_int_equal(seen->resets, 1);
        assert_int_equal(seen->rows_in + seen->analyzed + seen->objects, 0);
        return;
    }
    assert_int_equal(seen->copied, w->n_parts);
    assert_int_equal(seen->objects, w->n_objects);
    assert_int_equal(seen->analyzed, 1);
}

static void everything_is_done_once(void **state)
{
    stage *s = new_stage();
    run_stage(s);
    for (int t = 0; t < TABLES; t++)
        assert_table(s, t);
    assert_int_equal(sl_jobs_stale(&s->jobs), 0);
    assert_false(sl_jobs_rows_left(&s->jobs));
    free_stage(s);
}

static void stale_tables_are_reset_once(void **state)
{
    stage *s = new_stage();
    for (int t = 0; t < TABLES; t += 3)
        s->stale_at[t] = (t / 3) % (int)s->works[t].n_parts;
    run_stage(s);
    for (int t = 0; t < TABLES; t++)
        assert_table(s, t);
    assert_int_equal(sl_jobs_stale(&s->jobs), (TABLES + 2) / 3);
    free_stage(s);
}

static void busy_tables_come_again(void **state)
{
    stage *s = new_stage();
    s->busy_left = 5;
    run_stage(s);
    for (int t = 0; t < TABLES; t++)
        assert_table(s, t);
    free_stage(s);
}

static void tables_with_rows_get_the_rest(void **state)
{
    stage *s = new_stage();
    for (int t = 0; t < TABLES; t++) {
        s->works[t].rows_in = true;
        s->seen[t].rows_in = 1;
        s->seen[t].copied = (int)s->works[t].n_parts;
    }
    run_stage(s);
    for (int t = 0; t < TABLES; t++)
        assert_table(s, t);
    free_stage(s);
}

/* A member whose table is still locked waits for work that never comes; a stop ends it. */
static void *take_nothing(void *arg)
{
    stage *s = arg;
    sl_job job;
    return sl_jobs_take(&s->jobs, NULL, false, &s->stop, &job) ? arg : NULL;
}

static void stop_wakes_the_waiting(void **state)
{
    stage *s = new_stage();
    sl_job job;
    pthread_t thread;
    void *taken;
    for (int t = 1; t < TABLES; t++)
        s->works[t].rows_in = s->works[t].finished = true;
    assert_true(
        sl_jobs_take(&s->jobs, NULL, false, &s->stop, &job)); /* has not begun: nothing else */
    pthread_create(&thread, NULL, take_nothing, s);
    sl_sleep_ms(20, NULL);
    sl_stop_request(&s->stop, SL_STOP_PEER);
    pthread_join(thread, &taken);
    assert_null(taken);
    free_stage(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_is_done_once), cmocka_unit_test(stale_tables_are_reset_once),
        cmocka_unit_test(busy_tables_come_again),  cmocka_unit_test(tables_with_rows_get_the_rest),
        cmocka_unit_test(stop_wakes_the_waiting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
