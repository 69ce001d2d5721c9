// What every step of the wizard gets, and the buttons at its foot.
import { Button } from 'antd';
import type { ReactNode } from 'react';
import { useT } from '../../i18n';
import type { Draft } from './draft';

export type StepProps = {
  draft: Draft;
  change: (part: Partial<Draft>) => void;
  go: (step: number) => void;
  finish: () => Promise<void>;
};

/** Back and forth, at the foot of each step. */
export function Foot({ onBack, children }: { onBack?: () => void; children: ReactNode }) {
  const t = useT();
  return (
    <div className="wizard-foot row">
      {onBack && <Button onClick={onBack}>{t('wizard.back')}</Button>}
      <span className="grow" />
      {children}
    </div>
  );
}
