/* relay_run.c: moves one COPY between two channels.
 *
 * How: one thread, one loop: read what is there, write what fits, see what has changed, wait.
 * Source bytes are read straight into a ring, their CopyData runs written on (unchanged, but for
 * blanks that need not be sent); everything else the servers say comes to on_message.
 *
 * Invariants:
 *  1. Rows are sent only after the destination has said CopyInResponse, CopyDone only after the
 *     source has said ReadyForQuery without an error.
 *  2. The destination is never left inside a message: after a failure the ring is emptied and the
 *     last CopyData filled up with zeros, which the server throws away or CopyFail undoes.
 *  3. The first error wins; what the other side says because of it is not looked at.
 *  4. When a stop is requested both connections are cut, so that no network can hold us up; the
 *     servers then roll back.
 *
 * Not here: libpq, TLS, connecting. */
#include "pg/relay_run.h"
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include "pg/relay_frames.h"
#include "pg/relay_ring.h"

#define DESTINATION_BUFFER (SL_FRAMES_MAX_OTHER + 4096)
#define BULK ((uint64_t)1 << 20) /* from here on small reads are worth waiting for more */
#define SMALL_READ ((size_t)64 << 10)
#define NAP_MS 1
#define LIMITED_READ ((size_t)8 << 10) /* what a server sends at once: rows come evenly */
#define MAX_FILL ((uint64_t)64 << 20)  /* more missing than this: cut the connection instead */

typedef struct side {
    struct relay *relay;
    sl_side which;
    sl_channel *ch;
    sl_frames frames;
    sl_buf out; /* our messages, behind the ring's bytes */
    size_t out_sent, held;
    bool in_copy;   /* CopyOutResponse, CopyInResponse */
    bool copy_done; /* the source's CopyDone; ours to the destination */
    bool failed;    /* it said ErrorResponse */
    bool ready;     /* ReadyForQuery: its COPY is over */
} side;

typedef struct relay {
    const sl_relay_plan *plan;
    side source, destination;
    sl_ring ring;
    char *inbox;   /* what the destination says */
    uint64_t fill; /* zeros that complete the last message */
    bool nap;      /* the source has sent little: let more of it gather */
    bool abandoned;
    int64_t pause_us; /* until more rows may be read */
    int64_t rows_shown, rows_tag, give_up_at;
    sl_error *err;
} relay;

/* The first failure starts the time in which both sides have to come to an end. */
static void note_failure(relay *r)
{
    if (!r->give_up_at)
        r->give_up_at = sl_mono_us() + r->plan->patience_us;
}

static void fail_protocol(side *s, const char *what)
{
    sl_fail(s->relay->err, SL_TRANSIENT, "the %s sent what COPY does not allow (%s)",
            sl_side_name(s->which), what);
    sl_channel_kill(s->ch);
    note_failure(s->relay);
}

/* ErrorResponse: pairs of a field's letter and its text. */
static void on_error(side *s, const char *body, size_t len)
{
    const char *field[128] = { 0 };
    size_t at = 0;
    while (at < len && body[at]) {
        const char *text = body + at + 1;
        const char *end = memchr(text, 0, len - at - 1);
        if (!end)
            break;
        field[body[at] & 127] = text;
        at = (size_t)(end - body) + 1;
    }
    s->failed = true;
    note_failure(s->relay);
    sl_error *err = s->relay->err;
    if (err->code != SL_OK)
        return;
    sl_pg_fail_fields(s->ch->pg, field['C'] ? field['C'] : "", field['M'] ? field['M'] : "",
                      field['D'], field['H'], err);
    if (field['W'])
        sl_while(err, "%.*s", (int)strcspn(field['W'], "\n"), field['W']);
}

static int64_t tag_rows(const char *body, size_t len)
{
    char tag[64];
    size_t n = len < sizeof tag ? len : sizeof tag - 1;
    memcpy(tag, body, n);
    tag[n] = 0;
    return strncmp(tag, "COPY ", 5) == 0 ? strtoll(tag + 5, NULL, 10) : 0;
}

static bool on_message(void *self, char type, const char *body, size_t len)
{
    side *s = self;
    switch (type) {
    case 'E':
        on_error(s, body, len);
        return true;
    case 'N': /* notices, settings and notifications are nothing to a COPY */
    case 'S':
    case 'A':
        return true;
    case 'H':
    case 'G':
        s->in_copy = (type == 'H') == (s->which == SL_SOURCE);
        return s->in_copy;
    case 'c':
        s->copy_done = true;
        return s->which == SL_SOURCE && s->in_copy;
    case 'C':
        if (s->which == SL_DESTINATION)
            s->relay->rows_tag = tag_rows(body, len);
        return true;
    case 'Z':
        s->ready = true;
        return true;
    default:
        return false;
    }
}

static void count(relay *r, size_t bytes)
{
    const sl_relay_counters *c = &r->plan->job->counters;
    int64_t rows = r->source.frames.copy_data - r->rows_shown;
    r->rows_shown += rows;
    sl_rate_take(r->plan->job->rate, rows);
    if (c->rows)
        atomic_fetch_add_explicit(c->rows, rows, memory_order_relaxed);
    if (c->bytes)
        atomic_fetch_add_explicit(c->bytes, (int64_t)bytes - 5 * rows, memory_order_relaxed);
}

