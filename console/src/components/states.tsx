// What a page shows when it has nothing to show yet, no right to, or failed to.
import { Alert, Button, Empty, Result, Spin } from 'antd';
import type { ReactNode } from 'react';
import { Link } from 'react-router-dom';
import { ApiError } from '../api/client';
import { useT } from '../i18n';

export function Loading() {
  const t = useT();
  return (
    <div style={{ display: 'grid', placeItems: 'center', minHeight: 240 }} role="status" aria-label={t('app.loading')}>
      <Spin size="large" delay={200} />
    </div>
  );
}

export function NotFound() {
  const t = useT();
  return (
    <Result
      status="404"
      icon={null}
      title={t('app.notFound')}
      subTitle={t('app.notFoundHelp')}
      extra={
        <Link to="/">
          <Button type="primary">{t('app.backHome')}</Button>
        </Link>
      }
    />
  );
}

/** Any error, with cause and remedy as the service gave them. */
export function Failure({ error, onRetry, action }: { error: unknown; onRetry?: () => void; action?: ReactNode }) {
  const t = useT();
  const api = error instanceof ApiError ? error : null;
  if (api?.status === 404) return <NotFound />;
  const forbidden = api?.problem.type === 'forbidden';
  const unreachable = api?.problem.type === 'unreachable';
  const title = forbidden ? t('error.forbidden') : unreachable ? t('error.unreachable') : (api?.problem.title ?? t('error.title'));
  const lines = forbidden
    ? [t('error.forbiddenHelp')]
    : api
      ? [api.problem.detail, api.problem.hint]
      : [error instanceof Error ? error.message : String(error)];
  return (
    <Alert
      type={forbidden ? 'warning' : 'error'}
      showIcon
      message={title}
      description={
        <>
          {lines.filter((line) => line && line !== title).map((line) => (
            <div key={line}>{line}</div>
          ))}
        </>
      }
      action={
        action ??
        (onRetry && !forbidden ? (
          <Button size="small" onClick={onRetry}>
            {t('action.retry')}
          </Button>
        ) : undefined)
      }
    />
  );
}

export function Nothing({ title, help, children }: { title: string; help?: ReactNode; children?: ReactNode }) {
  return (
    <div style={{ padding: '40px 16px' }}>
      <Empty
        image={Empty.PRESENTED_IMAGE_SIMPLE}
        description={
          <>
            <div style={{ fontSize: 16, fontWeight: 600 }}>{title}</div>
            {help && <div className="muted" style={{ maxWidth: 520, margin: '6px auto 0' }}>{help}</div>}
          </>
        }
      >
        {children}
      </Empty>
    </div>
  );
}
