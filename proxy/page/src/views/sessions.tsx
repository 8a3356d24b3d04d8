import { useSignal } from '@preact/signals';
import { get, me, post } from '../api';
import { flags, holds } from '../data';
import { Link } from '../route';
import { OneLine } from '../statement';
import type { Answer, Session } from '../types';
import { announce, Chip, Empty, Fault, ReasonDialog, Since, Text, usePolled } from '../ui';
import { mayFlag, mayLock, RestrainDialog, type Subject } from './restrain';

const tones: Record<string, [string, 'wait' | 'good' | 'plain' | 'info']> = {
  held: ['◔', 'wait'], active: ['▶', 'good'], idle: ['·', 'plain'], login: ['…', 'info'],
  'idle in transaction': ['⚿', 'wait'],
};

function Row({ s, kill, restrain }: { s: Session; kill: () => void;
                                      restrain: (x: Subject) => void }) {
  const [icon, tone] = tones[s.state] ?? ['', 'plain'];
  const flagged = flags.value.find((f) => f.live && f.about === 'principal' && f.subject === s.user);
  return (
    <tr data-session={s.id}>
      <td class="number">{s.id}</td>
      <td><strong><Text of={s.user} /></strong>{flagged && <> <Chip tone="wait" icon="⚑">
        {flagged.kind === 'lock' ? 'locked' : 'flagged'}</Chip></>}
        <div class="quiet small"><span class="address"><Text of={s.address} /></span>{' '}
          {s.application && <Text of={s.application} />}</div></td>
      <td>{s.target}</td>
      <td><Chip tone={tone} icon={icon}>{s.state}</Chip>
        {s.transaction_since && <div class="small quiet">transaction open for{' '}
          <Since iso={s.transaction_since} /></div>}
        {s.hold && <div class="small"><Link to={`/holds/${s.hold}`}>hold #{s.hold}</Link></div>}</td>
      <td class="wide-cell"><OneLine text={(s.hold ? holds.value.get(s.hold)?.statement : null) ??
        s.statement} /></td>
      <td>{s.grant && (/^opt-out (\d+)$/.test(s.grant)
        ? <Link to={`/opt-outs/${s.grant.slice(8)}`}>{s.grant}</Link> : s.grant)}</td>
      <td class="number"><Since iso={s.started_at} /></td>
      <td class="actions">
        {mayLock() && <button type="button" class="bad outline" onClick={kill}
          aria-label={`Kill session ${s.id}`}>Kill</button>}
        {mayFlag() && <button type="button" aria-label={`Flag ${s.user}`} onClick={() =>
          restrain({ kind: 'flag', about: 'principal', subject: s.user })}>⚑ Flag</button>}
        {mayLock() && <button type="button" aria-label={`Lock ${s.user}`} onClick={() =>
          restrain({ kind: 'lock', about: 'principal', subject: s.user })}>⊘ Lock</button>}
      </td>
    </tr>
  );
}

export function Sessions() {
  const all = useSignal<Session[] | null>(null);
  const killing = useSignal<Session | null>(null);
  const restraining = useSignal<Subject | null>(null);
  const text = useSignal('');
  const may = Boolean(me.value && (me.value.admin || me.value.auditor));
  const fetch = async (): Promise<void> => {
    if (may) all.value = (await get<{ sessions: Session[] }>('sessions')).sessions;
  };
  const fault = usePolled(fetch, 2000);
  const shown = (all.value ?? []).filter((s) => [s.user, s.target, s.application, s.address,
    s.statement, s.state].some((t) => t.toLowerCase().includes(text.value.toLowerCase())));
  return (
    <div class="page">
      <header><h1>Sessions {all.value && <span class="count">{all.value.length}</span>}</h1>
        <span class="grow" />
        {may && <input type="search" placeholder="Filter" aria-label="Filter sessions"
          value={text.value} onInput={(e) => { text.value = e.currentTarget.value; }} />}
      </header>
      <Fault of={fault} />
      {!may && <Empty title="Only admins and auditors see the sessions." />}
      {may && all.value && shown.length === 0 && <Empty title={text.value ? 'No session fits.'
        : 'Nobody is connected.'} />}
      {shown.length > 0 && <div class="scroll"><table>
        <thead><tr><th>#</th><th>Who</th><th>Target</th><th>State</th><th>Newest statement</th>
          <th>Let through by</th><th>For</th><th><span class="unseen">Actions</span></th></tr></thead>
        <tbody>{shown.slice(0, 500).map((s) => <Row key={s.id} s={s}
          kill={() => { killing.value = s; }} restrain={(x) => { restraining.value = x; }} />)}
        </tbody></table></div>}
      {killing.value && <ReasonDialog tone="bad" what="Kill"
        title={`Kill session ${killing.value.id} of ${killing.value.user}`}
        close={() => { killing.value = null; }}
        run={async (reason) => {
          const a = await post<Answer>(`sessions/${killing.value?.id}/kill`, { reason });
          announce(a.text, 'bad');
          await fetch();
        }}>
        <p>Its client gets a FATAL error with your reason; what it runs is cancelled.</p>
      </ReasonDialog>}
      {restraining.value && <RestrainDialog start={restraining.value}
        close={() => { restraining.value = null; }} />}
    </div>
  );
}
