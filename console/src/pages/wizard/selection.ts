// Which schemas, tables and columns are chosen, what is different about some of them, and the `objects` and
// `names` of a specification that this makes.
import type { Schemas } from '../../api/client';

type Spec = Schemas['Spec'];
type SpecTable = NonNullable<Schemas['SpecSchema']['tables']>[number];

/** A whole schema (with what is created in it later), all of it but some tables, or these tables. */
export type Chosen = 'all' | { except: string[] } | string[];
export type Selection = Record<string, Chosen>;

export const operations = ['insert', 'update', 'delete', 'truncate'] as const;
export type Operation = (typeof operations)[number];
export type Keyless = 'refuse' | 'insert_only' | 'full';

/** What a table has of its own; what is not there is as usual. */
export type TableOptions = {
  rename?: string;
  where?: string;
  operations?: Operation[];
  keyless?: Keyless;
  without?: string[]; // columns that are left out
  columns?: Record<string, string>; // column → its name in the destination
};
export type SchemaOptions = { rename?: string; tables?: Record<string, TableOptions> };
export type Options = Record<string, SchemaOptions>;

export const cases = ['source', 'lower', 'upper', 'dts'] as const;
export type Case = (typeof cases)[number];
export const ruleKinds = ['prefix', 'suffix', 'replace', 'regex'] as const;
export type Rule = { of: 'tables' | 'schemas' | 'columns'; objects: string; kind: (typeof ruleKinds)[number]; from: string; to: string };
export type Names = { case: Case; rules: Rule[] };
export const asOnSource: Names = { case: 'source', rules: [] };

export function isWhole(chosen: Chosen | undefined): chosen is 'all' | { except: string[] } {
  return chosen === 'all' || (chosen !== undefined && !Array.isArray(chosen));
}

export function isChosen(selection: Selection, schema: string, table?: string): boolean {
  const chosen = selection[schema];
  if (chosen === undefined) return false;
  if (table === undefined) return chosen === 'all';
  if (Array.isArray(chosen)) return chosen.includes(table);
  return chosen === 'all' || !chosen.except.includes(table);
}

/** A schema is chosen whole or not at all. */
export function toggleSchema(selection: Selection, schema: string): Selection {
  const { [schema]: chosen, ...others } = selection;
  return chosen === 'all' ? others : { ...others, [schema]: 'all' };
}

/** One table; taken out of a whole schema, the others stay, and those that are created later come. */
export function toggleTable(selection: Selection, schema: string, table: string): Selection {
  const chosen = selection[schema] ?? [];
  const { [schema]: _, ...others } = selection;
  if (chosen === 'all') return { ...others, [schema]: { except: [table] } };
  const listed = Array.isArray(chosen) ? chosen : chosen.except;
  const after = listed.includes(table) ? listed.filter((one) => one !== table) : [...listed, table];
  if (Array.isArray(chosen)) return after.length === 0 ? others : { ...others, [schema]: after };
  return { ...others, [schema]: after.length === 0 ? 'all' : { except: after } };
}

function tidy(o: TableOptions): TableOptions {
  const without = (o.without ?? []).filter(Boolean);
  const columns = Object.fromEntries(Object.entries(o.columns ?? {}).filter(([from, to]) => to.trim() && to !== from));
  return {
    ...(o.rename?.trim() ? { rename: o.rename.trim() } : {}),
    ...(o.where?.trim() ? { where: o.where.trim() } : {}),
    ...(o.operations && o.operations.length < operations.length ? { operations: o.operations } : {}),
    ...(o.keyless ? { keyless: o.keyless } : {}),
    ...(without.length > 0 ? { without } : {}),
    ...(Object.keys(columns).length > 0 ? { columns } : {}),
  };
}

export function isPlain(o: TableOptions | undefined): boolean {
  return !o || Object.keys(tidy(o)).length === 0;
}

/** The options with some of one table's changed; what is as usual is not kept. */
export function withTable(options: Options, schema: string, table: string, part: Partial<TableOptions>): Options {
  const old = options[schema] ?? {};
  const { [table]: before, ...others } = old.tables ?? {};
  const after = tidy({ ...before, ...part });
  return { ...options, [schema]: { ...old, tables: isPlain(after) ? others : { ...others, [table]: after } } };
}

export function withSchema(options: Options, schema: string, rename: string): Options {
  return { ...options, [schema]: { ...options[schema], rename: rename.trim() } };
}

/** A pattern that only this name matches. */
function literally(name: string): string {
  return name.replace(/[*?]/g, '[$&]');
}

function specTable(table: string, o: TableOptions | undefined): SpecTable {
  const { without, columns, ...rest } = tidy(o ?? {});
  const about = { ...(without ? { exclude: without } : {}), ...(columns ? { rename: columns } : {}) };
  return { table: literally(table), ...rest, ...(without || columns ? { columns: about } : {}) } as SpecTable;
}

function specTables(chosen: Chosen, of: Record<string, TableOptions>): SpecTable[] | undefined {
  if (Array.isArray(chosen)) return [...chosen].sort().map((table) => specTable(table, of[table]));
  const left = chosen === 'all' ? [] : chosen.except;
  const special = Object.keys(of).filter((table) => !left.includes(table) && !isPlain(of[table]));
  if (special.length + left.length === 0) return undefined;
  return [
    { table: '*' },
    ...special.sort().map((table) => specTable(table, of[table])),
    ...[...left].sort().map((table) => ({ table: literally(table), exclude: true }) as SpecTable),
  ];
}

export function objects(selection: Selection, options: Options = {}): Spec['objects'] {
  return Object.keys(selection)
    .sort()
    .flatMap((schema): Spec['objects'] => {
      const chosen = selection[schema]!;
      if (Array.isArray(chosen) && chosen.length === 0) return [];
      const own = options[schema] ?? {};
      const tables = specTables(chosen, own.tables ?? {});
      return [{ schema, ...(own.rename ? { rename: own.rename } : {}), ...(tables ? { tables } : {}) }];
    });
}

/** A rule that says nothing yet is left out. */
export function names({ case: letters, rules }: Names): Spec['names'] | undefined {
  const said = rules
    .filter((rule) => (rule.kind === 'prefix' || rule.kind === 'suffix' ? rule.to !== '' : rule.from !== ''))
    .map((rule) => ({
      ...(rule.of !== 'tables' ? { of: rule.of } : {}),
      ...(rule.objects.trim() ? { objects: rule.objects.trim() } : {}),
      [rule.kind]: rule.kind === 'prefix' || rule.kind === 'suffix' ? rule.to : { [rule.from]: rule.to },
    }));
  if (letters === 'source' && said.length === 0) return undefined;
  return { ...(letters !== 'source' ? { case: letters } : {}), ...(said.length > 0 ? { rules: said as never[] } : {}) };
}
