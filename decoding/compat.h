/* compat.h: what differs between the servers that pgsluice_decoding is compiled for, 9.4 to 18.
 *
 * The rest of the source is written for 18 as far as that goes; every #if on PG_VERSION_NUM that is
 * not about a callback which an older server lacks is here. */
#ifndef PGSLUICE_COMPAT_H
#define PGSLUICE_COMPAT_H

#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_class.h"
#if PG_VERSION_NUM >= 100000
#include "catalog/partition.h"
#endif
#include "fmgr.h"
#include "replication/logical.h"
#include "replication/output_plugin.h"
#include "replication/reorderbuffer.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/syscache.h"
#if PG_VERSION_NUM >= 90500
#include "replication/origin.h"
#endif
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

#if PG_VERSION_NUM < 90400
#error "pgsluice_decoding needs PostgreSQL 9.4 or newer: older servers have no logical decoding"
#endif

/* 11, later a function; a macro also in the later minors of 9.4 to 10 */
#if PG_VERSION_NUM < 110000 && !defined(TupleDescAttr)
#define TupleDescAttr(desc, i) ((desc)->attrs[i])
#endif

#ifndef ALLOCSET_DEFAULT_SIZES /* 9.6; also in the later minors of 9.5 */
#define ALLOCSET_DEFAULT_SIZES                                                                     \
    ALLOCSET_DEFAULT_MINSIZE, ALLOCSET_DEFAULT_INITSIZE, ALLOCSET_DEFAULT_MAXSIZE
#endif
#ifndef ALLOCSET_SMALL_SIZES
#define ALLOCSET_SMALL_SIZES ALLOCSET_SMALL_MINSIZE, ALLOCSET_SMALL_INITSIZE, ALLOCSET_SMALL_MAXSIZE
#endif

/* Hash tables keyed by an OID. */
static inline HTAB *compat_oid_hash(const char *name, Size entry_size, MemoryContext context)
{
    HASHCTL control;

    MemSet(&control, 0, sizeof(control));
    control.keysize = sizeof(Oid);
    control.entrysize = entry_size;
    control.hcxt = context;
#ifdef HASH_BLOBS /* 9.5 */
    return hash_create(name, 128, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
#else
    control.hash = oid_hash;
    return hash_create(name, 128, &control, HASH_ELEM | HASH_FUNCTION | HASH_CONTEXT);
#endif
}

static inline HeapTuple compat_new_tuple(ReorderBufferChange *change)
{
#if PG_VERSION_NUM >= 170000
    return change->data.tp.newtuple;
#else
    return change->data.tp.newtuple ? &change->data.tp.newtuple->tuple : NULL;
#endif
}

static inline HeapTuple compat_old_tuple(ReorderBufferChange *change)
{
#if PG_VERSION_NUM >= 170000
    return change->data.tp.oldtuple;
#else
    return change->data.tp.oldtuple ? &change->data.tp.oldtuple->tuple : NULL;
#endif
}

/* Microseconds since 2000-01-01, also where timestamps are floating-point seconds. */
static inline int64 compat_commit_time(ReorderBufferTXN *txn)
{
#if PG_VERSION_NUM >= 150000
    return txn->xact_time.commit_time;
#elif PG_VERSION_NUM >= 100000 || defined(HAVE_INT64_TIMESTAMP)
    return txn->commit_time;
#else
    return (int64)(txn->commit_time * 1000000.0);
#endif
}

/* Are date and time values what their binary form says: integers? */
#if PG_VERSION_NUM >= 100000 || defined(HAVE_INT64_TIMESTAMP)
#define COMPAT_INTEGER_DATETIMES true
#else
#define COMPAT_INTEGER_DATETIMES false
#endif

/* Tells the client that we are alive while nothing is sent, or that a transaction was skipped;
 * false where the plugin has to write something itself. */
static inline bool compat_update_progress(LogicalDecodingContext *ctx, bool skipped)
{
#if PG_VERSION_NUM >= 150000
    OutputPluginUpdateProgress(ctx, skipped);
    return true;
#elif PG_VERSION_NUM >= 100000
    OutputPluginUpdateProgress(ctx);
    return true;
#else
    return false;
#endif
}

static inline Oid compat_replica_index(Relation relation)
{
#if PG_VERSION_NUM >= 100000
    return RelationGetReplicaIndex(relation);
#else
    list_free(RelationGetIndexList(relation)); /* as a side effect sets rd_replidindex */
    return relation->rd_replidindex;
#endif
}

static inline int compat_index_key_columns(Relation index)
{
#if PG_VERSION_NUM >= 110000
    return index->rd_index->indnkeyatts;
#else
    return index->rd_index->indnatts;
#endif
}

/* The OIDs of the partitioned tables that the table is a part of. */
static inline List *compat_ancestors(Relation relation)
{
    List *ancestors = NIL;
#if PG_VERSION_NUM >= 110000
    if (relation->rd_rel->relispartition)
        ancestors = get_partition_ancestors(RelationGetRelid(relation));
#elif PG_VERSION_NUM >= 100000
    Oid oid = RelationGetRelid(relation);

    for (;;) {
        HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(oid));
        bool part;

        if (!HeapTupleIsValid(tuple))
            break;
        part = ((Form_pg_class)GETSTRUCT(tuple))->relispartition;
        ReleaseSysCache(tuple);
        if (!part)
            break;
        oid = get_partition_parent(oid);
        ancestors = lappend_oid(ancestors, oid);
    }
#endif
    return ancestors;
}

static inline bool compat_generated(Form_pg_attribute attribute)
{
#if PG_VERSION_NUM >= 120000
    return attribute->attgenerated != '\0';
#else
    return false;
#endif
}

#endif
