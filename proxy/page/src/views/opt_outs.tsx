import { useSignal } from '@preact/signals';
import { useEffect, useState } from 'preact/hooks';
import { me, post } from '../api';
import { isLive, loadOptOut, loaded, optOuts, rules, reviews } from '../data';
import { go, idIn, Link } from '../route';
import { at, choices, now } from '../time';
import type { Answer, OptOut } from '../types';
import { announce, asApiError, Chip, Dialog, Empty, Fault, Field, Left, people, ReasonDialog, State,
         Text, useAction, useKeys, value, When } from '../ui';
import { OptOutForm, fieldOf } from './opt_out_form';
import { Timeline } from './timeline';
import { Uses } from './uses';

type Act = 'approve' | 'deny' | 'revoke' | 'extend';

function Extend({ o, close }: { o: OptOut; close: () => void }) {
  const most = rules.value?.rules.find((r) => r.id === o.rule)?.opt_out?.max_duration ?? o.for;
  const [length, setLength] = useState(choices(most)[0] ?? most);
  const [reason, setReason] = useState('');
  const [ticket, setTicket] = useState(o.ticket);
  const { busy, fault, run } = useAction();
  const where = fieldOf(fault);
  const submit = (e: Event): void => {
    e.preventDefault();
    void run(async () => {
      const a = await post<Answer>(`opt-outs/${o.id}/extend`,
                                   { for: length, reason, ...(ticket ? { ticket } : {}) });
      announce(a.text || 'The extension is asked for', 'good');
      if (a.id) await loadOptOut(a.id);
      close();
    });
  };
  return (
    <Dialog title={`Extend opt-out ${o.id}`} close={close}>
      <form onSubmit={submit}>
        <p class="quiet">An extension is a request of its own, decided by the same people.</p>
        <Field label="For how much longer" hint={`at most ${most}`}
               error={where === 'for' ? fault?.detail : null}>
          {(a) => <input {...a} value={length} onInput={value(setLength)} required autoFocus />}
        </Field>
        <Field label="Reason" error={where === 'reason' ? fault?.detail : null}>
          {(a) => <input {...a} value={reason} onInput={value(setReason)} required />}
        </Field>
        <Field label="Ticket" optional error={where === 'ticket' ? fault?.detail : null}>
          {(a) => <input {...a} value={ticket} onInput={value(setTicket)} />}
        </Field>
        {['for', 'reason', 'ticket'].includes(where) ? null : <Fault of={fault} />}
        <div class="buttons">
          <button type="submit" class="primary" disabled={busy}>Ask for it</button>
          <button type="button" class="quiet" onClick={close}>Cancel</button>
        </div>
      </form>
    </Dialog>
  );
}

function ActDialog({ o, act, close }: { o: OptOut; act: Act; close: () => void }) {
  if (act === 'extend') return <Extend o={o} close={close} />;
  const title = { approve: 'Approve', deny: 'Deny', revoke: 'Revoke' }[act];
  return (
    <ReasonDialog title={`${title} opt-out ${o.id} of ${o.user}`} what={title}
                  tone={act === 'approve' ? 'good' : 'bad'} optional={act === 'approve'}
                  close={close}
                  run={async (reason) => {
                    const a = await post<Answer>(`opt-outs/${o.id}/${act}`, { reason });
                    announce(a.text || `Opt-out ${o.id}: ${act}`, act === 'approve' ? 'good' : 'bad');
                    await loadOptOut(o.id);
                  }}>
      <Facts o={o} />
    </ReasonDialog>
  );
}

function scopeText(o: OptOut): string {
  const s = o.scope;
  return [
    o.target && `target ${o.target}`, o.group && `for group ${o.group}`,
    s.application && `application ${s.application}`, s.on && `on ${s.on.join(', ')}`,
    s.do && `only ${s.do.join(', ')}`, s.shape && `statement shape ${s.shape.slice(0, 12)}…`,
  ].filter(Boolean).join('; ') || 'all that the rule covers';
}

