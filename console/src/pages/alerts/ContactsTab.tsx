// Contacts: where alerts go. Secrets are entered, never shown.
import { PlusOutlined } from '@ant-design/icons';
import { useQueryClient } from '@tanstack/react-query';
import { Alert, Button, Form, Input, InputNumber, Modal, Popconfirm, Select, Space } from 'antd';
import { useState, type ReactNode } from 'react';
import { ApiError, api, body, type Schemas } from '../../api/client';
import { keys, useContacts } from '../../api/queries';
import { useWho } from '../../app/session';
import { Listing } from '../../components/Listing';
import { Failure, Loading, Nothing } from '../../components/states';
import { useT } from '../../i18n';
import { useTry } from '../../lib/useTry';

type Contact = Schemas['Contact'];
type Content = Omit<Schemas['ContactContent'], 'tls'> & Partial<Pick<Schemas['ContactContent'], 'tls'>>;
type Kind = Content['kind'];

export function ContactsTab() {
  const t = useT();
  const who = useWho();
  const attempt = useTry();
  const contacts = useContacts();
  const [edited, setEdited] = useState<Contact | 'new' | null>(null);
  if (contacts.isPending) return <Loading />;
  if (!contacts.data) return <Failure error={contacts.error} onRetry={() => void contacts.refetch()} />;
  const make = who.isOperator && (
    <Button type="primary" icon={<PlusOutlined />} onClick={() => setEdited('new')}>
      {t('alerts.newContact')}
    </Button>
  );
  const remove = (one: Contact) =>
    attempt(() => body(api.DELETE('/api/v1/alerts/contacts/{contact}', { params: { path: { contact: one.id } } })), keys.contacts);
  return (
    <div className="stack">
      {contacts.data.items.length > 0 && make && <div>{make}</div>}
      <div className="panel">
        {contacts.data.items.length === 0 ? (
          <Nothing title={t('alerts.noContacts')} help={t('alerts.noContactsHelp')}>{make}</Nothing>
        ) : (
          <Listing<Contact>
            rowKey="id"
            size="middle"
            dataSource={contacts.data.items}
            pagination={false}
            scroll={{ x: 720 }}
            columns={[
              { title: t('settings.name'), key: 'name', render: (_, one) => <b>{one.name}</b> },
              { title: t('alerts.kind'), key: 'kind', render: (_, one) => t(`contact.${one.kind}`) },
              { title: t('alerts.target'), key: 'target', render: (_, one) => <span className="mono small">{one.target}</span> },
              ...(who.isOperator
                ? [{
                    title: <span className="visually-hidden">{t('action.more')}</span>,
                    key: 'actions',
                    align: 'right' as const,
                    render: (_: unknown, one: Contact) => (
                      <Space>
                        <TestButton contact={one} />
                        <Button size="small" aria-label={`${t('action.edit')}: ${one.name}`} onClick={() => setEdited(one)}>{t('action.edit')}</Button>
                        <Popconfirm title={t('alerts.deleteContact', { name: one.name })} okText={t('action.delete')} onConfirm={() => remove(one)}>
                          <Button size="small" danger aria-label={`${t('action.delete')}: ${one.name}`}>{t('action.delete')}</Button>
                        </Popconfirm>
                      </Space>
                    ),
                  }]
                : []),
            ]}
          />
        )}
      </div>
      {edited && <ContactDialog contact={edited === 'new' ? null : edited} onClose={() => setEdited(null)} />}
    </div>
  );
}

/** Sends a test message and shows what came of it. */
function TestButton({ contact }: { contact: Contact }) {
  const t = useT();
  const attempt = useTry();
  const [busy, setBusy] = useState(false);
  const [result, setResult] = useState<Schemas['Delivery'] | null>(null);
  const test = async () => {
    setBusy(true);
    await attempt(async () => setResult(await body(api.POST('/api/v1/alerts/contacts/{contact}/test', { params: { path: { contact: contact.id } } }))), keys.deliveries);
    setBusy(false);
  };
  const fine = result?.state === 'delivered';
  return (
    <>
      <Button size="small" loading={busy} aria-label={`${t('alerts.test')}: ${contact.name}`} onClick={() => void test()}>
        {t('alerts.test')}
      </Button>
      <Modal open={result !== null} title={contact.name} footer={null} onCancel={() => setResult(null)}>
        <Alert type={fine ? 'success' : 'error'} showIcon message={t(fine ? 'alerts.testDone' : 'alerts.testFailed')} description={result?.result ?? undefined} />
      </Modal>
    </>
  );
}

