// Settings: the copy of everything, the calendar's feed, and the bin.

import { readFile, writeFile } from 'node:fs/promises';

/** What was downloaded may be taken in again: the same changes nothing, and what differs is shown before it is taken. */
export async function copies({ person, open, api, equal }) {
  await api('POST', '/api/v1/kazkar/stories', { title: 'The mill', content: 'It stood by the river.' });
  await api('POST', '/api/v1/calendar/entries', { title: 'Swimming', scheduled_at: '2026-01-07T18:00', recurrence_pattern: 'weekly' });
  const page = await person({ language: 'en' });
  await open(page, '/settings');
  const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('link', { name: 'Download a copy' }).click()]);
  equal(download.suggestedFilename(), 'household.jsonl', 'the name of the copy');
  const copy = await download.path();
  equal((await readFile(copy, 'utf8')).trim().split('\n').map((line) => JSON.parse(line).title), [undefined, 'The mill', 'Swimming'], 'what is in it');

  const part = page.getByRole('region', { name: 'A copy of everything' });
  const take = async () => {
    const [chooser] = await Promise.all([page.waitForEvent('filechooser'), part.getByLabel('Import a copy').click()]);
    await chooser.setFiles(copy);
  };
  const figures = async () => (await part.locator('.stats > div').allTextContents()).join(', ');
  await take();
  await part.getByText('There is nothing to import.').waitFor();
  equal(await figures(), '0new, 0changed, 2the same, 0refused', 'of the same copy');

  await writeFile(copy, (await readFile(copy, 'utf8')).replace('by the river', 'by the sea') + '{"module":"kazkar","title":7}\n');
  // It is called the same, and is another one.
  await take();
  await part.getByText('Nothing has changed yet. The import would give:').waitFor();
  await part.getByRole('region', { name: 'Lines that were refused' }).waitFor();
  equal(await figures(), '0new, 1changed, 1the same, 1refused', 'of another copy');
  equal((await api('GET', '/api/v1/kazkar/stories/1')).content, 'It stood by the river.', 'nothing is changed yet');
  await part.getByRole('button', { name: 'Import: 1' }).click();
  await part.getByText('Done:').waitFor();
  equal((await api('GET', '/api/v1/kazkar/stories/1')).content, 'It stood by the sea.', 'now it is');
}

/** What was deleted is brought back from the bin; the address of the feed is shown once, and a new one ends it. */
export async function keys({ person, open, notice, api, base, equal, check }) {
  await api('POST', '/api/v1/malya/ideas', { title: 'A swing', description: 'From the oak' });
  await api('DELETE', '/api/v1/malya/ideas/1');
  await api('POST', '/api/v1/calendar/entries', { title: 'Swimming', scheduled_at: '2026-01-07T18:00' });
  const page = await person({ language: 'en' });
  page.on('dialog', (question) => question.accept());
  await open(page, '/settings');
  await page.getByRole('button', { name: 'Restore: A swing' }).click();
  await notice(page, 'Restored: A swing').waitFor();
  await page.getByText('The bin is empty.').waitFor();
  equal((await api('GET', '/api/v1/malya/ideas')).map(({ title }) => title), ['A swing'], 'what is back');

  const make = async () => {
    await page.getByRole('button', { name: 'Create an address' }).click();
    return page.getByLabel('The address (shown only now)').inputValue();
  };
  const first = await make();
  check(first.startsWith(`${base}/`), `${first} is no address of this server`);
  const calendar = await fetch(first);
  check(calendar.ok && (await calendar.text()).includes('SUMMARY:Swimming'), 'it gives the calendar');
  await open(page, '/settings');
  equal(await page.getByLabel('The address (shown only now)').count(), 0, 'addresses that are shown again');
  await page.getByRole('button', { name: 'Create an address' }).click();
  await page.getByLabel('The address (shown only now)').waitFor();
  equal((await fetch(first)).ok, false, 'the address before is good for nothing');
  await page.getByRole('button', { name: 'End the feed' }).click();
  await page.getByText('The feed was ended.').waitFor();
}
