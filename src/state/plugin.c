/* plugin.c: with which output plugin a task reads its changes. */
#include "state/run.h"

/* The decoder of the slot that is there already: a slot belongs to its plugin. */
static sl_rc of_slot(sl_run *run, sl_pg *source, const char **decoder, sl_error *err)
{
    SL_SCRATCH(tmp);
    char *library = NULL;
    sl_rc rc = sl_pg_value(source,
                           sl_sql(&tmp,
                                  "SELECT plugin FROM pg_catalog.pg_replication_slots"
                                  " WHERE slot_name = %L",
                                  run->slot),
                           &tmp, &library, err);
    const sl_plugin *plugin = rc == SL_OK && library ? sl_plugin_by_library(library) : NULL;
    *decoder = plugin ? plugin->decoder : NULL;
    return rc;
}

sl_rc sl_run_choose_plugin(sl_run *run, sl_pg *source, sl_error *err)
{
    SL_SCRATCH(tmp);
    const char *found, *decoder = run->spec->decoder;
    if (run->plugin.plugin)
        return SL_OK;
    sl_rc rc = of_slot(run, source, &found, err);
    if (rc != SL_OK && rc != SL_NOT_FOUND)
        return sl_while(err, "reading the replication slot");
    if (!decoder || !decoder[0])
        decoder = found;
    return sl_plugin_choose(source, decoder,
                            rc == SL_OK ? NULL : sl_arena_printf(&tmp, "%s_t_probe", run->slot),
                            &run->plugin, err);
}

bool sl_run_publishes(const sl_run *run)
{
    return run->plugin.plugin && run->plugin.plugin->publications;
}
