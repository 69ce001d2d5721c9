/* stream.c: server-sent events. The connection's own thread waits for news and writes them: events
 * of the history by their number, so that none is missed and a client can come back; the latest
 * progress of each task, so that a slow client gets fewer, not old ones. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "service/http.h"

#define QUIET_US INT64_C(15000000)
#define AT_ONCE 100

typedef struct stream {
    sl_service *s;
    char task[17];                                     /* "" for all */
    char session[SL_TOKEN_SIZE], token[SL_TOKEN_SIZE]; /* looked at again: a login can end */
    int64_t last_id, wrote_us, checked_us;
    uint64_t news;
    sl_map *shown; /* task id → its progress number */
    sl_buf out;    /* what is to be written, from sent on */
    size_t sent;
} stream;

static void add_event(stream *st, const char *event, const json_t *data, int64_t id)
{
    char *text = json_dumps(data, JSON_COMPACT);
    if (id > 0)
        sl_buf_printf(&st->out, "id: %lld\n", (long long)id);
    sl_buf_printf(&st->out, "event: %s\ndata: %s\n\n", event, text ? text : "{}");
    free(text);
}

static void add_stored(stream *st)
{
    json_t *events = NULL, *event;
    sl_error ignored = SL_ERROR_INIT;
    size_t i;
    if (sl_event_after(st->s->catalog, st->task[0] ? st->task : NULL, st->last_id, AT_ONCE, &events,
                       &ignored) != SL_OK)
        return;
    json_array_foreach(events, i, event)
    {
        st->last_id = json_integer_value(json_object_get(event, "id"));
        add_event(st, json_string_value(json_object_get(event, "event")), event, st->last_id);
    }
    json_decref(events);
}

/* Under the service's lock. */
static void add_progress(stream *st)
{
    for (size_t i = 0; i < st->s->n_tasks; i++) {
        const sl_task *task = st->s->tasks[i];
        size_t n = strlen(task->id);
        void *number = (void *)(uintptr_t)task->progress_number;
        if ((st->task[0] && strcmp(st->task, task->id) != 0) || !task->progress ||
            sl_map_get(st->shown, task->id, n) == number)
            continue;
        sl_map_put(st->shown, task->id, n, number);
        json_t *data = json_pack("{s:s, s:s, s:O}", "task", task->id, "state", task->state,
                                 "fields", task->progress);
        add_event(st, "progress", data, 0);
        json_decref(data);
    }
}

/* Is who asked still allowed to? Looked at once a minute. */
static bool still_allowed(stream *st)
{
    sl_who who;
    sl_error ignored = SL_ERROR_INIT;
    if (sl_mono_us() - st->checked_us < INT64_C(60000000))
        return true;
    st->checked_us = sl_mono_us();
    sl_rc rc = st->session[0] ? sl_session_find(st->s->catalog, st->session, &who, &ignored)
                              : sl_token_find(st->s->catalog, st->token, &who, &ignored);
    return rc != SL_NOT_FOUND;
}

/* Waits up to a second for news; false when the service stops. */
static bool wait_for_news(stream *st)
{
    SL_SERVICE_LOCKED(st->s);
    if (st->s->news_number == st->news && !st->s->stopping)
        sl_cond_wait(&st->s->news, &st->s->lock, sl_deadline(1000));
    if (st->s->news_number != st->news)
        add_progress(st);
    st->news = st->s->news_number;
    return !st->s->stopping;
}

static ssize_t produce(void *cls, uint64_t position, char *buf, size_t max)
{
    stream *st = cls;
    (void)position;
    while (st->sent == st->out.len) {
        sl_buf_clear(&st->out);
        st->sent = 0;
        if (!still_allowed(st) || !wait_for_news(st))
            return MHD_CONTENT_READER_END_OF_STREAM;
        add_stored(st);
        if (st->out.len == 0 && sl_mono_us() - st->wrote_us > QUIET_US)
            sl_buf_puts(&st->out, ": still here\n\n");
    }
    size_t n = st->out.len - st->sent < max ? st->out.len - st->sent : max;
    memcpy(buf, st->out.data + st->sent, n);
    st->sent += n;
    st->wrote_us = sl_mono_us();
    return (ssize_t)n;
}

static void free_stream(void *cls)
{
    stream *st = cls;
    sl_map_free(st->shown);
    sl_buf_free(&st->out);
    explicit_bzero(st->token, sizeof(st->token));
    free(st);
}

void sl_reply_stream(sl_request *r, const char *task)
{
    const char *last = sl_header(r, "Last-Event-ID"), *given = sl_header(r, "Authorization");
    stream *st = sl_xcalloc(1, sizeof(*st));
    st->s = r->s;
    snprintf(st->task, sizeof(st->task), "%s", task ? task : "");
    memcpy(st->session, r->session, sizeof(st->session));
    if (!st->session[0] && given)
        snprintf(st->token, sizeof(st->token), "%s", given + strlen("Bearer "));
    st->shown = sl_map_new();
    st->checked_us = st->wrote_us = sl_mono_us();
    st->last_id = last && last[0] ? strtoll(last, NULL, 10) : sl_event_last_id(r->s->catalog);
    st->news = UINT64_MAX; /* so that the present progress is sent at once */
    sl_buf_puts(&st->out, ": pgsluice\n\n");
    struct MHD_Response *response =
        MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 4096, produce, st, free_stream);
    MHD_add_response_header(response, "Content-Type", "text/event-stream");
    sl_reply_response(r, 200, response);
}
