/* serve.h: `pgsluice serve`. */
#ifndef SL_SERVICE_SERVE_H
#define SL_SERVICE_SERVE_H

#include "service/service.h"

/* Runs the service until stop is requested. The first start makes the user admin, with the password
 * from PGSLUICE_ADMIN_PASSWORD (which is then wiped from the environment), else with one that is
 * made and printed once on standard output. */
sl_rc sl_serve(const sl_serve_options *options, sl_stop *stop, sl_error *err);

#endif
