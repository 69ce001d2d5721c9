// The price list: seen by all, changed by admins; what was metered keeps the price of its time.
import { useQueryClient } from '@tanstack/react-query';
import { App, Button, Form, Input, InputNumber } from 'antd';
import { useState } from 'react';
import { api, body, type Schemas } from '../../api/client';
import { useClasses, usePrices } from '../../api/usage';
import { useWho } from '../../app/session';
import { Failure, Loading } from '../../components/states';
import { useT } from '../../i18n';
import { bytes, count } from '../../lib/format';

type Prices = Schemas['Prices'];

export function PricesTab() {
  const prices = usePrices();
  const classes = useClasses();
  if (prices.isPending || classes.isPending) return <Loading />;
  if (!prices.data || !classes.data) return <Failure error={prices.error ?? classes.error} onRetry={() => void prices.refetch()} />;
  return <List key={JSON.stringify(prices.data)} start={prices.data} classes={classes.data.items} />;
}

function List({ start, classes }: { start: Prices; classes: Schemas['Classes']['items'] }) {
  const t = useT();
  const who = useWho();
  const client = useQueryClient();
  const { message } = App.useApp();
  const [prices, setPrices] = useState(start);
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  const of = (what: 'hour' | 'month', name: string) => (prices[what] as Record<string, number> | undefined)?.[name] ?? null;
  const set = (what: 'hour' | 'month', name: string, n: number | null) => {
    const { [name]: _, ...others } = (prices[what] ?? {}) as Record<string, number>;
    setPrices({ ...prices, [what]: n === null ? others : { ...others, [name]: n } });
  };
  const save = async () => {
    setBusy(true);
    setError(null);
    try {
      await body(api.PUT('/api/v1/prices', { body: prices }));
      void message.success(t('prices.saved'));
      void client.invalidateQueries({ queryKey: ['prices'] });
    } catch (failure) {
      setError(failure);
    }
    setBusy(false);
  };
  const price = (id: string, label: string, value: number | null, put: (n: number | null) => void) => (
    <InputNumber id={id} aria-label={label} disabled={!who.isAdmin} min={0} step={0.01} placeholder="–" style={{ width: 100 }} value={value} onChange={put} />
  );
  return (
    <Form layout="vertical" className="stack" style={{ maxWidth: 860 }} onFinish={() => void save()}>
      <p className="muted" style={{ margin: 0 }}>{t('prices.help')}</p>
      <div className="panel panel-body scroll-x">
        <Form.Item label={t('prices.currency')} htmlFor="currency">
          <Input id="currency" disabled={!who.isAdmin} maxLength={3} style={{ width: 90 }} value={prices.currency} onChange={(e) => setPrices({ ...prices, currency: e.target.value.toUpperCase() })} />
        </Form.Item>
        <table className="prices">
          <thead>
            <tr>
              <th>{t('usage.class')}</th>
              <th className="hide-narrow">{t('prices.limits')}</th>
              <th>{t('prices.hour')}</th>
              <th>{t('prices.month')}</th>
            </tr>
          </thead>
          <tbody>
            {classes.map((one) => (
              <tr key={one.name}>
                <td><b>{one.name}</b></td>
                <td className="muted small hide-narrow">{[one.rows_per_second === null ? t('class.noLimit') : `${count(one.rows_per_second)} ${t('unit.rowsPerSecond')}`, one.memory_bytes ? bytes(one.memory_bytes) : null].filter(Boolean).join(' · ')}</td>
                <td>{price(`hour-${one.name}`, `${t('prices.hour')}: ${one.name}`, of('hour', one.name), (n) => set('hour', one.name, n))}</td>
                <td>{price(`month-${one.name}`, `${t('prices.month')}: ${one.name}`, of('month', one.name), (n) => set('month', one.name, n))}</td>
              </tr>
            ))}
          </tbody>
        </table>
        <div className="row" style={{ marginTop: 16, gap: 24 }}>
          <Form.Item label={t('prices.rows')} style={{ margin: 0 }}>
            {price('million-rows', t('prices.rows'), prices.million_rows ?? null, (n) => setPrices({ ...prices, million_rows: n ?? undefined }))}
          </Form.Item>
          <Form.Item label={t('prices.bytes')} style={{ margin: 0 }}>
            {price('gibibyte', t('prices.bytes'), prices.gibibyte ?? null, (n) => setPrices({ ...prices, gibibyte: n ?? undefined }))}
          </Form.Item>
        </div>
      </div>
      {error !== null && <Failure error={error} />}
      {who.isAdmin && (
        <div>
          <Button type="primary" htmlType="submit" loading={busy} disabled={JSON.stringify(prices) === JSON.stringify(start)}>
            {t('action.save')}
          </Button>
        </div>
      )}
    </Form>
  );
}
