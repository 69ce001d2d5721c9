// A task's own alerts, changed also while it runs; what is on for it, and what was sent about it.
import { useQueryClient } from '@tanstack/react-query';
import { App, Button, Form } from 'antd';
import { useState } from 'react';
import { api, body, type Schemas, type Task } from '../../api/client';
import { keys, useAlerts, useSpec } from '../../api/queries';
import { useWho } from '../../app/session';
import { AlertFields, type TaskAlerts } from '../../components/AlertFields';
import { Failure, Loading } from '../../components/states';
import { useT } from '../../i18n';
import { Deliveries } from '../alerts/Deliveries';
import { OnNow } from '../alerts/OnNow';

export function AlertsTab({ task }: { task: Task }) {
  const t = useT();
  const spec = useSpec(task.id);
  const on = useAlerts();
  if (spec.isPending) return <Loading />;
  if (!spec.data) return <Failure error={spec.error} onRetry={() => void spec.refetch()} />;
  const mine = on.data?.items.filter((one) => one.task === task.id) ?? [];
  return (
    <div className="stack">
      {mine.length > 0 && <OnNow items={mine} />}
      <Own key={JSON.stringify(spec.data.spec.alerts ?? {})} task={task} start={spec.data.spec.alerts ?? {}} />
      <section>
        <h2 className="h2">{t('alerts.sent')}</h2>
        <Deliveries task={task.id} />
      </section>
    </div>
  );
}

function Own({ task, start }: { task: Task; start: TaskAlerts }) {
  const t = useT();
  const who = useWho();
  const client = useQueryClient();
  const { message } = App.useApp();
  const [alerts, setAlerts] = useState<TaskAlerts>(start);
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  const save = async () => {
    setBusy(true);
    setError(null);
    try {
      await body(api.PUT('/api/v1/tasks/{task}/alerts', { params: { path: { task: task.id } }, body: alerts as Schemas['TaskAlerts'] }));
      void message.success(t('alerts.saved'));
      void client.invalidateQueries({ queryKey: keys.task(task.id) });
    } catch (failure) {
      setError(failure);
    }
    setBusy(false);
  };
  return (
    <section className="panel panel-body" style={{ maxWidth: 640 }}>
      <h2 className="h2">{t('alerts.own')}</h2>
      <p className="muted small">{t('alerts.ownHelp')}</p>
      <Form layout="vertical" onFinish={() => void save()}>
        <AlertFields alerts={alerts} onChange={setAlerts} disabled={!who.isOperator} />
        {error !== null && <Failure error={error} />}
        {who.isOperator && (
          <Button type="primary" htmlType="submit" loading={busy} disabled={JSON.stringify(alerts) === JSON.stringify(start)}>
            {t('action.save')}
          </Button>
        )}
      </Form>
    </section>
  );
}
