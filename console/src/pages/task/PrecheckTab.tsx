// The precheck of a task: findings, ignore, run again. The wizard shows the same.
import { useQueryClient } from '@tanstack/react-query';
import { App, Button } from 'antd';
import { SafetyCertificateOutlined } from '@ant-design/icons';
import { useAction } from '../../api/actions';
import { api, body, type Task } from '../../api/client';
import { useIgnore } from '../../api/precheck';
import { keys, rememberTask, useFindings } from '../../api/queries';
import { useWho } from '../../app/session';
import { Findings } from '../../components/Findings';
import { Failure, Loading, Nothing } from '../../components/states';
import { useT } from '../../i18n';

export function PrecheckTab({ task }: { task: Task }) {
  const t = useT();
  const who = useWho();
  const client = useQueryClient();
  const { notification } = App.useApp();
  const findings = useFindings(task.id);
  const ignore = useIgnore(task.id);
  const action = useAction();
  if (findings.isPending) return <Loading />;
  if (!findings.data) return <Failure error={findings.error} onRetry={() => void findings.refetch()} />;
  const running = task.state === 'checking';
  const complain = (error: Error) => notification.error({ message: t('error.title'), description: error.message });
  const rerun = async (check: string) => {
    try {
      const params = { path: { task: task.id, check } };
      rememberTask(client, await body(api.POST('/api/v1/tasks/{task}/findings/{check}/rerun', { params })));
    } catch (error) {
      complain(error as Error);
    }
    await client.invalidateQueries({ queryKey: keys.task(task.id) });
  };
  const again = who.isOperator && (running || task.actions.includes('check')) && (
    <Button
      icon={<SafetyCertificateOutlined />}
      type={findings.data.summary ? 'default' : 'primary'}
      loading={running || action.isPending}
      onClick={() => action.mutate({ action: 'check', task: task.id }, { onError: complain })}
    >
      {t(findings.data.summary ? 'precheck.again' : 'action.check')}
    </Button>
  );
  if (!findings.data.summary)
    return (
      <div className="panel">
        <Nothing title={t(running ? 'precheck.running' : 'precheck.none')} help={t('precheck.noneHelp')}>
          {again}
        </Nothing>
      </div>
    );
  const data = findings.data;
  const mayIgnore = who.isOperator && task.actions.includes('edit');
  return (
    <div className="stack">
      {again && <div className="row">{again}</div>}
      <Findings
        findings={data}
        running={running}
        onRerun={who.isOperator && task.actions.includes('check') ? rerun : undefined}
        onIgnore={mayIgnore ? (finding, on) => ignore(data, finding, on).catch(complain) : undefined}
      />
    </div>
  );
}
