// Events: written, counted down to, done, changed, deleted and brought back, and put into the calendar.

/** One event from its first word into the calendar; whatever was done to it by a slip is taken back. */
export async function event({ person, open, notice, undo, eventually, equal }) {
  const page = await person({ language: 'en' });
  await open(page, '/podija');
  await page.getByText('Your timeline will be here').waitFor();
  await page.getByRole('button', { name: 'Add an event' }).first().click();
  const form = page.getByRole('dialog');
  await form.getByLabel('Title').fill('The fair');
  // The day is that of the device, as the page counts.
  const day = await page.evaluate(() => new Intl.DateTimeFormat('sv').format(Date.now() + 3 * 86_400_000));
  await form.getByLabel(/^When/).fill(`${day}T12:00`);
  await form.getByLabel(/^Who/).fill('Olha, Ivan');
  await form.getByRole('button', { name: 'Save' }).click();
  await page.getByRole('region', { name: 'Timeline' }).getByRole('link', { name: 'The fair' }).waitFor();

  await page.getByRole('button', { name: 'Upcoming' }).click();
  const upcoming = page.getByRole('region', { name: 'Upcoming' });
  await upcoming.getByText('in 3 days').waitFor();
  await upcoming.getByLabel('Done: The fair').click();
  const nothing = () => page.getByText('No upcoming events.').waitFor();
  await undo(page, 'Done: The fair', nothing);
  await upcoming.getByRole('link', { name: 'The fair' }).waitFor();

  await upcoming.getByRole('button', { name: 'Edit: The fair' }).click();
  await form.getByLabel('Title').fill('The autumn fair');
  await form.getByRole('button', { name: 'Save' }).click();
  await upcoming.getByRole('link', { name: 'The autumn fair' }).waitFor();
  await upcoming.getByText('Olha, Ivan').waitFor();

  await upcoming.getByRole('button', { name: 'Delete: The autumn fair' }).click();
  await undo(page, 'Deleted: The autumn fair', nothing);
  const push = upcoming.getByRole('button', { name: 'Add to the calendar: The autumn fair' });
  await push.click();
  await notice(page, 'Added to the calendar').waitFor();
  // Once is enough: after that it only leads there.
  await push.click();
  await notice(page, 'This is already in the calendar').getByRole('button', { name: 'Open' }).click();
  await page.waitForURL('**/calendar**');
  await page.getByRole('dialog', { name: 'The autumn fair' }).waitFor();

  await open(page, '/podija#1');
  await page.getByRole('dialog', { name: 'The autumn fair' }).getByText('Calendar · made from this').waitFor();
  await page.keyboard.press('Escape');
  await eventually(() => new URL(page.url()).hash === '', 'the address of the list is back');
  equal(await page.getByRole('dialog').count(), 0, 'dialogs');
}
