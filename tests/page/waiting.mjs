// Holds: seen, decided, refused, live.
import { api, check, equal, pageOf, psql, shot, tab, test, until } from './harness.mjs';

const held = 'select name, ssn from customers where id = 1';

test('a held psql gets its rows when bob approves in the browser', async () => {
  const alice = psql('alice', held, { reason: 'ticket 4711' });
  const id = await alice.hold();
  const page = await pageOf('bob');
  await page.locator(`[data-hold="${id}"]`).click();
  equal(new URL(page.url()).pathname, `/holds/${id}`, 'the address');
  equal(await page.getByRole('region', { name: 'Statement', exact: true }).textContent(), `${held};`,
        'the statement');
  for (const text of ['alice', 'ticket 4711', 'pii-needs-approval', 'public.customers',
                      '1 of group security', 'name, ssn'])
    await page.locator('.detail').getByText(text).first().waitFor();
  await shot(page, 'hold');
  await page.getByRole('button', { name: 'Approve' }).click();
  await page.getByLabel('Reason').fill('agreed in ticket 4711');
  await shot(page, 'approve');
  await page.locator('.decide').getByRole('button', { name: 'Approve' }).click();
  await alice.ended;
  check(alice.out.includes('111-11-1111'), `the rows came: ${alice.out}${alice.err}`);
  await page.locator('.detail').getByText('approved').first().waitFor();
  const { body } = await api('dave', 'GET', `holds/${id}`);
  equal(body.approvals.votes[0].reason, 'agreed in ticket 4711', 'the reason on record');
});

test('a denial reaches psql with its reason', async () => {
  const alice = psql('alice', held);
  const id = await alice.hold();
  const page = await pageOf('bob', `/holds/${id}`);
  await page.getByRole('button', { name: 'Deny' }).click();
  await page.locator('.decide').getByRole('button', { name: 'Deny' }).click();
  check(!alice.over, 'a denial without a reason is not sent');
  await page.getByLabel('Why not').fill('use the masked view');
  await page.keyboard.press('Enter');
  await alice.ended;
  check(/42501/.test(alice.err) && alice.err.includes('use the masked view'), alice.err);
  check(!alice.out.includes('111-11'), 'no row came');
});

test('a new hold is on the page within a second', async () => {
  const page = await pageOf('bob');
  await page.getByText('Nothing waits.').waitFor();
  const seen = page.evaluate(() => new Promise((resolve) => {
    new MutationObserver((_, o) => {
      if (!document.querySelector('[data-hold] .left')) return;
      o.disconnect();
      resolve(Date.now());
    }).observe(document.body, { childList: true, subtree: true });
  }));
  const alice = psql('alice', held);
  await alice.hold();
  const told = Date.now();
  const late = await seen - told;
  check(late < 1000, `it came ${late} ms after psql was told`);
  equal(await page.title(), '(1) Sallyport', 'the title');
  const gone = until(async () => await page.title() === 'Sallyport', 'it leaves the list', 3000);
  const from = Date.now();
  await alice.end();
  await gone;
  check(Date.now() - from < 2000, 'a withdrawn hold leaves');
});

test('nobody approves her own request, and the page says why', async () => {
  const alice = psql('alice', held);
  const id = await alice.hold();
  const page = await pageOf('alice', `/holds/${id}`);
  await page.getByText('You cannot decide this:').waitFor();
  await page.getByText('nobody may approve or deny her own request').first().waitFor();
  await shot(page, 'own');
  equal(await page.locator('.detail').getByRole('button', { name: 'Approve' }).count(), 0, 'buttons');
  await page.keyboard.press('a');
  equal(await page.locator('.decide').count(), 0, 'forms behind the key a');
  page.expected.push(/403/);
  const status = await page.evaluate(async (hold) => {
    const me = await (await fetch('/api/v1/me')).json();
    const r = await fetch(`/api/v1/holds/${hold}/approve`, {
      method: 'POST', body: '{}',
      headers: { 'Content-Type': 'application/json', 'X-CSRF-Token': me.csrf } });
    return r.status;
  }, id);
  equal(status, 403, 'the server, asked by her own page');
  check(!alice.over, 'it is still held');
});

