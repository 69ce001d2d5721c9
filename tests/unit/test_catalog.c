/* test_catalog.c: the catalog keeps what it is given, refuses what it should, and survives a full
 * disk. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "catalog/db.h"
#include "core/clock.h"

typedef struct fixture {
    char dir[64];
    sl_catalog *c;
} fixture;

#define OK(call) assert_int_equal((call), SL_OK)

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof(*f));
    sl_error err = SL_ERROR_INIT;
    strcpy(f->dir, "/tmp/sl-catalog-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    OK(sl_catalog_open(f->dir, &f->c, &err));
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;
    char command[128];
    sl_catalog_close(f->c);
    snprintf(command, sizeof(command), "rm -rf %s", f->dir);
    assert_int_equal(system(command), 0);
    free(f);
    return 0;
}

static void reopen(fixture *f)
{
    sl_error err = SL_ERROR_INIT;
    sl_catalog_close(f->c);
    OK(sl_catalog_open(f->dir, &f->c, &err));
}

static const char *text(const json_t *o, const char *key)
{
    return json_string_value(json_object_get(o, key));
}

static void make_task(sl_catalog *c, const char *id, const char *name)
{
    sl_error err = SL_ERROR_INIT;
    json_t *spec = json_pack("{s:s, s:{s:s}}", "name", name, "source", "region", "fra");
    OK(sl_task_create(c, id, name, spec, (const char *const[2]){ "sealed", NULL }, "anna", &err));
    json_decref(spec);
}

static void test_secrets(void **state)
{
    fixture *f = *state;
    SL_SCRATCH(tmp);
    sl_error err = SL_ERROR_INIT;
    char *opened;
    char *sealed = sl_secret_seal(f->c, "task", "Grüße", &tmp);
    assert_null(strstr(sealed, "Gr"));
    assert_string_not_equal(sealed, sl_secret_seal(f->c, "task", "Grüße", &tmp));
    reopen(f);
    OK(sl_secret_open(f->c, "task", sealed, &tmp, &opened, &err));
    assert_string_equal(opened, "Grüße");
    assert_int_equal(sl_secret_open(f->c, "other", sealed, &tmp, &opened, &err), SL_FAILED);
    sl_error_clear(&err);
    sealed[40] ^= 1;
    assert_int_equal(sl_secret_open(f->c, "task", sealed, &tmp, &opened, &err), SL_FAILED);
}

static void test_key_file(void **state)
{
    fixture *f = *state;
    SL_SCRATCH(tmp);
    sl_error err = SL_ERROR_INIT;
    struct stat st;
    const char *key = sl_arena_printf(&tmp, "%s/secret.key", f->dir);
    assert_int_equal(stat(key, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(stat(sl_arena_printf(&tmp, "%s/catalog.sqlite", f->dir), &st), 0);
    assert_int_equal(st.st_mode & 077, 0);
    /* in use */
    sl_catalog *second = NULL;
    assert_int_equal(sl_catalog_open(f->dir, &second, &err), SL_FAILED);
    assert_non_null(strstr(err.message, "in use"));
    /* open to others, then another key */
    sl_catalog_close(f->c);
    f->c = NULL;
    sl_error_clear(&err);
    chmod(key, 0644);
    assert_int_equal(sl_catalog_open(f->dir, &second, &err), SL_FAILED);
    unlink(key);
    sl_error_clear(&err);
    assert_int_equal(sl_catalog_open(f->dir, &second, &err), SL_FAILED);
    assert_non_null(strstr(err.hint, "secret"));
}

static void test_newer_version(void **state)
{
    fixture *f = *state;
    sl_error err = SL_ERROR_INIT;
    sl_catalog *again = NULL;
    OK(sl_db_exec(f->c, "PRAGMA user_version = 99", &err));
    sl_catalog_close(f->c);
    f->c = NULL;
    assert_int_equal(sl_catalog_open(f->dir, &again, &err), SL_FAILED);
    assert_non_null(strstr(err.message, "version 99"));
}

