import { useSyncExternalStore } from 'react';

const query = window.matchMedia('(max-width: 760px)');
function subscribe(call: () => void) {
  query.addEventListener('change', call);
  return () => query.removeEventListener('change', call);
}

/** A telephone, or a window as wide as one. */
export function useNarrow(): boolean {
  return useSyncExternalStore(subscribe, () => query.matches);
}
