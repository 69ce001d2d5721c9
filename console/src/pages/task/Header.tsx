// Name, state, and the actions that make sense now: the API says which.
import { EllipsisOutlined, PauseOutlined, PlayCircleOutlined, SafetyCertificateOutlined } from '@ant-design/icons';
import { App, Button, Dropdown, Form, Input, Modal, type MenuProps } from 'antd';
import { useEffect, useState, type ReactNode } from 'react';
import { useQueryClient } from '@tanstack/react-query';
import { Link, useNavigate } from 'react-router-dom';
import { useAction, type Simple } from '../../api/actions';
import { api, body, idempotencyKey, type Task } from '../../api/client';
import { keys } from '../../api/queries';
import { useWho } from '../../app/session';
import { CopyButton } from '../../components/Code';
import { Failure } from '../../components/states';
import { StateTag } from '../../components/StateTag';
import { Time } from '../../components/Time';
import { useT } from '../../i18n';
import { seconds } from '../../lib/format';
import { DeleteDialog, ReleaseDialog, StopDialog } from './RemoveDialogs';
import { CredentialsDialog } from './CredentialsDialog';

const simple: Simple[] = ['start', 'resume', 'check', 'pause'];
const icons: Record<Simple, ReactNode> = {
  start: <PlayCircleOutlined />,
  resume: <PlayCircleOutlined />,
  check: <SafetyCertificateOutlined />,
  pause: <PauseOutlined />,
};

export function Header({ task }: { task: Task }) {
  const t = useT();
  const who = useWho();
  return (
    <header className="task-header">
      <div className="small">
        <Link to="/">{t('app.tasks')}</Link> <span className="muted">/</span>
      </div>
      <div className="row">
        <h1 className="task-title ellipsis">{task.name}</h1>
        <StateTag state={task.state} reason={task.reason} />
        <Since at={task.state_since} />
        <span className="grow" />
        {who.isOperator && <Actions task={task} />}
      </div>
      <div className="row muted small">
        <span className="mono">{task.id}</span>
        <CopyButton text={task.id} />
        {task.worker && task.worker.restarts > 0 && <span>{t('task.restarts', { n: task.worker.restarts })}</span>}
      </div>
    </header>
  );
}

function Since({ at }: { at: string }) {
  const t = useT();
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 10_000);
    return () => clearInterval(timer);
  }, []);
  const age = Math.max(0, (now - Date.parse(at)) / 1000);
  return (
    <span className="muted small">
      {t('task.since', { time: seconds(Math.round(Math.max(age, 10))) })} · <Time at={at} />
    </span>
  );
}

function Actions({ task }: { task: Task }) {
  const t = useT();
  const { notification } = App.useApp();
  const action = useAction();
  const [dialog, setDialog] = useState<'release' | 'delete' | 'stop' | 'clone' | 'credentials' | null>(null);
  const close = () => setDialog(null);
  const run = (one: Simple) =>
    action.mutate(
      { action: one, task: task.id },
      { onError: (error) => notification.error({ message: t('error.title'), description: error.message }) },
    );
  const buttons = simple.filter((one) => task.actions.includes(one));
  const removable = (['stop', 'release', 'delete'] as const).filter((one) => task.actions.includes(one));
  const items: MenuProps['items'] = [
    { key: 'clone', label: t('task.clone') },
    { key: 'credentials', label: t('task.credentials') },
    { key: 'bundle', label: <a href={`/api/v1/tasks/${task.id}/support-bundle`} download>{t('task.bundle')}</a> },
    ...(removable.length > 0 ? [{ type: 'divider' as const }] : []),
    ...removable.map((key) => ({ key, label: t(`action.${key}`), danger: true })),
  ];
  return (
    <div className="row">
      {buttons.map((one, i) => (
        <Button
          key={one}
          type={i === 0 && one !== 'pause' ? 'primary' : 'default'}
          icon={icons[one]}
          loading={action.isPending && action.variables.action === one}
          disabled={action.isPending}
          onClick={() => run(one)}
        >
          {t(`action.${one}`)}
        </Button>
      ))}
      <Dropdown trigger={['click']} menu={{ items, onClick: ({ key }) => key !== 'bundle' && setDialog(key as typeof dialog) }}>
        <Button icon={<EllipsisOutlined />} aria-label={t('action.more')} />
      </Dropdown>
      {dialog === 'release' && <ReleaseDialog task={task} onClose={close} />}
      {dialog === 'delete' && <DeleteDialog task={task} onClose={close} />}
      {dialog === 'stop' && <StopDialog task={task} onClose={close} />}
      {dialog === 'credentials' && <CredentialsDialog task={task} onClose={close} />}
      {dialog === 'clone' && <CloneDialog task={task} onClose={close} />}
    </div>
  );
}

function CloneDialog({ task, onClose }: { task: Task; onClose: () => void }) {
  const t = useT();
  const client = useQueryClient();
  const navigate = useNavigate();
  const [name, setName] = useState(`${task.name}-2`);
  const [key] = useState(idempotencyKey);
  const [error, setError] = useState<unknown>(null);
  const go = async () => {
    try {
      const made = await body(
        api.POST('/api/v1/tasks/{task}/clone', {
          params: { path: { task: task.id }, header: { 'Idempotency-Key': key } },
          body: { name },
        }),
      );
      void client.invalidateQueries({ queryKey: keys.tasks });
      onClose();
      navigate(`/tasks/${made.id}`);
    } catch (failure) {
      setError(failure);
    }
  };
  return (
    <Modal open title={t('task.cloneTitle', { name: task.name })} okText={t('task.clone')} okButtonProps={{ disabled: !name }} onOk={go} onCancel={onClose}>
      <p>{t('task.cloneHelp')}</p>
      <Form layout="vertical" onFinish={() => void go()}>
        <Form.Item label={t('task.cloneName')} htmlFor="clone-name">
          <Input id="clone-name" value={name} maxLength={200} onChange={(e) => setName(e.target.value)} />
        </Form.Item>
      </Form>
      {error !== null && <Failure error={error} />}
    </Modal>
  );
}
