/* supervisor.c: a process per task, brought in line with what is desired of each.
 *
 * How: `desired` (none, check, run, pause, release) is stored with the task before anything is
 * done, so that a service that was killed goes on where it was. One function (converge) compares it
 * with the process that runs and takes the next step; it is called again after everything that
 * happens. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/log.h"
#include "service/service.h"

#define MAX_LOG_BYTES ((off_t)10 << 20)
#define STOP_SECONDS 30 /* a worker that was asked to end and does not is killed */
#define MAX_CRASHES 20  /* in a row, each within a minute of its start */
#define HOUSEKEEPING_US INT64_C(5000000)
#define TICK_US INT64_C(1000000)
#define PRUNE_US INT64_C(3600000000)

/* ---- the list of tasks ---- */

sl_task *sl_supervisor_find(sl_service *s, const char *id)
{
    for (size_t i = 0; i < s->n_tasks; i++)
        if (strcmp(s->tasks[i]->id, id) == 0)
            return s->tasks[i];
    return NULL;
}

sl_task *sl_supervisor_add(sl_service *s, const char *id, const char *state, const char *desired,
                           bool started)
{
    if (s->n_tasks == s->cap_tasks) {
        s->cap_tasks = s->cap_tasks ? 2 * s->cap_tasks : 64;
        s->tasks = sl_xrealloc(s->tasks, s->cap_tasks * sizeof(*s->tasks));
    }
    sl_task *task = sl_xcalloc(1, sizeof(*task));
    snprintf(task->id, sizeof(task->id), "%s", id);
    task->state = sl_xstrdup(state);
    task->desired = sl_xstrdup(desired);
    task->started = started;
    return s->tasks[s->n_tasks++] = task;
}

static void forget_heard(sl_task *task)
{
    json_t **heard[] = { &task->progress, &task->retry, &task->error, &task->findings,
                         &task->metric_base };
    for (size_t i = 0; i < sizeof(heard) / sizeof(heard[0]); i++) {
        json_decref(*heard[i]);
        *heard[i] = NULL;
    }
    task->rate = 0;
    task->rate_at_us = 0;
    memset(task->hop_rates, 0, sizeof(task->hop_rates));
    memset(task->hop_lsns, 0, sizeof(task->hop_lsns));
}

static void free_task(sl_task *task)
{
    forget_heard(task);
    sl_process_kill(&task->process);
    free(task->state);
    free(task->reason);
    free(task->desired);
    free(task);
}

void sl_supervisor_remove(sl_service *s, sl_task *task)
{
    for (size_t i = 0; i < s->n_tasks; i++)
        if (s->tasks[i] == task) {
            s->tasks[i] = s->tasks[--s->n_tasks];
            free_task(task);
            return;
        }
}

void sl_supervisor_free(sl_service *s)
{
    for (size_t i = 0; i < s->n_tasks; i++)
        free_task(s->tasks[i]);
    free(s->tasks);
    if (s->wake_fd >= 0)
        close(s->wake_fd);
}

sl_rc sl_supervisor_load(sl_service *s, sl_error *err)
{
    json_t *tasks = NULL, *row;
    size_t i;
    s->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (s->wake_fd < 0)
        return sl_fail_errno(err, SL_FAILED, "no descriptor for the supervisor");
    SL_SERVICE_LOCKED(s);
    sl_rc rc = sl_task_desires(s->catalog, &tasks, err);
    json_array_foreach(tasks, i, row)
    {
        const json_t *reason = json_object_get(row, "reason");
        sl_task *task = sl_supervisor_add(s, json_string_value(json_object_get(row, "id")),
                                          json_string_value(json_object_get(row, "state")),
                                          json_string_value(json_object_get(row, "desired")),
                                          json_is_true(json_object_get(row, "started")));
        task->reason = json_is_string(reason) ? sl_xstrdup(json_string_value(reason)) : NULL;
    }
    json_decref(tasks);
    return rc;
}

void sl_supervisor_wake(sl_service *s)
{
    uint64_t one = 1;
    ssize_t n = write(s->wake_fd, &one, sizeof(one));
    (void)n; /* full: it will wake anyway */
}

/* ---- what users ask for ---- */

