// Schemas, tables and columns to choose from, each with its name in the destination. Only the lines in sight
// are in the document, so that 20,000 tables scroll as easily as 20.
// Keys: up, down, left, right, home, end; space chooses, F2 renames, enter opens a table's settings.
import { useDeferredValue, useMemo, useRef, useState, type KeyboardEvent } from 'react';
import { useT } from '../../i18n';
import { rows, type Row } from './rows';
import { type Options, type Selection } from './selection';
import { foldKey, isOn, mayRename, newName, parentKey, renamed, toggled } from './treeActions';
import { ColumnRow, LoadingRow, SchemaRow, TableRow } from './TreeRow';
import type { Tree } from './useTree';

const LINE = 34;
const HEIGHT = 442;
const LEVELS = { schema: 1, table: 2, loading: 2, column: 3 };
type Props = {
  tree: Tree;
  selection: Selection;
  options?: Options; // without: nothing but choosing
  search: string;
  onSelect: (selection: Selection) => void;
  onOptions?: (options: Options) => void;
  onSettings?: (schema: string, table: string) => void;
};

/** Which lines there are, which are open, and which one is active. */
function useLines(tree: Tree, search: string, columns: boolean) {
  const [open, setOpen] = useState<ReadonlySet<string>>(new Set());
  const [active, setActive] = useState(0);
  const [top, setTop] = useState(0);
  const box = useRef<HTMLDivElement>(null);
  const all = useMemo(() => rows(tree.schemas ?? [], tree.tables, tree.columns, open, search), [tree.schemas, tree.tables, tree.columns, open, search]);
  const first = Math.max(0, Math.floor(top / LINE) - 6);
  const shown = all.slice(first, first + Math.ceil(HEIGHT / LINE) + 12);
  const isOpen = (row: Row) => open.has(foldKey(row) ?? '') || (row.kind === 'schema' && search.trim() !== '');
  const fold = (row: Row, want?: boolean) => {
    const key = foldKey(row);
    if (key === null || (row.kind === 'table' && !columns)) return;
    const next = new Set(open);
    if (want ?? !next.has(key)) {
      next.add(key);
      if (row.kind === 'schema') void tree.load(row.item.name);
      if (row.kind === 'table') void tree.loadColumns(row.schema, row.item.name);
    } else next.delete(key);
    setOpen(next);
  };
  const move = (to: number) => {
    const next = Math.max(0, Math.min(all.length - 1, to));
    setActive(next);
    const element = box.current;
    if (!element) return;
    if (next * LINE < element.scrollTop) element.scrollTop = next * LINE;
    if ((next + 1) * LINE > element.scrollTop + HEIGHT) element.scrollTop = (next + 1) * LINE - HEIGHT;
  };
  const toParent = (row: Row) => {
    const at = all.findIndex((one) => foldKey(one) === parentKey(row));
    if (parentKey(row) !== null && at >= 0) move(at);
  };
  return { all, first, shown, active, setActive, setTop, box, isOpen, fold, move, toParent };
}

export function ObjectTree({ tree, selection, options = {}, search, onSelect, onOptions, onSettings }: Props) {
  const t = useT();
  const wanted = useDeferredValue(search);
  const lines = useLines(tree, wanted, onOptions !== undefined);
  const { all, active, setActive, box } = lines;
  const [renaming, setRenaming] = useState<number | null>(null);
  const choice = { selection, options };
  const toggle = (row: Row) => {
    const change = toggled(choice, row);
    if (change.selection) onSelect(change.selection);
    if (change.options) onOptions?.(change.options);
  };
  const rename = (row: Row, to: string | null) => {
    setRenaming(null);
    box.current?.focus();
    if (to !== null) onOptions?.(renamed(choice, row, to));
  };
  const onKey = (e: KeyboardEvent) => {
    const row = all[active];
    if (!row || e.target !== box.current) return; // typing a name
    const keys: Record<string, () => void> = {
      ArrowDown: () => lines.move(active + 1),
      ArrowUp: () => lines.move(active - 1),
      Home: () => lines.move(0),
      End: () => lines.move(all.length - 1),
      ' ': () => toggle(row),
      ArrowRight: () => lines.fold(row, true),
      ArrowLeft: () => (lines.isOpen(row) && wanted.trim() === '' ? lines.fold(row, false) : lines.toParent(row)),
      F2: () => onOptions && mayRename(choice, row) && setRenaming(active),
      Enter: () => row.kind === 'table' && isOn(choice, row) && onSettings?.(row.schema, row.item.name),
    };
    const act = keys[e.key];
    if (!act) return;
    e.preventDefault();
    act();
  };
  const content = (row: Row, at: number) => {
    if (row.kind === 'loading') return <LoadingRow />;
    const on = isOn(choice, row);
    const here = (act: () => void) => () => {
      setActive(at);
      act();
    };
    const common = {
      item: row.item,
      chosen: on,
      open: lines.isOpen(row),
      onFold: here(() => lines.fold(row)),
      name: newName(choice, row),
      naming: renaming === at,
      onName: onOptions && mayRename(choice, row) ? here(() => setRenaming(at)) : undefined,
      onNamed: (to: string | null) => rename(row, to),
    };
    if (row.kind === 'schema') return <SchemaRow {...common} selected={selection[row.item.name]} />;
    if (row.kind === 'column') return <ColumnRow {...common} />;
    const settings = onSettings && on ? here(() => onSettings(row.schema, row.item.name)) : undefined;
    return <TableRow {...common} own={options[row.schema]?.tables?.[row.item.name] ?? {}} foldable={onOptions !== undefined} onSettings={settings} />;
  };
  return (
    <div
      ref={box}
      className="tree"
      role="tree"
      aria-multiselectable
      aria-label={t('objects.select')}
      tabIndex={0}
      aria-activedescendant={all.length > 0 ? `tree-${active}` : undefined}
      style={{ maxHeight: HEIGHT }}
      onScroll={(e) => lines.setTop(e.currentTarget.scrollTop)}
      onKeyDown={onKey}
    >
      <div style={{ height: all.length * LINE, position: 'relative' }} role="presentation">
        {lines.shown.map((row, i) => {
          const at = lines.first + i;
          return (
            <div
              key={at}
              id={`tree-${at}`}
              role="treeitem"
              aria-level={LEVELS[row.kind]}
              aria-selected={isOn(choice, row)}
              aria-expanded={row.kind === 'schema' || (row.kind === 'table' && onOptions) ? lines.isOpen(row) : undefined}
              className={`tree-row ${row.kind}${at === active ? ' active' : ''}`}
              style={{ top: at * LINE, height: LINE }}
              onClick={() => {
                setActive(at);
                toggle(row);
              }}
            >
              {content(row, at)}
            </div>
          );
        })}
      </div>
    </div>
  );
}
