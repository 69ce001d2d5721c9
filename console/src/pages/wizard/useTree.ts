// A server's schemas, tables and columns, read level by level and page by page, as they are asked for.
import { useCallback, useEffect, useRef, useState } from 'react';
import { api, body, type Schemas } from '../../api/client';

export type Item = Schemas['BrowsePage']['items'][number];
export type Loaded = { items: Item[]; complete: boolean };
type Known = Record<string, Loaded>;

export const columnsKey = (schema: string, table: string) => JSON.stringify([schema, table]);

async function browse(
  where: Schemas['ConnectionChoice'],
  level: { schema?: string; table?: string },
  onPage?: (items: Item[]) => void,
): Promise<Item[]> {
  const all: Item[] = [];
  let cursor: string | undefined;
  do {
    const page = await body(api.POST('/api/v1/connections/objects', { body: { ...where, ...level, limit: 1000, cursor } }));
    all.push(...page.items);
    onPage?.([...all]);
    cursor = page.next_cursor ?? undefined;
  } while (cursor);
  return all;
}

/** `where` is read when it is needed: what it names must not change while the tree is shown. */
export function useTree(where: Schemas['ConnectionChoice']) {
  const [schemas, setSchemas] = useState<Item[] | null>(null);
  const [tables, setTables] = useState<Known>({});
  const [columns, setColumns] = useState<Known>({});
  const [error, setError] = useState<unknown>(null);
  const [round, setRound] = useState(0);
  const asked = useRef(new Set<string>());
  const server = useRef(where);
  server.current = where;

  useEffect(() => {
    let here = true;
    asked.current.clear();
    setError(null);
    browse(server.current, {}).then(
      (items) => here && setSchemas(items),
      (failure) => here && setError(failure),
    );
    return () => {
      here = false;
    };
  }, [round]);

  const once = useCallback(async (key: string, read: () => Promise<void>) => {
    if (asked.current.has(key)) return;
    asked.current.add(key);
    try {
      await read();
    } catch (failure) {
      asked.current.delete(key);
      setError(failure);
    }
  }, []);

  /** Reads a schema's tables once. */
  const load = useCallback(
    (schema: string) =>
      once(schema, async () => {
        const put = (items: Item[], complete: boolean) =>
          // a partition comes with its table
          setTables((old) => ({ ...old, [schema]: { items: items.filter((one) => !one.partition_of), complete } }));
        put(await browse(server.current, { schema }, (items) => put(items, false)), true);
      }),
    [once],
  );

  /** Reads a table's columns once. */
  const loadColumns = useCallback(
    (schema: string, table: string) => {
      const key = columnsKey(schema, table);
      return once(key, async () => {
        const items = await browse(server.current, { schema, table });
        setColumns((old) => ({ ...old, [key]: { items, complete: true } }));
      });
    },
    [once],
  );
  return { schemas, tables, columns, error, load, loadColumns, again: () => setRound(round + 1) };
}

export type Tree = ReturnType<typeof useTree>;