static void test_tasks(void **state)
{
    fixture *f = *state;
    SL_SCRATCH(tmp);
    sl_error err = SL_ERROR_INIT;
    sl_task_row row;
    make_task(f->c, "k1", "orders");
    reopen(f);
    OK(sl_task_read(f->c, "k1", &tmp, &row, &err));
    assert_string_equal(row.name, "orders");
    assert_string_equal(row.state, "draft");
    assert_string_equal(row.passwords[0], "sealed");
    assert_null(row.passwords[1]);
    assert_false(row.started);
    json_object_set_new(row.spec, "workers", json_integer(3));
    OK(sl_task_replace_spec(f->c, "k1", 1, "orders2", row.spec, row.passwords, "ben", &err));
    /* somebody was faster */
    assert_int_equal(sl_task_replace_spec(f->c, "k1", 1, "late", row.spec, row.passwords, "ben",
                                          &err),
                     SL_NOT_FOUND);
    sl_task_row_free(&row);
    json_t *versions, *spec;
    OK(sl_task_spec_history(f->c, "k1", &(sl_page){ .limit = 10 }, &versions, &err));
    assert_int_equal(json_array_size(json_object_get(versions, "items")), 2);
    assert_string_equal(text(json_array_get(json_object_get(versions, "items"), 0), "actor"),
                        "ben");
    json_decref(versions);
    OK(sl_task_spec_version(f->c, "k1", 1, &spec, &err));
    assert_null(json_object_get(spec, "workers"));
    json_decref(spec);
    OK(sl_task_store_state(f->c, "k1", "failed", "no \"space\"", "none", &err));
    assert_int_equal(sl_task_store_state(f->c, "nobody", "failed", NULL, NULL, &err), SL_NOT_FOUND);
    OK(sl_task_delete(f->c, "k1", &err));
    assert_int_equal(sl_task_read(f->c, "k1", &tmp, &row, &err), SL_NOT_FOUND);
    assert_int_equal(err.code, SL_OK);
}

static void make_sharing(sl_catalog *c, const char *id, const char *source, const char *destination,
                         int minutes, const char *desired)
{
    sl_error err = SL_ERROR_INIT;
    json_t *spec = json_pack("{s:{s:s}, s:{s:s, s:i}}", "source", "host", source, "destination",
                             "host", destination, "port", 5432);
    if (minutes > 0)
        json_object_set_new(spec, "retry_minutes", json_integer(minutes));
    OK(sl_task_create(c, id, id, spec, (const char *const[2]){ NULL, NULL }, "anna", &err));
    OK(sl_task_store_state(c, id, "synchronizing", NULL, desired, &err));
    json_decref(spec);
}

static void test_least_retry(void **state)
{
    fixture *f = *state;
    sl_error err = SL_ERROR_INIT;
    static const struct {
        const char *id;
        int64_t minutes;
    } rows[] = { { "k1", 30 }, { "k2", 30 }, { "k3", 120 }, { "k4", 10 } };
    make_sharing(f->c, "k1", "a", "b", 60, "run");
    make_sharing(f->c, "k2", "x", "A", 30, "run"); /* shares a with k1 */
    make_sharing(f->c, "k3", "c", "d", 0, "run");  /* shares nothing that runs */
    make_sharing(f->c, "k4", "c", "b", 10, "none");
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int64_t minutes;
        OK(sl_task_least_retry(f->c, rows[i].id, &minutes, &err));
        assert_int_equal(minutes, rows[i].minutes);
    }
}

/* Every task once, in order, whatever the size of the pages. */
static void test_pages(void **state)
{
    fixture *f = *state;
    sl_error err = SL_ERROR_INIT;
    for (int i = 0; i < 25; i++) {
        char id[16], name[16];
        snprintf(id, sizeof(id), "k%02d", i);
        snprintf(name, sizeof(name), "n%d", i / 2); /* names need not be unique */
        make_task(f->c, id, name);
    }
    for (int limit = 1; limit < 30; limit += 7) {
        char cursor[300] = "", last[40] = "";
        int seen = 0;
        do {
            json_t *page, *row;
            size_t i;
            OK(sl_task_list(f->c, "draft,failed", "fra", "N", &(sl_page){ limit, cursor }, &page,
                            &err));
            json_array_foreach(json_object_get(page, "items"), i, row)
            {
                char now[40];
                snprintf(now, sizeof(now), "%s %s", text(row, "name"), text(row, "id"));
                assert_true(strcmp(last, now) < 0);
                strcpy(last, now);
                seen++;
            }
            const char *next = text(page, "next_cursor");
            snprintf(cursor, sizeof(cursor), "%s", next ? next : "");
            json_decref(page);
        } while (cursor[0]);
        assert_int_equal(seen, 25);
    }
    json_t *none;
    assert_int_equal(sl_task_list(f->c, NULL, NULL, NULL, &(sl_page){ 5, "%%%" }, &none, &err),
                     SL_USAGE);
    sl_error_clear(&err);
    OK(sl_task_list(f->c, "faile", NULL, NULL, &(sl_page){ 5, NULL }, &none, &err));
    assert_int_equal(json_array_size(json_object_get(none, "items")), 0);
    json_decref(none);
}