static bool still_reading(const side *s)
{
    return !s->ch->closed && (!s->ready || s->held > 0);
}

/* A failed copy is read to its end at once. */
static bool is_paused(relay *r)
{
    r->pause_us = r->err->code == SL_OK ? sl_rate_wait_us(r->plan->job->rate) : 0;
    return r->pause_us > 0;
}

static void read_source(relay *r)
{
    side *s = &r->source;
    sl_ring *ring = &r->ring;
    size_t got = 0;
    while (still_reading(s) && s->ch->can_read && sl_ring_space(ring) > 0 && !is_paused(r)) {
        size_t room = sl_ring_space(ring);
        if (sl_rate_limit(r->plan->job->rate) > 0 && room > LIMITED_READ)
            room = LIMITED_READ;
        size_t n = sl_channel_read(s->ch, sl_ring_head(ring) + ring->held, room);
        if (n == 0)
            continue;
        got += n;
        size_t kept, held;
        if (!sl_frames_scan(&s->frames, sl_ring_head(ring), ring->held + n, &kept, &held)) {
            fail_protocol(s, "source");
            return;
        }
        ring->in += kept;
        ring->held = s->held = held;
        count(r, kept);
    }
    r->nap = got > 0 && got < SMALL_READ && ring->in > BULK;
}

static void read_destination(relay *r)
{
    side *s = &r->destination;
    while (still_reading(s) && s->ch->can_read) {
        size_t n = sl_channel_read(s->ch, r->inbox + s->held, DESTINATION_BUFFER - s->held);
        size_t kept;
        if (n > 0 && (!sl_frames_scan(&s->frames, r->inbox, s->held + n, &kept, &s->held) || kept))
            fail_protocol(s, "destination");
    }
}

static size_t out_left(const side *s)
{
    return s->out.len - s->out_sent;
}

static void write_out(side *s)
{
    while (out_left(s) > 0 && s->ch->can_write)
        s->out_sent += sl_channel_write(s->ch, s->out.data + s->out_sent, out_left(s));
}

/* Ring, then filling, then our own messages: the order in which they were decided. */
static void write_destination(relay *r)
{
    static const char zeros[65536];
    side *s = &r->destination;
    if (!s->in_copy) {
        write_out(s);
        return;
    }
    while (sl_ring_used(&r->ring) > 0 && s->ch->can_write)
        r->ring.out += sl_channel_write(s->ch, sl_ring_tail(&r->ring), sl_ring_used(&r->ring));
    while (sl_ring_used(&r->ring) == 0 && r->fill > 0 && s->ch->can_write)
        r->fill -= sl_channel_write(s->ch, zeros, r->fill < sizeof zeros ? r->fill : sizeof zeros);
    if (sl_ring_used(&r->ring) == 0 && r->fill == 0)
        write_out(s);
}

static bool still_writing(const relay *r)
{
    const side *s = &r->destination;
    if (s->ch->closed)
        return false;
    return out_left(s) > 0 || (s->in_copy && (sl_ring_used(&r->ring) > 0 || r->fill > 0));
}

static void put_message(side *s, char type, const char *body)
{
    size_t len = body ? strlen(body) + 1 : 0;
    sl_buf_putc(&s->out, type);
    sl_buf_put32(&s->out, (uint32_t)len + 4);
    sl_buf_add(&s->out, body ? body : "", len);
}

/* No more rows: what follows from the source is dropped, the destination's last message completed.
 */
static void abandon_rows(relay *r)
{
    if (r->abandoned)
        return;
    r->abandoned = true;
    r->fill = r->source.frames.body_left;
    r->source.frames.discard = true;
    if (r->destination.in_copy && r->fill > MAX_FILL)
        sl_channel_kill(r->destination.ch);
}

static void note_closed(side *s)
{
    if (!s->ch->closed || s->ready)
        return;
    sl_error *err = s->relay->err;
    note_failure(s->relay);
    if (err->code != SL_OK)
        return;
    sl_fail(err, SL_TRANSIENT, "the %s closed the connection during COPY%s%s",
            sl_side_name(s->which), s->ch->error ? ": " : "",
            s->ch->error ? strerror(s->ch->error) : "");
    sl_hint(err, "The %s server's log says why, if it was the server.", sl_side_name(s->which));
}

