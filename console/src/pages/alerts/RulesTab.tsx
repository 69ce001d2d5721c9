// Rules: what is watched, and who is told. Made, changed, muted, deleted.
import { PlusOutlined } from '@ant-design/icons';
import { useQueryClient } from '@tanstack/react-query';
import { Alert, Button, Checkbox, Dropdown, Form, Input, InputNumber, Modal, Popconfirm, Select, Space, Tag } from 'antd';
import { useState } from 'react';
import { Link } from 'react-router-dom';
import { ApiError, api, body, type Schemas } from '../../api/client';
import { keys, useContacts, useRules, useTasks } from '../../api/queries';
import { useWho } from '../../app/session';
import { Listing } from '../../components/Listing';
import { Failure, Loading, Nothing } from '../../components/states';
import { Time } from '../../components/Time';
import { useT } from '../../i18n';
import { seconds } from '../../lib/format';
import { useTry } from '../../lib/useTry';
import { valueOf } from './OnNow';

type Rule = Schemas['AlertRule'];
type Content = Schemas['AlertRuleContent'];
const kinds: Schemas['AlertKind'][] = ['failed', 'lag', 'retrying', 'wal_held', 'slot_in_danger', 'subscription_ends'];
const GIB = 1024 ** 3;

/** A rule without its number: what PUT takes. */
function contentOf({ id: _, ...content }: Rule): Content {
  return content;
}

