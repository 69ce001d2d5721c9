/* jobs.c: the queue between the copy's threads; see the header. */
#include "copy/jobs.h"
#include <string.h>

#define BUSY_PAUSE_US INT64_C(1000000)
#define WAIT_MS 100 /* how long a waiter may miss a stop */

void sl_jobs_init(sl_jobs *jobs, sl_work *works, size_t n, int members)
{
    *jobs = (sl_jobs){ .works = works, .n = n, .members = members };
    pthread_mutex_init(&jobs->lock, NULL);
    pthread_cond_init(&jobs->changed, NULL);
}

void sl_jobs_free(sl_jobs *jobs)
{
    pthread_cond_destroy(&jobs->changed);
    pthread_mutex_destroy(&jobs->lock);
}

/* -- under the lock -----------------------------------------------------------------------------
 */

static bool rows_open(const sl_work *w)
{
    return !w->rows_in && !w->stale;
}

static bool finished(const sl_work *w)
{
    return w->finished || (w->stale && w->reset);
}

static sl_part *next_part(const sl_work *w)
{
    if (!rows_open(w) || w->beginning || (!w->begun && w->active > 0))
        return NULL;
    for (size_t i = 0; i < w->n_parts; i++)
        if (w->parts[i].state == SL_PART_TODO)
            return &w->parts[i];
    return NULL;
}

static bool take_rows(sl_work *w, int64_t now, sl_job *job)
{
    sl_part *part = w->retry_at_us > now ? NULL : next_part(w);
    if (!part)
        return false;
    *job = (sl_job){ .kind = SL_JOB_ROWS, .work = w, .part = part, .first = !w->begun };
    w->beginning = !w->begun;
    part->state = SL_PART_ACTIVE;
    w->active++;
    return true;
}

static bool tolerates_others(const sl_object *object)
{
    return strcmp(object->kind, "index") == 0;
}

static bool take_object(sl_jobs *jobs, sl_work *w, sl_job *job)
{
    if (!w->rows_in || w->alone || w->analyzing || w->finished)
        return false;
    if (w->next_object < w->n_objects) {
        sl_object *object = w->objects[w->next_object];
        if (!tolerates_others(object) && w->objects_active > 0)
            return false;
        *job = (sl_job){ .kind = SL_JOB_OBJECT, .work = w, .object = object };
        w->alone = !tolerates_others(object);
        w->next_object++;
        w->objects_active++;
    } else if (w->objects_active == 0) {
        *job = (sl_job){ .kind = SL_JOB_ANALYZE, .work = w };
        w->analyzing = true;
    } else {
        return false;
    }
    jobs->building++;
    return true;
}

static bool any_rows_open(const sl_jobs *jobs)
{
    for (size_t i = jobs->open; i < jobs->n; i++)
        if (rows_open(&jobs->works[i]))
            return true;
    return false;
}

static bool take_some_object(sl_jobs *jobs, sl_job *job)
{
    for (size_t i = jobs->open; i < jobs->n; i++)
        if (take_object(jobs, &jobs->works[i], job))
            return true;
    return false;
}

static bool take_some_rows(sl_jobs *jobs, const sl_work *near, sl_job *job)
{
    int64_t now = sl_mono_us();
    if (near && take_rows(&jobs->works[near - jobs->works], now, job))
        return true;
    for (size_t i = jobs->open; i < jobs->n; i++)
        if (take_rows(&jobs->works[i], now, job))
            return true;
    return false;
}

static bool take(sl_jobs *jobs, const sl_work *near, sl_job *job)
{
    bool may_build = jobs->building < (jobs->members > 1 ? jobs->members / 2 : 1);
    if (may_build && take_some_object(jobs, job))
        return true;
    return take_some_rows(jobs, near, job) || take_some_object(jobs, job);
}

static bool all_finished(sl_jobs *jobs)
{
    while (jobs->open < jobs->n && finished(&jobs->works[jobs->open]))
        jobs->open++;
    for (size_t i = jobs->open; i < jobs->n; i++)
        if (!finished(&jobs->works[i]))
            return false;
    return true;
}

/* -- calls --------------------------------------------------------------------------------------
 */

bool sl_jobs_take(sl_jobs *jobs, const sl_work *near, bool reading, const sl_stop *stop,
                  sl_job *job)
{
    bool found = false;
    pthread_mutex_lock(&jobs->lock);
    while (!sl_stopping(stop) && !all_finished(jobs) && !(found = take(jobs, near, job))) {
        if ((near && !next_part(near)) || (reading && !any_rows_open(jobs))) {
            *job = (sl_job){ .kind = SL_JOB_LET_GO };
            found = true;
            break;
        }
        sl_cond_wait(&jobs->changed, &jobs->lock, sl_deadline(WAIT_MS));
    }
    pthread_mutex_unlock(&jobs->lock);
    return found;
}

void sl_jobs_begun(sl_jobs *jobs, sl_work *work)
{
    pthread_mutex_lock(&jobs->lock);
    work->begun = true;
    work->beginning = false;
    pthread_cond_broadcast(&jobs->changed);
    pthread_mutex_unlock(&jobs->lock);
}

sl_next_step sl_jobs_part_done(sl_jobs *jobs, const sl_job *job, sl_part_outcome outcome)
{
    sl_work *w = job->work;
    sl_next_step step = SL_STEP_NONE;
    pthread_mutex_lock(&jobs->lock);
    w->active--;
    w->beginning = false;
    job->part->state = outcome == SL_PART_COPIED ? SL_PART_DONE : SL_PART_TODO;
    job->part->finished = outcome == SL_PART_COPIED;
    if (outcome == SL_PART_COPIED && ++w->done == w->n_parts && !w->stale)
        step = SL_STEP_ROWS_IN;
    else if (outcome == SL_PART_BUSY)
        w->retry_at_us = sl_mono_us() + BUSY_PAUSE_US;
    else if (outcome == SL_PART_STALE)
        w->stale = true;
    if (w->stale && w->active == 0 && !w->reset) {
        w->reset = true;
        step = SL_STEP_RESET;
    }
    pthread_cond_broadcast(&jobs->changed);
    pthread_mutex_unlock(&jobs->lock);
    return step;
}

void sl_jobs_rows_in(sl_jobs *jobs, sl_work *work)
{
    pthread_mutex_lock(&jobs->lock);
    work->rows_in = true;
    pthread_cond_broadcast(&jobs->changed);
    pthread_mutex_unlock(&jobs->lock);
}

void sl_jobs_object_done(sl_jobs *jobs, const sl_job *job)
{
    pthread_mutex_lock(&jobs->lock);
    jobs->building--;
    if (job->kind == SL_JOB_ANALYZE) {
        job->work->finished = true;
    } else {
        job->work->objects_active--;
        job->work->alone = false;
    }
    pthread_cond_broadcast(&jobs->changed);
    pthread_mutex_unlock(&jobs->lock);
}

bool sl_jobs_rows_left(sl_jobs *jobs)
{
    pthread_mutex_lock(&jobs->lock);
    bool left = any_rows_open(jobs);
    pthread_mutex_unlock(&jobs->lock);
    return left;
}

size_t sl_jobs_stale(sl_jobs *jobs)
{
    size_t n = 0;
    pthread_mutex_lock(&jobs->lock);
    for (size_t i = 0; i < jobs->n; i++)
        n += jobs->works[i].stale;
    pthread_mutex_unlock(&jobs->lock);
    return n;
}
