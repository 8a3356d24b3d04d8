// What is live now and until when, at one look.
import { isLive, optOuts } from '../data';
import { go } from '../route';
import { at, clock, now, serverNow } from '../time';
import type { OptOut } from '../types';
import { plain } from '../visible';

const hour = 3_600_000;
const row = 26;
const top = 22;
const width = 1000;

interface Bar {
  o: OptOut;
  from: number;
  to: number;
  kind: 'live' | 'coming' | 'over';
}

function barsOf(all: Iterable<OptOut>, t: number): Bar[] {
  const out: Bar[] = [];
  for (const o of all) {
    const from = at(o.from);
    if (Number.isNaN(from) || !o.until) continue;
    const to = o.ended_at ? Math.min(at(o.until), at(o.ended_at)) : at(o.until);
    const kind = isLive(o, t) ? 'live' : o.state === 'active' && from > t ? 'coming' : 'over';
    // Yesterday's is the audit log's.
    if (kind === 'over' && to < t - 12 * hour) continue;
    out.push({ o, from, to: Math.max(to, from), kind });
  }
  const order = { live: 0, coming: 1, over: 2 };
  return out.sort((a, b) => order[a.kind] - order[b.kind] || a.to - b.to).slice(0, 40);
}

function ticks(from: number, to: number): number[] {
  const steps = [0.25, 0.5, 1, 2, 3, 6, 12, 24, 48, 168].map((h) => h * hour);
  const step = steps.find((s) => (to - from) / s <= 8) ?? 720 * hour;
  const zone = new Date(from).getTimezoneOffset() * 60_000;
  const out = [];
  for (let x = Math.ceil((from - zone) / step) * step + zone; x < to; x += step) out.push(x);
  return out;
}

export function Timeline() {
  const t = Math.max(now.value, serverNow());
  const bars = barsOf(optOuts.value.values(), t);
  if (bars.length === 0) return null;
  const from = Math.min(t - hour, ...bars.map((b) => b.from));
  const to = Math.max(t + hour, ...bars.map((b) => b.to)) + hour / 6;
  const x = (time: number): number => ((time - from) / (to - from)) * width;
  const height = top + bars.length * row + 4;
  const live = bars.filter((b) => b.kind === 'live');
  return (
    <figure class="timeline">
      <figcaption>
        <strong>{live.length} live now</strong>
        {live.length > 0 && <span class="quiet"> the last ends at {clock(new Date(Math.max(
          ...live.map((b) => b.to))).toISOString())}</span>}
      </figcaption>
      <div class="area">
      <svg viewBox={`0 0 ${width} ${height}`} height={height} role="img" preserveAspectRatio="none"
           aria-label={`Timeline: ${bars.map((b) => `${plain(b.o.user)}, ${b.o.rule}, ${
             clock(new Date(b.from).toISOString())} to ${clock(new Date(b.to).toISOString())}, ${
             b.kind}`).join('; ')}`}>
        <defs>
          <pattern id="stripes" width="8" height="8" patternUnits="userSpaceOnUse"
                   patternTransform="rotate(45)">
            <rect width="8" height="8" class="stripe-ground" />
            <rect width="3" height="8" class="stripe" />
          </pattern>
        </defs>
        {ticks(from, to).map((k) => <line key={k} x1={x(k)} x2={x(k)} y1={top - 4} y2={height}
                                          class="tick" />)}
        {bars.map((b, i) => (
          <g key={b.o.id} class={`bar ${b.kind} ${b.o.kind}`} onClick={() =>
            go(`/opt-outs/${b.o.id}`)} data-opt-out={b.o.id}>
            <rect x={x(b.from)} y={top + i * row + 2} width={Math.max(4, x(b.to) - x(b.from))}
                  height={row - 6} rx="3" />
          </g>
        ))}
        <line x1={x(t)} x2={x(t)} y1="4" y2={height} class="now" />
      </svg>
      <div class="labels" aria-hidden="true">
        {ticks(from, to).map((k) => <span key={k} class="at" style={{ left: `${x(k) / 10}%` }}>
          {clock(new Date(k).toISOString()).slice(-5)}</span>)}
        <span class="at now" style={{ left: `${x(t) / 10}%` }}>now</span>
        {bars.map((b, i) => (
          <span key={b.o.id} class="name" style={{
            top: `${top + i * row + 3}px`,
            ...(x(b.from) > width * 0.5 ? { right: `${100 - x(b.from) / 10}%` }
                                         : { left: `${x(b.from) / 10}%` }),
          }}>
            {b.o.kind === 'break_glass' && '⚠ '}{plain(b.o.user)} · {b.o.rule}
            {b.kind === 'coming' && ' (later)'}{b.kind === 'over' && ' (over)'}
          </span>
        ))}
      </div>
      </div>
    </figure>
  );
}
