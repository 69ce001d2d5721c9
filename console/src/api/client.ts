// The HTTP API: one typed client over docs/openapi.yaml, the session's CSRF token, and problems as errors.
import createClient, { type Middleware } from 'openapi-fetch';
import type { components, paths } from './schema.gen';

export type Schemas = components['schemas'];
export type Task = Schemas['Task'];
export type TaskState = Schemas['TaskState'];
export type Progress = Schemas['Progress'];
export type Problem = Schemas['Problem'];

/** An answer of 400 and above, or none at all (status 0). */
export class ApiError extends Error {
  constructor(
    readonly problem: Omit<Problem, 'type'> & { type: Problem['type'] | 'unreachable' },
    readonly retryAfter: number | null = null,
  ) {
    super(problem.detail ?? problem.title);
  }
  get status() {
    return this.problem.status;
  }
  /** The message for a field (a JSON pointer such as /spec/source/port), if the answer has one. */
  field(path: string): string | undefined {
    return this.problem.errors?.find((e) => e.path === path)?.message;
  }
}

let csrf: string | null = null;
let onUnauthenticated: () => void = () => {};

export function setCsrf(token: string | null) {
  csrf = token;
}
export function whenUnauthenticated(call: () => void) {
  onUnauthenticated = call;
}

const access: Middleware = {
  onRequest({ request }) {
    if (csrf && request.method !== 'GET') request.headers.set('X-CSRF-Token', csrf);
    return request;
  },
};

// fetch is looked up at each call so that tests can replace it.
export const api = createClient<paths>({ baseUrl: '', fetch: (request) => globalThis.fetch(request) });
api.use(access);

type Answer<T> = { data?: T; error?: unknown; response: Response };

function problemOf(error: unknown, response: Response): ApiError {
  const known = error && typeof error === 'object' && 'title' in error ? (error as Problem) : null;
  const retry = Number(response.headers.get('Retry-After'));
  return new ApiError(
    known ?? { type: 'server_error', title: `HTTP ${response.status}`, status: response.status },
    Number.isFinite(retry) && retry > 0 ? retry : null,
  );
}

/** The body of an answer, or an ApiError thrown. */
export async function body<T>(call: Promise<Answer<T>>): Promise<T> {
  return (await full(call)).data;
}

/** Body and ETag. */
export async function full<T>(call: Promise<Answer<T>>): Promise<{ data: T; etag: string | null }> {
  let answer: Answer<T>;
  try {
    answer = await call;
  } catch (cause) {
    if (cause instanceof DOMException && cause.name === 'AbortError') throw cause;
    throw new ApiError({ type: 'unreachable', title: 'The service does not answer', status: 0 });
  }
  if (!answer.response.ok) {
    const error = problemOf(answer.error, answer.response);
    if (error.problem.type === 'unauthenticated') onUnauthenticated();
    throw error;
  }
  return { data: answer.data as T, etag: answer.response.headers.get('ETag') };
}

/** A key that makes the repetition of a creation harmless. */
export function idempotencyKey(): string {
  const random = crypto.getRandomValues(new Uint8Array(12));
  return Array.from(random, (n) => n.toString(16).padStart(2, '0')).join('');
}
