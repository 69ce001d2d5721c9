/* plugin.c: the table of output plugins, and what a source says of them.
 *
 * Whether a library is installed cannot be asked without being superuser: a slot is made of it. The
 * server loads it before it waits for running transactions, so a statement that ran into its time
 * limit found it. */
#include "pg/plugin.h"

#include <stdio.h>
#include <string.h>

#define PROBE_TIMEOUT "2s"

const sl_plugin sl_plugins[] = {
    { "pgoutput", "pgoutput", SL_PG_10, SL_PG_14, true, true, NULL },
    { "pgsluice", "pgsluice_decoding", SL_PG_9_4, SL_PG_9_4, false, false,
      "'min_proto_version', '1', 'max_proto_version', '1'" },
    { "test_decoding", "test_decoding", SL_PG_9_4, SL_PG_NEWEST + 1, false, false, NULL },
    { .library = NULL },
};

const sl_plugin *sl_plugin_by_decoder(const char *decoder)
{
    for (const sl_plugin *p = sl_plugins; p->library; p++)
        if (strcmp(p->decoder, decoder) == 0)
            return p;
    return NULL;
}

const sl_plugin *sl_plugin_by_library(const char *library)
{
    for (const sl_plugin *p = sl_plugins; p->library; p++)
        if (strcmp(p->library, library) == 0)
            return p;
    return NULL;
}

/* ---- one of them ---- */

typedef struct probe {
    sl_pg *source;
    const char *slot, *allowed; /* allowed: the server's list, or NULL */
    sl_arena *arena;
    const char *why, *remedy; /* not usable, if why is set */
} probe;

static bool in_list(const char *list, const char *name)
{
    static const char word[] = "abcdefghijklmnopqrstuvwxyz_0123456789$";
    size_t n = strlen(name);
    for (const char *p = list; (p = strstr(p, name)); p += n)
        if ((p == list || !strchr(word, p[-1])) && (!p[n] || !strchr(word, p[n])))
            return true;
    return false;
}

sl_rc sl_plugin_shake_hands(sl_pg *source, const sl_plugin *plugin, const char *slot, sl_error *err)
{
    SL_SCRATCH(tmp);
    SL_RESULT(res);
    if (!plugin->handshake)
        return SL_OK;
    return sl_pg_query(source,
                       sl_sql(&tmp,
                              "SELECT pg_catalog.count(*) FROM"
                              " pg_catalog.pg_logical_slot_peek_binary_changes(%L, '0/1', 1, %s)",
                              slot, plugin->handshake),
                       &res, err);
}

/* Errors that say nothing of the plugin: no right, no slot left, wal_level, another process that
 * tries at the same time, a standby, the time limit. Each has a check of its own, or passes. */
static bool says_nothing(const char *sqlstate)
{
    static const char *const states[] = { "42501", "53400", "55000", "42710",
                                          "42704", "55006", "25006", "57014" };
    for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++)
        if (strcmp(sqlstate, states[i]) == 0)
            return true;
    return false;
}

static void judge(probe *p, const sl_plugin *plugin, bool loaded, const sl_error *failure)
{
    if (says_nothing(failure->sqlstate))
        return;
    bool missing = strcmp(failure->sqlstate, "58P01") == 0;
    p->why = sl_arena_printf(p->arena, "%s %s: %s", plugin->library,
                             loaded    ? "on the source does not understand this pgsluice"
                             : missing ? "is not installed on the source"
                                       : "cannot be used on the source",
                             failure->message);
    p->remedy = strcmp(plugin->library, "test_decoding") == 0
                    ? "Install the server's contrib modules on the source (package "
                      "postgresql-contrib where it is one of its own)."
                : loaded ? "Install the pgsluice_decoding of this pgsluice's version on the "
                           "source: decoding/README.md, \"Upgrade and remove\"."
                         : "Install pgsluice_decoding on the source: decoding/README.md, "
                           "\"Install\".";
}

/* Below 10 no slot is temporary, so a left-over of a crash may be there. */
static sl_rc drop(probe *p, sl_error *err)
{
    SL_SCRATCH(tmp);
    return sl_pg_exec(
        p->source,
        sl_sql(&tmp,
               "SELECT pg_catalog.pg_drop_replication_slot(slot_name) FROM"
               " pg_catalog.pg_replication_slots WHERE slot_name = %L AND NOT active%s",
               p->slot,
               p->source->version >= SL_PG_10
                   ? sl_sql(&tmp, " OR (slot_name = %L AND active_pid = pg_backend_pid())", p->slot)
                   : ""),
        err);
}

