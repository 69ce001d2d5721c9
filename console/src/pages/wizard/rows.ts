// The tree as the lines that are shown: schemas, the tables of those that are open, the columns of those.
import { columnsKey, type Item, type Loaded } from './useTree';

export type Row =
  | { kind: 'schema'; item: Item }
  | { kind: 'table'; schema: string; item: Item }
  | { kind: 'column'; schema: string; table: string; item: Item }
  | { kind: 'loading'; schema: string; table?: string };

type Known = Record<string, Loaded>;

function matching(schema: Item, tables: Item[], search: string): Item[] {
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) return tables;
  return tables.filter((table) => {
    const name = `${schema.name}.${table.name}`.toLowerCase();
    return words.every((word) => name.includes(word));
  });
}

/** `open` holds names of schemas, and columnsKey() of tables. */
export function rows(schemas: Item[], tables: Known, columns: Known, open: ReadonlySet<string>, search: string): Row[] {
  const searching = search.trim() !== '';
  const found: Row[] = [];
  const addColumns = (schema: string, table: string) => {
    const key = columnsKey(schema, table);
    for (const item of columns[key]?.items ?? []) found.push({ kind: 'column', schema, table, item });
    if (!columns[key]?.complete) found.push({ kind: 'loading', schema, table });
  };
  for (const item of schemas) {
    const loaded = tables[item.name];
    const fit = matching(item, loaded?.items ?? [], search);
    if (searching && fit.length === 0) {
      if (loaded && !loaded.complete) found.push({ kind: 'loading', schema: item.name });
      continue;
    }
    found.push({ kind: 'schema', item });
    if (!searching && !open.has(item.name)) continue;
    for (const table of fit) {
      found.push({ kind: 'table', schema: item.name, item: table });
      if (open.has(columnsKey(item.name, table.name))) addColumns(item.name, table.name);
    }
    if (!loaded?.complete) found.push({ kind: 'loading', schema: item.name });
  }
  return found;
}
