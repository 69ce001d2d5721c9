// A task's class, how it is paid for, and what it used this year.
import { useQueryClient } from '@tanstack/react-query';
import { App, Button, Checkbox, Form, Radio, Select } from 'antd';
import { useState } from 'react';
import { Link } from 'react-router-dom';
import { api, body, type Schemas, type Task } from '../../api/client';
import { keys } from '../../api/queries';
import { useBilling, useClasses, useTerms, useUsage } from '../../api/usage';
import { useWho } from '../../app/session';
import { ClassSelect } from '../../components/ClassSelect';
import { Failure, Loading, Nothing } from '../../components/states';
import { Time } from '../../components/Time';
import { useT } from '../../i18n';
import { useTry } from '../../lib/useTry';
import { period } from '../usage/ReportTab';
import { UsageTable } from '../usage/UsageTable';

const LENGTHS = [1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 24, 36] as const;
type Billing = Schemas['Billing'];

export function UsageTab({ task }: { task: Task }) {
  const t = useT();
  const billing = useBilling(task.id);
  const usage = useUsage({ ...period(11), task: task.id });
  return (
    <div className="stack">
      <div className="ends">
        <ClassPanel task={task} />
        {billing.data ? <Paying key={JSON.stringify(billing.data)} task={task} start={billing.data} /> : billing.error ? <Failure error={billing.error} /> : <Loading />}
      </div>
      <h2 className="h2" style={{ marginBottom: -8 }}>{t('usage.ofTask')}</h2>
      {usage.data && usage.data.items.length > 0 ? (
        <UsageTable report={usage.data} single />
      ) : usage.error ? (
        <Failure error={usage.error} />
      ) : (
        <div className="panel">
          <Nothing title={t('usage.none')} help={t('usage.noneHelp')} />
        </div>
      )}
    </div>
  );
}

function ClassPanel({ task }: { task: Task }) {
  const t = useT();
  const who = useWho();
  const attempt = useTry();
  const { message } = App.useApp();
  const classes = useClasses();
  const now = task.class ?? 'unlimited';
  const [chosen, setChosen] = useState(now);
  const save = async () => {
    const done = await attempt(
      () => body(api.PUT('/api/v1/tasks/{task}/class', { params: { path: { task: task.id } }, body: { class: chosen } })),
      keys.task(task.id),
    );
    if (done) void message.success(t('class.saved'));
  };
  return (
    <section className="panel panel-body">
      <h2 className="h2">{t('usage.class')}</h2>
      <p className="muted small">{t('class.help')}</p>
      <div className="row">
        <ClassSelect id="task-class" value={chosen} classes={classes.data?.items ?? []} disabled={!who.isOperator} onChange={setChosen} />
        {who.isOperator && (
          <Button type="primary" disabled={chosen === now} onClick={() => void save()}>
            {t('action.save')}
          </Button>
        )}
      </div>
    </section>
  );
}

function Paying({ task, start }: { task: Task; start: Billing }) {
  const t = useT();
  const who = useWho();
  const client = useQueryClient();
  const { message } = App.useApp();
  const terms = useTerms();
  const [kind, setKind] = useState(start.kind);
  const [months, setMonths] = useState<NonNullable<Billing['months']>>(start.months ?? 12);
  const [accepted, setAccepted] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const version = terms.data?.version ?? null;
  const save = async () => {
    setError(null);
    const wanted: Billing = { kind, ...(kind === 'subscription' ? { months } : {}), ...(version ? { accepted_terms: version } : {}) };
    try {
      await body(api.PUT('/api/v1/tasks/{task}/billing', { params: { path: { task: task.id } }, body: wanted }));
      void message.success(t('billing.saved'));
      void client.invalidateQueries({ queryKey: keys.task(task.id) });
    } catch (failure) {
      setError(failure);
    }
  };
  return (
    <section className="panel panel-body">
      <h2 className="h2">{t('usage.billing')}</h2>
      {start.kind === 'subscription' && start.ends_at && (
        <p>
          {t('billing.ends')} <Time at={start.ends_at} />
        </p>
      )}
      <Form layout="vertical" disabled={!who.isOperator} onFinish={() => void save()}>
        <Radio.Group value={kind} onChange={(e) => setKind(e.target.value as Billing['kind'])}>
          {(['pay_as_you_go', 'subscription'] as const).map((one) => (
            <div key={one}>
              <Radio value={one}>
                <b>{t(`billing.${one}`)}</b>
                <div className="muted small">{t(`billingHelp.${one}`)}</div>
              </Radio>
            </div>
          ))}
        </Radio.Group>
        {kind === 'subscription' && (
          <Form.Item label={t('billing.length')} htmlFor="billing-months" style={{ margin: '8px 0' }}>
            <Select id="billing-months" style={{ width: 180 }} value={months} onChange={setMonths} options={LENGTHS.map((value) => ({ value, label: t('billing.months', { n: value }) }))} />
          </Form.Item>
        )}
        {who.isOperator && version && (
          <div style={{ margin: '8px 0' }}>
            <Checkbox checked={accepted} onChange={(e) => setAccepted(e.target.checked)}>
              {t('billing.accept')} <Link to="/usage/terms" target="_blank">{t('terms.version', { version })}</Link>
            </Checkbox>
          </div>
        )}
        {error !== null && <Failure error={error} />}
        {who.isOperator && (
          <Button type="primary" htmlType="submit" style={{ marginTop: 8 }} disabled={(kind === start.kind && kind === 'pay_as_you_go') || (version !== null && !accepted)}>
            {t(kind === 'subscription' ? 'billing.subscribe' : 'action.save')}
          </Button>
        )}
      </Form>
    </section>
  );
}
