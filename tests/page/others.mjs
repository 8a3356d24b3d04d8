// Opt-outs, reviews, sessions, flags, the log, the policy, the charts.
import { api, check, equal, pageOf, psql, shot, test, until } from './harness.mjs';

const read = 'select name, email from customers where id = 1';

test("an opt-out's life: asked, approved, used, revoked, reviewed", async () => {
  const alice = await pageOf('alice', '/opt-outs');
  alice.expected.push(/422/);
  await alice.getByRole('button', { name: 'Ask for an opt-out' }).click();
  const form = alice.getByRole('dialog', { name: 'Ask for an opt-out' });
  await form.getByText('at most 4h').waitFor();
  await form.getByText('1 of group security').waitFor();
  await form.getByLabel('For how long').fill('9h');
  await form.getByLabel('Reason').fill('incident: checkout is down');
  await form.getByLabel('Ticket').fill('INC-4711');
  await form.getByRole('button', { name: 'Ask', exact: true }).click();
  await form.locator('.field.wrong', { hasText: 'For how long' }).getByRole('alert').waitFor();
  await shot(alice, 'opt-out-form');
  await form.getByRole('button', { name: '2h' }).click();
  await form.getByLabel('Ticket').fill('4711');
  await form.getByRole('button', { name: 'Ask', exact: true }).click();
  await form.locator('.field.wrong', { hasText: 'Ticket' }).getByRole('alert').waitFor();
  await form.getByLabel('Ticket').fill('INC-4711');
  await form.getByRole('button', { name: 'Ask', exact: true }).click();
  await form.waitFor({ state: 'detached' });
  await alice.getByText('You cannot decide this').waitFor();
  const id = Number(new URL(alice.url()).pathname.split('/').at(-1));

  const bob = await pageOf('bob', `/opt-outs/${id}`);
  const card = bob.locator(`li[data-opt-out="${id}"]`);
  await card.getByRole('button', { name: 'Approve' }).click();
  await bob.getByRole('dialog').getByRole('button', { name: 'Approve' }).click();
  await card.locator('.chip', { hasText: 'live' }).waitFor();
  await bob.locator(`svg g.bar.live[data-opt-out="${id}"]`).waitFor({ state: 'attached' });
  await bob.getByText('1 live now').waitFor();
  await alice.locator(`svg g.bar.live[data-opt-out="${id}"]`).waitFor({ state: 'attached' });
  await shot(bob, 'opt-outs');

  const session = psql('alice', read);
  await session.ended;
  check(session.out.includes('ada@example.com'), `it passes at once: ${session.err}`);
  const dave = await pageOf('dave', `/audit?opt_out=${id}`);
  await dave.locator('tr.openable', { hasText: 'bypass' }).waitFor();

  await card.getByRole('button', { name: 'Revoke' }).click();
  await bob.getByRole('dialog').getByLabel('Reason').fill('the incident is over');
  await bob.keyboard.press('Enter');
  await card.getByText('revoked').waitFor();
  equal(await bob.locator(`svg g.bar.live[data-opt-out="${id}"]`).count(), 0, 'live bars');

  await bob.goto(`/reviews/${id}`);
  const review = bob.locator(`[data-review="${id}"]`);
  await review.getByText('1 use').waitFor();
  await review.locator('tr.openable', { hasText: 'select name, email from customers' }).click();
  await review.getByText('with psql').waitFor();
  await shot(bob, 'reviews');
  await review.getByRole('button', { name: 'Sign off' }).click();
  await bob.getByRole('dialog').getByLabel('Note').fill('as described');
  await bob.keyboard.press('Enter');
  await review.getByText('signed off').waitFor();
  await alice.goto('/reviews');
  await alice.locator(`[data-review="${id}"]`).getByText('as described').waitFor();
});

