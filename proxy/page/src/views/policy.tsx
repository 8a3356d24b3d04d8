import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { loadRules, rules } from '../data';
import { query } from '../route';
import type { Hits, Rule } from '../types';
import { Chip, Empty, people, State, Text, usePolled, votesNeeded, When, whoText } from '../ui';
import { Candidate, checksPolicy, Findings } from './findings';
import { Try } from './try';

function resourcesOf(r: Rule): string {
  if (r.on.length === 0) return 'anything';
  return r.on.map((name) => {
    const x = rules.value?.resources[name];
    if (!x) return name;
    return `${name} (${x.targets.join(', ')}${x.relations.length > 0
      ? `: ${x.relations.join(', ')}` : ''})`;
  }).join('; ');
}

function passText(r: Rule): string {
  const p = r.hold?.pass;
  if (!p) return '';
  return [p.statement && 'the statement', p.shape && `its shape up to ${p.shape}`,
    p.transaction && `the transaction up to ${p.transaction}`,
    p.session && `the session up to ${p.session}`].filter(Boolean).join(', ');
}

const hitWords: [keyof Hits, string][] = [['hold', 'held'], ['pass', 'passed with an approval'],
  ['bypass', 'bypassed'], ['refuse', 'refused'], ['deny', 'denied'], ['allow', 'allowed']];

/// How often it decided; bypasses stand out.
function HitCount({ of }: { of: Hits }) {
  const some = hitWords.filter(([k]) => of[k] > 0);
  const sum = some.reduce((n, [k]) => n + of[k], 0);
  if (sum === 0) return <span class="quiet hits">no hits since the start</span>;
  return (
    <span class="quiet hits" title="Since the start of the proxy. What is held counts again when it goes.">
      {sum.toLocaleString('en')} {sum === 1 ? 'hit' : 'hits'}:{' '}
      {some.map(([k, word], i) => <span key={k}>{i > 0 && ', '}
        {k === 'bypass' ? <strong class="bad-text">{of[k]} {word}</strong> : `${of[k]} ${word}`}</span>)}
    </span>
  );
}

function RuleCard({ r, marked }: { r: Rule; marked: boolean }) {
  return (
    <li class={`card ${marked ? 'current' : ''}`} id={`rule-${r.id}`}>
      <div class="line">
        <State of={r.effect} /><strong>{r.id}</strong>
        {r.observe && <Chip tone="info" icon="◎">observed only</Chip>}
        {r.exception && <Chip tone="wait" icon="↷">exception</Chip>}
        {r.opt_out && <Chip icon="⇥">can be opted out of</Chip>}
        <span class="grow" />
        {r.observe && <span class="quiet">{r.observed} times since the start</span>}
        {r.exception && <span class="quiet">{r.exception.uses} uses since the start</span>}
        <HitCount of={r.hits} />
      </div>
      <dl class="facts">
        <dt>Who</dt><dd>{whoText(r.who)}</dd>
        <dt>On</dt><dd>{resourcesOf(r)}</dd>
        <dt>Does</dt><dd>{r.do.length > 0 ? r.do.join(', ') : 'anything'}</dd>
        {r.message && <><dt>Says</dt><dd><Text of={r.message} /></dd></>}
        {r.hold && <><dt>Approved by</dt><dd>{votesNeeded(r.hold.approvers)}, within {r.hold.wait}
          {r.hold.reason_required && '; a reason is required'}</dd>
          <dt>Can be granted</dt><dd>{passText(r)}</dd></>}
        {r.exception && <><dt>Over</dt><dd>{r.exception.over.join(', ') || 'no rule'}:{' '}
          <Text of={r.exception.reason} />, {r.exception.ended ? 'ended' : 'until'}{' '}
          <When iso={r.exception.review_by} /></dd></>}
        {r.opt_out && <><dt>Opt-out</dt><dd>{whoText(r.opt_out.who)}, at most
          {' '}{r.opt_out.max_duration}, approved by {votesNeeded(r.opt_out.approvers)}
          {r.opt_out.break_glass && `; break-glass ${r.opt_out.break_glass.max_duration} for ${
            whoText(r.opt_out.break_glass.who)}, told: ${people(r.opt_out.break_glass.announce)}`}
          </dd></>}
      </dl>
    </li>
  );
}

export function Policy() {
  const marked = new URLSearchParams(query.value).get('rule');
  const text = useSignal('');
  usePolled(loadRules, 15_000);
  useEffect(() => {
    if (marked) document.getElementById(`rule-${marked}`)?.scrollIntoView({ block: 'center' });
  }, [marked, rules.value === null]);
  const p = rules.value;
  if (!p) return <div class="page"><h1>Policy</h1><Empty title="The policy is being fetched …" />
    </div>;
  const fits = (r: Rule): boolean => JSON.stringify(r).toLowerCase()
    .includes(text.value.toLowerCase());
  const tiers = [...new Set(p.rules.map((r) => r.tier))].sort((a, b) => a - b);
  return (
    <div class="page">
      <header><h1>Policy</h1><span class="grow" />
        <input type="search" placeholder="Filter rules" aria-label="Filter rules" value={text.value}
               onInput={(e) => { text.value = e.currentTarget.value; }} />
      </header>
      <Try />
      {checksPolicy() && <Findings />}
      <p class="quiet">In the first tier in which a rule matches, deny beats hold beats allow. What no
        rule matches: <State of={p.default} /> <HitCount of={p.default_hits} />. What cannot be
        analysed: <State of={p.opaque} /> <HitCount of={p.opaque_hits} />.
        Policy <code>{p.policy.slice(0, 12)}</code>.</p>
      {tiers.map((t) => {
        const here = p.rules.filter((r) => r.tier === t && fits(r));
        return here.length > 0 && <section key={t}><h2>Tier {t}</h2><ul class="cards">
          {here.map((r) => <RuleCard key={r.id} r={r} marked={r.id === marked} />)}</ul></section>;
      })}
      {checksPolicy() && <Candidate />}
    </div>
  );
}
