// Names in the destination: the case of letters and bulk rules, and what they make of every object.
import { ArrowDownOutlined, ArrowUpOutlined, DeleteOutlined, PlusOutlined } from '@ant-design/icons';
import { Alert, Button, Checkbox, Input, Select, Tag, type TableColumnsType } from 'antd';
import { useMemo, useState } from 'react';
import { api, body, type Schemas } from '../../api/client';
import { Listing } from '../../components/Listing';
import { Failure } from '../../components/states';
import { useT } from '../../i18n';
import { newTask, type Draft } from './draft';
import { cases, ruleKinds, type Names, type Rule } from './selection';

type Props = { draft: Draft; onChange: (names: Names) => void };
const empty: Rule = { of: 'tables', objects: '', kind: 'prefix', from: '', to: '' };

export function NamesPanel({ draft, onChange }: Props) {
  const t = useT();
  const { names } = draft;
  const set = (rules: Rule[]) => onChange({ ...names, rules });
  const move = (at: number, by: number) => {
    const rules = [...names.rules];
    const [rule] = rules.splice(at, 1);
    rules.splice(at + by, 0, rule!);
    set(rules);
  };
  return (
    <section className="panel panel-body stack" aria-label={t('names.title')}>
      <div>
        <h2 className="h2">{t('names.title')}</h2>
        <p className="muted small">{t('names.help')}</p>
      </div>
      <div className="row">
        <label htmlFor="names-case">{t('names.case')}</label>
        <Select
          id="names-case"
          style={{ minWidth: 280, maxWidth: '100%' }}
          value={names.case}
          onChange={(letters) => onChange({ ...names, case: letters })}
          options={cases.map((value) => ({ value, label: t(`case.${value}`) }))}
        />
      </div>
      {names.rules.map((rule, i) => (
        <RuleRow
          key={i}
          number={i + 1}
          rule={rule}
          onChange={(part) => set(names.rules.map((one, j) => (i === j ? { ...one, ...part } : one)))}
          onDelete={() => set(names.rules.filter((_, j) => i !== j))}
          onUp={i > 0 ? () => move(i, -1) : undefined}
          onDown={i < names.rules.length - 1 ? () => move(i, 1) : undefined}
        />
      ))}
      <div>
        <Button icon={<PlusOutlined />} onClick={() => set([...names.rules, empty])}>
          {t('names.addRule')}
        </Button>
      </div>
      <Preview draft={draft} />
    </section>
  );
}

type RuleProps = { number: number; rule: Rule; onChange: (part: Partial<Rule>) => void; onDelete: () => void; onUp?: () => void; onDown?: () => void };

function RuleRow({ number, rule, onChange, onDelete, onUp, onDown }: RuleProps) {
  const t = useT();
  const whole = rule.kind === 'prefix' || rule.kind === 'suffix';
  const patterns = { tables: 'shop.tmp_*', schemas: 'shop*', columns: 'shop.*.cust' };
  const label = (what: string) => `${t('names.rule', { n: number })}: ${what}`;
  return (
    <div className="rule" data-rule={number}>
      <b className="num">{number}</b>
      <Select aria-label={label(t('names.of'))} value={rule.of} onChange={(of) => onChange({ of })} options={(['tables', 'schemas', 'columns'] as const).map((value) => ({ value, label: t(`names.${value}`) }))} />
      <Input aria-label={label(t('names.objects'))} className="mono" spellCheck={false} placeholder={t('names.allBut', { example: patterns[rule.of] })} value={rule.objects} onChange={(e) => onChange({ objects: e.target.value })} />
      <Select aria-label={label(t('names.kind'))} value={rule.kind} onChange={(kind) => onChange({ kind })} options={ruleKinds.map((value) => ({ value, label: t(`names.${value}`) }))} />
      {!whole && <Input aria-label={label(t('names.from'))} className="mono" spellCheck={false} placeholder={rule.kind === 'regex' ? '^tbl_(.*)$' : 'tmp_'} value={rule.from} onChange={(e) => onChange({ from: e.target.value })} />}
      <Input aria-label={label(t('names.to'))} className="mono" spellCheck={false} placeholder={whole ? 'eu_' : rule.kind === 'regex' ? '\\1' : ''} value={rule.to} onChange={(e) => onChange({ to: e.target.value })} />
      <span className="rule-tools">
        <Button size="small" type="text" disabled={!onUp} icon={<ArrowUpOutlined />} aria-label={label(t('names.up'))} onClick={onUp} />
        <Button size="small" type="text" disabled={!onDown} icon={<ArrowDownOutlined />} aria-label={label(t('names.down'))} onClick={onDown} />
        <Button size="small" type="text" danger icon={<DeleteOutlined />} aria-label={label(t('action.delete'))} onClick={onDelete} />
      </span>
    </div>
  );
}

