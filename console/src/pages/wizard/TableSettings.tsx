// What one table has of its own: a condition on its rows, the operations that are carried over, what happens
// without a key. Columns and names are in the tree.
import { Alert, Button, Checkbox, Drawer, Form, Input, Select } from 'antd';
import { useState } from 'react';
import { api, body, type Schemas } from '../../api/client';
import { Failure } from '../../components/states';
import { useT } from '../../i18n';
import { count, percent } from '../../lib/format';
import { useNarrow } from '../../lib/narrow';
import { operations, type Keyless, type Operation, type TableOptions } from './selection';

type Props = {
  schema: string;
  table: string;
  own: TableOptions;
  server: Pick<Schemas['ConnectionChoice'], 'endpoint' | 'connection' | 'task'>;
  onChange: (part: Partial<TableOptions>) => void;
  onClose: () => void;
};

export function TableSettings({ schema, table, own, server, onChange, onClose }: Props) {
  const t = useT();
  const narrow = useNarrow();
  const [where, setWhere] = useState(own.where ?? '');
  const [chosen, setChosen] = useState<Operation[]>(own.operations ?? [...operations]);
  const [keyless, setKeyless] = useState<Keyless | ''>(own.keyless ?? '');
  const save = () => {
    onChange({ where, operations: chosen, keyless: keyless || undefined });
    onClose();
  };
  return (
    <Drawer
      open
      width={narrow ? '100%' : 560}
      title={t('table.settingsOf', { name: `${schema}.${table}` })}
      onClose={onClose}
      footer={
        <div className="row">
          <span className="grow" />
          <Button onClick={onClose}>{t('action.cancel')}</Button>
          <Button type="primary" onClick={save}>
            {t('table.apply')}
          </Button>
        </div>
      }
    >
      <Form layout="vertical" component="div" className="stack">
        <Filter schema={schema} table={table} where={where} server={server} onChange={setWhere} />
        <fieldset>
          <legend className="h2">{t('table.operations')}</legend>
          <p className="muted small">{t('table.operationsHelp')}</p>
          {operations.map((one) => (
            <div key={one}>
              <Checkbox
                checked={chosen.includes(one)}
                onChange={(e) => setChosen(operations.filter((other) => (other === one ? e.target.checked : chosen.includes(other))))}
              >
                {t(`operation.${one}`)}
                {!chosen.includes(one) && <span className="muted small"> · {t(`operationOff.${one}`)}</span>}
              </Checkbox>
            </div>
          ))}
        </fieldset>
        <Form.Item label={t('table.keyless')} htmlFor="table-keyless">
          <Select
            id="table-keyless"
            value={keyless}
            onChange={setKeyless}
            options={[
              { value: '' as const, label: t('table.asTask') },
              ...(['refuse', 'insert_only', 'full'] as const).map((value) => ({ value, label: t(`options.${value}`) })),
            ]}
          />
        </Form.Item>
      </Form>
    </Drawer>
  );
}

type FilterProps = Pick<Props, 'schema' | 'table' | 'server'> & { where: string; onChange: (where: string) => void };

/** The condition, checked by the source itself, with its estimate. */
function Filter({ schema, table, where, server, onChange }: FilterProps) {
  const t = useT();
  const [answer, setAnswer] = useState<{ of: string; said: Schemas['FilterAnswer'] } | null>(null);
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  const check = async () => {
    setBusy(true);
    setError(null);
    try {
      setAnswer({ of: where, said: await body(api.POST('/api/v1/preview/filter', { body: { ...server, schema, table, where } })) });
    } catch (failure) {
      setError(failure);
    }
    setBusy(false);
  };
  const current = answer?.of === where ? answer.said : null;
  return (
    <div>
      <Form.Item label={t('filter.title')} htmlFor="table-where" extra={t('filter.help')} style={{ marginBottom: 8 }}>
        <Input.TextArea
          id="table-where"
          className="mono"
          autoSize={{ minRows: 3, maxRows: 12 }}
          spellCheck={false}
          maxLength={10_000}
          placeholder={"region = 'eu' AND placed_at >= '2024-01-01'"}
          value={where}
          onChange={(e) => onChange(e.target.value)}
        />
      </Form.Item>
      <div className="row" style={{ marginBottom: 8 }}>
        <Button size="small" loading={busy} disabled={!where.trim()} onClick={() => void check()}>
          {t('filter.check')}
        </Button>
        {answer !== null && current === null && <span className="muted small">{t('filter.changed')}</span>}
      </div>
      {error !== null && <Failure error={error} />}
      {current && <FilterResult where={where} said={current} />}
    </div>
  );
}

function FilterResult({ where, said }: { where: string; said: Schemas['FilterAnswer'] }) {
  const t = useT();
  if (!said.valid) {
    const at = said.position ?? null;
    return (
      <Alert
        type="error"
        showIcon
        message={said.cause ?? t('filter.invalid')}
        description={
          <>
            {at !== null && at > 0 && (
              <div className="mono small">
                {where.slice(Math.max(0, at - 25), at - 1)}
                <mark>{where.slice(at - 1, at + 12) || '␣'}</mark>
                {where.slice(at + 12, at + 40)}
              </div>
            )}
            {said.hint && <div>{said.hint}</div>}
          </>
        }
      />
    );
  }
  const { rows_estimate: some, rows_total: all } = said;
  return (
    <Alert
      type="success"
      showIcon
      message={
        some == null || some < 0
          ? t('filter.valid')
          : all != null && all > 0
            ? t('filter.estimateOf', { n: count(Math.min(some, all)), all: count(all), percent: percent(Math.min(some, all), all) })
            : t('filter.estimate', { n: count(some) })
      }
    />
  );
}
