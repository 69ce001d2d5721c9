// The report's lines and their sum.
import { Table, Tooltip } from 'antd';
import { Link } from 'react-router-dom';
import type { Schemas } from '../../api/client';
import { Listing } from '../../components/Listing';
import { useTasks } from '../../api/queries';
import { useT } from '../../i18n';
import { bytes, count } from '../../lib/format';

type Report = Schemas['UsageReport'];
type Line = Report['items'][number];

const hours = (n: number) => (n < 1 ? `${Math.ceil(n * 60)} min` : `${n < 100 ? n.toFixed(1) : count(n)} h`);
const money = (n: number, currency: string) => `${n.toLocaleString('en-US', { minimumFractionDigits: 2, maximumFractionDigits: 2 })} ${currency}`;

export function UsageTable({ report, single }: { report: Report; single?: boolean }) {
  const t = useT();
  const tasks = useTasks();
  const names = new Map(tasks.data?.map((one) => [one.id, one.name])); // of a deleted task the report's own
  const { items, currency } = report;
  const sum = (of: (line: Line) => number) => items.reduce((n, line) => n + of(line), 0);
  const priced = items.some((line) => line.price !== null);
  return (
    <div className="panel">
      <Listing<Line>
        rowKey={(line) => `${line.task} ${line.month} ${line.class} ${line.billing}`}
        size="middle"
        dataSource={items}
        pagination={items.length > 100 ? { pageSize: 100, showSizeChanger: false } : false}
        scroll={{ x: 820 }}
        columns={[
          { title: t('usage.month'), dataIndex: 'month', width: 100, className: 'num' },
          ...(single ? [] : [{ title: t('home.name'), key: 'task', render: (_: unknown, line: Line) => <Link to={`/tasks/${line.task}`}>{names.get(line.task) ?? line.name}</Link> }]),
          { title: t('usage.class'), dataIndex: 'class', width: 110 },
          { title: t('usage.billing'), key: 'billing', render: (_, line) => t(`billing.${line.billing}`) },
          {
            title: <Tooltip title={t('usage.hoursHelp')}>{t('usage.hours')}</Tooltip>,
            key: 'hours',
            align: 'right',
            render: (_, line) => (
              <span className="num">
                {hours(line.hours)}
                {line.retrying_hours > 0 && <div className="muted small">{t('usage.retrying', { hours: hours(line.retrying_hours) })}</div>}
              </span>
            ),
          },
          { title: t('usage.rows'), key: 'rows', align: 'right', render: (_, line) => <span className="num">{count(line.rows)}</span> },
          { title: t('usage.bytes'), key: 'bytes', align: 'right', render: (_, line) => <span className="num">{bytes(line.bytes)}</span> },
          { title: t('usage.price'), key: 'price', align: 'right', render: (_, line) => <span className="num">{line.price === null ? <span className="muted">{t('usage.noPrice')}</span> : money(line.price, currency)}</span> },
        ]}
        summary={() => (
          <Table.Summary.Row>
            <Table.Summary.Cell index={0} colSpan={single ? 3 : 4}>
              <b>{t('usage.sum')}</b>
            </Table.Summary.Cell>
            <Table.Summary.Cell index={1} align="right"><b className="num">{hours(sum((l) => l.hours))}</b></Table.Summary.Cell>
            <Table.Summary.Cell index={2} align="right"><b className="num">{count(sum((l) => l.rows))}</b></Table.Summary.Cell>
            <Table.Summary.Cell index={3} align="right"><b className="num">{bytes(sum((l) => l.bytes))}</b></Table.Summary.Cell>
            <Table.Summary.Cell index={4} align="right"><b className="num">{priced ? money(sum((l) => l.price ?? 0), currency) : '–'}</b></Table.Summary.Cell>
          </Table.Summary.Row>
        )}
      />
    </div>
  );
}
