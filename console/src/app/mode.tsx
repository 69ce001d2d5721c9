// Light, dark, or what the system says.
import { createContext, useContext, useEffect, useMemo, useSyncExternalStore, type ReactNode } from 'react';
import { useStored } from '../lib/stored';
import type { Mode } from './theme';

export type Choice = Mode | 'system';
const Context = createContext<{ mode: Mode; choice: Choice; choose: (c: Choice) => void } | null>(null);

const system = window.matchMedia('(prefers-color-scheme: dark)');
function subscribe(call: () => void) {
  system.addEventListener('change', call);
  return () => system.removeEventListener('change', call);
}

export function ModeProvider({ children }: { children: ReactNode }) {
  const [choice, choose] = useStored<Choice>('theme', 'system');
  const dark = useSyncExternalStore(subscribe, () => system.matches);
  const mode: Mode = choice === 'system' ? (dark ? 'dark' : 'light') : choice;
  useEffect(() => {
    document.documentElement.dataset.theme = mode;
    document.documentElement.style.colorScheme = mode;
  }, [mode]);
  const value = useMemo(() => ({ mode, choice, choose }), [mode, choice, choose]);
  return <Context.Provider value={value}>{children}</Context.Provider>;
}

export function useMode() {
  const value = useContext(Context);
  if (!value) throw new Error('useMode outside of ModeProvider');
  return value;
}
