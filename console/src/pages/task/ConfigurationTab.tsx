// The specification as YAML: read, copy, edit; every version and what it changed.
import { App, Button, Input, Space, Tag, Tooltip } from 'antd';
import { useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { ApiError, api, full, type Task } from '../../api/client';
import { keys, useSpecHistory, useSpecVersion, useSpecYaml } from '../../api/queries';
import { useWho } from '../../app/session';
import { Code } from '../../components/Code';
import { Failure, Loading } from '../../components/states';
import { Time } from '../../components/Time';
import { useT } from '../../i18n';
import { diff, folded } from '../../lib/diff';

export function ConfigurationTab({ task }: { task: Task }) {
  const t = useT();
  const who = useWho();
  const spec = useSpecYaml(task.id);
  const [editing, setEditing] = useState<{ yaml: string; etag: string } | null>(null);
  if (spec.isPending) return <Loading />;
  if (!spec.data) return <Failure error={spec.error} onRetry={() => void spec.refetch()} />;
  const { yaml, etag } = spec.data;
  const can = task.actions.includes('edit');
  return (
    <div className="config">
      <section className="stack">
        {editing ? (
          <Editor task={task} start={editing} onClose={() => setEditing(null)} />
        ) : (
          <>
            <Code text={yaml} label={t('config.yaml')} />
            {who.isOperator && (
              <Tooltip title={can ? undefined : t('config.cannotEdit')}>
                <Button style={{ alignSelf: 'flex-start' }} disabled={!can} onClick={() => setEditing({ yaml, etag })}>
                  {t('config.edit')}
                </Button>
              </Tooltip>
            )}
            <div>
              <h2 className="h2">{t('config.cli')}</h2>
              <Code text={`pgsluice task create ${task.name}.yaml   # this file, with the passwords in it\npgsluice task check ID && pgsluice task start ID`} label={t('config.cli')} />
            </div>
          </>
        )}
      </section>
      <History task={task} />
    </div>
  );
}

function Editor({ task, start, onClose }: { task: Task; start: { yaml: string; etag: string }; onClose: () => void }) {
  const t = useT();
  const client = useQueryClient();
  const { message } = App.useApp();
  const [text, setText] = useState(start.yaml);
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  const save = async () => {
    setBusy(true);
    setError(null);
    try {
      const { etag } = await full(
        api.PUT('/api/v1/tasks/{task}/spec', {
          params: { path: { task: task.id }, header: { 'If-Match': start.etag } },
          headers: { 'Content-Type': 'application/yaml' },
          body: text as never,
          bodySerializer: (yaml: unknown) => yaml as string,
        }),
      );
      void message.success(t('config.saved', { version: (etag ?? '').replace(/"/g, '') }), 6);
      onClose();
    } catch (failure) {
      setError(failure);
      setBusy(false);
    }
    void client.invalidateQueries({ queryKey: keys.task(task.id) });
  };
  const beaten = error instanceof ApiError && error.status === 412;
  return (
    <>
      <Input.TextArea className="mono" autoSize={{ minRows: 14, maxRows: 40 }} spellCheck={false} value={text} onChange={(e) => setText(e.target.value)} aria-label={t('config.yaml')} />
      {error !== null && <Failure error={beaten ? new Error(t('config.conflict')) : error} />}
      <Space>
        <Button type="primary" loading={busy} onClick={() => void save()}>
          {t('action.save')}
        </Button>
        <Button disabled={busy} onClick={onClose}>
          {t('action.cancel')}
        </Button>
      </Space>
    </>
  );
}

function History({ task }: { task: Task }) {
  const t = useT();
  const history = useSpecHistory(task.id);
  const [chosen, setChosen] = useState<number | null>(null);
  if (!history.data) return history.isPending ? <Loading /> : <Failure error={history.error} />;
  const version = chosen ?? history.data.items[0]?.version ?? 0;
  return (
    <section className="stack">
      <h2 className="h2">{t('config.history')}</h2>
      <ul className="panel versions">
        {history.data.items.map((item) => (
          <li key={item.version}>
            <button type="button" aria-pressed={item.version === version} onClick={() => setChosen(item.version)}>
              <b>{t('config.version', { n: item.version })}</b>
              {item.version === task.spec_version && <Tag>{t('config.current')}</Tag>}
              <span className="grow" />
              <span className="muted small">{item.actor}</span>
              <Time at={item.time} />
            </button>
          </li>
        ))}
      </ul>
      {version > 0 && <Difference task={task.id} version={version} />}
    </section>
  );
}

function Difference({ task, version }: { task: string; version: number }) {
  const t = useT();
  const now = useSpecVersion(task, version);
  const before = useSpecVersion(task, version - 1);
  if (version === 1) return <p className="muted">{t('config.first')}</p>;
  if (!now.data || !before.data) return now.error || before.error ? <Failure error={now.error ?? before.error} /> : <Loading />;
  // without commas a line differs only where its content does
  const text = (spec: unknown) => JSON.stringify(spec, null, 2).replace(/,$/gm, '');
  const lines = diff(text(before.data), text(now.data));
  const shown = folded(lines);
  return (
    <div>
      <div className="muted small">{t('config.compare', { old: version - 1, new: version })}</div>
      {lines.every((l) => l.kind === 'same') ? (
        <p>{t('config.same')}</p>
      ) : (
        <pre className="code mono diff" role="group" aria-label={t('config.compare', { old: version - 1, new: version })} tabIndex={0}>
          {shown.map((line, i) =>
            line ? (
              <div key={i} className={line.kind}>
                {line.kind === 'same' ? '  ' : line.kind === 'old' ? '- ' : '+ '}
                {line.text}
              </div>
            ) : (
              <div key={i} className="muted">⋯</div>
            ),
          )}
        </pre>
      )}
    </div>
  );
}
