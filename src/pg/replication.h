/* replication.h: the replication protocol on an sl_pg that was connected with replication = true.
 * Protocol: "Streaming Replication Protocol" and "Logical Streaming Replication Parameters" in the
 * PostgreSQL documentation. One thread at a time. */
#ifndef SL_PG_REPLICATION_H
#define SL_PG_REPLICATION_H

#include "pg/pg.h"

typedef struct sl_system {
    char system_id[24];
    unsigned timeline;
    sl_lsn flush_lsn;
} sl_system;
sl_rc sl_repl_identify(sl_pg *pg, sl_system *out, sl_error *err);
/* Where the server left `timeline` on its way to its present one; 0 when it never was on it. */
sl_rc sl_repl_switch_point(sl_pg *pg, unsigned present, unsigned timeline, sl_lsn *left,
                           sl_error *err);

typedef struct sl_slot_made {
    sl_lsn consistent_point; /* commits at or after it are not in the snapshot */
    char snapshot[64];       /* lives until the next command on this connection */
} sl_slot_made;

/* Creates a logical slot and exports its snapshot. A permanent one on a primary from 17 on is a
 * failover slot: standbys that synchronize slots have it when they are promoted. Waits for running
 * transactions: sl_stop and a notice callback keep the wait visible. SL_FAILED with a hint when no
 * slot is free (53400), when wal_level is not logical (55000), when the role may not (42501). */
sl_rc sl_repl_create_slot(sl_pg *pg, const char *slot, const char *plugin, bool temporary,
                          sl_slot_made *made, const sl_stop *stop, sl_error *err);

/* START_REPLICATION SLOT slot LOGICAL lsn (options): options is the text between the parentheses.
 * From a near server the connection's receive buffer is small from then on: read it in naps. */
sl_rc sl_repl_start(sl_pg *pg, const char *slot, sl_lsn lsn, const char *options, sl_error *err);

typedef enum sl_repl_kind {
    SL_REPL_NOTHING,
    SL_REPL_DATA,
    SL_REPL_KEEPALIVE,
    SL_REPL_END
} sl_repl_kind;

typedef struct sl_repl_message {
    sl_repl_kind kind;
    sl_lsn start;         /* DATA: of this message's WAL; 0 for some */
    sl_lsn wal_end;       /* the server's end of WAL (DATA, KEEPALIVE) */
    int64_t send_time_us; /* the server's clock, Unix microseconds */
    bool reply_now;       /* KEEPALIVE */
    const char *data;     /* DATA: the plugin's output; valid until the next receive */
    size_t len;
    char *owned; /* libpq's memory behind data: freed by the next receive or sl_repl_message_free */
} sl_repl_message;

/* One message; waits up to timeout_ms (0: only what is there). NOTHING on timeout. END when the
 * server ended the stream. Frees what the message held before. */
sl_rc sl_repl_receive(sl_pg *pg, sl_repl_message *msg, int timeout_ms, const sl_stop *stop,
                      sl_error *err);
void sl_repl_message_free(sl_repl_message *msg);

/* Standby status update. flushed is what the server may forget; never 0. */
sl_rc sl_repl_feedback(sl_pg *pg, sl_lsn written, sl_lsn flushed, sl_lsn applied, bool reply,
                       sl_error *err);
/* Ends the stream politely (CopyDone), so that the slot is free at once. */
void sl_repl_stop(sl_pg *pg);

#endif
