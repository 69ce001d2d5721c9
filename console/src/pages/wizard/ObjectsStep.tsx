// Step 2: stages, what happens to tables that exist, and the objects.
import { Alert, Button, Checkbox, Input, Radio } from 'antd';
import { useDeferredValue, useEffect, useState } from 'react';
import { Failure, Loading, Nothing } from '../../components/states';
import { useT } from '../../i18n';
import type { Draft } from './draft';
import { objects } from './draft';
import { ObjectTree } from './ObjectTree';
import { useTree } from './useTree';
import { Foot, type StepProps } from './step';

export function ObjectsStep({ draft, change, go }: StepProps) {
  const t = useT();
  const [search, setSearch] = useState('');
  const [tried, setTried] = useState(false);
  const wanted = useDeferredValue(search);
  const { schemas, tables, error, load, again } = useTree(draft.source);
  useEffect(() => {
    // a search looks everywhere
    if (wanted) schemas?.forEach((one) => void load(one.name));
  }, [wanted, schemas, load]);

  const chosen = objects(draft.selection);
  const whole = chosen.filter((one) => !one.tables).length;
  const single = chosen.reduce((n, one) => n + (one.tables?.length ?? 0), 0);
  const problem = draft.stages.length === 0 ? t('objects.noStage') : chosen.length === 0 ? t('objects.nothing') : null;
  return (
    <div className="stack">
      <Choices draft={draft} change={change} />
      <section className="panel panel-body">
        <h2 className="h2">{t('objects.select')}</h2>
        <p className="muted small">{t('objects.selectHelp')}</p>
        {error !== null && <Failure error={error} onRetry={again} />}
        {schemas === null && error === null && <Loading />}
        {schemas?.length === 0 && <Nothing title={t('objects.none')} help={t('objects.noneHelp')} />}
        {schemas !== null && schemas.length > 0 && (
          <div className="stack" style={{ gap: 10 }}>
            <Input.Search allowClear value={search} onChange={(e) => setSearch(e.target.value)} placeholder={t('objects.search')} aria-label={t('objects.search')} />
            <ObjectTree schemas={schemas} tables={tables} selection={draft.selection} search={wanted} onOpen={(schema) => void load(schema)} onSelect={(selection) => change({ selection })} />
            <div role="status">{t('objects.chosen', { schemas: whole, tables: single })}</div>
          </div>
        )}
      </section>
      {tried && problem && <Alert type="error" showIcon message={problem} role="alert" />}
      <Foot onBack={() => go(0)}>
        <Button type="primary" onClick={() => (problem ? setTried(true) : go(2))}>
          {t('wizard.next')}
        </Button>
      </Foot>
    </div>
  );
}

function Choices({ draft, change }: { draft: Draft; change: StepProps['change'] }) {
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
      </fieldset>
    </div>
  );
}
