// Hours, rows, bytes and price by task and month, and the same as CSV.
import { DownloadOutlined } from '@ant-design/icons';
import { Button, Select } from 'antd';
import { useState } from 'react';
import { usageCsv, useUsage, type Period } from '../../api/usage';
import { Failure, Loading, Nothing } from '../../components/states';
import { useT } from '../../i18n';
import { useTry } from '../../lib/useTry';
import { UsageTable } from './UsageTable';

const day = (d: Date) => d.toISOString().slice(0, 10);

/** Whole months in UTC, the present one last: what `months` ago began with, until today. */
export function period(months: number, now = new Date()): Period {
  const from = new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() - months, 1));
  return { from: day(from), to: day(now) };
}

/** The month before the present one. */
export function lastMonth(now = new Date()): Period {
  const first = new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() - 1, 1));
  return { from: day(first), to: day(new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth(), 0))) };
}

const periods = { this: () => period(0), last: () => lastMonth(), quarter: () => period(2), year: () => period(11) };
type Choice = keyof typeof periods;

export function ReportTab() {
  const t = useT();
  const attempt = useTry();
  const [choice, setChoice] = useState<Choice>('this');
  const wanted = periods[choice]();
  const report = useUsage(wanted);
  const download = () =>
    attempt(async () => {
      const url = URL.createObjectURL(new Blob([await usageCsv(wanted)], { type: 'text/csv' }));
      const link = document.createElement('a');
      link.href = url;
      link.download = `pgsluice-usage-${wanted.from}-${wanted.to}.csv`;
      link.click();
      setTimeout(() => URL.revokeObjectURL(url), 1000);
    });
  const items = report.data?.items ?? [];
  return (
    <div className="stack">
      <div className="row">
        <Select<Choice> aria-label={t('usage.period')} style={{ minWidth: 180 }} value={choice} onChange={setChoice} options={(Object.keys(periods) as Choice[]).map((value) => ({ value, label: t(`usage.of.${value}`) }))} />
        <span className="muted small">{t('usage.days', { from: wanted.from, to: wanted.to })}</span>
        <span className="grow" />
        <Button icon={<DownloadOutlined />} disabled={items.length === 0} onClick={() => void download()}>
          CSV
        </Button>
      </div>
      {report.isPending ? (
        <Loading />
      ) : !report.data ? (
        <Failure error={report.error} onRetry={() => void report.refetch()} />
      ) : items.length === 0 ? (
        <div className="panel">
          <Nothing title={t('usage.none')} help={t('usage.noneHelp')} />
        </div>
      ) : (
        <UsageTable report={report.data} />
      )}
    </div>
  );
}
