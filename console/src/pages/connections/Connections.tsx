// Templates of connections: make, test, rename, edit, delete.
import { DeleteOutlined, EditOutlined, PlusOutlined } from '@ant-design/icons';
import { useQuery } from '@tanstack/react-query';
import { Button, Modal, Space } from 'antd';
import { useState } from 'react';
import { api, body, type Schemas } from '../../api/client';
import { keys } from '../../api/queries';
import { useWho } from '../../app/session';
import { ConfirmByName } from '../../components/ConfirmByName';
import { Listing } from '../../components/Listing';
import { Failure, Loading, Nothing } from '../../components/states';
import { Time } from '../../components/Time';
import { useT } from '../../i18n';
import { useTitle } from '../../lib/title';
import { address } from '../../lib/format';
import { useTry } from '../../lib/useTry';
import { TestResult } from '../wizard/TestResult';
import { ConnectionDialog } from './ConnectionDialog';

type Connection = Schemas['Connection'];

export function Connections() {
  const t = useT();
  const who = useWho();
  const attempt = useTry();
  useTitle(t('connections.title'));
  const [edited, setEdited] = useState<Connection | 'new' | null>(null);
  const [deleted, setDeleted] = useState<Connection | null>(null);
  const list = useQuery({
    queryKey: keys.connections,
    queryFn: () => body(api.GET('/api/v1/connections', { params: { query: { limit: 1000 } } })),
  });
  if (list.isPending) return <Loading />;
  if (!list.data) return <Failure error={list.error} onRetry={() => void list.refetch()} />;
  const make = who.isOperator && (
    <Button type="primary" icon={<PlusOutlined />} onClick={() => setEdited('new')}>
      {t('connections.new')}
    </Button>
  );
  return (
    <>
      <div className="page-title">
        <h1>{t('connections.title')}</h1>
        <span className="grow" />
        {list.data.items.length > 0 && make}
      </div>
      <p className="muted">{t('connections.help')}</p>
      <div className="panel">
        {list.data.items.length === 0 ? (
          <Nothing title={t('connections.empty')} help={t('connections.emptyHelp')}>
            {make}
          </Nothing>
        ) : (
          <Listing<Connection>
            rowKey="id"
            size="middle"
            dataSource={list.data.items}
            pagination={list.data.items.length > 50 ? { pageSize: 50, showSizeChanger: false } : false}
            scroll={{ x: 720 }}
            columns={[
              { title: t('connections.name'), key: 'name', render: (_, one) => <b>{one.name}</b> },
              { title: t('connections.server'), key: 'server', render: (_, one) => <>{address(one.endpoint)} <span className="muted small">{one.endpoint.user}</span></> },
              { title: t('home.region'), key: 'region', render: (_, one) => one.endpoint.region ?? '' },
              { title: t('connections.updated'), key: 'updated', render: (_, one) => <Time at={one.updated_at} /> },
              ...(who.isOperator
                ? [{
                    title: <span className="visually-hidden">{t('action.more')}</span>,
                    key: 'actions',
                    align: 'right' as const,
                    render: (_: unknown, one: Connection) => (
                      <Space>
                        <TestButton connection={one} />
                        <Button size="small" icon={<EditOutlined />} aria-label={t('connections.edit', { name: one.name })} onClick={() => setEdited(one)} />
                        <Button size="small" danger icon={<DeleteOutlined />} aria-label={t('delete.title', { name: one.name })} onClick={() => setDeleted(one)} />
                      </Space>
                    ),
                  }]
                : []),
            ]}
          />
        )}
      </div>
      {edited && <ConnectionDialog connection={edited === 'new' ? null : edited} onClose={() => setEdited(null)} />}
      {deleted && (
        <ConfirmByName
          title={t('delete.title', { name: deleted.name })}
          name={deleted.name}
          ok={t('action.delete')}
          onClose={() => setDeleted(null)}
          onOk={async () => {
            await body(api.DELETE('/api/v1/connections/{connection}', { params: { path: { connection: deleted.id } } }));
            void attempt(() => Promise.resolve(), keys.connections);
          }}
        >
          {t('connections.deleteWhat')}
        </ConfirmByName>
      )}
    </>
  );
}

function TestButton({ connection }: { connection: Connection }) {
  const t = useT();
  const attempt = useTry();
  const [busy, setBusy] = useState(false);
  const [results, setResults] = useState<Schemas['ConnectionTest'][] | null>(null);
  const test = async () => {
    setBusy(true);
    await attempt(async () => {
      const sides = ['source', 'destination'] as const;
      setResults(await Promise.all(sides.map((side) => body(api.POST('/api/v1/connections/test', { body: { side, connection: connection.id } })))));
    });
    setBusy(false);
  };
  return (
    <>
      <Button size="small" loading={busy} onClick={() => void test()}>
        {t('end.test')}
      </Button>
      <Modal open={results !== null} title={connection.name} footer={null} onCancel={() => setResults(null)}>
        <div className="stack">
          {results?.map((result) => (
            <section key={result.side}>
              <h2 className="h2">{t('connections.testAs', { side: t(`side.${result.side}`) })}</h2>
              <TestResult test={result} />
            </section>
          ))}
        </div>
      </Modal>
    </>
  );
}
