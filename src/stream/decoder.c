/* decoder.c: the table of decoders. */
#include "stream/decoder.h"

#include <string.h>

#include "stream/pgoutput.h"
#include "stream/sluice_decoder.h"
#include "stream/test_decoding.h"

static char *pgoutput_options(const sl_decoder_request *r, sl_arena *arena)
{
    return sl_pgoutput_options(r->version, r->publications, r->binary, arena);
}

static void *pgoutput_create(const sl_sink *sink, const sl_catalog *catalog)
{
    (void)catalog;
    return sl_pgoutput_new(sink);
}

static sl_rc pgoutput_decode(void *self, const void *data, size_t len, sl_lsn start, sl_error *err)
{
    (void)start;
    return sl_pgoutput_decode(self, data, len, err);
}

static bool pgoutput_in_transaction(const void *self)
{
    return sl_pgoutput_in_transaction(self);
}

static void pgoutput_destroy(void *self)
{
    sl_pgoutput_free(self);
}

static char *sluice_options(const sl_decoder_request *r, sl_arena *arena)
{
    return sl_sluice_decoder_options(r->binary, r->oids, r->columns, r->exclude_columns, arena);
}

static void *sluice_create(const sl_sink *sink, const sl_catalog *catalog)
{
    (void)catalog;
    return sl_sluice_decoder_new(sink);
}

static sl_rc sluice_decode(void *self, const void *data, size_t len, sl_lsn start, sl_error *err)
{
    (void)start;
    return sl_sluice_decoder_decode(self, data, len, err);
}

static bool sluice_in_transaction(const void *self)
{
    return sl_sluice_decoder_in_transaction(self);
}

static void sluice_destroy(void *self)
{
    sl_sluice_decoder_free(self);
}

static char *test_options(const sl_decoder_request *r, sl_arena *arena)
{
    (void)r;
    return sl_arena_strdup(arena, sl_test_decoding_options());
}

static void *test_create(const sl_sink *sink, const sl_catalog *catalog)
{
    return sl_test_decoding_new(sink, catalog);
}

static sl_rc test_decode(void *self, const void *data, size_t len, sl_lsn start, sl_error *err)
{
    return sl_test_decoding_decode(self, data, len, start, err);
}

static bool test_in_transaction(const void *self)
{
    return sl_test_decoding_in_transaction(self);
}

static void test_destroy(void *self)
{
    sl_test_decoding_free(self);
}

static const sl_decoder decoders[] = {
    { "pgoutput", pgoutput_options, pgoutput_create, pgoutput_decode, pgoutput_in_transaction,
      pgoutput_destroy },
    { "pgsluice_decoding", sluice_options, sluice_create, sluice_decode, sluice_in_transaction,
      sluice_destroy },
    { "test_decoding", test_options, test_create, test_decode, test_in_transaction, test_destroy },
};

sl_rc sl_decoder_for(const sl_plugin *plugin, const sl_decoder **decoder, sl_error *err)
{
    for (size_t i = 0; i < sizeof(decoders) / sizeof(decoders[0]); i++)
        if (strcmp(decoders[i].library, plugin->library) == 0) {
            *decoder = &decoders[i];
            return SL_OK;
        }
    sl_fail(err, SL_FAILED, "the output plugin %s cannot be read", plugin->library);
    return sl_hint(err, "Choose another one with the specification's key `decoder`.");
}
