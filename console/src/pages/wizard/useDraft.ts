// The draft: kept here, and saved by itself a second after the last change.
import { useEffect, useRef, useState } from 'react';
import { api, body, full } from '../../api/client';
import { fromStored, type Draft } from './draft';

export type Saving = 'idle' | 'saving' | 'saved' | 'failed';
const PAUSE_MS = 1000;

export function useDraft(start: { id: string; etag: string; draft: Draft } | null, fresh: Draft) {
  const [draft, setDraft] = useState<Draft>(start?.draft ?? fresh);
  const [saving, setSaving] = useState<Saving>('idle');
  const stored = useRef(start ? { id: start.id, etag: start.etag } : null);
  const queue = useRef<Promise<void>>(Promise.resolve());
  const touched = useRef(false);
  const gone = useRef(false);

  useEffect(() => {
    if (!touched.current || gone.current) return;
    const timer = setTimeout(() => {
      setSaving('saving');
      queue.current = queue.current.then(async () => {
        try {
          await save(draft);
          setSaving('saved');
        } catch {
          setSaving('failed'); // the next change tries again
        }
      });
    }, PAUSE_MS);
    return () => clearTimeout(timer);
  }, [draft]);

  const save = async (content: Draft) => {
    if (gone.current) return;
    const payload = { name: content.name || '-', content: content as unknown as Record<string, never> };
    if (!stored.current) {
      const { data, etag } = await full(api.POST('/api/v1/drafts', { body: payload }));
      stored.current = { id: data.id, etag: etag ?? `"${data.version}"` };
      return;
    }
    const { id, etag: known } = stored.current;
    const params = { path: { draft: id }, header: { 'If-Match': known } };
    const { etag } = await full(api.PUT('/api/v1/drafts/{draft}', { params, body: payload }));
    stored.current = { id, etag: etag ?? known };
  };

  const change = (part: Partial<Draft>) => {
    touched.current = true;
    setDraft((old) => ({ ...old, ...part }));
  };
  /** The task has started, or is left as a draft of its own: this one has done its work. */
  const finish = async () => {
    gone.current = true;
    await queue.current;
    if (stored.current) await body(api.DELETE('/api/v1/drafts/{draft}', { params: { path: { draft: stored.current.id } } })).catch(() => null);
  };
  return { draft, change, saving, finish };
}

export async function loadDraft(id: string) {
  const { data, etag } = await full(api.GET('/api/v1/drafts/{draft}', { params: { path: { draft: id } } }));
  const draft = fromStored(data.content);
  const needsPassword = !draft.source.template || !draft.destination.template;
  return { id, etag: etag ?? `"${data.version}"`, draft: { ...draft, step: needsPassword ? 0 : draft.step } };
}
