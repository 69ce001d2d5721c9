import { describe, expect, it } from 'vitest';
import { emptyDraft, endpoint, fromStored, missing, newTask } from './draft';
import { isChosen, names as specNames, objects, toggleSchema, toggleTable, withTable, type Selection } from './selection';
import { rows } from './rows';
import { columnsKey } from './useTree';
import { limits } from './limits';
import { translator } from '../../i18n';

const end = { ...emptyDraft().source, host: ' db ', database: 'shop', user: 'sync', password: 'x' };

describe('selection', () => {
  it('of a whole schema follows it, but for what is left out; of tables names them', () => {
    let s: Selection = toggleSchema({}, 'public');
    expect(objects(s)).toEqual([{ schema: 'public' }]);
    expect(isChosen(s, 'public', 'any')).toBe(true);
    s = toggleTable(s, 'public', 'b');
    expect(isChosen(s, 'public', 'b')).toBe(false);
    expect(objects(s)).toEqual([{ schema: 'public', tables: [{ table: '*' }, { table: 'b', exclude: true }] }]);
    expect(toggleTable(s, 'public', 'b')).toEqual({ public: 'all' });
    expect(toggleSchema(toggleSchema(s, 'public'), 'public')).toEqual({});
    s = toggleTable(toggleTable({}, 'public', 'b'), 'public', 'a');
    expect(objects(s)).toEqual([{ schema: 'public', tables: [{ table: 'a' }, { table: 'b' }] }]);
    s = toggleTable(toggleTable(s, 'public', 'a'), 'public', 'b');
    expect(s).toEqual({});
    expect(objects(s)).toEqual([]);
  });
  it('says of a table only what is its own', () => {
    let o = withTable({}, 'public', 'a', { rename: ' x ', where: '', operations: ['insert', 'update', 'delete', 'truncate'] });
    expect(objects({ public: ['a', 'b'] }, o)).toEqual([{ schema: 'public', tables: [{ table: 'a', rename: 'x' }, { table: 'b' }] }]);
    o = withTable(o, 'public', 'a', { rename: '', where: 'n > 1', operations: ['insert'], without: ['note'], columns: { cust: 'customer', id: 'id' } });
    expect(objects({ public: 'all' }, o)).toEqual([
      { schema: 'public', tables: [{ table: '*' }, { table: 'a', where: 'n > 1', operations: ['insert'], columns: { exclude: ['note'], rename: { cust: 'customer' } } }] },
    ]);
    o = withTable(o, 'public', 'a', { where: '', operations: undefined, without: [], columns: {} });
    expect(objects({ public: 'all' }, o)).toEqual([{ schema: 'public' }]);
  });
  it('gives names by case and rules, in their order', () => {
    const rule = { of: 'tables' as const, objects: '', kind: 'prefix' as const, from: '', to: 'eu_' };
    expect(specNames({ case: 'source', rules: [{ ...rule, to: '' }] })).toBeUndefined();
    expect(specNames({ case: 'lower', rules: [rule, { of: 'columns', objects: ' shop.*.c ', kind: 'regex', from: '^c$', to: 'd' }] })).toEqual({
      case: 'lower', rules: [{ prefix: 'eu_' }, { of: 'columns', objects: 'shop.*.c', regex: { '^c$': 'd' } }],
    });
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
    rows(schemas, tables, columns, new Set(open), search).map((row) => (row.kind === 'loading' ? '…' : row.item.name));
  const columns = { [columnsKey('a', 'users')]: { items: [{ kind: 'column', name: 'id' }] as never, complete: true } };
  it('shows what is open, or what is searched for', () => {
    expect(names([], '')).toEqual(['a', 'b']);
    expect(names(['a', 'b'], '')).toEqual(['a', 'orders', 'users', 'b', '…']);
    expect(names(['a', columnsKey('a', 'orders'), columnsKey('a', 'users')], '')).toEqual(['a', 'orders', '…', 'users', 'id', 'b']);
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
