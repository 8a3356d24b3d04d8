// Colours for SQL. Nothing depends on it: whatever it takes for what, the text is shown whole.

export type Kind = 'space' | 'comment' | 'string' | 'name' | 'word' | 'key' | 'number' | 'mark' |
  'parameter';

export interface Token {
  kind: Kind;
  text: string;
}

const keywords = new Set((
  'abort add all alter analyze and any array as asc begin between by call cascade case cast check ' +
  'close collate column commit conflict constraint copy create cross current cursor database ' +
  'declare default delete desc discard distinct do drop else end except execute exists explain ' +
  'extension false fetch filter first for foreign from full function grant group having if ilike ' +
  'in index inner insert intersect into is isnull join key language last lateral left like limit ' +
  'listen lock materialized merge natural not nothing notify notnull null nulls offset on only or ' +
  'order outer over partition policy prepare primary procedure program recursive references ' +
  'refresh reindex reset restrict returning returns revoke right role rollback row rows savepoint ' +
  'schema select sequence set show some start stdin stdout table temporary then to trigger true ' +
  'truncate type union unique unlisten update user using vacuum values view when where window ' +
  'with without').split(' '));

const patterns: [Kind, RegExp][] = [
  ['space', /\s+/y],
  ['comment', /--[^\n]*/y],
  ['string', /[bxn]?'(?:[^']|'')*'?/iy],
  ['name', /(?:u&)?"(?:[^"]|"")*"?/iy],
  ['parameter', /\$\d+/y],
  ['number', /\d[\w.]*/y],
  ['word', /[\p{L}_][\p{L}\p{N}_$]*/uy],
];
const escaped = /e'(?:[^'\\]|\\[^]|'')*'?/iy;
const dollar = /\$(?:[\p{L}_][\p{L}\p{N}_]*)?\$/uy;

function match(re: RegExp, text: string, at: number): string {
  re.lastIndex = at;
  return re.exec(text)?.[0] ?? '';
}

/// Block comments nest.
function blockComment(text: string, from: number): number {
  let depth = 0;
  let i = from;
  while (i < text.length) {
    if (text.startsWith('/*', i)) {
      depth += 1;
      i += 2;
    } else if (text.startsWith('*/', i)) {
      depth -= 1;
      i += 2;
      if (depth === 0) return i;
    } else {
      i += 1;
    }
  }
  return i;
}

function next(text: string, at: number): Token {
  if (text.startsWith('/*', at))
    return { kind: 'comment', text: text.slice(at, blockComment(text, at)) };
  const e = match(escaped, text, at);
  if (e) return { kind: 'string', text: e };
  const tag = match(dollar, text, at);
  if (tag) {
    const close = text.indexOf(tag, at + tag.length);
    return { kind: 'string', text: text.slice(at, close < 0 ? text.length : close + tag.length) };
  }
  for (const [kind, re] of patterns) {
    const found = match(re, text, at);
    if (!found) continue;
    if (kind === 'word' && keywords.has(found.toLowerCase())) return { kind: 'key', text: found };
    return { kind, text: found };
  }
  return { kind: 'mark', text: String.fromCodePoint(text.codePointAt(at) ?? 0) };
}

/// The texts of the tokens, one behind the other, are `text`.
export function tokens(text: string): Token[] {
  const out: Token[] = [];
  for (let i = 0; i < text.length;) {
    const t = next(text, i);
    const last = out[out.length - 1];
    if (last && last.kind === t.kind && t.kind === 'mark') last.text += t.text;
    else out.push(t);
    i += t.text.length;
  }
  return out;
}
