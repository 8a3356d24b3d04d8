// What the page knows: lists that follow the server's changes.
import { batch, computed, signal } from '@preact/signals';
import { ApiError, get, me } from './api';
import type { Change } from './live';
import { at, now, serverNow } from './time';
import type { Flag, Hold, OptOut, Review, Rules } from './types';

export const holds = signal<ReadonlyMap<number, Hold>>(new Map());
export const optOuts = signal<ReadonlyMap<number, OptOut>>(new Map());
export const reviews = signal<readonly Review[]>([]);
export const flags = signal<readonly Flag[]>([]);
export const rules = signal<Rules | null>(null);
export const loaded = signal(false);
export const historyLoaded = signal(false);

export const seesFlags = (): boolean =>
  Boolean(me.value && (me.value.admin || me.value.auditor || me.value.monitor));

/// What just came to wait for me: for the announcement and the notification.
export type Arrival = { kind: 'hold'; hold: Hold } | { kind: 'opt_out'; optOut: OptOut };
const arrivalListeners: ((a: Arrival) => void)[] = [];
export const onArrival = (f: (a: Arrival) => void): void => { arrivalListeners.push(f); };

const byDeadline = (a: Hold, b: Hold): number =>
  at(a.expires_at) - at(b.expires_at) || a.id - b.id;

export const pending = computed(() =>
  [...holds.value.values()].filter((h) => h.state === 'pending').sort((a, b) =>
    Number(b.may_vote) - Number(a.may_vote) || byDeadline(a, b)));
export const mineToDecide = computed(() => pending.value.filter((h) => h.may_vote));
export const othersWaiting = computed(() => pending.value.filter((h) => !h.may_vote));
export const decided = computed(() =>
  [...holds.value.values()].filter((h) => h.state !== 'pending').sort((a, b) =>
    at(b.ended_at) - at(a.ended_at) || b.id - a.id));
export const optOutsToDecide = computed(() =>
  [...optOuts.value.values()].filter((o) => o.may_vote));
export const reviewsDue = computed(() =>
  reviews.value.filter((r) => r.state === 'open' && r.may_review));

/// `now` ticks; what was approved within this second is live all the same.
export function isLive(o: OptOut, t: number = Math.max(now.value, serverNow())): boolean {
  return o.state === 'active' && at(o.from) <= t && t < at(o.until);
}

function put<T extends { id: number }>(map: ReadonlyMap<number, T>, items: readonly T[]) {
  const out = new Map(map);
  for (const x of items) out.set(x.id, x);
  return out;
}

async function one<T>(path: string): Promise<T | null> {
  try {
    return await get<T>(path);
  } catch (e) {
    if (e instanceof ApiError && e.status === 404) return null;
    throw e;
  }
}

export async function loadHold(id: number): Promise<boolean> {
  const h = await one<Hold>(`holds/${id}?transaction=no`);
  if (!h) return false;
  const known = holds.value.get(id);
  holds.value = put(holds.value, [h]);
  if (loaded.value && h.state === 'pending' && h.may_vote && !known)
    for (const f of arrivalListeners) f({ kind: 'hold', hold: h });
  return true;
}

export async function loadOptOut(id: number): Promise<boolean> {
  const o = await one<OptOut>(`opt-outs/${id}`);
  if (!o) return false;
  const known = optOuts.value.get(id);
  optOuts.value = put(optOuts.value, [o]);
  if (loaded.value && o.may_vote && !known)
    for (const f of arrivalListeners) f({ kind: 'opt_out', optOut: o });
  return true;
}

export async function loadReviews(): Promise<void> {
  reviews.value = (await get<{ reviews: Review[] }>('reviews?state=all')).reviews;
}

export async function loadFlags(): Promise<void> {
  if (seesFlags()) flags.value = (await get<{ flags: Flag[] }>('flags?state=all')).flags;
}

export async function loadRules(): Promise<void> {
  rules.value = await get<Rules>('rules');
}

/// The decided holds too, as far as the server lists them.
export async function loadHistory(): Promise<void> {
  const all = (await get<{ holds: Hold[] }>('holds?state=all')).holds;
  batch(() => {
    holds.value = put(holds.value, all);
    historyLoaded.value = true;
  });
}

/// After joining the stream: what was missed is fetched.
export async function loadAll(): Promise<void> {
  const before = holds.value;
  const [h, o] = await Promise.all([
    get<{ holds: Hold[] }>('holds?state=pending'),
    get<{ opt_outs: OptOut[] }>('opt-outs?state=all'),
    loadReviews(), loadFlags(), loadRules(),
  ]);
  const fresh = new Set(h.holds.map((x) => x.id));
  const gone = [...before.values()].filter((x) => x.state === 'pending' && !fresh.has(x.id));
  batch(() => {
    holds.value = put(holds.value, h.holds);
    optOuts.value = put(new Map(), o.opt_outs);
  });
  await Promise.all(gone.map((x) => loadHold(x.id)));
  if (loaded.value)
    for (const x of h.holds)
      if (x.may_vote && !before.has(x.id))
        for (const f of arrivalListeners) f({ kind: 'hold', hold: x });
  loaded.value = true;
}

// Changes come in bursts, one for each waiter: each thing is fetched once for what came together.
const queue = new Map<string, Change>();
let draining = false;

async function drain(): Promise<void> {
  draining = true;
  while (queue.size > 0) {
    const some = [...queue.values()].slice(0, 8);
    for (const c of some) queue.delete(`${c.what} ${c.id}`);
    await Promise.allSettled(some.map((c) => {
      if (c.what === 'hold') return loadHold(c.id);
      if (c.what === 'opt_out') return Promise.all([loadOptOut(c.id), loadReviews()]);
      if (c.what === 'review') return loadReviews();
      return loadFlags();
    }));
  }
  draining = false;
}

export function changed(c: Change): void {
  queue.set(`${c.what} ${c.id}`, c);
  if (!draining) void drain();
}

export function forget(): void {
  batch(() => {
    holds.value = new Map();
    optOuts.value = new Map();
    reviews.value = [];
    flags.value = [];
    loaded.value = false;
    historyLoaded.value = false;
  });
}
