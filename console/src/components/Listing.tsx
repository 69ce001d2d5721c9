// Ant Design's table; on a telephone each line becomes a card of labelled values, so that nothing is cut off.
import { Table, type TableProps } from 'antd';
import type { ColumnType } from 'antd/es/table';
import { isValidElement, type ReactNode } from 'react';
import { useNarrow } from '../lib/narrow';
import './listing.css';

/** A column's title as a word: as it is, or what a tooltip is about; what only screen readers get is left out. */
export function wordOf(title: unknown): string {
  if (typeof title === 'string') return title;
  if (!isValidElement<{ children?: ReactNode; className?: string }>(title)) return '';
  return title.props.className === 'visually-hidden' ? '' : wordOf(title.props.children);
}

function labelled<T>(column: ColumnType<T>): ColumnType<T> {
  const label = wordOf(column.title);
  const half = column.align === 'right' && label !== ''; // a number: two in a line
  return { ...column, width: undefined, align: undefined, onCell: () => ({ 'data-label': label, 'data-half': half }) as object };
}

export function Listing<T extends object>(props: TableProps<T>) {
  const narrow = useNarrow();
  if (!narrow) return <Table<T> {...props} />;
  const { columns, scroll: _s, virtual, pagination, ...rest } = props;
  const pages = virtual ? { pageSize: 50, simple: true } : pagination; // instead of all lines at once
  return <Table<T> {...rest} pagination={pages} className="cards" columns={(columns as ColumnType<T>[] | undefined)?.map(labelled)} />;
}
