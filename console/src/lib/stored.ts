// A setting of this browser: theme, language, what is folded.
import { useCallback, useState } from 'react';

function read<T>(key: string, otherwise: T): T {
  try {
    const text = localStorage.getItem(`pgsluice.${key}`);
    return text === null ? otherwise : (JSON.parse(text) as T);
  } catch {
    return otherwise; // storage switched off, or not ours
  }
}

export function useStored<T>(key: string, otherwise: T): [T, (value: T) => void] {
  const [value, setValue] = useState<T>(() => read(key, otherwise));
  const store = useCallback(
    (next: T) => {
      setValue(next);
      try {
        localStorage.setItem(`pgsluice.${key}`, JSON.stringify(next));
      } catch {
        // it holds for this page only
      }
    },
    [key],
  );
  return [value, store];
}
