// What the task synchronizes, and its change while it runs: others go on meanwhile.
import { MinusCircleOutlined, PlusOutlined } from '@ant-design/icons';
import { useQueryClient } from '@tanstack/react-query';
import { Alert, App, Button, Drawer, Input, Tag, Tooltip } from 'antd';
import { useState } from 'react';
import { api, body, type Schemas, type Task } from '../../api/client';
import { keys, useSpec } from '../../api/queries';
import { useWho } from '../../app/session';
import { ConfirmByName } from '../../components/ConfirmByName';
import { Failure, Loading, Nothing } from '../../components/states';
import { useT } from '../../i18n';
import { useNarrow } from '../../lib/narrow';
import { ObjectTree } from '../wizard/ObjectTree';
import { objects, type Selection } from '../wizard/selection';
import { useTree } from '../wizard/useTree';

type Entry = Schemas['SpecSchema'];
type TableEntry = NonNullable<Entry['tables']>[number] & { exclude?: boolean };
type Changes = Schemas['ObjectChanges'];

/** States in which the service changes objects beside the stream; else the specification is edited. */
export function mayChange(task: Task): boolean {
  return ['synchronizing', 'retrying', 'paused', 'failed'].includes(task.state) && task.progress !== null;
}

function useChange(task: Task) {
  const client = useQueryClient();
  return async (changes: Changes) => {
    await body(api.PATCH('/api/v1/tasks/{task}/objects', { params: { path: { task: task.id } }, body: changes }));
    void client.invalidateQueries({ queryKey: keys.task(task.id) });
    void client.invalidateQueries({ queryKey: keys.tasks });
  };
}

export function ObjectsTab({ task }: { task: Task }) {
  const t = useT();
  const who = useWho();
  const spec = useSpec(task.id);
  const change = useChange(task);
  const [adding, setAdding] = useState(false);
  const [removed, setRemoved] = useState<string | null>(null);
  if (spec.isPending) return <Loading />;
  if (!spec.data) return <Failure error={spec.error} onRetry={() => void spec.refetch()} />;
  const entries = spec.data.spec.objects;
  const can = who.isOperator && mayChange(task);
  const total = entries.reduce((n, one) => n + (one.tables?.length ?? 1), 0);
  return (
    <div className="stack">
      <div className="row">
        {who.isOperator && (
          <Tooltip title={can ? undefined : t('taskObjects.cannot')}>
            <Button type="primary" icon={<PlusOutlined />} disabled={!can} onClick={() => setAdding(true)}>
              {t('taskObjects.add')}
            </Button>
          </Tooltip>
        )}
        <span className="muted small grow">{t('taskObjects.help')}</span>
      </div>
      {entries.map((entry) => (
        <Schema key={entry.schema} entry={entry} onRemove={can && total > 1 ? setRemoved : undefined} />
      ))}
      {adding && <Adding task={task} known={entries} onAdd={change} onClose={() => setAdding(false)} />}
      {removed !== null && (
        <ConfirmByName title={t('taskObjects.removeTitle', { name: removed })} name={removed} ok={t('taskObjects.remove')} onClose={() => setRemoved(null)} onOk={() => change({ remove: [removed] })}>
          {t('taskObjects.removeWhat')}
        </ConfirmByName>
      )}
    </div>
  );
}

