// Runs a change; a failure is shown, and what the change was about is read again either way.
import { useQueryClient, type QueryKey } from '@tanstack/react-query';
import { App } from 'antd';
import { useT } from '../i18n';

export function useTry() {
  const t = useT();
  const client = useQueryClient();
  const { notification } = App.useApp();
  return async (change: () => Promise<unknown>, ...affected: QueryKey[]): Promise<boolean> => {
    try {
      await change();
      return true;
    } catch (error) {
      notification.error({ message: t('error.title'), description: (error as Error).message });
      return false;
    } finally {
      affected.forEach((queryKey) => void client.invalidateQueries({ queryKey }));
    }
  };
}