test('an extension is asked for and a review that is a finding is kept', async () => {
  const asked = await api('alice', 'POST', 'opt-outs', { rule: 'pii-needs-approval', for: '1h',
    reason: 'again', ticket: 'INC-1' });
  const id = asked.body.id;
  await api('carol', 'POST', `opt-outs/${id}/approve`, {});
  const alice = await pageOf('alice', `/opt-outs/${id}`);
  await alice.locator(`li[data-opt-out="${id}"]`).getByRole('button', { name: 'Extend' }).click();
  await alice.getByLabel('For how much longer').fill('30m');
  await alice.getByRole('dialog').getByLabel('Reason').fill('not done yet');
  await alice.keyboard.press('Enter');
  await alice.getByText('Waits for others').waitFor();
  const { body } = await api('bob', 'GET', 'opt-outs?state=requested');
  equal(body.opt_outs[0].extends, id, 'what is extended');
  await psql('alice', read).ended;
  await api('alice', 'POST', `opt-outs/${body.opt_outs[0].id}/revoke`, { reason: 'done after all' });
  await api('alice', 'POST', `opt-outs/${id}/revoke`, { reason: 'done' });
  const bob = await pageOf('bob', '/reviews');
  await bob.locator(`[data-review="${id}"]`).getByRole('button', { name: 'Raise a finding' }).click();
  await bob.getByLabel('Note').fill('the ticket says nothing');
  await bob.keyboard.press('Enter');
  await bob.locator(`[data-review="${id}"]`).getByText('the ticket says nothing').waitFor();
});

test('broken glass is red for everybody who looks', async () => {
  const bob = await pageOf('bob', '/');
  const alice = await pageOf('alice', '/opt-outs');
  await alice.getByRole('button', { name: 'Ask for an opt-out' }).waitFor();
  await alice.keyboard.press('n');
  await alice.getByLabel(/Break the glass/).check();
  const form = alice.getByRole('dialog', { name: /Break the glass/ });
  await form.getByText('active at once').or(form.getByText('at once, without')).first().waitFor();
  await form.getByLabel('Reason').fill('the shop burns');
  await form.getByLabel('Ticket').fill('INC-9');
  await shot(alice, 'break-glass');
  await form.getByRole('button', { name: 'Break the glass now' }).click();
  await form.waitFor({ state: 'detached' });
  await bob.getByText('alice has broken the glass').waitFor();
  await bob.goto('/opt-outs');
  await bob.locator('svg g.bar.live.break_glass').waitFor({ state: 'attached' });
  await shot(bob, 'glass-broken');
  const { body } = await api('bob', 'GET', 'opt-outs?state=active');
  const id = body.opt_outs[0].id;
  await api('bob', 'POST', `opt-outs/${id}/revoke`, { reason: 'enough' });
  await bob.getByText('alice has broken the glass').waitFor({ state: 'detached' });
  await api('bob', 'POST', `reviews/${id}/sign-off`, { note: 'looked at' });
});

test('a session is seen, killed, its user flagged and the flag lifted', async () => {
  const eve = psql('eve', 'select item from orders where id = 1', { open: true, application: 'report' });
  await until(() => eve.out.includes('lamp'), 'eve reads');
  const page = await pageOf('dave', '/sessions');
  const row = page.locator('tr[data-session]', { hasText: 'eve' });
  await row.getByText('select item from orders').waitFor();
  await row.getByText('report').waitFor();
  await shot(page, 'sessions');
  await row.getByRole('button', { name: /^Kill/ }).click();
  await page.getByRole('dialog').getByLabel('Reason').fill('odd hours');
  await page.keyboard.press('Enter');
  await page.getByText('Nobody is connected.').waitFor();
  eve.say('select 1');
  await eve.ended;
  check(/SP003/.test(eve.err), eve.err);
  await page.goto('/flags');
  await page.getByRole('button', { name: 'Set one' }).click();
  await page.getByLabel('Name').fill('eve');
  await page.getByRole('dialog').getByLabel('Reason').fill('odd hours again');
  await page.keyboard.press('Enter');
  const flag = page.locator('tr[data-flag]', { hasText: 'eve' });
  await flag.getByText('odd hours again').waitFor();
  await shot(page, 'flags');
  const second = psql('eve', 'select 1');
  await second.hold();
  await second.end();
  await flag.getByRole('button', { name: 'Lift' }).click();
  await page.getByRole('dialog').getByLabel('Reason').fill('explained');
  await page.keyboard.press('Enter');
  await flag.getByText('explained').waitFor();
});

