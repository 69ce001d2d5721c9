/* classes.c: the table of classes. */
#include "spec/classes.h"

#include <stddef.h>
#include <string.h>

#define MIB ((int64_t)1 << 20)

const sl_class sl_classes[] = {
    { "micro", 200, 1, 32 * MIB },
    { "small", 2000, 1, 64 * MIB },
    { "medium", 5000, 2, 128 * MIB },
    { "large", 11000, 2, 256 * MIB },
    { "xlarge", 17000, 4, 512 * MIB },
    { "2xlarge", 34000, 4, 1024 * MIB },
    { "4xlarge", 68000, 8, 2048 * MIB },
    { "unlimited", 0, 0, 0 },
    { NULL, 0, 0, 0 },
};

const sl_class *sl_class_find(const char *name)
{
    for (const sl_class *c = sl_classes; name && c->name; c++)
        if (strcmp(c->name, name) == 0)
            return c;
    return NULL;
}
