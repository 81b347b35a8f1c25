// The calendar: what recurs, and what becomes of one time of it.

/** A weekly entry shows in every week; one occurrence is left out, and only that one; all of it is deleted and brought back. */
export async function weekly({ person, open, settled, undo, eventually, equal }) {
  const page = await person({ language: 'en' });
  await open(page, '/calendar?view=week&date=2027-03-10');
  await page.getByRole('button', { name: 'New entry' }).click();
  const form = page.getByRole('dialog');
  await form.getByLabel('Title').fill('Swimming');
  await form.getByLabel(/^End/).first().fill('2027-03-10T08:00');
  await form.getByLabel('How often').selectOption('Every week');
  await form.getByLabel(/^Where/).fill('The old baths');
  await form.getByRole('button', { name: 'Save' }).click();
  // Nothing is lost to what was mistaken.
  await form.getByText('The end is before the start').waitFor();
  await form.getByLabel(/^End/).first().fill('2027-03-10T10:00');
  await form.getByRole('button', { name: 'Save' }).click();

  const times = page.getByRole('button', { name: 'Swimming', exact: true });
  const weeks = [/^8\W+14 March 2027$/, /^15\W+21 March 2027$/, /^22\W+28 March 2027$/];
  let at = 0;
  const turn = async (to) => {
    for (; at !== to; at += Math.sign(to - at)) {
      await page.getByRole('button', { name: to > at ? 'Later' : 'Earlier', exact: true }).click();
      await page.getByRole('heading', { name: weeks[at + Math.sign(to - at)] }).waitFor();
    }
    await settled(page);
  };
  const number = async (week) => {
    await turn(week);
    return times.count();
  };
  await page.getByText('09:00–10:00').waitFor();
  equal([await number(0), await number(1), await number(2)], [1, 1, 1], 'how often it is in each of three weeks');

  await turn(1);
  const details = page.getByRole('dialog', { name: 'Swimming' });
  const skip = async () => {
    await times.click();
    await details.getByText('every week').waitFor();
    await details.getByRole('button', { name: 'Skip this once' }).click();
  };
  const gone = () => eventually(async () => await times.count() === 0, 'it is gone from this week');
  await skip();
  await undo(page, 'Skipped this once: Swimming', gone);
  await times.waitFor();
  await skip();
  await gone();
  await page.reload();
  await settled(page);
  equal([await number(0), await number(1), await number(2)], [1, 0, 1], 'the others are not left out');

  // What is done is done this once.
  await times.click();
  await details.getByRole('button', { name: 'Done', exact: true }).click();
  await eventually(async () => (await times.locator('..').getAttribute('class')).includes('is-done'), 'it is done');
  await turn(0);
  await times.click();
  await details.getByText('Planned').waitFor();
  await details.getByRole('button', { name: 'Delete: Swimming' }).click();
  await undo(page, 'Deleted: Swimming', gone);
  await times.waitFor();
  equal([await number(1), await number(2)], [0, 1], 'it is back as it was');
}
