/* publication.c: what the source publishes for a task.
 *
 * Two publications, both made before the slot, for one that is missing while old WAL is decoded
 * ends the stream: `pgsluice_<id>` with all operations, and `pgsluice_<id>_inserts` without UPDATE
 * and DELETE for tables whose rows cannot be told apart: in the first, such a table would make the
 * application's own UPDATE fail. Unlogged tables have no WAL and are in neither.
 *
 * Partitions (13+): where every leaf of a partitioned table is selected the root is published
 * instead, as its leaves (publish_via_partition_root is off), so that a leaf made later reaches the
 * stream under its own name and is noticed. The root goes into the first publication only if it has
 * a primary key, which new leaves then have too; else into the second, with the leaves that have an
 * identity beside it in the first: a leaf gets the operations of both. Before 13 only leaves can be
 * published: a new leaf is seen by a look at the catalogs (task/follow.h).
 *
 * Stored generated columns are published where that can be chosen (18+), though nothing reads them:
 * with a full identity the application's own UPDATE fails otherwise.
 *
 * `keyless: full` sets REPLICA IDENTITY FULL where the table has no other identity; it stays when
 * the task is released, for other readers may have come to rely on it.
 *
 * Other plugins than pgoutput are told the tables in the stream's options: nothing is published for
 * them, and below 10 nothing can be.
 *
 * The spec's own `publication` is used as it is: nothing here makes or changes it. */
#include <string.h>
#include "copy/internal.h"

#define LOCK_TIMEOUT "10s"

typedef enum { PUB_ALL, PUB_INSERTS, N_PUBS } pub_kind;

/* What should be published, by route index: bit 1 << pub_kind. */
typedef struct plan {
    unsigned *in;
} plan;

static const char *pub_name(const sl_run *run, pub_kind kind)
{
    return kind == PUB_ALL ? run->publication : run->publication_inserts;
}

static const char *pub_operations(int version, pub_kind kind)
{
    bool truncate = version >= SL_PG_11;
    if (kind == PUB_ALL)
        return truncate ? "insert, update, delete, truncate" : "insert, update, delete";
    return truncate ? "insert, truncate" : "insert";
}

static bool is_streamed(const sl_route *r)
{
    return r->relkind == 'r' && r->persistence == 'p';
}

static unsigned publication_of(const sl_route *r)
{
    if (!is_streamed(r))
        return 0;
    /* Without identity also under `refuse`: the precheck has let it pass, for only inserts are
     * asked for or the finding is ignored. */
    return 1u << (r->identity == SL_IDENTITY_NOTHING ? PUB_INSERTS : PUB_ALL);
}

/* -- partitioned tables -------------------------------------------------------------------------
 */

/* Every leaf below every partitioned table that has no parent: root, leaf, does the root have a
 * primary key. */
static const char leaves_sql[] =
    "WITH RECURSIVE tree (root, member) AS ("
    " SELECT c.oid, c.oid FROM pg_catalog.pg_class c WHERE c.relkind = 'p' AND NOT c.relispartition"
    " UNION ALL SELECT t.root, i.inhrelid FROM tree t JOIN pg_catalog.pg_inherits i"
    " ON i.inhparent = t.member)"
    " SELECT t.root, t.member, EXISTS (SELECT 1 FROM pg_catalog.pg_index x WHERE x.indrelid = "
    "t.root"
    " AND x.indisprimary AND x.indimmediate) FROM tree t JOIN pg_catalog.pg_class c ON c.oid = "
    "t.member"
    " WHERE c.relkind <> 'p' ORDER BY 1, 2";

/* One root's leaves are rows[from … to) of the answer. */
static void plan_root(const sl_run *run, plan *p, const PGresult *res, int from, int to)
{
    const sl_route *root = sl_route_by_oid(run->routes, (uint32_t)sl_cell_int(res, from, 0));
    bool has_key = sl_cell_bool(res, from, 2);
    if (!root || root->relkind != 'p')
        return;
    for (int i = from; i < to; i++) {
        const sl_route *leaf = sl_route_by_oid(run->routes, (uint32_t)sl_cell_int(res, i, 1));
        if (!leaf || leaf->relkind != 'r')
            return; /* something below it is not ours: leaf by leaf */
        if (has_key && is_streamed(leaf) && leaf->identity == SL_IDENTITY_NOTHING)
            return; /* the key is there, but REPLICA IDENTITY NOTHING */
    }
    p->in[root->index] = 1u << (has_key ? PUB_ALL : PUB_INSERTS);
    for (int i = from; i < to; i++) {
        const sl_route *leaf = sl_route_by_oid(run->routes, (uint32_t)sl_cell_int(res, i, 1));
        p->in[leaf->index] &= ~p->in[root->index];
    }
}

