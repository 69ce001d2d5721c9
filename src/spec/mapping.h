/* mapping.h: what the names of all routes together have to be. Internal to spec/. */
#ifndef SL_SPEC_MAPPING_H
#define SL_SPEC_MAPPING_H

#include "spec/route.h"

/* The destination of a route with `merge`: its partition of the shared table. */
void sl_mapping_merge(const sl_spec *spec, sl_route *route, sl_arena *arena);

/* Gives inherited columns their parent's names (oids: of all routes, an array literal), then checks
 * the destination's names: SL_USAGE, which names both objects, where two tables or two columns
 * would have one name, where a name is longer than PostgreSQL's or the server's own, and for a
 * renamed column that the table does not have. Fills routes->mapped. Names given twice are let
 * through where spec->collisions_are_shown. */
sl_rc sl_mapping_settle(const sl_spec *spec, sl_pg *source, sl_routes *routes, const char *oids,
                        sl_error *err);

#endif
