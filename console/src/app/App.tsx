// Providers and routes.
import { QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { App as AntApp, ConfigProvider } from 'antd';
import enUS from 'antd/locale/en_US';
import zhCN from 'antd/locale/zh_CN';
import { useEffect } from 'react';
import { BrowserRouter, Route, Routes } from 'react-router-dom';
import { setCsrf, whenUnauthenticated } from '../api/client';
import { keys, useSession } from '../api/queries';
import { Failure, Loading, NotFound } from '../components/states';
import { I18n, useI18n } from '../i18n';
import { Alerts } from '../pages/alerts/Alerts';
import { Home } from '../pages/home/Home';
import { Login } from '../pages/login/Login';
import { TaskPage } from '../pages/task/TaskPage';
import { Wizard } from '../pages/wizard/Wizard';
import { Connections } from '../pages/connections/Connections';
import { Settings } from '../pages/settings/Settings';
import { Usage } from '../pages/usage/Usage';
import { ErrorBoundary } from './ErrorBoundary';
import { ModeProvider, useMode } from './mode';
import { SessionProvider } from './session';
import { Shell } from './Shell';
import { themeFor } from './theme';

const client = new QueryClient({
  defaultOptions: { queries: { staleTime: 2_000, retry: 1, refetchOnWindowFocus: true } },
});
whenUnauthenticated(() => {
  setCsrf(null);
  if (client.getQueryData(keys.session) !== null) client.setQueryData(keys.session, null);
});

export function App() {
  return (
    <ModeProvider>
      <I18n>
        <Themed />
      </I18n>
    </ModeProvider>
  );
}

function Themed() {
  const { mode } = useMode();
  const { language } = useI18n();
  return (
    <ConfigProvider theme={themeFor(mode)} locale={language === 'en' ? enUS : zhCN} componentSize="middle" button={{ autoInsertSpace: false }}>
      <AntApp className="app-root" style={{ height: '100%' }} message={{ maxCount: 3 }}>
        <QueryClientProvider client={client}>
          <ErrorBoundary>
            <BrowserRouter future={{ v7_startTransition: true, v7_relativeSplatPath: true }}>
              <Gate />
            </BrowserRouter>
          </ErrorBoundary>
        </QueryClientProvider>
      </AntApp>
    </ConfigProvider>
  );
}

/** Login, or the console. */
function Gate() {
  const session = useSession();
  const data = session.data ?? null;
  if (data?.csrf_token) setCsrf(data.csrf_token);
  useEffect(() => {
    if (!data) client.removeQueries({ predicate: (q) => q.queryKey[0] !== keys.session[0] });
  }, [data]);
  if (session.isPending) return <Loading />;
  const status = (session.error as { status?: number } | null)?.status;
  if (session.error && status !== 401 && !data)
    return <Failure error={session.error} onRetry={() => void session.refetch()} />;
  if (!data) return <Login />;
  return (
    <SessionProvider session={data}>
      <Shell>
        <Routes>
          <Route path="/" element={<Home />} />
          <Route path="/connections" element={<Connections />} />
          <Route path="/alerts" element={<Alerts />} />
          <Route path="/alerts/:tab" element={<Alerts />} />
          <Route path="/usage" element={<Usage />} />
          <Route path="/usage/:tab" element={<Usage />} />
          <Route path="/settings" element={<Settings />} />
          <Route path="/settings/:tab" element={<Settings />} />
          <Route path="/create" element={<Wizard />} />
          <Route path="/create/:draft" element={<Wizard />} />
          <Route path="/tasks/:id" element={<TaskPage />} />
          <Route path="/tasks/:id/:tab" element={<TaskPage />} />
          <Route path="*" element={<NotFound />} />
        </Routes>
      </Shell>
    </SessionProvider>
  );
}
