// Moods: one tap is enough, more may be said, and numbers are there for eyes and for screen readers.

/** One tap keeps a mood; details are added; the chart says the same as its table; what was deleted comes back. */
export async function mood({ person, open, undo, api, eventually, equal }) {
  const page = await person({ language: 'en' });
  await open(page, '/nastrij');
  await page.getByText('There are no entries for these days').waitFor();
  await page.getByRole('button', { name: 'Calm', exact: true }).click();
  await page.getByRole('heading', { name: 'Saved: Calm' }).waitFor();
  equal((await api('GET', '/api/v1/nastrij/emotions')).map(({ emotion_state: mood, intensity }) => [mood, intensity]), [['calm', 5]], 'what one tap keeps');

  await page.getByLabel(/^How strongly/).fill('7');
  await page.getByText('What, why, when').click();
  await page.getByLabel(/^What was going on/).fill('Snow fell all morning');
  await page.getByLabel(/^What led to it/).fill('snow, silence');
  await page.getByRole('button', { name: 'Save the details' }).click();
  const entries = page.getByRole('region', { name: 'Entries' });
  await entries.getByText('Snow fell all morning').waitFor();
  await entries.getByText('7 of 10').waitFor();

  await eventually(() => page.getByRole('img', { name: /^Pleasant and unpleasant: .*, days with entries: 1$/ }).isVisible(), 'the line is described');
  await page.getByText('As a table').click();
  const table = page.getByRole('region', { name: 'Table of days' });
  await eventually(async () => (await table.getByRole('cell').allTextContents()).join() === '1,7,7', 'the table says it in numbers');
  equal(await table.getByRole('columnheader').allTextContents(), ['Day', 'Entries', 'Intensity', 'Balance'], 'its head');
  // What a chart says leads to the entries that it is made of.
  await page.getByRole('button', { name: 'silence' }).click();
  await eventually(async () => await page.getByRole('searchbox').inputValue() === 'silence', 'it is looked for');
  await entries.getByText('1 record').waitFor();

  await entries.getByRole('button', { name: /^Delete: Calm/ }).click();
  await undo(page, 'Deleted: Calm', () => entries.getByText('Nothing found.').waitFor());
  await entries.getByText('Snow fell all morning').waitFor();
}
