// What waits: the list, the one that is looked at beside it.
import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { decided, historyLoaded, holds, loadHistory, loadHold, loaded, mineToDecide, optOutsToDecide,
         othersWaiting, reviewsDue } from '../data';
import { go, idIn, Link } from '../route';
import { OneLine } from '../statement';
import type { Hold } from '../types';
import { asApiError, Chip, Empty, Left, Since, State, Text, useKeys } from '../ui';
import { HoldDetail } from './hold';

function Item({ hold, current }: { hold: Hold; current: boolean }) {
  const waits = hold.state === 'pending';
  return (
    <li>
      <Link to={`/holds/${hold.id}`} class={`item ${current ? 'current' : ''}`}
            aria-current={current ? 'true' : undefined} data-hold={hold.id}>
        <span class="line">
          <strong><Text of={hold.user} /></strong>
          <span class="quiet">→ {hold.target}</span>
          {hold.waiters > 1 && <Chip tone="info">{hold.waiters} wait</Chip>}
          <span class="grow" />
          {waits ? <Left until={hold.expires_at} /> : <State of={hold.state} />}
        </span>
        {hold.kind === 'session' && !hold.statement
          ? <span class="one-line quiet">wants to open a session</span>
          : <OneLine text={hold.statement ?? '(not shown to you)'} />}
        <span class="line quiet small">
          <span>#{hold.id} · {hold.rule}</span>
          <span class="grow" />
          {waits && <span>for <Since iso={hold.opened_at} /></span>}
        </span>
      </Link>
    </li>
  );
}

function Group({ title, of, current, open = true }:
               { title: string; of: readonly Hold[]; current: number | null; open?: boolean }) {
  if (of.length === 0) return null;
  return (
    <section>
      <h2>{title} <span class="count">{of.length}</span></h2>
      {open && <ul class="items">
        {of.map((h) => <Item key={h.id} hold={h} current={h.id === current} />)}
      </ul>}
    </section>
  );
}

function AlsoWaiting() {
  const asked = optOutsToDecide.value.length;
  const due = reviewsDue.value.length;
  if (asked + due === 0) return null;
  return (
    <p class="also">
      {asked > 0 && <Link to="/opt-outs">{asked} opt-out {asked === 1 ? 'request needs' :
        'requests need'} you</Link>}
      {due > 0 && <Link to="/reviews">{due} {due === 1 ? 'review is' : 'reviews are'} due</Link>}
    </p>
  );
}

export function Waiting() {
  const id = idIn('holds');
  const missing = useSignal<string>('');
  const filter = useSignal('');
  const hold = id === null ? undefined : holds.value.get(id);

  useEffect(() => {
    missing.value = '';
    if (id === null || holds.peek().has(id)) return;
    loadHold(id).then((found) => {
      if (!found) missing.value = `There is no hold ${id} that you may see.`;
    }, (e: unknown) => { missing.value = asApiError(e).detail; });
  }, [id, loaded.value]);

  const fits = (h: Hold): boolean => filter.value === '' || [h.user, h.target, h.rule,
    h.statement ?? '', h.reason].some((t) => t.toLowerCase().includes(filter.value.toLowerCase()));
  const mine = mineToDecide.value.filter(fits);
  const others = othersWaiting.value.filter(fits);
  const past = decided.value.filter(fits).slice(0, 200);
  const order = [...mine, ...others, ...past];
  const step = (by: number): void => {
    const i = order.findIndex((h) => h.id === id);
    const to = order[i < 0 ? (by > 0 ? 0 : order.length - 1)
                           : Math.min(order.length - 1, Math.max(0, i + by))];
    if (!to) return;
    go(`/holds/${to.id}`, i >= 0);
    requestAnimationFrame(() => document.querySelector(`[data-hold="${to.id}"]`)
      ?.scrollIntoView({ block: 'nearest' }));
  };
  useKeys({
    j: () => step(1), k: () => step(-1), ArrowDown: () => step(1), ArrowUp: () => step(-1),
    '/': () => document.querySelector<HTMLInputElement>('.list input')?.focus(),
    Escape: () => go('/'),
  });

  return (
    <div class={`split ${id === null ? 'at-list' : 'at-one'}`}>
      <section class="list" aria-label="Holds">
        <header>
          <h1>Waiting</h1>
          <input type="search" placeholder="Filter  ( / )" aria-label="Filter the list"
                 value={filter.value} onInput={(e) => { filter.value = e.currentTarget.value; }}
                 onKeyDown={(e) => { if (e.key === 'Escape') e.currentTarget.blur(); }} />
        </header>
        <AlsoWaiting />
        {loaded.value && mine.length + others.length === 0 &&
          <Empty title={filter.value ? 'Nothing fits the filter.' : 'Nothing waits.'}>
            {!filter.value && 'New holds appear here by themselves.'}
          </Empty>}
        <Group title="Needs you" of={mine} current={id} />
        <Group title="Waits for others" of={others} current={id} />
        <Group title="Decided" of={past} current={id} />
        {loaded.value && !historyLoaded.value &&
          <button type="button" class="link pad" onClick={() => void loadHistory()}>
            Show what was decided before
          </button>}
      </section>
      <section class="one" aria-label="The hold">
        {hold ? <HoldDetail key={hold.id} hold={hold} after={() => {
                  const rest = mineToDecide.value.find((h) => h.id !== hold.id);
                  if (rest) go(`/holds/${rest.id}`, true);
                  else document.getElementById('hold-title')?.focus();
                }} />
              : missing.value
                ? <Empty title={missing.value}>It may be another person's to decide.</Empty>
                : <Empty title="Choose one on the left.">
                    Keys: <kbd>j</kbd> <kbd>k</kbd> move, <kbd>a</kbd> approve, <kbd>d</kbd> deny,
                    {' '}<kbd>?</kbd> all keys.
                  </Empty>}
      </section>
    </div>
  );
}
