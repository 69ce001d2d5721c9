/* test_decoding.h: decodes the text that the output plugin test_decoding writes, which every server
 * from 9.4 on can have without installing anything but its contrib modules.
 *
 * Sources: contrib/test_decoding/test_decoding.c of 9.4 to 18, quote_identifier, format_type.
 *
 * The text does not tell OIDs, keys, or where a transaction commits. So tables are looked up in the
 * source's catalog, as they are now, and a transaction is kept until its COMMIT (in memory, beyond
 * 64 MiB in a file without a name in $TMPDIR). The position behind the COMMIT is that of its
 * message; commit_lsn, which is not known, is given as one byte before it: compared with the ends
 * of other records both say the same. */
#ifndef SL_STREAM_TEST_DECODING_H
#define SL_STREAM_TEST_DECODING_H

#include "stream/change.h"

/* A table in the source's catalog. */
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

typedef struct sl_test_decoding sl_test_decoding;

/* Both are copied. The relations that are handed on live until sl_test_decoding_free. */
sl_test_decoding *sl_test_decoding_new(const sl_sink *sink, const sl_catalog *catalog);
void sl_test_decoding_free(sl_test_decoding *d);

/* Decodes one message; start is the position that came with it. Nothing of a transaction is handed
 * on before its COMMIT. After any error the decoder must not be used again. */
sl_rc sl_test_decoding_decode(sl_test_decoding *d, const void *data, size_t len, sl_lsn start,
                              sl_error *err);

/* Between begin and commit? */
bool sl_test_decoding_in_transaction(const sl_test_decoding *d);

/* The options for START_REPLICATION. */
const char *sl_test_decoding_options(void);

#endif