function Schema({ entry, onRemove }: { entry: Entry; onRemove?: (name: string) => void }) {
  const t = useT();
  const tables = (entry.tables ?? []) as TableEntry[];
  const whole = tables.length === 0 || tables.some((one) => one.table === '*') || tables.every((one) => one.exclude);
  const remove = (name: string) =>
    onRemove && (
      <Tooltip title={t('taskObjects.remove')}>
        <Button size="small" type="text" danger icon={<MinusCircleOutlined />} aria-label={`${t('taskObjects.remove')}: ${name}`} onClick={() => onRemove(name)} />
      </Tooltip>
    );
  return (
    <section className="panel" data-schema={entry.schema}>
      <div className="row panel-title">
        <h2 className="h2 mono" style={{ margin: 0 }}>{entry.schema}</h2>
        {entry.rename && <span className="mono muted">→ {entry.rename}</span>}
        {whole && <Tag color="processing">{t('taskObjects.whole')}</Tag>}
        <span className="grow" />
        {remove(entry.schema)}
      </div>
      <ul className="object-list">
        {tables.filter((one) => one.table !== '*').map((one) => (
          <li key={one.table} className="row">
            <span className={one.exclude ? 'mono muted' : 'mono'}>{one.table}</span>
            {one.rename && <span className="mono muted">→ {one.rename}</span>}
            {one.exclude && <Tag>{t('taskObjects.excluded')}</Tag>}
            <Own table={one} />
            <span className="grow" />
            {!one.exclude && !/[*?]/.test(one.table) && remove(`${entry.schema}.${one.table}`)}
          </li>
        ))}
      </ul>
    </section>
  );
}

function Own({ table }: { table: TableEntry }) {
  const t = useT();
  return (
    <>
      {table.where && <span className="mono small muted">WHERE {table.where}</span>}
      {table.operations && <Tag>{table.operations.map((one) => t(`operation.${one}`)).join(', ') || t('table.noOperations')}</Tag>}
      {table.keyless && <Tag>{t(`options.${table.keyless}`)}</Tag>}
      {table.columns && <Tag>{t('taskObjects.columns')}</Tag>}
    </>
  );
}

/** What is selected already is not to be chosen again. */
export function additions(selection: Selection, known: Entry[]): Entry[] {
  const there = new Map(known.map((one) => [one.schema, (one.tables ?? []) as TableEntry[]]));
  return objects(selection).flatMap((entry) => {
    const tables = there.get(entry.schema);
    if (!tables || !entry.tables) return [entry];
    const fresh = entry.tables.filter((one) => !tables.some((old) => old.table === one.table && !old.exclude));
    return fresh.length > 0 ? [{ ...entry, tables: fresh }] : [];
  });
}

type AddingProps = { task: Task; known: Entry[]; onAdd: (changes: Changes) => Promise<void>; onClose: () => void };

function Adding({ task, known, onAdd, onClose }: AddingProps) {
  const t = useT();
  const narrow = useNarrow();
  const { message } = App.useApp();
  const tree = useTree({ side: 'source', task: task.id });
  const [selection, setSelection] = useState<Selection>({});
  const [search, setSearch] = useState('');
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const add = additions(selection, known);
  const save = async () => {
    setBusy(true);
    setError(null);
    try {
      await onAdd({ add });
      void message.success(t('taskObjects.added'), 6);
      onClose();
    } catch (failure) {
      setError(failure);
      setBusy(false);
    }
  };
  const find = (text: string) => {
    setSearch(text);
    if (text) tree.schemas?.forEach((one) => void tree.load(one.name));
  };
  return (
    <Drawer
      open
      width={narrow ? '100%' : 640}
      title={t('taskObjects.add')}
      onClose={onClose}
      footer={
        <div className="row">
          <span className="muted small grow">{busy ? t('taskObjects.checking') : ''}</span>
          <Button onClick={onClose}>{t('action.cancel')}</Button>
          <Button type="primary" loading={busy} disabled={add.length === 0} onClick={() => void save()}>
            {t('taskObjects.addNow')}
          </Button>
        </div>
      }
    >
      <div className="stack" style={{ gap: 10 }}>
        <Alert type="info" showIcon message={t('taskObjects.addHelp')} />
        {tree.error !== null && <Failure error={tree.error} onRetry={tree.again} />}
        {tree.schemas === null && tree.error === null && <Loading />}
        {tree.schemas?.length === 0 && <Nothing title={t('objects.none')} help={t('objects.noneHelp')} />}
        {tree.schemas !== null && tree.schemas.length > 0 && (
          <>
            <Input.Search allowClear value={search} onChange={(e) => find(e.target.value)} placeholder={t('objects.search')} aria-label={t('objects.search')} />
            <ObjectTree tree={tree} selection={selection} search={search} onSelect={setSelection} />
          </>
        )}
        {error !== null && <Failure error={error} />}
      </div>
    </Drawer>
  );
}