sl_rc sl_supervisor_action(sl_service *s, sl_task *task, const char *action, bool force,
                           sl_error *err)
{
    static const struct {
        const char *action, *state, *desired;
    } rows[] = {
        { "check", "checking", "check" }, { "start", "initializing", "run" },
        { "pause", "pausing", "pause" },  { "resume", "initializing", "run" },
        { "stop", "pausing", "stop" },    { "release", "releasing", "release" },
    };
    if (!sl_state_allows(task->state, task->started, action)) {
        sl_fail(err, SL_USAGE, "the task is %s: %s is not possible now", task->state, action);
        if (strcmp(action, "start") == 0)
            sl_hint(err, "Run the precheck until its success rate is 100 %%, then start.");
        return err->code;
    }
    if ((strcmp(action, "start") == 0 || strcmp(action, "resume") == 0) &&
        sl_metering_ended(s, task)) {
        sl_fail(err, SL_USAGE, "the task's subscription has ended");
        return sl_hint(err, "Renew it, or pay as you go: PUT /api/v1/tasks/%s/billing.", task->id);
    }
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (strcmp(rows[i].action, action) != 0)
            continue;
        if (sl_state_move(s, task, rows[i].state, NULL, rows[i].desired, true, err) != SL_OK)
            return err->code;
        if (strcmp(rows[i].desired, "run") == 0)
            task->restarts = task->crashes_in_a_row = 0;
        task->not_before_us = 0;
        task->force = force;
        s->runs_changed = true;
        sl_supervisor_wake(s);
    }
    return SL_OK;
}

void sl_supervisor_reload(sl_service *s, sl_task *task)
{
    if (task->job != SL_JOB_RUN || strcmp(task->desired, "run") != 0)
        return;
    task->reload = true;
    sl_supervisor_wake(s);
}

/* ---- starting ---- */

