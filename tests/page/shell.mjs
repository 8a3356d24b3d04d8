// The frame: how it is served, logins, restarts, sizes, colours, names for those who do not see.
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { base, check, consoleFaults, equal, forgetTokens, foreignRequests, logIn, pageOf, psql, shot,
         startProxy, stopProxy, tab, test, until } from './harness.mjs';

const held = 'select name, ssn from customers where id = 1';
const html = { Accept: 'text/html' };
const places = ['/', '/opt-outs', '/reviews', '/sessions', '/flags', '/audit', '/policy', '/insight'];

test('the types of the page fit together', async () => {
  equal(process.env.TYPES, 'ok', 'tsc --noEmit');
});

test('no text loses a character to the colours or the escapes', async () => {
  const folder = process.env.TOOLS.replace(/drive$/, 'types');
  const { buildSync } = createRequire(join(folder, 'package.json'))('esbuild');
  const { outputFiles } = buildSync({
    stdin: { contents: "export * from './src/sql'; export * from './src/visible';", resolveDir: folder },
    bundle: true, write: false, format: 'esm', charset: 'ascii' });
  const { tokens, pieces } = await import(`data:text/javascript,${
    encodeURIComponent(outputFiles[0].text)}`);
  const parts = ['select', ' ', '\n', '\t', "'", '"', '$$', '$a$', '--', '/*', '*/', 'E', 'U&', '\\',
    '1e5', '$1', 'é', '\u{1F600}', '\u202e', '\0', '\ud800', ';', '::', 'x', '\u00a0', '\u{E0041}'];
  let seed = 7;
  const random = (n) => (seed = (seed * 48271) % 2147483647) % n;
  for (let i = 0; i < 3000; ++i) {
    const text = Array.from({ length: random(30) }, () => parts[random(parts.length)]).join('');
    equal(tokens(text).map((t) => t.text).join(''), text, 'the tokens');
    equal(pieces(text).map((p) => p.text).join(''), text, 'the pieces');
    const shown = pieces(text).map((p) => p.escape ?? p.text).join('');
    check(!/[\u202e\0\ud800\u00a0]|\u{E0041}/u.test(shown), `raw in ${JSON.stringify(shown)}`);
  }
  const kinds = tokens("select $$a'b$$, E'\\'' /* /* */ */ from \"x\" where n = 1.5 and $1").filter((t) =>
    t.kind !== 'space' && t.kind !== 'mark').map((t) => t.kind).join(' ');
  equal(kinds, 'key string string comment key name key word number key parameter', 'the kinds');
});

test('a second login in another tab does not stop the first', async () => {
  const alice = psql('alice', held);
  const id = await alice.hold();
  const page = await pageOf('bob', `/holds/${id}`);
  page.expected.push(/403/);
  await page.getByRole('button', { name: 'Deny' }).waitFor();
  await page.evaluate(() => fetch('/api/v1/login', {
    method: 'POST', headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ user: 'bob', password: 'bob-secret' }) }).then((r) => r.json()));
  await page.keyboard.press('d');
  await page.getByLabel('Why not').fill('from the first tab');
  await page.keyboard.press('Enter');
  await alice.ended;
  check(alice.err.includes('from the first tab'), alice.err);
});

test('what is served is small, whole, cached and locked down', async () => {
  const page = await fetch(`${base}/`, { headers: html });
  const csp = page.headers.get('content-security-policy');
  for (const part of ["default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'",
                      "img-src 'self' data:", "frame-ancestors 'none'", "base-uri 'none'"])
    check(csp.includes(part), `the policy has ${part}: ${csp}`);
  check(!csp.includes('unsafe'), csp);
  equal(page.headers.get('cache-control'), 'no-cache', 'the page is asked for anew');
  const text = await page.text();
  check(!/<script>|<style|style=| on\w+=/.test(text), 'nothing inline');
  equal((await fetch(`${base}/`, { headers: { ...html, 'If-None-Match': page.headers.get('etag') } }))
    .status, 304, 'with its ETag');
  let sum = 0;
  for (const [, path] of text.matchAll(/(?:href|src)="(\/[^"]+)"/g)) {
    const packed = await fetch(base + path, { headers: { 'Accept-Encoding': 'gzip' } });
    equal(packed.headers.get('content-encoding'), 'gzip', path);
    check(packed.headers.get('cache-control').includes('immutable'), path);
    sum += Number(packed.headers.get('content-length'));
    const plain = await fetch(base + path, { headers: { 'Accept-Encoding': 'gzip;q=0, identity' } });
    equal(plain.headers.get('content-encoding'), null, `${path}, uncompressed`);
    equal(await plain.text(), await packed.text(), `${path}: the same bytes`);
  }
  check(sum > 10_000 && sum < 150_000, `${sum} bytes in all`);
  const program = await (await fetch(`${base}/`, { headers: { Accept: '*/*' } })).text();
  check(program.startsWith('Sallyport '), 'programs still get words');
  equal((await fetch(`${base}/assets/nothing.js`)).status, 404, 'an unknown part');
});

