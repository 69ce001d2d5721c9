import { useQuery } from '@tanstack/react-query';
import { Alert, Button, Form, Input, InputNumber, Modal, Popconfirm, Select } from 'antd';
import { useState } from 'react';
import { api, body, type Schemas } from '../../api/client';
import { useWho } from '../../app/session';
import { Code } from '../../components/Code';
import { Listing } from '../../components/Listing';
import { Failure, Loading, Nothing } from '../../components/states';
import { Time } from '../../components/Time';
import { useT } from '../../i18n';
import { useTry } from '../../lib/useTry';

type Token = Schemas['Token'];
const KEY = ['tokens'];
const ROLES = ['viewer', 'operator', 'admin'] as const;

export function TokensTab() {
  const t = useT();
  const attempt = useTry();
  const [open, setOpen] = useState(false);
  const [made, setMade] = useState<Schemas['CreatedToken'] | null>(null);
  const tokens = useQuery({ queryKey: KEY, queryFn: () => body(api.GET('/api/v1/tokens')) });
  if (tokens.isPending) return <Loading />;
  if (!tokens.data) return <Failure error={tokens.error} onRetry={() => void tokens.refetch()} />;
  const withdraw = (token: Token) =>
    attempt(() => body(api.DELETE('/api/v1/tokens/{token}', { params: { path: { token: token.id } } })), KEY);
  return (
    <div className="stack">
      <div className="row">
        <Button type="primary" onClick={() => setOpen(true)}>
          {t('settings.newToken')}
        </Button>
        <span className="muted">{t('settings.tokensHelp')}</span>
      </div>
      {made && <Alert type="success" showIcon closable onClose={() => setMade(null)} message={t('settings.tokenOnce')} description={<Code text={made.token} label={made.name} />} />}
      <div className="panel">
        <Listing<Token>
          rowKey="id"
          size="middle"
          dataSource={tokens.data.items}
          pagination={false}
          scroll={{ x: 720 }}
          locale={{ emptyText: <Nothing title={t('settings.noTokens')} /> }}
          columns={[
            { title: t('settings.name'), dataIndex: 'name', render: (name: string) => <b>{name}</b> },
            { title: t('settings.owner'), dataIndex: 'user' },
            { title: t('settings.role'), key: 'role', render: (_, token) => t(`role.${token.role}`) },
            { title: t('settings.expires'), key: 'expires', render: (_, token) => <Time at={token.expires_at} /> },
            { title: t('settings.lastUsed'), key: 'used', render: (_, token) => (token.last_used_at ? <Time at={token.last_used_at} /> : t('settings.never')) },
            {
              title: <span className="visually-hidden">{t('action.more')}</span>,
              key: 'actions',
              align: 'right',
              render: (_, token) => (
                <Popconfirm title={t('settings.withdrawTitle', { name: token.name })} okText={t('settings.withdraw')} onConfirm={() => withdraw(token)}>
                  <Button size="small" danger aria-label={`${t('settings.withdraw')}: ${token.name}`}>
                    {t('settings.withdraw')}
                  </Button>
                </Popconfirm>
              ),
            },
          ]}
        />
      </div>
      {open && <TokenDialog onClose={() => setOpen(false)} onMade={setMade} />}
    </div>
  );
}

function TokenDialog({ onClose, onMade }: { onClose: () => void; onMade: (token: Schemas['CreatedToken']) => void }) {
  const t = useT();
  const who = useWho();
  const attempt = useTry();
  const [form] = Form.useForm<Schemas['NewToken']>();
  const roles = ROLES.slice(0, ROLES.indexOf(who.role) + 1).map((value) => ({ value, label: t(`role.${value}`) }));
  const save = async (fields: Schemas['NewToken']) => {
    const done = await attempt(async () => onMade(await body(api.POST('/api/v1/tokens', { body: { ...fields, days: fields.days ?? null } }))), KEY);
    if (done) onClose();
  };
  return (
    <Modal open title={t('settings.newToken')} okText={t('action.save')} onOk={() => form.submit()} onCancel={onClose}>
      <Form form={form} layout="vertical" requiredMark={false} initialValues={{ role: 'viewer', days: 90 }} onFinish={(fields) => void save(fields)}>
        <Form.Item name="name" label={t('settings.name')} rules={[{ required: true, message: t('login.required') }]}>
          <Input maxLength={100} autoComplete="off" />
        </Form.Item>
        <Form.Item name="role" label={t('settings.role')}>
          <Select options={roles} />
        </Form.Item>
        <Form.Item name="days" label={t('settings.days')}>
          <InputNumber min={1} max={3650} />
        </Form.Item>
      </Form>
    </Modal>
  );
}
