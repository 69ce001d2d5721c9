import { useInfiniteQuery } from '@tanstack/react-query';
import { Button } from 'antd';
import { Link } from 'react-router-dom';
import { api, body, type Schemas } from '../../api/client';
import { useTasks } from '../../api/queries';
import { Listing } from '../../components/Listing';
import { Failure, Loading } from '../../components/states';
import { Time } from '../../components/Time';
import { useT } from '../../i18n';

type Entry = Schemas['AuditEntry'];

export function AuditTab() {
  const t = useT();
  const tasks = useTasks();
  const names = new Map(tasks.data?.map((one) => [one.id, one.name]));
  const audit = useInfiniteQuery({
    queryKey: ['audit'],
    queryFn: ({ pageParam }) => body(api.GET('/api/v1/audit', { params: { query: { limit: 100, cursor: pageParam } } })),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next_cursor ?? undefined,
  });
  if (audit.isPending) return <Loading />;
  if (!audit.data) return <Failure error={audit.error} onRetry={() => void audit.refetch()} />;
  return (
    <div className="stack">
      <div className="panel">
        <Listing<Entry>
          rowKey="id"
          size="small"
          dataSource={audit.data.pages.flatMap((page) => page.items)}
          pagination={false}
          scroll={{ x: 760 }}
          columns={[
            { title: t('settings.time'), key: 'time', width: 150, render: (_, entry) => <Time at={entry.time} /> },
            { title: t('settings.actor'), dataIndex: 'actor' },
            { title: t('settings.action'), key: 'action', render: (_, entry) => <span className="mono">{entry.action}</span> },
            {
              title: t('settings.object'),
              key: 'object',
              render: (_, entry) =>
                entry.object && /_(task|spec)$/.test(entry.action) ? <Link to={`/tasks/${entry.object}`}>{names.get(entry.object) ?? entry.object}</Link> : [entry.object, entry.detail].filter(Boolean).join(' '),
            },
            { title: t('settings.address'), dataIndex: 'address' },
          ]}
        />
      </div>
      {audit.hasNextPage && (
        <Button loading={audit.isFetchingNextPage} onClick={() => void audit.fetchNextPage()}>
          {t('settings.more')}
        </Button>
      )}
    </div>
  );
}
