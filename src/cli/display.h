/* display.h: what a person sees while a task runs: a live block on a terminal, else plain lines; or
 * events as JSON lines. All of it goes to standard output; the log goes to standard error, above
 * the block where both are the same terminal. */
#ifndef SL_CLI_DISPLAY_H
#define SL_CLI_DISPLAY_H

#include "cli/cli.h"

typedef struct display display;

display *display_new(const cli_args *args, const char *task_name);
void display_free(display *d); /* draws the last state and leaves it on the screen */

/* Hooks for sl_task_options; self is the display. */
void display_event(void *self, const char *event, const json_t *fields);
void display_started(void *self, const sl_run *run);
void display_findings(void *self, const sl_findings *findings);

#endif
