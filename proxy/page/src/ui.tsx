// Small things that every view is made of.
import { signal } from '@preact/signals';
import type { ComponentChildren, JSX } from 'preact';
import { useEffect, useId, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { ApiError } from './api';
import { at, clock, now, readable, span } from './time';
import type { Approvers, Who } from './types';
import { pieces } from './visible';

/// Text of others in a line of ours.
export function Text({ of }: { of: string }) {
  return <bdi>{pieces(of).map((p) => (p.escape ? <Escape as={p.escape} /> : p.text))}</bdi>;
}

export function Escape({ as }: { as: string }) {
  return <span class="escape" title="an invisible character, shown as its escape">{as}</span>;
}

export type Tone = 'plain' | 'good' | 'wait' | 'bad' | 'info';

export function Chip({ tone = 'plain', icon, children }:
                     { tone?: Tone; icon?: string; children: ComponentChildren }) {
  return (
    <span class={`chip ${tone}`}>
      {icon && <span aria-hidden="true">{icon} </span>}{children}
    </span>
  );
}

const states: Record<string, [Tone, string, string]> = {
  pending: ['wait', '◔', 'waiting'],
  approved: ['good', '✓', 'approved'],
  denied: ['bad', '✕', 'denied'],
  expired: ['plain', '⌛', 'expired'],
  withdrawn: ['plain', '↩', 'withdrawn'],
  requested: ['wait', '◔', 'requested'],
  active: ['good', '●', 'active'],
  lapsed: ['plain', '⌛', 'lapsed'],
  revoked: ['bad', '⊘', 'revoked'],
  used_up: ['plain', '▣', 'used up'],
  open: ['wait', '◔', 'open'],
  signed_off: ['good', '✓', 'signed off'],
  finding: ['bad', '!', 'finding'],
  allow: ['good', '✓', 'allow'],
  hold: ['wait', '◔', 'hold'],
  deny: ['bad', '✕', 'deny'],
};

export function State({ of }: { of: string }) {
  const [tone, icon, text] = states[of] ?? ['plain', '', of];
  return <Chip tone={tone} icon={icon}>{text}</Chip>;
}

export function When({ iso, seconds = false }: { iso: string | null; seconds?: boolean }) {
  if (!iso) return <span>–</span>;
  return <time dateTime={iso} title={iso}>{clock(iso, seconds)}</time>;
}

export function Since({ iso }: { iso: string | null }) {
  return <time dateTime={iso ?? ''} title={iso ?? ''}>{span(now.value - at(iso))}</time>;
}

/// The time that is left of from … until, in digits and as a bar.
export function Left({ until, from, bar = false }:
                     { until: string | null; from?: string | null; bar?: boolean }) {
  const left = at(until) - now.value;
  const whole = at(until) - at(from ?? null);
  const tone = left < 60_000 ? 'bad' : left < 300_000 ? 'wait' : '';
  return (
    <span class={`left ${tone}`}>
      <time dateTime={until ?? ''} title={until ?? ''}>
        {left > 0 ? `${span(left)} left` : 'over'}
      </time>
      {bar && whole > 0 &&
        <progress max={whole} value={Math.max(0, left)} aria-hidden="true" />}
    </span>
  );
}

export function people(
  a: { users?: string[]; groups?: string[]; services?: string[] },
): string {
  const parts = [
    ...(a.users ?? []), ...(a.groups ?? []).map((g) => `group ${g}`),
    ...(a.services ?? []).map((s) => `program ${s}`),
  ];
  return parts.length > 0 ? parts.join(', ') : 'nobody';
}

export function votesNeeded(a: Approvers): string {
  return `${a.needed} of ${people(a)}`;
}

export function whoText(w: Who): string {
  const parts = [
    ...(w.users ?? []), ...(w.groups ?? []).map((g) => `group ${g}`),
    ...(w.applications ?? []).map((x) => `application ${x}`), ...(w.addresses ?? []),
  ];
  const text = parts.join(', ') || 'everybody';
  return w.not ? `${text} but ${whoText(w.not)}` : text;
}

// --- what is said to whoever does not look -----------------------------------------------------

export const spoken = signal('');
interface Toast { id: number; text: string; tone: Tone }
export const toasts = signal<readonly Toast[]>([]);
let nextToast = 1;

/// For a screen reader; `tone` shows it for a while too.
export function announce(message: string, tone?: Tone): void {
  const text = readable(message);
  spoken.value = text;
  if (!tone) return;
  const id = nextToast++;
  toasts.value = [...toasts.value.slice(-2), { id, text, tone }];
  setTimeout(() => { toasts.value = toasts.value.filter((t) => t.id !== id); }, 6000);
}

export function Announcements() {
  return (
    <>
      <div class="unseen" role="status" aria-live="polite">{spoken.value}</div>
      <div class="toasts" aria-hidden="true">
        {toasts.value.map((t) => <div key={t.id} class={`toast ${t.tone}`}>{t.text}</div>)}
      </div>
    </>
  );
}

// --- asking ------------------------------------------------------------------------------------

export function Fault({ of }: { of: ApiError | null }) {
  if (!of) return null;
  return (
    <div class="fault" role="alert">
      <strong>{sentence(readable(of.detail))}</strong> {of.next}
    </div>
  );
}

export function sentence(text: string): string {
  const t = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?:]$/.test(t) ? t : `${t}.`;
}

export function asApiError(e: unknown): ApiError {
  if (e instanceof ApiError) return e;
  return new ApiError(0, 'page', e instanceof Error ? e.message : String(e), 'Reload the page.');
}

