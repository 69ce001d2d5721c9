/* decoder.h: the decoders of output plugins, and what they have in common.
 *
 * A decoder is told one message after the other and hands on what is in it to a sink, in the form
 * that stream/change.h describes; what comes after it does not know which plugin wrote. Each is one
 * file, which says what its plugin writes and where that is documented. A decoder belongs to one
 * thread at a time. */
#ifndef SL_STREAM_DECODER_H
#define SL_STREAM_DECODER_H

#include "pg/plugin.h"
#include "stream/change.h"

/* A table in the source's catalog, for plugins whose stream does not describe tables. */
typedef struct sl_catalog_column {
    const char *name;
    uint32_t type;
    int32_t typmod;
    bool key, generated;
} sl_catalog_column;
typedef struct sl_catalog_table {
    uint32_t oid;
    char identity;
    size_t n_columns;
    sl_catalog_column *columns;
} sl_catalog_table;

typedef struct sl_catalog {
    void *self;
    bool hidden_oid; /* below 12: a first column `oid` is the system's (WITH OIDS) */
    /* Everything into the arena. SL_NOT_FOUND: there is no such table any more and nobody wants its
     * changes. */
    sl_rc (*describe)(void *self, const char *schema, const char *table, sl_arena *arena,
                      sl_catalog_table *out, sl_error *err);
} sl_catalog;

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
    /* The plugin's options for START_REPLICATION: name 'value', … */
    char *(*options)(const sl_decoder_request *request, sl_arena *arena);
    /* Both are copied. The relations that are handed on live until destroy. catalog:
     * test_decoding's only; others take NULL. */
    void *(*create)(const sl_sink *sink, const sl_catalog *catalog);
    /* Decodes one message; start: the position that came with it. Of a malformed message (of
     * pgsluice_decoding: record) nothing is handed on (SL_FAILED). After any error, the sink's too,
     * the decoder must not be used again. */
    sl_rc (*decode)(void *self, const void *data, size_t len, sl_lsn start, sl_error *err);
    bool (*in_transaction)(const void *self); /* between begin and commit? */
    void (*destroy)(void *self);              /* NULL is fine */
} sl_decoder;

extern const sl_decoder sl_decoder_pgoutput; /* pgoutput.c */
extern const sl_decoder sl_decoder_sluice;   /* sluice_decoder.c: pgsluice_decoding */
extern const sl_decoder sl_decoder_test;     /* test_decoding.c */

/* SL_FAILED when there is no decoder for the plugin. */
sl_rc sl_decoder_for(const sl_plugin *plugin, const sl_decoder **decoder, sl_error *err);

#endif
