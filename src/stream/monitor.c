/* monitor.c: one query a second to the source while changes come, one in ten seconds while none do.
 *
 * The heartbeat is a transactional logical message: its commit is sent to us, acknowledged, and
 * lets the slot forget the WAL before it. (A message that is not transactional would not.) 9.4 and
 * 9.5 have no messages: there it is the commit of an otherwise empty transaction, which needs no
 * table of ours on the source; the walsender follows it with a keepalive, which we acknowledge. It
 * is written only when the slot is far behind while nothing is applied, for every walsender of the
 * cluster decodes it. */
#include "stream/monitor.h"

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "core/log.h"

#define INTERVAL_MS 1000
#define QUIET_US INT64_C(10000000) /* so long without a change: fewer looks */
#define QUIET_EVERY_MS 10000
#define ANSWER_MS 10000
#define JOIN_MS 5
#define PATIENCE_MS 2000
#define AROUND_EVERY_US INT64_C(5000000)
#define AROUND_MOST_US INT64_C(20000000)
#define AROUND_SHARE 50 /* of the time, when a look lasts */
#define HEARTBEAT_BYTES (16 * 1024 * 1024)
#define HEARTBEAT_EVERY_US 10000000
#define WARN_EVERY_US 60000000

struct sl_monitor {
    sl_run *run;
    pthread_t thread;
    sl_stop stop;
    sl_pg *pg;
    sl_lsn last_applied, last_acked;
    int64_t last_heartbeat_us, last_warning_us, active_us;
    int64_t last_around_us, around_lasted_us;
    sl_lsn last_received;
    pthread_mutex_t lock;
    int lent; /* the socket of pg while it is lent, else -1; under lock */
};

/* A query that neither a dead server nor a stop request makes us wait for. NULL: give the
 * connection up. */
static PGresult *ask(sl_monitor *m, const char *sql)
{
    int64_t deadline = sl_mono_us() + ANSWER_MS * 1000;
    if (!PQsendQuery(m->pg->conn, sql))
        return NULL;
    while (PQisBusy(m->pg->conn)) {
        if (sl_wait_fd(PQsocket(m->pg->conn), POLLIN, INTERVAL_MS, &m->stop) < 0 ||
            sl_mono_us() > deadline || !PQconsumeInput(m->pg->conn))
            return NULL;
    }
    PGresult *res = PQgetResult(m->pg->conn);
    for (PGresult *more; (more = PQgetResult(m->pg->conn));)
        PQclear(more);
    if (PQresultStatus(res) == PGRES_TUPLES_OK)
        return res;
    PQclear(res);
    return NULL;
}

static const char limit_sql[] =
    "s.safe_wal_size,"
    " pg_catalog.pg_size_bytes(pg_catalog.current_setting('max_slot_wal_keep_size'))";

static const char *poll_sql(sl_monitor *m, sl_arena *arena)
{
    return sl_sql(arena,
                  "SELECT l.lsn, l.lsn - s.restart_lsn, l.lsn - s.%s, %s,"
                  " pg_catalog.pg_is_in_recovery(), %s FROM (SELECT %s) l(lsn)"
                  " LEFT JOIN pg_catalog.pg_replication_slots s ON s.slot_name = %L",
                  m->pg->version >= SL_PG_9_6 ? "confirmed_flush_lsn" : "restart_lsn",
                  m->pg->version >= SL_PG_13 ? "s.wal_status" : "NULL",
                  m->pg->version >= SL_PG_13 ? limit_sql : "NULL, NULL",
                  sl_position_sql(m->pg->version), m->run->slot);
}

/* Warns while there is still time to do something: from three quarters of the limit on. */
static void warn_of_limit(sl_monitor *m, const PGresult *res)
{
    int64_t now = sl_mono_us();
    const char *status = sl_cell(res, 0, 3);
    bool reached = status && (status[0] == 'u' || status[0] == 'l'); /* unreserved, lost */
    bool known = sl_cell(res, 0, 5) != NULL;                         /* else there is no limit */
    int64_t left = known ? sl_cell_int(res, 0, 5) : 0, limit = sl_cell_int(res, 0, 6);
    if (left < 0)
        left = 0;
    if ((!reached && (!known || left >= limit / 4)) ||
        (m->last_warning_us && now - m->last_warning_us < WARN_EVERY_US))
        return;
    m->last_warning_us = now;
    sl_warn("the source keeps WAL for slot %s only up to max_slot_wal_keep_size (%lld MB); %lld MB "
            "are left before the slot may be lost, and the task with it: raise the limit, or see "
            "why the task is behind (the slot is %s)",
            m->run->slot, (long long)(limit >> 20), (long long)(left >> 20), status);
    sl_event(m->run, "slot.endangered", "{s:s, s:s, s:I, s:I}", "slot", m->run->slot, "wal_status",
             status, "left_bytes", (json_int_t)left, "limit_bytes", (json_int_t)limit);
}

