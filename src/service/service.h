/* service.h: what the files of src/service share: the service, the tasks' processes, requests.
 *
 * Threads: the main thread supervises (supervisor.c) and is the only one that starts workers, since
 * a worker dies with the thread that started it; each HTTP connection has a thread of its own.
 * `lock` covers tasks and their states; the catalog has its own lock and may be used without. */
#ifndef SL_SERVICE_SERVICE_H
#define SL_SERVICE_SERVICE_H

#include <netinet/in.h>
#include <pthread.h>
#include <sys/types.h>
#include "catalog/catalog.h"
#include "core/clock.h"

typedef struct sl_serve_options {
    const char *data_dir;
    const char *listen; /* ADDR:PORT, [ADDR6]:PORT */
    const char *tls_cert, *tls_key;
    const char *alert_commands; /* directory of the programs that contacts may name, or NULL */
    const char *secrets;        /* a directory of passwords that users may refer to, or NULL */
    bool behind_proxy; /* a proxy in front does TLS: other addresses than loopback are fine */
} sl_serve_options;

/* ---- a child process that speaks on one socket ---- */
typedef struct sl_process {
    pid_t pid;     /* 0: none */
    int pidfd, fd; /* fd: its standard input and output, non-blocking */
    sl_buf input;  /* what it still has to be given; then its input is closed */
    size_t sent;
    sl_buf output;
    bool eof;
    bool keep_input; /* set before the start: `input` may get more later */
} sl_process;
/* Starts this executable with these words (NULL-terminated). text goes to its standard input and is
 * never in its arguments or environment; stderr_fd (or -1) takes its log. */
sl_rc sl_process_start(sl_process *p, const char *const *words, const char *text, int stderr_fd,
                       sl_error *err);
/* Moves what can be moved without waiting; output grows. */
void sl_process_move(sl_process *p);
short sl_process_wants(const sl_process *p); /* poll events of fd */
/* Has it ended? Then status is as of waitpid and p is empty again but for output. */
bool sl_process_ended(sl_process *p, int *status);
void sl_process_kill(sl_process *p); /* and waits; frees everything */

typedef struct sl_service sl_service;
/* Runs any program to its end, from any thread but the main one: output is its standard output (at
 * most 32 MiB), code its exit code or 128 and the signal. SL_TRANSIENT when it takes longer. */
sl_rc sl_process_run(sl_service *s, const char *path, const char *const *words, const char *text,
                     int seconds, sl_buf *output, int *code, sl_error *err);
/* The same with this executable; SL_TRANSIENT also when too many run. */
sl_rc sl_process_ask(sl_service *s, const char *const *words, const char *text, int seconds,
                     sl_buf *output, int *code, sl_error *err);

/* ---- tasks ---- */

/* Where a change is, by the LSN that has passed there. */
typedef enum sl_hop {
    SL_HOP_SOURCE,
    SL_HOP_RECEIVED,
    SL_HOP_APPLIED,
    SL_HOP_ACKED,
    SL_HOPS
} sl_hop;

typedef enum sl_job { SL_JOB_NONE, SL_JOB_RUN, SL_JOB_CHECK, SL_JOB_STOP, SL_JOB_RELEASE } sl_job;

/* A time that a task ran, or retried, and that is not yet in the catalog. */
typedef struct sl_spent {
    int64_t from_us, to_us;
    bool retrying;
} sl_spent;
#define SL_MOST_SPENT 16

typedef struct sl_task {
    char id[17];
    char *state, *reason, *desired; /* as in the catalog, or newer while it cannot be written */
    bool unsaved;
    bool started;
    sl_job job;
    sl_process process;
    int64_t job_since_us;  /* wall clock */
    int64_t term_since_us; /* when it was asked to end, monotonic; 0: not yet */
    int64_t not_before_us; /* of the next start, monotonic */
    int restarts, crashes_in_a_row;
    bool reload;   /* its process was asked to end, to be started anew */
    bool finished; /* it said so */
    bool force;    /* of the release */
    json_t *progress, *retry, *error, *findings; /* as last heard; or NULL */
    uint64_t progress_number;                    /* grows with each progress or tables event */
    json_t *metric_base;   /* counters of the last stored point of this worker, or NULL */
    int64_t endangered_us; /* when its worker last said that its slot is in danger; 0: never */
    int64_t progress_us;   /* when progress was heard */
    int retry_minutes;     /* that its worker was told last; 0: only in its specification */
    int64_t metered_us;    /* up to when its time is in `spent` or the catalog */
    sl_spent spent[SL_MOST_SPENT];
    int n_spent;
    double rate;
    int64_t rate_rows, rate_at_us;
    double hop_rates[SL_HOPS];  /* bytes of WAL a second */
    uint64_t hop_lsns[SL_HOPS]; /* as of rate_at_us */
} sl_task;

