import type { Translate } from '../../i18n';

/** What this pair of versions cannot do. */
export function limits(source: string | undefined, destination: string | undefined, t: Translate): string[] {
  const a = parseFloat(source ?? '');
  const b = parseFloat(destination ?? '');
  if (Number.isNaN(a) || Number.isNaN(b)) return [];
  const found: string[] = [];
  if (a < 10) found.push(t('pair.nine'));
  if (a >= 10 && a < 11) found.push(t('pair.ten'));
  if (Math.floor(b) < Math.floor(a)) found.push(t('pair.older'));
  return found;
}
