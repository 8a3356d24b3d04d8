// Text of others: what could hide or reorder something is shown as an escape.

export interface Piece {
  text: string;
  /// The escape that stands for `text`; undefined: shown as it is.
  escape?: string;
}

// Controls (but newline and tab), format characters (bidi, zero width, tags), what is ignored by
// default, private and unassigned ones, lone surrogates, and every space that is no plain space.
const odd = /[\p{Cc}\p{Cf}\p{Co}\p{Cn}\p{Cs}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]|(?! )\p{Zs}/u;
const oddAll = new RegExp(odd.source, 'gu');

function shown(c: string): boolean {
  return c === '\n' || c === '\t';
}

export function escapeOf(c: string): string {
  const code = c.codePointAt(0) ?? 0;
  if (c === '\r') return '\\r';
  if (code === 0) return '\\0';
  if (code < 0x100) return `\\x${code.toString(16).padStart(2, '0')}`;
  return `\\u{${code.toString(16).toUpperCase().padStart(4, '0')}}`;
}

export function pieces(text: string): Piece[] {
  const out: Piece[] = [];
  let from = 0;
  for (const m of text.matchAll(oddAll)) {
    if (shown(m[0])) continue;
    if (m.index > from) out.push({ text: text.slice(from, m.index) });
    out.push({ text: m[0], escape: escapeOf(m[0]) });
    from = m.index + m[0].length;
  }
  if (from < text.length) out.push({ text: text.slice(from) });
  return out;
}

/// One line for a title, a notification or a label.
export function plain(text: string): string {
  return text.replace(oddAll, (c) => (shown(c) ? ' ' : escapeOf(c)));
}
