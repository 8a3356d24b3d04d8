// One hold or opt-out from its request to its review, whether the log is whole, and the bundle.
import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { download, get } from '../api';
import type { AuditRecord, Chain } from '../types';
import { announce, asApiError, Chip, Fault, State, Text, useAction, When } from '../ui';

/// The steps that every story has, in this order; what is not there yet is shown as open.
const steps: [string, RegExp][] = [
  ['asked', /^(hold\.opened|hold\.joined|opt_out\.(requested|break_glass))$/],
  ['votes', /\.(vote|vote_withdrawn|approved|denied)$/],
  ['in force', /^(opt_out\.(activated|resumed)|hold\.(released|taken))$/],
  ['uses', /^bypass$/],
  ['end', /^(opt_out\.(expired|revoked|used_up|denied|lapsed|withdrawn)|hold\.(released|taken|denied|expired|withdrawn|not_taken))$/],
  ['review', /^review\.(signed_off|finding)$/],
];

function Steps({ what, records }: { what: string; records: readonly AuditRecord[] }) {
  const shown = steps.filter(([name]) => what === 'opt_out'
    || !['uses', 'review', 'in force'].includes(name));
  return (
    <ol class="steps" aria-label="Steps">
      {shown.map(([name, re]) => {
        const here = records.filter((r) => re.test(r.event));
        const first = here[0];
        return (
          <li key={name} class={here.length > 0 ? 'done' : ''}>
            <strong>{name}</strong>{here.length > 1 && <span class="count">{here.length}</span>}
            <span class="small quiet">{first ? <When iso={first.time} /> : 'none'}</span>
          </li>
        );
      })}
    </ol>
  );
}

interface StoryHeadProps {
  what: 'hold' | 'opt_out';
  id: string;
  records: readonly AuditRecord[];
  cut: boolean;
}

export function StoryHead({ what, id, records, cut }: StoryHeadProps) {
  const { busy, fault, run } = useAction();
  const name = what === 'hold' ? `hold ${id}` : `opt-out ${id}`;
  const keep = (): void => {
    void run(async () => {
      await download(`audit/bundle?${what}=${encodeURIComponent(id)}`, `sallyport-${what}-${id}.bundle`);
      announce(`The bundle of ${name} is kept`, 'good');
    });
  };
  return (
    <section class="story" aria-label="Story">
      <h2>The story of {name}, oldest first</h2>
      {records.length > 0 && <>
        <Steps what={what} records={records} />
        {cut && <p class="notice wait">It is longer than what is shown.</p>}
        <div class="buttons">
          <button type="button" disabled={busy} onClick={keep}>⤓ Signed bundle</button>
          <span class="small quiet">Anybody with the public key can check it:{' '}
            <code>sallyport audit verify-bundle FILE --public-key KEY</code></span>
        </div>
        <Fault of={fault} />
      </>}
    </section>
  );
}

/// Whether the chain is whole; the place, if it is not.
export function ChainState() {
  const chain = useSignal<Chain | null>(null);
  const why = useSignal('');
  const ask = async (): Promise<void> => {
    try {
      chain.value = await get<Chain>('audit/verify');
      why.value = '';
    } catch (e) {
      why.value = asApiError(e).detail;
    }
  };
  useEffect(() => { void ask(); }, []);
  useEffect(() => {
    if (!chain.value?.running) return undefined;
    const timer = setTimeout(() => void ask(), 1000);
    return () => clearTimeout(timer);
  }, [chain.value]);
  const c = chain.value;
  const d = c?.damage;
  return (
    <span class="chain" role="status" data-chain={c?.state ?? ''}>
      {!c && <span class="quiet">{why.value ? `The chain cannot be verified: ${why.value}`
                                            : 'The chain is being verified …'}</span>}
      {c?.state === 'verified' && <>
        <Chip tone="good" icon="✓">chain verified</Chip>{' '}
        <span class="small quiet">{c.records.toLocaleString('en')} records,{' '}
          {c.signed_through > 0 ? `signed through ${c.signed_through}` : 'none signed yet'},{' '}
          <When iso={c.checked_at} seconds />{c.note && `; ${c.note}`}</span></>}
      {c?.state === 'unknown' && <State of="unknown" />}
      {c?.state === 'broken' && <>
        <Chip tone="bad" icon="✕">chain broken</Chip>{' '}
        <strong class="bad-text"><Text of={`${d?.what ?? ''}${d?.file ? ` in ${d.file}` : ''}${
          d?.line ? `, line ${d.line}` : ''}: ${d?.text ?? ''}`} /></strong></>}
      {' '}<button type="button" class="link" disabled={c?.running ?? false}
                   onClick={() => void ask()}>{c?.running ? 'runs …' : 'again'}</button>
    </span>
  );
}
