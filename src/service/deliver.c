/* deliver.c: threads that send what is due, with retries.
 *
 * How: what is to be sent is in the catalog before anybody tries; a thread takes the oldest one
 * whose contact no other thread is busy with, so that one contact that does not answer holds up no
 * other. What was being sent when the service ended is sent again at the next start: a message
 * arrives at least once, and carries its number. */
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "service/service.h"

#define N_THREADS 4
#define LOOK_AT 200 /* deliveries that are due, at most, to find one with an idle contact */

/* Seconds from one attempt to the next; after the last the delivery has failed. */
static const int waits[] = { 10, 30, 60, 300, 900, 3600, 3 * 3600, 6 * 3600 };
#define N_WAITS ((int)(sizeof(waits) / sizeof(waits[0])))

struct sl_senders {
    pthread_t threads[N_THREADS];
    int n_threads;
    pthread_mutex_t lock;
    pthread_cond_t due;
    bool stop;
    uint64_t look;                    /* grows when there may be something to send */
    char busy[N_THREADS][SL_ID_SIZE]; /* contacts */
};

typedef struct job {
    int64_t id;
    int attempts;
    char contact[SL_ID_SIZE];
    json_t *message;
} job;

static bool is_busy(const struct sl_senders *d, const char *contact)
{
    for (int i = 0; i < N_THREADS; i++)
        if (strcmp(d->busy[i], contact) == 0)
            return true;
    return false;
}

/* Under the lock: the oldest that is due and whose contact is idle. */
static bool take(sl_service *s, struct sl_senders *d, int thread, job *out)
{
    json_t *due = NULL, *row;
    sl_error err = SL_ERROR_INIT;
    bool found = false;
    size_t i;
    if (sl_delivery_due(s->catalog, LOOK_AT, &due, &err) != SL_OK) {
        if (s->catalog_failures++ % 100 == 0)
            sl_log_error(&err, "what is to be sent could not be read");
        return false;
    }
    json_array_foreach(due, i, row)
    {
        const char *contact = json_string_value(json_object_get(row, "contact"));
        if (found || is_busy(d, contact))
            continue;
        found = true;
        out->id = json_integer_value(json_object_get(row, "id"));
        out->attempts = (int)json_integer_value(json_object_get(row, "attempts"));
        out->message = json_incref(json_object_get(row, "message"));
        snprintf(out->contact, sizeof(out->contact), "%s", contact);
        memcpy(d->busy[thread], out->contact, sizeof(out->contact));
    }
    json_decref(due);
    return found;
}

static sl_rc open_secrets(sl_service *s, const char *sealed, sl_arena *arena, json_t **secrets,
                          sl_error *err)
{
    char *text = NULL;
    if (!sealed)
        return SL_OK;
    sl_rc rc = sl_secret_open(s->catalog, "contact", sealed, arena, &text, err);
    if (rc != SL_OK)
        return rc;
    *secrets = json_loads(text, 0, NULL);
    explicit_bzero(text, strlen(text));
    return SL_OK;
}

static bool try_contact(sl_service *s, const job *j, sl_buf *result)
{
    SL_SCRATCH(tmp);
    json_t *contact = NULL, *secrets = NULL;
    char *sealed = NULL;
    sl_error err = SL_ERROR_INIT;
    bool sent = false;
    sl_rc rc = sl_contact_get(s->catalog, j->contact, &tmp, &contact, &sealed, &err);
    if (rc == SL_OK)
        rc = open_secrets(s, sealed, &tmp, &secrets, &err);
    if (rc == SL_OK) {
        json_object_set_new(j->message, "delivery", json_integer(j->id));
        sent = sl_send(s, contact, secrets, j->message, result);
    } else {
        sl_buf_puts(result, rc == SL_NOT_FOUND ? "the contact was deleted" : err.message);
    }
    json_decref(contact);
    json_decref(secrets);
    return sent;
}

/* Tries once and stores what came of it. */
static sl_rc deliver(sl_service *s, const job *j, sl_error *err)
{
    SL_BUF(result);
    bool sent = try_contact(s, j, &result);
    int attempts = j->attempts + 1;
    if (!sent && s->stopping)
        return SL_OK; /* that is no result: again at the next start */
    const char *event = json_string_value(json_object_get(j->message, "event"));
    bool again = !sent && attempts <= N_WAITS && strcmp(event ? event : "", "test") != 0;
    int64_t next = again ? sl_now_us() + waits[attempts - 1] * INT64_C(1000000) : 0;
    if (!sent)
        sl_warn("alert %lld to contact %s: %s", (long long)j->id, j->contact, sl_buf_str(&result));
    return sl_delivery_result(s->catalog, j->id,
                              sent    ? "delivered"
                              : again ? "waiting"
                                      : "failed",
                              attempts, next, sl_buf_str(&result), err);
}

