/* tables.h: what the plugin knows of a table: whether it is wanted, its description for the client,
 * and how each column's value is encoded. Looked up once, kept until the server says that it may
 * have changed. This file is a part of pgsluice_decoding.c. */
#ifndef PGSLUICE_TABLES_H
#define PGSLUICE_TABLES_H

/* ---- what invalidates a table ---- */

#define COUNTERS 4096

static uint32 invalid_all, invalid_tables[COUNTERS], invalid_types[COUNTERS];
static uint64 invalid_any; /* their sum */

static void on_relation_invalid(Datum arg, Oid relid)
{
    invalid_any++;
    if (OidIsValid(relid))
        invalid_tables[relid % COUNTERS]++;
    else
        invalid_all++;
}

static void on_type_invalid(Datum arg, int cache, uint32 hash)
{
    invalid_any++;
    if (hash != 0)
        invalid_types[hash % COUNTERS]++;
    else
        invalid_all++;
}

static void on_schema_invalid(Datum arg, int cache, uint32 hash)
{
    invalid_any++;
    invalid_all++;
}

/* Differs from any earlier value for the table if something about it may have changed. */
static uint64 invalidations(const Table *table)
{
    uint64 sum = (uint64)invalid_all + invalid_tables[table->oid % COUNTERS];
    int i;

    for (i = 0; i < table->n_types; i++)
        sum += invalid_types[table->types[i] % COUNTERS];
    return sum;
}

static void register_callbacks(void)
{
    static bool registered = false;

    if (registered)
        return;
    CacheRegisterRelcacheCallback(on_relation_invalid, (Datum)0);
    CacheRegisterSyscacheCallback(TYPEOID, on_type_invalid, (Datum)0);
    CacheRegisterSyscacheCallback(NAMESPACEOID, on_schema_invalid, (Datum)0);
    registered = true;
}

/* ---- how a column is encoded ---- */

/* The binary form of these is the same on every server, and is the stored value in network order.
 */
static const struct {
    Oid type;
    uint8 width;
    Encoder encoder;
    bool time;
} fixed_types[] = {
    { INT4OID, 4, ENCODE_4, false },        { INT8OID, 8, ENCODE_8, false },
    { BOOLOID, 1, ENCODE_1, false },        { INT2OID, 2, ENCODE_2, false },
    { TIMESTAMPTZOID, 8, ENCODE_8, true },  { TIMESTAMPOID, 8, ENCODE_8, true },
    { DATEOID, 4, ENCODE_4, false },        { TIMEOID, 8, ENCODE_8, true },
    { FLOAT8OID, 8, ENCODE_FLOAT8, false }, { FLOAT4OID, 4, ENCODE_FLOAT4, false },
    { UUIDOID, 16, ENCODE_UUID, false },    { OIDOID, 4, ENCODE_4, false },
    { CHAROID, 1, ENCODE_1, false },        { 3220 /* pg_lsn */, 8, ENCODE_8, false },
};

/* The binary form of these, and of arrays of these and of the ones above, is the same on every
 * server. Not by name, because not every version has a name for each. */
static const struct {
    Oid type;
    bool time;
} sent_types[] = {
    { 19, false } /* name */,
    { 600, false } /* point */,
    { 601, false } /* lseg */,
    { 602, false } /* path */,
    { 603, false } /* box */,
    { 604, false } /* polygon */,
    { 628, false } /* line */,
    { 650, false } /* cidr */,
    { 718, false } /* circle */,
    { 774, false } /* macaddr8 */,
    { 829, false } /* macaddr */,
    { 869, false } /* inet */,
    { 1186, true } /* interval */,
    { 1266, true } /* timetz */,
    { 1560, false } /* bit */,
    { 1562, false } /* varbit */,
    { 1700, false } /* numeric */,
    { 3802, false } /* jsonb */,
    { 3904, false } /* int4range */,
    { 3906, false } /* numrange */,
    { 3908, true } /* tsrange */,
    { 3910, true } /* tstzrange */,
    { 3912, false } /* daterange */,
    { 3926, false } /* int8range */,
    { TEXTOID, false },
    { VARCHAROID, false },
    { BPCHAROID, false },
    { 114, false } /* json */,
    { BYTEAOID, false },
};

static bool same_everywhere(Oid type)
{
    int i;

    for (i = 0; i < (int)lengthof(fixed_types); i++)
        if (fixed_types[i].type == type)
            return COMPAT_INTEGER_DATETIMES || !fixed_types[i].time;
    for (i = 0; i < (int)lengthof(sent_types); i++)
        if (sent_types[i].type == type)
            return COMPAT_INTEGER_DATETIMES || !sent_types[i].time;
    return false;
}

static bool choose_fixed(Column *column, Oid base)
{
    int i;

    for (i = 0; i < (int)lengthof(fixed_types); i++)
        if (fixed_types[i].type == base && (COMPAT_INTEGER_DATETIMES || !fixed_types[i].time)) {
            column->encoder = fixed_types[i].encoder;
            column->format = fixed_types[i].width;
            return true;
        }
    return false;
}

