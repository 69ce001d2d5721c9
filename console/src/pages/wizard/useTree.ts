// The source's schemas and tables, read level by level and page by page, as they are asked for.
import { useCallback, useEffect, useRef, useState } from 'react';
import { api, body, type Schemas } from '../../api/client';
import { choice, type End } from './draft';

export type Item = Schemas['BrowsePage']['items'][number];
type Loaded = { items: Item[]; complete: boolean };

async function browse(end: End, schema?: string, onPage?: (items: Item[]) => void): Promise<Item[]> {
  const all: Item[] = [];
  let cursor: string | undefined;
  do {
    const page = await body(
      api.POST('/api/v1/connections/objects', { body: { ...choice(end, 'source'), schema, limit: 1000, cursor } }),
    );
    all.push(...page.items);
    onPage?.([...all]);
    cursor = page.next_cursor ?? undefined;
  } while (cursor);
  return all;
}

export function useTree(end: End) {
  const [schemas, setSchemas] = useState<Item[] | null>(null);
  const [tables, setTables] = useState<Record<string, Loaded>>({});
  const [error, setError] = useState<unknown>(null);
  const asked = useRef(new Set<string>());
  const [round, setRound] = useState(0);

  useEffect(() => {
    let here = true;
    asked.current.clear();
    setError(null);
    browse(end).then(
      (items) => here && setSchemas(items),
      (failure) => here && setError(failure),
    );
    return () => {
      here = false;
    };
  }, [round]); // eslint-disable-line

  /** Reads a schema's tables once. */
  const load = useCallback(
    async (schema: string) => {
      if (asked.current.has(schema)) return;
      asked.current.add(schema);
      const put = (items: Item[], complete: boolean) =>
        // a partition comes with its table
        setTables((old) => ({ ...old, [schema]: { items: items.filter((one) => !one.partition_of), complete } }));
      try {
        put(await browse(end, schema, (items) => put(items, false)), true);
      } catch (failure) {
        asked.current.delete(schema);
        setError(failure);
      }
    },
    [end],
  );
  return { schemas, tables, error, load, again: () => setRound(round + 1) };
}
