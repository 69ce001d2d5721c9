import { useQueryClient } from '@tanstack/react-query';
import { Form, Input, Modal } from 'antd';
import { useState } from 'react';
import { api, body, idempotencyKey, type Schemas } from '../../api/client';
import { keys } from '../../api/queries';
import { Failure } from '../../components/states';
import { useT } from '../../i18n';
import { emptyEnd, endpoint, missing, type End } from '../wizard/draft';
import { EndFields } from '../wizard/EndForm';

type Connection = Schemas['Connection'];

function endOf(e: Schemas['Endpoint']): End {
  return {
    ...emptyEnd,
    host: e.host ?? e.socket ?? '',
    port: e.port === undefined ? '' : String(e.port),
    database: e.database,
    user: e.user,
    ssl: e.ssl?.mode ?? '',
    rootCert: e.ssl?.root_cert ?? '',
    region: e.region ?? '',
  };
}

/** Makes a template, or renames and edits one; a password that is not entered stays. */
export function ConnectionDialog({ connection, onClose }: { connection: Connection | null; onClose: () => void }) {
  const t = useT();
  const client = useQueryClient();
  const [name, setName] = useState(connection?.name ?? '');
  const [end, setEnd] = useState(connection ? endOf(connection.endpoint) : emptyEnd);
  const [key] = useState(idempotencyKey);
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  const save = async () => {
    setBusy(true);
    setError(null);
    // what the form has no field for stays as it is
    const kept = connection ? { ...connection.endpoint, host: undefined, socket: undefined, port: undefined, region: undefined, has_password: undefined } : {};
    const ssl = end.ssl ? { ...connection?.endpoint.ssl, ...endpoint(end).ssl } : undefined;
    const content = { name, endpoint: { ...kept, ...endpoint(end), ssl } };
    try {
      if (connection) await body(api.PUT('/api/v1/connections/{connection}', { params: { path: { connection: connection.id } }, body: content }));
      else await body(api.POST('/api/v1/connections', { params: { header: { 'Idempotency-Key': key } }, body: content }));
      void client.invalidateQueries({ queryKey: keys.connections });
      onClose();
    } catch (failure) {
      setError(failure);
      setBusy(false);
    }
  };
  const ready = name.trim() !== '' && missing(end).length === 0;
  return (
    <Modal
      open
      title={connection ? t('connections.edit', { name: connection.name }) : t('connections.new')}
      okText={t('action.save')}
      okButtonProps={{ disabled: !ready, loading: busy }}
      onOk={() => void save()}
      onCancel={onClose}
    >
      <Form layout="vertical" component="div" className="end-form">
        <Form.Item label={t('connections.name')} htmlFor="connection-name">
          <Input id="connection-name" autoFocus value={name} maxLength={200} onChange={(e) => setName(e.target.value)} />
        </Form.Item>
        <EndFields side="connection" end={end} lacking={[]} error={error} more set={(part) => setEnd({ ...end, ...part })} passwordHint={connection?.endpoint.has_password ? t('connections.passwordKept') : undefined} />
      </Form>
      {error !== null && <Failure error={error} />}
    </Modal>
  );
}