static void choose_encoder(Session *s, Table *table, Column *column, Form_pg_type type, Oid base)
{
    Oid element = type->typlen == -1 ? get_element_type(base) : InvalidOid;

    column->varlena = type->typlen == -1;
    column->format = s->binary ? 'b' : 't';
    if (s->binary && choose_fixed(column, base))
        return;
    if (type->typoutput == F_TEXTOUT || type->typoutput == F_VARCHAROUT ||
        type->typoutput == F_BPCHAROUT || type->typoutput == F_JSON_OUT)
        column->encoder = ENCODE_TEXT;
    else if (s->binary && base == BYTEAOID)
        column->encoder = ENCODE_BYTES;
    else if (s->binary && OidIsValid(type->typsend) &&
             (same_everywhere(OidIsValid(element) ? element : base) ||
              type->typtype == TYPTYPE_ENUM)) {
        column->encoder = ENCODE_SEND;
        fmgr_info_cxt(type->typsend, &column->function, table->context);
    } else {
        column->encoder = ENCODE_OUTPUT;
        column->format = 't';
        fmgr_info_cxt(type->typoutput, &column->function, table->context);
    }
}

/* ---- describing a table ---- */

/* The type of a column that is not built in: its name, its kind, and what it is underneath. */
static void put_type(const Session *s, StringInfo out, Oid oid, Form_pg_type type, Oid base)
{
    char *schema = get_namespace_name(type->typnamespace);

    put8(out, 'Y');
    put32(out, oid);
    put32(out, base);
    put8(out, (uint8)type->typtype);
    put_string(s, out, schema ? schema : "");
    put_string(s, out, NameStr(type->typname));
}

static HeapTuple lookup_type(Oid oid)
{
    HeapTuple tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(oid));

    if (!HeapTupleIsValid(tuple))
        elog(ERROR, "pgsluice_decoding: cache lookup failed for type %u", oid);
    return tuple;
}

static void describe_column(Session *s, Table *table, Column *column, Form_pg_attribute attribute,
                            StringInfo types, StringInfo columns)
{
    HeapTuple tuple = lookup_type(attribute->atttypid), base_tuple;
    Form_pg_type type = (Form_pg_type)GETSTRUCT(tuple);
    Oid base = getBaseType(attribute->atttypid);

    if (attribute->atttypid >= FirstNormalObjectId) {
        table->types[table->n_types++] =
            GetSysCacheHashValue1(TYPEOID, ObjectIdGetDatum(attribute->atttypid));
        put_type(s, types, attribute->atttypid, type, base);
    }
    base_tuple = lookup_type(base);
    choose_encoder(s, table, column, (Form_pg_type)GETSTRUCT(base_tuple), base);
    ReleaseSysCache(base_tuple);
    ReleaseSysCache(tuple);

    put8(columns, column->key ? 1 : 0);
    put8(columns, column->format);
    put32(columns, attribute->atttypid);
    put32(columns, (uint32)attribute->atttypmod);
    put_string(s, columns, NameStr(attribute->attname));
}

/* Marks the columns by which the old row is told, in an array per attribute. */
static void mark_keys(Relation relation, bool *is_key)
{
    Oid index_oid = compat_replica_index(relation);
    Relation index;
    int i;

    if (!OidIsValid(index_oid))
        return;
    index = RelationIdGetRelation(index_oid);
    if (!RelationIsValid(index))
        elog(ERROR, "pgsluice_decoding: could not open the replica identity index %u", index_oid);
    for (i = 0; i < compat_index_key_columns(index); i++)
        if (index->rd_index->indkey.values[i] > 0)
            is_key[index->rd_index->indkey.values[i] - 1] = true;
    RelationClose(index);
}

static bool want_column(const Session *s, const char *schema, const char *table, const char *column)
{
    bool listed;

    if (column_selected(s->except_columns, schema, table, column, &listed))
        return false;
    return column_selected(s->only_columns, schema, table, column, &listed) || !listed;
}

static void fill_columns(Session *s, Table *table, Relation relation, const char *schema,
                         StringInfo types, StringInfo columns)
{
    TupleDesc desc = RelationGetDescr(relation);
    bool *is_key = palloc0(sizeof(bool) * (desc->natts + 1));
    int i;

    table->columns = palloc0(sizeof(Column) * (desc->natts + 1));
    table->keys = palloc0(sizeof(Column) * (desc->natts + 1));
    table->types = palloc(sizeof(uint32) * (desc->natts + 1));
    if (!table->full)
        mark_keys(relation, is_key);
    for (i = 0; i < desc->natts; i++) {
        Form_pg_attribute attribute = TupleDescAttr(desc, i);
        Column *column = &table->columns[table->n_columns];

        if (attribute->attisdropped || compat_generated(attribute))
            continue;
        if (!is_key[i] &&
            !want_column(s, schema, RelationGetRelationName(relation), NameStr(attribute->attname)))
            continue;
        column->index = i;
        column->key = table->full || is_key[i];
        describe_column(s, table, column, attribute, types, columns);
        if (is_key[i])
            table->keys[table->n_keys++] = *column;
        table->n_columns++;
    }
}

