// A household with a password.

/** A page asks to sign in, a wrong password is told, the right one leads back; an ended session asks again. */
export async function signIn({ person, open, settled, eventually, equal, base }) {
  const page = await person({ language: 'en' });
  await page.goto('/kazkar?q=mill');
  await page.waitForURL('**/sign-in?next=*');
  await page.getByLabel('The household’s password').fill('not that one');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByText('Wrong password.').waitFor();
  await page.getByLabel('The household’s password').fill('a password of the tests');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.waitForURL('**/kazkar?q=mill');
  await settled(page);
  await page.getByText('Nothing found.').waitFor();

  await open(page, '/settings');
  await page.getByText('this device', { exact: true }).waitFor();
  await page.getByRole('button', { name: 'Sign out on this device' }).click();
  await eventually(() => new URL(page.url()).pathname === '/sign-in', 'signed out');
  await page.goto('/malya');
  await page.waitForURL('**/sign-in?next=*');
  // Nobody is led away from here.
  for (const next of ['//evil.example/', '/\\evil.example/', 'https://evil.example/', 'javascript:alert(1)', '/%09/evil.example']) {
    await page.goto(`/sign-in?next=${encodeURIComponent(next)}`);
    await page.getByLabel('The household’s password').fill('a password of the tests');
    await page.getByRole('button', { name: 'Sign in' }).click();
    await eventually(() => !page.url().includes('/sign-in'), 'signed in');
    equal(new URL(page.url()).origin, base, `where ${next} leads`);
    // A page that is left alone would itself ask to sign in again.
    await page.goto('about:blank');
    await page.context().clearCookies();
  }
}
