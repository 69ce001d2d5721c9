// A dialog for what cannot be undone: says what is removed, and asks for the name.
import { Form, Input, Modal } from 'antd';
import { useState, type ReactNode } from 'react';
import { useT } from '../i18n';
import { Failure } from './states';

type Props = { title: string; name: string; ok: string; onOk: () => Promise<void>; onClose: () => void; children: ReactNode };

export function ConfirmByName({ title, name, ok, onOk, onClose, children }: Props) {
  const t = useT();
  const [typed, setTyped] = useState('');
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const go = async () => {
    if (typed !== name) return;
    setBusy(true);
    setError(null);
    try {
      await onOk();
      onClose();
    } catch (failure) {
      setError(failure);
      setBusy(false);
    }
  };
  return (
    <Modal
      open
      title={title}
      okText={ok}
      okButtonProps={{ danger: true, disabled: typed !== name, loading: busy }}
      onOk={() => void go()}
      onCancel={onClose}
    >
      <div className="stack">
        <div>{children}</div>
        <Form layout="vertical" onFinish={() => void go()}>
          <Form.Item label={t('release.type', { name })} htmlFor="confirm-name" style={{ marginBottom: 0 }}>
            <Input id="confirm-name" autoFocus autoComplete="off" value={typed} onChange={(e) => setTyped(e.target.value)} />
          </Form.Item>
        </Form>
        {error !== null && <Failure error={error} />}
      </div>
    </Modal>
  );
}
