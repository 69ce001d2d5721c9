// Alerts that are on: of which task, since when, how bad.
import { Tag } from 'antd';
import { Link } from 'react-router-dom';
import type { Schemas } from '../../api/client';
import { useRules, useTasks } from '../../api/queries';
import { Listing } from '../../components/Listing';
import { Time } from '../../components/Time';
import { useT, type Translate } from '../../i18n';
import { bytes, count, seconds } from '../../lib/format';

type Alert = Schemas['Alerts']['items'][number];
type Kind = Schemas['AlertKind'];

/** A kind's value in its unit. */
export function valueOf(kind: Kind, value: number | null | undefined, t: Translate): string {
  if (value == null) return '';
  if (kind === 'lag') return seconds(value);
  if (kind === 'wal_held') return bytes(value);
  return kind === 'subscription_ends' ? t('alerts.days', { n: count(value) }) : '';
}

export function OnNow({ items }: { items: Alert[] }) {
  const t = useT();
  const rules = useRules();
  const tasks = useTasks();
  const ruleName = (id: string) => (id.startsWith('own.') ? t('alerts.ownRule') : (rules.data?.items.find((one) => one.id === id)?.name ?? id));
  const taskName = (id: string) => tasks.data?.find((one) => one.id === id)?.name ?? id;
  return (
    <div className="panel">
      <Listing<Alert>
        rowKey={(one) => `${one.rule} ${one.task} ${one.kind}`}
        size="middle"
        dataSource={items}
        pagination={false}
        scroll={{ x: 680 }}
        columns={[
          { title: t('alerts.alert'), key: 'kind', render: (_, one) => <Tag color={one.kind === 'failed' || one.kind === 'slot_in_danger' ? 'error' : 'warning'}>{t(`alert.${one.kind}`)}</Tag> },
          { title: t('home.name'), key: 'task', render: (_, one) => <Link to={`/tasks/${one.task}`}>{taskName(one.task)}</Link> },
          { title: t('alerts.value'), key: 'value', align: 'right', render: (_, one) => <span className="num">{valueOf(one.kind, one.value, t)}</span> },
          { title: t('alerts.rule'), key: 'rule', render: (_, one) => ruleName(one.rule) },
          { title: t('alerts.since'), key: 'since', render: (_, one) => <Time at={one.since} /> },
          { title: t('alerts.told'), key: 'told', render: (_, one) => (one.told ? t('alerts.yes') : <span className="muted">{t('alerts.muted')}</span>) },
        ]}
      />
    </div>
  );
}
