// Numbers and times as people read them: always with their unit.
const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

export function bytes(n: number | null | undefined): string {
  if (n == null || n < 0) return '–';
  let unit = 0;
  while (n >= 1023.95 && unit < UNITS.length - 1) {
    n /= 1024;
    unit++;
  }
  return `${unit === 0 ? Math.round(n) : n < 10 ? n.toFixed(1) : Math.round(n)} ${UNITS[unit]}`;
}

/** 1,234 below a hundred thousand; 123 k, 4.5 M above. */
export function count(n: number | null | undefined): string {
  if (n == null || n < 0) return '–';
  if (n < 100_000) return Math.round(n).toLocaleString('en-US');
  if (n < 1e6) return `${Math.round(n / 1e3)} k`;
  if (n < 1e9) return `${(n / 1e6).toFixed(n < 1e7 ? 2 : 1)} M`;
  return `${(n / 1e9).toFixed(2)} G`;
}

export function rate(n: number | null | undefined): string {
  if (n == null) return '–';
  return n > 0 && n < 10 ? n.toFixed(1) : count(n);
}

/** 4 ms, 0.4 s, 12 s, 3 min 5 s, 2 h 10 min, 3 d 4 h */
export function seconds(n: number | null | undefined): string {
  if (n == null || n < 0) return '–';
  if (n > 0 && n < 0.0995) return `${Math.max(1, Math.round(n * 1000))} ms`;
  if (n < 9.95) return `${n.toFixed(1)} s`;
  n = Math.round(n);
  if (n < 60) return `${n} s`;
  if (n < 3600) return two(Math.floor(n / 60), 'min', n % 60, 's');
  if (n < 86_400) return two(Math.floor(n / 3600), 'h', Math.round((n % 3600) / 60), 'min');
  return two(Math.floor(n / 86_400), 'd', Math.round((n % 86_400) / 3600), 'h');
}

function two(a: number, unit: string, b: number, small: string) {
  return b > 0 ? `${a} ${unit} ${b} ${small}` : `${a} ${unit}`;
}

export function percent(done: number, total: number): number {
  if (total <= 0) return 0;
  return Math.max(0, Math.min(100, Math.floor((done * 100) / total)));
}

const pad = (n: number) => String(n).padStart(2, '0');

/** In the user's zone: 14:05:09 today, 11-21 14:05:09 this year, 2025-11-21 14:05 before. */
export function time(iso: string, now = new Date()): string {
  const d = new Date(iso);
  const clock = `${pad(d.getHours())}:${pad(d.getMinutes())}:${pad(d.getSeconds())}`;
  if (d.toDateString() === now.toDateString()) return clock;
  const day = `${pad(d.getMonth() + 1)}-${pad(d.getDate())}`;
  return d.getFullYear() === now.getFullYear() ? `${day} ${clock}` : `${d.getFullYear()}-${day} ${clock.slice(0, 5)}`;
}

export function utc(iso: string): string {
  return `${new Date(iso).toISOString().replace('T', ' ').slice(0, 19)} UTC`;
}

type Endpoint = { host?: string | null; port?: string | number | null; socket?: string | null; database: string };

/** host:port/database as one line. */
export function address(e: Endpoint): string {
  const where = e.host ?? e.socket ?? 'localhost';
  return `${where}${e.port && String(e.port) !== '5432' ? `:${e.port}` : ''}/${e.database}`;
}
