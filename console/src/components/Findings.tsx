// The precheck's findings: success rate, grouped by side, the worst first, each with its cause and a fix to copy.
import { CheckCircleFilled, CloseCircleFilled, ExclamationCircleFilled, MinusCircleFilled, ReloadOutlined, StopOutlined } from '@ant-design/icons';
import { Button, Popconfirm, Progress, Spin, Tooltip } from 'antd';
import { useState, type ReactNode } from 'react';
import type { Schemas } from '../api/client';
import { useT } from '../i18n';
import { Code } from './Code';
import { Time } from './Time';
import './findings.css';

export type Finding = Schemas['Finding'];
type Shown = Finding['result'] | 'ignored';

export const nameOf = (f: Pick<Finding, 'check' | 'object'>) => (f.object ? `${f.check}@${f.object}` : f.check);
export const shownAs = (f: Finding): Shown => (f.ignored && f.result === 'failed' ? 'ignored' : f.result);

const order: Shown[] = ['failed', 'not_run', 'warning', 'ignored', 'passed'];
const icons: Record<Shown, ReactNode> = {
  passed: <CheckCircleFilled style={{ color: 'var(--ant-color-success)' }} />,
  warning: <ExclamationCircleFilled style={{ color: 'var(--ant-color-warning)' }} />,
  failed: <CloseCircleFilled style={{ color: 'var(--ant-color-error)' }} />,
  not_run: <MinusCircleFilled style={{ color: 'var(--ant-color-text-tertiary)' }} />,
  ignored: <StopOutlined style={{ color: 'var(--ant-color-text-tertiary)' }} />,
};

/** Not passed, worst first; then how many passed. */
export function arrange(items: Finding[], side: Finding['side']) {
  const here = items.filter((f) => f.side === side);
  const open = here.filter((f) => f.result !== 'passed');
  open.sort((a, b) => order.indexOf(shownAs(a)) - order.indexOf(shownAs(b)));
  return { open, passed: here.filter((f) => f.result === 'passed') };
}

type Props = {
  findings: Schemas['Findings'];
  running: boolean;
  onIgnore?: (finding: Finding, ignore: boolean) => Promise<void>;
  onRerun?: (check: string) => Promise<void>;
};

export function Findings({ findings, running, onIgnore, onRerun }: Props) {
  const t = useT();
  const { summary, items } = findings;
  if (!summary) return null;
  const bad = summary.failed > 0;
  return (
    <div className="stack">
      <div className="row findings-summary">
        <Progress
          type="circle"
          size={56}
          percent={summary.rate}
          status={bad ? 'exception' : 'success'}
          format={(n) => <span className="num small">{n} %</span>}
          aria-label={t('precheck.rate', { rate: summary.rate })}
        />
        <div>
          <b>{t('precheck.rate', { rate: summary.rate })}</b>
          <div className="muted">{t('precheck.summary', { passed: summary.passed, warnings: summary.warnings, failed: summary.failed, ignored: summary.ignored })}</div>
          <div className="muted small">
            {t('precheck.at')} <Time at={summary.checked_at} />
          </div>
        </div>
        {running && <Spin size="small" />}
      </div>
      <div className="findings-sides">
        {(['source', 'destination'] as const).map((side) => (
          <Side key={side} side={side} items={items} onIgnore={onIgnore} onRerun={running ? undefined : onRerun} />
        ))}
      </div>
    </div>
  );
}

type SideProps = Pick<Props, 'onIgnore' | 'onRerun'> & { side: Finding['side']; items: Finding[] };

function Side({ side, items, onIgnore, onRerun }: SideProps) {
  const t = useT();
  const [all, setAll] = useState(false);
  const { open, passed } = arrange(items, side);
  return (
    <section className="panel findings-side">
      <h2>{t(`precheck.${side}`)}</h2>
      <ul>
        {open.map((f) => (
          <Item key={nameOf(f)} finding={f} onIgnore={onIgnore} onRerun={onRerun} />
        ))}
        {passed.length > 0 && (
          <li className="finding">
            <div className="row">
              {icons.passed}
              <span className="grow">{t('precheck.passedAll', { n: passed.length })}</span>
              {!all && (
                <Button size="small" type="link" onClick={() => setAll(true)}>
                  {t('precheck.showPassed')}
                </Button>
              )}
            </div>
          </li>
        )}
        {all && passed.map((f) => <Item key={nameOf(f)} finding={f} />)}
      </ul>
    </section>
  );
}

type ItemProps = Pick<Props, 'onIgnore' | 'onRerun'> & { finding: Finding };

function Item({ finding, onIgnore, onRerun }: ItemProps) {
  const [busy, setBusy] = useState(false);
  const t = useT();
  const as = shownAs(finding);
  const [open, setOpen] = useState(as === 'failed');
  const details = finding.cause || finding.remedy;
  return (
    <li className="finding" data-check={finding.check} data-result={as}>
      <div className="row">
        {icons[as]}
        <span className="grow">
          {finding.title}
          {finding.object && <span className="mono small"> {finding.object}</span>}
          <span className="muted small"> · {t(`finding.${as}`)}</span>
          {as === 'failed' && !finding.ignorable && <span className="muted small"> · {t('precheck.blocks')}</span>}
        </span>
        {onIgnore && finding.ignorable && as === 'failed' && (
          <Popconfirm title={t('precheck.ignoreTitle')} description={<div style={{ maxWidth: 360 }}>{finding.cause}</div>} okText={t('precheck.ignore')} onConfirm={() => onIgnore(finding, true)}>
            <Button size="small">{t('precheck.ignore')}</Button>
          </Popconfirm>
        )}
        {onRerun && as !== 'passed' && (
          <Tooltip title={t('precheck.rerunOne')}>
            <Button
              size="small"
              type="text"
              icon={<ReloadOutlined />}
              loading={busy}
              aria-label={`${t('precheck.rerunOne')}: ${finding.title}`}
              onClick={() => {
                setBusy(true);
                void onRerun(finding.check).finally(() => setBusy(false));
              }}
            />
          </Tooltip>
        )}
        {onIgnore && as === 'ignored' && (
          <Button size="small" onClick={() => void onIgnore(finding, false)}>
            {t('precheck.unignore')}
          </Button>
        )}
        {details && (
          <Button size="small" type="link" aria-expanded={open} onClick={() => setOpen(!open)}>
            {t(open ? 'precheck.hide' : 'precheck.details')}
          </Button>
        )}
      </div>
      {open && details && (
        <div className="finding-details">
          {finding.cause && (
            <>
              <div className="small muted">{t('precheck.cause')}</div>
              <div>{finding.cause}</div>
            </>
          )}
          {finding.remedy && (
            <>
              <div className="small muted">{t('precheck.fix')}</div>
              <Code text={finding.remedy} label={t('precheck.fix')} maxHeight={220} />
            </>
          )}
          <div className="small muted mono">{nameOf(finding)}</div>
        </div>
      )}
    </li>
  );
}
