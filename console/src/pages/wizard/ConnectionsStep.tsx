// Step 1: both servers, from a template or new, tested before going on.
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Alert, Button } from 'antd';
import { useState } from 'react';
import { api, body, type Schemas } from '../../api/client';
import { keys } from '../../api/queries';
import { Failure } from '../../components/states';
import { useT } from '../../i18n';
import { choice, missing, type End } from './draft';
import { limits } from './limits';
import { EndForm } from './EndForm';
import { TestResult } from './TestResult';
import { Foot, type StepProps } from './step';

type Test = Schemas['ConnectionTest'];
type Side = 'source' | 'destination';
export type Outcome = { busy: boolean; test: Test | null; error: unknown };
const untested: Outcome = { busy: false, test: null, error: null };

export function ConnectionsStep({ draft, change, go }: StepProps) {
  const t = useT();
  const client = useQueryClient();
  const templates = useQuery({
    queryKey: keys.connections,
    queryFn: () => body(api.GET('/api/v1/connections', { params: { query: { limit: 1000 } } })),
  });
  const [outcomes, setOutcomes] = useState<Record<Side, Outcome>>({ source: untested, destination: untested });
  const [strict, setStrict] = useState(false); // say what is missing
  const set = (side: Side, outcome: Outcome) => setOutcomes((old) => ({ ...old, [side]: outcome }));

  const test = async (side: Side): Promise<boolean> => {
    const end = draft[side];
    if (missing(end).length > 0) {
      setStrict(true);
      return false;
    }
    set(side, { busy: true, test: null, error: null });
    try {
      const result = await body(api.POST('/api/v1/connections/test', { body: choice(end, side) }));
      set(side, { busy: false, test: result, error: null });
      return result.reached && (side === 'destination' || !result.replication || result.replication.reached);
    } catch (error) {
      set(side, { busy: false, test: null, error });
      return false;
    }
  };
  const proceed = async () => {
    const fine = await Promise.all([test('source'), test('destination')]);
    if (fine.every(Boolean)) go(1);
  };
  const edit = (side: Side, end: End) => {
    change({ [side]: end });
    set(side, untested);
  };
  const { source, destination } = outcomes;
  const bothReached = source.test?.reached && destination.test?.reached;
  const known = bothReached ? limits(source.test?.version, destination.test?.version, t) : [];
  const busy = source.busy || destination.busy;
  return (
    <div className="stack">
      <div className="ends">
        {(['source', 'destination'] as const).map((side) => (
          <section key={side} className="panel panel-body" aria-label={t(`side.${side}`)}>
            <h2 className="h2">{t(`side.${side}`)}</h2>
            <p className="muted small">{t(`side.${side}Help`)}</p>
            <EndForm
              side={side}
              end={draft[side]}
              strict={strict}
              templates={templates.data?.items ?? []}
              error={outcomes[side].error}
              onChange={(end) => edit(side, end)}
              onTemplates={() => void client.invalidateQueries({ queryKey: keys.connections })}
            >
              <Button loading={outcomes[side].busy} onClick={() => void test(side)}>
                {t('end.test')}
              </Button>
            </EndForm>
            {outcomes[side].test && <TestResult test={outcomes[side].test} />}
            {outcomes[side].error !== null && <Failure error={outcomes[side].error} />}
          </section>
        ))}
      </div>
      {bothReached && (
        <Alert
          type={known.length > 0 ? 'warning' : 'info'}
          showIcon
          message={known.length > 0 ? known.join(' ') : t('pair.fine', { source: source.test?.version ?? '', destination: destination.test?.version ?? '' })}
        />
      )}
      <Foot>
        <Button type="primary" loading={busy} disabled={!draft.name.trim()} onClick={() => void proceed()}>
          {t('wizard.testNext')}
        </Button>
      </Foot>
    </div>
  );
}
