/* test_relay.c: the relay against fake servers on socket pairs: framing at every split, failures of
 * either side at every point, and whether a side that stays open is left between two messages. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/buf.h"
#include "pg/relay_frames.h"
#include "pg/relay_run.h"

/* -- framing ------------------------------------------------------------------------------------
 */

static void put(sl_buf *b, char type, const void *body, size_t n)
{
    sl_buf_putc(b, type);
    sl_buf_put32(b, (uint32_t)n + 4);
    sl_buf_add(b, n ? body : "", n);
}

static void put_error(sl_buf *b, const char *state, const char *message)
{
    SL_BUF(body);
    sl_buf_printf(&body, "SERROR%cC%s%cM%s%c", 0, state, 0, message, 0);
    sl_buf_putc(&body, 0);
    put(b, 'E', body.data, body.len);
}

static bool collect_type(void *self, char type, const char *body, size_t len)
{
    sl_buf_putc(self, type);
    sl_buf_printf(self, "%zu", len);
    return type != '!';
}

/* Scans the stream in pieces, as they come from a socket; what is kept of it: into got. */
static void scan_in_pieces(sl_frames *f, const sl_buf *stream, size_t piece, sl_buf *got)
{
    char window[512];
    size_t kept, held = 0;
    for (size_t at = 0; at < stream->len; at += piece) {
        size_t n = stream->len - at < piece ? stream->len - at : piece;
        memcpy(window + held, stream->data + at, n);
        assert_true(sl_frames_scan(f, window, held + n, &kept, &held));
        sl_buf_add(got, window, kept);
        memmove(window, window + kept, held);
    }
    assert_int_equal(held, 0);
}

/* The stream in pieces of every size: what is kept must be the CopyData messages, in order. */
static void frames_survive_every_split(void **state)
{
    SL_BUF(stream);
    SL_BUF(expected);
    put(&stream, 'N', "notice", 7);
    for (size_t i = 0; i < 9; i++) {
        put(&stream, 'd', "0123456789abcdef", i * 2);
        put(&expected, 'd', "0123456789abcdef", i * 2);
        if (i == 4)
            put(&stream, 'S', "a\0b", 4);
    }
    put(&stream, 'c', NULL, 0);
    put(&stream, 'Z', "I", 1);
    for (size_t piece = 1; piece <= stream.len; piece++) {
        SL_BUF(seen);
        SL_BUF(got);
        sl_frames f = { .message = collect_type, .self = &seen };
        scan_in_pieces(&f, &stream, piece, &got);
        assert_int_equal(f.copy_data, 9);
        assert_string_equal(seen.data, "N7S4c0Z1");
        assert_int_equal(got.len, expected.len);
        assert_memory_equal(got.data, expected.data, expected.len);
    }
}

static void frames_refuse_nonsense(void **state)
{
    SL_BUF(seen);
    size_t kept, held;
    char short_length[] = { 'd', 0, 0, 0, 3 };
    char huge_other[] = { 'E', 0x7f, 0, 0, 0 };
    char unknown[] = { '!', 0, 0, 0, 4 };
    sl_frames f = { .message = collect_type, .self = &seen };
    assert_false(sl_frames_scan(&f, short_length, 5, &kept, &held));
    assert_false(sl_frames_scan(&f, huge_other, 5, &kept, &held));
    assert_false(sl_frames_scan(&f, unknown, 5, &kept, &held));
}

static void frames_discard_keeps_nothing(void **state)
{
    SL_BUF(seen);
    SL_BUF(stream);
    sl_frames f = { .message = collect_type, .self = &seen, .discard = true, .body_left = 3 };
    sl_buf_puts(&stream, "xyz");
    put(&stream, 'd', "row", 3);
    put(&stream, 'Z', "E", 1);
    sl_buf_puts(&stream, "d\0");
    size_t kept, held;
    assert_true(sl_frames_scan(&f, stream.data, stream.len, &kept, &held));
    assert_int_equal(kept, 0);
    assert_int_equal(held, 1);
    assert_int_equal(f.copy_data, 0);
    assert_string_equal(seen.data, "Z1");
}

/* -- blanks -------------------------------------------------------------------------------------
 */

static void put_field(sl_buf *b, const char *value)
{
    if (!value) {
        sl_buf_put32(b, UINT32_MAX);
        return;
    }
    sl_buf_put32(b, (uint32_t)strlen(value));
    sl_buf_puts(b, value);
}

