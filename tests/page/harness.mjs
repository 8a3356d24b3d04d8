// What the cases stand on: the proxy, psql, the API and the browser. Ends all that it started.
import { spawn } from 'node:child_process';
import { openSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

const env = process.env;
const { chromium } = createRequire(join(env.TOOLS, 'package.json'))('playwright-core');
export const base = `http://127.0.0.1:${env.ADMIN_PORT}`;
export const shots = env.SHOTS;

export class Failure extends Error {}
export function check(condition, what) {
  if (!condition) throw new Failure(what);
}
export function equal(got, expected, what) {
  if (got !== expected)
    throw new Failure(`${what}: ${JSON.stringify(got)}, not ${JSON.stringify(expected)}`);
}

/// Asks until it is true, at most `ms`.
export async function until(f, what, ms = 10_000) {
  const end = Date.now() + ms;
  for (;;) {
    const got = await f();
    if (got) return got;
    if (Date.now() > end) throw new Failure(`${what}: not within ${ms} ms`);
    await new Promise((r) => setTimeout(r, 20));
  }
}

// --- the proxy ------------------------------------------------------------------------------------

let proxy = null;

export async function startProxy() {
  const log = openSync(join(env.WORLD, 'sallyport.log'), 'a');
  proxy = spawn(env.BINARY, ['serve', '--config', join(env.WORLD, 'sallyport.yaml')],
                { stdio: ['ignore', log, log] });
  const mine = proxy;
  await until(async () => {
    if (mine.exitCode !== null) throw new Failure('sallyport ended by itself');
    try {
      return (await fetch(`${base}/readyz`)).ok;
    } catch {
      return false;
    }
  }, 'the proxy answers', 20_000);
}

export async function stopProxy(signal = 'SIGTERM') {
  if (!proxy || proxy.exitCode !== null) return;
  const gone = new Promise((r) => proxy.once('exit', r));
  proxy.kill(signal);
  await gone;
}

// --- psql -----------------------------------------------------------------------------------------

const running = new Set();

/// psql with these statements on its standard input, which stays open with `open`.
export function psql(user, sql, { reason = '', application = 'psql', open = false } = {}) {
  const child = spawn('psql', ['-X', '-P', 'pager=off', '-A', '-t', '-v', 'VERBOSITY=verbose'], {
    env: { ...env, PGHOST: '127.0.0.1', PGPORT: env.PG_PROXY_PORT, PGUSER: user,
           PGPASSWORD: `${user}-secret`, PGDATABASE: 'shop', PGAPPNAME: application,
           PGCLIENTENCODING: 'UTF8', ...(reason ? { PGOPTIONS:
             `-c sallyport.reason=${reason.replace(/[\\ ]/g, '\\$&')}` } : {}) },
  });
  running.add(child);
  const me = { child, out: '', err: '', over: false };
  child.stdout.on('data', (d) => { me.out += d; });
  child.stderr.on('data', (d) => { me.err += d; });
  me.ended = new Promise((r) => child.once('close', () => {
    me.over = true;
    running.delete(child);
    r();
  }));
  child.stdin.on('error', () => undefined);
  child.stdin.write(`${sql};\n`);
  if (!open) child.stdin.end();
  me.say = (text) => child.stdin.write(`${text};\n`);
  me.hold = () => until(() => {
    const all = [...me.err.matchAll(/hold (\d+), rule/g)];
    return all.length > 0 && Number(all.at(-1)[1]);
  }, `psql of ${user} is held (it said: ${me.err})`);
  me.end = async () => {
    child.kill('SIGTERM');
    await me.ended;
  };
  return me;
}

// --- the API --------------------------------------------------------------------------------------

const tokens = new Map();

export async function api(user, method, path, body) {
  if (!tokens.has(user)) {
    const r = await fetch(`${base}/api/v1/login`, {
      method: 'POST', headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ user, password: `${user}-secret` }) });
    check(r.ok, `${user} logs in: ${r.status}`);
    tokens.set(user, (await r.json()).token);
  }
  const r = await fetch(`${base}/api/v1/${path}`, {
    method, headers: { 'Content-Type': 'application/json', Authorization:
      `Bearer ${tokens.get(user)}` }, ...(body ? { body: JSON.stringify(body) } : {}) });
  return { status: r.status, body: await r.json() };
}
export const forgetTokens = () => tokens.clear();

