// A statement: whole, coloured, and with everything that could hide something made visible.
import { useMemo, useRef } from 'preact/hooks';
import { tokens } from './sql';
import { announce, Escape } from './ui';
import { pieces } from './visible';

// Beyond that colours would cost more than they tell.
const coloured_max = 100_000;

function Pieces({ text }: { text: string }) {
  const all = pieces(text);
  if (all.length === 1 && !all[0]?.escape) return <>{text}</>;
  return <>{all.map((p) => (p.escape ? <Escape as={p.escape} /> : p.text))}</>;
}

function Coloured({ text }: { text: string }) {
  if (text.length > coloured_max) return <Pieces text={text} />;
  return (
    <>
      {tokens(text).map((t) => {
        if (t.kind === 'space' || t.kind === 'mark' || t.kind === 'word')
          return <Pieces text={t.text} />;
        return <span class={`sql-${t.kind}`}><Pieces text={t.text} /></span>;
      })}
    </>
  );
}

export function Statement({ text, label = 'Statement' }: { text: string; label?: string }) {
  const box = useRef<HTMLPreElement>(null);
  const shown = useMemo(() => <Coloured text={text} />, [text]);
  const odd = useMemo(() => pieces(text).filter((p) => p.escape).length, [text]);
  const lines = useMemo(() => text.split('\n').length, [text]);
  const copy = (): void => {
    navigator.clipboard?.writeText(text).then(() => announce('Statement copied', 'info'),
                                              () => announce('Nothing was copied', 'bad'));
  };
  const end = (): void => {
    if (box.current) box.current.scrollTop = box.current.scrollHeight;
  };
  const large = text.length > 3000 || lines > 30;
  return (
    <div class="statement">
      <pre ref={box} class="sql" tabIndex={0} role="region" aria-label={label}>{shown}</pre>
      <div class="bar">
        <span>
          {text.length.toLocaleString('en')} characters, {lines} {lines === 1 ? 'line' : 'lines'},
          shown whole
        </span>
        {odd > 0 &&
          <span class="odd">⚠ {odd} invisible {odd === 1 ? 'character' : 'characters'}, shown as
            escapes</span>}
        <span class="grow" />
        {large && <button type="button" class="link" onClick={end}>to its end</button>}
        <button type="button" class="link" onClick={copy}>copy</button>
      </div>
    </div>
  );
}

/// A preview in a list: one line, cut by the room there is.
export function OneLine({ text }: { text: string }) {
  const start = text.slice(0, 400).replace(/\s+/g, ' ');
  return <span class="one-line sql"><Coloured text={start} /></span>;
}

export function Values({ of, label }: { of: readonly string[]; label: string }) {
  if (of.length === 0) return null;
  return (
    <section aria-label={label}>
      <h3>{label}</h3>
      <ol class="values">
        {of.map((v, i) => <li key={i}><code>${i + 1}</code> <code class="code">
          <Pieces text={v} /></code></li>)}
      </ol>
    </section>
  );
}
