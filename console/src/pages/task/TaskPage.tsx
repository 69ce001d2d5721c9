// One task: what it is doing, what can be done with it, and everything about it in tabs.
import type { ReactNode } from 'react';
import { useNavigate, useParams } from 'react-router-dom';
import type { Task } from '../../api/client';
import { useTask } from '../../api/queries';
import { Sections } from '../../components/Sections';
import { Failure, Loading } from '../../components/states';
import { useT } from '../../i18n';
import { useTitle } from '../../lib/title';
import { AlertsTab } from './AlertsTab';
import { ConfigurationTab } from './ConfigurationTab';
import { ErrorsTab } from './ErrorsTab';
import { EventsTab } from './EventsTab';
import { Header } from './Header';
import { LogTab } from './LogTab';
import { MetricsTab } from './MetricsTab';
import { Notices } from './Notices';
import { ObjectsTab } from './ObjectsTab';
import { PrecheckTab } from './PrecheckTab';
import { SchemaTab } from './SchemaTab';
import { Strip } from './Strip';
import { TablesTab } from './TablesTab';
import { UsageTab } from './UsageTab';
import './task.css';

const tabs = {
  tables: TablesTab,
  metrics: MetricsTab,
  events: EventsTab,
  errors: ErrorsTab,
  objects: ObjectsTab,
  schema: SchemaTab,
  precheck: PrecheckTab,
  alerts: AlertsTab,
  usage: UsageTab,
  config: ConfigurationTab,
  log: LogTab,
} satisfies Record<string, (props: { task: Task }) => ReactNode>;
type Tab = keyof typeof tabs;

function firstTab(task: Task): Tab {
  return ['draft', 'checking', 'check_failed', 'ready'].includes(task.state) ? 'precheck' : 'tables';
}

export function TaskPage() {
  const t = useT();
  const { id = '', tab } = useParams();
  const navigate = useNavigate();
  const query = useTask(id);
  useTitle(query.data?.name);
  if (query.isPending) return <Loading />;
  if (!query.data) return <Failure error={query.error} onRetry={() => void query.refetch()} />;
  const task = query.data;
  const active: Tab = tab && tab in tabs ? (tab as Tab) : firstTab(task);
  const Content = tabs[active];
  return (
    <div className="stack">
      <Header task={task} />
      <Notices task={task} />
      <Strip task={task} />
      <Sections
        label={t('task.sections')}
        active={active}
        onChange={(key) => navigate(`/tasks/${id}/${key}`, { replace: true })}
        items={(Object.keys(tabs) as Tab[]).map((key) => ({ key, label: t(`task.${key}`) }))}
      >
        <Content key={`${id}/${active}`} task={task} />
      </Sections>
    </div>
  );
}
