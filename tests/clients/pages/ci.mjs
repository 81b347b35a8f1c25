// Ci: what is written in one box becomes records, is found again, and answers questions; and the legend.

/** What somebody writes: tomorrow, with a time and a tag. */
const SENTENCE = 'Завтра о 18:00 у бабусі день народження #родина';

/** A sentence becomes the records of one capture, to which the card and the day lead; all of them are taken back at once. */
export async function capture({ person, open, api, equal, eventually }) {
  const page = await person({ language: 'en' });
  const kept = async () => (await Promise.all(['/api/v1/podija/events', '/api/v1/calendar/entries'].map((path) => api('GET', path)))).map((records) => records.length);
  await open(page, '/ci');
  await page.getByLabel('What happened, what is planned, how does it feel?').fill(SENTENCE);
  await page.keyboard.press('Control+Enter');
  const card = page.getByRole('region', { name: 'Just captured' }).getByRole('article');
  await card.getByText(SENTENCE, { exact: true }).waitFor();
  equal(await kept(), [1, 1], 'records of a capture');
  equal((await card.getByRole('link').allTextContents()).sort(), ['Calendar', 'Events'], 'where it is kept');
  const [[event], [entry]] = await Promise.all([api('GET', '/api/v1/podija/events'), api('GET', '/api/v1/calendar/entries')]);
  equal([event.source_trace, event.event_date, event.tags], [entry.source_trace, entry.scheduled_at, ['родина']], 'both are of one capture');

  // The day to which it belongs shows it once, with both of its places.
  await page.getByRole('button', { name: 'The next day' }).click();
  const line = page.getByRole('listitem').filter({ has: page.getByRole('link', { name: SENTENCE }) });
  await line.getByRole('link', { name: 'Calendar' }).waitFor();
  equal(await line.count(), 1, 'lines of the day');

  await card.getByRole('button', { name: 'Undo' }).click();
  await card.getByText('Undone: its records are in the bin.').waitFor();
  equal(await kept(), [0, 0], 'records after it was taken back');
  equal(await page.getByLabel('What happened, what is planned, how does it feel?').inputValue(), SENTENCE, 'what was written is back in the box');
  await eventually(async () => await line.count() === 0, 'the day shows it no more');
}

/** The box finds by the beginning of a word, and leads there by keyboard; the chat answers from the records. */
export async function found({ person, open, api, eventually }) {
  await api('POST', '/api/v1/ci/capture', { type: 'text', content: SENTENCE });
  await api('POST', '/api/v1/kazkar/stories', { title: 'The mill', content: 'Bohdan built it by the river.' });
  const page = await person({ language: 'en' });
  await open(page, '/malya');
  await page.keyboard.press('/');
  const box = page.getByRole('dialog', { name: 'Ci' });
  await box.getByLabel('Find or capture').fill('boh');
  await box.getByText('Found: 1 record').waitFor();
  await eventually(() => box.getByRole('link', { name: /The mill/ }).isVisible(), 'it is found');
  await page.keyboard.press('Enter');
  await page.keyboard.press('Enter');
  await page.waitForURL('**/kazkar/1');
  await page.getByRole('heading', { name: 'The mill' }).waitFor();

  await open(page, '/kazkar');
  await page.keyboard.press('/');
  await box.getByLabel('Find or capture').fill('баб');
  await box.getByText('Found: 1 record').waitFor();
  await box.getByRole('link', { name: SENTENCE }).click();
  await page.waitForURL('**/podija#1');
  await page.getByRole('dialog', { name: SENTENCE }).waitFor();

  await open(page, '/chat');
  await page.getByRole('button', { name: 'What is tomorrow?' }).click();
  const log = page.getByRole('log', { name: 'The conversation' });
  await log.getByRole('article').filter({ hasText: 'From your own records' }).getByText(SENTENCE).waitFor();
  await page.getByLabel('Question').fill('How many stories do we have?');
  await page.keyboard.press('Enter');
  await eventually(async () => await log.getByText('From your own records').count() === 2, 'the second answer');
  // The conversation stays as long as the tab is open.
  await page.reload();
  await eventually(async () => await log.getByRole('article').count() === 4, 'what was said is still there');
}

/** A knot opens by keyboard and leads on; which ones somebody has visited is known after a reload. */
export async function legend({ person, open, settled, equal, eventually }) {
  const page = await person({ language: 'en' });
  await open(page, '/ci/legend');
  await page.getByText('Visited 0%: 0 knots of 20').waitFor();
  const circle = page.getByRole('group', { name: 'The circle of the legend' });
  equal(await circle.getByRole('link').count(), 20, 'knots');
  await circle.getByRole('link').first().focus();
  await page.keyboard.press('Enter');
  const knot = page.getByRole('dialog');
  await eventually(() => knot.evaluate((box) => document.activeElement === box.querySelector('h2')), 'its heading has focus');
  const name = await knot.getByRole('heading').first().textContent();
  await knot.getByRole('heading', { name: 'Connections' }).waitFor();
  await knot.getByRole('link').last().press('Enter');
  await eventually(async () => await knot.getByRole('heading').first().textContent() !== name, 'the next knot');
  await page.keyboard.press('Escape');
  await page.getByText('Visited 10%: 2 knots of 20').waitFor();

  await page.reload();
  await settled(page);
  await page.getByText('Visited 10%: 2 knots of 20').waitFor();
  equal(await circle.getByRole('link', { name: /\(visited\)$/ }).count(), 2, 'knots that are marked');
  await page.getByRole('button', { name: 'Start over' }).click();
  await page.getByText('Visited 0%: 0 knots of 20').waitFor();
}
