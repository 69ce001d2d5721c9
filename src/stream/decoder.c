/* decoder.c: the table of decoders. */
#include "stream/decoder.h"

#include <string.h>

static const sl_decoder *const decoders[] = { &sl_decoder_pgoutput, &sl_decoder_sluice,
                                              &sl_decoder_test };

const char *sl_change_op_name(sl_change_op op)
{
    static const char *const names[SL_CHANGE_OPS] = { "insert", "update", "delete", "truncate" };
    return names[op];
}

sl_rc sl_decoder_for(const sl_plugin *plugin, const sl_decoder **decoder, sl_error *err)
{
    for (size_t i = 0; i < sizeof(decoders) / sizeof(decoders[0]); i++)
        if (strcmp(decoders[i]->library, plugin->library) == 0) {
            *decoder = decoders[i];
            return SL_OK;
        }
    sl_fail(err, SL_FAILED, "the output plugin %s cannot be read", plugin->library);
    return sl_hint(err, "Choose another one with the specification's key `decoder`.");
}
