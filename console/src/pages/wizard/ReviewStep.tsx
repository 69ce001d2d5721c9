// Step 5: names, DDL, the same as YAML and on the command line; start.
import { useQuery } from '@tanstack/react-query';
import { Alert, App, Button, Collapse } from 'antd';
import { useState } from 'react';
import { useNavigate } from 'react-router-dom';
import { act } from '../../api/actions';
import { api, body, type Schemas } from '../../api/client';
import { keys, useSpecYaml, useTask } from '../../api/queries';
import { Code } from '../../components/Code';
import { Listing } from '../../components/Listing';
import { Failure, Loading } from '../../components/states';
import { useT } from '../../i18n';
import { bytes, count } from '../../lib/format';
import { Foot, type StepProps } from './step';

type Plan = Schemas['Plan'];

export function ReviewStep({ draft, go, finish }: StepProps) {
  const t = useT();
  const navigate = useNavigate();
  const { notification } = App.useApp();
  const id = draft.task ?? '';
  const task = useTask(id);
  const yaml = useSpecYaml(id);
  const plan = useQuery({
    queryKey: [...keys.task(id), 'plan'],
    staleTime: 60_000,
    queryFn: () => body(api.GET('/api/v1/tasks/{task}/plan', { params: { path: { task: id } } })),
  });
  const [busy, setBusy] = useState(false);
  const start = async () => {
    setBusy(true);
    try {
      await act('start', id);
      await finish();
      navigate(`/tasks/${id}/tables`);
    } catch (error) {
      notification.error({ message: t('error.title'), description: (error as Error).message });
      setBusy(false);
    }
  };
  const later = async () => {
    await finish();
    navigate(`/tasks/${id}`);
  };
  const ready = task.data?.state === 'ready';
  return (
    <div className="stack">
      {task.data && <Alert type={ready ? 'success' : 'warning'} showIcon message={t(ready ? 'review.ready' : 'review.notReady')} />}
      {plan.data ? <PlanView plan={plan.data} /> : plan.error ? <Failure error={plan.error} onRetry={() => void plan.refetch()} /> : <Loading />}
      <section>
        <h2 className="h2">{t('config.yaml')}</h2>
        {yaml.data ? <Code text={yaml.data.yaml} maxHeight={320} label={t('config.yaml')} /> : <Loading />}
      </section>
      <section>
        <h2 className="h2">{t('config.cli')}</h2>
        <Code text={`pgsluice task start ${id}`} label={t('config.cli')} />
      </section>
      <Foot onBack={() => go(3)}>
        <Button disabled={busy} onClick={() => void later()}>
          {t('wizard.later')}
        </Button>
        <Button type="primary" loading={busy} disabled={!ready} onClick={() => void start()}>
          {t('wizard.start')}
        </Button>
      </Foot>
    </div>
  );
}

function PlanView({ plan }: { plan: Plan }) {
  const t = useT();
  const ddl = plan.objects
    .map((one) => [`-- ${one.kind} ${one.object}${one.left_out ? `: ${t('review.leftOut', { why: one.left_out })}` : ''}`, one.sql, one.after_sql, one.validate_sql].filter(Boolean).join('\n'))
    .join('\n');
  return (
    <>
      <section className="panel">
        <h2 className="h2 panel-title">{t('review.tables')}</h2>
        <Listing<Plan['routes'][number]>
          rowKey={(row) => `${row.schema}.${row.table}`}
          size="small"
          dataSource={plan.routes}
          pagination={plan.routes.length > 20 ? { pageSize: 20, showSizeChanger: false } : false}
          scroll={{ x: 640 }}
          columns={[
            { title: t('side.source'), key: 'from', render: (_, row) => <span className="mono">{`${row.schema}.${row.table}`}</span> },
            { title: t('side.destination'), key: 'to', render: (_, row) => <span className="mono">{`${row.destination_schema}.${row.destination_table}`}</span> },
            { title: t('errors.key'), key: 'key', render: (_, row) => <span className="mono small">{row.key.join(', ')}</span> },
            { title: t('usage.rows'), key: 'rows', align: 'right', render: (_, row) => <span className="num">{row.rows < 0 ? '–' : `~${count(row.rows)}`}</span> },
            { title: t('tables.size'), key: 'bytes', align: 'right', render: (_, row) => <span className="num">{bytes(row.bytes)}</span> },
          ]}
        />
      </section>
      {plan.objects.length > 0 && (
        <Collapse items={[{ key: 'ddl', label: t('review.ddl', { n: plan.objects.length }), children: <Code text={ddl} maxHeight={420} label="SQL" /> }]} />
      )}
    </>
  );
}