test('the keyboard alone: log in, find, approve', async () => {
  const alice = psql('alice', held);
  await alice.hold();
  const page = await tab();
  page.expected.push(/401/);
  await page.goto('/');
  await page.waitForFunction(() => document.activeElement?.getAttribute('name') === 'user');
  await page.keyboard.type('bob');
  await page.keyboard.press('Tab');
  await page.keyboard.type('bob-secret');
  await page.keyboard.press('Enter');
  await page.locator('[data-hold]').waitFor();
  await page.keyboard.press('?');
  await page.getByRole('dialog', { name: 'Keys' }).waitFor();
  await page.keyboard.press('Escape');
  await page.keyboard.press('j');
  await page.getByRole('heading', { name: /alice wants to run this/ }).waitFor();
  check(await page.evaluate(() => document.activeElement?.id === 'hold-title'), 'focus: its title');
  await page.keyboard.press('a');
  check(await page.evaluate(() => document.activeElement?.tagName === 'INPUT'), 'focus: the reason');
  await page.keyboard.type('ja, jk and ad are no keys here');
  await page.keyboard.press('Enter');
  await alice.ended;
  check(alice.out.includes('111-11-1111'), `the rows came: ${alice.err}`);
  await page.locator('.detail .notice', { hasText: 'approved' }).waitFor();
  await until(() => page.evaluate(() => document.activeElement?.id === 'hold-title'),
              'the focus comes back to the title');
  for (const [key, place] of [['o', 'Opt-outs'], ['s', 'Sessions'], ['p', 'Policy'], ['w', 'Waiting']]) {
    await page.keyboard.press('g');
    await page.keyboard.press(key);
    await page.getByRole('heading', { level: 1, name: place }).waitFor();
  }
});

test('a shape is granted for a time, and the next statement passes', async () => {
  const alice = psql('alice', 'select id, ssn from customers where id = 1', { open: true });
  const id = await alice.hold();
  const page = await pageOf('bob', `/holds/${id}`);
  await page.getByRole('button', { name: 'Approve' }).waitFor();
  await page.keyboard.press('a');
  await page.getByLabel('This statement with any values').check();
  await page.getByRole('button', { name: '15m' }).click();
  await page.locator('.decide').getByRole('button', { name: 'Approve' }).click();
  await until(() => alice.out.includes('111-11-1111'), 'the first rows');
  alice.say('select id, ssn from customers where id = 2');
  await until(() => alice.out.includes('222-22-2222'), 'the same shape passes');
  await page.getByText('this statement with any values for 15m').waitFor();
});

test('sessions that ask the same are one hold, and all their texts are shown', async () => {
  const one = psql('alice', "select email from customers where name = 'Ada'");
  const id = await one.hold();
  const two = psql('alice', "select email from customers where name = 'Grace'");
  equal(await two.hold(), id, 'the hold of the second');
  const page = await pageOf('carol', `/holds/${id}`);
  await page.getByText('2 sessions wait for this one decision').waitFor();
  const texts = await page.locator('.detail pre').allTextContents();
  check(texts.some((t) => t.includes('Ada')) && texts.some((t) => t.includes('Grace')), `${texts}`);
  await page.keyboard.press('a');
  await page.getByRole('button', { name: /Approve for 2 waiting sessions/ }).click();
  await Promise.all([one.ended, two.ended]);
  check(one.out.includes('ada@') && two.out.includes('grace@'), 'both got their rows');
});

test('two approvals: the first is counted and can be taken back', async () => {
  const alice = psql('alice', 'select number from cards');
  const id = await alice.hold();
  const page = await pageOf('bob', `/holds/${id}`);
  await page.getByRole('button', { name: 'Approve' }).waitFor();
  await page.keyboard.press('a');
  await page.keyboard.press('Enter');
  await page.getByText('1 of 2 of group security').waitFor();
  await page.getByRole('button', { name: 'Take my vote back' }).click();
  await page.getByText('0 of 2 of group security').waitFor();
  for (const who of ['bob', 'carol']) await api(who, 'POST', `holds/${id}/approve`, {});
  await alice.ended;
  check(alice.out.includes('4111'), alice.err);
});