export function RulesTab() {
  const t = useT();
  const who = useWho();
  const attempt = useTry();
  const rules = useRules();
  const contacts = useContacts();
  const [edited, setEdited] = useState<Rule | 'new' | null>(null);
  if (rules.isPending || contacts.isPending) return <Loading />;
  if (!rules.data) return <Failure error={rules.error} onRetry={() => void rules.refetch()} />;
  const names = new Map((contacts.data?.items ?? []).map((one) => [one.id, one.name]));
  const make = who.isOperator && (
    <Button type="primary" icon={<PlusOutlined />} disabled={names.size === 0} onClick={() => setEdited('new')}>
      {t('alerts.newRule')}
    </Button>
  );
  const put = (rule: Rule, part: Partial<Content>) =>
    attempt(() => body(api.PUT('/api/v1/alerts/rules/{rule}', { params: { path: { rule: rule.id } }, body: { ...contentOf(rule), ...part } })), keys.rules, keys.alerts);
  const remove = (rule: Rule) =>
    attempt(() => body(api.DELETE('/api/v1/alerts/rules/{rule}', { params: { path: { rule: rule.id } } })), keys.rules, keys.alerts);
  const isMuted = (rule: Rule) => Boolean(rule.muted_until && Date.parse(rule.muted_until) > Date.now());
  const until = (hours: number) => new Date(Date.now() + hours * 3_600_000).toISOString();
  return (
    <div className="stack">
      {names.size === 0 && who.isOperator && (
        <Alert type="info" showIcon message={t('alerts.contactFirst')} action={<Link to="/alerts/contacts">{t('alerts.contacts')}</Link>} />
      )}
      {rules.data.items.length > 0 && make && <div>{make}</div>}
      <div className="panel">
        {rules.data.items.length === 0 ? (
          <Nothing title={t('alerts.noRules')} help={t('alerts.noRulesHelp')}>{make}</Nothing>
        ) : (
          <Listing<Rule>
            rowKey="id"
            size="middle"
            dataSource={rules.data.items}
            pagination={false}
            scroll={{ x: 820 }}
            columns={[
              { title: t('settings.name'), key: 'name', render: (_, one) => <><b>{one.name}</b> {isMuted(one) && <Tag color="warning">{t('alerts.mutedUntil')} <Time at={one.muted_until} /></Tag>}</> },
              {
                title: t('alerts.when'),
                key: 'when',
                render: (_, one) => (
                  <>
                    {t(`alert.${one.kind}`)} <b className="num">{one.threshold == null ? '' : `> ${valueOf(one.kind, one.threshold, t)}`}</b>
                    {(one.for_seconds ?? 0) > 0 && <span className="muted small"> · {t('alerts.for', { time: seconds(one.for_seconds) })}</span>}
                  </>
                ),
              },
              { title: t('alerts.tasks'), key: 'tasks', render: (_, one) => (one.tasks == null ? t('alerts.allTasks') : one.tasks.length) },
              { title: t('alerts.tell'), key: 'contacts', render: (_, one) => one.contacts.map((id) => names.get(id) ?? id).join(', ') },
              ...(who.isOperator
                ? [{
                    title: <span className="visually-hidden">{t('action.more')}</span>,
                    key: 'actions',
                    align: 'right' as const,
                    render: (_: unknown, one: Rule) => (
                      <Space>
                        {isMuted(one) ? (
                          <Button size="small" onClick={() => void put(one, { muted_until: null })}>{t('alerts.unmute')}</Button>
                        ) : (
                          <Dropdown trigger={['click']} menu={{ items: [1, 8, 24, 168].map((hours) => ({ key: hours, label: seconds(hours * 3600) })), onClick: ({ key }) => void put(one, { muted_until: until(Number(key)) }) }}>
                            <Button size="small" aria-label={`${t('alerts.mute')}: ${one.name}`}>{t('alerts.mute')}</Button>
                          </Dropdown>
                        )}
                        <Button size="small" aria-label={`${t('action.edit')}: ${one.name}`} onClick={() => setEdited(one)}>{t('action.edit')}</Button>
                        <Popconfirm title={t('alerts.deleteRule', { name: one.name })} okText={t('action.delete')} onConfirm={() => remove(one)}>
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
      {edited && <RuleDialog rule={edited === 'new' ? null : edited} onClose={() => setEdited(null)} />}
    </div>
  );
}

const fresh: Content = { name: '', kind: 'failed', contacts: [], for_seconds: 0, on_recovery: true, tasks: null, threshold: null, repeat_minutes: null, template: null };

function RuleDialog({ rule, onClose }: { rule: Rule | null; onClose: () => void }) {
  const t = useT();
  const client = useQueryClient();
  const contacts = useContacts();
  const tasks = useTasks();
  const [content, setContent] = useState<Content>(rule ? contentOf(rule) : fresh);
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  const set = (part: Partial<Content>) => setContent({ ...content, ...part });
  const save = async () => {
    setBusy(true);
    setError(null);
    try {
      if (rule) await body(api.PUT('/api/v1/alerts/rules/{rule}', { params: { path: { rule: rule.id } }, body: content }));
      else await body(api.POST('/api/v1/alerts/rules', { body: content }));
      void client.invalidateQueries({ queryKey: ['alerts'] });
      onClose();
    } catch (failure) {
      setError(failure);
      setBusy(false);
    }
  };
  const problem = (key: string) => (error instanceof ApiError ? error.field(`/${key}`) : undefined);
  const item = (key: string) => ({ htmlFor: `rule-${key}`, validateStatus: problem(key) ? ('error' as const) : undefined, help: problem(key) });
  const needs = content.kind === 'lag' || content.kind === 'wal_held';
  const scale = content.kind === 'wal_held' ? GIB : 1;
  const ready = content.name.trim() !== '' && content.contacts.length > 0 && (!needs || content.threshold != null);
  return (
    <Modal open title={rule ? rule.name : t('alerts.newRule')} okText={t('action.save')} okButtonProps={{ disabled: !ready, loading: busy }} onOk={() => void save()} onCancel={onClose}>
      <Form layout="vertical" component="div">
        <Form.Item label={t('settings.name')} {...item('name')}>
          <Input id="rule-name" autoFocus maxLength={200} value={content.name} onChange={(e) => set({ name: e.target.value })} />
        </Form.Item>
        <Form.Item label={t('alerts.when')} {...item('kind')}>
          <Select id="rule-kind" value={content.kind} onChange={(kind) => set({ kind, threshold: null })} options={kinds.map((value) => ({ value, label: t(`alert.${value}`) }))} />
        </Form.Item>
        {(needs || content.kind === 'subscription_ends') && (
          <Form.Item label={t(`threshold.${content.kind as 'lag' | 'wal_held' | 'subscription_ends'}`)} {...item('threshold')}>
            <InputNumber id="rule-threshold" min={scale === 1 ? 1 : 0.01} value={content.threshold == null ? null : content.threshold / scale} onChange={(n) => set({ threshold: n === null ? null : Math.round(n * scale) })} />
          </Form.Item>
        )}
        <Form.Item label={t('alerts.forSeconds')} {...item('for_seconds')}>
          <InputNumber id="rule-for_seconds" min={0} max={2_592_000} value={content.for_seconds} onChange={(n) => set({ for_seconds: n ?? 0 })} />
        </Form.Item>
        <Form.Item label={t('alerts.tasks')} {...item('tasks')}>
          <Select id="rule-tasks" mode="multiple" optionFilterProp="label" placeholder={t('alerts.allTasks')} value={content.tasks ?? []} onChange={(list: string[]) => set({ tasks: list.length > 0 ? list : null })} options={(tasks.data ?? []).map((one) => ({ value: one.id, label: one.name }))} />
        </Form.Item>
        <Form.Item label={t('alerts.tell')} {...item('contacts')}>
          <Select id="rule-contacts" mode="multiple" optionFilterProp="label" value={content.contacts} onChange={(list: string[]) => set({ contacts: list })} options={(contacts.data?.items ?? []).map((one) => ({ value: one.id, label: one.name }))} />
        </Form.Item>
        <Form.Item label={t('alerts.repeat')} {...item('repeat_minutes')}>
          <InputNumber id="rule-repeat_minutes" min={1} placeholder={t('alerts.once')} value={content.repeat_minutes ?? null} onChange={(n) => set({ repeat_minutes: n })} />
        </Form.Item>
        <Form.Item style={{ marginBottom: 8 }}>
          <Checkbox checked={content.on_recovery ?? true} onChange={(e) => set({ on_recovery: e.target.checked })}>
            {t('alerts.onRecovery')}
          </Checkbox>
        </Form.Item>
        <Form.Item label={t('alerts.template')} extra="{task} {id} {state} {reason} {rule} {kind} {value} {threshold} {since} {event}" {...item('template')}>
          <Input.TextArea id="rule-template" autoSize={{ minRows: 1, maxRows: 6 }} maxLength={2000} placeholder={t('alerts.templateOwn')} value={content.template ?? ''} onChange={(e) => set({ template: e.target.value || null })} />
        </Form.Item>
      </Form>
      {error !== null && <Failure error={error} />}
    </Modal>
  );
}
