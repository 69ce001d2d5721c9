/* lookup.h: tables in the source's catalog, for a decoder whose stream does not describe them. */
#ifndef SL_STREAM_LOOKUP_H
#define SL_STREAM_LOOKUP_H

#include "state/state.h"
#include "stream/decoder.h"

typedef struct sl_lookup {
    sl_run *run;
    sl_pg **source; /* connected when first needed; the caller's */
} sl_lookup;

/* An sl_catalog's describe; self is an sl_lookup. SL_FAILED when a table of a selected schema is
 * not there any more: its changes can then not be told from those of a table that was renamed. */
sl_rc sl_lookup_table(void *self, const char *schema, const char *table, sl_arena *arena,
                      sl_catalog_table *out, sl_error *err);

#endif