function Facts({ o }: { o: OptOut }) {
  return (
    <dl class="facts">
      <dt>Why</dt><dd><Text of={o.reason} /></dd>
      {o.ticket && <><dt>Ticket</dt><dd><Text of={o.ticket} /></dd></>}
      <dt>Rule</dt><dd>{o.rule}</dd>
      <dt>Scope</dt><dd><Text of={scopeText(o)} /></dd>
      <dt>Length</dt><dd>{o.for}{o.starts_at && <>, begins <When iso={o.starts_at} /></>}
        {o.max_uses && `, ${o.max_uses} uses at most`}</dd>
      {o.extends && <><dt>Extends</dt><dd><Link to={`/opt-outs/${o.extends}`}>#{o.extends}</Link>
        </dd></>}
    </dl>
  );
}

function Card({ o, open }: { o: OptOut; open: boolean }) {
  const act = useSignal<Act | null>(null);
  const mine = o.requested_by === me.value?.user;
  const live = isLive(o);
  const coming = o.state === 'active' && at(o.from) > now.value;
  const ended = o.state !== 'requested' && o.state !== 'active';
  const fault = useAction();
  const voted = o.approvals.votes.some((v) => v.user === me.value?.user);
  const withdrawVote = (): void => {
    void fault.run(async () => {
      const a = await post<Answer>(`opt-outs/${o.id}/withdraw-vote`);
      announce(a.text || 'Your vote is taken back', 'info');
      await loadOptOut(o.id);
    });
  };
  const review = reviews.value.find((r) => r.opt_out === o.id);
  return (
    <li class={`card ${o.kind} ${live ? 'live' : ''}`} id={`opt-out-${o.id}`} data-opt-out={o.id}>
      <div class="line">
        {o.kind === 'break_glass' && <Chip tone="bad" icon="⚠">break-glass</Chip>}
        {live ? <Chip tone="good" icon="●">live</Chip>
              : coming ? <Chip tone="info" icon="◷">begins <When iso={o.from} /></Chip>
                       : <State of={o.state} />}
        <strong><Text of={o.user} /></strong>
        {o.group && <span class="quiet">and group {o.group}</span>}
        <span class="quiet">opts out of</span>
        <span>{o.rule}</span>
        <span class="grow" />
        {live && <Left until={o.until} from={o.from} bar />}
        {o.state === 'requested' && o.request_expires_at &&
          <span class="quiet small">lapses <When iso={o.request_expires_at} /></span>}
        <Link to={open ? '/opt-outs' : `/opt-outs/${o.id}`} class="quiet"
              aria-expanded={open}>#{o.id}</Link>
      </div>
      <div class="line small">
        <Text of={o.reason} />{o.ticket && <Chip><Text of={o.ticket} /></Chip>}
        <span class="grow" />
        <span class="quiet uses">{o.uses} {o.uses === 1 ? 'use' : 'uses'}
          {o.max_uses ? ` of ${o.max_uses}` : ''}</span>
        {ended && o.ended_at && <span class="quiet">ended <When iso={o.ended_at} />
          {o.ended_reason && <>: <Text of={o.ended_reason} /></>}</span>}
      </div>
      {open && <div class="more">
        <Facts o={o} />
        <p class="small">
          {o.approvals.votes.filter((v) => v.vote === 'approve').length} of {o.approvals.needed}
          {' '}approvals; {people(o.approvals)} may.{' '}
          {o.approvals.votes.map((v, i) => <span key={i}>
            {v.vote === 'approve' ? '✓' : '✕'} <Text of={v.user} /> at <When iso={v.at} />
            {v.reason && <>: <Text of={v.reason} /></>}. </span>)}
        </p>
        {o.uses > 0 && <Uses of={o.id} count={o.uses} />}
        {review && <p class="small">Its review: <State of={review.state} />{' '}
          <Link to={`/reviews/${o.id}`}>look</Link></p>}
        {me.value?.auditor && <p class="small"><Link to={`/audit?opt_out=${o.id}`}>Its story in the
          audit log</Link></p>}
      </div>}
      <div class="buttons">
        {o.may_vote && <>
          <button type="button" class="good" onClick={() => { act.value = 'approve'; }}>
            ✓ Approve</button>
          <button type="button" class="bad outline" onClick={() => { act.value = 'deny'; }}>
            ✕ Deny</button></>}
        {o.state === 'requested' && !o.may_vote && !ended && o.may_not_vote_because &&
          <span class="quiet small">You cannot decide this: {o.may_not_vote_because}.</span>}
        {o.state === 'requested' && voted &&
          <button type="button" class="quiet" onClick={withdrawVote}>Take my vote back</button>}
        {o.state === 'active' && mine && o.kind === 'request' &&
          <button type="button" onClick={() => { act.value = 'extend'; }}>Extend</button>}
        {(o.state === 'active' || (o.state === 'requested' && mine)) &&
          <button type="button" class="bad outline" onClick={() => { act.value = 'revoke'; }}>
            ⊘ {o.state === 'active' ? 'Revoke' : 'Withdraw'}</button>}
      </div>
      <Fault of={fault.fault} />
      {act.value && <ActDialog o={o} act={act.value} close={() => { act.value = null; }} />}
    </li>
  );
}