static void test_events_and_tables(void **state)
{
    fixture *f = *state;
    sl_error err = SL_ERROR_INIT;
    int64_t id = 0;
    json_t *found, *fields = json_pack("{s:i}", "rows", 7);
    make_task(f->c, "k1", "orders");
    for (int i = 0; i < 5; i++)
        OK(sl_event_store(f->c, "k1", sl_now_us(), i % 2 ? "a" : "b", fields, &id, &err));
    assert_int_equal(sl_event_last_id(f->c), id);
    OK(sl_event_list(f->c, "k1", "b,c", &(sl_page){ .limit = 2 }, &found, &err));
    assert_int_equal(json_array_size(json_object_get(found, "items")), 2);
    assert_true(json_is_string(json_object_get(found, "next_cursor")));
    json_decref(found);
    OK(sl_event_after(f->c, NULL, id - 2, 10, &found, &err));
    assert_int_equal(json_array_size(found), 2);
    json_decref(found);
    json_decref(fields);

    json_t *tables = json_pack("[{s:s, s:s, s:i}, {s:s, s:s}]", "table", "public.a", "state",
                               "copying", "rows", 5, "table", "public.b", "state", "waiting");
    OK(sl_tables_store(f->c, "k1", tables, &err));
    json_decref(tables);
    tables = json_pack("[{s:s, s:s}]", "table", "public.a", "state", "indexing");
    OK(sl_tables_store(f->c, "k1", tables, &err));
    json_decref(tables);
    OK(sl_tables_list(f->c, "k1", "indexing", "PUBLIC", &(sl_page){ .limit = 5 }, &found, &err));
    json_t *only = json_array_get(json_object_get(found, "items"), 0);
    assert_string_equal(text(only, "table"), "public.a");
    assert_int_equal(json_integer_value(json_object_get(only, "rows")), 5);
    assert_int_equal(json_integer_value(
                         json_object_get(json_object_get(found, "states"), "waiting")),
                     1);
    json_decref(found);
}

static void test_users(void **state)
{
    fixture *f = *state;
    sl_error err = SL_ERROR_INIT;
    sl_who who;
    char session[SL_TOKEN_SIZE], token[SL_TOKEN_SIZE];
    json_t *made;
    OK(sl_user_create(f->c, "anna", "correct horse", SL_ROLE_ADMIN, &err));
    assert_int_equal(sl_user_create(f->c, "anna", "x", SL_ROLE_ADMIN, &err), SL_USAGE);
    sl_error_clear(&err);
    assert_int_equal(sl_user_verify(f->c, "anna", "wrong", &who, &err), SL_NOT_FOUND);
    assert_int_equal(sl_user_verify(f->c, "nobody", "correct horse", &who, &err), SL_NOT_FOUND);
    OK(sl_user_verify(f->c, "anna", "correct horse", &who, &err));
    assert_int_equal(who.role, SL_ROLE_ADMIN);

    OK(sl_session_create(f->c, "anna", sl_now_us() + 1000000, session, &err));
    OK(sl_session_find(f->c, session, &who, &err));
    session[3] ^= 1;
    assert_int_equal(sl_session_find(f->c, session, &who, &err), SL_NOT_FOUND);
    OK(sl_session_create(f->c, "anna", sl_now_us() - 1, session, &err));
    assert_int_equal(sl_session_find(f->c, session, &who, &err), SL_NOT_FOUND);

    OK(sl_token_create(f->c, "anna", "ci", SL_ROLE_OPERATOR, 0, token, &made, &err));
    assert_null(strstr(text(made, "name"), token));
    json_decref(made);
    OK(sl_token_find(f->c, token, &who, &err));
    assert_int_equal(who.role, SL_ROLE_OPERATOR);
    /* the last admin stays; with another one a token never has more than its user */
    assert_int_equal(sl_user_change(f->c, "anna", "viewer", NULL, -1, &err), SL_USAGE);
    sl_error_clear(&err);
    assert_int_equal(sl_user_delete(f->c, "anna", &err), SL_USAGE);
    sl_error_clear(&err);
    OK(sl_user_create(f->c, "ben", "another horse", SL_ROLE_ADMIN, &err));
    OK(sl_user_change(f->c, "anna", "viewer", "new password", -1, &err));
    OK(sl_token_find(f->c, token, &who, &err));
    assert_int_equal(who.role, SL_ROLE_VIEWER);
    assert_int_equal(sl_user_verify(f->c, "anna", "correct horse", &who, &err), SL_NOT_FOUND);
    OK(sl_user_change(f->c, "anna", NULL, NULL, 1, &err));
    assert_int_equal(sl_token_find(f->c, token, &who, &err), SL_NOT_FOUND);
    assert_int_equal(sl_user_verify(f->c, "anna", "new password", &who, &err), SL_NOT_FOUND);
    OK(sl_user_delete(f->c, "anna", &err));
}

