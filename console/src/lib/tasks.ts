// Order and filters of tasks; what several of them can be asked to do at once.
import type { Schemas, Task, TaskState } from '../api/client';
import { address } from './format';

export type Action = Schemas['TaskAction'];

/** Worst first. */
export const severity: TaskState[] = [
  'failed', 'retrying', 'check_failed', 'paused', 'pausing', 'initializing', 'synchronizing', 'checking', 'releasing',
  'ready', 'draft', 'finished', 'stopped', 'released',
];
const rank = new Map(severity.map((state, i) => [state, i]));

export function worstFirst(a: Task, b: Task): number {
  return (
    (rank.get(a.state) ?? 99) - (rank.get(b.state) ?? 99) ||
    (b.progress?.lag_seconds ?? -1) - (a.progress?.lag_seconds ?? -1) ||
    a.name.localeCompare(b.name) ||
    a.id.localeCompare(b.id)
  );
}

/** Only what a running task says counts: the lag of a paused one is the one it had. */
export function isMoving(task: Pick<Task, 'state'>): boolean {
  return ['initializing', 'synchronizing', 'retrying', 'pausing'].includes(task.state);
}

export type Filter = { text: string; state: TaskState | null; region: string | null };

export function fits(task: Task, { text, state, region }: Filter): boolean {
  if (state && task.state !== state) return false;
  if (region && task.source.region !== region && task.destination.region !== region) return false;
  if (!text) return true;
  const all = `${task.name} ${task.id} ${address(task.source)} ${address(task.destination)}`.toLowerCase();
  return text.toLowerCase().split(/\s+/).every((word) => all.includes(word));
}

export function regions(tasks: Task[]): string[] {
  const found = new Set<string>();
  for (const task of tasks)
    for (const region of [task.source.region, task.destination.region]) if (region) found.add(region);
  return [...found].sort();
}

export function counts(tasks: Task[]): Map<TaskState, number> {
  const found = new Map<TaskState, number>();
  for (const task of tasks) found.set(task.state, (found.get(task.state) ?? 0) + 1);
  return new Map(severity.filter((s) => found.has(s)).map((s) => [s, found.get(s)!]));
}

export function able(tasks: Task[], action: Action): Task[] {
  return tasks.filter((task) => task.actions.includes(action));
}
