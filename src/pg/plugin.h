/* plugin.h: the output plugins whose stream we read, and which of them a source lets us use. */
#ifndef SL_PG_PLUGIN_H
#define SL_PG_PLUGIN_H

#include <stdbool.h>

#include "pg/pg.h"

typedef struct sl_plugin {
    const char *decoder;   /* the specification's word for it (key `decoder`) */
    const char *library;   /* the server's name, of which a slot is made */
    int since;             /* first server version (as in versions.h) that has it, or can have it */
    int binary_since;      /* first version where values can be asked for in binary */
    bool publications;     /* it is told what to send by publications */
    bool built_in;         /* nobody has to install it */
    const char *handshake; /* options that it refuses when it is another version's; or NULL */
} sl_plugin;

/* In the order of preference; ends with an entry without library. */
extern const sl_plugin sl_plugins[];

const sl_plugin *sl_plugin_by_decoder(const char *decoder); /* NULL for a word that is none */
const sl_plugin *sl_plugin_by_library(const char *library); /* NULL for one that we cannot read */

/* What a task reads its changes with. */
typedef struct sl_plugin_choice {
    const sl_plugin *plugin; /* NULL: not chosen yet */
    bool usable;             /* as far as could be told */
    /* Why it is not usable, or why a better one was passed over; "" for neither. */
    char why[600], remedy[600];
} sl_plugin_choice;

/* Chooses: `decoder` (the specification's word) if it is given, else the first of sl_plugins that
 * the source has, allows and that speaks our protocol. The last two are found out by making a slot
 * of this name and dropping it, except for a built-in one: `source` must be outside of a
 * transaction. What cannot be told (no slot is free, a transaction holds up the slot's creation)
 * counts as usable: making the real slot tells. Without a slot's name nothing is tried out. An
 * error is a lost connection. */
sl_rc sl_plugin_choose(sl_pg *source, const char *decoder, const char *slot,
                       sl_plugin_choice *choice, sl_error *err);

/* Asks the plugin of a slot that nobody uses whether it understands us. SL_FAILED with what it said
 * when it does not. */
sl_rc sl_plugin_shake_hands(sl_pg *source, const sl_plugin *plugin, const char *slot,
                            sl_error *err);

#endif
