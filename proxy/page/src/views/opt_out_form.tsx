// Asking for an opt-out: the rule's bounds beside the fields, and what the server minds at its field.
import { useSignal } from '@preact/signals';
import { ApiError, me, post } from '../api';
import { loadOptOut, rules } from '../data';
import { go } from '../route';
import { choices } from '../time';
import type { Answer, OptOutSpec, Rule, Who } from '../types';
import { announce, Dialog, Fault, Field, people, sentence, useAction, value, votesNeeded,
         whoText } from '../ui';

/// Which field a problem speaks of, as far as its sentence tells.
export function fieldOf(e: ApiError | null): string {
  if (!e) return '';
  const named = /^"(\w+)" /.exec(e.detail)?.[1];
  if (named) return named;
  const words: [RegExp, string][] = [
    [/ticket/i, 'ticket'], [/\breason\b/i, 'reason'],
    [/is more than the rule allows|duration/i, 'for'], [/begin(ning)?\b/i, 'from'],
    [/target/i, 'target'], [/is no group of yours/i, 'group'], [/resource/i, 'on'],
    [/kind \(read|command/i, 'do'], [/application_name/i, 'application'], [/\brule\b/i, 'rule'],
  ];
  return words.find(([re]) => re.test(e.detail))?.[1] ?? '';
}

const fits = (w: Who): boolean => {
  const who = me.value;
  if (!who) return false;
  if (w.users?.length && !w.users.includes(who.user)) return false;
  if (w.groups?.length && !w.groups.some((g) => who.groups.includes(g))) return false;
  return !(w.not && fits(w.not));
};

function Bounds({ spec, glass }: { spec: OptOutSpec; glass: boolean }) {
  const rows: [string, string][] = glass && spec.break_glass ? [
    ['Who may', whoText(spec.break_glass.who)],
    ['At most', spec.break_glass.max_duration],
    ['Active', 'at once, without anybody\'s approval'],
    ['Told', people(spec.break_glass.announce)],
    ['Afterwards', 'another person reviews it, used or not'],
  ] : [
    ['Who may', whoText(spec.who)],
    ['At most', spec.max_duration],
    ['Approved by', votesNeeded(spec.approvers)],
    ...(spec.max_uses ? [['Uses', `${spec.max_uses} at most`] as [string, string]] : []),
    ...(spec.max_live_per_person || spec.max_live_in_all ? [['Live at once', [
      spec.max_live_per_person && `${spec.max_live_per_person} per person`,
      spec.max_live_in_all && `${spec.max_live_in_all} in all`].filter(Boolean).join(', ')] as
      [string, string]] : []),
    ...(spec.per_month ? [['A month', [
      spec.per_month.per_person && `${spec.per_month.per_person} per person`,
      spec.per_month.per_team && `${spec.per_month.per_team} per team`,
      spec.per_month.in_all && `${spec.per_month.in_all} in all`].filter(Boolean).join(', ')] as
      [string, string]] : []),
    ...(spec.cool_down ? [['Pause between', spec.cool_down] as [string, string]] : []),
    ...(spec.review ? [['Reviewed', `within ${spec.review.within} by ${
      people(spec.review.reviewers)}`] as [string, string]] : []),
  ];
  return <dl class="bounds">{rows.map(([k, v]) => <><dt>{k}</dt><dd>{v}</dd></>)}</dl>;
}

const isoOf = (local: string): string =>
  (local ? new Date(local).toISOString().replace(/\.\d+Z$/, 'Z') : '');

const words = (text: string): string[] => text.split(/[\s,]+/).filter(Boolean);

export function OptOutForm({ close }: { close: () => void }) {
  const offered = (rules.value?.rules ?? []).filter((r): r is Rule & { opt_out: OptOutSpec } =>
    r.opt_out !== undefined);
  const first = offered.find((r) => fits(r.opt_out.who)) ?? offered[0];
  const picked = useSignal('');
  const rule = picked.value || (first?.id ?? '');
  const glass = useSignal(false);
  const length = useSignal('');
  const reason = useSignal('');
  const ticket = useSignal('');
  const target = useSignal('');
  const from = useSignal('');
  const group = useSignal('');
  const application = useSignal('');
  const on = useSignal<string[]>([]);
  const actions = useSignal('');
  const { busy, fault, run } = useAction();
  const chosen = offered.find((r) => r.id === rule);
  const spec = chosen?.opt_out;
  if (!chosen || !spec)
    return <Dialog title="Ask for an opt-out" close={close}>
      <p>{rules.value ? 'No rule of the policy can be opted out of.' : 'The rules are being fetched …'}</p></Dialog>;
  const breaking = glass.value && spec.break_glass !== undefined;
  const most = breaking && spec.break_glass ? spec.break_glass.max_duration : spec.max_duration;
  const where = fieldOf(fault);
  const wrong = (name: string): string | null => (where === name ? fault?.detail ?? null : null);
  const targets = [...new Set(chosen.on.flatMap((r) => rules.value?.resources[r]?.targets ?? []))];
  const may = fits(breaking && spec.break_glass ? spec.break_glass.who : spec.who);

  const submit = (e: Event): void => {
    e.preventDefault();
    void run(async () => {
      const body: Record<string, unknown> = {
        rule, for: length.value || most, reason: reason.value,
      };
      if (ticket.value) body.ticket = ticket.value;
      if (target.value) body.target = target.value;
      if (from.value) body.from = isoOf(from.value);
      if (group.value) body.group = group.value;
      if (application.value) body.application = application.value;
      if (on.value.length > 0) body.on = on.value;
      if (actions.value.trim()) body.do = words(actions.value);
      if (breaking) body.break_glass = true;
      const a = await post<Answer>('opt-outs', body);
      announce(a.text || 'The opt-out is asked for', breaking ? 'bad' : 'good');
      if (a.id) {
        await loadOptOut(a.id);
        go(`/opt-outs/${a.id}`);
      }
      close();
    });
  };

  return (
    <Dialog title={breaking ? '⚠ Break the glass' : 'Ask for an opt-out'}
            tone={breaking ? 'bad' : 'plain'} close={close}>
      <form onSubmit={submit} class="two">
        <div>
          <Field label="Rule" error={wrong('rule')}>
            {(a) => <select {...a} value={rule} onChange={(e) => {
              picked.value = e.currentTarget.value;
              length.value = '';
              on.value = [];
            }}>
              {offered.map((r) => <option key={r.id} value={r.id}>{r.id}</option>)}
            </select>}
          </Field>
          <Field label="For how long" hint={`at most ${most}`} error={wrong('for')}>
            {(a) => <>
              <input {...a} value={length.value} placeholder={most}
                     onInput={(e) => { length.value = e.currentTarget.value; }} />
              <div class="lengths" role="group" aria-label="Lengths">
                {choices(most).map((c) => <button key={c} type="button"
                  aria-pressed={(length.value || most) === c}
                  onClick={() => { length.value = c; }}>{c}</button>)}
              </div>
            </>}
          </Field>
          <Field label="Reason" error={wrong('reason')} hint="Approvers and reviewers read it.">
            {(a) => <textarea {...a} rows={2} required maxLength={4096} value={reason.value}
              onInput={(e) => { reason.value = e.currentTarget.value; }} />}
          </Field>
          <Field label="Ticket" optional={!spec.ticket && !breaking} error={wrong('ticket')}
                 hint={spec.ticket && <>fits <code>{spec.ticket}</code></>}>
            {(a) => <input {...a} value={ticket.value} required={Boolean(spec.ticket) || breaking}
                           onInput={(e) => { ticket.value = e.currentTarget.value; }} />}
          </Field>
          <details open={['target', 'from', 'group', 'application', 'on', 'do'].includes(where)}>
            <summary>Narrower than the rule</summary>
            <Field label="Target" optional error={wrong('target')}>
              {(a) => <select {...a} value={target.value}
                              onChange={value((v) => { target.value = v; })}>
                <option value="">every target of the rule</option>
                {targets.map((t) => <option key={t} value={t}>{t}</option>)}
              </select>}
            </Field>
            {chosen.on.length > 1 && <Field label="Resources" optional error={wrong('on')}>
              {(a) => <div {...a} role="group">{chosen.on.map((r) => (
                <label key={r} class="choice"><input type="checkbox" checked={on.value.includes(r)}
                  onChange={(e) => { on.value = e.currentTarget.checked ? [...on.value, r]
                                                : on.value.filter((x) => x !== r); }} />
                  <span>{r}</span></label>))}</div>}
            </Field>}
            <Field label="Actions" optional error={wrong('do')}
                   hint="kinds or commands, such as: read, update">
              {(a) => <input {...a} value={actions.value}
                             onInput={(e) => { actions.value = e.currentTarget.value; }} />}
            </Field>
            <Field label="Application" optional error={wrong('application')}>
              {(a) => <input {...a} value={application.value}
                             onInput={(e) => { application.value = e.currentTarget.value; }} />}
            </Field>
            {!breaking && <Field label="For a group of yours" optional error={wrong('group')}>
              {(a) => <select {...a} value={group.value}
                              onChange={value((v) => { group.value = v; })}>
                <option value="">for me alone</option>
                {me.value?.groups.map((g) => <option key={g} value={g}>{g}</option>)}
              </select>}
            </Field>}
            {spec.starts_within && !breaking && <Field label="Begins" optional error={wrong('from')}
                hint={`within ${spec.starts_within}; left out: when it is approved`}>
              {(a) => <input {...a} type="datetime-local" value={from.value}
                             onInput={(e) => { from.value = e.currentTarget.value; }} />}
            </Field>}
          </details>
        </div>
        <aside>
          <h3>The rule's bounds</h3>
          <Bounds spec={spec} glass={breaking} />
          {!may && <p class="notice wait">You are not among those who may.</p>}
          {spec.break_glass && <label class="choice glass">
            <input type="checkbox" checked={glass.value}
                   onChange={(e) => { glass.value = e.currentTarget.checked; length.value = ''; }} />
            <span><strong>⚠ Break the glass</strong><br />An emergency: active at once, loudly,
              reviewed afterwards.</span>
          </label>}
        </aside>
        <div class="whole">
          {fault && (where === '' ? <Fault of={fault} />
            : <p class="fault small">{sentence(fault.next)}</p>)}
          <div class="buttons">
            <button type="submit" class={breaking ? 'bad' : 'primary'} disabled={busy}>
              {breaking ? '⚠ Break the glass now' : 'Ask'}</button>
            <button type="button" class="quiet" onClick={close}>Cancel</button>
          </div>
        </div>
      </form>
    </Dialog>
  );
}
