import { useQuery } from '@tanstack/react-query';
import { Button, Form, Input, Modal, Select, Space, Tag } from 'antd';
import { useState } from 'react';
import { api, body, type Schemas } from '../../api/client';
import { useWho } from '../../app/session';
import { ConfirmByName } from '../../components/ConfirmByName';
import { Listing } from '../../components/Listing';
import { Failure, Loading } from '../../components/states';
import { Time } from '../../components/Time';
import { useT } from '../../i18n';
import { useTry } from '../../lib/useTry';

type User = Schemas['User'];
type Role = Schemas['Role'];
const KEY = ['users'];

function useRoles() {
  const t = useT();
  return (['viewer', 'operator', 'admin'] as const).map((value) => ({ value, label: t(`role.${value}`) }));
}

export function UsersTab() {
  const t = useT();
  const who = useWho();
  const attempt = useTry();
  const roles = useRoles();
  const [dialog, setDialog] = useState<{ kind: 'new' } | { kind: 'password' | 'delete'; user: User } | null>(null);
  const users = useQuery({ queryKey: KEY, queryFn: () => body(api.GET('/api/v1/users')) });
  if (users.isPending) return <Loading />;
  if (!users.data) return <Failure error={users.error} onRetry={() => void users.refetch()} />;
  const change = (user: User, what: Schemas['UserChange']) =>
    attempt(() => body(api.PATCH('/api/v1/users/{user}', { params: { path: { user: user.name } }, body: what })), KEY);
  const close = () => setDialog(null);
  return (
    <div className="stack">
      <div>
        <Button type="primary" onClick={() => setDialog({ kind: 'new' })}>
          {t('settings.newUser')}
        </Button>
      </div>
      <div className="panel">
        <Listing<User>
          rowKey="name"
          size="middle"
          dataSource={users.data.items}
          pagination={false}
          scroll={{ x: 760 }}
          columns={[
            { title: t('settings.name'), key: 'name', render: (_, user) => <><b>{user.name}</b> {user.disabled && <Tag>{t('settings.disabled')}</Tag>}</> },
            {
              title: t('settings.role'),
              key: 'role',
              render: (_, user) => user.name === who.user ? t(`role.${user.role}`) : (
                <Select<Role> aria-label={`${t('settings.role')}: ${user.name}`} size="small" style={{ width: 120 }} value={user.role} options={roles} onChange={(role) => void change(user, { role })} />
              ),
            },
            { title: t('settings.created'), key: 'created', render: (_, user) => <Time at={user.created_at} /> },
            { title: t('settings.lastLogin'), key: 'login', render: (_, user) => (user.last_login_at ? <Time at={user.last_login_at} /> : t('settings.never')) },
            {
              title: <span className="visually-hidden">{t('action.more')}</span>,
              key: 'actions',
              align: 'right',
              render: (_, user) =>
                user.name !== who.user && (
                  <Space>
                    <Button size="small" onClick={() => setDialog({ kind: 'password', user })}>{t('settings.setPassword')}</Button>
                    <Button size="small" onClick={() => void change(user, { disabled: !user.disabled })}>{t(user.disabled ? 'settings.enable' : 'settings.disable')}</Button>
                    <Button size="small" danger onClick={() => setDialog({ kind: 'delete', user })}>{t('action.delete')}</Button>
                  </Space>
                ),
            },
          ]}
        />
      </div>
      {dialog?.kind === 'new' && <UserDialog onClose={close} />}
      {dialog?.kind === 'password' && <UserDialog user={dialog.user} onClose={close} />}
      {dialog?.kind === 'delete' && (
        <ConfirmByName
          title={t('delete.title', { name: dialog.user.name })}
          name={dialog.user.name}
          ok={t('action.delete')}
          onClose={close}
          onOk={async () => {
            await body(api.DELETE('/api/v1/users/{user}', { params: { path: { user: dialog.user.name } } }));
            void users.refetch();
          }}
        >
          {t('settings.deleteUser')}
        </ConfirmByName>
      )}
    </div>
  );
}

/** A new user, or a new password for one. */
function UserDialog({ user, onClose }: { user?: User; onClose: () => void }) {
  const t = useT();
  const attempt = useTry();
  const roles = useRoles();
  const [form] = Form.useForm<Schemas['NewUser']>();
  const save = async (fields: Schemas['NewUser']) => {
    const done = await attempt(
      () =>
        user
          ? body(api.PATCH('/api/v1/users/{user}', { params: { path: { user: user.name } }, body: { password: fields.password } }))
          : body(api.POST('/api/v1/users', { body: fields })),
      KEY,
    );
    if (done) onClose();
  };
  return (
    <Modal open title={user ? `${t('settings.setPassword')}: ${user.name}` : t('settings.newUser')} okText={t('action.save')} onOk={() => form.submit()} onCancel={onClose}>
      <Form form={form} layout="vertical" requiredMark={false} initialValues={{ role: 'operator' }} onFinish={(fields) => void save(fields)}>
        {!user && (
          <>
            <Form.Item name="name" label={t('settings.name')} rules={[{ required: true, pattern: /^[A-Za-z0-9._@-]{1,64}$/, message: 'A-Z a-z 0-9 . _ @ -' }]}>
              <Input autoComplete="off" maxLength={64} />
            </Form.Item>
            <Form.Item name="role" label={t('settings.role')}>
              <Select options={roles} />
            </Form.Item>
          </>
        )}
        <Form.Item name="password" label={t('settings.password')} rules={[{ required: true, min: 10, max: 200, message: t('settings.password') }]}>
          <Input.Password autoComplete="new-password" />
        </Form.Item>
      </Form>
    </Modal>
  );
}
