// Live news: one EventSource for the whole console. Progress is written into the cached tasks, at most
// twice a second; other events make what they are about be read again.
import { useQueryClient, type QueryClient } from '@tanstack/react-query';
import { useEffect, useSyncExternalStore } from 'react';
import type { Progress, Schemas, Task, TaskState } from './client';
import { remember } from '../lib/history';
import { keys } from './queries';

type ProgressNews = { task: string; state: TaskState; fields: Progress };
export type LiveEvent = Schemas['Event'];

const FLUSH_MS = 500;
// Events that are kept: docs/events.md, and those of the service itself.
const KEPT = [
  'stage', 'finding', 'worker.started', 'worker.ended', 'task.state', 'table.state', 'slot.created', 'slot.waiting',
  'slot.retried', 'table.copying', 'table.copied', 'table.locked', 'table.rewritten', 'table.kept_rows',
  'table.not_analyzed', 'index.built', 'resync.started', 'resync.merged', 'resync.done', 'resync.failed', 'retrying',
  'error',
];

let connected = false;
const watchers = new Set<() => void>();
function setConnected(now: boolean) {
  if (now === connected) return;
  connected = now;
  watchers.forEach((call) => call());
}

/** Whether live news are coming in. */
export function useConnected() {
  return useSyncExternalStore(
    (call) => {
      watchers.add(call);
      return () => watchers.delete(call);
    },
    () => connected,
  );
}

function withProgress(task: Task, news: ProgressNews | undefined): Task {
  return news ? { ...task, state: news.state, progress: news.fields } : task;
}

/** Collects news and hands them to the cache in one go. */
export class LiveCache {
  private progress = new Map<string, ProgressNews>();
  private changed = new Set<string>();
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(private client: QueryClient) {}

  onProgress(news: ProgressNews) {
    this.progress.set(news.task, news);
    this.schedule();
  }

  onEvent(event: LiveEvent) {
    this.changed.add(event.task);
    this.schedule();
  }

  private schedule() {
    this.timer ??= setTimeout(() => this.flush(), FLUSH_MS);
  }

  flush() {
    const { client, progress, changed } = this;
    clearTimeout(this.timer);
    this.timer = undefined;
    this.progress = new Map();
    this.changed = new Set();
    if (progress.size > 0) {
      progress.forEach((news) => remember(news.task, news.fields.rows_per_second));
      let moved = false; // a state changed: actions, reasons and errors did too
      client.setQueryData<Task[]>(keys.tasks, (old) =>
        old?.map((task) => {
          const news = progress.get(task.id);
          moved ||= news !== undefined && news.state !== task.state;
          return withProgress(task, news);
        }),
      );
      progress.forEach((news, id) => {
        client.setQueryData<Task>(keys.task(id), (old) => old && withProgress(old, news));
        void client.invalidateQueries({ queryKey: ['task', id, 'tables'] });
        void client.invalidateQueries({ queryKey: ['task', id, 'rates'] });
      });
      if (moved) void client.invalidateQueries({ queryKey: keys.tasks });
    }
    if (changed.size > 0) {
      void client.invalidateQueries({ queryKey: keys.tasks });
      changed.forEach((id) => void client.invalidateQueries({ queryKey: keys.task(id) }));
    }
  }

  stop() {
    clearTimeout(this.timer);
  }
}

/** Listens as long as the component is there. */
export function useLive() {
  const client = useQueryClient();
  useEffect(() => {
    const cache = new LiveCache(client);
    let source: EventSource | undefined;
    let again: ReturnType<typeof setTimeout> | undefined;
    const open = () => {
      source = new EventSource('/api/v1/events');
      source.onopen = () => {
        setConnected(true);
        void client.invalidateQueries({ queryKey: keys.tasks }); // what was missed
      };
      source.onerror = () => {
        setConnected(false);
        if (source?.readyState === EventSource.CLOSED) {
          again = setTimeout(open, 5000);
          void client.invalidateQueries({ queryKey: keys.session });
        }
      };
      source.addEventListener('progress', (e) => cache.onProgress(JSON.parse(e.data) as ProgressNews));
      KEPT.forEach((name) =>
        source?.addEventListener(name, (e) => cache.onEvent(JSON.parse((e as MessageEvent<string>).data) as LiveEvent)),
      );
    };
    open();
    return () => {
      clearTimeout(again);
      source?.close();
      cache.stop();
      setConnected(false);
    };
  }, [client]);
}
