// What all pages have in common.

export const PAGES = ['/ci', '/ci/legend', '/chat', '/kazkar', '/kazkar/legends', '/kazkar/1', '/podija', '/nastrij', '/malya', '/gallery', '/calendar', '/settings', '/sign-in', '/drafts', '/api/docs'];
const WIDTHS = [360, 768, 1440];

/** Text that would be markup, code or an address if anybody took it for that. */
const HOSTILE = '<img src=x onerror="window.hurt=1"><script>window.hurt=1</script>"\'><svg onload=window.hurt=1>{{7*7}}javascript:window.hurt=1';

/** A little of everything. */
export async function seed(api, text = (word) => word) {
  const now = new Date();
  const day = (days) => new Date(now.getTime() + days * 86_400_000).toISOString().slice(0, 10);
  await api('POST', '/api/v1/kazkar/stories', { title: text('Млин'), content: `${text('Старий млин')}\n\nІ річка.`, story_type: 'legend', participants: [text('Іван')], location: text('Канів'), tags: [text('дім')] });
  await api('POST', '/api/v1/podija/events', { title: text('Ярмарок'), description: text('У місті'), event_date: `${day(3)}T12:00`, event_type: 'family', participants: [text('Оля')], location: text('Київ'), tags: [text('дім')] });
  await api('POST', '/api/v1/podija/events', { title: text('Іспит'), event_date: `${day(-3)}T09:00`, event_type: text('work') });
  await api('POST', '/api/v1/nastrij/emotions', { emotion_state: text('calm'), intensity: 6, context: text('вдома'), triggers: [text('тиша')], notes: text('добре') });
  await api('POST', '/api/v1/malya/ideas', { title: text('Гойдалка'), description: text('З дуба'), status: 'active', idea_type: text('home'), priority: 'high', resources: [text('дошка')], tags: [text('дім')] });
  await api('POST', '/api/v1/calendar/entries', { title: text('Басейн'), scheduled_at: `${day(0)}T18:00`, description: text('З дітьми'), location: text('Центр'), recurrence_pattern: 'weekly', tags: [text('дім')] });
  await api('POST', '/api/v1/gallery/items', { title: text('Світлина'), description: text('Берег'), media_type: 'document', url: '/media/none', tags: [text('дім')] });
}

/** Every page in both languages and at three widths: nothing is complained of, nothing is out of reach, nothing is too wide. */
export async function everywhere({ person, open, accessible, api, equal, check, eventually }) {
  await seed(api);
  for (const language of ['uk', 'en']) {
    const page = await person({ language });
    for (const path of PAGES) {
      await open(page, path);
      equal(await page.getAttribute('html', 'lang'), language, path);
      equal(await page.getAttribute('html', 'data-theme'), path.startsWith('/kazkar') ? 'night' : 'day', path);
      check(await page.locator('.trouble').count() === 0, `${path} is in trouble: ${await page.locator('.trouble').allTextContents()}`);
      for (const width of WIDTHS) {
        await page.setViewportSize({ width, height: 900 });
        // A window that is drawn at no width but the first has never been another.
        await page.evaluate(() => new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn))));
        check(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${path} is too wide at ${width}`);
      }
      // A window that becomes narrow, or a phone that is turned, still shows where one is.
      await page.setViewportSize({ width: WIDTHS[0], height: 900 });
      await eventually(() => page.evaluate(() => {
        const here = document.querySelector('.top nav [aria-current]');
        if (!here) return true;
        const [link, frame] = [here, here.closest('nav')].map((one) => one.getBoundingClientRect());
        return link.left >= frame.left - 1 && link.right <= frame.right + 1;
      }), `${path} has its own entry of the navigation in sight`);
      // Words differ, elements do not: once is enough of what takes longest.
      if (language === 'uk') await accessible(page);
    }
    await page.context().close();
  }
}

/** The root leads to Ci; the round button opens its box without leaving the page; the language is remembered. */
export async function shell({ person, open, settled, equal, check }) {
  const page = await person({ language: 'uk' });
  await open(page, '/');
  equal(new URL(page.url()).pathname, '/ci', 'where one comes to');
  await page.click('#ci');
  await page.waitForSelector('dialog[open]');
  equal(new URL(page.url()).pathname, '/ci', 'the address');
  await page.keyboard.press('Escape');
  await page.waitForSelector('dialog', { state: 'detached' });
  check(await page.evaluate(() => document.activeElement.id === 'ci'), 'focus returns to the button');
  await page.click('#language');
  await page.waitForSelector('html[lang=en]');
  await settled(page);
  await open(page, '/kazkar');
  equal(await page.getAttribute('html', 'lang'), 'en', 'the language of the next page');
  equal(await page.getAttribute('html', 'data-theme'), 'night', 'the theme');
}

/** With nothing but a keyboard: past the navigation to the content, and into the box. */
export async function keyboard({ person, open, check, eventually }) {
  const page = await person({ language: 'en' });
  await open(page, '/kazkar');
  await page.keyboard.press('Tab');
  check(await page.evaluate(() => document.activeElement.classList.contains('skip')), 'the first stop leads to the content');
  await page.keyboard.press('Enter');
  await eventually(() => page.evaluate(() => document.activeElement.id === 'main'), 'the content has focus');
  await page.keyboard.press('/');
  await page.waitForSelector('dialog[open]');
  await eventually(() => page.evaluate(() => Boolean(document.activeElement.closest('dialog'))), 'the box has focus');
}

/** What people write is text on every page, whatever it says. */
export async function hostile({ person, open, api, check, eventually }) {
  await seed(api, (word) => `${HOSTILE} ${word}`);
  await api('POST', '/api/v1/ci/capture', { type: 'text', content: `${HOSTILE} завтра о 10:00 #дім` });
  const page = await person();
  for (const path of PAGES) {
    await open(page, path);
    check(await page.evaluate(() => window.hurt === undefined), `${path} was hurt`);
    check(await page.locator('#view img[src=x], #view script, #view svg[onload]').count() === 0, `${path} made markup of text`);
    check(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${path} is too wide`);
  }
  await open(page, '/kazkar');
  await page.click('#ci');
  await page.locator('dialog input').first().fill('дім');
  await eventually(async () => (await page.locator('dialog').textContent()).includes('onerror'), 'the search shows it as text');
  check(await page.evaluate(() => window.hurt === undefined), 'the search was hurt');
}

/** Without a network a page says so, and goes on by itself when there is one again. */
export async function offline({ person, open, api, eventually }) {
  await seed(api);
  const page = await person({ language: 'en' });
  await open(page, '/kazkar');
  await page.context().setOffline(true);
  await page.getByRole('button', { name: 'Legend', exact: true }).click();
  await page.getByText('You are offline').first().waitFor();
  await page.context().setOffline(false);
  await api('POST', '/api/v1/kazkar/stories', { title: 'Written meanwhile', content: 'Yes', story_type: 'legend' });
  await page.getByRole('button', { name: 'Legend', exact: true }).click();
  await eventually(() => page.getByText('Written meanwhile').isVisible(), 'it shows what was written meanwhile');
}

