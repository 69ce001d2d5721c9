/* decoder.h: one way to call all decoders. */
#ifndef SL_STREAM_DECODER_H
#define SL_STREAM_DECODER_H

#include "pg/plugin.h"
#include "stream/change.h"
#include "stream/test_decoding.h"

/* What START_REPLICATION is told; each decoder takes what its plugin knows. */
typedef struct sl_decoder_request {
    int version; /* of the source */
    bool binary;
    const char *const *publications; /* NULL-terminated */
    const char *oids;                /* of the selected tables: "16385,16390" */
    const char *columns;             /* of which tables only which columns, or NULL: */
    const char *exclude_columns;     /* … or not which; as in decoding/PROTOCOL.md */
} sl_decoder_request;

typedef struct sl_decoder {
    const char *library; /* the output plugin */
    char *(*options)(const sl_decoder_request *request, sl_arena *arena);
    void *(*create)(const sl_sink *sink, const sl_catalog *catalog);
    /* start: the position that came with the message. */
    sl_rc (*decode)(void *self, const void *data, size_t len, sl_lsn start, sl_error *err);
    bool (*in_transaction)(const void *self);
    void (*destroy)(void *self); /* NULL is fine */
} sl_decoder;

/* SL_FAILED when there is no decoder for the plugin. */
sl_rc sl_decoder_for(const sl_plugin *plugin, const sl_decoder **decoder, sl_error *err);

#endif
