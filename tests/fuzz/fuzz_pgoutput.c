/* fuzz_pgoutput.c: the pgoutput decoder against arbitrary messages; see fuzz_decoder.h. */
#include "stream/pgoutput.h"

static bool fuzz_in_transaction(void *self)
{
    return sl_pgoutput_in_transaction(*(sl_pgoutput **)self);
}

#include "fuzz_decoder.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static sl_rc decode(void *decoder, const void *message, size_t n, sl_error *err)
{
    return sl_pgoutput_decode(decoder, message, n, err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sl_pgoutput *decoder = NULL;
    sl_sink sink = fuzz_sink(&decoder);
    decoder = sl_pgoutput_new(&sink);
    fuzz_messages(data, size, decoder, decode);
    sl_pgoutput_free(decoder);
    return 0;
}
