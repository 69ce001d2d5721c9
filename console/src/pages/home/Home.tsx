// Home: every task, worst first, live; filters, and actions on many.
import { PlusOutlined } from '@ant-design/icons';
import { Button, Input, Select } from 'antd';
import { useDeferredValue, useMemo, useState } from 'react';
import { Link } from 'react-router-dom';
import type { Task, TaskState } from '../../api/client';
import { useTasks } from '../../api/queries';
import { useWho } from '../../app/session';
import { looks } from '../../components/StateTag';
import { Failure, Loading, Nothing } from '../../components/states';
import { useT } from '../../i18n';
import { useTitle } from '../../lib/title';
import { counts, fits, regions, worstFirst, type Filter } from '../../lib/tasks';
import { BulkActions } from './BulkActions';
import { TaskCards } from './TaskCards';
import { TaskTable } from './TaskTable';
import { useNarrow } from '../../lib/narrow';
import './home.css';

const NO_FILTER: Filter = { text: '', state: null, region: null };

export function Home() {
  const t = useT();
  const who = useWho();
  const tasks = useTasks();
  useTitle(t('home.title'));
  const narrow = useNarrow();
  const [filter, setFilter] = useState(NO_FILTER);
  const [selected, setSelected] = useState<string[]>([]);
  const wanted = useDeferredValue(filter);
  const all = useMemo(() => tasks.data ?? [], [tasks.data]);
  const shown = useMemo(() => all.filter((task) => fits(task, wanted)).sort(worstFirst), [all, wanted]);
  const chosen = useMemo(() => all.filter((task) => selected.includes(task.id)), [all, selected]);

  if (tasks.isPending) return <Loading />;
  return (
    <>
      <div className="page-title">
        <h1>{t('home.title')}</h1>
        <span className="grow" />
        {who.isOperator && <CreateButton />}
      </div>
      {tasks.error && <Failure error={tasks.error} onRetry={() => void tasks.refetch()} />}
      {all.length === 0 && !tasks.error ? (
        <div className="panel">
          <Nothing title={t('home.empty')} help={who.isOperator ? t('home.emptyHelp') : t('home.emptyViewer')}>
            {who.isOperator && <CreateButton />}
          </Nothing>
        </div>
      ) : (
        <div className="stack">
          <Counters tasks={all} state={filter.state} onState={(state) => setFilter({ ...filter, state })} />
          <Filters filter={filter} onChange={setFilter} tasks={all} shown={shown.length} />
          {chosen.length > 0 && <BulkActions tasks={chosen} onClear={() => setSelected([])} />}
          {shown.length === 0 ? (
            <div className="panel">
              <Nothing title={t('home.nothing')}>
                <Button onClick={() => setFilter(NO_FILTER)}>{t('home.resetFilters')}</Button>
              </Nothing>
            </div>
          ) : narrow ? (
            <TaskCards tasks={shown} />
          ) : (
            <TaskTable tasks={shown} selected={selected} onSelect={who.isOperator ? setSelected : undefined} />
          )}
        </div>
      )}
    </>
  );
}

function CreateButton() {
  const t = useT();
  return (
    <Link to="/create">
      <Button type="primary" icon={<PlusOutlined />} tabIndex={-1}>
        {t('home.create')}
      </Button>
    </Link>
  );
}

type CountersProps = { tasks: Task[]; state: TaskState | null; onState: (s: TaskState | null) => void };

/** Tasks by state, worst first; a click filters. */
function Counters({ tasks, state, onState }: CountersProps) {
  const t = useT();
  const found = counts(tasks);
  return (
    <div className="counters">
      <Counter n={tasks.length} label={t('home.all')} tone="all" on={state === null} onClick={() => onState(null)} />
      {[...found].map(([one, n]) => (
        <Counter
          key={one}
          n={n}
          label={t(`state.${one}`)}
          tone={looks[one].tone}
          on={state === one}
          onClick={() => onState(state === one ? null : one)}
        />
      ))}
    </div>
  );
}

function Counter(props: { n: number; label: string; tone: string; on: boolean; onClick: () => void }) {
  return (
    <button type="button" className={`counter tone-${props.tone}`} aria-pressed={props.on} onClick={props.onClick}>
      <span className="counter-n num">{props.n}</span>
      <span className="counter-label">{props.label}</span>
    </button>
  );
}

type FiltersProps = { filter: Filter; onChange: (f: Filter) => void; tasks: Task[]; shown: number };

function Filters({ filter, onChange, tasks, shown }: FiltersProps) {
  const t = useT();
  const known = regions(tasks);
  return (
    <div className="row">
      <Input.Search
        className="home-search"
        allowClear
        placeholder={t('home.search')}
        aria-label={t('home.search')}
        value={filter.text}
        onChange={(e) => onChange({ ...filter, text: e.target.value })}
      />
      {known.length > 0 && (
        <Select
          aria-label={t('home.region')}
          style={{ minWidth: 140 }}
          value={filter.region ?? ''}
          onChange={(region) => onChange({ ...filter, region: region || null })}
          options={[{ value: '', label: t('home.anyRegion') }, ...known.map((value) => ({ value, label: value }))]}
        />
      )}
      <span className="grow" />
      <span className="muted small" role="status">
        {t('home.shown', { shown, all: tasks.length })}
      </span>
    </div>
  );
}