test('a wrong password is refused in words, a right one stays over a reload', async () => {
  const page = await tab();
  page.expected.push(/401/);
  await page.goto('/policy');
  await page.getByLabel('User').fill('bob');
  await page.getByLabel('Password').fill('guess');
  await page.keyboard.press('Enter');
  await page.getByText('User or password is wrong.').waitFor();
  equal(await page.getByLabel('Password').inputValue(), '', 'the password field');
  await shot(page, 'login');
  await logIn(page, 'bob');
  await page.getByRole('heading', { level: 1, name: 'Policy' }).waitFor();
  await page.reload();
  await page.getByRole('heading', { level: 1, name: 'Policy' }).waitFor();
  await page.getByRole('button', { name: 'Log out' }).click();
  await page.getByRole('button', { name: 'Log in' }).waitFor();
});

test('an ended login says so, hides what was open and comes back to it', async () => {
  const alice = psql('alice', held);
  const id = await alice.hold();
  const page = await pageOf('bob', `/holds/${id}`);
  await page.getByRole('button', { name: 'Deny' }).waitFor();
  await page.keyboard.press('d');
  await page.getByLabel('Why not').fill('half a sen');
  await page.context().clearCookies();
  await page.keyboard.type('tence');
  await page.keyboard.press('Enter');
  await page.getByText('Your login has ended.').waitFor();
  equal(await page.locator('pre.sql').isVisible(), false, 'the statement');
  check((await page.title()).includes('logged out'), 'the title');
  await shot(page, 'ended');
  await page.getByLabel('Password').fill('bob-secret');
  await page.keyboard.press('Enter');
  await page.locator('pre.sql').waitFor();
  equal(new URL(page.url()).pathname, `/holds/${id}`, 'where one was');
  equal(await page.getByLabel('Why not').inputValue(), 'half a sentence', 'what one had written');
  await page.locator('.decide').getByRole('button', { name: 'Deny' }).click();
  await alice.ended;
});

test('a restart of the server is said, survived, and the page is live again', async () => {
  const page = await pageOf('bob', '/');
  await page.getByText(/Nothing waits|Needs you/).first().waitFor();
  page.expected.push(/ERR_|401|Failed to load/);
  await stopProxy();
  await page.getByText('What you see may be out of date').waitFor();
  await shot(page, 'stale');
  await startProxy();
  forgetTokens();
  await page.getByText('Your login has ended.').waitFor();
  await page.getByLabel('Password').fill('bob-secret');
  await page.keyboard.press('Enter');
  await page.getByRole('button', { name: 'Log out' }).waitFor();
  await page.getByText('What you see may be out of date').waitFor({ state: 'detached' });
  const alice = psql('alice', held);
  const id = await alice.hold();
  await page.locator(`[data-hold="${id}"]`).waitFor();
});

test('whoever looks elsewhere is told by title and notification', async () => {
  const page = await tab();
  page.expected.push(/401/);
  await page.context().grantPermissions(['notifications'], { origin: base });
  await page.addInitScript(() => {
    window.told = [];
    class Told {
      static permission = 'granted';
      static requestPermission = async () => 'granted';
      constructor(title, options) { window.told.push(`${title} / ${options.body}`); }
      close() {}
    }
    window.Notification = Told;
    Object.defineProperty(document, 'hidden', { get: () => window.away === true });
  });
  await page.goto('/');
  await logIn(page, 'bob');
  await page.getByText(/Nothing waits/).waitFor();
  await page.evaluate(() => { window.away = true; });
  const alice = psql('alice', held);
  await alice.hold();
  const told = await until(() => page.evaluate(() => window.told[0]), 'a notification');
  check(/alice waits on shop, rule pii-needs-approval/.test(told), told);
  equal(await page.title(), '(1) Sallyport', 'the title');
  const spoken = await page.getByRole('status').first().textContent();
  check(/alice waits/.test(spoken), `the screen reader hears: ${spoken}`);
});

