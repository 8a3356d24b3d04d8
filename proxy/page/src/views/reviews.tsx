import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { me, post } from '../api';
import { loaded, loadReviews, optOuts, reviews } from '../data';
import { idIn, Link } from '../route';
import { at, now, span } from '../time';
import type { Answer, Review } from '../types';
import { announce, Chip, Empty, ReasonDialog, State, Text, When } from '../ui';
import { Uses } from './uses';

function Card({ r, open }: { r: Review; open: boolean }) {
  const act = useSignal<'sign-off' | 'finding' | null>(null);
  const optOut = optOuts.value.get(r.opt_out);
  const late = at(r.due_at) - now.value;
  return (
    <li class="card" data-review={r.opt_out} id={`review-${r.opt_out}`}>
      <div class="line">
        <State of={r.state} />
        {r.kind === 'break_glass' && <Chip tone="bad" icon="⚠">break-glass</Chip>}
        <strong><Text of={r.user} /></strong>
        <span class="quiet">used the opt-out</span>
        <Link to={`/opt-outs/${r.opt_out}`}>#{r.opt_out}</Link>
        <span class="quiet">of</span> {r.rule}
        <span class="grow" />
        <span>{r.uses} {r.uses === 1 ? 'use' : 'uses'}</span>
        {r.state === 'open' && (late > 0
          ? <span class="quiet">due in {span(late)}</span>
          : <Chip tone="bad" icon="!">overdue since {span(-late)}</Chip>)}
      </div>
      {r.state !== 'open' && <p class="small">
        <Text of={r.reviewer ?? ''} /> at <When iso={r.closed_at} />
        {r.note && <>: <Text of={r.note} /></>}</p>}
      {optOut && <p class="small"><Text of={optOut.reason} />
        {optOut.ticket && <> <Chip><Text of={optOut.ticket} /></Chip></>}</p>}
      {(open || r.may_review) && <Uses of={r.opt_out} count={r.uses} />}
      {r.state === 'open' && <div class="buttons">
        {r.may_review ? <>
          <button type="button" class="good" onClick={() => { act.value = 'sign-off'; }}>
            ✓ Sign off</button>
          <button type="button" class="bad outline" onClick={() => { act.value = 'finding'; }}>
            ! Raise a finding</button></>
          : <span class="quiet small">You cannot review this: {r.may_not_review_because}.</span>}
        {me.value?.auditor && <Link to={`/audit?opt_out=${r.opt_out}`}>Its story</Link>}
      </div>}
      {act.value && <ReasonDialog
        title={act.value === 'finding' ? `A finding about opt-out ${r.opt_out}`
                                       : `Sign off opt-out ${r.opt_out}`}
        what={act.value === 'finding' ? 'Raise the finding' : 'Sign off'}
        tone={act.value === 'finding' ? 'bad' : 'good'} label="Note"
        optional={act.value === 'sign-off'} close={() => { act.value = null; }}
        run={async (note) => {
          const a = await post<Answer>(`reviews/${r.opt_out}/${act.value}`, { note });
          announce(a.text || 'The review is closed', 'good');
          await loadReviews();
        }} />}
    </li>
  );
}

export function Reviews() {
  const id = idIn('reviews');
  const open = reviews.value.filter((r) => r.state === 'open')
    .sort((a, b) => at(a.due_at) - at(b.due_at));
  const closed = reviews.value.filter((r) => r.state !== 'open')
    .sort((a, b) => at(b.closed_at) - at(a.closed_at)).slice(0, 100);
  useEffect(() => {
    if (id !== null) document.getElementById(`review-${id}`)?.scrollIntoView({ block: 'nearest' });
  }, [id, loaded.value]);
  return (
    <div class="page">
      <header><h1>Reviews</h1></header>
      {id !== null && loaded.value && !reviews.value.some((r) => r.opt_out === id) &&
        <Empty title={`There is no review of opt-out ${id} that you may see.`} />}
      {loaded.value && open.length === 0 && <Empty title="No review is open.">
        An opt-out that was used opens one when it ends.</Empty>}
      {open.length > 0 && <section><h2>Open <span class="count">{open.length}</span></h2>
        <ul class="cards">{open.map((r) => <Card key={r.opt_out} r={r} open={r.opt_out === id} />)}
        </ul></section>}
      {closed.length > 0 && <section><h2>Closed <span class="count">{closed.length}</span></h2>
        <ul class="cards">{closed.map((r) => <Card key={r.opt_out} r={r}
          open={r.opt_out === id} />)}</ul></section>}
    </div>
  );
}