/* What follows from what the two sides have said. */
static void decide(relay *r)
{
    side *src = &r->source, *dst = &r->destination;
    note_closed(src);
    note_closed(dst);
    if (r->err->code == SL_OK && src->ready && src->copy_done && dst->in_copy && !dst->copy_done) {
        dst->copy_done = true;
        put_message(dst, 'c', NULL);
    } else if (r->err->code == SL_OK && src->ready && !src->copy_done) {
        fail_protocol(src, "no rows were announced");
    } else if (r->err->code == SL_OK && dst->ready && !dst->copy_done) {
        fail_protocol(dst, "it ended before the rows did");
    }
    if (r->err->code == SL_OK)
        return;
    if (!r->abandoned && !src->ready && !src->failed && !src->ch->closed)
        r->plan->cancel(src->ch->pg);
    abandon_rows(r);
    if (dst->ch->closed || !dst->in_copy) { /* nobody takes them; the source still needs the room */
        r->ring.out = r->ring.in;
        r->fill = 0;
    }
    if (dst->in_copy && !dst->copy_done && !dst->failed && !dst->ready) {
        dst->copy_done = true;
        put_message(dst, 'f', "the source failed");
    }
}

static bool over(const side *s)
{
    return s->ch->closed || (s->ready && s->held == 0);
}

static short wanted(const side *s, bool reading, bool writing, bool *work)
{
    short events = 0;
    if (reading && s->ch->can_read)
        *work = true;
    else if (reading)
        events |= s->ch->read_wants;
    if (writing && s->ch->can_write)
        *work = true;
    else if (writing)
        events |= s->ch->write_wants;
    return events;
}

static void woken(side *s, short events)
{
    short trouble = POLLHUP | POLLERR | POLLNVAL;
    if (events & (s->ch->read_wants | trouble))
        s->ch->can_read = true;
    if (events & (s->ch->write_wants | trouble))
        s->ch->can_write = true;
}

/* Waits until a side can go on. A server sends COPY in pieces of 8 KiB, and being woken for each
 * costs more than moving it: after a small read the source is left alone for a moment. A side that
 * nothing is wanted from is not polled: a hang-up that cannot be read yet would wake us for ever.
 */
static void wait_for_sides(relay *r)
{
    bool work = false;
    side *src = &r->source, *dst = &r->destination;
    bool paused = is_paused(r);
    r->nap &= !paused;
    short src_events = wanted(src, still_reading(src) && sl_ring_space(&r->ring) > 0 && !paused,
                              out_left(src) > 0 && !src->ch->closed, &work);
    short dst_events = wanted(dst, still_reading(dst), still_writing(r), &work);
    struct pollfd fds[3] = {
        { .fd = src_events && !r->nap ? src->ch->fd : -1, .events = src_events },
        { .fd = dst_events ? dst->ch->fd : -1, .events = dst_events },
        { .fd = r->plan->stop ? r->plan->stop->fd : -1, .events = POLLIN },
    };
    int pause_ms = paused ? (int)((r->pause_us < 100000 ? r->pause_us : 100000) / 1000) + 1 : -1;
    if (poll(fds, 3, work ? 0 : r->nap ? NAP_MS : r->give_up_at ? 100 : pause_ms) < 0)
        return;
    if (r->nap)
        src->ch->can_read = true;
    woken(src, fds[0].revents);
    woken(dst, fds[1].revents);
}

static void stop_or_give_up(relay *r)
{
    bool stop = sl_stopping(r->plan->stop);
    if (!stop && !(r->give_up_at && sl_mono_us() > r->give_up_at))
        return;
    if (stop)
        sl_fail(r->err, SL_CANCELLED, "stopped during COPY");
    if (!over(&r->source))
        sl_channel_kill(r->source.ch);
    if (!over(&r->destination) || still_writing(r))
        sl_channel_kill(r->destination.ch);
}

static void run(relay *r)
{
    put_message(&r->source, 'Q', r->plan->job->source_sql);
    put_message(&r->destination, 'Q', r->plan->job->destination_sql);
    for (;;) {
        stop_or_give_up(r);
        write_out(&r->source);
        read_source(r);
        read_destination(r);
        decide(r);
        write_destination(r);
        if (over(&r->source) && over(&r->destination) && !still_writing(r))
            return;
        wait_for_sides(r);
    }
}

static void init_side(relay *r, side *s, sl_side which, sl_channel *ch)
{
    s->relay = r;
    s->which = which;
    s->ch = ch;
    s->frames.message = on_message;
    s->frames.self = s;
}

sl_rc sl_relay_run(const sl_relay_plan *plan, sl_channel *source, sl_channel *destination,
                   sl_error *err)
{
    sl_error own = SL_ERROR_INIT;
    relay r = { .plan = plan, .err = &own };
    init_side(&r, &r.source, SL_SOURCE, source);
    r.source.frames.trim = plan->job->trim.blank ? &plan->job->trim : NULL;
    init_side(&r, &r.destination, SL_DESTINATION, destination);
    if (sl_ring_init(&r.ring, plan->ring_size, err) != SL_OK)
        return err->code;
    r.inbox = sl_xmalloc(DESTINATION_BUFFER);
    run(&r);
    if (own.code == SL_OK) {
        *plan->rows_written = r.rows_tag;
        if (plan->job->counters.rows)
            atomic_fetch_add(plan->job->counters.rows, r.rows_tag - r.rows_shown);
    } else if (err->code == SL_OK) {
        *err = own;
    }
    free(r.inbox);
    sl_buf_free(&r.source.out);
    sl_buf_free(&r.destination.out);
    sl_ring_free(&r.ring);
    return own.code;
}
