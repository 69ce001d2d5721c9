// How far a task is: one segment per stage it has, the running one filled by its share.
import { Tooltip } from 'antd';
import type { Task } from '../api/client';
import { useT, type Translate } from '../i18n';
import { percent } from '../lib/format';
import { isMoving } from '../lib/tasks';
import './stagebar.css';

type Segment = { stage: 'schema' | 'full' | 'incremental'; share: number; active: boolean };

const order = ['starting', 'precheck', 'schema', 'copy', 'finish', 'streaming', 'retrying', 'done'];

/** What each of the task's stages has done, 0 to 100. */
export function segments(task: Pick<Task, 'stages' | 'progress' | 'state'>): Segment[] {
  const p = task.progress;
  const at = p ? order.indexOf(p.stage) : -1;
  const copied = p && (p.tables ?? 0) > 0 ? (p.tables_copied ?? 0) >= (p.tables ?? 0) : false;
  const finished = task.state === 'finished' || p?.stage === 'done';
  return (['schema', 'full', 'incremental'] as const)
    .filter((stage) => task.stages.includes(stage))
    .map((stage) => {
      if (finished) return { stage, share: 100, active: false };
      if (stage === 'schema') return { stage, share: at > 2 ? 100 : 0, active: at === 2 };
      if (stage === 'incremental') return { stage, share: at === 5 ? 100 : 0, active: at === 5 };
      const share = copied && at >= 5 ? 100 : p ? Math.min(at >= 5 ? 100 : 99, percent(p.rows_copied ?? 0, p.rows_total ?? 0)) : 0;
      return { stage, share: at > 4 && at < 6 ? 100 : share, active: at === 3 || at === 4 };
    });
}

export function stageText(task: Pick<Task, 'stages' | 'progress' | 'state'>, t: Translate): string {
  return segments(task)
    .map((s) => `${t(`stage.${s.stage}`)}: ${s.share} %`)
    .join(', ');
}

export function StageBar({ task }: { task: Pick<Task, 'stages' | 'progress' | 'state'> }) {
  const t = useT();
  const parts = segments(task);
  const moving = isMoving(task);
  const text = stageText(task, t);
  return (
    <Tooltip title={text}>
      <div className="stages" role="img" aria-label={text}>
        {parts.map((s) => (
          <span key={s.stage} className={`stage ${s.active && moving ? 'active' : ''} ${s.share === 100 ? 'full' : ''}`}>
            <span className="stage-fill" style={{ width: `${s.share}%` }} />
            <span className="stage-name">
              {t(`stage.${s.stage}`)}
              {s.active && s.share < 100 ? ` ${s.share} %` : ''}
            </span>
          </span>
        ))}
      </div>
    </Tooltip>
  );
}
