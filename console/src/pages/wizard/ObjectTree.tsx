// Schemas and tables to choose from. Only the lines in sight are in the document, so that 20,000 tables
// scroll as easily as 20. Keys: up, down, left, right, space, home, end.
import { CaretDownOutlined, CaretRightOutlined, LoadingOutlined } from '@ant-design/icons';
import { Tag, Tooltip } from 'antd';
import { useMemo, useRef, useState, type KeyboardEvent } from 'react';
import { useT } from '../../i18n';
import { bytes, count } from '../../lib/format';
import { isChosen, toggleSchema, toggleTable, type Selection } from './draft';
import { rows, type Row } from './rows';
import type { Item } from './useTree';

const LINE = 34;
const HEIGHT = 442;
type Props = {
  schemas: Item[];
  tables: Record<string, { items: Item[]; complete: boolean }>;
  selection: Selection;
  search: string;
  onSelect: (selection: Selection) => void;
  onOpen: (schema: string) => void;
};

export function ObjectTree({ schemas, tables, selection, search, onSelect, onOpen }: Props) {
  const t = useT();
  const [open, setOpen] = useState<ReadonlySet<string>>(new Set());
  const [top, setTop] = useState(0);
  const [active, setActive] = useState(0);
  const box = useRef<HTMLDivElement>(null);
  const all = useMemo(() => rows(schemas, tables, open, search), [schemas, tables, open, search]);
  const first = Math.max(0, Math.floor(top / LINE) - 6);
  const shown = all.slice(first, first + Math.ceil(HEIGHT / LINE) + 12);

  const fold = (schema: string, wanted?: boolean) => {
    const next = new Set(open);
    if (wanted ?? !next.has(schema)) {
      next.add(schema);
      onOpen(schema);
    } else next.delete(schema);
    setOpen(next);
  };
  const toggle = (row: Row) => {
    if (row.kind === 'schema') onSelect(toggleSchema(selection, row.item.name));
    if (row.kind === 'table')
      onSelect(toggleTable(selection, row.schema, row.item.name, (tables[row.schema]?.items ?? []).map((one) => one.name)));
  };
  const move = (to: number) => {
    const next = Math.max(0, Math.min(all.length - 1, to));
    setActive(next);
    const element = box.current;
    if (!element) return;
    if (next * LINE < element.scrollTop) element.scrollTop = next * LINE;
    if ((next + 1) * LINE > element.scrollTop + HEIGHT) element.scrollTop = (next + 1) * LINE - HEIGHT;
  };
  const onKey = (e: KeyboardEvent) => {
    const row = all[active];
    const keys: Record<string, () => void> = {
      ArrowDown: () => move(active + 1),
      ArrowUp: () => move(active - 1),
      Home: () => move(0),
      End: () => move(all.length - 1),
      ' ': () => row && toggle(row),
      ArrowRight: () => row?.kind === 'schema' && fold(row.item.name, true),
      ArrowLeft: () => {
        if (row?.kind === 'schema') fold(row.item.name, false);
        else if (row) move(all.findIndex((one) => one.kind === 'schema' && one.item.name === row.schema));
      },
    };
    const act = keys[e.key];
    if (!act) return;
    e.preventDefault();
    act();
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
      onScroll={(e) => setTop(e.currentTarget.scrollTop)}
      onKeyDown={onKey}
    >
      <div style={{ height: all.length * LINE, position: 'relative' }} role="presentation">
        {shown.map((row, i) => {
          const at = first + i;
          const chosen = row.kind === 'schema' ? selection[row.item.name] === 'all' : row.kind === 'table' && isChosen(selection, row.schema, row.item.name);
          return (
            <div
              key={at}
              id={`tree-${at}`}
              role="treeitem"
              aria-level={row.kind === 'schema' ? 1 : 2}
              aria-selected={chosen}
              aria-expanded={row.kind === 'schema' ? open.has(row.item.name) || search !== '' : undefined}
              className={`tree-row ${row.kind}${at === active ? ' active' : ''}`}
              style={{ top: at * LINE, height: LINE }}
              onClick={() => {
                setActive(at);
                toggle(row);
              }}
            >
              {row.kind === 'schema' && <SchemaRow item={row.item} chosen={selection[row.item.name]} open={open.has(row.item.name) || search !== ''} onFold={() => fold(row.item.name)} />}
              {row.kind === 'table' && <TableRow item={row.item} chosen={chosen} />}
              {row.kind === 'loading' && <LoadingOutlined />}
            </div>
          );
        })}
      </div>
    </div>
  );
}

type SchemaProps = { item: Item; chosen: Selection[string] | undefined; open: boolean; onFold: () => void };

function SchemaRow({ item, chosen, open, onFold }: SchemaProps) {
  const t = useT();
  return (
    <>
      <span
        className="tree-fold"
        onClick={(e) => {
          e.stopPropagation();
          onFold();
        }}
      >
        {open ? <CaretDownOutlined /> : <CaretRightOutlined />}
      </span>
      <Mark checked={chosen === 'all'} some={Array.isArray(chosen)} />
      <b className="ellipsis">{item.name}</b>
      <span className="muted small">
        {Array.isArray(chosen) ? `${chosen.length} / ` : ''}
        {t('objects.tables', { n: item.tables ?? 0 })}
      </span>
    </>
  );
}

function TableRow({ item, chosen }: { item: Item; chosen: boolean }) {
  const t = useT();
  return (
    <>
      <Mark checked={chosen} />
      <span className="mono ellipsis">{item.name}</span>
      {item.kind === 'partitioned_table' && <Tag>{t('objects.partitioned')}</Tag>}
      {item.identity === 'none' && (
        <Tooltip title={t('objects.noKeyHelp')}>
          <Tag color="warning">{t('objects.noKey')}</Tag>
        </Tooltip>
      )}
      <span className="grow" />
      <span className="muted small num hide-narrow">{(item.rows ?? -1) >= 0 && t('objects.rows', { n: count(item.rows) })}</span>
      <span className="muted small num tree-size">{bytes(item.bytes)}</span>
    </>
  );
}

/** Shows a choice; the line itself is what is operated. */
function Mark({ checked, some = false }: { checked: boolean; some?: boolean }) {
  return <span aria-hidden="true" className={`tree-mark${checked ? ' on' : some ? ' some' : ''}`} />;
}
