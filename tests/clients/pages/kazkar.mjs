// Stories: written, found, changed, deleted and brought back; and legends that show by themselves.

/** One story from its first word to its return. */
export async function story({ person, open, settled, eventually, equal, check }) {
  const page = await person({ language: 'en' });
  await open(page, '/kazkar');
  await page.getByText('Your family’s stories will be here').waitFor();
  await page.getByRole('button', { name: 'Write a story' }).first().click();
  // Nothing is lost to what was forgotten.
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByText('Enter some text').first().waitFor();
  await page.getByLabel('Title').fill('The mill');
  await page.getByLabel('Text', { exact: false }).first().fill('It stood by the river.\n\nNobody knew who had built it.');
  await page.getByLabel(/^Who/).fill('Olha, Ivan');
  await page.getByLabel(/^Tags/).fill('river');
  await page.getByRole('button', { name: 'Save' }).click();
  await page.waitForURL('**/kazkar/1');
  await settled(page);
  equal(await page.locator('h1').textContent(), 'The mill', 'the heading');
  equal(await page.locator('.reading p').count(), 2, 'paragraphs');
  equal(await page.title(), 'The mill · inkring', 'the title');

  await page.getByRole('button', { name: /^Edit/ }).click();
  await page.getByLabel('Title').fill('The old mill');
  await page.getByRole('button', { name: 'Save' }).click();
  await eventually(async () => await page.locator('h1').textContent() === 'The old mill', 'the new title');

  await open(page, '/kazkar');
  await page.getByRole('searchbox').fill('nob');
  await eventually(async () => page.url().includes('q=nob') && await page.locator('.cards > li').count() === 1, 'it is found by the beginning of a word');
  await page.getByRole('searchbox').fill('nothing of the kind');
  await page.getByText('Nothing found.').waitFor();

  await open(page, '/kazkar/1');
  await page.getByRole('button', { name: /^Delete/ }).click();
  await page.getByText('This no longer exists').waitFor();
  await page.getByRole('button', { name: 'Undo' }).click();
  await eventually(async () => await page.locator('.reading p').count() === 2, 'it is back');
  check(true);
}

/** Two people: what one tells shows to the other; somebody who was slower is told, and loses nothing. */
export async function legends({ person, open, api, eventually }) {
  const [one, other] = [await person({ language: 'en' }), await person({ language: 'uk' })];
  await open(one, '/kazkar/legends');
  await open(other, '/kazkar/legends');
  await one.getByRole('button', { name: 'Tell a legend' }).first().click();
  await one.getByLabel('Title').fill('The bell');
  await one.getByLabel('Text', { exact: false }).first().fill('It rang by itself.');
  await one.getByRole('button', { name: 'Save' }).click();
  await eventually(() => other.getByRole('button', { name: 'The bell', exact: true }).isVisible(), 'the other sees it');
  await other.getByRole('button', { name: 'The bell', exact: true }).click();
  await other.getByRole('button', { name: 'Дихати разом' }).click();
  await other.waitForSelector('.scene.ritual');
  await other.keyboard.press('Escape');

  await one.getByRole('button', { name: /^Edit/ }).click();
  await one.getByLabel('Title').fill('The silver bell');
  await api('PUT', '/api/v1/kazkar/stories/1', { title: 'The iron bell' });
  await one.getByRole('button', { name: 'Save' }).click();
  await one.getByText('Someone else changed this in the meantime').waitFor();
  await eventually(async () => await one.getByLabel('Title').inputValue() === 'The silver bell', 'what was typed is still there');
}
