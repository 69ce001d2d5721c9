// What the table and the cards show of a task.
import { ArrowRightOutlined } from '@ant-design/icons';
import { Tooltip } from 'antd';
import type { Task } from '../../api/client';
import { Sparkline } from '../../components/Sparkline';
import { useT } from '../../i18n';
import { address, bytes, rate, seconds, time } from '../../lib/format';
import { history } from '../../lib/history';
import { isMoving } from '../../lib/tasks';

export function Route({ task }: { task: Task }) {
  return (
    <div className="route">
      <End end={task.source} />
      <ArrowRightOutlined className="muted" aria-label="→" />
      <End end={task.destination} />
    </div>
  );
}

function End({ end }: { end: Task['source'] }) {
  const text = address(end);
  return (
    <Tooltip title={`${text} · ${end.user}`}>
      <span className="ellipsis">
        {text}
        {end.region && <span> · {end.region}</span>}
      </span>
    </Tooltip>
  );
}

export function Lag({ task }: { task: Task }) {
  const p = task.progress;
  if (!isMoving(task) || p?.lag_seconds == null || p.stage !== 'streaming') return <span className="muted">–</span>;
  return (
    <span className={p.lag_seconds > 60 ? 'lag-high num' : 'num'}>
      {seconds(p.lag_seconds)} <span className="muted small">{bytes(p.lag_bytes)}</span>
    </span>
  );
}

export function Rate({ task }: { task: Task }) {
  const t = useT();
  if (!isMoving(task)) return <span className="muted">–</span>;
  const now = rate(task.progress?.rows_per_second);
  return (
    <span className="rate">
      <Sparkline points={history(task.id)} label={`${t('home.rate')}: ${now}`} />
      <span className="num">{now}</span>
    </span>
  );
}

/** Why it stands or stumbles, in one line; all of it on hover. */
export function Trouble({ task }: { task: Task }) {
  const t = useT();
  const retry = task.retry;
  const text = retry?.error ?? task.last_error?.message ?? (['failed', 'check_failed'].includes(task.state) ? task.reason : null);
  if (!text || !['failed', 'retrying', 'check_failed'].includes(task.state)) return null;
  const until = retry?.until ? t('home.retryUntil', { time: time(retry.until) }) : null;
  return (
    <Tooltip title={<div>{[text, task.last_error?.hint, until].filter(Boolean).map((line) => <div key={line}>{line}</div>)}</div>}>
      <div className="trouble">
        {text}
        {until && ` · ${until}`}
      </div>
    </Tooltip>
  );
}
