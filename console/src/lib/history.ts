// The last rows/s of each task, for sparklines: what this page has seen, not what the service keeps.
const POINTS = 40;
const seen = new Map<string, number[]>();

export function remember(task: string, rowsPerSecond: number) {
  const points = seen.get(task) ?? [];
  seen.set(task, [...points.slice(1 - POINTS), rowsPerSecond]);
}

export function history(task: string): number[] {
  return seen.get(task) ?? [];
}
