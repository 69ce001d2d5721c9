// Pause and resume many tasks; what failed is said task by task.
import { useQueryClient } from '@tanstack/react-query';
import { App, Button, Space, Tooltip } from 'antd';
import { useState } from 'react';
import { act, type Simple } from '../../api/actions';
import type { Task } from '../../api/client';
import { keys } from '../../api/queries';
import { useT } from '../../i18n';
import { able } from '../../lib/tasks';

const AT_ONCE = 4;

/** Runs the action on each, a few at a time; returns what failed. */
async function each(tasks: Task[], action: Simple): Promise<{ task: Task; message: string }[]> {
  const failed: { task: Task; message: string }[] = [];
  const left = [...tasks];
  const worker = async () => {
    for (let task = left.shift(); task; task = left.shift()) {
      const one = task;
      await act(action, one.id).catch((error: Error) => failed.push({ task: one, message: error.message }));
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return failed;
}

export function BulkActions({ tasks, onClear }: { tasks: Task[]; onClear: () => void }) {
  const t = useT();
  const client = useQueryClient();
  const { message, modal } = App.useApp();
  const [busy, setBusy] = useState<Simple | null>(null);
  const run = async (action: Simple) => {
    const fit = able(tasks, action);
    setBusy(action);
    const failed = await each(fit, action);
    setBusy(null);
    void client.invalidateQueries({ queryKey: keys.tasks });
    if (failed.length === 0) {
      void message.success(t('home.bulkDone', { n: fit.length, action: t(`action.${action}`) }));
      onClear();
      return;
    }
    modal.error({
      title: t('home.bulkFailed', { n: failed.length, all: fit.length }),
      content: failed.map(({ task, message: why }) => <p key={task.id}><b>{task.name}</b>: {why}</p>),
    });
  };
  return (
    <div className="panel bulk row" role="toolbar" aria-label={t('home.selected', { n: tasks.length })}>
      <b className="num">{t('home.selected', { n: tasks.length })}</b>
      <Space wrap>
        {(['pause', 'resume', 'check', 'start'] as const).map((action) => {
          const n = able(tasks, action).length;
          return (
            <Tooltip key={action} title={n === 0 ? t('home.notPossible') : undefined}>
              <Button size="small" disabled={n === 0 || busy !== null} loading={busy === action} onClick={() => void run(action)}>
                {t(`action.${action}`)}
                {n > 0 && n < tasks.length ? ` (${n})` : ''}
              </Button>
            </Tooltip>
          );
        })}
      </Space>
      <span className="grow" />
      <Button size="small" type="text" onClick={onClear}>
        {t('home.clear')}
      </Button>
    </div>
  );
}
