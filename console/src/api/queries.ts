// Reading: one hook per thing, with its key in one place so that live events can refresh it.
import { keepPreviousData, useInfiniteQuery, useQuery, type QueryClient } from '@tanstack/react-query';
import { api, body, full, type Schemas, type Task } from './client';

export const keys = {
  session: ['session'] as const,
  summary: ['summary'] as const,
  tasks: ['tasks'] as const,
  task: (id: string) => ['task', id] as const, // what is about the task begins with it
  connections: ['connections'] as const,
  alerts: ['alerts', 'on'] as const,
  rules: ['alerts', 'rules'] as const,
  contacts: ['alerts', 'contacts'] as const,
  deliveries: ['alerts', 'deliveries'] as const,
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

export function useTask(id: string) {
  return useQuery({
    queryKey: keys.task(id),
    queryFn: () => body(api.GET('/api/v1/tasks/{task}', { params: { path: { task: id } } })),
    refetchInterval: 15_000,
  });
}

export type TableFilter = { state?: string; q?: string };

/** A task's tables, page after page. */
export function useTables(id: string, filter: TableFilter) {
  return useInfiniteQuery({
    queryKey: [...keys.task(id), 'tables', filter],
    queryFn: ({ pageParam }) =>
      body(
        api.GET('/api/v1/tasks/{task}/tables', {
          params: { path: { task: id }, query: { ...filter, limit: 200, cursor: pageParam } },
        }),
      ),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next_cursor ?? undefined,
    placeholderData: keepPreviousData,
  });
}

export function useEvents(id: string, event: string | undefined) {
  return useInfiniteQuery({
    queryKey: [...keys.task(id), 'events', event ?? ''],
    queryFn: async ({ pageParam }) =>
      (await body(
        api.GET('/api/v1/tasks/{task}/events', {
          params: { path: { task: id }, query: { event, limit: 100, cursor: pageParam } },
        }),
      )) as Schemas['EventPage'], // no stream was asked for
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next_cursor ?? undefined,
    placeholderData: keepPreviousData,
  });
}

export function useErrors(id: string) {
  return useQuery({
    queryKey: [...keys.task(id), 'errors'],
    queryFn: () => body(api.GET('/api/v1/tasks/{task}/errors', { params: { path: { task: id } } })),
  });
}

export function useFindings(id: string) {
  return useQuery({
    queryKey: [...keys.task(id), 'findings'],
    queryFn: () => body(api.GET('/api/v1/tasks/{task}/findings', { params: { path: { task: id } } })),
  });
}

/** The specification as YAML, and the ETag that saving it takes. */
export function useSpecYaml(id: string) {
  return useQuery({
    queryKey: [...keys.task(id), 'spec', 'yaml'],
    queryFn: async () => {
      const { data, etag } = await full(
        api.GET('/api/v1/tasks/{task}/spec', {
          params: { path: { task: id } },
          headers: { Accept: 'application/yaml' },
          parseAs: 'text',
        }),
      );
      return { yaml: data as unknown as string, etag: etag ?? '' };
    },
  });
}

export function useSpecHistory(id: string) {
  return useQuery({
    queryKey: [...keys.task(id), 'spec', 'history'],
    queryFn: () =>
      body(api.GET('/api/v1/tasks/{task}/spec/history', { params: { path: { task: id }, query: { limit: 200 } } })),
  });
}

export function useSpecVersion(id: string, version: number) {
  return useQuery({
    queryKey: [...keys.task(id), 'spec', version],
    enabled: version > 0,
    staleTime: Infinity,
    queryFn: () =>
      body(api.GET('/api/v1/tasks/{task}/spec/history/{version}', { params: { path: { task: id, version } } })),
  });
}

export function useLog(id: string) {
  return useQuery({
    queryKey: [...keys.task(id), 'log'],
    refetchInterval: 5_000,
    queryFn: () =>
      body(api.GET('/api/v1/tasks/{task}/log', { params: { path: { task: id } }, parseAs: 'text' })).then((text) => text ?? ''),
  });
}

/** Rate and lag per hop; empty while no process works for the task. */
export function useRates(id: string, on: boolean) {
  return useQuery({
    queryKey: [...keys.task(id), 'rates'],
    enabled: on,
    refetchInterval: 5_000,
    queryFn: () => body(api.GET('/api/v1/tasks/{task}/rates', { params: { path: { task: id } } })),
  });
}

export type ReportFilter = { result?: Schemas['SchemaObjectPage']['items'][number]['result']; q?: string };

/** What became of each object of the schema, page after page. */
export function useSchemaReport(id: string, filter: ReportFilter) {
  return useInfiniteQuery({
    queryKey: [...keys.task(id), 'schema-report', filter],
    queryFn: ({ pageParam }) =>
      body(
        api.GET('/api/v1/tasks/{task}/schema-report', {
          params: { path: { task: id }, query: { ...filter, limit: 200, cursor: pageParam } },
        }),
      ),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next_cursor ?? undefined,
    placeholderData: keepPreviousData,
  });
}

/** The specification as an object, and the ETag that saving it takes. */
export function useSpec(id: string) {
  return useQuery({
    queryKey: [...keys.task(id), 'spec', 'json'],
    queryFn: async () => {
      const { data, etag } = await full(api.GET('/api/v1/tasks/{task}/spec', { params: { path: { task: id } } }));
      return { spec: data as Schemas['Spec'], etag: etag ?? '' }; // JSON was asked for
    },
  });
}

export function useContacts() {
  return useQuery({ queryKey: keys.contacts, queryFn: () => body(api.GET('/api/v1/alerts/contacts')) });
}

export function useRules() {
  return useQuery({ queryKey: keys.rules, queryFn: () => body(api.GET('/api/v1/alerts/rules')) });
}

/** What is on now. */
export function useAlerts() {
  return useQuery({ queryKey: keys.alerts, refetchInterval: 10_000, queryFn: () => body(api.GET('/api/v1/alerts')) });
}

export function useDeliveries(filter: { task?: string; contact?: string }) {
  return useInfiniteQuery({
    queryKey: [...keys.deliveries, filter],
    refetchInterval: 10_000,
    queryFn: ({ pageParam }) =>
      body(api.GET('/api/v1/alerts/deliveries', { params: { query: { ...filter, limit: 100, cursor: pageParam } } })),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next_cursor ?? undefined,
  });
}
