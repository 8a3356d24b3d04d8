// The log: searched, a record opened, and the story of one hold or opt-out.
import { useSignal } from '@preact/signals';
import { Fragment } from 'preact';
import { useLayoutEffect, useRef } from 'preact/hooks';
import { ApiError, get, me } from '../api';
import { go, Link, query } from '../route';
import { Statement } from '../statement';
import type { AuditRecord, Story } from '../types';
import { asApiError, Chip, Empty, Fault, Field, Text, useKeys, When, type Tone } from '../ui';
import { plain } from '../visible';
import { ChainState, StoryHead } from './story';

const keys = ['user', 'target', 'rule', 'event', 'text', 'hold', 'opt_out', 'session', 'from', 'to',
              'seq'] as const;
type Key = typeof keys[number];
type Search = Record<Key, string>;

function searchOf(text: string): Search {
  const q = new URLSearchParams(text);
  return Object.fromEntries(keys.map((k) => [k, q.get(k) ?? ''])) as Search;
}

const events = ['hold.', 'hold.opened', 'hold.approved', 'hold.denied', 'hold.expired',
  'hold.released', 'bypass', 'opt_out.', 'review.', 'decision.', 'exception.used', 'login.refused',
  'session.', 'flag.', 'admin.', 'policy.', 'proxy.'];

const tones: [RegExp, Tone, string][] = [
  [/^bypass$|break_glass/, 'bad', '⚠'], [/denied|refused|revoked|finding|lock|overdue/, 'bad', '✕'],
  [/approved|activated|released|signed_off|accepted/, 'good', '✓'],
  [/opened|requested|vote/, 'wait', '◔'],
];

function Event({ of }: { of: string }) {
  const [, tone, icon] = tones.find(([re]) => re.test(of)) ?? [null, 'plain' as Tone, '·'];
  return <Chip tone={tone} icon={icon}>{of}</Chip>;
}

const text = (v: unknown): string => (typeof v === 'string' ? v : JSON.stringify(v));

/// "3" or "3,5".
const ids = (v: unknown): string[] => text(v).split(',').filter((x) => /^\d+$/.test(x));

const apart = new Set(['seq', 'time', 'event', 'statement', 'prev', 'hash']);

function Details({ r }: { r: AuditRecord }) {
  const fields = Object.entries(r).filter(([k]) => !apart.has(k));
  return (
    <div class="record">
      {typeof r['statement'] === 'string' && r['statement'] !== '' &&
        <Statement text={r['statement']} label={`Statement of record ${r.seq}`} />}
      <dl class="facts">
        <dt>Sequence</dt><dd>{r.seq}</dd>
        <dt>Time</dt><dd>{r.time}</dd>
        {fields.map(([k, v]) => <>
          <dt>{k}</dt>
          <dd>{k === 'hold' ? <Link to={`/holds/${text(v)}`}>{text(v)}</Link>
            : k === 'opt_out' ? <Link to={`/opt-outs/${text(v)}`}>{text(v)}</Link>
            : <Text of={text(v)} />}</dd></>)}
      </dl>
      <p class="small">
        {r['opt_out'] !== undefined && ids(r['opt_out']).map((id) => <Fragment key={id}>
          <Link to={`/audit?opt_out=${id}`} class={r.event === 'bypass' ? 'button' : ''}>
            {r.event === 'bypass' ? 'The whole story: ' : 'The story of '}opt-out {id}</Link>{' '}
        </Fragment>)}
        {r['hold'] !== undefined && <Link to={`/audit?hold=${text(r['hold'])}`}>
          The story of hold {text(r['hold'])}</Link>}{' '}
        {r['session'] !== undefined && <Link to={`/audit?session=${text(r['session'])}`}>
          Everything of its session</Link>}
      </p>
    </div>
  );
}

function summary(r: AuditRecord): string {
  const who = r['voter'] !== undefined
    ? `${text(r['voter'])}: ${text(r['vote'] ?? 'takes the vote back')}`
    : r['ended_by'] !== undefined ? `by ${text(r['ended_by'])}` : '';
  const told = ['vote_reason', 'reason', 'text', 'statement', 'ended_reason', 'reasons'];
  return [who, ...told.map((k) => r[k])].filter((v) => v !== undefined && v !== '').map(text)
    .join(' · ').slice(0, 300);
}

function Row({ r, open, toggle }: { r: AuditRecord; open: boolean; toggle: () => void }) {
  return (
    <>
      <tr class={`openable ${open ? 'open' : ''}`} onClick={toggle} data-seq={r.seq}>
        <td><button type="button" class="icon" aria-expanded={open}
                    aria-label={`Record ${r.seq}`}>{open ? '▾' : '▸'}</button></td>
        <td class="number"><When iso={r.time} seconds /></td>
        <td><Event of={r.event} /></td>
        <td><Text of={text(r['user'] ?? '')} /></td>
        <td>{text(r['target'] ?? '')}</td>
        <td>{text(r['rule'] ?? '')}</td>
        <td class="wide-cell"><span class="one-line">{plain(summary(r))}</span></td>
      </tr>
      {open && <tr class="details"><td colSpan={7}><Details r={r} /></td></tr>}
    </>
  );
}

