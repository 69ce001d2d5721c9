// Two languages, one table per area: every text is a pair [English, Simplified Chinese] under a typed key.
import { createContext, useContext, useEffect, useMemo, type ReactNode } from 'react';
import { useStored } from '../lib/stored';
import { messages, type MessageKey } from './messages';

export type Language = 'en' | 'zh-CN';
type Values = Record<string, string | number>;
export type Translate = (key: MessageKey, values?: Values) => string;

/** {name} stands for a value; {n|one|many} for a word that depends on the number n. */
export function fill(text: string, values?: Values): string {
  return text.replace(/\{(\w+)(?:\|([^|}]*)\|([^}]*))?\}/g, (all, name: string, one?: string, many?: string) => {
    const value = values?.[name];
    if (value === undefined) return all;
    return one === undefined ? String(value) : Number(value) === 1 ? one : (many ?? '');
  });
}

export function translator(language: Language): Translate {
  const column = language === 'en' ? 0 : 1;
  return (key, values) => fill(messages[key][column], values);
}

const Context = createContext<{ language: Language; setLanguage: (l: Language) => void; t: Translate } | null>(null);

export function I18n({ children }: { children: ReactNode }) {
  const preferred: Language = navigator.language.toLowerCase().startsWith('zh') ? 'zh-CN' : 'en';
  const [language, setLanguage] = useStored<Language>('language', preferred);
  useEffect(() => {
    document.documentElement.lang = language;
  }, [language]);
  const value = useMemo(
    () => ({ language, setLanguage, t: translator(language) }),
    [language, setLanguage],
  );
  return <Context.Provider value={value}>{children}</Context.Provider>;
}

export function useI18n() {
  const value = useContext(Context);
  if (!value) throw new Error('useI18n outside of I18n');
  return value;
}

export function useT(): Translate {
  return useI18n().t;
}
