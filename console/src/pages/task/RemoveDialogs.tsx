// Stop (for good), release (from the servers) and delete (from the service).
import { useQueryClient } from '@tanstack/react-query';
import { Checkbox } from 'antd';
import { useState } from 'react';
import { useNavigate } from 'react-router-dom';
import { api, body, type Task } from '../../api/client';
import { keys, rememberTask } from '../../api/queries';
import { ConfirmByName } from '../../components/ConfirmByName';
import { useT } from '../../i18n';

type Props = { task: Task; onClose: () => void };

export function ReleaseDialog({ task, onClose }: Props) {
  const t = useT();
  const client = useQueryClient();
  const [force, setForce] = useState(false);
  const release = async () => {
    const params = { path: { task: task.id } };
    rememberTask(client, await body(api.POST('/api/v1/tasks/{task}/release', { params, body: { force } })));
  };
  return (
    <ConfirmByName title={t('release.title', { name: task.name })} name={task.name} ok={t('action.release')} onOk={release} onClose={onClose}>
      {t('release.what')}
      <ul>
        <li>{t('release.slot', { id: task.id })}</li>
        <li>{t('release.publications')}</li>
        <li>{t('release.state')}</li>
      </ul>
      <p>{t('release.stays')}</p>
      <Checkbox checked={force} onChange={(e) => setForce(e.target.checked)}>
        {t('release.force')}
      </Checkbox>
    </ConfirmByName>
  );
}

export function StopDialog({ task, onClose }: Props) {
  const t = useT();
  const client = useQueryClient();
  const stop = async () => {
    const params = { path: { task: task.id } };
    rememberTask(client, await body(api.POST('/api/v1/tasks/{task}/stop', { params })));
  };
  return (
    <ConfirmByName title={t('stop.title', { name: task.name })} name={task.name} ok={t('action.stop')} onOk={stop} onClose={onClose}>
      {t('release.what')}
      <ul>
        <li>{t('release.slot', { id: task.id })}</li>
        <li>{t('release.publications')}</li>
      </ul>
      <p>{t('stop.stays')}</p>
    </ConfirmByName>
  );
}

export function DeleteDialog({ task, onClose }: Props) {
  const t = useT();
  const client = useQueryClient();
  const navigate = useNavigate();
  const remove = async () => {
    await body(api.DELETE('/api/v1/tasks/{task}', { params: { path: { task: task.id } } }));
    navigate('/');
    client.removeQueries({ queryKey: keys.task(task.id) });
    void client.invalidateQueries({ queryKey: keys.tasks });
  };
  return (
    <ConfirmByName title={t('delete.title', { name: task.name })} name={task.name} ok={t('action.delete')} onOk={remove} onClose={onClose}>
      {t('delete.what')}
    </ConfirmByName>
  );
}
