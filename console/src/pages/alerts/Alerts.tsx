// Alerts of all tasks: what is on now, rules, contacts, what was sent.
import { useNavigate, useParams } from 'react-router-dom';
import { useAlerts } from '../../api/queries';
import { Sections } from '../../components/Sections';
import { Failure, Loading, Nothing } from '../../components/states';
import { useT } from '../../i18n';
import { useTitle } from '../../lib/title';
import { ContactsTab } from './ContactsTab';
import { Deliveries } from './Deliveries';
import { OnNow } from './OnNow';
import { RulesTab } from './RulesTab';

const tabs = { now: NowTab, rules: RulesTab, contacts: ContactsTab, sent: Deliveries };
type Tab = keyof typeof tabs;

export function Alerts() {
  const t = useT();
  const { tab } = useParams();
  useTitle(t('alerts.title'));
  const navigate = useNavigate();
  const active: Tab = tab && tab in tabs ? (tab as Tab) : 'now';
  const Content = tabs[active];
  return (
    <>
      <div className="page-title">
        <h1>{t('alerts.title')}</h1>
      </div>
      <Sections
        label={t('alerts.title')}
        active={active}
        onChange={(key) => navigate(`/alerts/${key}`, { replace: true })}
        items={(Object.keys(tabs) as Tab[]).map((key) => ({ key, label: t(`alerts.${key}`) }))}
      >
        <Content />
      </Sections>
    </>
  );
}

function NowTab() {
  const t = useT();
  const alerts = useAlerts();
  if (alerts.isPending) return <Loading />;
  if (!alerts.data) return <Failure error={alerts.error} onRetry={() => void alerts.refetch()} />;
  if (alerts.data.items.length > 0) return <OnNow items={alerts.data.items} />;
  return (
    <div className="panel">
      <Nothing title={t('alerts.none')} help={t('alerts.noneHelp')} />
    </div>
  );
}
