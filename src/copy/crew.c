/* crew.c: several threads at the same work, each with its own sessions; see the header. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "copy/internal.h"
#include "spec/classes.h"

#define TICK_MS 100

struct sl_crew {
    const sl_crew_work *work;
    sl_stop stop;
    pthread_mutex_t lock; /* guards members' session pointers, the first error and `left` */
    pthread_cond_t back;
    int size, left;
    sl_error first;
};

static sl_rc open_session(sl_member *m, sl_side side, sl_pg **pg, sl_error *err)
{
    if (*pg)
        return SL_OK;
    sl_pg *made;
    bool source = side == SL_SOURCE;
    sl_rc rc = sl_run_connect(m->run, side, source ? "source copier" : "destination copier",
                              source ? 0 : SL_CONNECT_REPLICA_ROLE, &made, err);
    if (rc == SL_OK && !source &&
        (rc = sl_builder_settings(m->run, made, m->crew->size, err)) != SL_OK)
        sl_pg_close(made);
    if (rc != SL_OK)
        return rc;
    pthread_mutex_lock(&m->crew->lock);
    *pg = made;
    pthread_mutex_unlock(&m->crew->lock);
    return SL_OK;
}

static void close_session(sl_member *m, sl_pg **pg)
{
    pthread_mutex_lock(&m->crew->lock);
    sl_pg *old = *pg;
    *pg = NULL;
    pthread_mutex_unlock(&m->crew->lock);
    sl_pg_close(old);
}

sl_rc sl_member_source(sl_member *member, sl_error *err)
{
    return open_session(member, SL_SOURCE, &member->source, err);
}

sl_rc sl_member_destination(sl_member *member, sl_error *err)
{
    return open_session(member, SL_DESTINATION, &member->destination, err);
}

void sl_member_leave_source(sl_member *member)
{
    close_session(member, &member->source);
}

static void *live(void *arg)
{
    sl_member *m = arg;
    sl_crew *crew = m->crew;
    sl_rc rc = crew->work->work(m, &m->err);
    close_session(m, &m->source);
    close_session(m, &m->destination);
    pthread_mutex_lock(&crew->lock);
    if (rc != SL_OK && !sl_stopping(&crew->stop)) {
        crew->first = m->err;
        sl_stop_request(&crew->stop, SL_STOP_PEER);
    }
    crew->left--;
    pthread_cond_signal(&crew->back);
    pthread_mutex_unlock(&crew->lock);
    return NULL;
}

/* Sessions are only closed under the lock, so what is cancelled here still exists. */
static void cancel_all(sl_crew *crew, sl_member *members, int size)
{
    pthread_mutex_lock(&crew->lock);
    for (int i = 0; i < size && crew->left > 0; i++) {
        if (members[i].source)
            sl_pg_cancel(members[i].source);
        if (members[i].destination)
            sl_pg_cancel(members[i].destination);
    }
    pthread_mutex_unlock(&crew->lock);
}

static bool wait_a_little(sl_crew *crew)
{
    pthread_mutex_lock(&crew->lock);
    if (crew->left > 0)
        sl_cond_wait(&crew->back, &crew->lock, sl_deadline(TICK_MS));
    bool more = crew->left > 0;
    pthread_mutex_unlock(&crew->lock);
    return more;
}

static void start(sl_run *run, sl_crew *crew, sl_member *members, int size)
{
    crew->size = crew->left = size;
    for (int i = 0; i < size; i++) {
        sl_member *m = &members[i];
        *m = (sl_member){
            .crew = crew, .run = run, .number = i, .self = crew->work->self, .stop = &crew->stop
        };
        if (pthread_create(&m->thread, NULL, live, m) != 0)
            abort();
    }
}

sl_rc sl_crew_run(sl_run *run, int size, const sl_crew_work *work, sl_error *err)
{
    sl_crew crew = { .work = work,
                     .lock = PTHREAD_MUTEX_INITIALIZER,
                     .back = PTHREAD_COND_INITIALIZER };
    if (!sl_stop_init(&crew.stop))
        return sl_fail_errno(err, SL_TRANSIENT, "starting %d workers", size);
    sl_member *members = sl_xcalloc((size_t)size, sizeof(*members));
    start(run, &crew, members, size);
    while (wait_a_little(&crew)) {
        if (work->tick)
            work->tick(work->self);
        if (sl_stopping(run->stop))
            sl_stop_request(&crew.stop, run->stop->requested);
        if (sl_stopping(&crew.stop))
            cancel_all(&crew, members, size);
    }
    for (int i = 0; i < size; i++)
        pthread_join(members[i].thread, NULL);
    if (work->tick)
        work->tick(work->self);
    sl_rc rc = crew.first.code;
    if (rc != SL_OK && err && err->code == SL_OK)
        *err = crew.first;
    if (rc == SL_OK && sl_stopping(&crew.stop))
        rc = sl_fail(err, SL_CANCELLED, "stopped while copying");
    free(members);
    pthread_cond_destroy(&crew.back);
    pthread_mutex_destroy(&crew.lock);
    sl_stop_free(&crew.stop);
    return rc;
}

int sl_crew_size(const sl_run *run, size_t work_items)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    int size = run->spec->workers;
    const sl_class *class = sl_class_find(run->spec->class_name);
    if (size <= 0)
        size = processors < 3 ? 2 : processors > 4 ? 4 : (int)processors;
    if (class && class->workers > 0 && size > class->workers)
        size = class->workers;
    if ((size_t)size > work_items)
        size = work_items ? (int)work_items : 1;
    return size;
}