// --- the browser ----------------------------------------------------------------------------------

let browser = null;
const faults = [];
const elsewhere = [];
const isExpected = ({ page, text }) => page?.expected.some((re) => re.test(text));
/// What a page has said at once may have been expected only a moment later.
export const consoleFaults = () => faults.splice(0).filter((f) => !isExpected(f)).map((f) => f.text);
export const foreignRequests = () => elsewhere.splice(0);

export async function startBrowser() {
  browser = await chromium.launch({
    executablePath: '/usr/bin/chromium', headless: true,
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
           '--disable-background-networking', '--disable-component-update', '--disable-sync',
           '--disable-dev-shm-usage'],
  });
}

export async function tab(options = {}) {
  const context = await browser.newContext({ baseURL: base, viewport: { width: 1280, height: 800 },
                                             reducedMotion: 'reduce', ...options });
  context.setDefaultTimeout(8000);
  const page = await context.newPage();
  page.expected = [];
  page.on('pageerror', (e) => faults.push({ text: `${e}` }));  // of no page: never expected
  page.on('console', (m) => {
    const said = { page, text: `${m.text()} ${m.location().url}` };
    if (m.type() === 'error' && !isExpected(said)) faults.push(said);
  });
  page.on('request', (r) => {
    if (!r.url().startsWith(base) && !r.url().startsWith('data:')) elsewhere.push(r.url());
  });
  return page;
}

export async function logIn(page, user) {
  await page.getByLabel('User').fill(user);
  await page.getByLabel('Password').fill(`${user}-secret`);
  await page.getByRole('button', { name: 'Log in' }).click();
  await page.getByRole('button', { name: 'Log out' }).waitFor();
}

/// A page of somebody's who is logged in.
export async function pageOf(user, path = '/', options = {}) {
  const page = await tab(options);
  // A fresh browser has no cookie: the question who one is answers 401.
  page.expected.push(/401/);
  await page.goto(path);
  await logIn(page, user);
  return page;
}

export async function shot(page, name) {
  if (shots) await page.screenshot({ path: join(shots, `${name}.png`) });
}

export async function end() {
  await browser?.close();
  for (const child of running) child.kill('SIGKILL');
  await stopProxy();
}

// --- the cases ------------------------------------------------------------------------------------

const cases = [];
export const test = (name, run) => { cases.push({ name, run }); };

export async function runAll() {
  let passed = 0;
  let failed = 0;
  for (const { name, run } of cases) {
    if (env.ONLY && !name.includes(env.ONLY)) continue;
    const from = Date.now();
    let why = '';
    try {
      await run();
      const noise = consoleFaults();
      if (noise.length > 0) why = `on the console: ${noise.join(' | ')}`;
    } catch (e) {
      why = e instanceof Failure ? e.message : `${e.stack ?? e}`;
      consoleFaults();
    }
    for (const c of browser?.contexts() ?? []) await c.close();
    for (const child of [...running]) child.kill('SIGTERM');
    await until(() => running.size === 0, 'every psql has ended').catch(() => undefined);
    const took = `${((Date.now() - from) / 1000).toFixed(1)} s`;
    if (why === '') {
      passed += 1;
      console.log(`ok    ${name} (${took})`);
    } else {
      failed += 1;
      console.log(`FAIL  ${name} (${took}): ${why}`);
    }
  }
  console.log(`${passed} passed, ${failed} failed`);
  return failed === 0 && passed > 0;
}
