// What a line of the tree shows of the choice, and what operating it makes of the choice.
import type { Row } from './rows';
import { isChosen, toggleSchema, toggleTable, withSchema, withTable, type Options, type Selection } from './selection';
import { columnsKey } from './useTree';

export type Choice = { selection: Selection; options: Options };

const own = ({ options }: Choice, schema: string, table: string) => options[schema]?.tables?.[table] ?? {};

/** What is folded with the line; null where nothing is. */
export function foldKey(row: Row): string | null {
  if (row.kind === 'schema') return row.item.name;
  return row.kind === 'table' ? columnsKey(row.schema, row.item.name) : null;
}

/** The fold key of the line above it in the hierarchy. */
export function parentKey(row: Row): string | null {
  if (row.kind === 'table') return row.schema;
  return row.kind === 'column' ? columnsKey(row.schema, row.table) : null;
}

export function isOn(choice: Choice, row: Row): boolean {
  const { selection } = choice;
  if (row.kind === 'schema') return selection[row.item.name] === 'all';
  if (row.kind === 'table') return isChosen(selection, row.schema, row.item.name);
  if (row.kind === 'column') return isChosen(selection, row.schema, row.table) && !own(choice, row.schema, row.table).without?.includes(row.item.name);
  return false;
}

/** The name in the destination; '' as on the source. */
export function newName(choice: Choice, row: Row): string {
  if (row.kind === 'schema') return choice.options[row.item.name]?.rename ?? '';
  if (row.kind === 'table') return own(choice, row.schema, row.item.name).rename ?? '';
  return row.kind === 'column' ? (own(choice, row.schema, row.table).columns?.[row.item.name] ?? '') : '';
}

export function mayRename(choice: Choice, row: Row): boolean {
  return isOn(choice, row) || (row.kind === 'schema' && choice.selection[row.item.name] !== undefined);
}

export function toggled(choice: Choice, row: Row): Partial<Choice> {
  const { selection, options } = choice;
  if (row.kind === 'schema') return { selection: toggleSchema(selection, row.item.name) };
  if (row.kind === 'table') return { selection: toggleTable(selection, row.schema, row.item.name) };
  if (row.kind !== 'column' || row.item.in_key) return {};
  const without = own(choice, row.schema, row.table).without ?? [];
  const name = row.item.name;
  const next = without.includes(name) ? without.filter((one) => one !== name) : [...without, name];
  return { options: withTable(options, row.schema, row.table, { without: next }) };
}

/** With the line's name in the destination; the source's own name takes it back. */
export function renamed(choice: Choice, row: Row, to: string): Options {
  const { options } = choice;
  if (row.kind === 'loading') return options;
  const name = to.trim() === row.item.name ? '' : to.trim();
  if (row.kind === 'schema') return withSchema(options, row.item.name, name);
  if (row.kind === 'table') return withTable(options, row.schema, row.item.name, { rename: name });
  const columns = { ...own(choice, row.schema, row.table).columns, [row.item.name]: name };
  return withTable(options, row.schema, row.table, { columns });
}