static void put_row(sl_buf *b, const char *key, const char *padded, const char *text,
                    const char *last)
{
    SL_BUF(row);
    sl_buf_put16(&row, 4);
    put_field(&row, key);
    put_field(&row, padded);
    put_field(&row, text);
    put_field(&row, last);
    put(b, 'd', row.data, row.len);
}

static const bool second_and_last[] = { false, true, false, true };
static const sl_relay_trim four_fields = { .blank = second_and_last, .n_fields = 4 };

/* Header, rows and trailer in pieces of every size: a row that is whole in memory loses its blanks,
 * one that is not keeps them; nothing else changes. */
static void blanks_are_left_out_of_whole_rows(void **state)
{
    SL_BUF(stream);
    SL_BUF(trimmed);
    put(&stream, 'd', "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0", 19);
    sl_buf_add(&trimmed, stream.data, stream.len);
    put_row(&stream, "1 ", "ab          ", "c  ", " ");
    put_row(&trimmed, "1 ", "ab", "c  ", "");
    put_row(&stream, "2", "                        ", NULL, NULL);
    put_row(&trimmed, "2", "", NULL, NULL);
    put_row(&stream, "", "", "", "x");
    put_row(&trimmed, "", "", "", "x");
    put(&stream, 'd', "\0\4\0\0\0\1a", 7); /* cut off */
    put(&trimmed, 'd', "\0\4\0\0\0\1a", 7);
    put(&stream, 'd', "\377\377", 2);
    put(&trimmed, 'd', "\377\377", 2);
    for (size_t piece = 1; piece <= stream.len; piece++) {
        SL_BUF(seen);
        SL_BUF(got);
        sl_frames f = { .message = collect_type, .self = &seen, .trim = &four_fields };
        size_t kept, held;
        scan_in_pieces(&f, &stream, piece, &got);
        assert_int_equal(f.copy_data, 6);
        assert_in_range(got.len, trimmed.len, stream.len);
        if (piece == stream.len) {
            assert_int_equal(got.len, trimmed.len);
            assert_memory_equal(got.data, trimmed.data, trimmed.len);
        }
        /* what was left as it was is trimmed now: the rows were the same */
        sl_frames whole = { .message = collect_type, .self = &seen, .trim = &four_fields };
        assert_true(sl_frames_scan(&whole, got.data, got.len, &kept, &held));
        assert_int_equal(kept, trimmed.len);
        assert_memory_equal(got.data, trimmed.data, trimmed.len);
    }
}

/* -- fake servers -------------------------------------------------------------------------------
 */

typedef struct fake {
    int fd;
    pthread_t thread;
    /* Source: what it sends after the query, in pieces. */
    sl_buf script;
    size_t piece;
    bool hang_up; /* closes after the script */
    bool endless; /* repeats the script until it is cancelled */
    _Atomic bool cancelled;
    /* Destination: fails before row fail_at (-1: refuses the COPY, 0: never), or hangs up there. */
    int fail_at;
    bool fail_at_end;
    bool deaf; /* takes no bytes after the COPY was accepted */
    sl_buf rows;
    int n_rows;
    bool copy_failed, query_after;
} fake;

static bool read_fully(int fd, void *data, size_t n)
{
    for (size_t at = 0; at < n;) {
        ssize_t got = read(fd, (char *)data + at, n - at);
        if (got <= 0)
            return false;
        at += (size_t)got;
    }
    return true;
}

static bool write_fully(int fd, const void *data, size_t n)
{
    for (size_t at = 0; at < n;) {
        ssize_t put_now = send(fd, (const char *)data + at, n - at, MSG_NOSIGNAL);
        if (put_now <= 0)
            return false;
        at += (size_t)put_now;
    }
    return true;
}

/* One message of the relay; 0 at the end. */
static char read_message(int fd, sl_buf *body)
{
    char head[5];
    if (!read_fully(fd, head, 5))
        return 0;
    size_t len = sl_get32(head + 1) - 4;
    sl_buf_clear(body);
    sl_buf_reserve(body, len);
    if (!read_fully(fd, body->data, len))
        return 0;
    body->len = len;
    return head[0];
}

static void send_error(int fd, const char *state, const char *message)
{
    SL_BUF(out);
    put_error(&out, state, message);
    put(&out, 'Z', "E", 1);
    write_fully(fd, out.data, out.len);
}

