/* inspect.h: `pgsluice inspect`: one question to one server, asked by a process of its own, so that
 * a server that does not answer holds up nobody. The question is a JSON object on standard input,
 * the answer one on standard output: {"problem", "hint"} when it could not be answered. */
#ifndef SL_SERVICE_INSPECT_H
#define SL_SERVICE_INSPECT_H

int sl_inspect(void); /* returns the exit code */

#endif
