// Login: user and password become a cookie; nothing of them is kept here.
import { useQueryClient } from '@tanstack/react-query';
import { Alert, Button, Form, Input } from 'antd';
import { useState } from 'react';
import { ApiError, api, body, setCsrf } from '../../api/client';
import { keys } from '../../api/queries';
import { Language, Theme } from '../../app/Shell';
import { useT, type Translate } from '../../i18n';
import { seconds } from '../../lib/format';
import './login.css';

type Fields = { user: string; password: string };

function explain(error: unknown, t: Translate): string {
  if (!(error instanceof ApiError)) return String(error);
  if (error.problem.type === 'login_failed') return t('login.failed');
  if (error.status === 429) return t('login.wait', { time: seconds(error.retryAfter ?? 60) });
  if (error.problem.type === 'unreachable') return t('error.unreachable');
  return error.message;
}

export function Login() {
  const t = useT();
  const client = useQueryClient();
  const [form] = Form.useForm<Fields>();
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const submit = async (fields: Fields) => {
    setBusy(true);
    setError(null);
    try {
      const session = await body(api.POST('/api/v1/session', { body: fields }));
      setCsrf(session.csrf_token);
      client.setQueryData(keys.session, session);
    } catch (failure) {
      setError(failure);
      setBusy(false);
      form.resetFields(['password']);
      form.getFieldInstance('password')?.focus();
    }
  };
  return (
    <main className="login">
      <div className="login-tools">
        <Language />
        <Theme />
      </div>
      <div className="login-card panel">
        <div className="login-brand">
          <img src="/favicon.svg" alt="" width={40} height={40} />
          <div>
            <h1>pgsluice</h1>
            <div className="muted">{t('login.slogan')}</div>
          </div>
        </div>
        {error !== null && <Alert type="error" showIcon message={explain(error, t)} role="alert" style={{ marginBottom: 16 }} />}
        <Form<Fields> form={form} layout="vertical" requiredMark={false} onFinish={(f) => void submit(f)} disabled={busy}>
          <Form.Item name="user" label={t('login.user')} rules={[{ required: true, message: t('login.required') }]}>
            <Input autoFocus autoComplete="username" size="large" maxLength={64} />
          </Form.Item>
          <Form.Item name="password" label={t('login.password')} rules={[{ required: true, message: t('login.required') }]}>
            <Input.Password autoComplete="current-password" size="large" maxLength={200} />
          </Form.Item>
          <Button type="primary" htmlType="submit" size="large" block loading={busy}>
            {t('login.submit')}
          </Button>
        </Form>
        <p className="muted small login-first">{t('login.first')}</p>
      </div>
    </main>
  );
}
