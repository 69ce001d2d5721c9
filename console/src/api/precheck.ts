// Ignoring findings: the list that the service keeps is replaced as a whole.
import { useQueryClient } from '@tanstack/react-query';
import { nameOf, type Finding } from '../components/Findings';
import { api, body, type Schemas } from './client';
import { keys } from './queries';

/** The names to ignore when this finding is to be ignored, or counted again. */
export function ignoredWith(items: Finding[], finding: Finding, ignore: boolean): string[] {
  const names = new Set(items.filter((f) => f.ignored).map(nameOf));
  if (ignore) names.add(nameOf(finding));
  else names.delete(nameOf(finding));
  return [...names];
}

export function useIgnore(task: string) {
  const client = useQueryClient();
  return async (findings: Schemas['Findings'], finding: Finding, ignore: boolean) => {
    const answer = await body(
      api.PUT('/api/v1/tasks/{task}/findings/ignored', {
        params: { path: { task } },
        body: { ignore: ignoredWith(findings.items, finding, ignore) },
      }),
    );
    client.setQueryData([...keys.task(task), 'findings'], answer);
    void client.invalidateQueries({ queryKey: keys.task(task) });
    void client.invalidateQueries({ queryKey: keys.tasks });
  };
}
