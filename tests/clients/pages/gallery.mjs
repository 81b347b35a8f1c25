// The gallery: files that are sent, seen one by one, and very many of them.

import { readFile } from 'node:fs/promises';

const picture = (size) => readFile(new URL(`../../../src/pages/app/icon-${size}.png`, import.meta.url));

/** The largest file that the server of `files` takes, as `tests/it/pages_browser.rs` sets it. */
const MOST_BYTES = 2_000_000;

/** How many items `scrolling` has, and its longest task. */
const MANY = 1000;
const LONGEST_TASK_MS = 50;

/** Files are sent with their progress shown; one is cancelled, two are wrong; the others are seen large, by keyboard, and one is deleted by a slip. */
export async function files({ person, open, undo, api, eventually, equal }) {
  const [small, large] = [await picture(192), await picture(512)];
  const page = await person({ language: 'en' });
  await open(page, '/gallery');
  await page.getByText('Your family’s pictures, videos and documents will be here').waitFor();
  // On loopback no progress could be seen.
  const tools = await page.context().newCDPSession(page);
  const hurry = (bytes) => tools.send('Network.emulateNetworkConditions', { offline: false, latency: 0, downloadThroughput: -1, uploadThroughput: bytes });
  await tools.send('Network.enable');
  await hurry(200_000);
  const [chooser] = await Promise.all([page.waitForEvent('filechooser'), page.getByRole('button', { name: 'Add files' }).first().click()]);
  const file = (name, buffer) => ({ name, buffer, mimeType: 'application/octet-stream' });
  await chooser.setFiles([
    file('long.png', Buffer.concat([large, Buffer.alloc(1_800_000)])), file('oak.png', small), file('river.png', large),
    file('empty.png', Buffer.alloc(0)), file('film.mp4', Buffer.alloc(MOST_BYTES + 1)),
  ]);
  const queue = page.getByRole('region', { name: 'Uploads' });
  const progress = queue.getByRole('progressbar', { name: 'long.png' });
  await eventually(() => progress.evaluate(({ value }) => value > 0 && value < 1), 'a part of it has come');
  await queue.getByRole('button', { name: 'Cancel: long.png' }).click();
  await eventually(async () => await progress.count() === 0, 'it is not on its way any more');
  await hurry(-1);
  await queue.getByText('The file is empty').waitFor();
  await queue.getByText('Too large: the server takes files of up to 2 MB').waitFor();
  await eventually(async () => (await api('GET', '/api/v1/gallery/items')).length === 2, 'two files are kept');
  await queue.getByRole('button', { name: 'Dismiss: empty.png' }).click();
  await queue.getByRole('button', { name: 'Dismiss: film.mp4' }).click();
  await eventually(() => queue.isHidden(), 'nothing is on its way');

  const tile = (name) => page.getByRole('region', { name: 'Files', exact: true }).getByRole('button', { name });
  await tile('river').waitFor();
  await tile('river').press('Enter');
  const box = page.getByRole('dialog');
  const shows = (name) => eventually(async () => (await box.getByRole('heading').first().textContent()).startsWith(name)
    && await box.getByRole('img').evaluate((image) => image.complete && image.naturalWidth > 0), `it shows ${name}`);
  await shows('river');
  await page.keyboard.press('ArrowRight');
  await shows('oak');
  await page.keyboard.press('ArrowLeft');
  await shows('river');
  await page.keyboard.press('ArrowRight');
  await shows('oak');
  await page.keyboard.press('Escape');
  await eventually(() => tile('oak').evaluate((button) => button === document.activeElement), 'focus is on what was seen last');

  await page.keyboard.press('Enter');
  await box.getByRole('button', { name: /^Delete: oak/ }).click();
  await undo(page, 'Deleted: oak', () => eventually(async () => await tile('oak').count() === 0, 'it is deleted'));
  await tile('oak').waitFor();
  equal(await tile(/oak|river/).count(), 2, 'tiles');
}

/**
 * A thousand items load as one scrolls, and what is there stays: a list that is drawn anew as a whole would be found here however busy a
 * machine is. With `PAGES_SPEED` the machine does nothing else, and no task takes longer than 50 ms.
 */
export async function scrolling({ person, open, api, eventually, equal, check }) {
  for (let at = 0; at < MANY; at += 20) {
    await Promise.all(Array.from({ length: 20 }, (_, next) => api('POST', '/api/v1/gallery/items', {
      title: `Picture ${at + next}`, description: 'By the river', media_type: 'photo', url: '/media/none', tags: [`album ${at % 7}`],
    })));
  }
  const page = await person({ language: 'en' });
  await open(page, '/gallery');
  const tiles = page.getByRole('region', { name: 'Files', exact: true }).getByRole('listitem');
  const first = await tiles.count();
  await tiles.first().evaluate((tile) => {
    Object.assign(window, { tasks: [], added: 0, removed: 0 });
    new PerformanceObserver((seen) => window.tasks.push(...seen.getEntries().map(({ duration }) => duration))).observe({ type: 'longtask' });
    new MutationObserver((seen) => {
      for (const { addedNodes, removedNodes } of seen) {
        window.added += addedNodes.length;
        window.removed += removedNodes.length;
      }
    }).observe(tile.parentNode, { childList: true });
  });
  await page.mouse.move(600, 600);
  await eventually(async () => {
    await page.mouse.wheel(0, 1500);
    return await tiles.count() === MANY;
  }, 'all of them are there');
  const { tasks, added, removed } = await page.evaluate(() => ({ tasks: window.tasks, added: window.added, removed: window.removed }));
  equal([added, removed], [MANY - first, 0], 'tiles that came, and that went');
  console.log(`${MANY} items: ${tasks.length} tasks of more than ${LONGEST_TASK_MS} ms, the longest of ${Math.max(0, ...tasks)} ms`);
  if (process.env.PAGES_SPEED) check(tasks.every((duration) => duration <= LONGEST_TASK_MS), `a task of ${Math.max(...tasks)} ms while scrolling`);
}
