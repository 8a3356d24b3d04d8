// Several tabs of one person: one stream for all, and what happens when there is none left.
import { api, base, check, equal, pageOf, psql, test, until } from './harness.mjs';

const held = 'select name, ssn from customers where id = 1';

test('the tabs of a browser share one stream, and the next takes it over', async () => {
  const first = await pageOf('bob', '/');
  const streams = [];
  const watch = (page) => page.on('request', (r) => {
    if (r.url().endsWith('/api/v1/events')) streams.push(page);
  });
  await first.getByText(/Nothing waits/).waitFor();
  const others = [];
  for (let i = 0; i < 7; ++i) {
    const page = await first.context().newPage();
    page.expected = [];
    watch(page);
    await page.goto('/');
    await page.getByText(/Nothing waits/).waitFor();
    others.push(page);
  }
  equal(streams.length, 0, 'streams of the other tabs');

  const alice = psql('alice', held);
  const id = await alice.hold();
  for (const page of others) await page.locator(`[data-hold="${id}"]`).waitFor();
  await first.close();
  await until(() => streams.length === 1, 'another tab takes the stream over');
  await api('carol', 'POST', `holds/${id}/deny`, { reason: 'no' });
  await alice.ended;
  for (const page of others) await page.locator(`[data-hold="${id}"] .left`).waitFor({ state: 'detached' });
  const next = psql('alice', held);
  const second = await next.hold();
  for (const page of others) await page.locator(`[data-hold="${second}"]`).waitFor();
  equal(streams.length, 1, 'streams in the end');
  await next.end();
});

test('without a stream left the page says so, and asks now and then', async () => {
  const r = await fetch(`${base}/api/v1/login`, { method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ user: 'carol', password: 'carol-secret' }) });
  const { token } = await r.json();
  const control = new AbortController();
  const all = await Promise.all(Array.from({ length: 4 }, () => fetch(`${base}/api/v1/events`,
    { headers: { Authorization: `Bearer ${token}` }, signal: control.signal })));
  check(all.every((one) => one.ok), `${all.map((one) => one.status)}`);
  const page = await pageOf('carol', '/');
  page.expected.push(/429/);
  await page.getByText('Not quite live:').waitFor();
  const alice = psql('alice', held);
  const id = await alice.hold();
  await page.getByRole('button', { name: 'Now' }).click();
  await page.locator(`[data-hold="${id}"]`).waitFor();
  control.abort();
  for (const one of all) one.body.cancel().catch(() => undefined);
  await until(async () => {
    const now = page.getByRole('button', { name: 'Now' });
    if (await now.count() > 0) await now.click({ timeout: 500 }).catch(() => undefined);
    return await page.getByText('Not quite live:').count() === 0;
  }, 'it is live again');
  await alice.end();
});
