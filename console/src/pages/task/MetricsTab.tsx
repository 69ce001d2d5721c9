// Charts over 15 minutes to 90 days.
import { Segmented } from 'antd';
import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { useMemo } from 'react';
import { api, body, type Schemas, type Task } from '../../api/client';
import { keys } from '../../api/queries';
import { Chart, type Line } from '../../components/Chart';
import { Failure, Loading, Nothing } from '../../components/states';
import { useT, type Translate } from '../../i18n';
import { bytes, rate, seconds } from '../../lib/format';
import { useStored } from '../../lib/stored';

type Metrics = Schemas['Metrics'];
const ranges = { '15 min': 900, '1 h': 3600, '6 h': 21_600, '24 h': 86_400, '7 d': 604_800, '30 d': 2_592_000, '90 d': 7_776_000 };
type Range = keyof typeof ranges;

function useMetrics(id: string, range: Range) {
  const length = ranges[range];
  return useQuery({
    queryKey: [...keys.task(id), 'metrics', range],
    refetchInterval: length <= 3600 ? 10_000 : 60_000,
    staleTime: 9_000,
    placeholderData: keepPreviousData,
    queryFn: () => {
      const to = new Date();
      const from = new Date(to.getTime() - length * 1000);
      const step = Math.max(10, Math.ceil(length / 600 / 10) * 10);
      const query = { from: from.toISOString(), to: to.toISOString(), step };
      return body(api.GET('/api/v1/tasks/{task}/metrics', { params: { path: { task: id }, query } }));
    },
  });
}

type ChartOf = { title: string; lines: Line[]; format: (n: number) => string };

/** Counters become rates; gauges stay. */
export function charts(m: Metrics, t: Translate): ChartOf[] {
  const gauge = (key: string) => (m.series[key] ?? []).map((n) => (n === null || n < 0 ? null : n));
  const perSecond = (key: string) => gauge(key).map((n) => (n === null ? null : n / m.step));
  return [
    { title: t('metrics.lag'), format: seconds, lines: [{ label: t('home.lag'), values: gauge('lag_seconds'), color: 'warn' }] },
    {
      title: t('metrics.applied'),
      format: rate,
      lines: [
        { label: t('metrics.inserts'), values: perSecond('inserts'), color: 'good' },
        { label: t('metrics.updates'), values: perSecond('updates'), color: 'busy' },
        { label: t('metrics.deletes'), values: perSecond('deletes'), color: 'bad' },
      ],
    },
    { title: t('metrics.wal'), format: bytes, lines: [{ label: t('home.wal'), values: gauge('wal_held_bytes') }] },
    { title: t('metrics.lagBytes'), format: bytes, lines: [{ label: t('home.lag'), values: gauge('lag_bytes'), color: 'warn' }] },
    { title: t('metrics.copied'), format: rate, lines: [{ label: t('home.rate'), values: perSecond('rows_copied'), color: 'good' }] },
    { title: t('metrics.transactions'), format: rate, lines: [{ label: t('strip.transactions'), values: perSecond('transactions'), color: 'busy' }] },
  ];
}

function highest(lines: Line[]): number | null {
  const all = lines.flatMap((l) => l.values).filter((n): n is number => n !== null);
  return all.length > 0 ? all.reduce((a, b) => Math.max(a, b)) : null;
}

export function MetricsTab({ task }: { task: Task }) {
  const t = useT();
  const [range, setRange] = useStored<Range>('metrics.range', '15 min');
  const known: Range = range in ranges ? range : '15 min';
  const metrics = useMetrics(task.id, known);
  const all = useMemo(() => (metrics.data ? charts(metrics.data, t) : []), [metrics.data, t]);
  if (metrics.isPending) return <Loading />;
  if (!metrics.data) return <Failure error={metrics.error} onRetry={() => void metrics.refetch()} />;
  const { times, from, to } = metrics.data;
  const empty = all.every((chart) => highest(chart.lines) === null);
  return (
    <div className="stack">
      <div className="scroll-x">
        <Segmented<Range> aria-label={t('metrics.range')} value={known} onChange={setRange} options={Object.keys(ranges) as Range[]} />
      </div>
      {empty ? (
        <div className="panel">
          <Nothing title={t('metrics.none')} />
        </div>
      ) : (
        <div className="charts">
          {all.map((chart) => {
            const top = highest(chart.lines);
            return (
              <section key={chart.title} className="panel chart-panel">
                <h2>
                  {chart.title}
                  {top !== null && <span className="muted small"> {t('metrics.highest', { value: chart.format(top) })}</span>}
                </h2>
                <Chart times={times} lines={chart.lines} format={chart.format} from={Date.parse(from) / 1000} to={Date.parse(to) / 1000} label={chart.title} />
              </section>
            );
          })}
        </div>
      )}
    </div>
  );
}
