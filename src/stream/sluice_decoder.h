/* sluice_decoder.h: decodes what the output plugin pgsluice_decoding writes.
 *
 * Source: decoding/PROTOCOL.md, version 1. Values are handed on as in pgoutput's messages (see
 * stream/change.h), so that what comes after a decoder does not know which one it was. */
#ifndef SL_STREAM_SLUICE_DECODER_H
#define SL_STREAM_SLUICE_DECODER_H

#include "stream/change.h"

typedef struct sl_sluice_decoder sl_sluice_decoder;

/* sink is copied. The relations that are handed on live until sl_sluice_decoder_free. */
sl_sluice_decoder *sl_sluice_decoder_new(const sl_sink *sink);
void sl_sluice_decoder_free(sl_sluice_decoder *d);

/* Decodes one message: all of its records, one after the other. Of a malformed record nothing is
 * handed on (SL_FAILED); after any error the decoder must not be used again. */
sl_rc sl_sluice_decoder_decode(sl_sluice_decoder *d, const void *data, size_t len, sl_error *err);

/* Between begin and commit? */
bool sl_sluice_decoder_in_transaction(const sl_sluice_decoder *d);

/* The options for START_REPLICATION. oids: the selected tables, "16385,16390"; columns and
 * exclude_columns: lists as in PROTOCOL.md, or NULL. */
char *sl_sluice_decoder_options(bool binary, const char *oids, const char *columns,
                                const char *exclude_columns, sl_arena *arena);

#endif
