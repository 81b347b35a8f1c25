// How soon a page shows something.

import { PAGES, seed } from './frame.mjs';

/** With `PAGES_SPEED` the machine is there for this alone; without it, it is shared, and only what is badly wrong is found. */
const [LOADS, MOST_MS] = process.env.PAGES_SPEED ? [5, 500] : [1, 3000];
/** How many times slower the processor is made: about that of a phone. */
const SLOWER = 4;

const median = (numbers) => numbers.toSorted((one, other) => one - other)[Math.floor(numbers.length / 2)];

/** The first contentful paint of every page, nothing cached, on a slow processor: the median of some loads, of the slowest page. */
export async function paint({ person, api, check }) {
  await seed(api);
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
      const seen = await page.waitForFunction(() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime);
      times.push(Math.round(await seen.jsonValue()));
    }
    console.log(`${path}: ${median(times)} ms (${times.join(', ')})`);
    figures.push([median(times), path]);
  }
  const [slowest, path] = figures.toSorted(([one], [other]) => other - one)[0];
  check(slowest <= MOST_MS, `${path} shows something after ${slowest} ms, and not after ${MOST_MS}`);
}
