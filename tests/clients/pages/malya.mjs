// Ideas: a board on which cards are moved with keys and with the mouse.

/** One idea over the board; it stays where it was put, and comes back when it was deleted by a slip. */
export async function board({ person, open, settled, undo, api, eventually, equal, check }) {
  const page = await person({ language: 'en' });
  await open(page, '/malya');
  await page.getByText('Your ideas will be here').waitFor();
  await page.getByRole('button', { name: 'Add an idea' }).first().click();
  const form = page.getByRole('dialog');
  await form.getByLabel('Title').fill('A swing');
  await form.getByRole('button', { name: 'Save' }).click();
  await form.getByText('Enter some text').waitFor();
  await form.getByLabel('Description').fill('From the old oak');
  await form.getByRole('button', { name: 'Save' }).click();

  const column = (name) => page.getByRole('region', { name, exact: true });
  const idea = (name) => column(name).getByRole('link', { name: 'A swing' });
  const kept = (status) => eventually(async () => (await api('GET', '/api/v1/malya/ideas/1')).status === status, `the server keeps it as ${status}`);
  await idea('Draft').focus();
  await page.keyboard.press('ArrowRight');
  await idea('Active').waitFor();
  check(await idea('Active').evaluate((link) => link === document.activeElement), 'focus moves along');
  await page.keyboard.press('ArrowRight');
  await undo(page, '“A swing” is now in “In progress”', () => Promise.all([idea('In progress').waitFor(), kept('in_progress')]));
  await idea('Active').waitFor();
  await kept('active');

  await column('Active').getByText('From the old oak').dragTo(column('Completed'));
  await idea('Completed').waitFor();
  await kept('completed');
  await page.reload();
  await settled(page);
  await idea('Completed').waitFor();
  equal(await page.getByRole('link', { name: 'A swing' }).count(), 1, 'cards of one idea');

  await page.getByRole('button', { name: 'Delete: A swing' }).click();
  await undo(page, 'Deleted: A swing', () => page.getByText('Your ideas will be here').waitFor());
  await idea('Completed').waitFor();
}
