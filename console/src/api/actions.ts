// Doing: the task actions behind one function.
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { api, body, type Task } from './client';
import { keys, rememberTask } from './queries';

export type Simple = 'check' | 'start' | 'pause' | 'resume';

const calls = {
  check: (task: string) => body(api.POST('/api/v1/tasks/{task}/check', { params: { path: { task } } })),
  start: (task: string) => body(api.POST('/api/v1/tasks/{task}/start', { params: { path: { task } } })),
  pause: (task: string) => body(api.POST('/api/v1/tasks/{task}/pause', { params: { path: { task } } })),
  resume: (task: string) => body(api.POST('/api/v1/tasks/{task}/resume', { params: { path: { task } } })),
} satisfies Record<Simple, (task: string) => Promise<Task>>;

export function act(action: Simple, task: string): Promise<Task> {
  return calls[action](task);
}

export function useAction() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: ({ action, task }: { action: Simple; task: string }) => act(action, task),
    onSuccess: (task) => rememberTask(client, task),
    onSettled: (_d, _e, { task }) => {
      void client.invalidateQueries({ queryKey: keys.task(task) });
      void client.invalidateQueries({ queryKey: keys.tasks });
    },
  });
}
