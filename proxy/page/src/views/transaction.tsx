// What stays open while somebody decides: the transaction of the session that waits, and its locks.
import { useState } from 'preact/hooks';
import { get } from '../api';
import type { Hold, Lock, Transaction } from '../types';
import { Chip, Since, Text, usePolled, When } from '../ui';

/// What others cannot do meanwhile, for who does not know PostgreSQL's names by heart.
const stops: Record<string, string> = {
  AccessExclusiveLock: 'others can neither read nor write it',
  ExclusiveLock: 'others can only read it',
  ShareRowExclusiveLock: 'others cannot write it',
  ShareLock: 'others cannot write it',
  ShareUpdateExclusiveLock: 'others cannot change its definition',
  RowExclusiveLock: 'the rows that it changed are locked',
  RowShareLock: 'the rows that it chose may be locked',
  AccessShareLock: 'others cannot drop or alter it',
};

function Row({ l }: { l: Lock }) {
  return (
    <tr role="row">
      <td role="cell">{l.granted ? <Chip icon="◆">holds</Chip> : <Chip tone="wait" icon="◔">waits for</Chip>}</td>
      <td role="cell"><code>{l.mode}</code></td>
      <td role="cell" data-label="on">{l.type}{l.on && <> <code><Text of={l.on} /></code></>}</td>
      <td role="cell" class="quiet">{l.type === 'relation' ? stops[l.mode] ?? ''
        : l.type === 'transactionid' ? 'it has changed or locked rows' : ''}</td>
    </tr>
  );
}

function Locks({ t }: { t: Transaction }) {
  if (t.locks === null)
    return <p class="quiet">Which locks it holds is not known:{' '}
      <Text of={t.locks_unknown_because ?? ''} />.</p>;
  const blocks = t.blocks ?? 0;
  return (
    <>
      {blocks > 0 && <p><Chip tone="bad" icon="⚠">
        {blocks} {blocks === 1 ? 'other session waits' : 'other sessions wait'} for it</Chip></p>}
      {t.locks.length === 0 ? <p class="quiet">It holds no lock that matters to others.</p>
        : <div class="scroll"><table class="stack" role="table" aria-label="Locks">
            <thead role="rowgroup"><tr role="row"><th role="columnheader">Lock</th>
              <th role="columnheader">Mode</th><th role="columnheader">On</th>
              <th role="columnheader">Meanwhile</th></tr></thead>
            <tbody role="rowgroup">{t.locks.map((l, i) => <Row key={i} l={l} />)}</tbody>
          </table></div>}
      {t.locks_cut && <p class="quiet">There are more.</p>}
    </>
  );
}

/// The server is asked when the hold is opened, and again now and then.
function Open({ hold }: { hold: Hold }) {
  const [open, setOpen] = useState<Transaction | null | undefined>(undefined);
  const fault = usePolled(async () => {
    setOpen((await get<Hold>(`holds/${hold.id}`)).transaction ?? null);
  }, 10_000);
  return (
    <>
      <p><Chip tone="wait" icon="◆">inside a transaction: what it has locked stays locked while it
        waits</Chip></p>
      {open && <p>Open for <strong><Since iso={open.since} /></strong>, since{' '}
        <When iso={open.since} seconds />.</p>}
      {open && <Locks t={open} />}
      {open === undefined && !fault && <p class="quiet">The server is being asked …</p>}
      {fault && <p class="quiet">Its age and locks could not be fetched: <Text of={fault.detail} /></p>}
    </>
  );
}

export function Held({ hold }: { hold: Hold }) {
  if (!hold.in_transaction) return null;
  return (
    <section class="transaction" aria-label="Transaction">
      <h3>Transaction</h3>
      {hold.state === 'pending' ? <Open hold={hold} />
                                : <p class="quiet">It was asked inside a transaction.</p>}
    </section>
  );
}
