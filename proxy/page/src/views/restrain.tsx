// Flags and locks: set one, see what is live, lift it.
import { useSignal } from '@preact/signals';
import { me, post } from '../api';
import { flags, loadFlags, seesFlags } from '../data';
import type { Answer, Flag } from '../types';
import { announce, Chip, Dialog, Empty, Fault, Field, Left, ReasonDialog, Text, useAction, useKeys,
         value, When } from '../ui';

export interface Subject {
  kind: 'flag' | 'lock';
  about: string;
  subject: string;
}

export const mayFlag = (): boolean => Boolean(me.value && (me.value.admin || me.value.monitor));
export const mayLock = (): boolean => Boolean(me.value?.admin);

export function RestrainDialog({ start, close }: { start: Subject; close: () => void }) {
  const kind = useSignal(start.kind);
  const about = useSignal(start.about);
  const subject = useSignal(start.subject);
  const length = useSignal('8h');
  const reason = useSignal('');
  const { busy, fault, run } = useAction();
  const locks = kind.value === 'lock';
  const submit = (e: Event): void => {
    e.preventDefault();
    void run(async () => {
      const a = await post<Answer>(locks ? 'locks' : 'flags', {
        [about.value]: subject.value, for: length.value, reason: reason.value });
      announce(a.text || `${subject.value}: ${kind.value}`, 'bad');
      await loadFlags();
      close();
    });
  };
  return (
    <Dialog title={locks ? 'Lock' : 'Flag'} tone="bad" close={close}>
      <form onSubmit={submit}>
        <p class="quiet">{locks ? 'Ends live sessions and refuses new ones until its end.'
          : 'Each session then waits for a person, and opt-outs let nothing through.'}</p>
        <div class="row">
          <Field label="What">
            {(a) => <select {...a} value={kind.value} onChange={value((v) => {
              kind.value = v === 'lock' ? 'lock' : 'flag'; })}>
              <option value="flag">flag</option>
              {mayLock() && <option value="lock">lock</option>}
            </select>}
          </Field>
          <Field label="About">
            {(a) => <select {...a} value={about.value} onChange={value((v) => { about.value = v; })}>
              {['principal', 'application', 'address', 'target', ...(locks ? ['rule'] : [])]
                .map((x) => <option key={x} value={x}>{x}</option>)}
            </select>}
          </Field>
        </div>
        <Field label="Name">
          {(a) => <input {...a} required value={subject.value}
                         onInput={(e) => { subject.value = e.currentTarget.value; }} />}
        </Field>
        <Field label="For" hint="such as 30m, 8h, 2d">
          {(a) => <input {...a} required value={length.value}
                         onInput={(e) => { length.value = e.currentTarget.value; }} />}
        </Field>
        <Field label="Reason">
          {(a) => <input {...a} required value={reason.value} autoFocus
                         onInput={(e) => { reason.value = e.currentTarget.value; }} />}
        </Field>
        <Fault of={fault} />
        <div class="buttons">
          <button type="submit" class="bad" disabled={busy}>{locks ? '⊘ Lock' : '⚑ Flag'}</button>
          <button type="button" class="quiet" onClick={close}>Cancel</button>
        </div>
      </form>
    </Dialog>
  );
}

function Row({ f }: { f: Flag }) {
  const lifting = useSignal(false);
  return (
    <tr data-flag={f.id}>
      <td>{f.kind === 'lock' ? <Chip tone="bad" icon="⊘">lock</Chip>
                             : <Chip tone="wait" icon="⚑">flag</Chip>}</td>
      <td>{f.about} <strong><Text of={f.subject} /></strong></td>
      <td><Text of={f.reason} /></td>
      <td><Text of={f.set_by} /> at <When iso={f.set_at} /></td>
      <td>{f.live ? <Left until={f.until} /> : f.lifted_at
        ? <>lifted by <Text of={f.lifted_by ?? ''} />: <Text of={f.lifted_reason} /></>
        : <>over since <When iso={f.until} /></>}</td>
      <td>{f.live && mayLock() && <button type="button" onClick={() => { lifting.value = true; }}>
        Lift</button>}
        {lifting.value && <ReasonDialog title={`Lift ${f.kind} ${f.id} of ${f.subject}`} what="Lift"
          close={() => { lifting.value = false; }} run={async (reason) => {
            const a = await post<Answer>(`flags/${f.id}/lift`, { reason });
            announce(a.text || 'It is lifted', 'good');
            await loadFlags();
          }} />}</td>
    </tr>
  );
}

export function Flags() {
  const setting = useSignal(false);
  useKeys({ n: () => { if (mayFlag()) setting.value = true; } });
  const all = [...flags.value].sort((a, b) => Number(b.live) - Number(a.live) || b.id - a.id);
  return (
    <div class="page">
      <header><h1>Flags and locks</h1><span class="grow" />
        {mayFlag() && <button type="button" class="bad outline"
          onClick={() => { setting.value = true; }}>Set one <kbd>n</kbd></button>}
      </header>
      {!seesFlags() ? <Empty title="Only admins, auditors and monitors see these." />
        : all.length === 0 ? <Empty title="Nothing is flagged or locked." />
        : <div class="scroll"><table>
            <thead><tr><th>Kind</th><th>About</th><th>Why</th><th>Set by</th><th>Until</th><th /></tr>
            </thead>
            <tbody>{all.map((f) => <Row key={f.id} f={f} />)}</tbody></table></div>}
      {setting.value && <RestrainDialog close={() => { setting.value = false; }}
        start={{ kind: 'flag', about: 'principal', subject: '' }} />}
    </div>
  );
}
