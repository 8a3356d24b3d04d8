// Changes as they happen: one stream of server-sent events, joined again whenever it ends. The tabs
// of a browser share one: who has the lock holds it, and tells the others.
import { signal } from '@preact/signals';
import { login, loginEnded, me } from './api';

export interface Change {
  what: 'hold' | 'opt_out' | 'review' | 'flag';
  id: number;
  state: string;
}

/// Since when nothing has been heard; null: what is shown is current.
export const staleSince = signal<number | null>(null);
/// The server gives this person no stream more: it is asked again and again instead.
export const crowded = signal(false);

// The server says something every 15 s.
const silence_max = 35_000;
const asked_every = 10_000;
let generation = 0;
let wake: (() => void) | null = null;
let current: AbortController | null = null;
let leave: (() => void) | null = null;

interface Listener {
  joined: () => Promise<void>;
  change: (c: Change) => void;
}

/// From the tab that holds the stream to the others of the same person.
type Told = { user: string } & (
  { what: 'change'; change: Change } | { what: 'joined' | 'heard' | 'login' | 'crowded' } |
  { what: 'stale'; since: number });
type Telling = (t: Told extends infer T ? T extends Told ? Omit<T, 'user'> : never : never) => void;

function parse(block: string, listener: Listener): void {
  const data = block.split('\n').filter((l) => l.startsWith('data: ')).map((l) => l.slice(6));
  if (data.length === 0) return;
  try {
    listener.change(JSON.parse(data.join('\n')) as Change);
  } catch {
    // Half a line at the end of a stream; joining again fetches everything.
  }
}

type End = 'ended' | 'login' | 'crowded';

async function listen(listener: Listener, joined: () => void, alive: () => void): Promise<End> {
  const control = new AbortController();
  current = control;
  let watchdog = setTimeout(() => control.abort(), silence_max);
  const heard = (): void => {
    clearTimeout(watchdog);
    watchdog = setTimeout(() => control.abort(), silence_max);
  };
  try {
    const r = await fetch('/api/v1/events', {
      signal: control.signal, cache: 'no-store', headers: { Accept: 'text/event-stream' },
    });
    if (r.status === 401) return 'login';
    if (r.status === 429) return 'crowded';
    if (!r.ok || !r.body) return 'ended';
    const reader = r.body.pipeThrough(new TextDecoderStream()).getReader();
    let buffer = '';
    await listener.joined();
    joined();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return 'ended';
      heard();
      alive();
      buffer += value;
      for (let end = buffer.indexOf('\n\n'); end >= 0; end = buffer.indexOf('\n\n')) {
        parse(buffer.slice(0, end), listener);
        buffer = buffer.slice(end + 2);
      }
    }
  } finally {
    clearTimeout(watchdog);
  }
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => {
  const timer = setTimeout(resolve, ms);
  wake = () => {
    clearTimeout(timer);
    resolve();
  };
});

/// Holds the stream until `mine` is over; tells the other tabs what it hears.
async function lead(listener: Listener, mine: number, tell: Telling): Promise<void> {
  const shared: Listener = {
    joined: listener.joined,
    change: (c) => {
      tell({ what: 'change', change: c });
      listener.change(c);
    },
  };
  let wait = 250;
  while (mine === generation) {
    let how: End = 'ended';
    try {
      how = await listen(shared, () => {
        wait = 250;
        staleSince.value = null;
        crowded.value = false;
        tell({ what: 'joined' });
      }, () => tell({ what: 'heard' }));
    } catch {
      // Not reached, or gone quiet: the banner says so, and it is tried again.
    }
    if (mine !== generation) return;
    if (how === 'login') {
      tell({ what: 'login' });
      loginEnded();
      return;
    }
    if (how === 'crowded') {
      crowded.value = true;
      tell({ what: 'crowded' });
      await listener.joined().then(() => { staleSince.value = null; },
                                   () => { staleSince.value ??= Date.now(); });
      await pause(asked_every);
      continue;
    }
    staleSince.value ??= Date.now();
    tell({ what: 'stale', since: staleSince.value });
    await pause(wait);
    wait = Math.min(wait * 2, 4000);
  }
}

/// Hears from the tab that leads, and asks by itself when that has gone quiet.
function follow(listener: Listener, mine: number, channel: BroadcastChannel): () => void {
  let last = Date.now();
  const load = (): void => {
    listener.joined().then(() => { if (mine === generation) staleSince.value = null; },
                           () => { if (mine === generation) staleSince.value ??= Date.now(); });
  };
  channel.onmessage = (e: MessageEvent<Told>) => {
    const t = e.data;
    if (mine !== generation || t.user !== me.value?.user) return;
    last = Date.now();
    if (t.what === 'change') listener.change(t.change);
    else if (t.what === 'stale') staleSince.value = t.since;
    else if (t.what === 'login') loginEnded();
    else if (t.what !== 'heard' || staleSince.value !== null || crowded.value) {
      crowded.value = t.what === 'crowded';
      load();
    }
  };
  load();
  const timer = setInterval(() => { if (Date.now() - last > silence_max) load(); }, asked_every);
  return () => {
    clearInterval(timer);
    channel.onmessage = null;
  };
}

export function start(listener: Listener): void {
  const mine = ++generation;
  const user = me.value?.user ?? '';
  if (!('locks' in navigator) || !('BroadcastChannel' in window)) {
    void lead(listener, mine, () => undefined);
    return;
  }
  const channel = new BroadcastChannel('sallyport-events');
  const control = new AbortController();
  let unfollow: (() => void) | null = null;
  leave = () => {
    unfollow?.();
    control.abort();
    channel.close();
  };
  const tell: Telling = (t) => { if (mine === generation) channel.postMessage({ ...t, user }); };
  const name = 'sallyport-events';
  const turn = (): Promise<unknown> =>
    navigator.locks.request(name, { signal: control.signal }, async () => {
      unfollow?.();
      unfollow = null;
      if (mine === generation) await lead(listener, mine, tell);
    });
  // Whoever does not have it at once follows until it is her turn.
  void navigator.locks.request(name, { ifAvailable: true }, async (lock) => {
    if (mine !== generation) return;
    if (lock) {
      await lead(listener, mine, tell);
      return;
    }
    unfollow = follow(listener, mine, channel);
    turn().catch(() => undefined);
  });
}

export function stop(): void {
  generation += 1;
  leave?.();
  leave = null;
  current?.abort();
  wake?.();
  staleSince.value = null;
  crowded.value = false;
}

export function retryNow(): void {
  wake?.();
}

addEventListener('online', retryNow);
// A laptop that slept has a stream that will never speak again.
let last = Date.now();
setInterval(() => {
  const slept = Date.now() - last > 20_000;
  last = Date.now();
  if (slept && login.value === 'in') current?.abort();
}, 5000);