struct sl_service {
    sl_serve_options options;
    sl_catalog *catalog;
    pthread_mutex_t lock;
    pthread_mutex_t once; /* requests with an Idempotency-Key; taken before `lock` */
    pthread_cond_t news;  /* events or progress */
    uint64_t news_number;
    sl_task **tasks; /* ordered by nothing */
    size_t n_tasks, cap_tasks;
    int wake_fd; /* makes the main thread look at the tasks */
    sl_stop *stop;
    _Atomic bool stopping;
    _Atomic int asking; /* processes of HTTP threads */
    _Atomic int64_t catalog_failures;
    int64_t started_us;
    int64_t metric_slot; /* time of the last points, seconds */
    int64_t watchdog_us; /* how often systemd wants to hear that the main thread lives; 0: not */
    struct sl_throttle *throttle;
    bool runs_changed;          /* which tasks run did: the retry times that hold may have */
    _Atomic bool terms_changed; /* names, classes or billing of tasks did */
    struct sl_metering *metering;
    struct sl_alerts *alerts;
    struct sl_senders *senders;
    struct sl_http *http;
};

static inline void sl_service_unlock(sl_service **s)
{
    pthread_mutex_unlock(&(*s)->lock);
}
#define SL_SERVICE_LOCKED(s)                                                                       \
    __attribute__((cleanup(sl_service_unlock), unused)) sl_service *held_ =                        \
        (pthread_mutex_lock(&(s)->lock), (s))

/* serve.c: tells systemd, if it wants to be told. */
void sl_serve_notify(const char *state);

/* supervisor.c; the lock is held by the caller where it says (L). */
sl_rc sl_supervisor_load(sl_service *s, sl_error *err);
void sl_supervisor_run(sl_service *s); /* to the stop; then ends the workers */
void sl_supervisor_free(sl_service *s);
sl_task *sl_supervisor_find(sl_service *s, const char *id); /* (L) */
sl_task *sl_supervisor_add(sl_service *s, const char *id, const char *state, const char *desired,
                           bool started);                /* (L) */
void sl_supervisor_remove(sl_service *s, sl_task *task); /* (L) */
/* What a user asks for: check, start, pause, resume, stop, release. SL_USAGE when the state does
 * not allow it. */
sl_rc sl_supervisor_action(sl_service *s, sl_task *task, const char *action, bool force,
                           sl_error *err); /* (L) */
void sl_supervisor_wake(sl_service *s);
/* A running task's process ends its batch and is started with the newest specification. */
void sl_supervisor_reload(sl_service *s, sl_task *task); /* (L) */
/* Tells a running worker what has changed (docs/events.md); steals. */
void sl_supervisor_tell(sl_service *s, sl_task *task, json_t *change); /* (L) */

/* state.c: the one place that changes a task's state. */
bool sl_state_may_move(const char *from, const char *to);
/* Stores, then shows. A move that is not allowed is SL_USAGE. With must_store a catalog that cannot
 * be written leaves everything as it was and is the error; else the state counts and is stored
 * later. */
sl_rc sl_state_move(sl_service *s, sl_task *task, const char *to, const char *reason,
                    const char *desired, bool must_store, sl_error *err); /* (L) */
void sl_state_save(sl_service *s, sl_task *task);                         /* (L) */
bool sl_state_allows(const char *state, bool started, const char *action);
json_t *sl_state_actions(const char *state, bool started); /* array of words */

/* events.c */
void sl_events_line(sl_service *s, sl_task *task, const char *line, size_t n); /* (L) */
void sl_events_keep(sl_service *s, sl_task *task, const char *event,
                    json_t *fields); /* (L), steals */
/* A point of every running task, once in ten seconds; cheap when it is not due. */
void sl_events_metrics(sl_service *s);                             /* (L) */
void sl_events_checked(sl_service *s, sl_task *task, int *failed); /* (L) */

