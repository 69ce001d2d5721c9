// Users, tokens, the audit trail, one's own password.
import { useNavigate, useParams } from 'react-router-dom';
import { useWho } from '../../app/session';
import { Sections } from '../../components/Sections';
import { useT } from '../../i18n';
import { useTitle } from '../../lib/title';
import { AccountTab } from './AccountTab';
import { AuditTab } from './AuditTab';
import { TokensTab } from './TokensTab';
import { UsersTab } from './UsersTab';

const tabs = { users: UsersTab, tokens: TokensTab, audit: AuditTab, account: AccountTab };
type Tab = keyof typeof tabs;

export function Settings() {
  const t = useT();
  const who = useWho();
  const { tab } = useParams();
  useTitle(t('settings.title'));
  const navigate = useNavigate();
  const allowed: Tab[] = who.isAdmin ? ['users', 'tokens', 'audit', 'account'] : ['tokens', 'account'];
  const active: Tab = allowed.includes(tab as Tab) ? (tab as Tab) : allowed[0]!;
  const Content = tabs[active];
  return (
    <>
      <div className="page-title">
        <h1>{t('settings.title')}</h1>
      </div>
      <Sections
        label={t('settings.title')}
        active={active}
        onChange={(key) => navigate(`/settings/${key}`, { replace: true })}
        items={allowed.map((key) => ({ key, label: t(`settings.${key}`) }))}
      >
        <Content />
      </Sections>
    </>
  );
}