static bool file_contains(const char *path, const char *needle)
{
    char block[1 << 20];
    FILE *in = fopen(path, "rb");
    size_t n = in ? fread(block, 1, sizeof(block), in) : 0;
    if (in)
        fclose(in);
    return n > 0 && memmem(block, n, needle, strlen(needle)) != NULL;
}

static void test_nothing_secret_on_disk(void **state)
{
    fixture *f = *state;
    SL_SCRATCH(tmp);
    sl_error err = SL_ERROR_INIT;
    char secrets[3][SL_TOKEN_SIZE] = { "Zebra-password-77" };
    json_t *made;
    OK(sl_user_create(f->c, "anna", secrets[0], SL_ROLE_ADMIN, &err));
    OK(sl_session_create(f->c, "anna", sl_now_us() + 1000000, secrets[1], &err));
    OK(sl_token_create(f->c, "anna", "ci", SL_ROLE_VIEWER, 0, secrets[2], &made, &err));
    json_decref(made);
    json_t *endpoint = json_pack("{s:s}", "host", "h");
    OK(sl_connection_store(f->c, "c1", "visible-name", endpoint,
                           sl_secret_seal(f->c, "connection", secrets[0], &tmp), &err));
    json_decref(endpoint);
    const char *names[] = { "catalog.sqlite", "catalog.sqlite-wal" };
    bool visible = false;
    for (size_t i = 0; i < 2; i++) {
        const char *path = sl_arena_printf(&tmp, "%s/%s", f->dir, names[i]);
        visible |= file_contains(path, "visible-name");
        for (size_t s = 0; s < 3; s++)
            assert_false(file_contains(path, secrets[s]));
    }
    assert_true(visible); /* the search does find things */
}

static void test_full_disk(void **state)
{
    fixture *f = *state;
    sl_error err = SL_ERROR_INIT;
    int64_t id, stored = 0;
    make_task(f->c, "k1", "orders");
    char *filler = sl_xcalloc(1, 20001);
    memset(filler, 'x', 20000);
    json_t *fields = json_pack("{s:s}", "filler", filler), *found;
    sl_catalog_limit_pages(f->c, 100);
    sl_rc rc;
    while ((rc = sl_event_store(f->c, "k1", 1, "e", fields, &id, &err)) == SL_OK)
        assert_true(++stored < 1000);
    assert_int_equal(rc, SL_TRANSIENT);
    assert_non_null(strstr(err.hint, "room"));
    sl_error_clear(&err);
    /* several rows or none */
    json_t *tables = json_array();
    for (int i = 0; i < 50; i++)
        json_array_append_new(tables,
                              json_pack("{s:o, s:s, s:s}", "table", json_sprintf("public.t%d", i),
                                        "state", "copying", "reason", filler));
    assert_int_equal(sl_tables_store(f->c, "k1", tables, &err), SL_TRANSIENT);
    sl_error_clear(&err);
    OK(sl_tables_list(f->c, "k1", NULL, NULL, &(sl_page){ .limit = 5 }, &found, &err));
    assert_int_equal(json_array_size(json_object_get(found, "items")), 0);
    json_decref(found);
    /* reading goes on, and with room writing too */
    OK(sl_event_after(f->c, "k1", 0, 1000, &found, &err));
    assert_int_equal(json_array_size(found), stored);
    json_decref(found);
    sl_catalog_limit_pages(f->c, 0);
    OK(sl_tables_store(f->c, "k1", tables, &err));
    OK(sl_catalog_probe(f->c, &err));
    json_decref(tables);
    json_decref(fields);
    free(filler);
}

