// The task's tables: how far the copy is, what the stream applied; one table again.
import { SyncOutlined } from '@ant-design/icons';
import { App, Button, Input, Progress, Select, Tag, Tooltip, type TableColumnsType } from 'antd';
import { useQueryClient } from '@tanstack/react-query';
import { useDeferredValue, useMemo, useState } from 'react';
import { api, body, type Schemas, type Task } from '../../api/client';
import { keys, useTables } from '../../api/queries';
import { useWho } from '../../app/session';
import { Listing } from '../../components/Listing';
import { Failure, Loading, Nothing } from '../../components/states';
import { useT, type Translate } from '../../i18n';
import { bytes, count, percent, seconds } from '../../lib/format';

type Row = Schemas['TableProgress'];
type State = Schemas['TableState'];
const colors: Record<State, string> = {
  waiting: 'default', copying: 'processing', indexing: 'processing', catching_up: 'processing', synchronizing: 'success',
  set_aside: 'warning', failed: 'error',
};

/** Seconds that the rest of a copy takes at the rate seen so far, by what this page has seen of it. */
const seen = new Map<string, { at: number; rows: number }>();
export function timeLeft(key: string, row: Pick<Row, 'state' | 'rows' | 'rows_total'>, now = Date.now()): number | null {
  if (row.state !== 'copying' || row.rows_total <= 0) {
    seen.delete(key);
    return null;
  }
  const first = seen.get(key);
  if (!first || first.rows > row.rows) seen.set(key, { at: now, rows: row.rows });
  if (!first || row.rows <= first.rows || now - first.at < 2000) return null;
  return Math.max(0, row.rows_total - row.rows) / ((row.rows - first.rows) / ((now - first.at) / 1000));
}

function Copied({ row, task }: { row: Row; task: string }) {
  const t = useT();
  const left = timeLeft(`${task} ${row.table}`, row);
  const done = ['synchronizing', 'indexing', 'catching_up'].includes(row.state);
  const share = done ? 100 : percent(row.rows, row.rows_total);
  const total = row.rows_total >= 0 && !done ? ` / ~${count(row.rows_total)}` : '';
  return (
    <div style={{ minWidth: 110 }}>
      <span className="num">
        {count(row.rows)}
        {total}
      </span>
      {!done && row.parts > 1 && <div className="muted small">{t('tables.partsDone', { done: row.parts_done, all: row.parts })}</div>}
      {left !== null && <div className="muted small">{t('tables.left', { time: seconds(left) })}</div>}
      {!done && row.rows > 0 && <Progress percent={share} size="small" showInfo={false} aria-label={`${share} %`} />}
    </div>
  );
}

function number(t: Translate, key: 'inserts' | 'updates' | 'deletes' | 'conflicts'): TableColumnsType<Row>[number] {
  return {
    title: <Tooltip title={t('tables.sinceStart')}>{t(`tables.${key}`)}</Tooltip>,
    dataIndex: key,
    align: 'right',
    width: 88,
    render: (n: number) => <span className={key === 'conflicts' && n > 0 ? 'num lag-high' : 'num'}>{count(n)}</span>,
  };
}

function columns(t: Translate, task: string, onResync?: (table: string) => void): TableColumnsType<Row> {
  return [
    { title: t('tables.name'), dataIndex: 'table', render: (name: string) => <span className="mono">{name}</span> },
    {
      title: t('tables.state'),
      dataIndex: 'state',
      width: 150,
      render: (state: State, row) => (
        <div>
          <Tag color={colors[state]}>{t(`tableState.${state}`)}</Tag>
          {row.reason && <div className="small muted">{row.reason}</div>}
        </div>
      ),
    },
    { title: t('tables.rows'), key: 'rows', width: 150, render: (_, row) => <Copied row={row} task={task} /> },
    { title: t('tables.size'), key: 'size', align: 'right', width: 100, render: (_, row) => <span className="num">{bytes(row.bytes_total)}</span> },
    number(t, 'inserts'),
    number(t, 'updates'),
    number(t, 'deletes'),
    number(t, 'conflicts'),
    ...(onResync
      ? [{
          title: <span className="visually-hidden">{t('action.more')}</span>,
          key: 'actions',
          width: 56,
          align: 'right' as const,
          render: (_: unknown, row: Row) =>
            ['synchronizing', 'set_aside', 'failed'].includes(row.state) && (
              <Tooltip title={t('tables.resync')}>
                <Button size="small" type="text" icon={<SyncOutlined />} aria-label={`${t('tables.resync')}: ${row.table}`} onClick={() => onResync(row.table)} />
              </Tooltip>
            ),
        }]
      : []),
  ];
}

function useResync(task: Task) {
  const t = useT();
  const client = useQueryClient();
  const { modal, message, notification } = App.useApp();
  return (table: string) =>
    modal.confirm({
      title: t('tables.resyncTitle', { table }),
      content: t('tables.resyncHelp'),
      okText: t('tables.resync'),
      onOk: async () => {
        try {
          const params = { path: { task: task.id, table } };
          await body(api.POST('/api/v1/tasks/{task}/tables/{table}/resync', { params }));
          void message.success(t('tables.resyncStarted', { table }));
          void client.invalidateQueries({ queryKey: keys.task(task.id) });
        } catch (error) {
          notification.error({ message: t('error.title'), description: (error as Error).message });
        }
      },
    });
}

export function TablesTab({ task }: { task: Task }) {
  const t = useT();
  const who = useWho();
  const [search, setSearch] = useState('');
  const [state, setState] = useState('');
  const q = useDeferredValue(search);
  const tables = useTables(task.id, { q: q || undefined, state: state || undefined });
  const resync = useResync(task);
  const canResync = who.isOperator && task.state === 'synchronizing';
  const shown = useMemo(() => columns(t, task.id, canResync ? resync : undefined), [t, task.id, canResync]); // eslint-disable-line
  const rows = useMemo(() => tables.data?.pages.flatMap((page) => page.items) ?? [], [tables.data]);
  if (tables.isPending) return <Loading />;
  if (!tables.data) return <Failure error={tables.error} onRetry={() => void tables.refetch()} />;
  const states = Object.entries(tables.data.pages[0]?.states ?? {});
  if (rows.length === 0 && states.length === 0) return <div className="panel"><Nothing title={t('tables.empty')} help={t('tables.emptyHelp')} /></div>;
  return (
    <div className="stack">
      <div className="row">
        <Input.Search allowClear className="home-search" value={search} onChange={(e) => setSearch(e.target.value)} placeholder={t('tables.search')} aria-label={t('tables.search')} />
        <Select
          style={{ minWidth: 190 }}
          aria-label={t('tables.state')}
          value={state}
          onChange={setState}
          options={[{ value: '', label: t('tables.any') }, ...states.map(([value, n]) => ({ value, label: `${t(`tableState.${value as State}`)} (${n})` }))]}
        />
      </div>
      <div className="panel">
        <Listing<Row> rowKey="table" size="small" columns={shown} dataSource={rows} pagination={false} scroll={{ x: 1000 }} locale={{ emptyText: t('tables.noFit') }} />
      </div>
      {tables.hasNextPage && (
        <Button loading={tables.isFetchingNextPage} onClick={() => void tables.fetchNextPage()}>
          {t('tables.more')}
        </Button>
      )}
    </div>
  );
}