static sl_rc make_plan(const sl_run *run, sl_pg *source, sl_arena *arena, plan *p, sl_error *err)
{
    SL_RESULT(res);
    bool any_root = false;
    p->in = SL_NEW_ARRAY(arena, unsigned, run->routes->n);
    for (size_t i = 0; i < run->routes->n; i++) {
        p->in[i] = publication_of(&run->routes->items[i]);
        any_root |= run->routes->items[i].relkind == 'p';
    }
    if (!any_root || source->version < SL_PG_13)
        return SL_OK;
    if (sl_pg_query(source, leaves_sql, &res, err) != SL_OK)
        return sl_while(err, "reading the partitions");
    for (int from = 0, to; from < PQntuples(res); from = to) {
        for (to = from + 1;
             to < PQntuples(res) && strcmp(sl_cell(res, to, 0), sl_cell(res, from, 0)) == 0;)
            to++;
        plan_root(run, p, res, from, to);
    }
    return SL_OK;
}

/* -- in step ------------------------------------------------------------------------------------
 */

static bool needs_full_identity(const sl_route *r)
{
    return is_streamed(r) && r->identity == SL_IDENTITY_FULL && r->replica_identity != 'f';
}

static void add_identities(const sl_run *run, sl_arena *arena, sl_buf *sql)
{
    for (size_t i = 0; i < run->routes->n; i++)
        if (needs_full_identity(&run->routes->items[i]))
            sl_sql_add(sql, "ALTER TABLE %s REPLICA IDENTITY FULL;",
                       sl_route_src_sql(&run->routes->items[i], arena));
}

static void add_list(const sl_run *run, const plan *p, pub_kind kind, sl_arena *arena, sl_buf *sql)
{
    const char *before = " FOR TABLE ";
    for (size_t i = 0; i < run->routes->n; i++) {
        const sl_route *r = &run->routes->items[i];
        if (!(p->in[i] & (1u << kind)))
            continue;
        sl_sql_add(sql, "%s%s%s", before, r->relkind == 'r' ? "ONLY " : "",
                   sl_route_src_sql(r, arena));
        before = ", ";
    }
}

static void add_create(const sl_run *run, int version, const plan *p, pub_kind kind,
                       sl_arena *arena, sl_buf *sql)
{
    sl_sql_add(sql, "CREATE PUBLICATION %I", pub_name(run, kind));
    add_list(run, p, kind, arena, sql);
    sl_sql_add(sql, " WITH (publish = %L%s);", pub_operations(version, kind),
               version >= SL_PG_18 && kind == PUB_ALL ? ", publish_generated_columns = stored"
                                                      : "");
}

/* Members that should not be there, then those that are missing. */
static sl_rc add_changes(const sl_run *run, sl_pg *source, const plan *p, pub_kind kind,
                         sl_arena *arena, sl_buf *sql, sl_error *err)
{
    SL_RESULT(res);
    const char *name = pub_name(run, kind);
    if (sl_pg_query(source,
                    sl_sql(arena,
                           "SELECT r.prrelid, n.nspname, c.relname, c.relkind FROM"
                           " pg_catalog.pg_publication_rel r JOIN pg_catalog.pg_publication p"
                           " ON p.oid = r.prpubid JOIN pg_catalog.pg_class c ON c.oid = r.prrelid"
                           " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
                           " WHERE p.pubname = %L",
                           name),
                    &res, err) != SL_OK)
        return err->code;
    unsigned char *there = SL_NEW_ARRAY(arena, unsigned char, run->routes->n);
    for (int i = 0; i < PQntuples(res); i++) {
        const sl_route *r = sl_route_by_oid(run->routes, (uint32_t)sl_cell_int(res, i, 0));
        if (r && p->in[r->index] & (1u << kind))
            there[r->index] = 1;
        else
            sl_sql_add(sql, "ALTER PUBLICATION %I DROP TABLE %s%I.%I;", name,
                       strcmp(sl_cell(res, i, 3), "r") == 0 ? "ONLY " : "", sl_cell(res, i, 1),
                       sl_cell(res, i, 2));
    }
    for (size_t i = 0; i < run->routes->n; i++) {
        const sl_route *r = &run->routes->items[i];
        if (p->in[i] & (1u << kind) && !there[i])
            sl_sql_add(sql, "ALTER PUBLICATION %I ADD TABLE %s%s;", name,
                       r->relkind == 'r' ? "ONLY " : "", sl_route_src_sql(r, arena));
    }
    return SL_OK;
}

