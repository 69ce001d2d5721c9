// The schema report: what became of each object, the troubles first.
import { Alert, Button, Input, Segmented, Tag } from 'antd';
import { useDeferredValue, useMemo, useState } from 'react';
import type { Schemas, Task } from '../../api/client';
import { useSchemaReport } from '../../api/queries';
import { Listing } from '../../components/Listing';
import { Failure, Loading, Nothing } from '../../components/states';
import { useT } from '../../i18n';

type Row = Schemas['SchemaObjectPage']['items'][number];
type Result = Row['result'];
const colors: Record<Result, string> = { failed: 'error', unsupported: 'warning', skipped: 'default', created: 'success' };
const results = Object.keys(colors) as Result[];

export function SchemaTab({ task }: { task: Task }) {
  const t = useT();
  const [search, setSearch] = useState('');
  const [result, setResult] = useState<Result | ''>('');
  const q = useDeferredValue(search);
  const report = useSchemaReport(task.id, { result: result || undefined, q: q || undefined });
  const rows = useMemo(() => {
    const all = report.data?.pages.flatMap((page) => page.items) ?? [];
    return [...all].sort((a, b) => results.indexOf(a.result) - results.indexOf(b.result));
  }, [report.data]);
  if (report.isPending) return <Loading />;
  if (!report.data) return <Failure error={report.error} onRetry={() => void report.refetch()} />;
  if (rows.length === 0 && result === '' && q === '')
    return (
      <div className="panel">
        <Nothing title={t('report.none')} help={t(task.stages.includes('schema') ? 'report.noneHelp' : 'report.noSchema')} />
      </div>
    );
  return (
    <div className="stack">
      <div className="row">
        <Input.Search allowClear className="home-search" value={search} onChange={(e) => setSearch(e.target.value)} placeholder={t('report.search')} aria-label={t('report.search')} />
        <div className="scroll-x">
          <Segmented<Result | ''>
            aria-label={t('report.result')}
            value={result}
            onChange={setResult}
            options={[{ value: '', label: t('home.all') }, ...results.map((value) => ({ value, label: t(`report.${value}`) }))]}
          />
        </div>
      </div>
      {result === 'unsupported' && rows.length > 0 && <Alert type="info" showIcon message={t('report.unsupportedHelp')} />}
      <div className="panel">
        <Listing<Row>
          rowKey={(row) => `${row.kind} ${row.object}`}
          size="small"
          dataSource={rows}
          pagination={rows.length > 100 ? { pageSize: 100, showSizeChanger: false } : false}
          scroll={{ x: 700 }}
          locale={{ emptyText: t('report.noFit') }}
          columns={[
            { title: t('report.kind'), dataIndex: 'kind', width: 150 },
            { title: t('report.object'), key: 'object', render: (_, row) => <span className="mono">{row.object}</span> },
            { title: t('report.result'), key: 'result', width: 130, render: (_, row) => <Tag color={colors[row.result]}>{t(`report.${row.result}`)}</Tag> },
            {
              title: t('report.detail'),
              key: 'detail',
              render: (_, row) => (
                <>
                  {row.detail}
                  {row.sqlstate && <div className="muted small">SQLSTATE {row.sqlstate}</div>}
                </>
              ),
            },
          ]}
        />
      </div>
      {report.hasNextPage && (
        <Button loading={report.isFetchingNextPage} onClick={() => void report.fetchNextPage()}>
          {t('report.more')}
        </Button>
      )}
    </div>
  );
}
