/* fuzz_sluice_decoder.c: the decoder of pgsluice_decoding against arbitrary messages; see
 * fuzz_decoder.h. */
#include "stream/sluice_decoder.h"

static bool fuzz_in_transaction(void *self)
{
    return sl_sluice_decoder_in_transaction(*(sl_sluice_decoder **)self);
}

#include "fuzz_decoder.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static sl_rc decode(void *decoder, const void *message, size_t n, sl_error *err)
{
    return sl_sluice_decoder_decode(decoder, message, n, err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sl_sluice_decoder *decoder = NULL;
    sl_sink sink = fuzz_sink(&decoder);
    decoder = sl_sluice_decoder_new(&sink);
    fuzz_messages(data, size, decoder, decode);
    sl_sluice_decoder_free(decoder);
    return 0;
}
