// The policy's findings, hits and candidates; the log's stories, bundles and chain.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { api, check, equal, pageOf, psql, shot, test, until } from './harness.mjs';

const world = process.env.WORLD;
const held = 'select ssn from customers where id = 1';

test('each rule shows its hits, by what became of them', async () => {
  const alice = psql('alice', held);
  const id = await alice.hold();
  await api('bob', 'POST', `holds/${id}/approve`, {});
  await alice.ended;
  const denied = psql('alice', 'create table t (a int)');
  await denied.ended;
  const page = await pageOf('eve', '/policy');
  const rule = page.locator('#rule-pii-needs-approval .hits');
  await rule.getByText(/\d+ held/).waitFor();
  await rule.getByText(/\d+ passed with an approval/).waitFor();
  await page.locator('#rule-no-ddl .hits').getByText(/\d+ denied/).waitFor();
  equal(await page.getByRole('region', { name: 'Findings' }).count(), 0, 'findings for eve');
  equal(await page.getByRole('region', { name: 'Try another policy' }).count(), 0, 'candidates');
});

test('what lint finds stands on the page', async () => {
  const page = await pageOf('dave', '/policy');
  const found = page.getByRole('region', { name: 'Findings' });
  const said = JSON.parse(lint());
  await found.locator('li').first().waitFor();
  equal(await found.locator('li').count(), said.findings.length, 'as many as the command finds');
  for (const f of said.findings) await found.getByText(f.text).first().waitFor();
  await shot(page, 'findings');
});

/// `sallyport lint --json`; its exit code tells that there are findings.
function lint() {
  try {
    return execFileSync(process.env.BINARY, ['lint', '--json', '--config', join(world, 'sallyport.yaml')],
                        { encoding: 'utf8' });
  } catch (e) {
    return e.stdout;
  }
}

test('a candidate says whom it affects, and what the log has under it', async () => {
  const alice = psql('alice', held);
  const id = await alice.hold();
  await api('bob', 'POST', `holds/${id}/deny`, { reason: 'no' });
  await alice.ended;
  const now = readFileSync(join(world, 'policy.yaml'), 'utf8');
  const page = await pageOf('dave', '/policy');
  const part = page.getByRole('region', { name: 'Try another policy' });
  await part.getByLabel('Policy file').fill(now);
  await part.getByRole('button', { name: 'Compare' }).click();
  await part.getByText('They are the same.').waitFor();
  await part.getByText('Nobody in the users file.').waitFor();

  const open = now.replace('relations: ["pii.*", "public.customers(email, ssn)"]',
                           'relations: ["pii.*"]');
  await part.getByLabel('Policy file').fill(open);
  await part.getByRole('button', { name: 'Compare' }).click();
  const row = part.locator('tr', { hasText: 'public.customers' }).first();
  await row.getByText('by default').waitFor();
  await part.getByText(/the newest \d+ records, decided again/i).waitFor();
  const looser = part.locator('details', { hasText: 'looser' }).first();
  await looser.locator('summary').click();
  // The oldest examples of whoever ran into the rule first, here or in a test before this one.
  await looser.locator('li', { hasText: /customers/i }).first().waitFor();
  await shot(page, 'candidate');
  await page.setViewportSize({ width: 390, height: 800 });
  check(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth),
        'nothing is wider than the phone');
  await shot(page, 'candidate-phone');

  await part.getByLabel('Policy file').fill(now.replace('tier: 10', 'teir: 10'));
  await part.getByRole('button', { name: 'Compare' }).click();
  await part.getByText('It does not load').waitFor();
  await part.getByText(/tier/).first().waitFor();
  equal((await api('dave', 'GET', 'rules')).body.policy,
        (await api('eve', 'GET', 'rules')).body.policy, 'nothing is in force');
});

test("a bypass opens its whole story, whose bundle anybody can check", async () => {
  const asked = await api('alice', 'POST', 'opt-outs', { rule: 'pii-needs-approval', for: '1h',
    reason: 'story', ticket: 'INC-88' });
  const id = asked.body.id;
  await api('bob', 'POST', `opt-outs/${id}/approve`, {});
  await psql('alice', 'select email from customers where id = 2').ended;
  await api('bob', 'POST', `opt-outs/${id}/revoke`, { reason: 'enough' });
  await api('carol', 'POST', `reviews/${id}/sign-off`, { note: 'looked at' });

  const page = await pageOf('dave', '/audit');
  await page.getByLabel('Event').fill('bypass');
  await page.getByRole('button', { name: 'Search' }).click();
  const bypass = page.locator('tr.openable').first();
  await bypass.getByText('bypass').waitFor();
  await bypass.click();
  await page.getByRole('link', { name: `The whole story: opt-out ${id}` }).click();
  const story = page.getByRole('region', { name: 'Story' });
  await story.getByRole('heading', { name: new RegExp(`The story of opt-out ${id}`) }).waitFor();
  const steps = story.getByRole('list', { name: 'Steps' }).locator('li');
  await until(async () => await steps.count() === 6, 'the steps');
  equal((await steps.locator('strong').allTextContents()).join(' '),
        'asked votes in force uses end review', 'the steps');
  equal(await story.locator('li.done').count(), 6, 'all of them happened');
  const events = await page.locator('tr.openable .chip').allTextContents();
  const place = (word) => events.findIndex((e) => e.includes(word));
  check(place('opt_out.requested') < place('bypass') && place('bypass') < place('opt_out.revoked') &&
        place('opt_out.revoked') < place('review.signed_off'), `in order: ${events}`);
  await page.locator('tr.openable', { hasText: 'opt_out.vote' }).getByText(/bob: approve/).waitFor();
  await shot(page, 'story');
  const [file] = await Promise.all([page.waitForEvent('download'),
    story.getByRole('button', { name: 'Signed bundle' }).click()]);
  check(/^sallyport-opt.out-\d+\.bundle$/.test(file.suggestedFilename()), file.suggestedFilename());
  const kept = join(world, 'story.bundle');
  await file.saveAs(kept);
  const said = execFileSync(process.env.BINARY, ['audit', 'verify-bundle', kept, '--public-key',
    join(world, 'var/audit.key.pub')], { encoding: 'utf8' });
  check(said.includes(`OK: opt_out ${id}`), said);
});

test('the state of the chain is on the page, and the place of a damage', async () => {
  const page = await pageOf('dave', '/audit');
  const chain = page.locator('.chain');
  await chain.getByText('chain verified').waitFor();
  equal(await chain.getAttribute('data-chain'), 'verified', 'its state');
  await page.route('**/api/v1/audit/verify', (route) => route.fulfill({ json: {
    state: 'broken', running: false, checked_at: '2026-03-01T09:30:00.000Z', records: 41,
    checkpoints: 1, signed_through: 20, head_seq: 41, head: 'ab', note: '',
    damage: { what: 'edited', file: 'audit-000001.jsonl', line: 42,
              text: 'the bytes of this line are not those \u202ethat were written' } } }));
  await chain.getByRole('button', { name: 'again' }).click();
  await chain.getByText('chain broken').waitFor();
  await chain.getByText(/edited in audit-000001.jsonl, line 42/).waitFor();
  check(!(await chain.textContent()).includes('\u202e'), 'no text turns the line round');
  await shot(page, 'chain-broken');
});
