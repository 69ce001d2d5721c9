// The operator's service terms: read by all, put in force by admins.
import { useQueryClient } from '@tanstack/react-query';
import { Button, Form, Input } from 'antd';
import { useState } from 'react';
import { api, body } from '../../api/client';
import { useTerms } from '../../api/usage';
import { useWho } from '../../app/session';
import { Failure, Loading, Nothing } from '../../components/states';
import { useT } from '../../i18n';

export function TermsTab() {
  const t = useT();
  const who = useWho();
  const terms = useTerms();
  const [editing, setEditing] = useState(false);
  if (terms.isPending) return <Loading />;
  if (!terms.data) return <Failure error={terms.error} onRetry={() => void terms.refetch()} />;
  if (editing) return <Editor text={terms.data.text} onClose={() => setEditing(false)} />;
  const make = who.isAdmin && <Button onClick={() => setEditing(true)}>{t('terms.new')}</Button>;
  if (terms.data.version === null)
    return (
      <div className="panel">
        <Nothing title={t('terms.none')} help={t('terms.noneHelp')}>{make}</Nothing>
      </div>
    );
  return (
    <div className="stack" style={{ maxWidth: 860 }}>
      <section className="panel panel-body">
        <h2 className="h2">{t('terms.version', { version: terms.data.version })}</h2>
        <div style={{ whiteSpace: 'pre-wrap', overflowWrap: 'anywhere' }}>{terms.data.text}</div>
      </section>
      <div>{make}</div>
    </div>
  );
}

function Editor({ text: before, onClose }: { text: string; onClose: () => void }) {
  const t = useT();
  const client = useQueryClient();
  const [version, setVersion] = useState(new Date().toISOString().slice(0, 10));
  const [text, setText] = useState(before);
  const [error, setError] = useState<unknown>(null);
  const save = async () => {
    setError(null);
    try {
      await body(api.PUT('/api/v1/terms', { body: { version, text } }));
      void client.invalidateQueries({ queryKey: ['terms'] });
      onClose();
    } catch (failure) {
      setError(failure);
    }
  };
  return (
    <Form layout="vertical" style={{ maxWidth: 860 }} onFinish={() => void save()}>
      <Form.Item label={t('terms.versionName')} htmlFor="terms-version">
        <Input id="terms-version" maxLength={100} style={{ width: 240 }} value={version} onChange={(e) => setVersion(e.target.value)} />
      </Form.Item>
      <Form.Item label={t('terms.text')} htmlFor="terms-text" extra={t('terms.noneHelp')}>
        <Input.TextArea id="terms-text" autoSize={{ minRows: 10, maxRows: 30 }} maxLength={100_000} value={text} onChange={(e) => setText(e.target.value)} />
      </Form.Item>
      {error !== null && <Failure error={error} />}
      <div className="row">
        <Button type="primary" htmlType="submit" disabled={!version.trim() || !text.trim()}>
          {t('terms.put')}
        </Button>
        <Button onClick={onClose}>{t('action.cancel')}</Button>
      </div>
    </Form>
  );
}
