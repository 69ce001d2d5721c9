// Changes that could not be applied: what, where, why; try them again or leave them out.
import { Alert, App, Button, Space, Tag, type TableColumnsType } from 'antd';
import { useQueryClient } from '@tanstack/react-query';
import { useState, type Key } from 'react';
import { api, body, type Schemas, type Task } from '../../api/client';
import { keys, useErrors } from '../../api/queries';
import { useWho } from '../../app/session';
import { Code } from '../../components/Code';
import { Listing } from '../../components/Listing';
import { Failure, Loading, Nothing } from '../../components/states';
import { Time } from '../../components/Time';
import { useT, type Translate } from '../../i18n';

type Row = Schemas['ChangeError'];

type Send = (what: 'retry' | 'skip', ids: number[]) => void;

function columns(t: Translate, send?: Send): TableColumnsType<Row> {
  return [
    {
      title: t('errors.change'),
      key: 'change',
      render: (_, row) => (
        <div>
          <Tag color={row.state === 'stopped' ? 'error' : 'warning'}>{row.operation ?? 'change'}</Tag>
          <span className="mono">{[row.schema, row.table].filter(Boolean).join('.')}</span>
          <div className="muted small mono">LSN {row.commit_lsn}</div>
        </div>
      ),
    },
    { title: t('errors.key'), key: 'key', render: (_, row) => <span className="mono small">{row.key === undefined ? '' : JSON.stringify(row.key)}</span> },
    {
      title: t('errors.cause'),
      key: 'cause',
      render: (_, row) => (
        <div>
          {row.message ?? row.conflict}
          <div className="muted small">{[row.conflict, row.sqlstate && `SQLSTATE ${row.sqlstate}`].filter(Boolean).join(' · ')}</div>
        </div>
      ),
    },
    { title: t('errors.when'), key: 'when', width: 130, render: (_, row) => <Time at={row.recorded_at} /> },
    ...(send
      ? [{
          title: <span className="visually-hidden">{t('action.more')}</span>,
          key: 'actions',
          width: 190,
          align: 'right' as const,
          render: (_: unknown, row: Row) => (
            <Space>
              {row.state === 'set_aside' && <Button size="small" onClick={() => send('retry', [row.id])}>{t('errors.retry')}</Button>}
              {row.state !== 'skip' && <Button size="small" danger onClick={() => send('skip', [row.id])}>{t('errors.skip')}</Button>}
              {row.state === 'skip' && <span className="muted small">{t('errors.skipped')}</span>}
            </Space>
          ),
        }]
      : []),
  ];
}

export function ErrorsTab({ task }: { task: Task }) {
  const t = useT();
  const who = useWho();
  const client = useQueryClient();
  const { modal, message, notification } = App.useApp();
  const errors = useErrors(task.id);
  const [selected, setSelected] = useState<Key[]>([]);
  if (errors.isPending) return <Loading />;
  if (!errors.data) return <Failure error={errors.error} onRetry={() => void errors.refetch()} />;
  const items = errors.data.items;
  if (items.length === 0) return <div className="panel"><Nothing title={t('errors.none')} help={t('errors.noneHelp')} /></div>;

  const apply = async (what: 'retry' | 'skip', ids: number[]) => {
    try {
      const options = { params: { path: { task: task.id } }, body: { ids } };
      const done = await body(
        what === 'retry' ? api.POST('/api/v1/tasks/{task}/errors/retry', options) : api.POST('/api/v1/tasks/{task}/errors/skip', options),
      );
      void message.success(done.message, 6);
      setSelected([]);
    } catch (error) {
      notification.error({ message: t('error.title'), description: (error as Error).message });
    }
    void client.invalidateQueries({ queryKey: keys.task(task.id) });
  };
  const send: Send = (what, ids) =>
    what === 'retry'
      ? void apply(what, ids)
      : void modal.confirm({
          title: t('errors.skipTitle', { n: ids.length }),
          content: t('errors.skipHelp'),
          okText: t('errors.skip'),
          okButtonProps: { danger: true },
          onOk: () => apply(what, ids),
        });
  const of = (...states: Row['state'][]) =>
    items.filter((item) => states.includes(item.state) && (selected.length === 0 || selected.includes(item.id))).map((item) => item.id);
  const retry = of('set_aside');
  const skip = of('set_aside', 'stopped');
  return (
    <div className="stack">
      {items.some((item) => item.state === 'stopped') && <Alert type="info" showIcon message={t('errors.stopped')} />}
      {who.isOperator && (
        <Space>
          <Button disabled={retry.length === 0} onClick={() => send('retry', retry)}>{t('errors.retry')} ({retry.length})</Button>
          <Button danger disabled={skip.length === 0} onClick={() => send('skip', skip)}>{t('errors.skip')} ({skip.length})</Button>
        </Space>
      )}
      <div className="panel">
        <Listing<Row>
          rowKey="id"
          size="small"
          columns={columns(t, who.isOperator ? send : undefined)}
          dataSource={items}
          pagination={items.length > 100 ? { pageSize: 100, showSizeChanger: false } : false}
          scroll={{ x: 900 }}
          rowSelection={who.isOperator ? { selectedRowKeys: selected, onChange: setSelected, getCheckboxProps: (row) => ({ 'aria-label': `${row.table ?? ''} ${row.commit_lsn}` }) as object } : undefined}
          expandable={{
            rowExpandable: (row) => row.row !== undefined,
            expandedRowRender: (row) => <Code text={JSON.stringify(row.row, null, 2)} maxHeight={300} label={t('errors.row')} />,
          }}
        />
      </div>
    </div>
  );
}
