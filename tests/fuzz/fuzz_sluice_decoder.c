/* fuzz_sluice_decoder.c: the decoder of pgsluice_decoding against arbitrary messages; see
 * fuzz_decoder.h. */
#include "fuzz_decoder.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return fuzz_decoder(&sl_decoder_sluice, NULL, data, size);
}