static void heartbeat(sl_monitor *m, int64_t behind, bool in_recovery)
{
    sl_progress *p = &m->run->progress;
    int64_t now = sl_mono_us();
    sl_lsn applied = p->applied_lsn, acked = p->acked_lsn;
    bool still = applied == m->last_applied && acked == m->last_acked;
    m->last_applied = applied;
    m->last_acked = acked;
    if (!still || in_recovery || behind < HEARTBEAT_BYTES ||
        now - m->last_heartbeat_us < HEARTBEAT_EVERY_US)
        return;
    m->last_heartbeat_us = now;
    PQclear(ask(m, m->pg->version >= SL_PG_9_6
                       ? "SELECT pg_catalog.pg_logical_emit_message(true, 'pgsluice', 'heartbeat')"
                       : "SELECT pg_catalog.txid_current()"));
}

static bool look(sl_monitor *m)
{
    SL_SCRATCH(tmp);
    SL_RESULT(res);
    sl_progress *p = &m->run->progress;
    res = ask(m, poll_sql(m, &tmp));
    if (!res || PQntuples(res) != 1)
        return false;
    p->source_lsn = sl_cell_lsn(res, 0, 0);
    p->wal_held_bytes = sl_cell(res, 0, 1) ? sl_cell_int(res, 0, 1) : -1;
    warn_of_limit(m, res);
    heartbeat(m, sl_cell_int(res, 0, 2), sl_cell_bool(res, 0, 4));
    return true;
}

static void lend(sl_monitor *m, int socket)
{
    pthread_mutex_lock(&m->lock);
    m->lent = socket;
    pthread_mutex_unlock(&m->lock);
}

/* Seldom enough to cost little, where there are very many tables. */
static void look_around(sl_monitor *m)
{
    int64_t now = sl_mono_us(), every = m->around_lasted_us * AROUND_SHARE;
    every = every < AROUND_EVERY_US ? AROUND_EVERY_US : every;
    every = every > AROUND_MOST_US ? AROUND_MOST_US : every;
    if (!m->run->look_around || now - m->last_around_us < every)
        return;
    m->last_around_us = now;
    lend(m, PQsocket(m->pg->conn));
    m->run->look_around(m->run->look_self, m->pg);
    lend(m, -1);
    m->around_lasted_us = sl_mono_us() - now;
}

/* Until the next look; false at the stop. */
static bool wait_for_more(sl_monitor *m)
{
    const sl_progress *p = &m->run->progress;
    int64_t now = sl_mono_us();
    sl_lsn received = p->received_lsn;
    if (received != m->last_received || p->oldest_pending_us != 0 || m->active_us == 0)
        m->active_us = now;
    m->last_received = received;
    if (now - m->active_us < QUIET_US)
        return sl_sleep_ms(INTERVAL_MS, &m->stop);
    sl_pulse_wait(&m->run->pulse, QUIET_EVERY_MS, &m->stop.requested);
    return !sl_stopping(&m->stop);
}

static void *monitor_main(void *self)
{
    sl_monitor *m = self;
    do {
        sl_error err = SL_ERROR_INIT;
        if (!m->pg && sl_run_connect(m->run, SL_SOURCE, "source monitor", 0, &m->pg, &err) != SL_OK)
            continue;
        if (!look(m))
            sl_pg_closep(&m->pg);
        else
            look_around(m);
    } while (wait_for_more(m));
    return NULL;
}

sl_monitor *sl_monitor_start(sl_run *run)
{
    sl_monitor *m = sl_xcalloc(1, sizeof(*m));
    m->run = run;
    m->lent = -1;
    pthread_mutex_init(&m->lock, NULL);
    if (sl_stop_init(&m->stop) && pthread_create(&m->thread, NULL, monitor_main, m) == 0)
        return m;
    sl_stop_free(&m->stop);
    pthread_mutex_destroy(&m->lock);
    free(m);
    return NULL;
}

/* Whoever has the session may wait for a server that does not answer. */
static void cut_lent(sl_monitor *m)
{
    pthread_mutex_lock(&m->lock);
    if (m->lent >= 0)
        shutdown(m->lent, SHUT_RDWR);
    pthread_mutex_unlock(&m->lock);
}

void sl_monitor_stop(sl_monitor *m)
{
    if (!m)
        return;
    sl_stop_request(&m->stop, SL_STOP_DONE);
    sl_pulse_beat(&m->run->pulse);
    for (int waited = 0; pthread_tryjoin_np(m->thread, NULL) != 0; waited += JOIN_MS) {
        if (waited >= PATIENCE_MS)
            cut_lent(m);
        sl_sleep_ms(JOIN_MS, NULL);
    }
    sl_pg_close(m->pg);
    sl_stop_free(&m->stop);
    pthread_mutex_destroy(&m->lock);
    free(m);
}