const iso = (local: string): string =>
  (/Z$/.test(local) ? local : new Date(local).toISOString().replace(/\.\d+Z$/, 'Z'));

export function Audit() {
  const search = searchOf(query.value);
  const form = useSignal<Search>(search);
  const records = useSignal<AuditRecord[]>([]);
  const before = useSignal<number | null>(null);
  const busy = useSignal(false);
  const fault = useSignal<ApiError | null>(null);
  const open = useSignal<ReadonlySet<number>>(new Set());
  // One subject and nothing besides: its whole story, with what names it only by the way.
  const given = keys.filter((k) => k !== 'seq' && search[k] !== '');
  const about = given.length === 1 && (given[0] === 'hold' || given[0] === 'opt_out')
    ? { what: given[0], id: search[given[0]] } : null;
  const cut = useSignal(false);
  const asked = useRef(0);  // answers may overtake each other: what was asked last is shown

  const load = async (more: boolean): Promise<void> => {
    const turn = ++asked.current;
    const late = (): boolean => turn !== asked.current;
    busy.value = true;
    try {
      if (about) {
        const s = await get<Story>(`audit/story?${about.what}=${encodeURIComponent(about.id)}`);
        if (late()) return;
        records.value = s.records;
        cut.value = s.cut;
        before.value = null;
        fault.value = null;
        return;
      }
      const q = new URLSearchParams();
      for (const k of keys)
        if (k !== 'seq' && search[k]) q.set(k, k === 'from' || k === 'to' ? iso(search[k])
                                                                        : search[k]);
      q.set('limit', '100');
      if (more && before.value) q.set('before', String(before.value));
      const a = await get<{ records: AuditRecord[]; next_before: number | null }>(`audit?${q}`);
      if (late()) return;
      records.value = more ? [...records.value, ...a.records] : a.records;
      before.value = a.records.length < 100 ? null : a.next_before;
      fault.value = null;
    } catch (e) {
      if (late()) return;
      fault.value = asApiError(e);
      if (about) records.value = [];
    } finally {
      if (!late()) busy.value = false;
    }
  };
  // Before anybody can type into the form that the address fills.
  useLayoutEffect(() => {
    form.value = search;
    open.value = new Set();
    if (me.value?.auditor) void load(false);
  }, [query.value]);
  useKeys({ '/': () => document.querySelector<HTMLInputElement>('.audit-text')?.focus() });

  if (!me.value?.auditor)
    return <div class="page"><header><h1>Audit</h1></header>
      <Empty title="Only auditors read the log.">
        The role is given by <code>roles: auditor</code> in the configuration.</Empty></div>;

  const submit = (e: Event): void => {
    e.preventDefault();
    const q = new URLSearchParams();
    for (const k of keys) if (form.value[k]) q.set(k, form.value[k]);
    const to = `/audit${q.size > 0 ? `?${q}` : ''}`;
    if (to === location.pathname + location.search) void load(false);
    else go(to);
  };
  const input = (k: Key, label: string, more: object = {}) => (
    <Field label={label}>
      {(a) => <input {...a} value={form.value[k]} {...more}
                     onInput={(e) => { form.value = { ...form.value, [k]: e.currentTarget.value }; }} />}
    </Field>
  );
  const shown = records.value;
  return (
    <div class="page">
      <header><h1>Audit</h1><span class="grow" /><ChainState /></header>
      <form class="search" onSubmit={submit} role="search">
        {input('text', 'Text', { type: 'search', class: 'audit-text' })}
        {input('user', 'Person')}{input('target', 'Target')}{input('rule', 'Rule')}
        {input('event', 'Event', { list: 'events', placeholder: 'bypass, hold. …' })}
        {input('hold', 'Hold', { inputMode: 'numeric' })}
        {input('opt_out', 'Opt-out', { inputMode: 'numeric' })}
        {input('from', 'From', { type: 'datetime-local' })}
        {input('to', 'To', { type: 'datetime-local' })}
        <datalist id="events">{events.map((e) => <option key={e} value={e} />)}</datalist>
        <div class="buttons">
          <button type="submit" class="primary">Search</button>
          <Link to="/audit">Clear</Link>
        </div>
      </form>
      <Fault of={fault.value} />
      {about && <StoryHead key={query.value} what={about.what} id={about.id} records={records.value}
                           cut={cut.value} />}
      {shown.length === 0 && !busy.value && !fault.value && <Empty title="Nothing was found." />}
      {shown.length > 0 && <div class="scroll"><table class="records">
        <thead><tr><th><span class="unseen">Open</span></th><th>Time</th><th>Event</th><th>Person</th>
          <th>Target</th><th>Rule</th><th>What</th></tr></thead>
        <tbody>{shown.map((r) => <Row key={r.seq} r={r} open={open.value.has(r.seq)} toggle={() => {
          const next = new Set(open.value);
          if (!next.delete(r.seq)) next.add(r.seq);
          open.value = next;
        }} />)}</tbody></table></div>}
      {before.value && <button type="button" class="link pad" disabled={busy.value}
        onClick={() => void load(true)}>Older ones</button>}
    </div>
  );
}
