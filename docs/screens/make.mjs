// Makes the pictures of this folder: node docs/screens/make.mjs TARGET/CLIENTS CHROMIUM URL
// from a running server that `inkring demo` has filled. TARGET/CLIENTS is where playwright-core is installed, as .ci/run does it.
// Make them with a font for emoji (Debian: fonts-noto-color-emoji): without one, the signs of the modules are empty boxes.

import { createRequire } from 'node:module';
import { dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const [clients, browserPath, base] = process.argv.slice(2);
const { chromium } = createRequire(`${resolve(clients)}/`)('playwright-core');
const here = dirname(fileURLToPath(import.meta.url));

const PICTURES = [
  { name: 'ci', path: '/ci', language: 'en' },
  { name: 'kazkar', path: '/kazkar', language: 'en' },
  { name: 'calendar', path: '/calendar?view=week', language: 'en' },
  { name: 'gallery', path: '/gallery', language: 'uk' },
  { name: 'malya', path: '/malya', language: 'uk', width: 390, height: 780 },
  { name: 'draft', draft: 'The lighthouse', language: 'en', as: 'bob', watchers: ['alice', 'carol'], types: 'He counted them again on the way down', height: 984 },
];

/** A page of somebody who has given this name, or of nobody in particular. */
async function open({ path, language, as, width = 1200, height = 760 }) {
  const locale = language === 'uk' ? 'uk-UA' : 'en-GB';
  const context = await browser.newContext({ baseURL: base, locale, viewport: { width, height } });
  const page = await context.newPage();
  if (as) await page.addInitScript((name) => localStorage.setItem('inkring.identity', JSON.stringify({ name })), as);
  await page.goto(path);
  await page.waitForFunction(() => document.querySelector('#view')?.getAttribute('aria-busy') === 'false' && !document.querySelector('[aria-busy=true]'));
  return page;
}

/** Where the draft with this title is. */
async function pathOf(title, user) {
  const answer = await fetch(new URL('/v1/collab/drafts', base), { headers: { 'X-User-Id': user } });
  const { data } = await answer.json();
  return `/drafts/${data.find((draft) => draft.title === title).draft_id}`;
}

const browser = await chromium.launch({ executablePath: browserPath, args: ['--no-sandbox'] });
for (const picture of PICTURES) {
  const { name, draft, as, watchers = [], types } = picture;
  const path = draft ? await pathOf(draft, as) : picture.path;
  const watching = [];
  for (const watcher of watchers) {
    const page = await open({ ...picture, path, as: watcher });
    await page.getByText('Changes appear immediately.').waitFor();
    watching.push(page);
  }
  const page = await open({ ...picture, path });
  if (watchers.length > 0) {
    await page.getByText(`Watching now: ${watchers.join(', ')}`).waitFor();
    await page.getByText('Changes appear immediately.').waitFor();
  }
  if (types) await page.getByLabel('Your segment').fill(types);
  await page.evaluate(() => Promise.all([...document.images].map((image) => image.decode().catch(() => {}))));
  await page.evaluate(() => document.activeElement?.blur());
  await page.screenshot({ path: resolve(here, `${name}.png`) });
  for (const opened of [...watching, page]) await opened.context().close();
}
await browser.close();
