// Changes as they happen: one stream of server-sent events, joined again whenever it ends.
import { signal } from '@preact/signals';
import { login, loginEnded } from './api';

export interface Change {
  what: 'hold' | 'opt_out' | 'review' | 'flag';
  id: number;
  state: string;
}

/// Since when nothing has been heard; null: what is shown is current.
export const staleSince = signal<number | null>(null);

// The server says something every 15 s.
const silence_max = 35_000;
let generation = 0;
let wake: (() => void) | null = null;
let current: AbortController | null = null;

interface Listener {
  joined: () => Promise<void>;
  change: (c: Change) => void;
}

function parse(block: string, listener: Listener): void {
  const data = block.split('\n').filter((l) => l.startsWith('data: ')).map((l) => l.slice(6));
  if (data.length === 0) return;
  try {
    listener.change(JSON.parse(data.join('\n')) as Change);
  } catch {
    // Half a line at the end of a stream; joining again fetches everything.
  }
}

async function listen(listener: Listener, joined: () => void): Promise<'ended' | 'login'> {
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
    if (!r.ok || !r.body) return 'ended';
    const reader = r.body.pipeThrough(new TextDecoderStream()).getReader();
    let buffer = '';
    await listener.joined();
    joined();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return 'ended';
      heard();
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

export function start(listener: Listener): void {
  const mine = ++generation;
  void (async () => {
    let wait = 250;
    while (mine === generation) {
      let how: 'ended' | 'login' = 'ended';
      try {
        how = await listen(listener, () => {
          wait = 250;
          staleSince.value = null;
        });
      } catch {
        // Not reached, or gone quiet: the banner says so, and it is tried again.
      }
      if (mine !== generation) return;
      if (how === 'login') {
        loginEnded();
        return;
      }
      staleSince.value ??= Date.now();
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, wait);
        wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      wait = Math.min(wait * 2, 4000);
    }
  })();
}

export function stop(): void {
  generation += 1;
  current?.abort();
  wake?.();
  staleSince.value = null;
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
