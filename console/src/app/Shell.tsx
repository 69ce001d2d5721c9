// The frame of every page: navigation, live sign, language, theme, account.
import {
  BarChartOutlined, BellOutlined, BulbOutlined, DatabaseOutlined, GlobalOutlined, LogoutOutlined, MenuOutlined, SettingOutlined, UnorderedListOutlined, UserOutlined,
} from '@ant-design/icons';
import { useQueryClient } from '@tanstack/react-query';
import { Button, Drawer, Dropdown, Layout, Menu, Tooltip, type MenuProps } from 'antd';
import { useEffect, useRef, useState, type ReactNode } from 'react';
import { Link, useLocation } from 'react-router-dom';
import { api, body, setCsrf } from '../api/client';
import { useConnected, useLive } from '../api/live';
import { keys, useAlerts, useSummary } from '../api/queries';
import { useI18n } from '../i18n';
import { useMode, type Choice } from './mode';
import { useWho } from './session';
import './shell.css';

type Entry = { key: string; icon: ReactNode; label: ReactNode; to: string };

function useNavigation(): Entry[] {
  const { t } = useI18n();
  const on = useAlerts().data?.items.length ?? 0;
  const count = on > 0 && (
    <span className="nav-count num" aria-label={t('alerts.count', { n: on })} role="img">
      {on}
    </span>
  );
  return [
    { key: 'tasks', icon: <UnorderedListOutlined />, label: t('app.tasks'), to: '/' },
    { key: 'connections', icon: <DatabaseOutlined />, label: t('connections.title'), to: '/connections' },
    { key: 'alerts', icon: <BellOutlined />, label: <>{t('alerts.title')} {count}</>, to: '/alerts' },
    { key: 'usage', icon: <BarChartOutlined />, label: t('usage.title'), to: '/usage' },
    { key: 'settings', icon: <SettingOutlined />, label: t('settings.title'), to: '/settings' },
  ];
}

function current(path: string): string {
  const first = path.split('/')[1] ?? '';
  return first === '' || first === 'create' ? 'tasks' : first;
}

export function Shell({ children }: { children: ReactNode }) {
  const { t } = useI18n();
  const { pathname } = useLocation();
  const [open, setOpen] = useState(false);
  const main = useRef<HTMLElement>(null);
  const page = pathname.split('/').slice(0, 3).join('/'); // another tab of it is no other page
  useLive();
  useEffect(() => {
    setOpen(false);
    main.current?.parentElement?.scrollTo(0, 0);
  }, [page]);
  const links = useNavigation();
  const items = links.map(({ key, icon, label, to }) => ({ key, icon, label: <Link to={to}>{label}</Link> }));
  const menu = <Menu mode="inline" items={items} selectedKeys={[current(pathname)]} style={{ border: 0 }} />;
  return (
    <Layout style={{ height: '100%' }}>
      <a className="skip" href="#main" onClick={() => main.current?.focus()}>
        {t('app.skip')}
      </a>
      <Layout.Header className="shell-header">
        <Button className="shell-burger" type="text" icon={<MenuOutlined />} aria-label={t('app.menu')} onClick={() => setOpen(true)} />
        <Link to="/" className="shell-brand" aria-label="pgsluice">
          <img src="/favicon.svg" alt="" width={26} height={26} />
          <span>pgsluice</span>
        </Link>
        <Live />
        <span className="grow" />
        <Language />
        <Theme />
        <Account />
      </Layout.Header>
      <Layout hasSider>
        <Layout.Sider width={196} className="shell-sider" theme="light">
          <nav aria-label={t('app.menu')}>{menu}</nav>
          <Version />
        </Layout.Sider>
        <Layout.Content className="shell-content">
          <main id="main" ref={main} className="page" tabIndex={-1}>
            {children}
          </main>
        </Layout.Content>
      </Layout>
      <Drawer placement="left" width={260} open={open} onClose={() => setOpen(false)} title="pgsluice" styles={{ body: { padding: 8 } }}>
        <nav aria-label={t('app.menu')}>{menu}</nav>
        <Version />
      </Drawer>
    </Layout>
  );
}

function Version() {
  const summary = useSummary();
  return <div className="shell-version muted small">{summary.data ? `pgsluice ${summary.data.version}` : ''}</div>;
}

function Live() {
  const { t } = useI18n();
  const connected = useConnected();
  return (
    <Tooltip title={t(connected ? 'app.liveHelp' : 'app.offlineHelp')}>
      <span className={connected ? 'live on' : 'live'} role="status" tabIndex={0}>
        {t(connected ? 'app.live' : 'app.offline')}
      </span>
    </Tooltip>
  );
}

export function Language() {
  const { language, setLanguage, t } = useI18n();
  const items: MenuProps['items'] = [
    { key: 'en', label: 'English' },
    { key: 'zh-CN', label: '简体中文' },
  ];
  return (
    <Dropdown
      trigger={['click']}
      menu={{ items, selectable: true, selectedKeys: [language], onClick: ({ key }) => setLanguage(key as typeof language) }}
    >
      <Button type="text" icon={<GlobalOutlined />} aria-label={t('app.language')} />
    </Dropdown>
  );
}

export function Theme() {
  const { t } = useI18n();
  const { choice, choose } = useMode();
  const items = (['light', 'dark', 'system'] as const).map((key) => ({ key, label: t(`app.${key}`) }));
  return (
    <Dropdown
      trigger={['click']}
      menu={{ items, selectable: true, selectedKeys: [choice], onClick: ({ key }) => choose(key as Choice) }}
    >
      <Button type="text" icon={<BulbOutlined />} aria-label={t('app.theme')} />
    </Dropdown>
  );
}

function Account() {
  const { t } = useI18n();
  const who = useWho();
  const client = useQueryClient();
  const logout = async () => {
    await body(api.DELETE('/api/v1/session')).catch(() => null); // gone is gone
    setCsrf(null);
    client.setQueryData(keys.session, null);
  };
  const items: MenuProps['items'] = [
    { key: 'who', disabled: true, label: `${who.user} · ${t(`role.${who.role}`)}` },
    { type: 'divider' },
    { key: 'logout', icon: <LogoutOutlined />, label: t('app.logout'), onClick: () => void logout() },
  ];
  return (
    <Dropdown trigger={['click']} menu={{ items }}>
      <Button type="text" icon={<UserOutlined />} aria-label={`${t('app.user')}: ${who.user}`}>
        <span className="hide-narrow">{who.user}</span>
      </Button>
    </Dropdown>
  );
}
