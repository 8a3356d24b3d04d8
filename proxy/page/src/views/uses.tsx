// Each use of an opt-out, as the log has it.
import { useEffect, useState } from 'preact/hooks';
import { ApiError, get } from '../api';
import { OneLine, Statement } from '../statement';
import type { AuditRecord } from '../types';
import { asApiError, Fault, Text, When } from '../ui';

interface Page {
  records: AuditRecord[];
  next_before: number | null;
}

const text = (v: unknown): string => (typeof v === 'string' ? v : '');

function Use({ r }: { r: AuditRecord }) {
  const [open, setOpen] = useState(false);
  const statement = text(r['statement']);
  return (
    <>
      <tr class="openable" onClick={() => setOpen(!open)}>
        <td><button type="button" class="icon" aria-expanded={open}
                    aria-label={`Use ${r.seq}`}>{open ? '▾' : '▸'}</button></td>
        <td class="number"><When iso={r.time} seconds /></td>
        <td><Text of={text(r['user'])} /></td>
        <td>{text(r['target'])}</td>
        <td class="wide-cell"><OneLine text={statement} /></td>
      </tr>
      {open && <tr class="details"><td colSpan={5}><Statement text={statement} />
        <p class="small quiet">From <Text of={text(r['address'])} /> with{' '}
          <Text of={text(r['application'])} />, session {text(r['session'])}</p></td></tr>}
    </>
  );
}

/// Fetched anew when `count` has changed.
export function Uses({ of, count }: { of: number; count: number }) {
  const [all, setAll] = useState<AuditRecord[]>([]);
  const [before, setBefore] = useState<number | null>(null);
  const [fault, setFault] = useState<ApiError | null>(null);
  const load = (more: boolean): void => {
    get<Page>(`opt-outs/${of}/uses${more && before ? `?before=${before}` : ''}`).then((a) => {
      setAll(more ? [...all, ...a.records] : a.records);
      setBefore(a.records.length < 200 ? null : a.next_before);
      setFault(null);
    }, (e: unknown) => setFault(asApiError(e)));
  };
  useEffect(() => load(false), [of, count]);
  if (fault) return <Fault of={fault} />;
  if (all.length === 0) return null;
  return (
    <div class="scroll">
      <table class="records">
        <thead><tr><th><span class="unseen">Open</span></th><th>Time</th><th>Person</th><th>Target</th>
          <th>Statement</th></tr></thead>
        <tbody>{all.map((r) => <Use key={r.seq} r={r} />)}</tbody>
      </table>
      {before && <button type="button" class="link pad" onClick={() => load(true)}>Older ones
        </button>}
    </div>
  );
}