static void test_metrics_and_age(void **state)
{
    fixture *f = *state;
    sl_error err = SL_ERROR_INIT;
    json_t *out, *series;
    int64_t now = sl_now_us() / 1000000, old = (now - 2 * 86400) / 600 * 600;
    make_task(f->c, "k1", "orders");
    json_t *none = json_object(), *values = json_pack("{s:f, s:i, s:i}", "lag_seconds", 1.5,
                                                      "inserts", 10, "wal_held_bytes", -1);
    for (int i = 0; i < 60; i++) {
        OK(sl_metric_store(f->c, "k1", old + i * 10, values, &err));
        OK(sl_metric_store(f->c, "k1", now - 3600 + i * 10, values, &err));
    }
    OK(sl_metric_store(f->c, "k1", now - 100 * 86400, values, &err));
    json_decref(values);
    int64_t id;
    json_t *events;
    OK(sl_db_begin(f->c, &err));
    for (int i = 0; i < 10050; i++)
        OK(sl_event_store(f->c, "k1", 1, "e", none, &id, &err));
    OK(sl_db_end(f->c, SL_OK, &err));
    OK(sl_catalog_prune(f->c, &err));
    OK(sl_event_after(f->c, "k1", 0, 20000, &events, &err));
    assert_int_equal(json_array_size(events), 10000);
    json_decref(events);
    json_decref(none);
    OK(sl_catalog_prune(f->c, &err)); /* once more changes nothing */
    OK(sl_metric_series(f->c, "k1", now - 200 * 86400, now + 1, 10, &out, &err));
    series = json_object_get(out, "series");
    assert_int_equal(json_array_size(json_object_get(out, "times")), 61);
    assert_int_equal(json_integer_value(json_array_get(json_object_get(out, "times"), 0)), old);
    assert_int_equal(json_integer_value(json_array_get(json_object_get(series, "inserts"), 0)),
                     600);
    assert_true(json_real_value(json_array_get(json_object_get(series, "lag_seconds"), 0)) == 1.5);
    assert_true(json_is_null(json_array_get(json_object_get(series, "wal_held_bytes"), 5)));
    json_decref(out);
}

static void test_drafts_and_answers(void **state)
{
    fixture *f = *state;
    SL_SCRATCH(tmp);
    sl_error err = SL_ERROR_INIT;
    json_t *draft, *answer, *body = json_pack("{s:i}", "id", 1);
    char *sealed;
    OK(sl_user_create(f->c, "anna", "correct horse", SL_ROLE_ADMIN, &err));
    OK(sl_draft_store(f->c, "d1", "anna", "one", "sealed", 0, &err));
    OK(sl_draft_store(f->c, "d1", "anna", "two", "again", 1, &err));
    assert_int_equal(sl_draft_store(f->c, "d1", "anna", "three", "late", 1, &err), SL_NOT_FOUND);
    assert_int_equal(sl_draft_get(f->c, "d1", "ben", &tmp, &draft, &sealed, &err), SL_NOT_FOUND);
    OK(sl_draft_get(f->c, "d1", "anna", &tmp, &draft, &sealed, &err));
    assert_string_equal(sealed, "again");
    assert_null(json_object_get(draft, "content"));
    json_decref(draft);
    OK(sl_answer_store(f->c, "anna", "key-0001", "hash", 201, body, &err));
    OK(sl_answer_find(f->c, "anna", "key-0001", &answer, &err));
    assert_string_equal(text(answer, "request"), "hash");
    json_decref(answer);
    assert_int_equal(sl_answer_find(f->c, "ben", "key-0001", &answer, &err), SL_NOT_FOUND);
    json_decref(body);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_secrets),
        T(test_key_file),
        T(test_newer_version),
        T(test_tasks),
        T(test_pages),
        T(test_least_retry),
        T(test_events_and_tables),
        T(test_users),
        T(test_nothing_secret_on_disk),
        T(test_full_disk),
        T(test_metrics_and_age),
        T(test_drafts_and_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