test('at 390 px nothing is cut, and a hold is approved', async () => {
  const alice = psql('alice', held, { reason: 'on the phone at three in the morning' });
  const id = await alice.hold();
  const phone = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true };
  const page = await pageOf('bob', '/', phone);
  await page.locator(`[data-hold="${id}"]`).waitFor();
  await shot(page, 'phone-list');
  const dave = await pageOf('dave', '/', phone);
  for (const [who, all] of [[page, places], [dave, ['/sessions', '/audit', '/insight', '/flags']]])
    for (const place of all) {
      await who.goto(place);
      await who.locator('h1').first().waitFor();
      const wide = await who.evaluate(() => document.documentElement.scrollWidth);
      check(wide <= 390, `${place} is ${wide} px wide`);
    }
  await shot(dave, 'phone-flags');
  await page.goto('/');
  await page.locator(`[data-hold="${id}"]`).tap();
  await page.getByRole('button', { name: 'Approve' }).waitFor();
  await shot(page, 'phone-hold');
  const box = await page.getByRole('button', { name: 'Approve' }).boundingBox();
  check(box.height >= 38 && box.y + box.height <= 844, `the button: ${JSON.stringify(box)}`);
  await page.getByRole('button', { name: 'Approve' }).tap();
  await page.locator('.decide').getByRole('button', { name: 'Approve' }).tap();
  await alice.ended;
  check(alice.out.includes('111-11-1111'), alice.err);
});

/// The lowest contrast of text against its background, of what is on the screen.
const contrast = () => {
  const parse = (c) => (c.match(/[\d.]+/g) ?? []).map(Number);
  const lum = ([r, g, b]) => [r, g, b].map((v) => v / 255)
    .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((s, v, i) => s + v * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = (e) => {
    for (let x = e; x; x = x.parentElement) {
      const c = parse(getComputedStyle(x).backgroundColor);
      if (c.length === 3 || c[3] === 1) return c;
    }
    return [255, 255, 255];
  };
  let worst = [99, ''];
  for (const e of document.querySelectorAll('body *')) {
    const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    if (!own || !e.checkVisibility() || e.closest('.unseen, svg, .labels, :disabled')) continue;
    const style = getComputedStyle(e);
    if (!style.color.startsWith('rgb(')) continue;
    const [a, b] = [lum(parse(style.color)), lum(ground(e))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < worst[0]) worst = [ratio, `${e.className || e.tagName}: ${e.textContent.slice(0, 30)}`];
  }
  return worst;
};

test('light and dark can both be read', async () => {
  const alice = psql('alice', `${held} -- why, $1, 42 'text'`, { reason: 'dark' });
  const id = await alice.hold();
  const grounds = [];
  for (const colorScheme of ['light', 'dark']) {
    const page = await pageOf('carol', `/holds/${id}`, { colorScheme });
    await page.locator('pre.sql').waitFor();
    for (const place of [`/holds/${id}`, '/opt-outs', '/reviews', '/policy']) {
      await page.goto(place);
      await page.locator('h1').first().waitFor();
      const [ratio, where] = await page.evaluate(contrast);
      check(ratio >= 4.5, `${colorScheme} ${place}: ${ratio.toFixed(2)} at ${where}`);
    }
    grounds.push(await page.evaluate(() => getComputedStyle(document.body).backgroundColor));
  }
  check(grounds[0] !== grounds[1], `the grounds: ${grounds}`);
});

test('everything has a name for a screen reader', async () => {
  const alice = psql('alice', held);
  const id = await alice.hold();
  const page = await pageOf('dave', '/');
  for (const place of [...places, `/holds/${id}`]) {
    await page.goto(place);
    await page.locator('h1').first().waitFor();
    equal(await page.locator('main').count(), 1, `${place}: main`);
    equal(await page.locator('h1').count(), 1, `${place}: h1`);
    equal(await page.getByRole('navigation', { name: 'Main' }).count(), 1, `${place}: navigation`);
    const nameless = await page.evaluate(() => [...document.querySelectorAll(
      'button, a, input, select, textarea')].filter((e) => e.checkVisibility() && !(
      e.getAttribute('aria-label') || e.textContent.trim() || e.labels?.length > 0))
      .map((e) => e.outerHTML.slice(0, 120)));
    check(nameless.length === 0, `${place}: ${nameless}`);
    const ids = await page.evaluate(() => {
      const all = [...document.querySelectorAll('[id]')].map((e) => e.id);
      return all.filter((x, i) => all.indexOf(x) !== i);
    });
    equal(ids.join(), '', `${place}: ids that are there twice`);
  }
});

test('no page asked anybody else for anything', async () => {
  equal(foreignRequests().join(), '', 'requests to other hosts');
  equal(consoleFaults().join(), '', 'faults on the console');
});
