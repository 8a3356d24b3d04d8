'use strict';
// Transcripts of the Node.js clients (see ../compare.py).

function text(v) {
  if (Buffer.isBuffer(v) || v instanceof Uint8Array) {
    let sum = 5381;
    for (let i = 0; i < v.length; i += 1 + Math.floor(v.length / 5000)) sum = (sum * 33 + v[i]) >>> 0;
    return `<${v.length} bytes, sum ${sum}>`;
  }
  if (typeof v === 'string' && v.length > 400) return text(Buffer.from(v));
  if (v instanceof Date) return isNaN(v) ? 'invalid date' : v.toISOString();
  if (typeof v === 'bigint') return `${v}n`;
  if (Array.isArray(v)) return '[' + v.map(text).join(', ') + ']';
  if (v && typeof v === 'object') {
    return '{' + Object.keys(v).map((k) => `${k}: ${text(v[k])}`).join(', ') + '}';
  }
  return v === undefined ? 'undefined' : typeof v === 'function' ? 'function' : JSON.stringify(v);
}

function say(...values) {
  console.log('  ' + values.map((v) => (typeof v === 'string' && v.length < 400 && !v.includes('\n')
    ? v : text(v))).join(' '));
}

const fields = ['code', 'severity', 'message', 'detail', 'hint', 'position', 'internalPosition',
  'internalQuery', 'where', 'schema', 'schema_name', 'table', 'table_name', 'column', 'column_name',
  'dataType', 'constraint', 'constraint_name'];

function sayFault(e) {
  const origin = e.cause || e.parent || e.driverError || e;
  say(e.constructor.name, fields.filter((f) => origin[f] !== undefined && origin[f] !== '')
    .map((f) => `${f}=${text(origin[f])}`).join(' '));
}

async function faultOf(action) {
  try {
    const got = await (typeof action === 'function' ? action() : action);
    say('no error', got === undefined ? '' : '(a result)');
  } catch (e) {
    sayFault(e);
  }
}

const all = [];
function check(name, body) { all.push([name, body]); }

function within(promise, seconds) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not done within ${seconds} s`)), seconds * 1000);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** Runs all checks in order, each with what `open` gives it. */
async function run(open, close) {
  for (const [name, body] of all) {
    console.log('check ' + name);
    let opened;
    try {
      opened = await within(open(), 30);
      await within(body(opened), 30);
      console.log('pass');
    } catch (e) {
      console.log('FAIL ' + text(String(e)));
      console.error(e);
    }
    try {
      if (opened) await within(close(opened), 10);
    } catch (e) {
      console.error(e);
    }
  }
  console.log('end');
  process.exit(0);
}

// A server's error may arrive when nobody waits for it; the transcript shows what waits.
process.on('uncaughtException', (e) => console.error('uncaught', e));

/** Values of every common type, as SQL. */
const types = ['true', '1::int2', '-7::int4', '9223372036854775807::int8', '1.5::float4',
  "'NaN'::float8", '123456789012345678901234567890.123::numeric', "'text'::text", "'c'::char(3)",
  "'\\x00ff10'::bytea", "date '2024-02-29'", "time '12:34:56.789'",
  "timestamp '2024-02-29 12:34:56.789012'", "timestamptz '2024-02-29 12:34:56.789012+02'",
  "interval '1 year 2 mons 3 days 04:05:06.7'", "uuid '12345678-1234-5678-1234-567812345678'",
  "'{\"a\": [1, 2.5, null]}'::json", "'{\"a\": [1, 2.5, null]}'::jsonb", "inet '10.1.2.3/8'",
  'array[1, 2, null]::int[]', "array['a', 'b\"c', null]::text[]", 'array[[1,2],[3,4]]',
  'point(1, 2)', 'int4range(1, 10)', "row(1, 'a', null)", "B'1010'::bit(4)", "money '12.34'",
  'null::text', "'<a>b</a>'::xml", '1::oid', "'infinity'::timestamptz",
  "array[timestamptz '2024-01-01 00:00+00']", "array['{\"a\":1}']::jsonb[]", "circle '((1,2),3)'"];

module.exports = { say, sayFault, faultOf, check, run, text, types, within };
