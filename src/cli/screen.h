/* screen.h: the live block: the stage, what is being copied, then the stream's lag and rates. Not
 * thread-safe: the display's lock covers it. */
#ifndef SL_CLI_SCREEN_H
#define SL_CLI_SCREEN_H

#include "core/buf.h"
#include "state/run.h"

typedef struct screen screen;

screen *screen_new(const char *task_name);
void screen_free(screen *s);
void screen_draw(screen *s, const sl_run *run); /* over the block drawn before */
void screen_erase(screen *s);                   /* so that a line can be printed in its place */

/* One line that says where the task is, for logs. */
void screen_summary(const sl_run *run, sl_buf *line);

#endif
