import { describe, expect, it } from 'vitest';
import type { Task } from '../api/client';
import { fill, translator } from '../i18n';
import { messages } from '../i18n/messages';
import { segments } from '../components/StageBar';
import { describe as say } from '../pages/task/EventsTab';
import { diff, folded } from './diff';
import { address, bytes, count, percent, seconds } from './format';
import { counts, fits, worstFirst } from './tasks';

const task = (over: Partial<Task>): Task =>
  ({
    id: 'abcdefgh', name: 'orders', state: 'synchronizing', stages: ['schema', 'full', 'incremental'], actions: [], progress: null,
    source: { database: 'shop', user: 'u', host: '10.0.0.5', port: '5433', region: 'fra' },
    destination: { database: 'shop', user: 'u', host: 'db.example.net' },
    ...over,
  }) as Task;

describe('format', () => {
  it('shows numbers with their unit', () => {
    expect([0, 1023, 1024, 1536, 10_485_760, -1].map(bytes)).toEqual(['0 B', '1023 B', '1.0 KiB', '1.5 KiB', '10 MiB', '–']);
    expect([0, 99_999, 123_456, 4_500_000, 2.5e9].map(count)).toEqual(['0', '99,999', '123 k', '4.50 M', '2.50 G']);
    expect([0, 0.004, 0.42, 59.4, 60, 185, 7800, 280_800].map(seconds)).toEqual(['0.0 s', '4 ms', '0.4 s', '59 s', '1 min', '3 min 5 s', '2 h 10 min', '3 d 6 h']);
    expect([percent(1, 0), percent(999, 1000), percent(1001, 1000)]).toEqual([0, 99, 100]);
  });
  it('leaves the usual port out of an address', () => {
    expect(address({ host: 'a', port: 5432, database: 'd' })).toBe('a/d');
    expect(address({ host: 'a', port: '5433', database: 'd' })).toBe('a:5433/d');
    expect(address({ socket: '/run/pg', database: 'd' })).toBe('/run/pg/d');
  });
});

describe('tasks', () => {
  it('come worst first, then by lag', () => {
    const lag = (name: string, lag_seconds: number) => task({ name, progress: { lag_seconds } as Task['progress'] });
    const all = [lag('a', 1), lag('b', 5), task({ name: 'c', state: 'failed' }), task({ name: 'd', state: 'draft' })];
    expect(all.sort(worstFirst).map((one) => one.name)).toEqual(['c', 'b', 'a', 'd']);
    expect([...counts(all)]).toEqual([['failed', 1], ['synchronizing', 2], ['draft', 1]]);
  });
  it('are found by every word, state and region', () => {
    const none = { text: '', state: null, region: null };
    expect(fits(task({}), { ...none, text: 'ORD 10.0.0.5:5433' })).toBe(true);
    expect(fits(task({}), { ...none, text: 'orders nowhere' })).toBe(false);
    expect(fits(task({}), { ...none, state: 'failed' })).toBe(false);
    expect(fits(task({}), { ...none, region: 'fra' })).toBe(true);
    expect(fits(task({}), { ...none, region: 'par' })).toBe(false);
  });
  it('show how far each stage is', () => {
    const at = (stage: string, more = {}) => segments(task({ progress: { stage, ...more } as Task['progress'] })).map((s) => s.share);
    expect(at('schema')).toEqual([0, 0, 0]);
    expect(at('copy', { rows_total: 1000, rows_copied: 500, tables: 2, tables_copied: 1 })).toEqual([100, 50, 0]);
    expect(at('copy', { rows_total: 1000, rows_copied: 2000, tables: 2, tables_copied: 1 })).toEqual([100, 99, 0]);
    expect(at('streaming', { rows_total: 1000, rows_copied: 1000 })).toEqual([100, 100, 100]);
    expect(segments(task({ state: 'finished', stages: ['full'] })).map((s) => s.share)).toEqual([100]);
  });
});

describe('diff', () => {
  it('tells old, new and same lines', () => {
    const lines = diff('a\nb\nc', 'a\nx\nc\nd');
    expect(lines.map((l) => `${l.kind[0]}${l.text}`)).toEqual(['sa', 'ob', 'nx', 'sc', 'nd']);
    expect(diff('', '').every((l) => l.kind === 'same')).toBe(true);
  });
  it('folds what did not change', () => {
    const many = Array.from({ length: 20 }, (_, i) => String(i)).join('\n');
    const shown = folded(diff(many, many.replace('\n10\n', '\nten\n')), 1);
    expect(shown.map((l) => l?.text ?? null)).toEqual([null, '9', '10', 'ten', '11', null]);
  });
});

describe('texts', () => {
  it('have both languages, with the same values in them', () => {
    for (const [key, [en, zh]] of Object.entries(messages)) {
      const names = (text: string) => new Set([...text.matchAll(/\{(\w+)/g)].map((m) => m[1]));
      expect(en.trim(), key).not.toBe('');
      expect(zh.trim(), key).not.toBe('');
      expect([...names(zh)].filter((n) => !names(en).has(n)), key).toEqual([]);
    }
  });
  it('fill in values and plurals', () => {
    expect(fill('{n} {n|task|tasks} of {who}', { n: 1, who: 'anna' })).toBe('1 task of anna');
    expect(fill('{n} {n|task|tasks}', { n: 2 })).toBe('2 tasks');
    expect(fill('{unknown}', {})).toBe('{unknown}');
    expect(translator('zh-CN')('home.title')).toBe('任务');
  });
});

describe('events', () => {
  it('say the main thing first', () => {
    expect(say({ fields: { table: 'public.t', rows: 3, seconds: 0.5 } as never })).toEqual({ main: 'public.t', rest: 'rows 3, seconds 0.5' });
    expect(say({ fields: { state: 'failed', reason: 'why' } as never })).toEqual({ main: 'failed · why', rest: '' });
  });
});
