import { App, Button, Form, Input } from 'antd';
import { useState } from 'react';
import { api, body, type Schemas } from '../../api/client';
import { Failure } from '../../components/states';
import { useT } from '../../i18n';

/** One's own password. */
export function AccountTab() {
  const t = useT();
  const { message } = App.useApp();
  const [form] = Form.useForm<Schemas['PasswordChange']>();
  const [error, setError] = useState<unknown>(null);
  const save = async (fields: Schemas['PasswordChange']) => {
    setError(null);
    try {
      await body(api.PUT('/api/v1/session/password', { body: fields }));
      form.resetFields();
      void message.success(t('settings.passwordChanged'));
    } catch (failure) {
      setError(failure);
    }
  };
  return (
    <div className="panel panel-body" style={{ maxWidth: 420 }}>
      <h2 className="h2">{t('settings.changePassword')}</h2>
      <Form form={form} layout="vertical" requiredMark={false} onFinish={(fields) => void save(fields)}>
        <Form.Item name="old_password" label={t('settings.oldPassword')} rules={[{ required: true, message: t('login.required') }]}>
          <Input.Password autoComplete="current-password" />
        </Form.Item>
        <Form.Item name="new_password" label={t('settings.newPassword')} rules={[{ required: true, min: 10, max: 200, message: t('settings.newPassword') }]}>
          <Input.Password autoComplete="new-password" />
        </Form.Item>
        {error !== null && <Failure error={error} />}
        <Button type="primary" htmlType="submit">
          {t('action.save')}
        </Button>
      </Form>
    </div>
  );
}
