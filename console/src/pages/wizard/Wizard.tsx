// Create a task, step by step. The steps are files of their own; each gets the draft and changes it.
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Button, Input, Popconfirm, Progress, Steps } from 'antd';
import { useState } from 'react';
import { useNavigate, useParams } from 'react-router-dom';
import { api, body } from '../../api/client';
import { useWho } from '../../app/session';
import { Failure, Loading } from '../../components/states';
import { Time } from '../../components/Time';
import { useT } from '../../i18n';
import { useTitle } from '../../lib/title';
import { useNarrow } from '../../lib/narrow';
import { ApiError } from '../../api/client';
import { ConnectionsStep } from './ConnectionsStep';
import { emptyDraft } from './draft';
import { ObjectsStep } from './ObjectsStep';
import { OptionsStep } from './OptionsStep';
import { PrecheckStep } from './PrecheckStep';
import { ReviewStep } from './ReviewStep';
import { loadDraft, useDraft, type Saving } from './useDraft';
import './wizard.css';

const steps = ['connections', 'objects', 'options', 'precheck', 'review'] as const;
const content = [ConnectionsStep, ObjectsStep, OptionsStep, PrecheckStep, ReviewStep];

export function Wizard() {
  const who = useWho();
  const { draft: id } = useParams();
  useTitle(useT()('wizard.title'));
  const stored = useQuery({
    queryKey: ['draft', id ?? 'new'],
    enabled: id !== undefined,
    gcTime: 0,
    staleTime: Infinity,
    refetchOnWindowFocus: false,
    queryFn: () => loadDraft(id!),
  });
  if (!who.isOperator) return <Failure error={new ApiError({ type: 'forbidden', title: '', status: 403 })} />;
  if (id !== undefined && stored.isPending) return <Loading />;
  if (id !== undefined && !stored.data) return <Failure error={stored.error} />;
  return <Stepper key={id ?? 'new'} start={stored.data ?? null} />;
}

function Stepper({ start }: { start: Parameters<typeof useDraft>[0] }) {
  const t = useT();
  const [fresh] = useState(emptyDraft);
  const { draft, change, saving, finish } = useDraft(start, fresh);
  const [reached, setReached] = useState(draft.step);
  const go = (step: number) => {
    change({ step });
    setReached(Math.max(reached, step));
    const main = document.getElementById('main');
    main?.focus();
    main?.parentElement?.scrollTo(0, 0);
  };
  const narrow = useNarrow();
  const Step = content[draft.step] ?? ConnectionsStep;
  return (
    <>
      <div className="page-title">
        <h1>{t('wizard.title')}</h1>
        <Input
          className="wizard-name"
          aria-label={t('wizard.name')}
          value={draft.name}
          maxLength={200}
          disabled={draft.task !== null}
          onChange={(e) => change({ name: e.target.value })}
        />
        <Saved state={saving} />
      </div>
      {!start && draft.step === 0 && <Drafts />}
      <div className="wizard">
        {narrow ? (
          <div>
            <Progress steps={steps.length} percent={((draft.step + 1) * 100) / steps.length} showInfo={false} aria-hidden />
            <div role="status">{t('wizard.stepOf', { n: draft.step + 1, all: steps.length, name: t(`wizard.${steps[draft.step] ?? 'connections'}`) })}</div>
          </div>
        ) : (
          <Steps
            className="wizard-steps"
            direction="vertical"
            size="small"
            current={draft.step}
            onChange={(step) => step <= reached && go(step)}
            items={steps.map((name, i) => ({ title: t(`wizard.${name}`), disabled: i > reached }))}
          />
        )}
        <div className="wizard-content">
          <Step draft={draft} change={change} go={go} finish={finish} />
        </div>
      </div>
    </>
  );
}

function Saved({ state }: { state: Saving }) {
  const t = useT();
  const text = { idle: '', saving: t('wizard.saving'), saved: t('wizard.saved'), failed: t('wizard.notSaved') }[state];
  return (
    <span className="muted small" role="status">
      {text}
    </span>
  );
}

/** What was begun and not finished. */
function Drafts() {
  const t = useT();
  const client = useQueryClient();
  const navigate = useNavigate();
  const drafts = useQuery({ queryKey: ['drafts'], queryFn: () => body(api.GET('/api/v1/drafts')) });
  const [listed] = useState(Date.now); // those that were there when the page opened
  const items = (drafts.data?.items ?? []).filter((one) => Date.parse(one.updated_at) < listed);
  if (items.length === 0) return null;
  const discard = async (draft: string) => {
    await body(api.DELETE('/api/v1/drafts/{draft}', { params: { path: { draft } } })).catch(() => null);
    void client.invalidateQueries({ queryKey: ['drafts'] });
  };
  return (
    <section className="panel panel-body drafts">
      <h2 className="h2">{t('wizard.drafts')}</h2>
      {items.slice(0, 5).map((one) => (
        <div className="row" key={one.id}>
          <span className="grow ellipsis">{one.name}</span>
          <span className="hide-narrow">
            <Time at={one.updated_at} />
          </span>
          <Button size="small" onClick={() => navigate(`/create/${one.id}`)}>
            {t('wizard.continue')}
          </Button>
          <Popconfirm title={t('wizard.discardTitle')} okText={t('wizard.discard')} onConfirm={() => discard(one.id)}>
            <Button size="small" danger>
              {t('wizard.discard')}
            </Button>
          </Popconfirm>
        </div>
      ))}
    </section>
  );
}