static int open_log(sl_service *s, const char *id)
{
    SL_SCRATCH(tmp);
    struct stat st;
    const char *path = sl_arena_printf(&tmp, "%s/log/%s.log", s->options.data_dir, id);
    mkdir(sl_arena_printf(&tmp, "%s/log", s->options.data_dir), 0700);
    if (stat(path, &st) == 0 && st.st_size > MAX_LOG_BYTES)
        rename(path, sl_arena_printf(&tmp, "%s.1", path));
    return open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

static sl_rc start(sl_service *s, sl_task *task, sl_job job, sl_error *err)
{
    static const char *const words[][7] = {
        [SL_JOB_RUN] = { "pgsluice", "run", "-", "--json", "--control", NULL },
        [SL_JOB_CHECK] = { "pgsluice", "check", "-", "--json", NULL },
        [SL_JOB_STOP] = { "pgsluice", "release", "-", "--json", "--keep-state", NULL },
        [SL_JOB_RELEASE] = { "pgsluice", "release", "-", "--json", NULL },
    };
    static const char *const forced[] = { "pgsluice", "release", "-", "--json", "--force", NULL };
    char *text = NULL;
    sl_rc rc = sl_specs_of_task(s, task->id, job == SL_JOB_RUN, &text, err);
    if (rc != SL_OK)
        return rc == SL_NOT_FOUND ? sl_fail(err, SL_FAILED, "its specification is gone") : rc;
    int log = open_log(s, task->id);
    forget_heard(task);
    sl_buf_free(&task->process.output);
    task->process.keep_input = job == SL_JOB_RUN;
    rc =
        sl_process_start(&task->process, job == SL_JOB_RELEASE && task->force ? forced : words[job],
                         text, log, err);
    sl_specs_wipe(text);
    if (log >= 0)
        close(log);
    if (rc != SL_OK)
        return rc;
    task->job = job;
    task->job_since_us = sl_now_us();
    task->term_since_us = 0;
    task->finished = false;
    task->retry_minutes = 0;
    if (job == SL_JOB_RUN && strcmp(task->state, "synchronizing") == 0) /* not yet again */
        sl_state_move(s, task, "initializing", "its process was started again", NULL, false, err);
    sl_info("task %s: process %d started (%s)", task->id, (int)task->process.pid, words[job][1]);
    return SL_OK;
}

void sl_supervisor_tell(sl_service *s, sl_task *task, json_t *change)
{
    char *text = json_dumps(change, JSON_COMPACT);
    json_decref(change);
    if (text && task->job == SL_JOB_RUN) {
        sl_buf_puts(&task->process.input, text);
        sl_buf_puts(&task->process.input, "\n");
        sl_supervisor_wake(s); /* the main thread sends it */
    }
    free(text);
}

/* Whoever shares a server with a task that came or went may have another retry time now. */
static void tell_retry_times(sl_service *s)
{
    json_t *rows = NULL, *row;
    sl_error err = SL_ERROR_INIT;
    size_t i;
    if (!s->runs_changed)
        return;
    s->runs_changed = false;
    if (sl_task_least_retries(s->catalog, &rows, &err) != SL_OK) {
        s->runs_changed = true;
        s->catalog_failures++;
        return;
    }
    json_array_foreach(rows, i, row)
    {
        sl_task *task = sl_supervisor_find(s, json_string_value(json_object_get(row, "id")));
        int minutes = (int)json_integer_value(json_object_get(row, "minutes"));
        if (!task || task->job != SL_JOB_RUN || task->retry_minutes == minutes)
            continue;
        task->retry_minutes = minutes;
        sl_supervisor_tell(s, task, json_pack("{s:i}", "retry_minutes", minutes));
    }
    json_decref(rows);
}

static int64_t backoff_us(int n)
{
    return (n >= 7 ? 60 : 1LL << (n - 1)) * INT64_C(1000000);
}

static void try_start(sl_service *s, sl_task *task, sl_job job)
{
    sl_error err = SL_ERROR_INIT, ignored = SL_ERROR_INIT;
    if (sl_mono_us() < task->not_before_us || start(s, task, job, &err) == SL_OK)
        return;
    sl_log_error(&err, "a worker could not be started");
    task->not_before_us = sl_mono_us() + backoff_us(3);
    if (err.code == SL_TRANSIENT)
        return;
    const char *to = job == SL_JOB_CHECK ? "check_failed" : "failed";
    sl_state_move(s, task, to, err.message, "none", false, &ignored);
}

static void ask_to_end(sl_task *task)
{
    if (task->term_since_us == 0) {
        kill(task->process.pid, SIGTERM);
        task->term_since_us = sl_mono_us();
    } else if (sl_mono_us() - task->term_since_us > STOP_SECONDS * INT64_C(1000000)) {
        kill(task->process.pid, SIGKILL);
    }
}

static const char *why_paused(const sl_service *s, const sl_task *task)
{
    return sl_metering_ended(s, task)
               ? "its subscription has ended: renew it or pay as you go, then resume"
               : "paused by a user";
}

/* The next step towards what is desired. */
static void converge(sl_service *s, sl_task *task)
{
    sl_error ignored = SL_ERROR_INIT;
    bool running = task->job != SL_JOB_NONE;
    if (strcmp(task->desired, "run") == 0 && !running)
        try_start(s, task, SL_JOB_RUN);
    else if (strcmp(task->desired, "check") == 0 && !running)
        try_start(s, task, SL_JOB_CHECK);
    else if (strcmp(task->desired, "stop") == 0 && !running)
        try_start(s, task, SL_JOB_STOP);
    else if (strcmp(task->desired, "release") == 0 && !running)
        try_start(s, task, SL_JOB_RELEASE);
    else if (strcmp(task->desired, "pause") == 0 && !running)
        sl_state_move(s, task, "paused", why_paused(s, task), "none", false, &ignored);
    else if (task->job == SL_JOB_RUN && (task->reload || strcmp(task->desired, "run") != 0))
        ask_to_end(task);
}

/* ---- ends ---- */

/* "… at this stage: ended by signal 9", or what it said. buf of 1500. */
static const char *describe_end(const sl_task *task, int status, char *buf)
{
    const char *said = json_string_value(json_object_get(task->error, "message"));
    if (WIFSIGNALED(status))
        snprintf(buf, 1500, "its process was ended by signal %d (%s)", WTERMSIG(status),
                 strsignal(WTERMSIG(status)));
    else if (said)
        snprintf(buf, 1500, "%s", said);
    else
        snprintf(buf, 1500, "its process ended with exit code %d", WEXITSTATUS(status));
    return buf;
}

static void store_error(sl_service *s, sl_task *task, int status, const char *what)
{
    char when[32];
    sl_error err = SL_ERROR_INIT;
    const char *code = json_string_value(json_object_get(task->error, "code"));
    const json_t *e = task->error;
    json_t *error =
        json_pack("{s:s, s:s, s:s, s:O?, s:O?, s:O?}", "time", sl_time_text(sl_now_us(), when),
                  "code", code && !WIFSIGNALED(status) ? code : "crashed", "message", what,
                  "sqlstate", json_object_get(e, "sqlstate"), "while", json_object_get(e, "while"),
                  "hint", json_object_get(e, "hint"));
    if (sl_task_set_error(s->catalog, task->id, error, &err) != SL_OK)
        sl_log_error(&err, "a task's error could not be stored");
    json_decref(error);
}

/* The process is gone without having been asked to, and not because the task cannot go on. */
static void restart(sl_service *s, sl_task *task, int status, const char *what)
{
    SL_SCRATCH(tmp);
    sl_error ignored = SL_ERROR_INIT;
    char since[32];
    if (sl_now_us() - task->job_since_us > INT64_C(60000000))
        task->crashes_in_a_row = 0;
    task->restarts++;
    store_error(s, task, status, what);
    if (++task->crashes_in_a_row > MAX_CRASHES) {
        sl_state_move(s, task, "failed",
                      sl_arena_printf(&tmp, "%s, %d times in a row; see the task's log", what,
                                      MAX_CRASHES),
                      "none", false, &ignored);
        return;
    }
    task->not_before_us = sl_mono_us() + backoff_us(task->crashes_in_a_row);
    json_decref(task->retry);
    task->retry = json_pack("{s:s, s:n, s:i, s:s}", "since", sl_time_text(sl_now_us(), since),
                            "until", "attempt", task->crashes_in_a_row, "error", what);
    sl_state_move(s, task, "retrying", what, NULL, false, &ignored);
}

static void run_ended(sl_service *s, sl_task *task, int status)
{
    char what[1500];
    sl_error ignored = SL_ERROR_INIT;
    bool normal = WIFEXITED(status), done = normal && WEXITSTATUS(status) == 0;
    int code = normal ? WEXITSTATUS(status) : -1;
    describe_end(task, status, what);
    if (s->stopping || strcmp(task->desired, "release") == 0 || strcmp(task->desired, "stop") == 0)
        return; /* goes on at the next start; converge releases */
    bool reload = task->reload;
    task->reload = false;
    if (reload && strcmp(task->desired, "run") == 0 && (done || !normal)) {
        task->not_before_us = 0; /* converge starts it again; it tells of its tables anew */
        sl_tables_forget(s->catalog, task->id, NULL, &ignored);
    } else if (done && task->finished) {
        sl_state_move(s, task, "finished", "all stages are done", "none", false, &ignored);
    } else if (strcmp(task->desired, "pause") == 0 && (done || !normal)) {
        sl_state_move(s, task, "paused", why_paused(s, task), "none", false, &ignored);
    } else if (code == 3 && !task->started) {
        int failed;
        sl_events_checked(s, task, &failed);
        sl_state_move(s, task, "check_failed", what, "none", false, &ignored);
    } else if (code == 1 || code == 2 || code == 3) {
        if (task->findings)
            sl_events_checked(s, task, &(int){ 0 });
        store_error(s, task, status, what);
        sl_state_move(s, task, "failed", what, "none", false, &ignored);
    } else {
        restart(s, task, status, done ? "its process was ended from outside" : what);
    }
}

static void check_ended(sl_service *s, sl_task *task, int status)
{
    char what[1500];
    sl_error ignored = SL_ERROR_INIT;
    int failed = 0, code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    describe_end(task, status, what);
    if (s->stopping)
        return;
    sl_events_checked(s, task, &failed);
    if (code == 0) {
        sl_state_move(s, task, "ready", NULL, "none", false, &ignored);
        return;
    }
    if (code == 3)
        snprintf(what, sizeof(what), "%d finding%s to be cured or ignored", failed,
                 failed == 1 ? " has" : "s have");
    sl_state_move(s, task, "check_failed", what, "none", false, &ignored);
}

static void release_ended(sl_service *s, sl_task *task, int status)
{
    char what[1500];
    sl_error ignored = SL_ERROR_INIT;
    describe_end(task, status, what);
    if (s->stopping)
        return;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        task->started = false;
        sl_task_set_started(s->catalog, task->id, false, &ignored);
        sl_task_set_error(s->catalog, task->id, NULL, &ignored);
        sl_error_clear(&ignored);
        /* With force and without the source: the SQL that is left to run there. */
        const char *said = sl_buf_str(&task->process.output);
        sl_state_move(s, task, "released", said[0] ? said : NULL, "none", false, &ignored);
    } else {
        store_error(s, task, status, what);
        sl_state_move(s, task, "failed", what, "none", false, &ignored);
    }
}

