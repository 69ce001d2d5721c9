// The sections of a page: tabs that wrap where there is no room, a list to choose from on a telephone. (Ant Design's
// tabs hide what does not fit behind a button, which is no tab and, to screen readers, should not be among them.)
import { Select } from 'antd';
import { useRef, type KeyboardEvent, type ReactNode } from 'react';
import { useNarrow } from '../lib/narrow';
import './sections.css';

type Props<K extends string> = { label: string; active: K; items: { key: K; label: string }[]; onChange: (key: K) => void; children: ReactNode };

export function Sections<K extends string>({ label, active, items, onChange, children }: Props<K>) {
  const narrow = useNarrow();
  const bar = useRef<HTMLDivElement>(null);
  const at = items.findIndex((item) => item.key === active);
  const onKey = (e: KeyboardEvent) => {
    const steps: Record<string, number> = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: items.length - 1 };
    const next = steps[e.key];
    if (next === undefined) return;
    e.preventDefault();
    const to = (next + items.length) % items.length;
    onChange(items[to]!.key);
    (bar.current?.children[to] as HTMLElement | undefined)?.focus();
  };
  const asList = narrow && items.length > 4;
  return (
    <div>
      {asList ? (
        <Select<K> className="sections-list" aria-label={label} value={active} onChange={onChange} options={items.map(({ key, label: text }) => ({ value: key, label: text }))} />
      ) : (
        <div ref={bar} className="sections" role="tablist" aria-label={label} onKeyDown={onKey}>
          {items.map((item) => (
            <button
              key={item.key}
              type="button"
              role="tab"
              id={`tab-${item.key}`}
              aria-selected={item.key === active}
              aria-controls="section"
              tabIndex={item.key === active ? 0 : -1}
              onClick={() => onChange(item.key)}
            >
              {item.label}
            </button>
          ))}
        </div>
      )}
      <div id="section" {...(asList ? {} : { role: 'tabpanel', 'aria-labelledby': `tab-${active}` })}>
        {children}
      </div>
    </div>
  );
}
