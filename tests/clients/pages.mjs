// Plays a scenario of ./pages/ against a running server in a browser: node pages.mjs CLIENTS BROWSER SCENARIO URL
// `CLIENTS` is where playwright-core and axe-core are installed. It prints `done` in the end, or fails.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { resolve } from 'node:path';

const [clients, browserPath, name, base] = process.argv.slice(2);
const require = createRequire(`${resolve(clients)}/`);
const { chromium } = require('playwright-core');
const axe = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');

/** Longest wait for anything that a page has to do. */
const PATIENCE_MS = 60_000;

const [area, scenario] = name.split('.');
const scenarios = await import(`./pages/${area}.mjs`);
const browser = await chromium.launch({ executablePath: browserPath, args: ['--no-sandbox', '--disable-quic'] });

/** Whatever a page complained of, and requests to other hosts. */
const complaints = [];

/** A new browser of a person: with cookies and storage of its own. */
async function person({ language = 'uk', width = 1280, height = 900, ...more } = {}) {
  const locale = language === 'uk' ? 'uk-UA' : 'en-GB';
  // Devices are where the household is: their day is its day.
  const context = await browser.newContext({ baseURL: base, locale, timezoneId: 'Europe/Kyiv', viewport: { width, height }, ...more });
  context.setDefaultTimeout(PATIENCE_MS);
  const page = await context.newPage();
  page.on('console', (message) => {
    // That a request was refused is written down by the browser itself, whatever the page makes of it.
    if (/^Failed to load resource|HTTP Authentication failed/.test(message.text())) return;
    if (['error', 'warning'].includes(message.type())) complaints.push(`${page.url()}: ${message.text()}`);
  });
  page.on('pageerror', (error) => complaints.push(`${page.url()}: ${error.stack ?? error}`));
  page.on('request', (request) => {
    if (!request.url().startsWith(base) && !/^(blob|data):/.test(request.url())) complaints.push(`${page.url()} asks ${request.url()}`);
  });
  return page;
}

/** Waits until a page shows what it has to show. */
async function settled(page) {
  try {
    await page.waitForFunction(() => document.querySelector('#view')?.getAttribute('aria-busy') === 'false'
      && !document.querySelector('[aria-busy=true]'));
  } catch (error) {
    throw new Error(`${page.url()} is busy for ever: ${await page.locator('main').innerText()}`, { cause: error });
  }
}

async function open(page, path) {
  await page.goto(path);
  await settled(page);
}

/** Throws when something of the page cannot be used by everybody. */
async function accessible(page) {
  const tools = await page.context().newCDPSession(page);
  // Past the policy of the page, which lets no script in from elsewhere.
  await tools.send('Runtime.evaluate', { expression: axe });
  const { result } = await tools.send('Runtime.evaluate', {
    awaitPromise: true,
    returnByValue: true,
    expression: `axe.run(document).then(({ violations }) => violations.flatMap(({ id, nodes }) =>
      nodes.map(({ html, failureSummary }) => id + ': ' + html.slice(0, 200) + ' ' + failureSummary)))`,
  });
  await tools.detach();
  equal(result.value, [], `${page.url()} is not for everybody`);
}

/** The notice that says this. */
const notice = (page, text) => page.locator('#toasts > div').filter({ hasText: text });

/** Takes back what a notice tells of, once this holds: the pointer on the notice keeps it until then. */
async function undo(page, text, holds) {
  await notice(page, text).hover();
  await holds();
  await notice(page, text).getByRole('button', { name: 'Undo' }).click();
}

/** Asks the API as a program would. */
async function api(method, path, json) {
  const answer = await fetch(base + path, {
    method, headers: json === undefined ? {} : { 'Content-Type': 'application/json' }, body: json === undefined ? undefined : JSON.stringify(json),
  });
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
  return answer.json();
}

function equal(found, wanted, what) {
  const [left, right] = [JSON.stringify(found), JSON.stringify(wanted)];
  if (left !== right) throw new Error(`${what}: ${left} instead of ${right}`);
}

function check(holds, what) {
  if (!holds) throw new Error(what);
}

/** Waits until this holds; a page may need a moment, and no longer than that. */
async function eventually(holds, what) {
  const until = Date.now() + PATIENCE_MS;
  while (!(await holds())) {
    if (Date.now() > until) throw new Error(`never: ${what}`);
    await new Promise((again) => setTimeout(again, 50));
  }
}

try {
  await scenarios[scenario]({ base, browser, person, open, settled, accessible, notice, undo, api, equal, check, eventually, complaints });
  equal(complaints, [], 'complaints');
  console.log('done');
} finally {
  await browser.close();
}
