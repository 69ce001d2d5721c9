import { useEffect } from 'react';

/** What the browser calls the page: its tab, its history. */
export function useTitle(title: string | undefined) {
  useEffect(() => {
    document.title = title ? `${title} · pgsluice` : 'pgsluice';
    return () => {
      document.title = 'pgsluice';
    };
  }, [title]);
}
