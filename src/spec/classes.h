/* classes.h: how much a task may take: one table for the worker, the service and the documents. */
#ifndef SL_SPEC_CLASSES_H
#define SL_SPEC_CLASSES_H

#include <stdint.h>

typedef struct sl_class {
    const char *name;
    int64_t rows_per_second; /* copied and applied; 0: no limit */
    int workers;             /* of the copy, at most; 0: no limit */
    int64_t memory_bytes;    /* for index builds in the destination, at most; 0: no limit */
} sl_class;

extern const sl_class sl_classes[];              /* smallest first; ended by a NULL name */
const sl_class *sl_class_find(const char *name); /* NULL: there is no such class */

#endif
