/* wording.h: remedies name the command that carries them out. What a task's process says is meant
 * for somebody who runs it by hand; under the service it is another command. */
#ifndef SL_SERVICE_WORDING_H
#define SL_SERVICE_WORDING_H

#include <jansson.h>
#include "core/buf.h"

/* "`pgsluice errors FILE skip 3`" becomes "`pgsluice task skip ID 3`", and so on; the rest stays.
 */
void sl_wording(const char *text, const char *id, sl_buf *out);
/* The same in an object's members for people: hint, remedy, message, cause, reason. */
void sl_wording_fields(json_t *fields, const char *id);

#endif