static void stop_ended(sl_service *s, sl_task *task, int status)
{
    char what[1500];
    sl_error ignored = SL_ERROR_INIT;
    describe_end(task, status, what);
    if (s->stopping || strcmp(task->desired, "stop") != 0) /* a release came meanwhile */
        return;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        sl_state_move(s, task, "stopped", "stopped by a user", "none", false, &ignored);
    } else {
        store_error(s, task, status, what);
        sl_state_move(s, task, "failed", what, "none", false, &ignored);
    }
}

static void take_lines(sl_service *s, sl_task *task)
{
    sl_buf *out = &task->process.output;
    size_t from = 0;
    if (task->job == SL_JOB_RELEASE ||
        task->job == SL_JOB_STOP) /* text for people; an error is one JSON line */
        return;
    for (char *end; (end = memchr(out->data + from, '\n', out->len - from));) {
        size_t n = (size_t)(end - (out->data + from));
        sl_events_line(s, task, out->data + from, n);
        from += n + 1;
        if (from == out->len)
            break;
    }
    memmove(out->data, out->data + from, out->len - from + 1);
    out->len -= from;
}

static void take_release(sl_service *s, sl_task *task)
{
    sl_buf *out = &task->process.output;
    for (size_t n; sl_buf_str(out)[0] == '{';) { /* what it used; an error */
        n = strcspn(out->data, "\n");
        sl_events_line(s, task, out->data, n);
        n += out->data[n] == '\n';
        memmove(out->data, out->data + n, out->len - n + 1);
        out->len -= n;
    }
}

