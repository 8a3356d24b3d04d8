// What happened lately, in pictures.
import { useSignal } from '@preact/signals';
import { useEffect, useMemo } from 'preact/hooks';
import { ApiError, get, me } from '../api';
import { holds, loadHistory, optOuts } from '../data';
import { at, serverNow, span } from '../time';
import type { AuditRecord } from '../types';
import { asApiError, Empty, Fault } from '../ui';
import { plain } from '../visible';
import { Chart, Ranking } from './charts';

const hour = 3_600_000;
const windows: [string, number][] = [['6 hours', 6], ['day', 24], ['week', 168], ['30 days', 720]];

function perBucket(times: readonly number[], from: number, to: number, bucket: number) {
  const first = Math.floor(from / bucket);
  const n = Math.floor(to / bucket) - first + 1;
  const y = new Array<number>(n).fill(0);
  for (const t of times) {
    const i = Math.floor(t / bucket) - first;
    if (i >= 0 && i < n) y[i] = (y[i] ?? 0) + 1;
  }
  return { x: y.map((_, i) => ((first + i) * bucket) / 1000), y };
}

function ranked(names: readonly string[]): [string, number][] {
  const count = new Map<string, number>();
  for (const n of names) count.set(n, (count.get(n) ?? 0) + 1);
  return [...count].sort((a, b) => b[1] - a[1]).slice(0, 8).map(([n, c]) => [plain(n), c]);
}

/// Auditors have the whole log, page by page; at most five pages of it.
async function recordsOf(event: string, from: number): Promise<AuditRecord[]> {
  const out: AuditRecord[] = [];
  let before = '';
  for (let page = 0; page < 5; ++page) {
    const since = new Date(from).toISOString().replace(/\.\d+Z$/, 'Z');
    const a = await get<{ records: AuditRecord[]; next_before: number | null }>(
      `audit?event=${event}&from=${since}&limit=1000${before}`);
    out.push(...a.records);
    if (a.records.length < 1000 || !a.next_before) break;
    before = `&before=${a.next_before}`;
  }
  return out;
}

function Tile({ name, children }: { name: string; children: string | number }) {
  return <div class="tile"><strong>{children}</strong><span>{name}</span></div>;
}

export function Insight() {
  const hours = useSignal(24);
  const opened = useSignal<AuditRecord[]>([]);
  const bypasses = useSignal<AuditRecord[]>([]);
  const fault = useSignal<ApiError | null>(null);
  const until = useSignal(serverNow());
  const from = until.value - hours.value * hour;
  const bucket = hours.value <= 24 ? hour : hours.value <= 168 ? 6 * hour : 24 * hour;

  useEffect(() => {
    until.value = serverNow();
    const start = until.value - hours.value * hour;
    Promise.all([
      loadHistory(),
      me.value?.auditor ? recordsOf('hold.opened', start).then((r) => { opened.value = r; }) : null,
      me.value?.auditor ? recordsOf('bypass', start).then((r) => { bypasses.value = r; }) : null,
    ]).then(() => { fault.value = null; }, (e: unknown) => { fault.value = asApiError(e); });
  }, [hours.value]);

  const inWindow = useMemo(() => [...holds.value.values()].filter((h) => at(h.opened_at) >= from),
                           [holds.value, from]);
  const auditor = me.value?.auditor ?? false;
  const heldTimes = auditor ? opened.value.map((r) => Date.parse(r.time))
                            : inWindow.map((h) => at(h.opened_at));
  const decided = inWindow.filter((h) => h.state === 'approved' || h.state === 'denied')
    .map((h) => [at(h.opened_at) / 1000, (at(h.ended_at) - at(h.opened_at)) / 1000] as const)
    .sort((a, b) => a[0] - b[0]);
  const lengths = decided.map(([, s]) => s).sort((a, b) => a - b);
  const median = lengths[Math.floor(lengths.length / 2)];

  const perHour = useMemo(() => perBucket(heldTimes, from, until.value, bucket),
                          [opened.value, inWindow, bucket]);
  const uses = useMemo(() => perBucket(bypasses.value.map((r) => Date.parse(r.time)), from,
                                       until.value, bucket), [bypasses.value, bucket]);
  const dots = useMemo(() => ({ x: decided.map(([t]) => t), y: decided.map(([, s]) => s) }),
                       [inWindow]);
  const live = useMemo(() => {
    const edges: [number, number][] = [];
    for (const o of optOuts.value.values()) {
      if (!o.from || !o.until) continue;
      edges.push([at(o.from), 1],
                 [Math.min(at(o.until), o.ended_at ? at(o.ended_at) : Infinity), -1]);
    }
    edges.sort((a, b) => a[0] - b[0]);
    const x: number[] = [from / 1000];
    const y: number[] = [edges.filter(([t]) => t <= from).reduce((n, [, d]) => n + d, 0)];
    for (const [t, d] of edges) {
      if (t <= from || t > until.value) continue;
      x.push(t / 1000);
      y.push((y[y.length - 1] ?? 0) + d);
    }
    x.push(until.value / 1000);
    y.push(y[y.length - 1] ?? 0);
    return { x, y };
  }, [optOuts.value, from]);
  const range = useMemo(() => [from / 1000, until.value / 1000] as const, [from]);
  const every = bucket === hour ? 'hour' : bucket === 24 * hour ? 'day' : 'six hours';

  return (
    <div class="page">
      <header><h1>Insight</h1><span class="grow" />
        <div class="lengths" role="group" aria-label="How far back">
          {windows.map(([name, n]) => <button key={n} type="button" aria-pressed={hours.value === n}
            onClick={() => { hours.value = n; }}>{name}</button>)}
        </div>
      </header>
      <Fault of={fault.value} />
      {!auditor && <p class="quiet">Of the holds and opt-outs that you may see; auditors see all.</p>}
      <div class="tiles">
        <Tile name="holds">{heldTimes.length}</Tile>
        <Tile name="half decided within">{median === undefined ? '–' : span(median * 1000)}</Tile>
        <Tile name="not decided in time">{inWindow.filter((h) => h.state === 'expired').length}</Tile>
        {auditor && <Tile name="bypasses">{bypasses.value.length}</Tile>}
        <Tile name="opt-outs live now">{live.y[live.y.length - 1] ?? 0}</Tile>
      </div>
      {heldTimes.length + bypasses.value.length === 0 &&
        <Empty title="Nothing was held in this time." />}
      <div class="charts">
        <Chart title={`Holds per ${every}`} {...perHour} kind="bars" tone="wait" />
        <Chart title="Time to decision" {...dots} kind="points" unit=" s" range={range} />
        {auditor && <Chart title={`Bypasses per ${every}`} {...uses} kind="bars" tone="bad" />}
        <Chart title="Opt-outs live" {...live} kind="steps" range={range} />
        <Ranking title="Rules that hold most" of={ranked(auditor
          ? opened.value.map((r) => String(r['rule'] ?? '')) : inWindow.map((h) => h.rule))} />
        <Ranking title="People who are held most" of={ranked(auditor
          ? opened.value.map((r) => String(r['user'] ?? '')) : inWindow.map((h) => h.user))} />
        {auditor && <Ranking title="People who bypass most"
          of={ranked(bypasses.value.map((r) => String(r['user'] ?? '')))} />}
      </div>
    </div>
  );
}
