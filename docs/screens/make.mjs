// Makes the pictures of this folder: node docs/screens/make.mjs TARGET/CLIENTS CHROMIUM URL
// from a running server that `inkring demo` has filled. TARGET/CLIENTS is where playwright-core is installed, as .ci/run does it.

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
  { name: 'drafts', path: '/drafts', language: 'en', as: 'bob' },
];

const browser = await chromium.launch({ executablePath: browserPath, args: ['--no-sandbox'] });
for (const { name, path, language, as, width = 1200, height = 760 } of PICTURES) {
  const locale = language === 'uk' ? 'uk-UA' : 'en-GB';
  const context = await browser.newContext({ baseURL: base, locale, viewport: { width, height } });
  const page = await context.newPage();
  if (as) await page.addInitScript((name) => localStorage.setItem('inkring.identity', JSON.stringify({ name })), as);
  await page.goto(path);
  await page.waitForFunction(() => document.querySelector('#view')?.getAttribute('aria-busy') === 'false' && !document.querySelector('[aria-busy=true]'));
  await page.evaluate(() => Promise.all([...document.images].map((image) => image.decode().catch(() => {}))));
  await page.evaluate(() => document.activeElement?.blur());
  await page.screenshot({ path: resolve(here, `${name}.png`) });
  await context.close();
}
await browser.close();
