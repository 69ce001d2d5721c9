// A task's own alerts: of failure, of lag, and who is told. Used by the wizard and by the task's page.
import { Checkbox, Form, InputNumber, Select } from 'antd';
import { Link } from 'react-router-dom';
import type { Schemas } from '../api/client';
import { useContacts } from '../api/queries';
import { useT } from '../i18n';

export type TaskAlerts = Partial<Schemas['TaskAlerts']>;
type Props = { alerts: TaskAlerts; onChange: (alerts: TaskAlerts) => void; disabled?: boolean };

export function AlertFields({ alerts, onChange, disabled }: Props) {
  const t = useT();
  const contacts = useContacts();
  const known = contacts.data?.items ?? [];
  const chosen = alerts.contacts ?? [];
  return (
    <>
      <Form.Item label={t('alerts.tell')} htmlFor="alert-contacts" extra={known.length === 0 ? <Link to="/alerts/contacts">{t('alerts.noContactsYet')}</Link> : undefined}>
        <Select
          id="alert-contacts"
          mode="multiple"
          disabled={disabled}
          value={chosen}
          placeholder={t('alerts.nobody')}
          optionFilterProp="label"
          onChange={(list: string[]) => onChange({ ...alerts, contacts: list })}
          options={known.map((one) => ({ value: one.name, label: `${one.name} · ${t(`contact.${one.kind}`)}` }))}
        />
      </Form.Item>
      {chosen.length > 0 && (
        <>
          <div style={{ marginBottom: 8 }}>
            <Checkbox disabled={disabled} checked={alerts.on_failure ?? true} onChange={(e) => onChange({ ...alerts, on_failure: e.target.checked })}>
              {t('alerts.onFailure')}
            </Checkbox>
          </div>
          <Form.Item label={t('alerts.lag')} htmlFor="alert-lag">
            <InputNumber
              id="alert-lag"
              disabled={disabled}
              min={1}
              max={31_536_000}
              placeholder={t('alerts.never')}
              style={{ width: 200 }}
              value={alerts.lag_seconds ?? null}
              onChange={(n) => onChange({ ...alerts, lag_seconds: n })}
            />
          </Form.Item>
        </>
      )}
    </>
  );
}