/* specs.c: specifications as the API takes and shows them. */
/* Text of application/yaml to JSON. */
sl_rc sl_specs_from_yaml(const char *text, size_t n, json_t **spec, sl_error *err);
void sl_specs_to_yaml(const json_t *spec, sl_buf *out);
/* Takes the passwords out (arena; NULL where none), sets the id, drops what says nothing. SL_USAGE.
 */
sl_rc sl_specs_take(json_t *spec, const char *id, sl_arena *arena, const char *passwords[2],
                    sl_error *err);
/* From now on a password may be given as password_file in that directory, password_credential, or
 * password_env that begins with PGSLUICE_SECRET_. Before any request. */
sl_rc sl_specs_allow_references(const char *dir, sl_error *err);
/* One endpoint likewise. name is for messages. */
sl_rc sl_specs_take_endpoint(json_t *endpoint, const char *name, sl_arena *arena,
                             const char **password, sl_error *err);
/* Is it a valid specification? The error's message begins with "spec:1: path …". */
sl_rc sl_specs_check(const json_t *spec, const char *const passwords[2], sl_error *err);
/* With passwords, as a worker reads it. Wipe and free it with sl_specs_wipe. */
char *sl_specs_text(const json_t *spec, const char *const passwords[2]);
void sl_specs_wipe(char *text);
/* The same of a stored task. To run it: with the retry time that holds among tasks that share a
 * server, which is the lowest. */
sl_rc sl_specs_of_task(sl_service *s, const char *id, bool to_run, char **text, sl_error *err);
/* Adds has_password. Changes its argument. */
void sl_specs_show(json_t *spec, bool source, bool destination);
/* Opens a task's sealed passwords. */
sl_rc sl_specs_open(sl_service *s, const sl_task_row *row, sl_arena *arena,
                    const char *passwords[2], sl_error *err);
bool sl_specs_same(const json_t *a, const json_t *b, const char *key); /* equal, or both absent */
/* May the sealed password of one endpoint be used for the other? Else it could be sent elsewhere.
 */
bool sl_specs_same_server(const json_t *before, const json_t *after);
json_t *
sl_specs_field_error(const char *message); /* {path, message} from a spec's message, or NULL */

/* usage.c: what tasks use. All (L). */
void sl_metering_load(sl_service *s);
void sl_metering_free(sl_service *s);
void sl_metering_tick(sl_service *s);
void sl_metering_note(sl_task *task); /* its time so far, before its state changes */
sl_rc sl_metering_flush(sl_service *s, sl_error *err);
/* The last counters of a task that is being released. */
void sl_metering_release(sl_service *s, sl_task *task, const json_t *metered);
int64_t sl_metering_end(const sl_service *s, const sl_task *task); /* of its subscription, or 0 */
bool sl_metering_ended(const sl_service *s, const sl_task *task);
const char *sl_metering_class(const sl_service *s, const sl_task *task);

/* alerts.c: rules against what is known of tasks, once a second. */
sl_rc sl_alerts_load(sl_service *s, sl_error *err);
void sl_alerts_free(sl_service *s);
void sl_alerts_tick(sl_service *s);          /* (L) */
void sl_alerts_changed(sl_service *s);       /* rules or specifications did; any thread */
json_t *sl_alerts_show(sl_service *s);       /* (L): [{rule, task, kind, since, value}] */
double sl_alerts_standard(const char *kind); /* threshold: NAN: none, -1: has to be given */
bool sl_alerts_is_kind(const char *kind);
/* A template's {words}: NULL, or the first one that is not known (at most n bytes of it). */
const char *sl_alerts_bad_word(const char *text, size_t *n);
/* A specification's `alerts`: SL_USAGE, "spec:1: alerts.… …". */
sl_rc sl_alerts_check_own(sl_service *s, const json_t *alerts, sl_error *err);

/* deliver.c: threads that send what is due. */
sl_rc sl_deliver_start(sl_service *s, sl_error *err);
void sl_deliver_stop(sl_service *s);
void sl_deliver_look(sl_service *s); /* is something due? */
/* One delivery now, in this thread. What came of it is in the catalog. */
sl_rc sl_deliver_now(sl_service *s, int64_t id, sl_error *err);
/* send.c: one message to one contact. False when it did not arrive; result says what happened. */
bool sl_send(sl_service *s, const json_t *contact, const json_t *secrets, const json_t *message,
             sl_buf *result);

/* http.c */
sl_rc sl_http_start(sl_service *s, sl_error *err);
void sl_http_stop(sl_service *s);
void sl_http_print_routes(void); /* "METHOD path role operation" per line */

#endif
