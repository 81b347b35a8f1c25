// Drafts: two people at one draft, and a browser that takes a token.

import { createHmac } from 'node:crypto';

/** The key of the server of `token`, as `tests/it/pages_browser.rs` sets it. */
const KEY = 'a secret of the tests that is 32 bytes long';

function signed(sub) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const text = `${part({ alg: 'HS256', typ: 'JWT' })}.${part({ sub, exp: Math.floor(Date.now() / 1000) + 3600 })}`;
  return `${text}.${createHmac('sha256', KEY).update(text).digest('base64url')}`;
}

async function introduce(page, name) {
  await page.getByLabel('Your name').fill(name);
  await page.getByRole('button', { name: 'Continue' }).click();
}

/** One begins and invites, both see what is written, and only who holds the ring can write. */
export async function turns({ person, settled, eventually, equal, check }) {
  const [alice, bob] = [await person({ language: 'en' }), await person({ language: 'en', width: 390 })];
  await alice.goto('/drafts');
  await introduce(alice, 'alice');
  await alice.getByText('There are no drafts yet').waitFor();
  await alice.getByLabel('Title').fill('The ferry');
  await alice.getByLabel(/^The first lines/).fill('It was late again.');
  await alice.getByRole('button', { name: 'Begin' }).click();
  await alice.waitForURL('**/drafts/*-*');
  await settled(alice);
  equal(await alice.locator('h1').textContent(), 'The ferry', 'the heading');
  equal(await alice.title(), '● The ferry · your turn · inkring', 'whose turn it is');
  await alice.getByText('There is nobody to pass the ring to').waitFor();

  // What anyone may read is read without a name.
  await bob.goto(alice.url());
  await bob.getByText('You are reading without a name').waitFor();
  await bob.getByText('It was late again.').waitFor();
  await bob.getByRole('button', { name: 'Say who you are' }).click();
  await introduce(bob, 'bob');
  await bob.getByText('You are reading').waitFor();
  equal(await bob.getByRole('button', { name: 'Append' }).count(), 0, 'nobody writes without the ring');

  await alice.getByText('Invite someone', { exact: true }).click();
  await alice.getByLabel('Name').fill('bob');
  await alice.getByRole('button', { name: 'Add' }).click();
  await alice.getByRole('button', { name: 'bob', exact: true }).waitFor();
  // A page that comes over plain HTTP from another machine has no such function; the first answer is lost, and the text is changed.
  await alice.evaluate(() => { delete Crypto.prototype.randomUUID; });
  let isLost = false;
  await alice.route('**/segments', async (route) => {
    if (isLost) return route.continue();
    isLost = true;
    await route.fetch();
    return route.abort();
  });
  await alice.getByLabel('Your segment').fill('<b>The lamp</b> went out.');
  await alice.getByRole('button', { name: 'Append' }).click();
  await eventually(() => bob.getByText('<b>The lamp</b> went out.').isVisible(), 'the server has it all the same');
  await alice.getByRole('button', { name: 'Append' }).click();
  await eventually(async () => await alice.getByLabel('Your segment').inputValue() === '', 'sent again');
  equal(await bob.getByText('<b>The lamp</b> went out.').count(), 1, 'and written once');
  await alice.getByLabel('Your segment').fill('It was dark.');
  await alice.getByRole('button', { name: 'Append' }).click();
  await eventually(() => bob.getByText('It was dark.').isVisible(), 'another text is another segment');
  await eventually(() => bob.getByText('<b>The lamp</b> went out.').isVisible(), 'the other sees it, as text');
  await alice.getByRole('button', { name: 'bob', exact: true }).click();
  await eventually(async () => await bob.title() === '● The ferry · your turn · inkring', 'it is the turn of the other');
  await bob.getByLabel('Your segment').fill('By then the fog had come.');
  // What one writes survives a page that is closed or loaded anew.
  await bob.reload();
  await settled(bob);
  equal(await bob.getByLabel('Your segment').inputValue(), 'By then the fog had come.', 'what was typed');
  await bob.getByRole('button', { name: 'Append' }).click();
  await eventually(() => alice.getByText('By then the fog had come.').isVisible(), 'the first one sees it');
  equal(await alice.getByRole('button', { name: 'Append' }).count(), 0, 'the ring was passed on');
  check(await bob.evaluate(() => document.documentElement.scrollWidth <= innerWidth), 'too wide for a phone');

  // A text that is taken out goes from pages that are open.
  const path = `/v1/collab/drafts/${alice.url().split('/').pop()}`;
  const { data: { segments } } = await (await alice.request.get(path)).json();
  const taken = await alice.request.post(`${path}/segments/${segments[1].segment_id}/redact`, {
    headers: { 'X-User-Id': 'alice' }, data: { reason: 'a test', idempotency_key: 'redact' },
  });
  equal(taken.status(), 200, 'taken out');
  await eventually(() => bob.getByText('[redacted]').isVisible(), 'the other sees that it is gone');
  equal(await bob.getByText('<b>The lamp</b> went out.').count(), 0, 'and not what it was');
  equal(await bob.getByRole('list', { name: 'Text' }).getByRole('listitem').count(), segments.length, 'as many segments as before');
}

/** Where names are not believed, a token opens the page, and its socket tells of changes. */
export async function token({ person, settled, equal, eventually, base }) {
  const token = signed('alice');
  const page = await person({ language: 'en' });
  await page.goto('/drafts');
  // No name is asked for where none is believed.
  await page.getByLabel('Token').waitFor();
  await eventually(() => page.getByLabel('Your name').isHidden(), 'a token is what is asked for');
  await page.getByLabel('Token').fill('nonsense');
  await page.getByRole('button', { name: 'Continue' }).click();
  await page.getByText('This does not look like a token.').waitFor();
  await page.getByLabel('Token').fill(token);
  await page.getByRole('button', { name: 'Continue' }).click();
  await page.getByText('There are no drafts yet').waitFor();
  await page.getByLabel('Title').fill('The bridge');
  await page.getByRole('button', { name: 'Begin' }).click();
  await page.waitForURL('**/drafts/*-*');
  await settled(page);
  await page.getByText('Changes appear immediately.').waitFor();
  const id = new URL(page.url()).pathname.split('/')[2];
  const answer = await fetch(`${base}/v1/collab/drafts/${id}/segments`, {
    method: 'POST', headers: { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' },
    body: JSON.stringify({ content: 'Written elsewhere.', idempotency_key: '1' }),
  });
  equal(answer.status, 200, 'the append');
  await eventually(() => page.getByText('Written elsewhere.').isVisible(), 'it shows at once');

  const added = await fetch(`${base}/v1/collab/drafts/${id}/collaborators?collaborator_id=bob`, {
    method: 'POST', headers: { Authorization: `Bearer ${token}` },
  });
  equal(added.status, 200, 'a member more');
  const bob = await person({ language: 'en' });
  await bob.goto(page.url());
  await bob.getByText('You are reading without a name').waitFor();
  await bob.getByText('Written elsewhere.').waitFor();
  await bob.getByRole('button', { name: 'Say who you are' }).click();
  await bob.getByLabel('Token').fill(signed('bob'));
  await bob.getByRole('button', { name: 'Continue' }).click();
  await bob.getByText('Changes appear immediately.').waitFor();
  await page.reload();
  await page.getByText('Watching now: bob').waitFor();
}
