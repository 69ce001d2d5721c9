// Who is logged in, and what the role allows.
import { createContext, useContext, useMemo, type ReactNode } from 'react';
import type { Schemas } from '../api/client';

type Session = Schemas['Session'];
type Known = Session & { isOperator: boolean; isAdmin: boolean };
const Context = createContext<Known | null>(null);

export function SessionProvider({ session, children }: { session: Session; children: ReactNode }) {
  const value = useMemo(
    () => ({ ...session, isOperator: session.role !== 'viewer', isAdmin: session.role === 'admin' }),
    [session],
  );
  return <Context.Provider value={value}>{children}</Context.Provider>;
}

export function useWho(): Known {
  const value = useContext(Context);
  if (!value) throw new Error('useWho outside of SessionProvider');
  return value;
}