function Group({ title, of, id }: { title: string; of: OptOut[]; id: number | null }) {
  if (of.length === 0) return null;
  return (
    <section>
      <h2>{title} <span class="count">{of.length}</span></h2>
      <ul class="cards">{of.map((o) => <Card key={o.id} o={o} open={o.id === id} />)}</ul>
    </section>
  );
}

export function OptOuts() {
  const id = idIn('opt-outs');
  const asking = useSignal(false);
  const missing = useSignal('');
  const shown = useSignal(20);
  useEffect(() => {
    missing.value = '';
    if (id === null || !loaded.value) return;
    const find = optOuts.peek().has(id) ? Promise.resolve(true) : loadOptOut(id);
    find.then((found) => {
      if (!found) missing.value = `There is no opt-out ${id} that you may see.`;
      else requestAnimationFrame(() => document.getElementById(`opt-out-${id}`)
        ?.scrollIntoView({ block: 'nearest' }));
    }, (e: unknown) => { missing.value = asApiError(e).detail; });
  }, [id, loaded.value]);
  useKeys({ n: () => { asking.value = true; }, Escape: () => go('/opt-outs') });
  const all = [...optOuts.value.values()].sort((a, b) => b.id - a.id);
  const needs = all.filter((o) => o.may_vote);
  const asked = all.filter((o) => o.state === 'requested' && !o.may_vote);
  const active = all.filter((o) => o.state === 'active')
    .sort((a, b) => Number(b.kind === 'break_glass') - Number(a.kind === 'break_glass') ||
      at(a.until) - at(b.until));
  const over = all.filter((o) => o.state !== 'requested' && o.state !== 'active');
  const overShown = over.filter((o, i) => i < shown.value || o.id === id);
  return (
    <div class="page">
      <header>
        <h1>Opt-outs</h1>
        <span class="grow" />
        <button type="button" class="primary" onClick={() => { asking.value = true; }}>
          Ask for an opt-out <kbd>n</kbd></button>
      </header>
      {missing.value && <Empty title={missing.value} />}
      <Timeline />
      <Group title="Needs you" of={needs} id={id} />
      <Group title="In force" of={active} id={id} />
      <Group title="Waits for others" of={asked} id={id} />
      <Group title="Over" of={overShown} id={id} />
      {over.length > overShown.length && <button type="button" class="link pad"
        onClick={() => { shown.value += 100; }}>Show more of {over.length}</button>}
      {loaded.value && all.length === 0 && <Empty title="There are no opt-outs.">
        One is asked for with a reason, for a time, and another person says yes.</Empty>}
      {asking.value && <OptOutForm close={() => { asking.value = false; }} />}
    </div>
  );
}