static void *play_source(void *arg)
{
    fake *f = arg;
    SL_BUF(body);
    if (read_message(f->fd, &body) != 'Q')
        return NULL;
    do {
        for (size_t at = 0; at < f->script.len;) {
            size_t n = f->script.len - at < f->piece ? f->script.len - at : f->piece;
            if (!write_fully(f->fd, f->script.data + at, n))
                return NULL;
            at += n;
        }
    } while (f->endless && !f->cancelled);
    if (f->endless)
        send_error(f->fd, "57014", "canceling statement due to user request");
    if (f->hang_up)
        shutdown(f->fd, SHUT_RDWR);
    f->query_after = read_message(f->fd, &body) == 'Q';
    return NULL;
}

static bool accept_row(fake *f, const sl_buf *body)
{
    if (f->fail_at && f->n_rows + 1 == f->fail_at) {
        if (f->hang_up)
            shutdown(f->fd, SHUT_RDWR);
        else
            send_error(f->fd, "22P02", "bad row");
        return false;
    }
    f->n_rows++;
    sl_buf_add(&f->rows, body->data, body->len);
    return true;
}

static void end_copy(fake *f, char type)
{
    SL_BUF(out);
    char tag[40];
    f->copy_failed = type == 'f';
    if (f->copy_failed || f->fail_at_end) {
        send_error(f->fd, f->copy_failed ? "57014" : "23505", "copy failed");
        return;
    }
    snprintf(tag, sizeof(tag), "COPY %d", f->n_rows);
    put(&out, 'C', tag, strlen(tag) + 1);
    put(&out, 'Z', "T", 1);
    write_fully(f->fd, out.data, out.len);
}

static void *play_destination(void *arg)
{
    fake *f = arg;
    SL_BUF(body);
    SL_BUF(hello);
    if (read_message(f->fd, &body) != 'Q')
        return NULL;
    if (f->fail_at == -1) {
        send_error(f->fd, "42P01", "no such table");
        f->query_after = read_message(f->fd, &body) == 'Q';
        return NULL;
    }
    put(&hello, 'N', "hello", 6);
    put(&hello, 'G', "\0\0\1\0\0", 5);
    write_fully(f->fd, hello.data, hello.len);
    if (f->deaf) {
        char byte;
        struct pollfd fds = { .fd = f->fd };
        poll(&fds, 1, -1);
        (void)!read(f->fd, &byte, 0);
        return NULL;
    }
    bool accepting = true;
    char type;
    while ((type = read_message(f->fd, &body)) != 0) {
        if (type == 'd' && accepting)
            accepting = accept_row(f, &body);
        else if (accepting && (type == 'c' || type == 'f'))
            end_copy(f, type);
        else if (type == 'Q') {
            f->query_after = true;
            return NULL;
        }
    }
    return NULL;
}

typedef struct stage {
    fake source, destination;
    sl_channel from, to;
    sl_pg from_pg, to_pg;
    sl_stop stop;
    sl_error err;
    int64_t rows, patience_us;
    _Atomic int64_t counted_rows, counted_bytes;
    sl_rc rc;
} stage;

static stage *current;

static void cancel_source(sl_pg *pg)
{
    assert_int_equal(pg->side, SL_SOURCE);
    current->source.cancelled = true;
}

static void open_pair(fake *f, sl_channel *ch, sl_pg *pg, sl_side side)
{
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    f->fd = fds[0];
    pg->side = side;
    *ch = (sl_channel){ .pg = pg,
                        .fd = fds[1],
                        .can_read = true,
                        .can_write = true,
                        .read_wants = POLLIN,
                        .write_wants = POLLOUT };
}

static stage *new_stage(void)
{
    stage *s = sl_xcalloc(1, sizeof(*s));
    s->source.piece = 1 << 20;
    s->patience_us = 5000000;
    open_pair(&s->source, &s->from, &s->from_pg, SL_SOURCE);
    open_pair(&s->destination, &s->to, &s->to_pg, SL_DESTINATION);
    assert_true(sl_stop_init(&s->stop));
    put(&s->source.script, 'H', "\0\0\1\0\0", 5);
    return s;
}

static void end_of_rows(stage *s)
{
    put(&s->source.script, 'c', NULL, 0);
    put(&s->source.script, 'C', "COPY 0", 7);
    put(&s->source.script, 'Z', "T", 1);
}

/* Runs the relay, then sends a query on what is still open: a fake that was left inside a message
 * does not recognize it. */
