// "What would happen if": one statement against the rules in force, by the proxy's own way.
import { useSignal } from '@preact/signals';
import { me, post } from '../api';
import { rules } from '../data';
import { Statement } from '../statement';
import type { Explained } from '../types';
import { Chip, Fault, Field, State, Text, useAction, votesNeeded } from '../ui';

const standing: Record<string, string> = {
  decides: 'decides', yields: 'yields to a stricter one', late: 'an earlier tier has decided',
  observes: 'would decide, if it were enforced', apart: 'does not match',
};

function Result({ e }: { e: Explained }) {
  return (
    <div class={`result ${e.effect}`} data-effect={e.effect}>
      <p class="big"><State of={e.effect} /> by <strong>{e.rule}</strong>
        <span class="quiet"> for {e.as.user}{e.as.groups.length > 0 && ` (${
          e.as.groups.join(', ')})`} on {e.on}</span></p>
      {e.message && <p><Text of={e.message} /></p>}
      {e.hold && <p>Approved by {votesNeeded(e.hold.approvers)}, within {e.hold.wait}
        {e.hold.reason_required && '; a reason is required'}.</p>}
      <ul>{e.reasons.map((r, i) => <li key={i}><Text of={r} /></li>)}</ul>
      {e.notes.length > 0 && <ul class="quiet">{e.notes.map((n, i) => <li key={i}>
        <Text of={n} /></li>)}</ul>}
      {e.statements.map((s, i) => (
        <section key={i}>
          <h4>Statement {i + 1}: {s.command} <span class="quiet">{s.kinds.join(', ')}</span></h4>
          {s.opaque.map((o, k) => <p key={k}><Chip tone="wait" icon="?">opaque</Chip>{' '}
            <Text of={o} /></p>)}
          {s.relations.length > 0 && <div class="scroll"><table>
            <thead><tr><th>How</th><th>Relation</th><th>Columns</th><th>By way of</th><th>Rules</th>
              </tr></thead>
            <tbody>{s.relations.map((r, k) => (
              <tr key={k}>
                <td>{r.how}</td>
                <td><code><Text of={`${r.schema ? `${r.schema}.` : ''}${r.name}`} /></code></td>
                <td>{r.columns ? <Text of={r.columns.join(', ')} />
                               : <span class="quiet">all, or not known</span>}</td>
                <td><Text of={r.road ?? r.place ?? ''} /></td>
                <td>{r.rules.join(', ')}</td>
              </tr>))}</tbody></table></div>}
          {s.functions.length > 0 && <p class="small">Functions: <Text of={s.functions.join(', ')} />
            </p>}
          {s.settings.length > 0 && <p class="small">Settings: <Text of={s.settings.join(', ')} /></p>}
        </section>))}
      <details>
        <summary>How every rule stood</summary>
        <table><tbody>{e.rules.map((r) => (
          <tr key={r.id}><td class="number">{r.tier}</td><td><State of={r.effect} /></td>
            <td><strong>{r.id}</strong></td><td>{standing[r.state] ?? r.state}</td>
            <td>{r.why.map((w, i) => <div key={i}><Text of={w} /></div>)}</td></tr>))}</tbody></table>
      </details>
      <p class="quiet small">
        Catalog: {e.catalog.state}{e.catalog.why && <>: <Text of={e.catalog.why} /></>}
        {e.catalog.server && ` at ${e.catalog.server}`}
        {e.catalog.relations !== undefined && `, ${e.catalog.relations} relations`}
        {e.catalog.stale && ', stale'}. Search path: {e.search_path.schemas?.join(', ') ?? 'not known'}
        {e.search_path.matters && '; a bare name depends on it'}
        {e.search_path.otherwise && `; under another one: ${e.search_path.otherwise.effect}`}.
        {e.cut && ' Long lists were cut.'}</p>
    </div>
  );
}

export function Try() {
  const targets = [...new Set(Object.values(rules.value?.resources ?? {}).flatMap((r) =>
    r.targets))].sort();
  const other = Boolean(me.value && (me.value.admin || me.value.auditor));
  const on = useSignal(targets[0] ?? '');
  const as = useSignal('');
  const groups = useSignal('');
  const application = useSignal('');
  const sql = useSignal('');
  const result = useSignal<Explained | null>(null);
  const asked = useSignal('');
  const { busy, fault, run } = useAction();
  const submit = (e: Event): void => {
    e.preventDefault();
    void run(async () => {
      result.value = await post<Explained>('decisions', {
        on: on.value, sql: sql.value,
        ...(as.value ? { as: as.value } : {}),
        ...(groups.value ? { groups: groups.value.split(/[\s,]+/).filter(Boolean) } : {}),
        ...(application.value ? { application: application.value } : {}),
      });
      asked.value = sql.value;
    });
  };
  return (
    <section class="try" aria-label="Try a statement">
      <h2>Try a statement</h2>
      <form onSubmit={submit}>
        <div class="row">
          <Field label="Target">
            {(a) => <input {...a} list="targets" required value={on.value}
                           onInput={(e) => { on.value = e.currentTarget.value; }} />}
          </Field>
          <Field label="As" optional>
            {(a) => <input {...a} disabled={!other} value={as.value}
                           placeholder={me.value?.user ?? ''}
                           onInput={(e) => { as.value = e.currentTarget.value; }} />}
          </Field>
          <Field label="Groups" optional>
            {(a) => <input {...a} disabled={!other} value={groups.value} placeholder="hers"
                           onInput={(e) => { groups.value = e.currentTarget.value; }} />}
          </Field>
          <Field label="Application" optional>
            {(a) => <input {...a} value={application.value}
                           onInput={(e) => { application.value = e.currentTarget.value; }} />}
          </Field>
        </div>
        <datalist id="targets">{targets.map((t) => <option key={t} value={t} />)}</datalist>
        <Field label="Statement" hint="Nothing is run. Empty: the opening of a session.">
          {(a) => <textarea {...a} rows={3} class="code" spellcheck={false} value={sql.value}
            onInput={(e) => { sql.value = e.currentTarget.value; }}
            onKeyDown={(e) => { if (e.key === 'Enter' && (e.ctrlKey || e.metaKey)) submit(e); }} />}
        </Field>
        <Fault of={fault} />
        <div class="buttons"><button type="submit" class="primary" disabled={busy}>
          What would happen?</button></div>
      </form>
      <div aria-live="polite">{result.value && <>
        {asked.value && <Statement text={asked.value} label="The statement that was tried" />}
        <Result e={result.value} /></>}</div>
    </section>
  );
}
