import { useEffect, useRef } from 'react';
import type { Task } from '../../api/client';
import { useLog } from '../../api/queries';
import { CopyButton } from '../../components/Code';
import { Failure, Loading, Nothing } from '../../components/states';
import { useT } from '../../i18n';

/** The end of the worker's log; it stays at its end as lines come. */
export function LogTab({ task }: { task: Task }) {
  const t = useT();
  const log = useLog(task.id);
  const box = useRef<HTMLPreElement>(null);
  useEffect(() => {
    if (box.current) box.current.scrollTop = box.current.scrollHeight;
  }, [log.data]);
  if (log.isPending) return <Loading />;
  if (log.data === undefined) return <Failure error={log.error} onRetry={() => void log.refetch()} />;
  if (log.data.trim() === '') return <div className="panel"><Nothing title={t('log.none')} help={t('log.noneHelp')} /></div>;
  return (
    <div className="panel panel-body" style={{ position: 'relative' }}>
      <pre ref={box} className="mono log" role="group" tabIndex={0} aria-label={t('task.log')}>
        {log.data}
      </pre>
      <span style={{ position: 'absolute', top: 18, right: 22 }}>
        <CopyButton text={log.data} />
      </span>
    </div>
  );
}
