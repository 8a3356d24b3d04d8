// One way to the server: JSON in and out, problems as errors, and the login that stands behind it.
import { signal } from '@preact/signals';
import type { Me } from './types';
import { setServerTime } from './time';

export class ApiError extends Error {
  constructor(readonly status: number, readonly kind: string, readonly detail: string,
              readonly next: string) {
    super(detail);
  }
}

/// null: nobody is logged in.
export const me = signal<Me | null>(null);
/// starting: it is not known yet; ended: somebody was, and what she did is kept for her.
export const login = signal<'starting' | 'out' | 'in' | 'ended'>('starting');

async function problemOf(r: Response): Promise<ApiError> {
  try {
    const p = await r.json() as { type?: string; detail?: string; next?: string };
    const kind = (p.type ?? '').replace('urn:sallyport:problem:', '');
    return new ApiError(r.status, kind, p.detail ?? r.statusText, p.next ?? '');
  } catch {
    return new ApiError(r.status, 'http', `The server answered ${r.status}.`, 'Try again.');
  }
}

export async function call<T>(method: 'GET' | 'POST', path: string, body?: unknown,
                              again = false): Promise<T> {
  const headers: Record<string, string> = { Accept: 'application/json' };
  if (method === 'POST') {
    headers['Content-Type'] = 'application/json';
    if (me.value) headers['X-CSRF-Token'] = me.value.csrf;
  }
  let r: Response;
  try {
    r = await fetch(`/api/v1/${path}`, {
      method, headers, cache: 'no-store', credentials: 'same-origin', redirect: 'error',
      ...(method === 'POST' ? { body: JSON.stringify(body ?? {}) } : {}),
    });
  } catch {
    throw new ApiError(0, 'network', 'The server cannot be reached.', 'Try again in a moment.');
  }
  if (r.ok) return await r.json() as T;
  const problem = await problemOf(r);
  if (problem.kind === 'csrf' && !again && await sameAgain()) return call<T>(method, path, body, true);
  if ((r.status === 401 && problem.kind === 'not-logged-in') || problem.kind === 'csrf')
    loginEnded();
  throw problem;
}

/// A token that no longer fits: in another tab of this browser somebody logged in. The same person?
async function sameAgain(): Promise<boolean> {
  const who = await call<Me>('GET', 'me');
  if (who.user !== me.value?.user) return false;
  accept(who);
  return true;
}

/// A file, offered for keeping under the name that the server gives it.
export async function download(path: string, fallback: string): Promise<void> {
  let r: Response;
  try {
    r = await fetch(`/api/v1/${path}`, { cache: 'no-store', credentials: 'same-origin' });
  } catch {
    throw new ApiError(0, 'network', 'The server cannot be reached.', 'Try again in a moment.');
  }
  if (!r.ok) {
    const problem = await problemOf(r);
    if (r.status === 401) loginEnded();
    throw problem;
  }
  const name = /filename="([\w.-]+)"/.exec(r.headers.get('Content-Disposition') ?? '')?.[1];
  const link = document.createElement('a');
  link.href = URL.createObjectURL(await r.blob());
  link.download = name ?? fallback;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

export const get = <T>(path: string): Promise<T> => call<T>('GET', path);
export const post = <T>(path: string, body?: unknown): Promise<T> => call<T>('POST', path, body);

export function loginEnded(): void {
  login.value = me.value ? 'ended' : 'out';
}

function accept(who: Me): void {
  setServerTime(who.now);
  me.value = who;
  login.value = 'in';
}

/// Whether the cookie of this browser still stands for somebody.
export async function resume(): Promise<void> {
  try {
    accept(await get<Me>('me'));
  } catch (e) {
    if (!(e instanceof ApiError) || e.status !== 401) {
      setTimeout(() => { if (login.value === 'starting') void resume(); }, 1000);
    }
  }
}

export async function logIn(user: string, password: string): Promise<void> {
  const before = me.value?.user;
  const who = await post<Me>('login', { user, password });
  if (before !== undefined && before !== who.user) {
    // What the other person had on the screen is not hers.
    location.reload();
    return;
  }
  accept(who);
}

export async function logOut(): Promise<void> {
  try {
    await post('logout', {});
  } finally {
    me.value = null;
    login.value = 'out';
    location.assign('/');
  }
}

// Idle logins end at the server; somebody who reads is not idle.
let active = false;
for (const what of ['pointerdown', 'keydown', 'scroll'])
  addEventListener(what, () => { active = true; }, { capture: true, passive: true });
setInterval(() => {
  if (!active || login.value !== 'in') return;
  active = false;
  void get<Me>('me').then(accept, () => undefined);
}, 240_000);
