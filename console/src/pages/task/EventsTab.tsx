// The task's history: one line of time, newest first, growing as things happen.
import { Button, Select, Timeline } from 'antd';
import { useState } from 'react';
import type { Schemas, Task } from '../../api/client';
import { useEvents } from '../../api/queries';
import { Failure, Loading, Nothing } from '../../components/states';
import { Time } from '../../components/Time';
import { useT } from '../../i18n';

type Event = Schemas['Event'];
const KINDS = [
  'task.state', 'stage', 'error', 'retrying', 'table.state', 'table.copying', 'table.copied', 'index.built', 'slot.created',
  'slot.waiting', 'table.locked', 'table.rewritten', 'table.kept_rows', 'resync.started', 'resync.merged', 'resync.done',
  'resync.failed', 'worker.started',
];

function color(event: Event): string {
  if (event.event === 'error' || event.event.endsWith('.failed') || event.fields['state'] === 'failed') return 'red';
  if (['retrying', 'slot.waiting', 'table.locked', 'table.rewritten'].includes(event.event)) return 'orange';
  return event.event === 'task.state' ? 'blue' : 'gray';
}

/** The main thing in words, the other fields behind it. */
export function describe(event: Pick<Event, 'fields'>): { main: string; rest: string } {
  const fields = { ...event.fields } as Record<string, unknown>;
  const take = (key: string) => {
    const value = fields[key];
    delete fields[key];
    return value === undefined || value === null ? '' : String(value);
  };
  const main = [take('table') || take('name') || take('object'), take('state') || take('stage'), take('reason') || take('message') || take('error')]
    .filter(Boolean)
    .join(' · ');
  const rest = Object.entries(fields)
    .filter(([, value]) => value !== null && value !== '')
    .map(([key, value]) => `${key} ${typeof value === 'object' ? JSON.stringify(value) : String(value)}`)
    .join(', ');
  return { main, rest };
}

export function EventsTab({ task }: { task: Task }) {
  const t = useT();
  const [kind, setKind] = useState('');
  const events = useEvents(task.id, kind || undefined);
  if (events.isPending) return <Loading />;
  if (!events.data) return <Failure error={events.error} onRetry={() => void events.refetch()} />;
  const all = events.data.pages.flatMap((page) => page.items);
  return (
    <div className="stack">
      <div className="row">
        <Select
          style={{ minWidth: 200 }}
          aria-label={t('events.filter')}
          value={kind}
          onChange={setKind}
          options={[{ value: '', label: t('events.all') }, ...KINDS.map((value) => ({ value, label: value }))]}
        />
      </div>
      <div className="panel panel-body">
        {all.length === 0 ? (
          <Nothing title={t('events.none')} />
        ) : (
          <Timeline
            className="events"
            items={all.map((event) => {
              const { main, rest } = describe(event);
              return {
                key: event.id,
                color: color(event),
                children: (
                  <div className="event">
                    <Time at={event.time} /> <b>{event.event}</b> <span>{main}</span> {rest && <span className="muted small">{rest}</span>}
                  </div>
                ),
              };
            })}
          />
        )}
        {events.hasNextPage && (
          <Button loading={events.isFetchingNextPage} onClick={() => void events.fetchNextPage()}>
            {t('events.more')}
          </Button>
        )}
      </div>
    </div>
  );
}