static void look_at(sl_service *s, sl_task *task)
{
    int status = 0;
    sl_process_move(&task->process);
    bool ended = sl_process_ended(&task->process, &status);
    if (task->process.output.len > 0)
        take_lines(s, task);
    if (!ended)
        return;
    sl_job job = task->job;
    if (job == SL_JOB_RELEASE || job == SL_JOB_STOP)
        take_release(s, task);
    task->job = SL_JOB_NONE;
    (job == SL_JOB_RUN     ? run_ended
     : job == SL_JOB_CHECK ? check_ended
     : job == SL_JOB_STOP  ? stop_ended
                           : release_ended)(s, task, status);
    sl_buf_free(&task->process.output);
    s->news_number++;
    pthread_cond_broadcast(&s->news);
}

/* ---- the loop ---- */

typedef struct watch {
    struct pollfd *fds;
    size_t n, cap;
} watch;

static void add_fd(watch *w, int fd, short events)
{
    if (w->n == w->cap) {
        w->cap = w->cap ? 2 * w->cap : 64;
        w->fds = sl_xrealloc(w->fds, w->cap * sizeof(*w->fds));
    }
    w->fds[w->n++] = (struct pollfd){ .fd = fd, .events = events };
}

static int prepare(sl_service *s, watch *w)
{
    int64_t now = sl_mono_us(), wait = 1000000;
    w->n = 0;
    add_fd(w, s->wake_fd, POLLIN);
    add_fd(w, s->stop->fd, POLLIN);
    for (size_t i = 0; i < s->n_tasks; i++) {
        const sl_task *task = s->tasks[i];
        if (task->job != SL_JOB_NONE) {
            if (sl_process_wants(&task->process))
                add_fd(w, task->process.fd, sl_process_wants(&task->process));
            add_fd(w, task->process.pidfd, POLLIN);
        } else if (task->not_before_us > now && task->not_before_us - now < wait) {
            wait = task->not_before_us - now;
        }
    }
    return (int)(wait / 1000) + 1;
}

