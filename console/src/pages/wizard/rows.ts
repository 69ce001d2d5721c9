// The tree as the lines that are shown: schemas, and the tables of those that are open.
import type { Item } from './useTree';

export type Row = { kind: 'schema'; item: Item } | { kind: 'table'; schema: string; item: Item } | { kind: 'loading'; schema: string };

type Tables = Record<string, { items: Item[]; complete: boolean }>;

export function rows(schemas: Item[], tables: Tables, open: ReadonlySet<string>, search: string): Row[] {
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  const found: Row[] = [];
  for (const item of schemas) {
    const loaded = tables[item.name];
    const whole = words.length === 0;
    const fit = whole
      ? (loaded?.items ?? [])
      : (loaded?.items ?? []).filter((table) => {
          const name = `${item.name}.${table.name}`.toLowerCase();
          return words.every((word) => name.includes(word));
        });
    if (!whole && fit.length === 0) {
      if (loaded && !loaded.complete) found.push({ kind: 'loading', schema: item.name });
      continue;
    }
    found.push({ kind: 'schema', item });
    if (whole && !open.has(item.name)) continue;
    for (const table of fit) found.push({ kind: 'table', schema: item.name, item: table });
    if (!loaded?.complete) found.push({ kind: 'loading', schema: item.name });
  }
  return found;
}
