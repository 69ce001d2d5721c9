/* fuzz_test_decoding.c: the decoder of test_decoding's text against arbitrary messages; see
 * fuzz_decoder.h. Its catalog knows every table, with the columns id and v. */
#include "stream/test_decoding.h"

static bool fuzz_in_transaction(void *self)
{
    return sl_test_decoding_in_transaction(*(sl_test_decoding **)self);
}

#include "fuzz_decoder.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static sl_rc describe(void *self, const char *schema, const char *table, sl_arena *arena,
                      sl_catalog_table *out, sl_error *err)
{
    static sl_catalog_column columns[] = { { "id", 23, -1, true, false },
                                           { "v", 25, -1, false, false },
                                           { "g", 23, -1, false, true } };
    (void)self, (void)arena, (void)err;
    eat(schema, strlen(schema));
    *out = (sl_catalog_table){ 16385, table[0] == 'w' ? 'f' : 'd', 3, columns };
    return table[0] == 'g' ? SL_NOT_FOUND : SL_OK;
}

static sl_rc decode(void *decoder, const void *message, size_t n, sl_error *err)
{
    return sl_test_decoding_decode(decoder, message, n, 0x1000, err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sl_test_decoding *decoder = NULL;
    sl_sink sink = fuzz_sink(&decoder);
    sl_catalog catalog = { .hidden_oid = size % 2, .describe = describe };
    decoder = sl_test_decoding_new(&sink, &catalog);
    fuzz_messages(data, size, decoder, decode);
    sl_test_decoding_free(decoder);
    return 0;
}
