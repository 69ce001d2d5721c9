/* plugin.h: the output plugins whose stream we read, and which of them a task uses. */
#ifndef SL_PG_PLUGIN_H
#define SL_PG_PLUGIN_H

#include <stdbool.h>

typedef struct sl_plugin {
    const char *decoder; /* the specification's word for it (key `decoder`) */
    const char *library; /* the server's name, of which a slot is made */
    int since;           /* first server version (as in versions.h) that has it, or can have it */
    int binary_since;    /* first version where values can be asked for in binary */
} sl_plugin;

/* By the specification's word; NULL or "" chooses by the source's version: pgoutput where the
 * server brings it (10 and newer), else pgsluice_decoding. NULL for a word that is none. */
const sl_plugin *sl_plugin_choose(const char *decoder, int version);

#endif
