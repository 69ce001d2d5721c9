// What the wizard collects, and the specification that it makes of it.
import type { Schemas } from '../../api/client';
import { asOnSource, names, objects, type Names, type Options, type Selection } from './selection';

type Endpoint = Schemas['Endpoint'];

export type End = {
  template: string | null; // id of a connection
  host: string;
  port: string;
  database: string;
  user: string;
  password: string;
  ssl: string; // '' is libpq's default
  rootCert: string;
  region: string;
};

export type Draft = {
  step: number;
  name: string;
  source: End;
  destination: End;
  stages: ('schema' | 'full' | 'incremental')[];
  conflict: 'report' | 'proceed';
  keyless: 'refuse' | 'insert_only' | 'full';
  on_error: 'stop' | 'set_aside';
  retry_minutes: number;
  workers: number | null;
  include_privileges: boolean;
  selection: Selection;
  options: Options;
  names: Names;
  class: Schemas['ClassName'];
  alerts: Partial<Schemas['TaskAlerts']>;
  task: string | null; // once it was created for the precheck
};

export const emptyEnd: End = {
  template: null, host: '', port: '', database: '', user: '', password: '', ssl: '', rootCert: '', region: '',
};

export function emptyDraft(now = new Date()): Draft {
  return {
    step: 0,
    name: `sync-${now.toISOString().slice(0, 10)}-${now.toISOString().slice(11, 16).replace(':', '')}`,
    source: emptyEnd,
    destination: emptyEnd,
    stages: ['schema', 'full', 'incremental'],
    conflict: 'report',
    keyless: 'refuse',
    on_error: 'stop',
    retry_minutes: 120,
    workers: null,
    include_privileges: false,
    selection: {},
    options: {},
    names: asOnSource,
    class: 'unlimited',
    alerts: {},
    task: null,
  };
}

/** A stored draft with whatever it lacks; passwords come back as null. */
export function fromStored(content: unknown): Draft {
  const empty = emptyDraft();
  const stored = (content && typeof content === 'object' ? content : {}) as Partial<Draft>;
  const end = (given: Partial<End> | undefined): End => ({ ...emptyEnd, ...given, password: given?.password ?? '' });
  return { ...empty, ...stored, source: end(stored.source), destination: end(stored.destination) };
}

export function endpoint(end: End): Endpoint {
  const socket = end.host.startsWith('/');
  return {
    ...(socket ? { socket: end.host } : { host: end.host.trim() }),
    ...(end.port.trim() ? { port: /^\d+$/.test(end.port.trim()) ? Number(end.port) : end.port.trim() } : {}),
    database: end.database.trim(),
    user: end.user.trim(),
    ...(end.password ? { password: end.password } : {}),
    ...(end.ssl ? { ssl: { mode: end.ssl as never, ...(end.rootCert ? { root_cert: end.rootCert } : {}) } } : {}),
    ...(end.region.trim() ? { region: end.region.trim() } : {}),
  };
}

/** What tests and the tree take: a template, or the endpoint itself. */
export function choice(end: End, side: 'source' | 'destination'): Schemas['ConnectionChoice'] {
  return end.template ? { side, connection: end.template } : { side, endpoint: endpoint(end) };
}

export function missing(end: End): (keyof End)[] {
  if (end.template) return [];
  return (['host', 'database', 'user'] as const).filter((key) => !end[key].trim());
}

export function newTask(draft: Draft): Schemas['NewTask'] {
  const named = names(draft.names);
  const none = { database: '-', user: '-' }; // the template takes its place
  return {
    spec: {
      name: draft.name.trim(),
      source: draft.source.template ? none : endpoint(draft.source),
      destination: draft.destination.template ? none : endpoint(draft.destination),
      stages: draft.stages,
      objects: objects(draft.selection, draft.options),
      ...(named ? { names: named } : {}),
      conflict: draft.conflict,
      keyless: draft.keyless,
      on_error: draft.on_error,
      retry_minutes: draft.retry_minutes,
      ...(draft.class !== 'unlimited' ? { class: draft.class } : {}),
      ...(draft.workers ? { workers: draft.workers } : {}),
      ...((draft.alerts.contacts?.length ?? 0) > 0 ? { alerts: draft.alerts as Schemas['TaskAlerts'] } : {}),
      ...(draft.include_privileges ? { include_privileges: true } : {}),
    },
    ...(draft.source.template ? { source_connection: draft.source.template } : {}),
    ...(draft.destination.template ? { destination_connection: draft.destination.template } : {}),
  };
}
