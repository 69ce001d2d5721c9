/* fuzz_spec.c: the specification reader takes any bytes: a specification, or SL_USAGE with a
 * message. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "spec/spec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* libfyaml 0.7.12 loses 1 KiB when it refuses some texts (seen: quotes that are never closed). */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libfyaml.so\n";
}

/* What the reader hands on must be complete: the stages rely on it. */
static void use(const sl_spec *spec)
{
    if (!spec->name || !spec->source.database || !spec->destination.user || !spec->stages ||
        !spec->state_schema || spec->retry_minutes < 10 || spec->n_schemas == 0)
        abort();
    for (size_t i = 0; i < spec->n_schemas; i++) {
        const sl_spec_schema *s = &spec->schemas[i];
        if (!s->schema || (s->n_tables == 0 && !s->whole))
            abort();
        for (size_t j = 0; j < s->n_tables; j++)
            if (!s->tables[j].pattern || !s->tables[j].operations ||
                s->tables[j].keyless > SL_KEYLESS_FULL)
                abort();
    }
    char id[17];
    sl_task_id(spec, "1", "a", "2", "b", id);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sl_spec *spec = NULL;
    sl_error err = SL_ERROR_INIT;
    sl_rc rc = sl_spec_parse((const char *)data, size, "fuzz.yaml", &spec, &err);
    if (rc == SL_OK)
        use(spec);
    else if (rc != SL_USAGE || err.code != SL_USAGE || err.message[0] == '\0' || spec)
        abort();
    sl_spec_free(spec);
    return 0;
}
