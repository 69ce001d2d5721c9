// What tasks used, by month; prices and terms.
import { useNavigate, useParams } from 'react-router-dom';
import { Sections } from '../../components/Sections';
import { useT } from '../../i18n';
import { useTitle } from '../../lib/title';
import { PricesTab } from './PricesTab';
import { ReportTab } from './ReportTab';
import { TermsTab } from './TermsTab';

const tabs = { report: ReportTab, prices: PricesTab, terms: TermsTab };
type Tab = keyof typeof tabs;

export function Usage() {
  const t = useT();
  const { tab } = useParams();
  useTitle(t('usage.title'));
  const navigate = useNavigate();
  const active: Tab = tab && tab in tabs ? (tab as Tab) : 'report';
  const Content = tabs[active];
  return (
    <>
      <div className="page-title">
        <h1>{t('usage.title')}</h1>
      </div>
      <Sections
        label={t('usage.title')}
        active={active}
        onChange={(key) => navigate(`/usage/${key}`, { replace: true })}
        items={(Object.keys(tabs) as Tab[]).map((key) => ({ key, label: t(`usage.${key}`) }))}
      >
        <Content />
      </Sections>
    </>
  );
}
