// One hold: everything that a decision needs, and the decision.
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { me, post } from '../api';
import { decided, historyLoaded, loadHistory, loadHold } from '../data';
import { Link } from '../route';
import { Statement, Values } from '../statement';
import { choices } from '../time';
import type { Answer, Hold, Scope } from '../types';
import { announce, Chip, Fault, Field, Left, Since, State, Text, useAction, useKeys, value,
         votesNeeded, When } from '../ui';
import { Held } from './transaction';

interface Touch {
  how: string;
  what: string;
  columns: string;
  road: string;
}

function touchOf(text: string): Touch {
  const m = /^(read|write) (.+?)(?:\(([^()]*)\))? \((.*)\)$/s.exec(text);
  if (!m) return { how: '', what: text, columns: '', road: '' };
  const road = m[4] ?? '';
  return { how: m[1] ?? '', what: m[2] ?? '', columns: m[3] ?? '',
           road: /^[a-z ]+$/.test(road) ? `named behind ${road.toUpperCase()}` : road };
}

function Touches({ of }: { of: readonly string[] }) {
  if (of.length === 0) return null;
  const all = of.map(touchOf);
  return (
    <section aria-label="What it reaches">
      <h3>What it reaches</h3>
      <div class="scroll">
        {/* Stacked on a phone, where it stays a table for those who listen. */}
        <table class="stack" role="table">
          <thead role="rowgroup"><tr role="row"><th role="columnheader">How</th>
            <th role="columnheader">Relation</th><th role="columnheader">Columns</th>
            <th role="columnheader">How it gets there</th></tr></thead>
          <tbody role="rowgroup">
            {all.map((t, i) => t.how === ''
              ? <tr key={i} role="row"><td role="cell" colSpan={4}>
                  <Chip tone="wait" icon="?">cannot be told</Chip> <Text of={t.what} /></td></tr>
              : <tr key={i} role="row">
                  <td role="cell">{t.how === 'write' ? <Chip tone="bad" icon="✎">write</Chip>
                                                     : <Chip icon="◉">read</Chip>}</td>
                  <td role="cell"><code><Text of={t.what} /></code></td>
                  <td role="cell" data-label="columns">
                    {t.columns ? <code><Text of={t.columns} /></code>
                               : <span class="quiet">all, or not known</span>}</td>
                  <td role="cell"><Text of={t.road} /></td>
                </tr>)}
          </tbody>
        </table>
      </div>
    </section>
  );
}

function Votes({ hold }: { hold: Hold }) {
  const { votes } = hold.approvals;
  return (
    <section aria-label="Votes">
      <h3>Votes</h3>
      <p>{votes.filter((v) => v.vote === 'approve').length} of {votesNeeded(hold.approvals)}</p>
      {votes.length > 0 && <ul class="plain-list">
        {votes.map((v, i) => (
          <li key={i}>
            {v.vote === 'approve' ? <Chip tone="good" icon="✓">approve</Chip>
                                  : <Chip tone="bad" icon="✕">deny</Chip>}{' '}
            <strong><Text of={v.user} /></strong> at <When iso={v.at} /> by {v.surface}
            {v.reason && <>: <Text of={v.reason} /></>}
          </li>
        ))}
      </ul>}
    </section>
  );
}

/// What the same person was granted under the same rule, as far as the server still lists it.
function Before({ hold }: { hold: Hold }) {
  useEffect(() => { if (!historyLoaded.value) void loadHistory().catch(() => undefined); }, []);
  const same = decided.value.filter((h) =>
    h.id !== hold.id && h.user === hold.user && h.rule === hold.rule);
  if (!historyLoaded.value || same.length === 0)
    return <p class="quiet">Nothing under this rule before{historyLoaded.value ? '.' : ' …'}</p>;
  const granted = same.filter((h) => h.state === 'approved').length;
  const denied = same.filter((h) => h.state === 'denied').length;
  return (
    <>
      <p>Under this rule before: {granted} approved, {denied} denied,
        {' '}{same.length - granted - denied} without a decision.</p>
      <ul class="plain-list">
        {same.slice(0, 3).map((h) => (
          <li key={h.id}>
            <State of={h.state} /> <Link to={`/holds/${h.id}`}>#{h.id}</Link>{' '}
            <When iso={h.ended_at} />
            {h.granted && h.granted !== 'statement' && <> for the {h.granted}
              {h.granted_for && ` ${h.granted_for}`}</>}
            {h.approvals.votes.length > 0 && <> by <Text of={h.approvals.votes.map((v) =>
              v.user).join(', ')} /></>}
          </li>
        ))}
      </ul>
    </>
  );
}

