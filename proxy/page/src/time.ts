// Times as people read them, by the server's clock.
import { signal } from '@preact/signals';

let offset = 0;

export function setServerTime(iso: string | null): void {
  if (!iso) return;
  offset = Date.parse(iso) - Date.now();
  now.value = serverNow();
}

/// The server's time in ms; changes every second.
export const now = signal(Date.now());
export const serverNow = (): number => Date.now() + offset;
setInterval(() => { now.value = serverNow(); }, 1000);

export const at = (iso: string | null): number => (iso ? Date.parse(iso) : NaN);

const pad = (n: number): string => String(n).padStart(2, '0');

/// "4:07" below an hour, "2 h 05 min", "3 d 4 h".
export function span(ms: number): string {
  const s = Math.max(0, Math.floor(ms / 1000));
  const m = Math.floor(s / 60);
  const h = Math.floor(m / 60);
  if (s < 60) return `${s} s`;
  if (h < 1) return `${m}:${pad(s % 60)} min`;
  if (h < 24) return `${h} h ${pad(m % 60)} min`;
  return `${Math.floor(h / 24)} d ${h % 24} h`;
}

/// The day is left out where it is today.
export function clock(iso: string | null, seconds = false): string {
  if (!iso) return '–';
  const d = new Date(iso);
  const time = `${pad(d.getHours())}:${pad(d.getMinutes())}` +
    (seconds ? `:${pad(d.getSeconds())}` : '');
  const today = new Date(serverNow());
  if (d.toDateString() === today.toDateString()) return time;
  return `${d.getFullYear()}-${pad(d.getMonth() + 1)}-${pad(d.getDate())} ${time}`;
}

/// A sentence of the server, with its instants as people here read them.
export function readable(text: string): string {
  return text.replace(/\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z/g, (iso) => clock(iso, true));
}

const units: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/// "1h30m" as the API and the policy write it; NaN for anything else.
export function durationMs(text: string): number {
  let sum = 0;
  let rest = text.trim();
  if (rest === '') return NaN;
  while (rest !== '') {
    const m = /^(\d+)\s*(ms|s|m|h|d)\s*/.exec(rest);
    if (!m) return NaN;
    sum += Number(m[1]) * (units[m[2] ?? ''] ?? NaN);
    rest = rest.slice(m[0].length);
  }
  return sum;
}

/// Lengths to offer that fit below `most`, and `most` itself.
export function choices(most: string): string[] {
  const max = durationMs(most);
  const below = ['5m', '15m', '30m', '1h', '2h', '4h', '8h', '24h'].filter((d) =>
    durationMs(d) < max);
  return [...below.slice(-3), most];
}
