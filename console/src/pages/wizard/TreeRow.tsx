// One line of the tree: what it is, how large, what it is called in the destination.
import { CaretDownOutlined, CaretRightOutlined, EditOutlined, KeyOutlined, LoadingOutlined, SettingOutlined } from '@ant-design/icons';
import { Input, Tag, Tooltip } from 'antd';
import { useRef, useState } from 'react';
import { useT } from '../../i18n';
import { bytes, count } from '../../lib/format';
import { operations, type Chosen, type TableOptions } from './selection';
import type { Item } from './useTree';

type Common = {
  item: Item;
  chosen: boolean;
  open: boolean;
  onFold: () => void;
  name: string; // in the destination; '' as on the source
  naming: boolean; // being entered
  onName?: () => void;
  onNamed: (to: string | null) => void;
};

function Fold({ open, onFold }: Pick<Common, 'open' | 'onFold'>) {
  return (
    <span
      className="tree-fold"
      aria-hidden="true"
      onClick={(e) => {
        e.stopPropagation();
        onFold();
      }}
    >
      {open ? <CaretDownOutlined /> : <CaretRightOutlined />}
    </span>
  );
}

/** Shows a choice; the line itself is what is operated. */
function Mark({ checked, some = false }: { checked: boolean; some?: boolean }) {
  return <span aria-hidden="true" className={`tree-mark${checked ? ' on' : some ? ' some' : ''}`} />;
}

/** The name in the destination: shown, or being entered. */
function Name({ item, name, naming, onName, onNamed }: Omit<Common, 'chosen' | 'open' | 'onFold'>) {
  const t = useT();
  const [text, setText] = useState(name || item.name);
  const done = useRef(false); // the field also loses the focus when it goes
  const end = (to: string | null) => {
    if (!done.current) onNamed(to);
    done.current = true;
  };
  if (naming)
    return (
      <Input
        size="small"
        className="tree-input"
        autoFocus
        value={text}
        maxLength={63}
        aria-label={t('objects.renameOf', { name: item.name })}
        onClick={(e) => e.stopPropagation()}
        onFocus={(e) => {
          done.current = false;
          setText(name || item.name);
          e.target.select();
        }}
        onChange={(e) => setText(e.target.value)}
        onKeyDown={(e) => {
          e.stopPropagation();
          if (e.key === 'Enter') end(text);
          if (e.key === 'Escape') end(null);
        }}
        onBlur={() => end(text)}
      />
    );
  return (
    <>
      {name && <span className="tree-new mono ellipsis">→ {name}</span>}
      {onName && (
        <Tooltip title={t('objects.rename')}>
          <button
            type="button"
            tabIndex={-1}
            className="tree-button"
            aria-label={t('objects.renameOf', { name: item.name })}
            onClick={(e) => {
              e.stopPropagation();
              onName();
            }}
          >
            <EditOutlined />
          </button>
        </Tooltip>
      )}
    </>
  );
}

export function SchemaRow({ selected, ...row }: Common & { selected: Chosen | undefined }) {
  const t = useT();
  const { item } = row;
  const all = item.tables ?? 0;
  const part = selected === undefined || selected === 'all' ? null : Array.isArray(selected) ? selected.length : all - selected.except.length;
  return (
    <>
      <Fold {...row} />
      <Mark checked={selected === 'all'} some={part !== null} />
      <b className="ellipsis">{item.name}</b>
      <Name {...row} />
      <span className="grow" />
      <span className="muted small nowrap">
        {part !== null ? `${part} / ` : ''}
        {t('objects.tables', { n: all })}
      </span>
    </>
  );
}

/** What a table has of its own, said in a word each. */
function Own({ own }: { own: TableOptions }) {
  const t = useT();
  return (
    <>
      {own.where && (
        <Tooltip title={<span className="mono">WHERE {own.where}</span>}>
          <Tag color="processing">{t('table.filtered')}</Tag>
        </Tooltip>
      )}
      {own.operations && (
        <Tooltip title={own.operations.map((one) => t(`operation.${one}`)).join(', ') || t('table.noOperations')}>
          <Tag color="processing">{t('table.some', { n: own.operations.length, all: operations.length })}</Tag>
        </Tooltip>
      )}
      {own.without && <Tag color="processing">{t('table.without', { n: own.without.length })}</Tag>}
    </>
  );
}

type TableProps = Common & { own: TableOptions; foldable: boolean; onSettings?: () => void };

export function TableRow({ own, foldable, onSettings, ...row }: TableProps) {
  const t = useT();
  const { item } = row;
  return (
    <>
      {foldable && <Fold {...row} />}
      <Mark checked={row.chosen} />
      <span className="mono ellipsis">{item.name}</span>
      <Name {...row} />
      {item.kind === 'partitioned_table' && <Tag>{t('objects.partitioned')}</Tag>}
      {item.identity === 'none' && (
        <Tooltip title={t('objects.noKeyHelp')}>
          <Tag color="warning">{t('objects.noKey')}</Tag>
        </Tooltip>
      )}
      <Own own={own} />
      <span className="grow" />
      <span className="muted small num hide-narrow">{(item.rows ?? -1) >= 0 && t('objects.rows', { n: count(item.rows) })}</span>
      <span className="muted small num tree-size">{bytes(item.bytes)}</span>
      {foldable && (
        <Tooltip title={onSettings ? t('table.settings') : undefined}>
          <button
            type="button"
            tabIndex={-1}
            className="tree-button"
            style={{ visibility: onSettings ? 'visible' : 'hidden' }}
            aria-label={t('table.settingsOf', { name: item.name })}
            onClick={(e) => {
              e.stopPropagation();
              onSettings?.();
            }}
          >
            <SettingOutlined />
          </button>
        </Tooltip>
      )}
    </>
  );
}

export function ColumnRow(row: Common) {
  const t = useT();
  const { item } = row;
  return (
    <>
      <Mark checked={row.chosen} />
      <span className="mono ellipsis">{item.name}</span>
      <Name {...row} />
      {item.in_key && (
        <Tooltip title={t('objects.inKey')}>
          <KeyOutlined className="muted" aria-label={t('objects.inKey')} />
        </Tooltip>
      )}
      <span className="grow" />
      <span className="muted small mono ellipsis hide-narrow">
        {item.type}
        {item.not_null ? ' NOT NULL' : ''}
        {item.generated ? ' GENERATED' : ''}
      </span>
    </>
  );
}

export function LoadingRow() {
  return <LoadingOutlined />;
}