test('the log is searched, a record opened, a story told', async () => {
  const alice = psql('alice', "select ssn from customers where city = 'Atlantis'", { reason: 'needle-77' });
  const id = await alice.hold();
  await api('bob', 'POST', `holds/${id}/deny`, { reason: 'no such city' });
  await alice.ended;
  const page = await pageOf('dave', '/audit');
  await page.getByLabel('Text').fill('needle-77');
  await page.getByLabel('Person').fill('alice');
  await page.getByLabel('Target').fill('shop');
  await page.getByRole('button', { name: 'Search' }).click();
  const opened = page.locator('tr.openable', { hasText: 'hold.opened' });
  await until(async () => await opened.count() === 1, 'one record fits');
  check(page.url().includes('text=needle-77'), 'the search is in the address');
  await opened.click();
  const details = page.locator('tr.details');
  await details.getByText('needle-77').first().waitFor();
  await details.locator('pre', { hasText: 'select ssn from customers' }).waitFor();
  await shot(page, 'audit');
  await details.getByRole('link', { name: `The story of hold ${id}` }).click();
  await page.getByRole('heading', { name: new RegExp(`The story of hold ${id}`) }).waitFor();
  await page.locator('tr.openable', { hasText: 'hold.denied' }).waitFor();
  const events = await page.locator('tr.openable .chip').allTextContents();
  check(events.findIndex((e) => e.includes('hold.opened')) <
        events.findIndex((e) => e.includes('hold.denied')), `in order: ${events}`);
  await page.getByRole('link', { name: 'Clear' }).click();
  await page.getByLabel('Rule').fill('no-such-rule');
  await page.keyboard.press('Enter');
  await page.getByText('Nothing was found.').waitFor();
  const bob = await pageOf('bob', '/audit');
  await bob.getByText('Only auditors read the log.').waitFor();
});

test('a search that is slow is overtaken by the next one, and its answer stays away', async () => {
  const page = await pageOf('dave', '/audit');
  await page.locator('tr.openable').first().waitFor();
  let answerSlow;
  const slowAnswered = new Promise((resolve) => { answerSlow = resolve; });
  await page.route('**/api/v1/audit?*user=alice*', async (route) => {
    const answer = await route.fetch();
    await slowAnswered;
    await route.fulfill({ response: answer });
  });
  const slow = page.waitForResponse('**/api/v1/audit?*user=alice*');
  await page.getByLabel('Person').fill('alice');
  await page.keyboard.press('Enter');
  await until(() => page.url().includes('user=alice'), 'the slow search is in the address');
  await page.getByLabel('Rule').fill('no-such-rule');
  await page.getByLabel('Person').fill('');
  await page.keyboard.press('Enter');
  await page.getByText('Nothing was found.').waitFor();
  answerSlow();
  await (await slow).finished();
  await page.getByText('Nothing was found.').waitFor();
  equal(await page.locator('tr.openable').count(), 0, 'records of the search before');
});

test('the policy is shown, and a statement is tried', async () => {
  const page = await pageOf('dave', '/policy');
  await page.getByRole('heading', { name: 'Tier 20' }).waitFor();
  const rule = page.locator('#rule-pii-needs-approval');
  await rule.getByText('customer-pii (shop: pii.*, public.customers(email, ssn))').waitFor();
  await page.getByLabel('Target').fill('shop');
  await page.getByLabel('As').fill('alice');
  await page.getByLabel('Statement', { exact: true }).fill('select email from contacts');
  await page.getByRole('button', { name: 'What would happen?' }).click();
  const result = page.locator('.result');
  await result.getByText('pii-needs-approval').first().waitFor();
  equal(await result.getAttribute('data-effect'), 'hold', 'the effect');
  await result.getByText('view public.contacts').first().waitFor();
  await shot(page, 'policy');
  await page.getByLabel('Statement', { exact: true }).fill('select item from orders');
  await page.getByRole('button', { name: 'What would happen?' }).click();
  await page.locator('.result.allow').waitFor();
  await page.getByLabel('Target').fill('nowhere');
  page.expected.push(/422/);
  await page.getByRole('button', { name: 'What would happen?' }).click();
  await page.getByRole('alert').waitFor();
});

test('charts are drawn from what happened', async () => {
  const alice = psql('alice', 'select ssn from customers');
  const id = await alice.hold();
  await api('bob', 'POST', `holds/${id}/deny`, { reason: 'no' });
  await alice.ended;
  const page = await pageOf('dave', '/insight');
  const holds = page.locator('.tile', { hasText: /^\d+holds$/ }).locator('strong');
  await until(async () => Number(await holds.textContent()) > 0, 'holds are counted');
  await page.getByText('pii-needs-approval').first().waitFor();
  const drawn = await page.locator('.chart canvas').first().evaluate((c) => {
    const { data } = c.getContext('2d').getImageData(0, 0, c.width, c.height);
    return data.some((x) => x !== 0);
  });
  check(drawn, 'the first chart has ink');
  await shot(page, 'insight');
  await page.getByRole('button', { name: 'week' }).click();
  await page.getByText('Holds per six hours').waitFor();
});
