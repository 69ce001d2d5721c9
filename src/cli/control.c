/* control.c: `run - --control`: standard input brings the specification as its first line, and
 * then, while the task runs, what is to change of it (docs/events.md). One JSON object per line;
 * members that are not known are ignored. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "cli/cli.h"
#include "core/log.h"
#include "spec/classes.h"

sl_rc cli_control_spec(sl_spec **spec, sl_error *err)
{
    char *line = NULL;
    size_t size = 0;
    ssize_t n = getline(&line, &size, stdin);
    sl_rc rc = n > 0 ? sl_spec_parse(line, (size_t)n, "standard input", spec, err)
                     : sl_fail(err, SL_USAGE, "standard input holds no specification");
    if (line)
        explicit_bzero(line, size); /* it may hold a password */
    free(line);
    return rc;
}

static void *listen(void *self)
{
    sl_limits *limits = self;
    char *line = NULL;
    size_t size = 0;
    for (ssize_t n; (n = getline(&line, &size, stdin)) > 0;) {
        json_t *change = json_loadb(line, (size_t)n, 0, NULL);
        const sl_class *class = sl_class_find(json_string_value(json_object_get(change, "class")));
        if (class) {
            sl_rate_set(&limits->rate, class->rows_per_second);
            sl_info("the class is %s now", class->name);
        }
        json_int_t minutes = json_integer_value(json_object_get(change, "retry_minutes"));
        if (minutes >= 10 && minutes <= 1440)
            limits->retry_minutes = (int)minutes;
        json_decref(change);
    }
    free(line);
    return NULL;
}

void cli_control_listen(sl_limits *limits)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, listen, limits) != 0)
        sl_warn("no thread for changes while the task runs: they come with its next start");
    else
        pthread_detach(thread); /* it waits for a line to the process's end */
}