type Mapping = Schemas['Mapping'];
type Item = Mapping['items'][number];

/** Asks the service; it names every object before and after, as the task would. */
function Preview({ draft }: { draft: Draft }) {
  const t = useT();
  const task = useMemo(() => newTask(draft), [draft]);
  const about = JSON.stringify([task.spec.objects, task.spec.names]);
  const [found, setFound] = useState<{ about: string; mapping: Mapping } | null>(null);
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  const ask = async () => {
    setBusy(true);
    setError(null);
    try {
      setFound({ about, mapping: await body(api.POST('/api/v1/preview/mapping', { body: task })) });
    } catch (failure) {
      setFound(null);
      setError(failure);
    }
    setBusy(false);
  };
  return (
    <div className="stack" style={{ gap: 10 }}>
      <div className="row">
        <Button loading={busy} disabled={task.spec.objects.length === 0} onClick={() => void ask()}>
          {t('names.preview')}
        </Button>
        {found && found.about !== about && <span className="muted small">{t('names.changed')}</span>}
      </div>
      {error !== null && <Failure error={error} />}
      {found && <MappingTable mapping={found.mapping} />}
    </div>
  );
}

function MappingTable({ mapping }: { mapping: Mapping }) {
  const t = useT();
  const [all, setAll] = useState(false);
  const [search, setSearch] = useState('');
  const differ = useMemo(() => mapping.items.filter((one) => one.collision || one.source !== one.destination), [mapping]);
  const items = useMemo(() => {
    const words = search.toLowerCase();
    const fit = (all ? mapping.items : differ).filter((one) => `${one.source} ${one.destination}`.toLowerCase().includes(words));
    return fit.sort((a, b) => Number(b.collision) - Number(a.collision));
  }, [mapping, differ, all, search]);
  const columns: TableColumnsType<Item> = [
    { title: t('names.what'), key: 'kind', width: 96, render: (_, one) => t(`names.one.${one.kind}`) },
    { title: t('names.before'), key: 'source', render: (_, one) => <span className="mono">{one.source}</span> },
    {
      title: t('names.after'),
      key: 'destination',
      render: (_, one) => (
        <>
          <span className="mono">{one.source === one.destination ? <span className="muted">{one.destination}</span> : one.destination}</span>{' '}
          {one.collision && <Tag color="error">{t('names.collision')}</Tag>}
        </>
      ),
    },
  ];
  return (
    <>
      <Alert
        type={mapping.collisions > 0 ? 'error' : 'success'}
        showIcon
        message={mapping.collisions > 0 ? t('names.collisions', { n: mapping.collisions }) : t('names.fine', { n: differ.length, all: mapping.items.length })}
        description={mapping.collisions > 0 ? t('names.collisionsHelp') : undefined}
      />
      <div className="row">
        <Input.Search allowClear className="home-search" value={search} onChange={(e) => setSearch(e.target.value)} placeholder={t('names.search')} aria-label={t('names.search')} />
        <Checkbox checked={all} onChange={(e) => setAll(e.target.checked)}>
          {t('names.showAll')}
        </Checkbox>
      </div>
      <Listing<Item>
        rowKey={(one) => `${one.kind} ${one.source}`}
        size="small"
        columns={columns}
        dataSource={items}
        virtual={items.length > 50}
        scroll={items.length > 50 ? { x: 560, y: 400 } : { x: 560 }}
        pagination={false}
        rowClassName={(one) => (one.collision ? 'collision' : '')}
        locale={{ emptyText: t('names.allSame') }}
      />
    </>
  );
}
