/* pgoutput.h: decodes the messages of PostgreSQL's pgoutput plugin, protocol versions 1 and 2
 * without streaming of transactions in progress and without two-phase commits.
 *
 * Sources: "Logical Replication Message Formats" in the PostgreSQL documentation, and
 * src/backend/replication/logical/proto.c. */
#ifndef SL_STREAM_PGOUTPUT_H
#define SL_STREAM_PGOUTPUT_H

#include "stream/change.h"

typedef struct sl_pgoutput sl_pgoutput;

/* sink is copied. The relations that are handed on live until sl_pgoutput_free. */
sl_pgoutput *sl_pgoutput_new(const sl_sink *sink);
void sl_pgoutput_free(sl_pgoutput *d);

/* Decodes one message. A malformed one is SL_FAILED and nothing of it is handed on; after any error
 * the decoder must not be used again. */
sl_rc sl_pgoutput_decode(sl_pgoutput *d, const void *data, size_t len, sl_error *err);

/* Between begin and commit? */
bool sl_pgoutput_in_transaction(const sl_pgoutput *d);

/* The options for START_REPLICATION on a server of that version; publications is a NULL-terminated
 * list. */
char *sl_pgoutput_options(int version, const char *const *publications, bool binary,
                          sl_arena *arena);

#endif
