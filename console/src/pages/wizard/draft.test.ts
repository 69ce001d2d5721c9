import { describe, expect, it } from 'vitest';
import { emptyDraft, endpoint, fromStored, isChosen, missing, newTask, objects, toggleSchema, toggleTable, type Selection } from './draft';
import { rows } from './rows';
import { limits } from './limits';
import { translator } from '../../i18n';

const end = { ...emptyDraft().source, host: ' db ', database: 'shop', user: 'sync', password: 'x' };

describe('selection', () => {
  it('of a whole schema follows it; of tables names them', () => {
    let s: Selection = toggleSchema({}, 'public');
    expect(objects(s)).toEqual([{ schema: 'public' }]);
    expect(isChosen(s, 'public', 'any')).toBe(true);
    s = toggleTable(s, 'public', 'b', ['a', 'b', 'c']);
    expect(objects(s)).toEqual([{ schema: 'public', tables: [{ table: 'a' }, { table: 'c' }] }]);
    s = toggleTable(toggleTable(s, 'public', 'a', []), 'public', 'c', []);
    expect(s).toEqual({});
    expect(objects(s)).toEqual([]);
  });
});

describe('specification', () => {
  it('says no more than was entered', () => {
    expect(endpoint({ ...end, port: '5433' })).toEqual({ host: 'db', port: 5433, database: 'shop', user: 'sync', password: 'x' });
    expect(endpoint({ ...end, host: '/run/pg', password: '' })).toEqual({ socket: '/run/pg', database: 'shop', user: 'sync' });
    expect(endpoint({ ...end, host: 'a,b', port: '1,2' }).port).toBe('1,2');
    expect(missing({ ...end, host: ' ' })).toEqual(['host']);
    expect(missing({ ...end, host: '', template: 'abc' })).toEqual([]);
  });
  it('names templates by their id', () => {
    const draft = { ...emptyDraft(), source: { ...end, template: 'c4c8v2n1pq' }, destination: end, selection: { public: 'all' as const } };
    const made = newTask(draft);
    expect(made.source_connection).toBe('c4c8v2n1pq');
    expect(made.destination_connection).toBeUndefined();
    expect(made.spec.objects).toEqual([{ schema: 'public' }]);
    expect(made.spec).not.toHaveProperty('workers');
  });
  it('is made of stored drafts whatever they lack', () => {
    const draft = fromStored({ name: 'n', source: { host: 'h', password: null } });
    expect([draft.name, draft.source.host, draft.source.password, draft.destination.host, draft.stages.length]).toEqual(['n', 'h', '', '', 3]);
    expect(fromStored(null).step).toBe(0);
  });
});

describe('tree', () => {
  const schemas = [{ kind: 'schema', name: 'a' }, { kind: 'schema', name: 'b' }] as never;
  const tables = { a: { items: [{ kind: 'table', name: 'orders' }, { kind: 'table', name: 'users' }] as never, complete: true } };
  const names = (open: string[], search: string) =>
    rows(schemas, tables, new Set(open), search).map((row) => (row.kind === 'loading' ? '…' : row.item.name));
  it('shows what is open, or what is searched for', () => {
    expect(names([], '')).toEqual(['a', 'b']);
    expect(names(['a', 'b'], '')).toEqual(['a', 'orders', 'users', 'b', '…']);
    expect(names([], 'ord')).toEqual(['a', 'orders']);
    expect(names([], 'a.us')).toEqual(['a', 'users']);
    expect(names([], 'nothing')).toEqual([]);
  });
});

describe('limits', () => {
  it('of a pair of versions', () => {
    const t = translator('en');
    expect(limits('15.8', '18.0', t)).toEqual([]);
    expect(limits('10.23', '18', t)).toHaveLength(1);
    expect(limits('15.8', '13.2', t)).toHaveLength(1);
    expect(limits(undefined, '13.2', t)).toEqual([]);
  });
});
