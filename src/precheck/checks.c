/* checks.c: the table of checks. To add one: a row here, its function, a line in docs/precheck.md.
 */
#include "precheck/internal.h"

#include <string.h>

enum {
    SCHEMA = SL_STAGE_SCHEMA,
    FULL = SL_STAGE_FULL,
    STREAM = SL_STAGE_INCREMENTAL,
};

/* clang-format off */
const sl_check sl_checks[] = {
    { "source.reachable", SL_SOURCE, SL_BLOCKS, 0, "the source can be reached", sl_check_passes },
    { "source.version", SL_SOURCE, SL_BLOCKS, 0, "the source's version is supported", sl_check_source_version },
    { "source.minor", SL_SOURCE, SL_WARNS, 0, "the source's minor version has no known bugs that lose data", sl_check_source_minor },
    { "source.primary", SL_SOURCE, SL_BLOCKS, 0, "the source is no standby", sl_check_source_primary },
    { "source.integer_datetimes", SL_SOURCE, SL_BLOCKS, 0, "both servers store times as integers", sl_check_integer_datetimes },
    { "source.wal_level", SL_SOURCE, SL_BLOCKS, STREAM, "wal_level is logical", sl_check_wal_level },
    { "source.slots", SL_SOURCE, SL_BLOCKS, STREAM, "a replication slot is free", sl_check_slot },
    { "source.wal_senders", SL_SOURCE, SL_BLOCKS, STREAM, "a WAL sender is free", sl_check_wal_senders },
    { "source.replication", SL_SOURCE, SL_BLOCKS, STREAM, "the source's role may replicate", sl_check_replication },
    { "source.decoder", SL_SOURCE, SL_BLOCKS, STREAM, "the output plugin is allowed", sl_check_decoder },
    { "source.select", SL_SOURCE, SL_BLOCKS, FULL, "the source's role may read every table", sl_check_select },
    { "source.sequences", SL_SOURCE, SL_IGNORABLE, SCHEMA | FULL, "the source's role may read every sequence", sl_check_sequences },
    { "source.row_security", SL_SOURCE, SL_BLOCKS, FULL, "no row security hides rows from the source's role", sl_check_row_security },
    { "source.identity", SL_SOURCE, SL_IGNORABLE, STREAM, "every table can tell its rows apart", sl_check_identity },
    { "source.identity_full", SL_SOURCE, SL_BLOCKS, STREAM, "REPLICA IDENTITY FULL is set, or can be", sl_check_identity_full },
    { "source.publication", SL_SOURCE, SL_BLOCKS, STREAM, "the tables are published, or can be", sl_check_publication },
    { "source.patterns", SL_SOURCE, SL_WARNS, 0, "every pattern of the specification matches a table", sl_check_patterns },
    { "source.unlogged", SL_SOURCE, SL_WARNS, STREAM, "every table is logged", sl_check_unlogged },
    { "source.truncate", SL_SOURCE, SL_WARNS, STREAM, "TRUNCATE is carried over", sl_check_truncate },
    { "source.unsupported", SL_SOURCE, SL_WARNS, SCHEMA, "every object of the selected schemas is synchronized", sl_check_unsupported },
    { "source.foreign_keys", SL_SOURCE, SL_WARNS, SCHEMA, "every foreign key's parent is selected, with all its rows", sl_check_foreign_keys },
    { "source.long_transactions", SL_SOURCE, SL_WARNS, STREAM, "no old transaction holds up the slot's creation", sl_check_long_transactions },
    { "source.wal_limit", SL_SOURCE, SL_WARNS, STREAM, "the slot is not invalidated when it falls behind", sl_check_wal_limit },
    { "source.locks", SL_SOURCE, SL_WARNS, STREAM, "the lock table holds all selected tables", sl_check_locks },

    { "destination.reachable", SL_DESTINATION, SL_BLOCKS, 0, "the destination can be reached", sl_check_passes },
    { "destination.version", SL_DESTINATION, SL_BLOCKS, 0, "the destination's version is supported", sl_check_destination_version },
    { "destination.minor", SL_DESTINATION, SL_WARNS, 0, "the destination's minor version has no known bugs that lose data", sl_check_destination_minor },
    { "destination.writable", SL_DESTINATION, SL_BLOCKS, 0, "the destination takes writes", sl_check_destination_writable },
    { "destination.not_the_source", SL_DESTINATION, SL_BLOCKS, 0, "source and destination are different databases", sl_check_not_the_source },
    { "destination.state_schema", SL_DESTINATION, SL_BLOCKS, 0, "the state schema is there, or can be created", sl_check_state_schema },
    { "destination.schemas", SL_DESTINATION, SL_BLOCKS, 0, "the destination's role may use and create in the schemas", sl_check_schemas },
    { "destination.names", SL_DESTINATION, SL_BLOCKS, SCHEMA, "every object has a name of its own in the destination", sl_check_names },
    { "destination.shared", SL_DESTINATION, SL_BLOCKS, SCHEMA, "tables that sources share take this one's partitions", sl_check_shared },
    { "destination.conflicts", SL_DESTINATION, SL_BLOCKS, SCHEMA, "nothing in the destination is in the tables' way", sl_check_conflicts },
    { "destination.tables", SL_DESTINATION, SL_BLOCKS, FULL | STREAM, "the tables exist in the destination", sl_check_tables_exist },
    { "destination.empty", SL_DESTINATION, SL_BLOCKS, FULL, "the tables of the destination are empty", sl_check_tables_empty },
    { "destination.columns", SL_DESTINATION, SL_BLOCKS, FULL | STREAM, "tables that exist have the source's columns", sl_check_columns },
    { "destination.rights", SL_DESTINATION, SL_BLOCKS, FULL | STREAM, "the destination's role may write to tables that exist", sl_check_table_rights },
    { "destination.triggers", SL_DESTINATION, SL_WARNS, FULL | STREAM, "no trigger of the destination fires on synchronized rows", sl_check_triggers },
    { "destination.other_tasks", SL_DESTINATION, SL_WARNS, 0, "no other task writes to the same tables", sl_check_other_tasks },
    { "destination.encoding", SL_DESTINATION, SL_IGNORABLE, 0, "the destination's encoding takes the source's characters", sl_check_encoding },
    { "destination.collations", SL_DESTINATION, SL_IGNORABLE, SCHEMA, "the destination has the collations of the columns", sl_check_collations },
    { "destination.extensions", SL_DESTINATION, SL_BLOCKS, SCHEMA, "the destination has the extensions that tables need", sl_check_extensions },
    { "destination.free_space", SL_DESTINATION, SL_IGNORABLE, FULL, "the destination has room for the rows", sl_check_free_space },

    { "task.retry_minutes", SL_SOURCE, SL_WARNS, 0, "lost connections are tried again long enough", sl_check_retry_time },
    { "task.ignore", SL_SOURCE, SL_WARNS, 0, "precheck.ignore names checks that there are", sl_check_ignore_list },
    { .fn = NULL },
};
/* clang-format on */

const sl_check *sl_check_find(const char *id)
{
    for (const sl_check *check = sl_checks; check->fn; check++)
        if (strcmp(check->id, id) == 0)
            return check;
    return NULL;
}
