import { Select } from 'antd';
import type { Schemas } from '../api/client';
import { useT } from '../i18n';
import { count } from '../lib/format';

type ClassName = Schemas['ClassName'];
type Props = { id: string; value: ClassName; classes: Schemas['Classes']['items']; disabled?: boolean; onChange: (name: ClassName) => void };

/** How much a task may take: each class with its limit. */
export function ClassSelect({ id, value, classes, disabled, onChange }: Props) {
  const t = useT();
  const limit = (n: number | null) => (n === null ? t('class.noLimit') : t('class.limit', { n: count(n) }));
  return (
    <Select<ClassName>
      id={id}
      aria-label={t('usage.class')}
      style={{ width: 280, maxWidth: '100%' }}
      disabled={disabled}
      value={value}
      onChange={onChange}
      options={classes.map((one) => ({ value: one.name, label: `${one.name} · ${limit(one.rows_per_second)}` }))}
    />
  );
}
