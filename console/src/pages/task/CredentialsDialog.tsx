// New passwords for a task; the ones that are there are never shown.
import { App, Form, Input, Modal } from 'antd';
import { useState } from 'react';
import { api, body, type Task } from '../../api/client';
import { Failure } from '../../components/states';
import { useT } from '../../i18n';
import { address } from '../../lib/format';

export function CredentialsDialog({ task, onClose }: { task: Task; onClose: () => void }) {
  const t = useT();
  const { message } = App.useApp();
  const [source, setSource] = useState('');
  const [destination, setDestination] = useState('');
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const save = async () => {
    setBusy(true);
    setError(null);
    const given = { ...(source ? { source_password: source } : {}), ...(destination ? { destination_password: destination } : {}) };
    try {
      await body(api.PUT('/api/v1/tasks/{task}/credentials', { params: { path: { task: task.id } }, body: given }));
      void message.success(t('credentials.saved'), 6);
      onClose();
    } catch (failure) {
      setError(failure);
      setBusy(false);
    }
  };
  return (
    <Modal open title={t('task.credentials')} okText={t('action.save')} okButtonProps={{ disabled: !source && !destination, loading: busy }} onOk={() => void save()} onCancel={onClose}>
      <p>{t('credentials.help')}</p>
      <Form layout="vertical" onFinish={() => void save()}>
        <Form.Item label={`${t('side.source')}: ${task.source.user}, ${address(task.source)}`} htmlFor="credentials-source">
          <Input.Password id="credentials-source" autoComplete="new-password" placeholder={t('connections.passwordKept')} value={source} onChange={(e) => setSource(e.target.value)} />
        </Form.Item>
        <Form.Item label={`${t('side.destination')}: ${task.destination.user}, ${address(task.destination)}`} htmlFor="credentials-destination">
          <Input.Password id="credentials-destination" autoComplete="new-password" placeholder={t('connections.passwordKept')} value={destination} onChange={(e) => setDestination(e.target.value)} />
        </Form.Item>
      </Form>
      {error !== null && <Failure error={error} />}
    </Modal>
  );
}
