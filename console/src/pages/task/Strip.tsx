// The way of a change from source to destination, with what waits and moves at each hop.
import type { ReactNode } from 'react';
import type { Task } from '../../api/client';
import { Sparkline } from '../../components/Sparkline';
import { StageBar } from '../../components/StageBar';
import { useT } from '../../i18n';
import { address, bytes, count, rate, seconds } from '../../lib/format';
import { history } from '../../lib/history';
import { isMoving } from '../../lib/tasks';

type Fact = { value: string; label: string };

function Hop({ name, title, facts, children }: { name: string; title?: string; facts: Fact[]; children?: ReactNode }) {
  return (
    <li className="hop">
      <span className="hop-name">{name}</span>
      {title && (
        <span className="hop-title ellipsis" title={title}>
          {title}
        </span>
      )}
      {children}
      {facts.map((fact) => (
        <span key={fact.label} className="hop-fact">
          <b className="num">{fact.value}</b> <span className="muted small">{fact.label}</span>
        </span>
      ))}
    </li>
  );
}

export function Strip({ task }: { task: Task }) {
  const t = useT();
  const p = task.progress;
  const moving = isMoving(task) && p !== null;
  const streaming = moving && p.stage === 'streaming';
  const facts = (on: boolean, ...all: Fact[]) => (on ? all : []);
  return (
    <section className="panel strip" aria-label={t('strip.label')}>
      <ol className="hops">
        <Hop
          name={t('strip.source')}
          title={address(task.source)}
          facts={facts(moving && !streaming, { value: `${count(p?.rows_copied)} / ~${count(p?.rows_total)}`, label: t('strip.copied') })}
        />
        <Hop name={t('strip.slot')} facts={facts(p?.wal_held_bytes !== undefined, { value: bytes(p?.wal_held_bytes), label: t('strip.held') })} />
        <Hop name={t('strip.decode')} facts={facts(streaming, { value: bytes(p?.lag_bytes), label: t('strip.behind') })} />
        <Hop
          name={t('strip.apply')}
          facts={facts(
            moving,
            { value: rate(p?.rows_per_second), label: t('unit.rowsPerSecond') },
            ...(streaming ? [{ value: count(p.transactions), label: t('strip.transactions') }] : []),
            ...((p?.conflicts ?? 0) > 0 ? [{ value: count(p?.conflicts), label: t('strip.conflicts') }] : []),
          )}
        >
          {moving && <Sparkline points={history(task.id)} width={96} label={t('home.rate')} />}
        </Hop>
        <Hop
          name={t('strip.destination')}
          title={address(task.destination)}
          facts={facts(streaming, { value: seconds(p?.lag_seconds), label: t('strip.behindLag') })}
        />
      </ol>
      <StageBar task={task} />
    </section>
  );
}
