/* relay_tool.c: one COPY from server to server, for tests and measurements.
 *
 *   relay_tool SOURCE DESTINATION SOURCE_SQL DESTINATION_SQL [COPIES]
 *
 * SOURCE and DESTINATION are "host port database sslmode". SIGTERM requests a stop. Prints one line
 * of JSON: rc, rows, the counters, the error, whether each session still answers, CPU seconds. */
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "pg/relay.h"

static sl_stop stop;

static void on_signal(int number)
{
    sl_stop_request(&stop, number);
}

static sl_pg *open_side(const char *text, sl_side side, sl_error *err)
{
    char host[200], port[20], database[100], mode[20];
    if (sscanf(text, "%199s %19s %99s %19s", host, port, database, mode) != 4)
        exit(2);
    sl_endpoint endpoint = {
        .host = host, .port = port, .database = database, .user = "postgres", .ssl_mode = mode
    };
    if (host[0] == '/') {
        endpoint.socket = host;
        endpoint.host = NULL;
    }
    sl_pg_options options = { .side = side,
                              .name = "tool",
                              .want_replica_role = side == SL_DESTINATION };
    sl_pg *pg = NULL;
    sl_pg_connect(&endpoint, &options, &pg, err);
    return pg;
}

static bool answers(sl_pg *pg)
{
    SL_SCRATCH(tmp);
    sl_error ignored = SL_ERROR_INIT;
    char *value = NULL;
    if (PQtransactionStatus(pg->conn) == PQTRANS_INERROR)
        sl_pg_exec(pg, "ROLLBACK", &ignored);
    return sl_pg_value(pg, "SELECT 'yes'", &tmp, &value, &ignored) == SL_OK &&
           strcmp(value, "yes") == 0;
}

int main(int argc, char **argv)
{
    sl_error err = SL_ERROR_INIT;
    if (argc < 5)
        return 2;
    sl_stop_init(&stop);
    signal(SIGTERM, on_signal);
    SL_PG(source);
    SL_PG(destination);
    source = open_side(argv[1], SL_SOURCE, &err);
    destination = open_side(argv[2], SL_DESTINATION, &err);
    if (!source || !destination) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    int copies = argc > 5 ? atoi(argv[5]) : 1;
    int64_t rows = 0, start = sl_mono_us();
    _Atomic int64_t counted_rows = 0, counted_bytes = 0;
    const sl_relay_job job = { .source_sql = argv[3],
                               .destination_sql = argv[4],
                               .counters = { .rows = &counted_rows, .bytes = &counted_bytes } };
    sl_rc rc = SL_OK;
    for (int i = 0; i < copies && rc == SL_OK; i++)
        rc = sl_relay_copy(&job, source, destination, &rows, &stop, &err);
    int64_t us = sl_mono_us() - start;
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    json_t *out =
        json_pack("{s:s, s:I, s:I, s:I, s:s, s:s, s:s, s:b, s:b, s:f, s:f, s:I}", "rc",
                  rc == SL_OK ? "ok" : sl_rc_name(rc), "rows", (json_int_t)rows, "counted_rows",
                  (json_int_t)counted_rows, "counted_bytes", (json_int_t)counted_bytes, "message",
                  err.message, "sqlstate", err.sqlstate, "where", err.where, "source_answers",
                  (int)answers(source), "destination_answers", (int)answers(destination), "seconds",
                  (double)us / 1e6, "cpu",
                  (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                      (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6,
                  "max_rss_kb", (json_int_t)usage.ru_maxrss);
    json_dumpf(out, stdout, JSON_COMPACT | JSON_SORT_KEYS);
    putchar('\n');
    json_decref(out);
    return rc == SL_OK ? 0 : 1;
}
