/* plugin.c: the table of output plugins. */
#include "pg/plugin.h"

#include <stddef.h>
#include <string.h>

#include "pg/versions.h"

static const sl_plugin plugins[] = {
    { "pgoutput", "pgoutput", SL_PG_10, SL_PG_14 },
    { "pgsluice", "pgsluice_decoding", SL_PG_9_4, SL_PG_9_4 },
    { "test_decoding", "test_decoding", SL_PG_9_4, SL_PG_NEWEST + 1 },
};

const sl_plugin *sl_plugin_choose(const char *decoder, int version)
{
    if (!decoder || !decoder[0])
        return version >= plugins[0].since ? &plugins[0] : &plugins[1];
    for (size_t i = 0; i < sizeof(plugins) / sizeof(plugins[0]); i++)
        if (strcmp(plugins[i].decoder, decoder) == 0)
            return &plugins[i];
    return NULL;
}
