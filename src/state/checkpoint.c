/* checkpoint.c: the row that says how far the stream is applied. */
#include <stdio.h>
#include <string.h>

#include "state/internal.h"

const char *sl_text_int(sl_arena *arena, int64_t value)
{
    return sl_arena_printf(arena, "%lld", (long long)value);
}

sl_rc sl_checkpoint_read(sl_run *run, sl_pg *destination, sl_checkpoint *out, sl_error *err)
{
    SL_SCRATCH(tmp);
    SL_RESULT(res);
    *out = (sl_checkpoint){ 0 };
    if (sl_pg_query(destination,
                    sl_sql(&tmp,
                           "SELECT applied_end_lsn, acked_lsn, consistent_point, system_id,"
                           " timeline, slot, applied_commit_us FROM %I.checkpoint WHERE task_id ="
                           " %L",
                           run->spec->state_schema, run->id),
                    &res, err) != SL_OK)
        return sl_while(err, "reading the checkpoint of task %s", run->id);
    if (PQntuples(res) == 0)
        return SL_OK;
    out->exists = true;
    out->applied_end_lsn = sl_cell_lsn(res, 0, 0);
    out->acked_lsn = sl_cell_lsn(res, 0, 1);
    out->consistent_point = sl_cell_lsn(res, 0, 2);
    snprintf(out->system_id, sizeof(out->system_id), "%s", PQgetvalue(res, 0, 3));
    out->timeline = (unsigned)sl_cell_int(res, 0, 4);
    snprintf(out->slot, sizeof(out->slot), "%s", PQgetvalue(res, 0, 5));
    out->applied_commit_us = sl_cell_int(res, 0, 6);
    return SL_OK;
}

sl_rc sl_checkpoint_insert(sl_run *run, sl_pg *destination, const sl_checkpoint *cp, sl_error *err)
{
    SL_SCRATCH(tmp);
    const char *schema = run->spec->state_schema;
    const char *sql =
        sl_sql(&tmp,
               "INSERT INTO %I.checkpoint (task_id, epoch, applied_end_lsn, acked_lsn,"
               " consistent_point, applied_commit_us, system_id, timeline, slot)"
               " SELECT task_id, epoch, %P, %P, %P, %lld, %L, %u, %L FROM %I.task"
               " WHERE task_id = $1 AND epoch = $2::bigint",
               schema, cp->applied_end_lsn, cp->acked_lsn, cp->consistent_point,
               (long long)cp->applied_commit_us, cp->system_id, cp->timeline, cp->slot, schema);
    return sl_state_fenced_exec(run, destination, sql, 2,
                                (const char *[]){ run->id, sl_text_int(&tmp, run->epoch) },
                                "writing the first checkpoint", err);
}

char *sl_checkpoint_sql(const sl_run *run, sl_cp_statement which, sl_arena *arena)
{
    static const char *const sets[] = {
        [SL_CP_ADVANCE] = "applied_end_lsn = $3, applied_commit_us = $4,"
                          " acked_lsn = CASE WHEN acked_lsn > $3 THEN acked_lsn ELSE $3 END,"
                          " row_count = row_count + $5, byte_count = byte_count + $6",
        [SL_CP_FENCE] = "epoch = epoch",
        [SL_CP_ACK] = "acked_lsn = CASE WHEN acked_lsn > $3 THEN acked_lsn ELSE $3 END",
    };
    return sl_sql(arena, "UPDATE %I.checkpoint SET %s WHERE task_id = $1 AND epoch = $2",
                  run->spec->state_schema, sets[which]);
}
