// Reading: one hook per thing, with its key in one place so that live events can refresh it.
import { keepPreviousData, useQuery, type QueryClient } from '@tanstack/react-query';
import { api, body, type Task } from './client';

export const keys = {
  session: ['session'] as const,
  summary: ['summary'] as const,
  tasks: ['tasks'] as const,
  task: (id: string) => ['task', id] as const,
};

export function useSession() {
  return useQuery({
    queryKey: keys.session,
    queryFn: () => body(api.GET('/api/v1/session')),
    staleTime: Infinity,
    retry: (n, error) => n < 2 && (error as { status?: number }).status === 0,
  });
}

export function useSummary() {
  return useQuery({ queryKey: keys.summary, queryFn: () => body(api.GET('/api/v1/summary')), staleTime: 60_000 });
}

async function allTasks(): Promise<Task[]> {
  const all: Task[] = [];
  let cursor: string | undefined;
  do {
    const page = await body(api.GET('/api/v1/tasks', { params: { query: { limit: 1000, cursor } } }));
    all.push(...page.items);
    cursor = page.next_cursor ?? undefined;
  } while (cursor);
  return all;
}

/** All tasks; kept fresh by live events, and by polling in case they do not come. */
export function useTasks() {
  return useQuery({
    queryKey: keys.tasks,
    queryFn: allTasks,
    refetchInterval: 30_000,
    placeholderData: keepPreviousData,
  });
}

/** A task as it came back from an action: shown at once, everywhere. */
export function rememberTask(client: QueryClient, task: Task) {
  client.setQueryData(keys.task(task.id), task);
  client.setQueryData<Task[]>(keys.tasks, (old) => old?.map((one) => (one.id === task.id ? task : one)));
}