static void run_stage(stage *s)
{
    const sl_relay_job job = { .source_sql = "COPY a TO STDOUT",
                               .destination_sql = "COPY a FROM STDIN",
                               .counters = { &s->counted_rows, &s->counted_bytes } };
    sl_relay_plan plan = { .job = &job,
                           .rows_written = &s->rows,
                           .stop = &s->stop,
                           .cancel = cancel_source,
                           .ring_size = (size_t)1 << 20,
                           .patience_us = s->patience_us };
    current = s;
    pthread_create(&s->source.thread, NULL, play_source, &s->source);
    pthread_create(&s->destination.thread, NULL, play_destination, &s->destination);
    s->rc = sl_relay_run(&plan, &s->from, &s->to, &s->err);
    SL_BUF(query);
    put(&query, 'Q', "SELECT 1", 9);
    if (!s->from.closed)
        write_fully(s->from.fd, query.data, query.len);
    if (!s->to.closed)
        write_fully(s->to.fd, query.data, query.len);
    shutdown(s->from.fd, SHUT_WR);
    shutdown(s->to.fd, SHUT_WR);
    pthread_join(s->source.thread, NULL);
    pthread_join(s->destination.thread, NULL);
}

static void free_stage(stage *s)
{
    close(s->from.fd);
    close(s->to.fd);
    close(s->source.fd);
    close(s->destination.fd);
    sl_buf_free(&s->source.script);
    sl_buf_free(&s->destination.rows);
    sl_stop_free(&s->stop);
    free(s);
}

static void rows_arrive_whatever_the_pieces(void **state)
{
    static const size_t pieces[] = { 1, 2, 3, 5, 7, 64, 4096, 1 << 20 };
    for (size_t p = 0; p < sizeof(pieces) / sizeof(pieces[0]); p++) {
        stage *s = new_stage();
        SL_BUF(expected);
        s->source.piece = pieces[p];
        for (int i = 0; i < 500; i++) {
            char row[64];
            size_t n = (size_t)snprintf(row, sizeof(row), "row %d %.*s", i, i % 37,
                                        "abcdefghijklmnopqrstuvwxyzabcdefghijk");
            put(&s->source.script, 'd', row, i % 50 ? n : 0);
            sl_buf_add(&expected, row, i % 50 ? n : 0);
            if (i == 250)
                put(&s->source.script, 'N', "notice", 7);
        }
        end_of_rows(s);
        run_stage(s);
        assert_int_equal(s->rc, SL_OK);
        assert_int_equal(s->rows, 500);
        assert_int_equal(s->counted_rows, 500);
        assert_int_equal(s->counted_bytes, expected.len);
        assert_int_equal(s->destination.rows.len, expected.len);
        assert_memory_equal(s->destination.rows.data, expected.data, expected.len);
        assert_true(s->source.query_after && s->destination.query_after);
        free_stage(s);
    }
}

static void add_rows(stage *s, int n, size_t size)
{
    char *row = sl_xcalloc(1, size + 1);
    memset(row, 'x', size);
    for (int i = 0; i < n; i++)
        put(&s->source.script, 'd', row, size);
    free(row);
}

static void no_rows_at_all(void **state)
{
    stage *s = new_stage();
    end_of_rows(s);
    run_stage(s);
    assert_int_equal(s->rc, SL_OK);
    assert_int_equal(s->rows, 0);
    free_stage(s);
}

/* Larger than the ring: streams through. */
static void a_row_larger_than_the_ring(void **state)
{
    stage *s = new_stage();
    add_rows(s, 1, (size_t)20 << 20);
    end_of_rows(s);
    run_stage(s);
    assert_int_equal(s->rc, SL_OK);
    assert_int_equal(s->destination.rows.len, (size_t)20 << 20);
    free_stage(s);
}

static void source_error_fails_the_copy(void **state)
{
    stage *s = new_stage();
    add_rows(s, 100, 1000);
    put_error(&s->source.script, "XX001", "bad page");
    put(&s->source.script, 'Z', "E", 1);
    run_stage(s);
    assert_int_equal(s->rc, SL_FAILED);
    assert_string_equal(s->err.sqlstate, "XX001");
    assert_non_null(strstr(s->err.message, "source: bad page"));
    assert_true(s->destination.copy_failed);
    assert_true(s->source.query_after && s->destination.query_after);
    free_stage(s);
}

static void source_refuses_the_query(void **state)
{
    stage *s = new_stage();
    sl_buf_clear(&s->source.script);
    put_error(&s->source.script, "42501", "permission denied");
    put(&s->source.script, 'Z', "E", 1);
    run_stage(s);
    assert_int_equal(s->rc, SL_FAILED);
    assert_string_equal(s->err.sqlstate, "42501");
    assert_true(s->destination.copy_failed && s->destination.query_after);
    free_stage(s);
}