static sl_rc publication_exists(sl_pg *source, const char *name, bool *exists, sl_error *err)
{
    SL_SCRATCH(tmp);
    SL_RESULT(res);
    if (sl_pg_query(source,
                    sl_sql(&tmp, "SELECT 1 FROM pg_catalog.pg_publication WHERE pubname = %L",
                           name),
                    &res, err) != SL_OK)
        return sl_while(err, "looking for publication %s", name);
    *exists = PQntuples(res) > 0;
    return SL_OK;
}

/* For the tables' owner, when the role may not make publications. */
static char *owners_sql(const sl_run *run, sl_arena *arena)
{
    SL_BUF(sql);
    plan p = { .in = SL_NEW_ARRAY(arena, unsigned, run->routes->n) };
    for (size_t i = 0; i < run->routes->n; i++)
        p.in[i] = publication_of(&run->routes->items[i]);
    add_identities(run, arena, &sql);
    add_create(run, run->source.version, &p, PUB_ALL, arena, &sql);
    return sl_arena_strdup(arena, sl_buf_str(&sql));
}

static sl_rc check_given(const sl_run *run, sl_pg *source, sl_error *err)
{
    bool exists = false;
    if (publication_exists(source, run->publication, &exists, err) != SL_OK)
        return err->code;
    if (exists)
        return SL_OK;
    SL_SCRATCH(tmp);
    sl_fail(err, SL_FAILED, "source: publication %s does not exist", run->publication);
    return sl_hint(err, "Let the tables' owner run: %s", owners_sql(run, &tmp));
}

static sl_rc explain(const sl_run *run, sl_error *err)
{
    SL_SCRATCH(tmp);
    if (strcmp(err->sqlstate, "42501") == 0)
        sl_hint(err,
                "Making a publication needs the tables' ownership and CREATE on the database. Or "
                "let the owner run this and put `publication: %s` into the specification: %s",
                run->publication, owners_sql(run, &tmp));
    else if (strcmp(err->sqlstate, "55P03") == 0)
        sl_hint(err,
                "Another session holds a lock on one of the tables; the next attempt may succeed.");
    return sl_while(err, "preparing the publications %s and %s", run->publication,
                    run->publication_inserts);
}

sl_rc sl_publications_ensure(sl_run *run, sl_pg *source, sl_error *err)
{
    SL_SCRATCH(tmp);
    SL_BUF(sql);
    plan p;
    if (sl_run_choose_plugin(run, source, err) != SL_OK)
        return err->code;
    bool publishes = sl_run_publishes(run);
    if (publishes && run->spec->publication)
        return check_given(run, source, err);
    if (publishes && make_plan(run, source, &tmp, &p, err) != SL_OK)
        return err->code;
    add_identities(run, &tmp, &sql);
    for (pub_kind kind = 0; publishes && kind < N_PUBS; kind++) {
        bool exists = false;
        if (publication_exists(source, pub_name(run, kind), &exists, err) != SL_OK)
            return err->code;
        if (!exists)
            add_create(run, source->version, &p, kind, &tmp, &sql);
        else if (add_changes(run, source, &p, kind, &tmp, &sql, err) != SL_OK)
            return explain(run, err);
    }
    if (sql.len == 0)
        return SL_OK;
    sl_error ignored = SL_ERROR_INIT;
    const char *all =
        sl_arena_printf(&tmp, "BEGIN; SET LOCAL lock_timeout = '" LOCK_TIMEOUT "'; %s COMMIT",
                        sql.data);
    if (sl_pg_exec(source, all, err) == SL_OK)
        return SL_OK;
    sl_pg_exec(source, "ROLLBACK", &ignored);
    return explain(run, err);
}

sl_rc sl_publications_drop(const sl_run *run, sl_pg *source, sl_error *err)
{
    SL_SCRATCH(tmp);
    if (run->spec->publication || source->version < SL_PG_10)
        return SL_OK; /* not ours, or there can be none */
    const char *sql = sl_sql(&tmp, "DROP PUBLICATION IF EXISTS %I, %I", run->publication,
                             run->publication_inserts);
    if (sl_pg_exec(source, sql, err) != SL_OK)
        return sl_while(err, "dropping the publications of task %s", run->id);
    return SL_OK;
}
