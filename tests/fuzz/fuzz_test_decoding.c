/* fuzz_test_decoding.c: the decoder of test_decoding's text against arbitrary messages; see
 * fuzz_decoder.h. Its catalog knows every table, with the columns id and v. */
#include "fuzz_decoder.h"

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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sl_catalog catalog = { .hidden_oid = size % 2, .describe = describe };
    return fuzz_decoder(&sl_decoder_test, &catalog, data, size);
}