/* A description that is the same as before keeps its number, so that nothing is sent again. */
static void keep_description(Session *s, Table *table, const StringInfo text, int types_length)
{
    if (table->description && table->description_length == text->len &&
        memcmp(table->description, text->data, text->len) == 0)
        return;
    if (table->description)
        pfree(table->description);
    table->description = MemoryContextAlloc(s->context, text->len);
    memcpy(table->description, text->data, text->len);
    table->description_length = text->len;
    table->types_length = types_length;
    table->number = ++s->last_number;
    table->sent = false;
}

static void describe_table(Session *s, Table *table, Relation relation, const char *schema)
{
    StringInfoData text, columns;
    int types_length;

    initStringInfo(&text);
    initStringInfo(&columns);
    table->full = relation->rd_rel->relreplident == REPLICA_IDENTITY_FULL;
    fill_columns(s, table, relation, schema, &text, &columns);
    types_length = text.len;
    put32(&text, table->oid);
    put8(&text, (uint8)relation->rd_rel->relkind);
    put8(&text, (uint8)relation->rd_rel->relreplident);
    put_string(s, &text, schema);
    put_string(s, &text, RelationGetRelationName(relation));
    put16(&text, (uint16)table->n_columns);
    put_bytes(&text, columns.data, columns.len);
    keep_description(s, table, &text, types_length);
}

/* ---- which tables ---- */

/* Up to 10 the heap that a rewriting ALTER TABLE fills is decoded like a table of the user's. */
static bool rewrite_heap(Relation relation)
{
#if PG_VERSION_NUM < 110000
    const char *name = RelationGetRelationName(relation);
    unsigned int oid;
    int used = 0;

    return sscanf(name, "pg_temp_%u%n", &oid, &used) == 1 && name[used] == '\0' &&
           SearchSysCacheExists1(RELOID, ObjectIdGetDatum((Oid)oid));
#else
    return false; /* excluded by the server */
#endif
}

/* By its OID, or as a part of a partitioned table that is wanted so. */
static bool oid_selected(const Session *s, Relation relation)
{
    ListCell *cell;

    if (s->oids == NIL)
        return false;
    if (list_member_oid(s->oids, RelationGetRelid(relation)))
        return true;
    foreach (cell, compat_ancestors(relation))
        if (list_member_oid(s->oids, lfirst_oid(cell)))
            return true;
    return false;
}

static bool want_table(const Session *s, Relation relation, const char *schema)
{
    const char *name = RelationGetRelationName(relation);

    /* The root of a partitioned table has no rows: its leaves speak for themselves. */
    if (relation->rd_rel->relkind != RELKIND_RELATION)
        return false;
    if (RelationGetRelid(relation) < FirstNormalObjectId || rewrite_heap(relation))
        return false;
    if (s->has_tables && !oid_selected(s, relation) &&
        !table_selected(s->only_tables, schema, name))
        return false;
    return !table_selected(s->except_tables, schema, name);
}

static void fill_table(Session *s, Table *table, Relation relation)
{
    MemoryContext before;
    char *schema;

    if (table->context)
        MemoryContextReset(table->context);
    else
        table->context =
            AllocSetContextCreate(s->context, "pgsluice_decoding table", ALLOCSET_SMALL_SIZES);
    table->n_columns = table->n_keys = table->n_types = 0;
    table->filled = false;
    before = MemoryContextSwitchTo(table->context);
    schema = get_namespace_name(RelationGetNamespace(relation));
    if (!schema)
        elog(ERROR, "pgsluice_decoding: cache lookup failed for schema %u",
             RelationGetNamespace(relation));
    table->wanted = want_table(s, relation, schema);
    if (table->wanted)
        describe_table(s, table, relation, schema);
    MemoryContextSwitchTo(before);
}

static Table *find_table(Session *s, Relation relation)
{
    Oid oid = RelationGetRelid(relation);
    Table *table = s->last;
    uint64 before;
    bool found;

    if (!table || table->oid != oid) {
        table = hash_search(s->tables, &oid, HASH_ENTER, &found);
        if (!found) {
            memset(table, 0, sizeof(*table));
            table->oid = oid;
        }
        s->last = table;
    }
    if (table->filled && table->seen == invalidations(table))
        return table;
    do /* filling reads catalogs, which can bring invalidations: then once more */
    {
        before = invalid_any;
        fill_table(s, table, relation);
        table->seen = invalidations(table);
    } while (before != invalid_any);
    table->filled = true;
    return table;
}

#endif
