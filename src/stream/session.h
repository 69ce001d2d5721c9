/* session.h: the destination connection that applies changes: statements in libpq's pipeline mode,
 * their results checked in order, COPY, and prepared statements of which at most SL_MAX_STATEMENTS
 * are kept.
 *
 * Statements are sent without waiting; each has an expectation. The first result that does not meet
 * its expectation is the session's failure: from then on sends do nothing, until sl_session_wait
 * hands it out and forgets it. */
#ifndef SL_STREAM_SESSION_H
#define SL_STREAM_SESSION_H

#include "state/state.h"
#include "stream/bind.h"

#define SL_MAX_STATEMENTS 1000
#define SL_MAX_ROW_PARAMS (2 * SL_MAX_COLUMNS) /* new values and old ones */

typedef enum sl_expect_kind {
    SL_EXPECT_DONE,   /* no error */
    SL_EXPECT_COUNT,  /* exactly count rows (or fewer, with missing_ok) */
    SL_EXPECT_UPSERT, /* one result row: rows written, rows that were overwritten */
    SL_EXPECT_COMMIT, /* committed: in a failed transaction COMMIT rolls back, without an error */
    SL_EXPECT_FENCE,  /* no error; an error of it means that the epoch has moved */
    SL_EXPECT_SYNC,
    SL_EXPECT_PREPARE,
} sl_expect_kind;

typedef struct sl_expect {
    sl_expect_kind kind;
    uint32_t tag; /* for the caller: which change it was, or 0 */
    int64_t count;
    bool missing_ok; /* fewer rows are conflicts of the table, no failure */
    sl_bound *bound; /* whose conflicts are counted; may be NULL */
    struct sl_stmt *stmt;
} sl_expect;

typedef struct sl_failure {
    sl_rc rc; /* SL_OK: none */
    sl_error err;
    uint32_t tag;
    bool wrong_count; /* no error of the server's: another number of rows than expected */
    int64_t count;    /* how many it was */
    char constraint[64];
    int64_t conflicts;
} sl_failure;

typedef struct sl_stmt {
    char name[16];
    uint16_t n_params;
    bool prepared, confirmed;
    bool upsert;            /* answers with two counts */
    int64_t born;           /* bound->inserted when it was prepared */
    struct sl_stmt **owner; /* set to NULL when the statement is dropped */
    struct sl_stmt *newer, *older;
} sl_stmt;

typedef struct sl_session sl_session;

/* Takes the connection over, with the settings that applying needs. */
sl_rc sl_session_new(sl_run *run, sl_pg *destination, sl_session **session, sl_error *err);
void sl_session_free(sl_session *s); /* closes the connection */
/* The connection, idle and out of pipeline mode, for ordinary queries between statements. Waits for
 * what was sent; a failure there is handed out. */
sl_rc sl_session_plain(sl_session *s, sl_pg **pg, sl_failure *failure);

/* Sends SQL without parameters. */
void sl_session_send(sl_session *s, const char *sql, const sl_expect *expect);
/* The same with text parameters. */
void sl_session_send_params(sl_session *s, const char *sql, int n, const char *const *values,
                            const sl_expect *expect);
/* Prepares a statement (without waiting) and puts it into *owner. types per parameter. */
sl_stmt *sl_session_prepare(sl_session *s, sl_stmt **owner, const char *sql, int n,
                            const Oid *types, uint32_t tag);
/* Binary parameters; a NULL pointer is NULL. */
void sl_session_run(sl_session *s, sl_stmt *stmt, const char *const *values, const int *lengths,
                    const sl_expect *expect);
/* Ends a group of statements: an error skips the rest of its group only. Flushes. */
void sl_session_sync(sl_session *s);
/* Waits for all results. The failure, if there was one, is moved into *failure. */
sl_rc sl_session_wait(sl_session *s, sl_failure *failure);
/* Has something failed already, as far as results are in? */
bool sl_session_failed(const sl_session *s);
/* Fails without the server: a change that cannot be written at all. */
void sl_session_refuse(sl_session *s, uint32_t tag, const char *message, const char *hint);

/* COPY … FROM STDIN: waits for what was sent, then begins, takes data, ends. A failure is the
 * session's, as for statements. */
void sl_session_copy_begin(sl_session *s, const char *sql, uint32_t tag);
void sl_session_copy_data(sl_session *s, const char *data, size_t n);
void sl_session_copy_end(sl_session *s, int64_t expected);

#endif
