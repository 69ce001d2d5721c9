import { Alert } from 'antd';
import type { Schemas } from '../../api/client';
import { Code } from '../../components/Code';
import { useT } from '../../i18n';

/** What a test of connectivity found: the server, or the cause and what to change. */
export function TestResult({ test }: { test: Schemas['ConnectionTest'] }) {
  const t = useT();
  if (!test.reached)
    return (
      <Alert
        type="error"
        showIcon
        message={t('end.failed')}
        description={
          <div className="stack" style={{ gap: 8 }}>
            <div>{test.cause}</div>
            {test.hint && <Code text={test.hint} label={t('precheck.fix')} />}
            {test.address && <div className="small">{t('end.address', { address: test.address })}</div>}
          </div>
        }
      />
    );
  const notes = [
    t(test.encrypted ? 'end.encrypted' : 'end.plain'),
    test.rights?.superuser ? t('end.superuser') : null,
    test.rights?.replication ? t('end.replication') : null,
    test.encoding,
  ].filter(Boolean);
  const broken = test.replication && !test.replication.reached ? test.replication : null;
  const warnings = test.warnings ?? [];
  return (
    <Alert
      type={broken ? 'error' : warnings.length > 0 ? 'warning' : 'success'}
      showIcon
      message={t('end.reached', { version: test.version ?? '?', database: test.database ?? '', user: test.user ?? '' })}
      description={
        <>
          <div className="small">{notes.join(' · ')}</div>
          {warnings.map((warning) => (
            <div key={warning}>{warning}</div>
          ))}
          {broken && (
            <>
              <div>
                <b>{t('end.noReplication')}</b>: {broken.cause}
              </div>
              {broken.hint && <Code text={broken.hint} label={t('precheck.fix')} />}
            </>
          )}
        </>
      }
    />
  );
}