typedef struct sender {
    sl_service *s;
    int number;
} sender;

static void *work(void *arg)
{
    sender me = *(sender *)arg;
    struct sl_senders *d = me.s->senders;
    uint64_t looked = 0;
    free(arg);
    pthread_mutex_lock(&d->lock);
    while (!d->stop) {
        job j = { 0 };
        looked = d->look;
        if (take(me.s, d, me.number, &j)) {
            sl_error err = SL_ERROR_INIT;
            pthread_mutex_unlock(&d->lock);
            if (deliver(me.s, &j, &err) != SL_OK && err.code != SL_OK)
                sl_log_error(&err, "what came of an alert could not be stored");
            json_decref(j.message);
            pthread_mutex_lock(&d->lock);
            d->busy[me.number][0] = '\0';
            continue;
        }
        while (!d->stop && d->look == looked)
            pthread_cond_wait(&d->due, &d->lock);
    }
    pthread_mutex_unlock(&d->lock);
    return NULL;
}

sl_rc sl_deliver_start(sl_service *s, sl_error *err)
{
    struct sl_senders *d = s->senders = sl_xcalloc(1, sizeof(*d));
    pthread_attr_t attributes;
    curl_global_init(CURL_GLOBAL_DEFAULT);
    pthread_mutex_init(&d->lock, NULL);
    pthread_cond_init(&d->due, NULL);
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, (size_t)512 << 10);
    for (; d->n_threads < N_THREADS; d->n_threads++) {
        sender *me = sl_xcalloc(1, sizeof(*me));
        *me = (sender){ s, d->n_threads };
        if (pthread_create(&d->threads[d->n_threads], &attributes, work, me) != 0) {
            free(me);
            sl_fail(err, SL_FAILED, "no thread for sending alerts");
            break;
        }
    }
    pthread_attr_destroy(&attributes);
    return d->n_threads == N_THREADS ? SL_OK : err->code;
}

void sl_deliver_stop(sl_service *s)
{
    struct sl_senders *d = s->senders;
    if (!d)
        return;
    pthread_mutex_lock(&d->lock);
    d->stop = true;
    pthread_cond_broadcast(&d->due);
    pthread_mutex_unlock(&d->lock);
    for (int i = 0; i < d->n_threads; i++)
        pthread_join(d->threads[i], NULL);
    pthread_cond_destroy(&d->due);
    pthread_mutex_destroy(&d->lock);
    free(d);
    s->senders = NULL;
    curl_global_cleanup();
}

void sl_deliver_look(sl_service *s)
{
    json_t *due = NULL;
    sl_error ignored = SL_ERROR_INIT;
    struct sl_senders *d = s->senders;
    if (sl_delivery_due(s->catalog, 1, &due, &ignored) == SL_OK && json_array_size(due) > 0) {
        pthread_mutex_lock(&d->lock);
        d->look++;
        pthread_cond_broadcast(&d->due);
        pthread_mutex_unlock(&d->lock);
    }
    json_decref(due);
}

sl_rc sl_deliver_now(sl_service *s, int64_t id, sl_error *err)
{
    json_t *message = NULL, *delivery = NULL;
    job j = { .id = id };
    sl_rc rc = sl_delivery_get(s->catalog, id, &delivery, err);
    if (rc == SL_OK)
        rc = sl_delivery_message(s->catalog, id, &message, err);
    if (rc == SL_OK) {
        const char *contact = json_string_value(json_object_get(delivery, "contact"));
        snprintf(j.contact, sizeof(j.contact), "%s", contact);
        j.attempts = (int)json_integer_value(json_object_get(delivery, "attempts"));
        j.message = message;
        /* Nobody else tries meanwhile; when this process ends now, it is tried again later. */
        rc = sl_delivery_result(s->catalog, id, "waiting", j.attempts,
                                sl_now_us() + INT64_C(120000000), NULL, err);
    }
    if (rc == SL_OK)
        rc = deliver(s, &j, err);
    json_decref(message);
    json_decref(delivery);
    return rc;
}
