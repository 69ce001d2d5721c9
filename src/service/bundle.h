/* bundle.h: what somebody who helps needs to see of a task, in one archive, without secrets. */
#ifndef SL_SERVICE_BUNDLE_H
#define SL_SERVICE_BUNDLE_H

#include "service/http.h"

/* A tar.gz of the request's task (params[0]): version, task, specification, findings, tables, the
 * newest 1,000 events, the ends of its logs. The passwords of its servers are replaced wherever
 * they stand. SL_NOT_FOUND when there is no such task. */
sl_rc sl_bundle_make(sl_request *r, sl_buf *archive, sl_error *err);

#endif
