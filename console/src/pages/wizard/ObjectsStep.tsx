// Step 2: stages, what happens to tables that exist, the objects and their names.
import { Alert, Button, Checkbox, Input, Radio } from 'antd';
import { useDeferredValue, useEffect, useState } from 'react';
import { Failure, Loading, Nothing } from '../../components/states';
import { useT } from '../../i18n';
import { choice, type Draft } from './draft';
import { NamesPanel } from './NamesPanel';
import { ObjectTree } from './ObjectTree';
import { isWhole, objects, withTable } from './selection';
import { Foot, type StepProps } from './step';
import { TableSettings } from './TableSettings';
import { useTree } from './useTree';

export function ObjectsStep({ draft, change, go }: StepProps) {
  const t = useT();
  const [tried, setTried] = useState(false);
  const chosen = objects(draft.selection, draft.options);
  const problem = draft.stages.length === 0 ? t('objects.noStage') : chosen.length === 0 ? t('objects.nothing') : null;
  return (
    <div className="stack">
      <Choices draft={draft} change={change} />
      <Selecting draft={draft} change={change} />
      <NamesPanel draft={draft} onChange={(names) => change({ names })} />
      {tried && problem && <Alert type="error" showIcon message={problem} role="alert" />}
      <Foot onBack={() => go(0)}>
        <Button type="primary" onClick={() => (problem ? setTried(true) : go(2))}>
          {t('wizard.next')}
        </Button>
      </Foot>
    </div>
  );
}

function Selecting({ draft, change }: Pick<StepProps, 'draft' | 'change'>) {
  const t = useT();
  const [search, setSearch] = useState('');
  const [edited, setEdited] = useState<{ schema: string; table: string } | null>(null);
  const wanted = useDeferredValue(search);
  const where = choice(draft.source, 'source');
  const tree = useTree(where);
  const { schemas, error, load, again } = tree;
  useEffect(() => {
    // a search looks everywhere
    if (wanted) schemas?.forEach((one) => void load(one.name));
  }, [wanted, schemas, load]);
  const { side: _, ...server } = where;
  return (
    <section className="panel panel-body">
      <h2 className="h2">{t('objects.select')}</h2>
      <p className="muted small">{t('objects.selectHelp')}</p>
      {error !== null && <Failure error={error} onRetry={again} />}
      {schemas === null && error === null && <Loading />}
      {schemas?.length === 0 && <Nothing title={t('objects.none')} help={t('objects.noneHelp')} />}
      {schemas !== null && schemas.length > 0 && (
        <div className="stack" style={{ gap: 10 }}>
          <Input.Search allowClear value={search} onChange={(e) => setSearch(e.target.value)} placeholder={t('objects.search')} aria-label={t('objects.search')} />
          <ObjectTree
            tree={tree}
            selection={draft.selection}
            options={draft.options}
            search={search}
            onSelect={(selection) => change({ selection })}
            onOptions={(options) => change({ options })}
            onSettings={(schema, table) => setEdited({ schema, table })}
          />
          <Summary draft={draft} />
        </div>
      )}
      {edited && (
        <TableSettings
          {...edited}
          server={server}
          own={draft.options[edited.schema]?.tables?.[edited.table] ?? {}}
          onChange={(part) => change({ options: withTable(draft.options, edited.schema, edited.table, part) })}
          onClose={() => setEdited(null)}
        />
      )}
    </section>
  );
}

function Summary({ draft }: { draft: Draft }) {
  const t = useT();
  const all = Object.values(draft.selection);
  const whole = all.filter(isWhole).length;
  const single = all.reduce((n, one) => n + (Array.isArray(one) ? one.length : 0), 0);
  const left = all.reduce((n, one) => n + (isWhole(one) && one !== 'all' ? one.except.length : 0), 0);
  return (
    <div role="status">
      {t('objects.chosen', { schemas: whole, tables: single })}
      {left > 0 && `, ${t('objects.leftOut', { n: left })}`}
    </div>
  );
}

function Choices({ draft, change }: Pick<StepProps, 'draft' | 'change'>) {
  const t = useT();
  return (
    <div className="ends">
      <fieldset className="panel panel-body">
        <legend className="h2">{t('objects.stages')}</legend>
        {(['schema', 'full', 'incremental'] as const).map((stage) => (
          <div key={stage}>
            <Checkbox
              checked={draft.stages.includes(stage)}
              onChange={(e) =>
                change({ stages: (['schema', 'full', 'incremental'] as const).filter((one) => (one === stage ? e.target.checked : draft.stages.includes(one))) })
              }
            >
              <b>{t(`stage.${stage}`)}</b>: {t(`objects.${stage}Help`)}
            </Checkbox>
          </div>
        ))}
      </fieldset>
      <fieldset className="panel panel-body">
        <legend className="h2">{t('objects.conflict')}</legend>
        <Radio.Group value={draft.conflict} onChange={(e) => change({ conflict: e.target.value as Draft['conflict'] })}>
          {(['report', 'proceed'] as const).map((one) => (
            <div key={one}>
              <Radio value={one}>
                <b>{t(`objects.${one}`)}</b>
                <div className="muted small">{t(`objects.${one}Help`)}</div>
              </Radio>
            </div>
          ))}
        </Radio.Group>
        {draft.conflict === 'proceed' && (
          <ul className="consequences small">
            {(['schema', 'full', 'incremental'] as const)
              .filter((stage) => draft.stages.includes(stage))
              .map((stage) => (
                <li key={stage}>
                  <b>{t(`stage.${stage}`)}</b>: {t(`proceed.${stage}`)}
                </li>
              ))}
            <li>{t('proceed.back')}</li>
          </ul>
        )}
      </fieldset>
    </div>
  );
}
