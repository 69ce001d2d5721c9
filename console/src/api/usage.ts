// Classes, usage, prices, terms, and how a task is paid for.
import { useQuery } from '@tanstack/react-query';
import { api, body, type Schemas } from './client';
import { keys } from './queries';

export function useClasses() {
  return useQuery({ queryKey: ['classes'], staleTime: Infinity, queryFn: () => body(api.GET('/api/v1/classes')) });
}

export type Period = { from: string; to: string; task?: string };

export function useUsage(period: Period) {
  return useQuery({
    queryKey: ['usage', period],
    queryFn: () => body(api.GET('/api/v1/usage', { params: { query: period } })) as Promise<Schemas['UsageReport']>, // JSON was asked for
  });
}

/** The same as a file for spreadsheets. */
export async function usageCsv(period: Period): Promise<string> {
  const options = { params: { query: period }, headers: { Accept: 'text/csv' }, parseAs: 'text' as const };
  return (await body(api.GET('/api/v1/usage', options))) as unknown as string;
}

export function usePrices() {
  return useQuery({ queryKey: ['prices'], queryFn: () => body(api.GET('/api/v1/prices')) });
}

export function useTerms() {
  return useQuery({ queryKey: ['terms'], queryFn: () => body(api.GET('/api/v1/terms')) });
}

export function useBilling(task: string) {
  return useQuery({
    queryKey: [...keys.task(task), 'billing'],
    queryFn: () => body(api.GET('/api/v1/tasks/{task}/billing', { params: { path: { task } } })),
  });
}
