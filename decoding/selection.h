/* selection.h: lists of tables and columns as the client names them in options, and matching.
 *
 *     list    = entry { ',' entry }
 *     entry   = name '.' name [ '(' name { ',' name } ')' ]       lists of message prefixes: name
 *     name    = '"' any character, '""' for '"' '"'               taken as it is
 *             | characters other than blank , . ( ) "             '*' and '?' stand for others
 *
 * Names without quotes are not folded to lower case. Everything is allocated in the current memory
 * context. This file is a part of pgsluice_decoding.c. */
#ifndef PGSLUICE_SELECTION_H
#define PGSLUICE_SELECTION_H

#include "mb/pg_wchar.h"
#include "nodes/pg_list.h"

typedef struct Word {
    char *text;
    bool exact; /* was in quotes: no wildcards */
} Word;

typedef struct Pattern {
    Word schema, table; /* of message prefixes: table only */
    List *columns;      /* of Word; NIL where the entry has none */
} Pattern;

typedef struct Reader {
    const char *option, *start, *p;
} Reader;

static void selection_error(const Reader *r, const char *expected)
{
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                    errmsg("pgsluice_decoding: option \"%s\" cannot be read at character %d",
                           r->option, (int)(r->p - r->start) + 1),
                    errdetail("Expected %s.", expected)));
}

static void skip_blanks(Reader *r)
{
    while (*r->p == ' ' || *r->p == '\t' || *r->p == '\n' || *r->p == '\r')
        r->p++;
}

static bool accept_char(Reader *r, char c)
{
    skip_blanks(r);
    if (*r->p != c)
        return false;
    r->p++;
    return true;
}

static Word read_quoted(Reader *r)
{
    Word name;
    char *out;

    name.exact = true;
    name.text = out = palloc(strlen(r->p) + 1);
    for (;; r->p++) {
        if (*r->p == '\0')
            selection_error(r, "a closing quote");
        if (*r->p == '"' && *++r->p != '"')
            break;
        *out++ = *r->p;
    }
    *out = '\0';
    return name;
}

static Word read_name(Reader *r, const char *ends)
{
    Word name;
    size_t length;

    if (accept_char(r, '"'))
        return read_quoted(r);
    length = strcspn(r->p, ends);
    if (length == 0)
        selection_error(r, "a name");
    name.exact = false;
    name.text = pnstrdup(r->p, length);
    r->p += length;
    return name;
}

static List *read_columns(Reader *r)
{
    List *columns = NIL;

    do {
        Word *name = palloc(sizeof(Word));

        *name = read_name(r, " \t\r\n,.()\"");
        columns = lappend(columns, name);
    } while (accept_char(r, ','));
    if (!accept_char(r, ')'))
        selection_error(r, "\",\" or \")\"");
    return columns;
}

typedef enum SelectionKind { SELECT_TABLES, SELECT_COLUMNS, SELECT_PREFIXES } SelectionKind;

static Pattern *read_pattern(Reader *r, SelectionKind kind)
{
    Pattern *pattern = palloc0(sizeof(Pattern));

    if (kind == SELECT_PREFIXES) {
        pattern->table = read_name(r, " \t\r\n,\"");
        return pattern;
    }
    pattern->schema = read_name(r, " \t\r\n,.()\"");
    if (!accept_char(r, '.'))
        selection_error(r, "\".\" between schema and table");
    pattern->table = read_name(r, " \t\r\n,.()\"");
    if (kind == SELECT_COLUMNS) {
        if (!accept_char(r, '('))
            selection_error(r, "\"(\" and a list of columns");
        pattern->columns = read_columns(r);
    }
    return pattern;
}

/* A list of Pattern; an empty text is an empty list. */
static List *read_selection(const char *option, const char *text, SelectionKind kind)
{
    Reader r;
    List *list = NIL;

    r.option = option;
    r.start = r.p = text;
    skip_blanks(&r);
    if (*r.p == '\0')
        return NIL;
    do
        list = lappend(list, read_pattern(&r, kind));
    while (accept_char(&r, ','));
    if (*r.p != '\0')
        selection_error(&r, "\",\" or the end");
    return list;
}

/* A list of numbers. */
static List *read_oids(const char *option, const char *text)
{
    Reader r;
    List *list = NIL;

    r.option = option;
    r.start = r.p = text;
    do {
        char *end;
        unsigned long oid;

        skip_blanks(&r);
        oid = strtoul(r.p, &end, 10);
        if (*r.p < '0' || *r.p > '9' || oid == 0 || oid > 0xFFFFFFFFUL)
            selection_error(&r, "an OID");
        list = lappend_oid(list, (Oid)oid);
        r.p = end;
    } while (accept_char(&r, ','));
    if (*r.p != '\0')
        selection_error(&r, "\",\" or the end");
    return list;
}

/* '*' is any run of characters, '?' one character. */
static bool wildcard_match(const char *pattern, const char *text)
{
    const char *star = NULL, *resume = NULL;

    while (*text) {
        if (*pattern == '*') {
            star = ++pattern;
            resume = text;
        } else if (*pattern == '?') {
            pattern++;
            text += pg_mblen(text);
        } else if (*pattern == *text) {
            pattern++;
            text++;
        } else if (star) {
            pattern = star;
            resume += pg_mblen(resume);
            text = resume;
        } else
            return false;
    }
    while (*pattern == '*')
        pattern++;
    return *pattern == '\0';
}

static bool name_match(const Word *name, const char *text)
{
    return name->exact ? strcmp(name->text, text) == 0 : wildcard_match(name->text, text);
}

static bool table_match(const Pattern *pattern, const char *schema, const char *table)
{
    return name_match(&pattern->schema, schema) && name_match(&pattern->table, table);
}

static bool table_selected(List *patterns, const char *schema, const char *table)
{
    ListCell *cell;

    foreach (cell, patterns)
        if (table_match(lfirst(cell), schema, table))
            return true;
    return false;
}

static bool prefix_selected(List *patterns, const char *prefix)
{
    ListCell *cell;

    foreach (cell, patterns)
        if (name_match(&((Pattern *)lfirst(cell))->table, prefix))
            return true;
    return false;
}

/* Does an entry for that table name the column? *listed: is there an entry for the table at all? */
static bool column_selected(List *patterns, const char *schema, const char *table,
                            const char *column, bool *listed)
{
    ListCell *cell, *inner;

    *listed = false;
    foreach (cell, patterns) {
        Pattern *pattern = lfirst(cell);

        if (!table_match(pattern, schema, table))
            continue;
        *listed = true;
        foreach (inner, pattern->columns)
            if (name_match(lfirst(inner), column))
                return true;
    }
    return false;
}

#endif