/* By descriptor, since tasks may have come and gone while nobody held the lock. n: how many of the
 * watched have news, which stand first. */
static bool has_news(const watch *w, size_t n, const sl_task *task)
{
    for (size_t i = 0; i < n; i++)
        if (w->fds[i].fd == task->process.fd || w->fds[i].fd == task->process.pidfd)
            return true;
    return false;
}

/* Moves those with news to the front; returns their number. */
static size_t gather_news(watch *w)
{
    size_t n = 0;
    for (size_t i = 2; i < w->n; i++)
        if (w->fds[i].revents)
            w->fds[n++] = w->fds[i];
    return n;
}

static void keep_house(sl_service *s, int64_t *pruned)
{
    sl_error err = SL_ERROR_INIT;
    for (size_t i = 0; i < s->n_tasks; i++)
        if (s->tasks[i]->unsaved)
            sl_state_save(s, s->tasks[i]);
    if (sl_mono_us() - *pruned < PRUNE_US)
        return;
    *pruned = sl_mono_us();
    if (sl_catalog_prune(s->catalog, &err) != SL_OK)
        sl_log_error(&err, "old records could not be removed from the catalog");
}

/* From the loop itself, so that a supervisor that hangs is restarted by systemd. */
static void feed_watchdog(sl_service *s)
{
    static int64_t fed;
    struct timespec now;
    if (s->watchdog_us == 0)
        return;
    clock_gettime(CLOCK_MONOTONIC, &now); /* systemd's clock, whatever a test's says */
    int64_t us = (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
    if (us - fed < s->watchdog_us)
        return;
    fed = us;
    sl_serve_notify("WATCHDOG=1");
}

static void end_all(sl_service *s, watch *w)
{
    int64_t deadline = sl_mono_us() + (STOP_SECONDS + 2) * INT64_C(1000000);
    for (bool running = true; running && sl_mono_us() < deadline;) {
        running = false;
        feed_watchdog(s);
        for (size_t i = 0; i < s->n_tasks; i++) {
            sl_task *task = s->tasks[i];
            if (task->job != SL_JOB_NONE)
                ask_to_end(task);
            if (task->job != SL_JOB_NONE)
                look_at(s, task);
            running |= task->job != SL_JOB_NONE;
        }
        prepare(s, w);
        if (running) /* without the two that say stop */
            poll(w->fds + 2, w->n - 2, 200);
    }
}

void sl_supervisor_run(sl_service *s)
{
    watch w = { 0 };
    int64_t pruned = 0, kept = 0, ticked = 0;
    uint64_t drained;
    pthread_mutex_lock(&s->lock);
    while (!sl_stopping(s->stop)) {
        for (size_t i = 0; i < s->n_tasks; i++)
            converge(s, s->tasks[i]);
        if (sl_mono_us() - kept > HOUSEKEEPING_US) {
            kept = sl_mono_us();
            keep_house(s, &pruned);
        }
        sl_events_metrics(s);
        feed_watchdog(s);
        if (sl_mono_us() - ticked >= TICK_US) {
            ticked = sl_mono_us();
            sl_metering_tick(s);
            tell_retry_times(s);
            sl_alerts_tick(s);
            sl_deliver_look(s);
        }
        int wait = prepare(s, &w);
        pthread_mutex_unlock(&s->lock);
        poll(w.fds, w.n, wait);
        size_t n_news = gather_news(&w);
        ssize_t n = read(s->wake_fd, &drained, sizeof(drained));
        (void)n;
        pthread_mutex_lock(&s->lock);
        for (size_t i = 0; i < s->n_tasks; i++)
            if (n_news > 0 && s->tasks[i]->job != SL_JOB_NONE && has_news(&w, n_news, s->tasks[i]))
                look_at(s, s->tasks[i]);
    }
    s->stopping = true;
    pthread_cond_broadcast(&s->news);
    sl_info("stopping: the tasks end their batches and go on at the next start");
    end_all(s, &w);
    pthread_mutex_unlock(&s->lock);
    free(w.fds);
}
