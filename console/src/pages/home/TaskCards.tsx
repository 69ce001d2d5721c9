// The same tasks on a telephone: a card each; further ones as they are scrolled to.
import { Button } from 'antd';
import { useState } from 'react';
import { Link } from 'react-router-dom';
import type { Task } from '../../api/client';
import { StageBar } from '../../components/StageBar';
import { StateTag } from '../../components/StateTag';
import { useT } from '../../i18n';
import { bytes } from '../../lib/format';
import { isMoving } from '../../lib/tasks';
import { Lag, Rate, Route, Trouble } from './cells';

const PAGE = 40;

export function TaskCards({ tasks }: { tasks: Task[] }) {
  const t = useT();
  const [most, setMost] = useState(PAGE);
  return (
    <div className="stack">
      {tasks.slice(0, most).map((task) => (
        <article key={task.id} className="panel panel-body task-card">
          <div className="row">
            <Link to={`/tasks/${task.id}`} className="task-name grow ellipsis">
              {task.name}
            </Link>
            <StateTag state={task.state} reason={task.reason} />
          </div>
          <Route task={task} />
          <Trouble task={task} />
          <StageBar task={task} />
          <dl className="facts">
            {isMoving(task) && (
              <>
                <dt>{t('home.lag')}</dt>
                <dd><Lag task={task} /></dd>
                <dt>{t('home.rate')}</dt>
                <dd><Rate task={task} /></dd>
              </>
            )}
            <dt>{t('home.wal')}</dt>
            <dd className="num">{bytes(task.progress?.wal_held_bytes)}</dd>
          </dl>
        </article>
      ))}
      {tasks.length > most && <Button onClick={() => setMost(most + PAGE)}>+ {Math.min(PAGE, tasks.length - most)}</Button>}
    </div>
  );
}
