// Changes that could not be applied: what, where, why; try them again or leave them out.
import { App, Button, Space, Table, Tag, type TableColumnsType } from 'antd';
import { useQueryClient } from '@tanstack/react-query';
import { useMemo, useState, type Key } from 'react';
import { api, body, type Schemas, type Task } from '../../api/client';
import { keys, useErrors } from '../../api/queries';
import { useWho } from '../../app/session';
import { Code } from '../../components/Code';
import { Failure, Loading, Nothing } from '../../components/states';
import { Time } from '../../components/Time';
import { useT, type Translate } from '../../i18n';

type Row = Schemas['ChangeError'];

function columns(t: Translate): TableColumnsType<Row> {
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
    { title: t('errors.when'), key: 'when', width: 140, render: (_, row) => <Time at={row.recorded_at} /> },
  ];
}

export function ErrorsTab({ task }: { task: Task }) {
  const t = useT();
  const who = useWho();
  const client = useQueryClient();
  const { modal, message, notification } = App.useApp();
  const errors = useErrors(task.id);
  const [selected, setSelected] = useState<Key[]>([]);
  const shown = useMemo(() => columns(t), [t]);
  if (errors.isPending) return <Loading />;
  if (!errors.data) return <Failure error={errors.error} onRetry={() => void errors.refetch()} />;
  const items = errors.data.items;
  if (items.length === 0) return <div className="panel"><Nothing title={t('errors.none')} help={t('errors.noneHelp')} /></div>;

  const ids = selected.length > 0 ? selected.map(Number) : items.map((item) => item.id);
  const send = async (what: 'retry' | 'skip') => {
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
  const skip = () =>
    modal.confirm({
      title: t('errors.skipTitle', { n: ids.length }),
      content: t('errors.skipHelp'),
      okText: t('errors.skip'),
      okButtonProps: { danger: true },
      onOk: () => send('skip'),
    });
  return (
    <div className="stack">
      {who.isOperator && (
        <Space>
          <Button onClick={() => void send('retry')}>{t('errors.retry')} ({ids.length})</Button>
          <Button danger onClick={skip}>{t('errors.skip')} ({ids.length})</Button>
        </Space>
      )}
      <div className="panel">
        <Table<Row>
          rowKey="id"
          size="small"
          columns={shown}
          dataSource={items}
          pagination={items.length > 100 ? { pageSize: 100, showSizeChanger: false } : false}
          scroll={{ x: 800 }}
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