/// Runs one request at a time and keeps what went wrong.
export function useAction() {
  const [busy, setBusy] = useState(false);
  const [fault, setFault] = useState<ApiError | null>(null);
  const run = async (f: () => Promise<void>): Promise<boolean> => {
    if (busy) return false;
    setBusy(true);
    setFault(null);
    try {
      await f();
      return true;
    } catch (e) {
      setFault(asApiError(e));
      return false;
    } finally {
      setBusy(false);
    }
  };
  return { busy, fault, run, clear: () => setFault(null) };
}

interface FieldProps {
  label: string;
  hint?: ComponentChildren;
  error?: string | null | undefined;
  optional?: boolean;
  children: (attributes: { id: string; 'aria-describedby': string;
                           'aria-invalid'?: 'true' }) => ComponentChildren;
}

export function Field({ label, hint, error, optional = false, children }: FieldProps) {
  const id = useId();
  return (
    <div class={`field ${error ? 'wrong' : ''}`}>
      <label for={id}>{label}{optional && <span class="quiet"> optional</span>}</label>
      {children({ id, 'aria-describedby': `${id}h ${id}e`,
                  ...(error ? { 'aria-invalid': 'true' as const } : {}) })}
      <span class="hint" id={`${id}h`}>{hint}</span>
      <span class="error" id={`${id}e`} role={error ? 'alert' : undefined}>
        {error && sentence(error)}
      </span>
    </div>
  );
}

/// The value of an input, for state.
export const value = (set: (v: string) => void) =>
  (e: JSX.TargetedEvent<HTMLInputElement | HTMLTextAreaElement | HTMLSelectElement>): void =>
    set(e.currentTarget.value);

interface DialogProps {
  title: string;
  tone?: Tone;
  close: () => void;
  children: ComponentChildren;
}

export function Dialog({ title, tone = 'plain', close, children }: DialogProps) {
  const ref = useRef<HTMLDialogElement>(null);
  const id = useId();
  useLayoutEffect(() => {
    const before = document.activeElement;
    ref.current?.showModal();
    return () => { if (before instanceof HTMLElement) before.focus(); };
  }, []);
  return (
    <dialog ref={ref} class={tone} aria-labelledby={id}
            onCancel={(e) => { e.preventDefault(); close(); }}
            onClick={(e) => { if (e.target === ref.current) close(); }}>
      <div class="dialog">
        <header>
          <h2 id={id}>{title}</h2>
          <button type="button" class="icon" aria-label="Close" onClick={close}>✕</button>
        </header>
        {children}
      </div>
    </dialog>
  );
}

interface ReasonDialogProps {
  title: string;
  what: string;  ///< the button
  tone?: Tone;
  label?: string;
  optional?: boolean;
  children?: ComponentChildren;
  run: (reason: string) => Promise<void>;
  close: () => void;
}

/// One question, one reason.
export function ReasonDialog(p: ReasonDialogProps) {
  const [reason, setReason] = useState('');
  const { busy, fault, run } = useAction();
  const submit = (e: Event): void => {
    e.preventDefault();
    void run(() => p.run(reason)).then((done) => { if (done) p.close(); });
  };
  return (
    <Dialog title={p.title} tone={p.tone ?? 'plain'} close={p.close}>
      <form onSubmit={submit}>
        {p.children}
        <Field label={p.label ?? 'Reason'} optional={p.optional ?? false}>
          {(a) => <input {...a} value={reason} onInput={value(setReason)} autoFocus
                         required={!p.optional} maxLength={4096} />}
        </Field>
        <Fault of={fault} />
        <div class="buttons">
          <button type="submit" class={p.tone ?? 'plain'} disabled={busy}>{p.what}</button>
          <button type="button" class="quiet" onClick={p.close}>Cancel</button>
        </div>
      </form>
    </Dialog>
  );
}

export function Empty({ title, children }: { title: string; children?: ComponentChildren }) {
  return <div class="empty"><p><strong>{title}</strong></p>{children && <p>{children}</p>}</div>;
}

// --- keys --------------------------------------------------------------------------------------

function typing(e: KeyboardEvent): boolean {
  const t = e.target;
  return t instanceof HTMLElement &&
    (t.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(t.tagName));
}

/// Single keys while the view is shown; none while somebody writes or a dialog is open.
export function useKeys(keys: Record<string, () => void>): void {
  const latest = useRef(keys);
  latest.current = keys;
  useLayoutEffect(() => {  // what is seen takes its keys
    const pressed = (e: KeyboardEvent): void => {
      if (e.ctrlKey || e.metaKey || e.altKey || e.defaultPrevented || typing(e)) return;
      if (document.querySelector('dialog[open]')) return;
      const f = latest.current[e.key];
      if (!f) return;
      e.preventDefault();
      f();
    };
    addEventListener('keydown', pressed);
    return () => removeEventListener('keydown', pressed);
  }, []);
}

/// Fetches when the view opens, and again every `every` ms while it can be seen.
export function usePolled(fetch: () => Promise<void>, every: number): ApiError | null {
  const [fault, setFault] = useState<ApiError | null>(null);
  useEffect(() => {
    let over = false;
    const round = (): void => {
      if (document.hidden) return;
      fetch().then(() => { if (!over) setFault(null); },
                   (e: unknown) => { if (!over) setFault(asApiError(e)); });
    };
    round();
    const timer = setInterval(round, every);
    document.addEventListener('visibilitychange', round);
    return () => {
      over = true;
      clearInterval(timer);
      document.removeEventListener('visibilitychange', round);
    };
  }, []);
  return fault;
}
