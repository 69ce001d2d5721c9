// Step 4: the task is made (or, after going back, its specification replaced) and checked.
import { useQueryClient } from '@tanstack/react-query';
import { Button } from 'antd';
import { useEffect, useRef, useState } from 'react';
import { act } from '../../api/actions';
import { api, body, full, idempotencyKey, type Schemas } from '../../api/client';
import { keys, useTask } from '../../api/queries';
import { Failure, Loading } from '../../components/states';
import { useT } from '../../i18n';
import { PrecheckTab } from '../task/PrecheckTab';
import { newTask, type Draft } from './draft';
import { Foot, type StepProps } from './step';

/** The draft as a task; its id. A side from a template, or without a password, keeps what is sealed. */
async function store(draft: Draft, key: string): Promise<string> {
  const wanted = newTask(draft);
  if (draft.task === null) {
    const params = { header: { 'Idempotency-Key': key } };
    return (await body(api.POST('/api/v1/tasks', { params, body: wanted }))).id;
  }
  const path = { task: draft.task };
  const { data, etag } = await full(api.GET('/api/v1/tasks/{task}/spec', { params: { path } }));
  const before = data as Schemas['Spec']; // JSON was asked for
  const { workers: _w, include_privileges: _p, names: _n, alerts: _a, class: _c, ...kept } = before; // ignored findings among them
  const spec = {
    ...kept,
    ...wanted.spec,
    ...(draft.source.template ? { source: before.source } : {}),
    ...(draft.destination.template ? { destination: before.destination } : {}),
  };
  await body(api.PUT('/api/v1/tasks/{task}/spec', { params: { path, header: { 'If-Match': etag ?? '' } }, body: spec }));
  return draft.task;
}

export function PrecheckStep({ draft, change, go }: StepProps) {
  const client = useQueryClient();
  const [error, setError] = useState<unknown>(null);
  const [ready, setReady] = useState(false); // this visit's check has been asked for
  const key = useRef(idempotencyKey());
  const begun = useRef(false);
  const begin = async () => {
    setError(null);
    try {
      const task = await store(draft, key.current);
      change({ task });
      await act('check', task);
      void client.invalidateQueries({ queryKey: keys.task(task) });
      void client.invalidateQueries({ queryKey: keys.tasks });
      setReady(true);
    } catch (failure) {
      key.current = idempotencyKey();
      setError(failure);
    }
  };
  useEffect(() => {
    if (begun.current) return;
    begun.current = true;
    void begin();
  }, []); // eslint-disable-line
  return (
    <div className="stack">
      {error !== null && <Failure error={error} onRetry={() => void begin()} />}
      {draft.task && ready ? <Checked id={draft.task} go={go} /> : error === null ? <Loading /> : <Foot onBack={() => go(2)}>{null}</Foot>}
    </div>
  );
}

function Checked({ id, go }: { id: string; go: StepProps['go'] }) {
  const t = useT();
  const task = useTask(id);
  if (!task.data) return task.error ? <Failure error={task.error} /> : <Loading />;
  const passed = task.data.state === 'ready';
  return (
    <>
      <PrecheckTab task={task.data} />
      <Foot onBack={() => go(2)}>
        <Button type="primary" disabled={!passed} onClick={() => go(4)}>
          {t('wizard.next')}
        </Button>
      </Foot>
    </>
  );
}
