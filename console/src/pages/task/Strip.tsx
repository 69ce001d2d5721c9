// The way of a change from source to destination: what waits and moves at each hop, and which one is the slowest.
import type { ReactNode } from 'react';
import { Tag } from 'antd';
import type { Schemas, Task } from '../../api/client';
import { useRates } from '../../api/queries';
import { Sparkline } from '../../components/Sparkline';
import { StageBar } from '../../components/StageBar';
import { useT, type Translate } from '../../i18n';
import { address, bytes, count, rate, seconds } from '../../lib/format';
import { history } from '../../lib/history';
import { isMoving } from '../../lib/tasks';

type Rate = Schemas['Rates']['hops'][number];
type Name = Rate['hop'];
type Fact = { value: string; label: string };
const order: Name[] = ['source', 'slot', 'decode', 'apply', 'destination'];

/** What is said at each hop while the stream runs. */
function streamFacts(hop: Name, one: Rate | undefined, task: Task, t: Translate): Fact[] {
  const p = task.progress;
  const flow = (label: string): Fact[] => (one?.bytes_per_second == null ? [] : [{ value: `${bytes(one.bytes_per_second)}/s`, label }]);
  const waits = (label: string, lag = one?.lag_bytes): Fact[] => (lag == null ? [] : [{ value: bytes(lag), label }]);
  switch (hop) {
    case 'source':
      return flow(t('strip.written'));
    case 'slot':
      return waits(t('strip.held'), one?.lag_bytes ?? p?.wal_held_bytes);
    case 'decode':
      return [...flow(t('strip.decoded')), ...waits(t('strip.behind'), one?.lag_bytes)];
    case 'apply':
      return [
        { value: rate(one?.rows_per_second ?? p?.rows_per_second), label: t('unit.rowsPerSecond') },
        ...waits(t('strip.toApply')),
        ...((p?.conflicts ?? 0) > 0 ? [{ value: count(p?.conflicts), label: t('strip.conflicts') }] : []),
      ];
    case 'destination':
      return [{ value: seconds(p?.lag_seconds), label: t('strip.behindLag') }, ...waits(t('strip.toFlush'))];
  }
}

/** The same while rows are copied, or while nothing moves. */
function otherFacts(hop: Name, task: Task, moving: boolean, t: Translate): Fact[] {
  const p = task.progress;
  if (hop === 'slot' && (p?.wal_held_bytes ?? -1) >= 0) return [{ value: bytes(p?.wal_held_bytes), label: t('strip.held') }];
  if (!moving) return [];
  if (hop === 'source') return [{ value: `${count(p?.rows_copied)} / ~${count(p?.rows_total)}`, label: t('strip.copied') }];
  if (hop === 'apply') return [{ value: rate(p?.rows_per_second), label: t('unit.rowsPerSecond') }];
  if (hop === 'destination') return [{ value: `${p?.tables_copied ?? 0} / ${p?.tables ?? 0}`, label: t('strip.tables') }];
  return [];
}

type HopProps = { name: Name; title?: string; facts: Fact[]; slow: boolean; children?: ReactNode };

function Hop({ name, title, facts, slow, children }: HopProps) {
  const t = useT();
  return (
    <li className={slow ? 'hop slow' : 'hop'} data-hop={name} data-bottleneck={slow} data-empty={!title && facts.length === 0}>
      <span className="hop-name">
        {t(`strip.${name}`)} {slow && <Tag color="warning">{t('strip.bottleneck')}</Tag>}
      </span>
      {title && (
        <span className="hop-title ellipsis" title={title}>
          {title}
        </span>
      )}
      {facts.map((fact) => (
        <span key={fact.label} className="hop-fact">
          <b className="num">{fact.value}</b> <span className="muted small">{fact.label}</span>
        </span>
      ))}
      {children}
    </li>
  );
}

export function Strip({ task }: { task: Task }) {
  const t = useT();
  const p = task.progress;
  const moving = isMoving(task) && p !== null;
  const streaming = moving && p.stage === 'streaming';
  const rates = useRates(task.id, streaming);
  const hops = streaming ? (rates.data?.hops ?? []) : [];
  const slow = hops.find((one) => one.bottleneck);
  const titles: Partial<Record<Name, string>> = { source: address(task.source), destination: address(task.destination) };
  return (
    <section className="panel strip" aria-label={t('strip.label')}>
      <ol className="hops">
        {order.map((name) => {
          const one = hops.find((hop) => hop.hop === name);
          const facts = streaming ? streamFacts(name, one, task, t) : otherFacts(name, task, moving, t);
          return (
            <Hop key={name} name={name} title={titles[name]} facts={facts} slow={slow?.hop === name}>
              {name === 'apply' && moving && <Sparkline points={history(task.id)} width={110} label={t('home.rate')} />}
            </Hop>
          );
        })}
      </ol>
      {slow && (
        <p className="strip-slow" role="status">
          {t(`bottleneck.${slow.hop as 'decode' | 'apply' | 'destination'}`, { bytes: bytes(slow.lag_bytes) })}
        </p>
      )}
      <StageBar task={task} />
    </section>
  );
}
