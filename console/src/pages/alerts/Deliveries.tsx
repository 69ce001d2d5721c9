// What was sent to whom, newest first; what failed can be sent again.
import { Button, Tag, Tooltip } from 'antd';
import { api, body, type Schemas } from '../../api/client';
import { keys, useDeliveries } from '../../api/queries';
import { useWho } from '../../app/session';
import { Listing } from '../../components/Listing';
import { Failure, Loading, Nothing } from '../../components/states';
import { Time } from '../../components/Time';
import { useT } from '../../i18n';
import { useTry } from '../../lib/useTry';

type Delivery = Schemas['Delivery'];
const colors: Record<Delivery['state'], string> = { waiting: 'processing', delivered: 'success', failed: 'error' };

export function Deliveries({ task }: { task?: string }) {
  const t = useT();
  const who = useWho();
  const attempt = useTry();
  const list = useDeliveries({ task });
  if (list.isPending) return <Loading />;
  if (!list.data) return <Failure error={list.error} onRetry={() => void list.refetch()} />;
  const items = list.data.pages.flatMap((page) => page.items);
  const again = (delivery: number) =>
    attempt(() => body(api.POST('/api/v1/alerts/deliveries/{delivery}/retry', { params: { path: { delivery } } })), keys.deliveries);
  if (items.length === 0)
    return (
      <div className="panel">
        <Nothing title={t('alerts.noneSent')} help={t('alerts.noneSentHelp')} />
      </div>
    );
  return (
    <div className="stack">
      <div className="panel">
        <Listing<Delivery>
          rowKey="id"
          size="small"
          dataSource={items}
          pagination={false}
          scroll={{ x: 760 }}
          columns={[
            { title: t('settings.time'), key: 'time', width: 140, render: (_, one) => <Time at={one.time} /> },
            { title: t('alerts.contact'), dataIndex: 'contact_name', width: 140 },
            {
              title: t('alerts.message'),
              key: 'subject',
              render: (_, one) => (
                <Tooltip title={<span style={{ whiteSpace: 'pre-wrap' }}>{one.text}</span>}>
                  <span tabIndex={0}>{one.subject}</span>
                </Tooltip>
              ),
            },
            {
              title: t('alerts.result'),
              key: 'state',
              width: '38%',
              render: (_, one) => (
                <>
                  <Tag color={colors[one.state]}>{t(`delivery.${one.state}`)}</Tag>
                  <span className="small muted">{[one.result, one.attempts > 1 ? t('alerts.attempts', { n: one.attempts }) : null].filter(Boolean).join(' · ')}</span>
                </>
              ),
            },
            {
              title: <span className="visually-hidden">{t('action.more')}</span>,
              key: 'again',
              align: 'right',
              width: 120,
              render: (_, one) =>
                who.isOperator && one.state === 'failed' && (
                  <Button size="small" onClick={() => void again(one.id)}>
                    {t('alerts.again')}
                  </Button>
                ),
            },
          ]}
        />
      </div>
      {list.hasNextPage && (
        <Button loading={list.isFetchingNextPage} onClick={() => void list.fetchNextPage()}>
          {t('settings.more')}
        </Button>
      )}
    </div>
  );
}
