// What lint finds in the policy, and what would change under another one.
import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { get, me, post } from '../api';
import type { CandidateChanges, Effect, Finding, PolicyFindings, Replay } from '../types';
import { asApiError, Chip, Fault, Field, State, Text, useAction, type Tone } from '../ui';

export const checksPolicy = (): boolean => Boolean(me.value && (me.value.admin || me.value.auditor));

const serious = new Set(['fault', 'test-failed', 'unstaffed', 'contradiction', 'standing-exception']);

function Found({ of, named }: { of: readonly Finding[]; named: boolean }) {
  return (
    <ul class="plain-list findings">
      {of.map((f, i) => (
        <li key={i} data-code={f.code}>
          <Chip tone={serious.has(f.code) ? 'bad' : 'wait'} icon="!">{f.code}</Chip>{' '}
          <span class="quiet">{named && <Text of={f.file} />}{named ? ':' : 'line '}{f.line}</span>{' '}
          <Text of={f.text} />
          {f.do && <div class="small quiet">→ <Text of={f.do} /></div>}
        </li>))}
    </ul>
  );
}

/// Of the files as they are now, which may be newer than what is in force.
export function Findings() {
  const found = useSignal<PolicyFindings | null>(null);
  const { fault, run } = useAction();
  useEffect(() => {
    void run(async () => { found.value = await get<PolicyFindings>('rules/findings'); });
  }, []);
  const f = found.value;
  return (
    <section class="try" aria-label="Findings">
      <h2>Findings {f && <span class="count">{f.findings.length}</span>}</h2>
      <Fault of={fault} />
      {!f && !fault && <p class="quiet">The files are being read …</p>}
      {f && !f.in_force && <p class="notice wait">The files are not what is in force: they were
        changed since, or have faults. These findings are of the files.</p>}
      {f && (f.findings.length === 0 ? <p><Chip tone="good" icon="✓">nothing found</Chip></p>
                                     : <Found of={f.findings} named />)}
    </section>
  );
}

const wayTone: Record<string, Tone> = { added: 'good', removed: 'bad', changed: 'wait' };
const verdicts: [keyof Replay & ('looser' | 'stricter' | 'unknown'), Tone][] = [
  ['looser', 'bad'], ['stricter', 'wait'], ['unknown', 'plain']];

function Way({ before, after }: { before: { effect: Effect; rule: string };
                                  after: { effect: Effect; rule: string } }) {
  return <><State of={before.effect} /> <span class="quiet">by {before.rule} </span>→{' '}
    <State of={after.effect} /> <span class="quiet">by {after.rule}</span></>;
}

function Replayed({ r }: { r: Replay }) {
  return (
    <section aria-label="Recorded decisions">
      <h3>The newest {r.records} records, decided again</h3>
      <p>{r.same} stay the same, <strong>{r.looser} looser</strong>, {r.stricter} stricter,
        {' '}{r.unknown} cannot be known{r.other_rule > 0 && `; ${r.other_rule} by another rule`}.
        {r.older_left_out && ' Older records were left out.'}</p>
      {verdicts.map(([v, tone]) => r.changes.filter((c) => c.verdict === v).map((c, i) => (
        <details key={`${v}${i}`}>
          <summary><Chip tone={tone}>{v}</Chip> {c.count} of <Text of={c.user} />:{' '}
            {c.after ? <Way before={c.before} after={c.after} />
                     : <><State of={c.before.effect} /> <Text of={c.why ?? ''} /></>}</summary>
          <ul>{c.examples.map((e, k) => <li key={k}><code><Text of={e} /></code></li>)}</ul>
        </details>)))}
      {r.cut && <p class="quiet">There are more.</p>}
      <p class="quiet small">{r.note}</p>
    </section>
  );
}

function Changes({ c }: { c: CandidateChanges }) {
  return (
    <div class="result" data-policy={c.policy ?? ''}>
      {c.policy === null && <p class="notice bad">It does not load, so nothing was compared.</p>}
      {c.findings.length > 0 && <><h3>Findings <span class="count">{c.findings.length}</span></h3>
        <Found of={c.findings} named={false} /></>}
      {c.policy !== null && <>
        <h3>Rules</h3>
        {c.rules.length === 0 ? <p>They are the same.</p> : <ul class="plain-list">
          {c.rules.map((r, i) => <li key={i}>
            <Chip tone={wayTone[r.change] ?? 'plain'}>{r.change}</Chip>{' '}
            <strong><Text of={r.subject} /></strong>
            {r.fields.map((f, k) => <div key={k} class="small"><Text of={f} /></div>)}</li>)}</ul>}
        <h3>Who is affected</h3>
        {c.affected.length === 0 ? <p>Nobody in the users file.</p> : <div class="scroll"><table>
          <thead><tr><th>Who</th><th>What</th><th>On</th><th>Before → after</th></tr></thead>
          <tbody>{c.affected.map((a, i) => <tr key={i}>
            <td><Text of={a.users.join(', ')} /></td>
            <td>{a.actions.join(', ')}{a.object && <> of <code><Text of={a.object} /></code></>}
              {a.when && <div class="small quiet"><Text of={a.when} /></div>}</td>
            <td><Text of={a.target} /></td>
            <td><Way before={a.before} after={a.after} /></td></tr>)}</tbody></table></div>}
        {c.cut && <p class="notice wait">This is not all: it took too long, or is too much. Use{' '}
          <code>sallyport diff</code> for the rest.</p>}
        {c.replay ? <Replayed r={c.replay} />
                  : <p class="quiet">What was recorded is decided again for auditors.</p>}
      </>}
    </div>
  );
}

export function Candidate() {
  const text = useSignal('');
  const result = useSignal<CandidateChanges | null>(null);
  const { busy, fault, run } = useAction();
  const submit = (e: Event): void => {
    e.preventDefault();
    void run(async () => {
      result.value = await post<CandidateChanges>('rules/candidate', { policy: text.value });
    });
  };
  const take = (file: File | undefined): void => {
    if (file) file.text().then((t) => { text.value = t; }, (e: unknown) => {
      void run(() => Promise.reject(asApiError(e)));
    });
  };
  return (
    <section class="try" aria-label="Try another policy">
      <h2>What would change under another policy?</h2>
      <form onSubmit={submit}>
        <Field label="Policy file" hint="Nothing is put in force.">
          {(a) => <textarea {...a} rows={8} class="code" spellcheck={false} required value={text.value}
            onInput={(e) => { text.value = e.currentTarget.value; }}
            onDragOver={(e) => e.preventDefault()}
            onDrop={(e) => { e.preventDefault(); take(e.dataTransfer?.files[0]); }} />}
        </Field>
        <Fault of={fault} />
        <div class="buttons">
          <button type="submit" class="primary" disabled={busy}>
            {busy ? 'Comparing …' : 'Compare'}</button>
          <label class="quiet small">or a file <input type="file" accept=".yaml,.yml,.json"
            onChange={(e) => take(e.currentTarget.files?.[0])} /></label>
        </div>
      </form>
      <div aria-live="polite">{result.value && <Changes c={result.value} />}</div>
    </section>
  );
}
