// Step 3: what to do when something is not as usual.
import { Button, Checkbox, Form, InputNumber, Radio } from 'antd';
import { useClasses } from '../../api/usage';
import { AlertFields } from '../../components/AlertFields';
import { ClassSelect } from '../../components/ClassSelect';
import { useT } from '../../i18n';
import type { Draft } from './draft';
import { Foot, type StepProps } from './step';

export function OptionsStep({ draft, change, go }: StepProps) {
  const t = useT();
  const classes = useClasses();
  return (
    <div className="stack">
      <Form layout="vertical" component="div" className="panel panel-body options">
        <fieldset>
          <legend className="h2">{t('options.keyless')}</legend>
          <Radio.Group value={draft.keyless} onChange={(e) => change({ keyless: e.target.value as Draft['keyless'] })}>
            {(['refuse', 'insert_only', 'full'] as const).map((one) => (
              <div key={one}>
                <Radio value={one}>{t(`options.${one}`)}</Radio>
              </div>
            ))}
          </Radio.Group>
        </fieldset>
        <fieldset>
          <legend className="h2">{t('options.onError')}</legend>
          <Radio.Group value={draft.on_error} onChange={(e) => change({ on_error: e.target.value as Draft['on_error'] })}>
            {(['stop', 'set_aside'] as const).map((one) => (
              <div key={one}>
                <Radio value={one}>{t(`options.${one}`)}</Radio>
              </div>
            ))}
          </Radio.Group>
        </fieldset>
        <Form.Item label={t('options.retry')} htmlFor="retry" help={t('options.retryHelp')}>
          <InputNumber id="retry" min={10} max={1440} value={draft.retry_minutes} onChange={(n) => change({ retry_minutes: n ?? 120 })} />
        </Form.Item>
        <Form.Item label={t('options.workers')} htmlFor="workers" style={{ marginTop: 16 }}>
          <InputNumber id="workers" min={1} max={64} placeholder={t('options.workersAuto')} style={{ width: 220 }} value={draft.workers} onChange={(workers) => change({ workers })} />
        </Form.Item>
        <Form.Item label={t('usage.class')} htmlFor="class" extra={t('class.help')}>
          <ClassSelect id="class" value={draft.class} classes={classes.data?.items ?? []} onChange={(name) => change({ class: name })} />
        </Form.Item>
        <fieldset>
          <legend className="h2">{t('options.alerts')}</legend>
          <AlertFields alerts={draft.alerts} onChange={(alerts) => change({ alerts })} />
        </fieldset>
        <Checkbox checked={draft.include_privileges} onChange={(e) => change({ include_privileges: e.target.checked })}>
          {t('options.privileges')}
        </Checkbox>
      </Form>
      <Foot onBack={() => go(1)}>
        <Button type="primary" onClick={() => go(3)}>
          {t('wizard.toPrecheck')}
        </Button>
      </Foot>
    </div>
  );
}
