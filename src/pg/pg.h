/* pg.h: connections and queries.
 *
 * An sl_pg is one connection with the session settings that exact copies need: the same text form
 * of every value on both sides; empty search_path; no timeouts; row security off, so that a hidden
 * row is an error instead of a loss. It belongs to one thread at a time.
 *
 * SQL text is built with sl_sql, the one quoting function of the program. Values go as parameters
 * or as %L, identifiers as %I, nothing else. */
#ifndef SL_PG_PG_H
#define SL_PG_PG_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>
#include "core/arena.h"
#include "core/buf.h"
#include "core/clock.h"
#include "core/error.h"
#include "pg/endpoint.h"
#include "pg/versions.h"

typedef uint64_t sl_lsn; /* 0 is "none" (InvalidXLogRecPtr) */
#define SL_LSN_FMT "%X/%X"
#define SL_LSN_ARGS(lsn) (unsigned)((lsn) >> 32), (unsigned)(lsn)
bool sl_lsn_parse(const char *text, sl_lsn *lsn);
char *sl_lsn_text(sl_lsn lsn, char *buf); /* buf of at least 24 bytes; returns buf */

typedef enum sl_side { SL_SOURCE, SL_DESTINATION } sl_side;
const char *sl_side_name(sl_side side); /* "source", "destination" */

typedef struct sl_pg {
    PGconn *conn;
    int version; /* PQserverVersion */
    sl_side side;
    const char *name; /* what it is for, "source copier 2": in messages and application_name */
    bool replication;
    bool replica_role; /* session_replication_role = replica is in force (destination) */
    char client_encoding[32];
    int pid; /* the server's process */
} sl_pg;

typedef struct sl_pg_options {
    sl_side side;
    const char *name;             /* borrowed for the connection's life: use literals */
    const char *application_name; /* borrowed during the call; default "pgsluice" */
    bool replication;             /* replication=database */
    /* Client encoding for this session; NULL: the destination's server encoding when both sides
     * share it, so nothing is converted; the caller says which (sl_pick_encoding), default UTF8. */
    const char *encoding;
    /* Destination: try session_replication_role = replica; see replica_role above. */
    bool want_replica_role;
    /* Replication: "256MB", set on 13+ where the role may; or NULL. */
    const char *decoding_work_mem;
    /* Replication: the server's, where it is known: below 10 such a session takes no SET, its
     * settings must come with the startup packet; or 0. */
    int server_version;
    const sl_stop *stop; /* gives up connecting when requested */
} sl_pg_options;

/* Connects. Errors: SL_TRANSIENT for unreachable or starting servers, SL_FAILED for wrong password,
 * unknown database, no pg_hba line …, each with a hint. */
sl_rc sl_pg_connect(const sl_endpoint *endpoint, const sl_pg_options *options, sl_pg **pg,
                    sl_error *err);
void sl_pg_close(sl_pg *pg); /* NULL is fine */
static inline void sl_pg_closep(sl_pg **pg)
{
    sl_pg_close(*pg);
    *pg = NULL;
}
#define SL_PG(name) __attribute__((cleanup(sl_pg_closep))) sl_pg *name = NULL

static inline void sl_result_clearp(PGresult **res)
{
    PQclear(*res);
    *res = NULL;
}
/* A PGresult that is cleared on every way out of the scope. */
#define SL_RESULT(name) __attribute__((cleanup(sl_result_clearp))) PGresult *name = NULL

/* One statement (or several without results in between). *res is the caller's; any result that it
 * held before is cleared. Waits are interruptible by nothing: use timeouts or cancel. */
sl_rc sl_pg_query(sl_pg *pg, const char *sql, PGresult **res, sl_error *err);
sl_rc sl_pg_exec(sl_pg *pg, const char *sql, sl_error *err);
/* Text parameters, text results. */
sl_rc sl_pg_query_params(sl_pg *pg, const char *sql, int n, const char *const *values,
                         PGresult **res, sl_error *err);
/* One text value of the first row into out (NULL value gives NULL); SL_NOT_FOUND without a row. */
sl_rc sl_pg_value(sl_pg *pg, const char *sql, sl_arena *out, char **value, sl_error *err);

/* Turns a failed result (or a broken connection, res NULL) into an error: class 08, 57P0x, 40001 …
 * become SL_TRANSIENT (ARCHITECTURE.md, decision 5), others SL_FAILED. Takes the server's DETAIL
 * and HINT.
 */
sl_rc sl_pg_fail(sl_pg *pg, const PGresult *res, sl_error *err);
bool sl_sqlstate_transient(const char *sqlstate);
/* The same decision from an ErrorResponse's fields, for code that speaks the protocol itself. */
sl_rc sl_pg_fail_fields(sl_pg *pg, const char *sqlstate, const char *message, const char *detail,
                        const char *hint, sl_error *err);

/* Asks the server to cancel what runs on pg (from any thread). */
void sl_pg_cancel(sl_pg *pg);

/* Builds SQL in the arena. Conversions: %s raw text, %I identifier (always quoted), %L literal
 * (NULL pointer gives NULL; backslashes are safe), %P an sl_lsn as a quoted literal, %d %u %lld
 * %llu %zu numbers, %c one char, %%. Anything else ends the process: it is a bug. */
char *sl_sql(sl_arena *arena, const char *fmt, ...);
/* The same, appended to a buffer. */
void sl_sql_add(sl_buf *buf, const char *fmt, ...);

/* An array literal ('{"a","b"}') in a buffer, for a text parameter. Start clears the buffer. */
void sl_array_start(sl_buf *array);
void sl_array_add(sl_buf *array, const char *value); /* NULL value becomes NULL */
void sl_array_add_oid(sl_buf *array, uint32_t oid);
void sl_array_end(sl_buf *array);

/* A cell as text; NULL when the value is NULL. */
static inline const char *sl_cell(const PGresult *res, int row, int col)
{
    return PQgetisnull(res, row, col) ? NULL : PQgetvalue(res, row, col);
}
int64_t sl_cell_int(const PGresult *res, int row, int col); /* 0 for NULL */
bool sl_cell_bool(const PGresult *res, int row, int col);   /* 't' */
sl_lsn sl_cell_lsn(const PGresult *res, int row, int col);  /* 0 for NULL */

/* What a server is: read once per connection that needs it. */
typedef struct sl_server {
    int version;
    char version_text[16];
    char encoding[32];  /* server_encoding of the database */
    char system_id[24]; /* decimal; "" where it cannot be read */
    unsigned timeline;
    char database[64];
    bool superuser, integer_datetimes;
    char user[64];
} sl_server;
sl_rc sl_pg_server(sl_pg *pg, sl_server *server, sl_error *err);

/* The client encoding to use on both sides: the common one when both databases have the same (no
 * conversion), SQL_ASCII on a SQL_ASCII source, else UTF8. Returns a literal or an encoding name
 * that lives in the servers. */
const char *sl_pick_encoding(const sl_server *source, const sl_server *destination, sl_side side);

#endif
