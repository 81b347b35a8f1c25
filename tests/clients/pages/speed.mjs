// How soon a page shows something.

import { PAGES, seed } from './frame.mjs';

/** What times are measured by, with `PAGES_SPEED`, on a machine that does nothing else. */
const LOADS = 5;
const MOST_MS = 500;
/** How many times slower the processor is made: about that of a phone. */
const SLOWER = 4;

const median = (numbers) => numbers.toSorted((one, other) => one - other)[Math.floor(numbers.length / 2)];
const painted = async (page) => {
  const seen = await page.waitForFunction(() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime);
  return seen.jsonValue();
};

/**
 * Every page shows something before any of what it asks for has come, and waits for nothing but a style sheet or two of its own before:
 * that holds however busy a machine is. With `PAGES_SPEED` the time counts besides.
 */
export async function paint({ person, api, check, equal }) {
  await seed(api);
  const page = await person();
  const held = [];
  await page.route('**', (route) => (['fetch', 'xhr', 'eventsource'].includes(route.request().resourceType()) ? void held.push(route) : route.continue()));
  for (const path of PAGES) {
    await page.goto(path);
    await painted(page);
    check((await page.locator('main').innerText()).trim() !== '', `${path} shows something`);
    const waited = await page.evaluate(() => performance.getEntriesByType('resource')
      .filter(({ renderBlockingStatus }) => renderBlockingStatus === 'blocking').map(({ name }) => new URL(name).pathname));
    equal(waited.filter((name) => !name.endsWith('.css')), [], `what ${path} waits for besides style`);
    check(waited.length <= 2, `${path} waits for ${waited}`);
    for (const route of held.splice(0)) await route.abort().catch(() => {});
  }
  await page.context().close();
  if (process.env.PAGES_SPEED) await time({ person, check });
}

/** The first contentful paint of every page, nothing cached, on a slow processor: the median of some loads, of the slowest page. */
async function time({ person, check }) {
  const page = await person();
  const tools = await page.context().newCDPSession(page);
  await tools.send('Emulation.setCPUThrottlingRate', { rate: SLOWER });
  await tools.send('Network.enable');
  await tools.send('Network.setCacheDisabled', { cacheDisabled: true });
  const figures = [];
  for (const path of PAGES) {
    const times = [];
    for (let load = 0; load < LOADS; load += 1) {
      await page.goto(path);
      times.push(Math.round(await painted(page)));
    }
    console.log(`${path}: ${median(times)} ms (${times.join(', ')})`);
    figures.push([median(times), path]);
  }
  const [slowest, path] = figures.toSorted(([one], [other]) => other - one)[0];
  check(slowest <= MOST_MS, `${path} shows something after ${slowest} ms, and not after ${MOST_MS}`);
}