const scopeText: Record<Scope, string> = {
  statement: 'This statement, once',
  shape: 'This statement with any values',
  transaction: 'Until the end of its transaction',
  session: 'Everything under this rule in this session',
};

function scopesOf(hold: Hold): [Scope, string | null][] {
  const out: [Scope, string | null][] = [];
  if (hold.pass.statement) out.push(['statement', null]);
  for (const s of ['shape', 'transaction', 'session'] as const) {
    const most = hold.pass[s];
    if (most) out.push([s, most]);
  }
  return out;
}

interface DecideProps {
  hold: Hold;
  mode: 'approve' | 'deny';
  close: () => void;
  after: () => void;
}

function Decide({ hold, mode, close, after }: DecideProps) {
  const scopes = scopesOf(hold);
  const [scope, setScope] = useState<Scope>(scopes[0]?.[0] ?? 'statement');
  const most = scopes.find(([s]) => s === scope)?.[1] ?? null;
  const [length, setLength] = useState('');
  const [reason, setReason] = useState('');
  const { busy, fault, run } = useAction();
  const field = useRef<HTMLInputElement>(null);
  useLayoutEffect(() => {
    field.current?.focus();
    field.current?.form?.scrollIntoView({ block: 'nearest' });
  }, [mode]);
  const submit = (e: Event): void => {
    e.preventDefault();
    void run(async () => {
      const body = mode === 'deny' ? { reason } : {
        reason, pass: scope, ...(most ? { for: length || most } : {}),
      };
      const answer = await post<Answer>(`holds/${hold.id}/${mode}`, body);
      announce(answer.text || `Hold ${hold.id}: ${mode === 'deny' ? 'denied' : 'approved'}`,
               mode === 'deny' ? 'bad' : 'good');
      await loadHold(hold.id);
      close();
      if (answer.result === 'done') after();
    });
  };
  return (
    <form class={`decide ${mode}`} onSubmit={submit} aria-label={`${mode} hold ${hold.id}`}
          onKeyDown={(e) => { if (e.key === 'Escape') { e.stopPropagation(); close(); } }}>
      {mode === 'approve' && scopes.length > 1 && <fieldset>
        <legend>What to grant</legend>
        {scopes.map(([s, bound]) => (
          <label key={s} class="choice">
            <input type="radio" name="scope" value={s} checked={s === scope}
                   onChange={() => { setScope(s); setLength(''); }} />
            <span>{scopeText[s]}{bound && <span class="quiet"> up to {bound}</span>}</span>
          </label>
        ))}
        {most && <div class="lengths" role="group" aria-label="For how long">
          {choices(most).map((c) => (
            <button key={c} type="button" aria-pressed={(length || most) === c}
                    onClick={() => setLength(c)}>{c}</button>
          ))}
          <input aria-label="Another length, such as 20m" placeholder="e.g. 20m" value={length}
                 onInput={value(setLength)} />
        </div>}
      </fieldset>}
      <Field label={mode === 'deny' ? 'Why not' : 'Reason'} optional={mode === 'approve'}
             hint={mode === 'deny' ? 'The requester reads it at once.' : 'It stands in the log.'}>
        {(a) => <input {...a} ref={field} value={reason} onInput={value(setReason)}
                       maxLength={4096} required={mode === 'deny'} autocomplete="off" />}
      </Field>
      <Fault of={fault} />
      <div class="buttons">
        <button type="submit" class={mode === 'deny' ? 'bad' : 'good'} disabled={busy}>
          {mode === 'deny' ? '✕ Deny' : '✓ Approve'}
          {hold.waiters > 1 && ` for ${hold.waiters} waiting sessions`}
        </button>
        <button type="button" class="quiet" onClick={close}>Cancel</button>
      </div>
    </form>
  );
}