static void source_hangs_up_inside_a_row(void **state)
{
    stage *s = new_stage();
    add_rows(s, 3, 100000);
    s->source.script.len -= 50000;
    s->source.hang_up = true;
    run_stage(s);
    assert_int_equal(s->rc, SL_TRANSIENT);
    assert_non_null(strstr(s->err.message, "the source closed the connection"));
    assert_true(s->destination.copy_failed && s->destination.query_after);
    free_stage(s);
}

static void destination_error_cancels_the_source(void **state)
{
    static const int points[] = { -1, 1, 2, 40 };
    for (size_t p = 0; p < sizeof(points) / sizeof(points[0]); p++) {
        stage *s = new_stage();
        add_rows(s, 10, 70001);
        s->source.endless = true;
        s->destination.fail_at = points[p];
        run_stage(s);
        assert_int_equal(s->rc, SL_FAILED);
        assert_string_equal(s->err.sqlstate, points[p] < 0 ? "42P01" : "22P02");
        assert_true(s->source.cancelled);
        assert_true(s->source.query_after && s->destination.query_after);
        free_stage(s);
    }
}

static void destination_error_at_the_end(void **state)
{
    stage *s = new_stage();
    add_rows(s, 3, 10);
    end_of_rows(s);
    s->destination.fail_at_end = true;
    run_stage(s);
    assert_int_equal(s->rc, SL_FAILED);
    assert_string_equal(s->err.sqlstate, "23505");
    assert_false(s->source.cancelled);
    assert_true(s->source.query_after && s->destination.query_after);
    free_stage(s);
}

static void destination_hangs_up(void **state)
{
    stage *s = new_stage();
    add_rows(s, 60, 70001);
    put_error(&s->source.script, "57014", "canceling statement due to user request");
    put(&s->source.script, 'Z', "E", 1);
    s->destination.fail_at = 5;
    s->destination.hang_up = true;
    run_stage(s);
    assert_int_equal(s->rc, SL_TRANSIENT);
    assert_non_null(strstr(s->err.message, "the destination closed the connection"));
    assert_true(s->source.query_after);
    free_stage(s);
}

static void *stop_soon(void *arg)
{
    usleep(50000);
    sl_stop_request(arg, SL_STOP_PEER);
    return NULL;
}

static void stop_ends_a_copy_that_hangs(void **state)
{
    stage *s = new_stage();
    pthread_t thread;
    add_rows(s, 60, 70001);
    s->destination.deaf = true;
    pthread_create(&thread, NULL, stop_soon, &s->stop);
    int64_t before = sl_mono_us();
    run_stage(s);
    pthread_join(thread, NULL);
    assert_int_equal(s->rc, SL_CANCELLED);
    assert_true(sl_mono_us() - before < 1000000);
    free_stage(s);
}

/* A side that never comes to an end after an error is cut off. */
static void patience_ends(void **state)
{
    stage *s = new_stage();
    add_rows(s, 3, 70001);
    put_error(&s->source.script, "XX001", "bad page"); /* and no ReadyForQuery */
    s->patience_us = 200000;
    int64_t before = sl_mono_us();
    run_stage(s);
    assert_in_range(sl_mono_us() - before, 200000, 2000000);
    assert_string_equal(s->err.sqlstate, "XX001");
    assert_true(s->from.closed);
    assert_true(s->destination.copy_failed && s->destination.query_after);
    free_stage(s);
}

static void nonsense_cuts_the_connection(void **state)
{
    stage *s = new_stage();
    add_rows(s, 5, 100);
    put(&s->source.script, 'T', "row description", 16);
    run_stage(s);
    assert_int_equal(s->rc, SL_TRANSIENT);
    assert_true(s->from.closed);
    assert_true(s->destination.copy_failed && s->destination.query_after);
    free_stage(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_survive_every_split),
        cmocka_unit_test(frames_refuse_nonsense),
        cmocka_unit_test(frames_discard_keeps_nothing),
        cmocka_unit_test(blanks_are_left_out_of_whole_rows),
        cmocka_unit_test(rows_arrive_whatever_the_pieces),
        cmocka_unit_test(no_rows_at_all),
        cmocka_unit_test(a_row_larger_than_the_ring),
        cmocka_unit_test(source_error_fails_the_copy),
        cmocka_unit_test(source_refuses_the_query),
        cmocka_unit_test(source_hangs_up_inside_a_row),
        cmocka_unit_test(destination_error_cancels_the_source),
        cmocka_unit_test(destination_error_at_the_end),
        cmocka_unit_test(destination_hangs_up),
        cmocka_unit_test(stop_ends_a_copy_that_hangs),
        cmocka_unit_test(patience_ends),
        cmocka_unit_test(nonsense_cuts_the_connection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