const fieldsOf: Record<Kind, (keyof Content)[]> = {
  webhook: ['url', 'secret'],
  slack: ['url'],
  dingtalk: ['url', 'secret'],
  smtp: ['host', 'port', 'tls', 'user', 'password', 'from', 'to'],
  command: ['command'],
};

function ContactDialog({ contact, onClose }: { contact: Contact | null; onClose: () => void }) {
  const t = useT();
  const who = useWho();
  const client = useQueryClient();
  const [content, setContent] = useState<Content>(contact ? kept(contact) : { name: '', kind: 'webhook' });
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  const set = (part: Partial<Content>) => setContent({ ...content, ...part });
  const fields = fieldsOf[content.kind];
  const save = async () => {
    setBusy(true);
    setError(null);
    const sent = Object.fromEntries(Object.entries(content).filter(([key, value]) => (['name', 'kind', 'ca_cert'].includes(key) || fields.includes(key as never)) && value !== '' && value !== undefined)) as Schemas['ContactContent'];
    try {
      if (contact) await body(api.PUT('/api/v1/alerts/contacts/{contact}', { params: { path: { contact: contact.id } }, body: sent }));
      else await body(api.POST('/api/v1/alerts/contacts', { body: sent }));
      void client.invalidateQueries({ queryKey: keys.contacts });
      onClose();
    } catch (failure) {
      setError(failure);
      setBusy(false);
    }
  };
  const item = (key: keyof Content, input: ReactNode, extra?: string) => {
    const message = error instanceof ApiError ? error.field(`/${key}`) : undefined;
    return (
      <Form.Item key={key} label={t(`contactField.${key as 'name'}`)} htmlFor={`contact-${key}`} validateStatus={message ? 'error' : undefined} help={message} extra={extra}>
        {input}
      </Form.Item>
    );
  };
  const text = (key: 'name' | 'url' | 'host' | 'user' | 'from' | 'command', placeholder?: string) =>
    item(key, <Input id={`contact-${key}`} autoComplete="off" spellCheck={false} placeholder={placeholder} value={content[key] ?? ''} onChange={(e) => set({ [key]: e.target.value })} />);
  const secret = (key: 'secret' | 'password') =>
    item(key, <Input.Password id={`contact-${key}`} autoComplete="new-password" placeholder={contact?.has_secret ? t('connections.passwordKept') : undefined} value={content[key] ?? ''} onChange={(e) => set({ [key]: e.target.value })} />);
  const inputs: Partial<Record<keyof Content, ReactNode>> = {
    url: text('url', contact?.has_secret ? contact.target : 'https://hooks.example.net/…'),
    secret: secret('secret'),
    host: text('host', 'smtp.example.net'),
    port: item('port', <InputNumber id="contact-port" min={1} max={65535} placeholder={content.tls === 'tls' ? '465' : content.tls === 'none' ? '25' : '587'} value={content.port ?? null} onChange={(n) => set({ port: n ?? undefined })} />),
    tls: item('tls', <Select id="contact-tls" value={content.tls ?? 'starttls'} onChange={(tls) => set({ tls })} options={['starttls', 'tls', 'none'].map((value) => ({ value, label: value }))} />),
    user: text('user'),
    password: secret('password'),
    from: text('from', 'pgsluice@example.net'),
    to: item('to', <Select id="contact-to" mode="tags" open={false} suffixIcon={null} tokenSeparators={[',', ' ', ';']} value={content.to ?? []} onChange={(to: string[]) => set({ to })} placeholder="ops@example.net" />),
    command: text('command', 'page-ops'),
  };
  const known = (Object.keys(fieldsOf) as Kind[]).filter((kind) => kind !== 'command' || who.isAdmin);
  return (
    <Modal open title={contact ? contact.name : t('alerts.newContact')} okText={t('action.save')} okButtonProps={{ disabled: !content.name.trim(), loading: busy }} onOk={() => void save()} onCancel={onClose}>
      <Form layout="vertical" component="div" className="end-form">
        {text('name')}
        {item('kind', <Select id="contact-kind" disabled={contact !== null} value={content.kind} onChange={(kind) => set({ kind })} options={known.map((value) => ({ value, label: t(`contact.${value}`) }))} />, t(`contactHelp.${content.kind}`))}
        {fields.map((key) => inputs[key])}
      </Form>
      {error !== null && <Failure error={error} />}
    </Modal>
  );
}

/** What a change sends again: everything but what is stored sealed. */
function kept(contact: Contact): Content {
  const { id: _i, target: _t, has_secret: _h, ...content } = contact;
  return content;
}