test('hostile text is shown harmlessly and whole', async () => {
  const evil = '<img src=x onerror="window.pwned=1"><script>window.pwned=1</script>';
  const sql = `select ssn, '${evil}', '\u202e\u2066drop\u200b\u0007\u001b[31m\ufeff', 'שלום' /* \u00ad */ ` +
    'from customers';
  const alice = psql('alice', sql, { reason: `${evil}\u202eabc`, application: 'x<b>y' });
  const id = await alice.hold();
  const page = await pageOf('bob', `/holds/${id}`);
  const shown = await page.getByRole('region', { name: 'Statement', exact: true }).textContent();
  equal(shown, `${sql};`.replace('\u202e', '\\u{202E}').replace('\u2066', '\\u{2066}')
    .replace('\u200b', '\\u{200B}').replace('\u0007', '\\x07').replace('\u001b', '\\x1b')
    .replace('\ufeff', '\\u{FEFF}').replace('\u00ad', '\\xad'), 'the statement');
  await page.getByText('7 invisible characters, shown as escapes').waitFor();
  const why = await page.locator('.facts dd').first().textContent();
  equal(why, `${evil}\\u{202E}abc`, 'the reason');
  await shot(page, 'hostile');
  equal(await page.locator('.detail img, .detail script, .items img, .detail b').count(), 0, 'elements');
  equal(await page.evaluate(() => window.pwned), undefined, 'what a script would have set');
  const all = await page.evaluate(() => document.body.textContent);
  check(!/[\u202a-\u202e\u2066-\u2069\u200b\ufeff\u0007\u001b]/.test(all), 'a raw control remains');
});

test('a statement of 200 KB in one line is shown whole', async () => {
  const tail = "'the end of it'";
  const filler = Array.from({ length: 25_000 }, (_, i) => `${i % 10}`).join(' + ');
  const sql = `select ssn, ${filler} + 0 as n, ${'x'.repeat(60)} from (select ssn, 1 as ` +
    `${'x'.repeat(60)} from customers) c where ssn <> ${tail} /* ${'y'.repeat(101_000)} */`;
  check(sql.length > 200_000 && !sql.includes('\n'), 'the text is as long as it says');
  const alice = psql('alice', sql);
  const id = await alice.hold();
  const page = await pageOf('bob', `/holds/${id}`);
  const pre = page.getByRole('region', { name: 'Statement', exact: true });
  await pre.waitFor();
  equal((await pre.textContent()) === `${sql};`, true, 'the whole text is there');
  await page.getByText(`${(sql.length + 1).toLocaleString('en')} characters, 1 line, shown whole`).waitFor();
  await page.getByRole('button', { name: 'to its end' }).click();
  const box = await pre.evaluate((e) => ({ end: e.scrollTop + e.clientHeight >= e.scrollHeight - 2,
                                           wide: e.scrollWidth > e.clientWidth + 1 }));
  check(box.end && !box.wide, `its end can be reached: ${JSON.stringify(box)}`);
  await page.keyboard.press('a');
  await page.locator('.decide').waitFor();
  await alice.end();
});

test('what does not concern somebody is not shown to her', async () => {
  const alice = psql('alice', held);
  const id = await alice.hold();
  const page = await tab();
  page.expected.push(/401|404/);
  await page.goto(`/holds/${id}`);
  await page.getByLabel('User').fill('eve');
  await page.getByLabel('Password').fill('eve-secret');
  await page.keyboard.press('Enter');
  await page.getByText(`There is no hold ${id} that you may see.`).waitFor();
  equal(await page.locator('[data-hold]').count(), 0, 'holds in the list');
});

test('what a transaction keeps locked while it waits is on the page', async () => {
  const alice = psql('alice', `begin; update orders set item = item where id = 1; ${held}`, { open: true });
  alice.say('select 1');
  const id = await alice.hold();
  const page = await pageOf('bob', `/holds/${id}`);
  const open = page.locator('.transaction');
  await open.getByText(/^Open for/).waitFor();
  const locks = open.getByRole('table', { name: 'Locks' });
  await locks.getByText('public.orders').waitFor();
  await locks.getByText('RowExclusiveLock').first().waitFor();
  equal(await open.getByText(/other session/).count(), 0, 'sessions that wait for it');
  await shot(page, 'transaction');
  await page.setViewportSize({ width: 380, height: 760 });
  check(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth),
        'nothing is wider than the phone');
  await shot(page, 'transaction-phone');
  await alice.end();
  await page.getByText('It was asked inside a transaction.').waitFor();
});