function Decision({ hold, after }: { hold: Hold; after: () => void }) {
  const [mode, setMode] = useState<'approve' | 'deny' | null>(null);
  const { fault, run } = useAction();
  const mine = hold.approvals.votes.some((v) => v.user === me.value?.user);
  const withdraw = (): void => {
    void run(async () => {
      const a = await post<Answer>(`holds/${hold.id}/withdraw-vote`);
      announce(a.text || 'Your vote is taken back', 'info');
      await loadHold(hold.id);
    });
  };
  const open = (m: 'approve' | 'deny'): void => {
    if (hold.may_vote) setMode(m);
    else announce(`You cannot decide this: ${hold.may_not_vote_because ?? ''}`, 'bad');
  };
  useKeys({ a: () => open('approve'), d: () => open('deny') });
  if (hold.state !== 'pending') return null;
  if (!hold.may_vote)
    return (
      <div class="decision">
        <p class="notice plain" role="note">
          <span aria-hidden="true">⊘ </span><strong>You cannot decide this:</strong>{' '}
          {hold.may_not_vote_because}.
        </p>
      </div>
    );
  return (
    <div class="decision">
      {mode
        ? <Decide hold={hold} mode={mode} close={() => setMode(null)} after={after} />
        : <div class="buttons">
            <button type="button" class="good" onClick={() => setMode('approve')}>
              ✓ Approve <kbd>a</kbd></button>
            <button type="button" class="bad outline" onClick={() => setMode('deny')}>
              ✕ Deny <kbd>d</kbd></button>
            {mine && <button type="button" class="quiet" onClick={withdraw}>Take my vote back
              </button>}
          </div>}
      <Fault of={fault} />
    </div>
  );
}

function Outcome({ hold }: { hold: Hold }) {
  if (hold.state === 'pending') return null;
  return (
    <p class={`notice ${hold.state === 'approved' ? 'good' : hold.state === 'denied' ? 'bad' :
      'plain'}`}>
      <State of={hold.state} /> at <When iso={hold.ended_at} seconds />
      {hold.granted && <>, granted: {scopeText[hold.granted].toLowerCase()}
        {hold.granted_for && ` for ${hold.granted_for}`}</>}
      {hold.ended_reason && <>: <Text of={hold.ended_reason} /></>}
    </p>
  );
}

export function HoldDetail({ hold, after }: { hold: Hold; after: () => void }) {
  const heading = useRef<HTMLHeadingElement>(null);
  useLayoutEffect(() => { heading.current?.focus({ preventScroll: true }); }, []);
  return (
    <article class="detail" aria-labelledby="hold-title">
      <header>
        <Link to="/" class="back">‹ All</Link>
        <h2 id="hold-title" tabIndex={-1} ref={heading}>
          <Text of={hold.user} /> {hold.kind === 'session' ? 'wants a session on'
                                                           : 'wants to run this on'}
          {' '}<Text of={hold.target} />
        </h2>
        <span class="quiet">#{hold.id}</span>
      </header>
      <div class="facts-line">
        <State of={hold.state} />
        {hold.state === 'pending' && <>
          <span>waiting <Since iso={hold.opened_at} /></span>
          <Left until={hold.expires_at} from={hold.opened_at} bar />
        </>}
        {hold.waiters > 1 && <Chip tone="info">{hold.waiters} sessions wait for this one
          decision</Chip>}
        {hold.assigned && <Chip tone="info">task of <Text of={hold.assigned.to} />, by
          {' '}<Text of={hold.assigned.by} />: <Text of={hold.assigned.reason} /></Chip>}
      </div>
      <Outcome hold={hold} />
      <dl class="facts">
        <dt>Why</dt>
        <dd>{hold.reason ? <Text of={hold.reason} /> : <span class="quiet">no reason given</span>}
        </dd>
        <dt>Who</dt>
        <dd><strong><Text of={hold.user} /></strong>{hold.groups.length > 0 &&
          <span class="quiet"> in {hold.groups.join(', ')}</span>}</dd>
        <dt>From</dt>
        <dd><Text of={hold.address} />{hold.application && <> with <Text of={hold.application} />
          </>}{hold.session && <span class="quiet"> session {hold.session}</span>}</dd>
        <dt>Rule</dt>
        <dd><Link to={`/policy?rule=${encodeURIComponent(hold.rule)}`}>{hold.rule}</Link></dd>
      </dl>
      {hold.statement === null
        ? hold.kind === 'statement' && <p class="notice plain">The statement is not shown to you.</p>
        : hold.statement !== '' && <Statement text={hold.statement} />}
      <Values of={hold.parameters ?? []} label="Bind values" />
      {hold.variants.length > 0 && <section aria-label="Others that wait with it">
        <h3>{hold.variants.length} more that wait with it</h3>
        {hold.variants.map((v, i) => (
          <div key={i}>
            <Statement text={v.statement} label={`Statement ${i + 2}`} />
            <Values of={v.parameters} label={`Bind values of statement ${i + 2}`} />
          </div>
        ))}
      </section>}
      <Touches of={hold.touches} />
      <Held hold={hold} />
      <Votes hold={hold} />
      <section aria-label="Before"><h3>This person</h3><Before hold={hold} /></section>
      {(me.value?.auditor ?? false) && <p><Link to={`/audit?hold=${hold.id}`}>Its story in the audit
        log</Link></p>}
      <Decision hold={hold} after={after} />
    </article>
  );
}
