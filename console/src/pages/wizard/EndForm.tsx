// One server: a template, or its fields. Used by the wizard and by the page of connections.
import { App, Button, Form, Input, Popover, Select } from 'antd';
import { useState, type ReactNode } from 'react';
import { ApiError, api, body, idempotencyKey, type Schemas } from '../../api/client';
import { useT } from '../../i18n';
import { address } from '../../lib/format';
import { emptyEnd, endpoint, missing, type End } from './draft';

const SSL = ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full'];
type Template = Schemas['Connection'];
type Props = {
  side: 'source' | 'destination';
  end: End;
  strict: boolean;
  templates: Template[];
  error: unknown;
  onChange: (end: End) => void;
  onTemplates: () => void;
  children: ReactNode;
};

type FieldsProps = {
  side: string; // for the ids of the fields
  end: End;
  lacking: (keyof End)[];
  error: unknown;
  more: boolean;
  set: (part: Partial<End>) => void;
  passwordHint?: string;
};

export function EndFields({ side, end, lacking, error, more, set, passwordHint }: FieldsProps) {
  const t = useT();
  const item = (key: keyof End, label: string, input: ReactNode) => {
    const message = lacking.includes(key) ? t('end.required') : error instanceof ApiError ? error.field(`/endpoint/${key}`) : undefined;
    return (
      <Form.Item label={label} htmlFor={`${side}-${key}`} validateStatus={message ? 'error' : undefined} help={message}>
        {input}
      </Form.Item>
    );
  };
  const text = (key: 'host' | 'port' | 'database' | 'user' | 'region' | 'rootCert', label: string, placeholder?: string) =>
    item(key, label, (
      <Input id={`${side}-${key}`} value={end[key]} placeholder={placeholder} autoComplete="off" spellCheck={false} onChange={(e) => set({ [key]: e.target.value })} />
    ));
  return (
    <>
      <div className="end-row">
        {text('host', t('end.host'), '10.0.0.5')}
        <div className="end-port">{text('port', t('end.port'), '5432')}</div>
      </div>
      {text('database', t('end.database'))}
      <div className="end-row">
        {text('user', t('end.user'))}
        {item('password', t('end.password'), (
          <Input.Password id={`${side}-password`} value={end.password} placeholder={passwordHint} autoComplete="new-password" onChange={(e) => set({ password: e.target.value })} />
        ))}
      </div>
      {more && (
        <>
          {item('ssl', t('end.ssl'), (
            <Select id={`${side}-ssl`} value={end.ssl} onChange={(ssl) => set({ ssl })} options={[{ value: '', label: t('end.sslDefault') }, ...SSL.map((value) => ({ value, label: value }))]} />
          ))}
          {end.ssl.startsWith('verify') && text('rootCert', t('end.rootCert'), '/etc/ssl/certs/ca-certificates.crt')}
          {text('region', t('end.region'))}
        </>
      )}
    </>
  );
}

export function EndForm({ side, end, strict, templates, error, onChange, onTemplates, children }: Props) {
  const t = useT();
  const [more, setMore] = useState(Boolean(end.ssl || end.region));
  return (
    <Form layout="vertical" component="div" className="end-form">
      {templates.length > 0 && (
        <Form.Item label={t('end.template')} htmlFor={`${side}-template`}>
          <Select
            id={`${side}-template`}
            showSearch
            optionFilterProp="label"
            value={end.template ?? ''}
            onChange={(id) => onChange({ ...emptyEnd, template: id || null })}
            options={[{ value: '', label: t('end.new') }, ...templates.map((one) => ({ value: one.id, label: `${one.name} · ${address(one.endpoint)}` }))]}
          />
        </Form.Item>
      )}
      {!end.template && (
        <EndFields side={side} end={end} lacking={strict ? missing(end) : []} error={error} more={more} set={(part) => onChange({ ...end, ...part })} />
      )}
      <div className="row" style={{ marginBottom: 12 }}>
        {children}
        {!end.template && (
          <>
            <SaveTemplate end={end} onSaved={(id) => { onTemplates(); onChange({ ...emptyEnd, template: id }); }} />
            <Button type="link" style={{ paddingInline: 4 }} aria-expanded={more} onClick={() => setMore(!more)}>
              {t(more ? 'end.less' : 'end.more')}
            </Button>
          </>
        )}
      </div>
    </Form>
  );
}

function SaveTemplate({ end, onSaved }: { end: End; onSaved: (id: string) => void }) {
  const t = useT();
  const { message, notification } = App.useApp();
  const [open, setOpen] = useState(false);
  const [name, setName] = useState('');
  const save = async () => {
    try {
      const made = await body(
        api.POST('/api/v1/connections', { params: { header: { 'Idempotency-Key': idempotencyKey() } }, body: { name, endpoint: endpoint(end) } }),
      );
      setOpen(false);
      void message.success(t('end.savedTemplate', { name }));
      onSaved(made.id);
    } catch (error) {
      notification.error({ message: t('error.title'), description: (error as Error).message });
    }
  };
  return (
    <Popover
      trigger="click"
      open={open}
      onOpenChange={setOpen}
      content={
        <form className="row" onSubmit={(e) => { e.preventDefault(); void save(); }}>
          <Input autoFocus aria-label={t('end.saveName')} placeholder={t('end.saveName')} value={name} maxLength={200} onChange={(e) => setName(e.target.value)} />
          <Button type="primary" htmlType="submit" disabled={!name.trim()}>
            {t('action.save')}
          </Button>
        </form>
      }
    >
      <Button disabled={missing(end).length > 0}>{t('end.save')}</Button>
    </Popover>
  );
}
