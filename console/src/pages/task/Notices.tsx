// What somebody should know before anything else: failure, retries, WAL that grows while paused.
import { Alert } from 'antd';
import type { Task } from '../../api/client';
import { useT } from '../../i18n';
import { bytes, time } from '../../lib/format';

export function Notices({ task }: { task: Task }) {
  const t = useT();
  const error = task.last_error;
  if (task.state === 'failed' || task.state === 'check_failed')
    return (
      <Alert
        type={task.state === 'failed' ? 'error' : 'warning'}
        showIcon
        message={error?.message ?? task.reason ?? t(`stateHelp.${task.state}`)}
        description={lines([error?.hint, error?.while && t('task.while', { what: error.while }), error?.sqlstate && `SQLSTATE ${error.sqlstate}`, error && task.reason !== error.message ? task.reason : null])}
      />
    );
  if (task.state === 'retrying' && task.retry)
    return (
      <Alert
        type="warning"
        showIcon
        message={t('task.retrying', { n: task.retry.attempt })}
        description={lines([task.retry.error, task.retry.until && t('task.retryUntil', { time: time(task.retry.until) })])}
      />
    );
  if (task.state === 'paused' && task.stages.includes('incremental'))
    return <Alert type="warning" showIcon message={t('task.paused', { wal: bytes(Math.max(0, task.progress?.wal_held_bytes ?? 0)) })} />;
  return null;
}

function lines(all: (string | null | undefined | false)[]) {
  const said = all.filter((line): line is string => Boolean(line));
  return said.length === 0 ? undefined : said.map((line) => <div key={line}>{line}</div>);
}