static sl_rc try_to_load(probe *p, const sl_plugin *plugin, sl_error *err)
{
    SL_SCRATCH(tmp);
    sl_error failure = SL_ERROR_INIT;
    if (drop(p, err) != SL_OK ||
        sl_pg_exec(p->source, "SET statement_timeout = '" PROBE_TIMEOUT "'", err) != SL_OK)
        return err->code;
    bool loaded =
        sl_pg_exec(p->source,
                   sl_sql(&tmp, "SELECT pg_catalog.pg_create_logical_replication_slot(%L, %L%s)",
                          p->slot, plugin->library, p->source->version >= SL_PG_10 ? ", true" : ""),
                   &failure) == SL_OK;
    if (loaded)
        sl_plugin_shake_hands(p->source, plugin, p->slot, &failure);
    if (failure.code != SL_OK) {
        if (PQstatus(p->source->conn) != CONNECTION_OK) {
            *err = failure;
            return failure.code;
        }
        judge(p, plugin, loaded, &failure);
    }
    if (sl_pg_exec(p->source, "SET statement_timeout = 0", err) != SL_OK)
        return err->code;
    return drop(p, err);
}

static sl_rc look_at(probe *p, const sl_plugin *plugin, sl_error *err)
{
    p->why = p->remedy = NULL;
    if (p->source->version < plugin->since) {
        p->why = sl_arena_printf(p->arena, "The source has no %s: it comes with PostgreSQL 10.",
                                 plugin->library);
        p->remedy = "decoder: pgsluice";
        return SL_OK;
    }
    if (p->allowed && !in_list(p->allowed, plugin->library)) {
        p->why = sl_arena_printf(p->arena,
                                 "output_plugin_libraries is \"%s\" on the source and does not "
                                 "allow %s.",
                                 p->allowed, plugin->library);
        p->remedy = sl_arena_printf(p->arena,
                                    "ALTER SYSTEM SET output_plugin_libraries = %s%s%s; SELECT "
                                    "pg_reload_conf();",
                                    p->allowed, p->allowed[0] ? ", " : "", plugin->library);
        return SL_OK;
    }
    return plugin->built_in || !p->slot ? SL_OK : try_to_load(p, plugin, err);
}

/* ---- choosing ---- */

/* Any one of the remedies does: the first lets the best one in, the others are comments for SQL. */
static void keep_reason(sl_plugin_choice *choice, const probe *p)
{
    size_t why = strlen(choice->why), remedy = strlen(choice->remedy);
    snprintf(choice->why + why, sizeof(choice->why) - why, "%s%s", why ? " " : "", p->why);
    snprintf(choice->remedy + remedy, sizeof(choice->remedy) - remedy, "%s%s",
             remedy ? "\n-- or: " : "", p->remedy);
}

static sl_rc choose(probe *p, const char *decoder, sl_plugin_choice *choice, sl_error *err)
{
    for (const sl_plugin *plugin = sl_plugins; plugin->library; plugin++) {
        bool asked_for = decoder && strcmp(plugin->decoder, decoder) == 0;
        if (decoder ? !asked_for : p->source->version < plugin->since)
            continue;
        if (look_at(p, plugin, err) != SL_OK)
            return err->code;
        if (p->why)
            keep_reason(choice, p);
        if (!choice->plugin || !p->why)
            choice->plugin = plugin; /* the best, though it cannot be used, until one can */
        choice->usable = p->why == NULL;
        if (choice->usable)
            break;
    }
    return SL_OK;
}

sl_rc sl_plugin_choose(sl_pg *source, const char *decoder, const char *slot,
                       sl_plugin_choice *choice, sl_error *err)
{
    SL_SCRATCH(tmp);
    char *allowed = NULL;
    *choice = (sl_plugin_choice){ 0 };
    sl_rc rc = sl_pg_value(source,
                           "SELECT setting FROM pg_catalog.pg_settings WHERE name ="
                           " 'output_plugin_libraries'",
                           &tmp, &allowed, err);
    if (rc != SL_OK && rc != SL_NOT_FOUND)
        return sl_while(err, "reading the source's settings");
    probe p = {
        .source = source, .slot = slot, .allowed = rc == SL_OK ? allowed : NULL, .arena = &tmp
    };
    rc = choose(&p, decoder && decoder[0] ? decoder : NULL, choice, err);
    return rc == SL_OK ? rc : sl_while(err, "choosing the output plugin");
}
