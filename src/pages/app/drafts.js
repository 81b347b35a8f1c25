// Drafts written in turn: those of one person, and one of them with its ring. Whoever holds the ring writes; the others watch.

import { Problem, ask, complain, counted, el, empty, fill, memory, say, show, t, toast, view } from './app.js';
import { newKey, watchDraft } from './inkring.js';

const DRAFTS = '/v1/collab/drafts';
/** Characters that one segment may have. */
const SEGMENT_MAX = 500;
/** How often a reader without a name looks for news: sockets are for those who are known. */
const LOOK_MS = 3_000;
/** How often a page that is seen asks who watches. */
const WATCHERS_MS = 20_000;

// ---------------------------------------------------------------- who one is

/** `{ name }` where the server believes names, `{ name, token }` where it takes tokens. */
const kept = memory('identity', { forGood: true });
const me = kept.value ?? {};

/** The user that a token speaks of; the server says whether it is good. */
function subject(token) {
  try {
    const bytes = Uint8Array.from(atob(token.split('.')[1].replace(/-/g, '+').replace(/_/g, '/')), (letter) => letter.charCodeAt(0));
    const claims = JSON.parse(new TextDecoder().decode(bytes));
    return claims.sub ?? claims.userId ?? null;
  } catch {
    return null;
  }
}

function headers() {
  if (me.token) return { Authorization: `Bearer ${me.token}` };
  return me.name ? { 'X-User-Id': me.name } : {};
}

const request = (method, path, options = {}) => ask(method, path, { quiet: true, ...options, headers: { ...headers(), ...options.headers } });

/** Asks who one is: a name, or a token where the server does not believe names. */
function introduce(then, wrong) {
  const name = el('input', { id: 'who', name: 'name', autocomplete: 'username', maxlength: 100, value: me.token ? '' : me.name ?? '' });
  const token = el('textarea', { id: 'token', name: 'token', rows: 4, spellcheck: 'false', autocomplete: 'off' });
  const said = el('p', { class: 'problem', role: 'alert' }, wrong);
  const node = el('form', { class: 'form', onsubmit: async (event) => {
    event.preventDefault();
    const given = token.value.trim() ? { name: subject(token.value.trim()), token: token.value.trim() } : { name: name.value.trim() };
    if (!given.name) {
      said.textContent = token.value.trim() ? t('Це не схоже на токен.', 'This does not look like a token.') : t('Напишіть, хто ви.', 'Say who you are.');
      return;
    }
    for (const old of Object.keys(me)) delete me[old];
    Object.assign(me, given);
    try {
      await request('GET', DRAFTS);
    } catch (problem) {
      said.textContent = problem.status === 401
        ? given.token
          ? t('Сервер не приймає цього токена.', 'The server does not accept this token.')
          : t('Самого імені тут не досить: потрібен токен.', 'A name is not enough here: you need a token.')
        : problem.message;
      if (problem.status === 401 && !given.token) more.open = true;
      return;
    }
    kept.value = me;
    then();
  } },
  el('div', { class: 'field', id: 'names' }, el('label', { for: 'who' }, t('Ваше ім’я', 'Your name')), name));
  const more = el('details', {}, el('summary', {}, t('У мене є токен', 'I have a token')),
    el('div', { class: 'field' }, el('label', { for: 'token' }, t('Токен', 'Token')), token,
      el('p', { class: 'hint small' }, t('Його дає той, хто веде сервер. Він лишається в цьому браузері.', 'The operator of the server gives you one. It stays in this browser.'))));
  node.append(more, said, el('div', { class: 'row' }, el('button', { class: 'main', type: 'submit' }, t('Далі', 'Continue'))));
  show(el('section', { class: 'card' }, el('h2', {}, t('Хто ви?', 'Who are you?')), node));
  // Where no name is believed, none is asked for.
  ask('GET', DRAFTS, { quiet: true, headers: { 'X-User-Id': 'anybody' } }).catch((problem) => {
    if (problem.status !== 401) return;
    node.querySelector('#names').hidden = true;
    more.open = true;
  });
}

const identity = () => (me.name
  ? el('p', { class: 'quiet small' }, t('Ви — ', 'You are '), el('strong', {}, me.name), ' ',
    el('button', { type: 'button', class: 'plain', onclick: () => { kept.value = null; location.reload(); } }, t('Змінити', 'Change')))
  : el('p', { class: 'quiet small' }, t('Ви читаєте без імені. ', 'You are reading without a name. '),
    el('button', { type: 'button', class: 'plain', onclick: () => introduce(() => location.reload()) }, t('Сказати, хто ви', 'Say who you are'))));

/** Runs this as somebody; asks who that is if the server wants to know. Where `anybody` may do it, it is tried first. */
async function known(run, { anybody = false } = {}) {
  if (!me.name && !anybody) return introduce(() => known(run));
  try {
    await run();
  } catch (problem) {
    if (problem.status === 401) return introduce(() => known(run), t('Сервер хоче знати, хто ви.', 'The server needs to know who you are.'));
    if (!(problem instanceof Problem)) console.error(problem);
    fill(view, async () => { throw problem; });
  }
}

// ---------------------------------------------------------------- all drafts of one person

async function overview() {
  const { data: { data: drafts } } = await request('GET', DRAFTS);
  const title = el('input', { id: 'title', required: true, maxlength: 200, autocomplete: 'off' });
  const first = el('textarea', { id: 'first', maxlength: SEGMENT_MAX, rows: 3 });
  const said = el('p', { class: 'problem', role: 'alert' });
  const create = el('form', { class: 'card', onsubmit: async (event) => {
    event.preventDefault();
    const button = event.submitter;
    button.disabled = true;
    try {
      const { data: { data } } = await request('POST', DRAFTS, { json: { title: title.value, platform: 'page', initial_segment: first.value || null } });
      location.assign(`/drafts/${data.draft_id}`);
    } catch (problem) {
      said.textContent = [problem.message, ...Object.values(problem.fields)].join('. ');
      button.disabled = false;
    }
  } },
  el('h2', {}, t('Нова чернетка', 'New draft')),
  el('div', { class: 'field' }, el('label', { for: 'title' }, t('Назва', 'Title')), title),
  el('div', { class: 'field' }, el('label', { for: 'first' }, t('Перший рядок', 'The first lines'), el('small', {}, t(' (необов’язково)', ' (optional)'))), first),
  said, el('div', { class: 'row' }, el('button', { class: 'main', type: 'submit' }, t('Почати', 'Begin'))));

  const card = (draft) => el('li', {}, el('article', { class: 'card' },
    el('h3', {}, el('a', { href: `/drafts/${draft.draft_id}` }, draft.title)),
    el('p', { class: draft.ring_state.current_holder_id === me.name ? 'turn' : 'quiet' }, turnOf(draft)),
    el('p', { class: 'quiet small' }, [
      counted(draft.segments.length, ['уривок', 'уривки', 'уривків'], ['segment', 'segments']),
      counted(draft.collaborators.length + 1, ['людина', 'людини', 'людей'], ['person', 'people']),
      say.written(draft.updated_at),
    ].join(' · '))));
  show(identity(),
    drafts.length > 0
      ? el('section', { class: 'form' }, el('h2', {}, t('Ваші чернетки', 'Your drafts')), el('ul', { class: 'cards' }, drafts.map(card)))
      : empty(t('Чернеток ще немає. Почніть одну і передайте перстень: пише лише той, у кого він.', 'There are no drafts yet. Start one and pass the ring: only its holder can write.')),
    create);
}

function turnOf({ ring_state: { current_holder_id: holder } }) {
  return holder === me.name ? t('Перстень у вас: ваша черга', 'You hold the ring: it is your turn') : t(`Перстень у ${holder}`, `${holder} holds the ring`);
}

// ---------------------------------------------------------------- one draft

async function open(id) {
  const path = `${DRAFTS}/${encodeURIComponent(id)}`;
  const written = memory(`draft.${id}`);
  const heading = document.querySelector('h1');
  const turn = el('p', { class: 'card turn', role: 'status', 'aria-live': 'polite' });
  const text = el('ol', { class: 'segments', 'aria-label': t('Текст', 'Text') });
  const place = el('div', { class: 'form' });
  const state = el('p', { class: 'quiet small' });
  const watching = el('p', { class: 'quiet small' });
  let draft;

  /** What one writes survives a closed page; it goes when the server has it. */
  const content = el('textarea', { id: 'content', maxlength: SEGMENT_MAX, rows: 4, value: written.value ?? '', 'aria-describedby': 'left' });
  const left = el('p', { class: 'hint small number', id: 'left' });
  const sayLeft = () => { left.textContent = t(`Лишилося знаків: ${SEGMENT_MAX - content.value.length}`, `${SEGMENT_MAX - content.value.length} characters left`); };
  content.addEventListener('input', () => { written.value = content.value; sayLeft(); });
  content.addEventListener('keydown', (event) => { if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) writing.requestSubmit(); });
  // One key for one intent: what is sent again because an answer was lost is not written twice. Another text is another intent.
  let intent = {};
  const writing = el('form', { class: 'card', onsubmit: (event) => {
    event.preventDefault();
    if (content.value.trim()) act(async () => {
      if (intent.content !== content.value) intent = { content: content.value, idempotency_key: newKey() };
      const { data } = await request('POST', `${path}/segments`, { json: intent });
      intent = {};
      content.value = '';
      written.value = null;
      sayLeft();
      take(data.data);
    });
  } }, el('div', { class: 'field' }, el('label', { for: 'content' }, t('Ваш уривок', 'Your segment')), content, left),
  el('div', { class: 'row' }, el('button', { class: 'main', type: 'submit' }, t('Дописати', 'Append'))));

  async function act(change) {
    const buttons = [...place.querySelectorAll('button')];
    buttons.forEach((button) => { button.disabled = true; });
    try {
      await change();
    } catch (problem) {
      complain(problem);
      if (problem.status === 403) await read().catch(complain);
    } finally {
      buttons.forEach((button) => { button.disabled = false; });
    }
  }

  /** What each segment shows. */
  const shown = [];
  let pass = {};
  const members = () => [draft.creator_id, ...draft.collaborators];
  const passing = () => {
    const others = members().filter((member) => member !== me.name);
    if (others.length === 0) return el('p', { class: 'quiet' }, t('Передати перстень нікому: запросіть когось.', 'There is nobody to pass the ring to: invite someone.'));
    return el('div', { class: 'row', role: 'group', 'aria-label': t('Передати перстень', 'Pass the ring') }, t('Передати перстень:', 'Pass the ring to:'), others.map((member) => el('button', { type: 'button', onclick: () => act(async () => {
      if (pass.to_user_id !== member) pass = { to_user_id: member, idempotency_key: newKey() };
      const { data } = await request('POST', `${path}/pass-ring`, { json: pass });
      pass = {};
      take(data.data);
    }) }, member)));
  };
  // Kept: with the next news a link that was made would be gone, and what is being typed.
  const invitings = {};
  const inviting = (adds) => {
    const name = el('input', { id: 'other', required: true, maxlength: 100, autocomplete: 'off' });
    const link = el('input', { id: 'link', readonly: true, 'aria-describedby': 'link-hint', onfocus: () => link.select() });
    const shown = el('div', { class: 'field', hidden: true }, el('label', { for: 'link' }, t('Запрошення', 'Invitation')), link,
      el('p', { class: 'hint small', id: 'link-hint' }, t('Надішліть це посилання: воно діє три дні і лише для цієї людини.', 'Send this link: it is valid for three days, and only for this person.')));
    let key = newKey();
    name.addEventListener('input', () => { key = newKey(); });
    const copy = (text) => navigator.clipboard?.writeText(text).then(() => true, () => false);
    const invite = async (other) => {
      const { data } = await request('POST', `${path}/invites`, { json: { target_user_id: other, idempotency_key: key } });
      if (!data.data.share_url) return toast(t('Це запрошення вже створено. Щоб мати інше посилання, перезавантажте сторінку.', 'This invitation already exists. For another link, reload the page.'));
      link.value = location.origin + data.data.share_url;
      shown.hidden = false;
      link.focus();
      await copy(link.value);
    };
    const add = async (other) => {
      const { data } = await request('POST', `${path}/collaborators?${new URLSearchParams({ collaborator_id: other })}`);
      name.value = '';
      take(data.data);
      toast(await copy(location.href)
        ? t('Додано. Адресу сторінки скопійовано: надішліть її.', 'Added. The address of this page was copied: send it.')
        : t('Додано. Надішліть адресу цієї сторінки.', 'Added. Send the address of this page.'));
    };
    return el('details', { class: 'card' }, el('summary', {}, t('Запросити когось', 'Invite someone')),
      el('form', { class: 'form', onsubmit: (event) => {
        event.preventDefault();
        act(() => (adds && event.submitter?.value !== 'invite' ? add : invite)(name.value.trim()));
      } },
      el('div', { class: 'field' }, el('label', { for: 'other' }, t('Ім’я', 'Name')), name),
      el('div', { class: 'row' },
        adds && el('button', { type: 'submit' }, t('Додати', 'Add')),
        el('button', { type: 'submit', name: 'how', value: 'invite' }, t('Створити посилання', 'Make a link'))), shown));
  };

  function take(fresh) {
    draft = fresh;
    const holds = draft.ring_state.current_holder_id === me.name;
    const mine = members().includes(me.name);
    heading.textContent = draft.title;
    document.title = `${holds ? '● ' : ''}${draft.title} · ${holds ? t('ваша черга', 'your turn') : draft.ring_state.current_holder_id} · inkring`;
    turn.textContent = turnOf(draft);
    turn.classList.toggle('held', holds);
    draft.segments.forEach(({ content: words, user_id: author, created_at: at }, order) => {
      const says = `${author}\n${words}`;
      if (shown[order] === says) return;
      const item = el('li', {}, el('p', {}, words), el('p', { class: 'quiet small' }, author, ' · ', say.written(at)));
      // What is there already has changed because a text was taken out, or its author has left for good.
      if (order < shown.length) text.children[order].replaceWith(item);
      else text.append(item);
      shown[order] = says;
    });
    const at = document.activeElement;
    const adds = draft.creator_id === me.name;
    place.replaceChildren(...[
      holds && writing, holds && passing(),
      !mine && el('p', { class: 'quiet' }, t('Ви читаєте: писати можуть учасники.', 'You are reading: only members can write.')),
      (adds || holds) && (invitings[adds] ??= inviting(adds)),
      el('p', { class: 'quiet small' }, t('Учасники: ', 'Members: '), members().join(', ')),
    ].filter(Boolean));
    if (at !== document.activeElement && place.contains(at)) at.focus();
    sayLeft();
  }

  const read = async (signal) => {
    const { data } = await request('GET', path, { signal });
    take(data.data);
  };
  await read();
  show(identity(), turn, text, place, watching, state, el('p', {}, el('a', { href: '/drafts' }, t('До всіх чернеток', 'All drafts'))));

  const states = {
    connecting: t('З’єднуюся…', 'Connecting…'), live: t('Зміни видно одразу.', 'Changes appear immediately.'),
    waiting: t('Немає зв’язку; спробую знову.', 'Not connected; trying again.'), refused: t('Сервер не дає стежити за змінами; перезавантажте сторінку.', 'The server refuses to send changes; reload the page.'),
  };
  // Readings run one after another, so that an older one never shows over a newer.
  let last = Promise.resolve();
  const news = () => (last = last.then(() => read()).catch(complain));
  present(path, watching, () => members().includes(me.name));
  if (me.name) {
    // With a socket a browser sends no name: a ticket speaks for it.
    const ticket = async () => (await request('POST', '/v1/ws/tickets')).data.data.ticket;
    watchDraft({ draftId: id, token: me.token ?? ticket, onReread: (_, signal) => read(signal), onEvent: news, onState: (now) => { state.textContent = states[now]; } });
  } else {
    look(path, news, (there) => { state.textContent = there ? states.live : states.waiting; });
  }
}

/** Tells a member who has the draft open besides oneself, while the page is seen. */
async function present(path, node, isMember) {
  for (;;) {
    if (!document.hidden && isMember()) {
      try {
        const { data: { data } } = await request('GET', `${path}/watchers`);
        const others = data.watchers.filter((name) => name !== me.name);
        const more = data.count - data.watchers.length;
        const names = [...others, more > 0 && t(`і ще ${more}`, `${more} more`)].filter(Boolean);
        node.textContent = names.length ? `${t('Зараз дивляться: ', 'Watching now: ')}${names.join(', ')}` : '';
      } catch {
        node.textContent = '';
      }
    }
    await new Promise((resolve) => setTimeout(resolve, WATCHERS_MS));
  }
}

/** Looks for news again and again while the page is seen. */
async function look(path, news, tell) {
  let seq;
  for (;;) {
    try {
      if (!document.hidden) {
        const { data: { to } } = await request('GET', `${path}/events?since=0&limit=1`);
        if (seq !== undefined && to !== seq) news();
        seq = to;
        tell(true);
      }
    } catch {
      tell(false);
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}

// ---------------------------------------------------------------- an invitation

/** What one is invited to, and a button that accepts. The token stands in the link; it leaves the address bar once it was read. */
async function invitation(invite) {
  const path = `/v1/collab/invites/${encodeURIComponent(invite)}`;
  const token = memory(`invite.${invite}`);
  const given = new URLSearchParams(location.search).get('token');
  if (given) {
    token.value = given;
    history.replaceState(null, '', location.pathname);
  }
  let seen;
  try {
    seen = (await request('GET', path, { headers: { 'X-Invite-Token': token.value ?? '' } })).data.data;
  } catch (problem) {
    if (problem.status !== 403 && problem.status !== 404) throw problem;
    const why = problem.status === 404
      ? t('Такого запрошення немає: його могли прибрати разом із чернеткою.', 'There is no such invitation: its draft may have been deleted.')
      : t('Це запрошення не для вас, або посилання неповне. Якщо вас звуть інакше, змініть ім’я.', 'This invitation is not for you, or the link is incomplete. If you use another name, change it.');
    return show(identity(), el('p', { class: 'card', role: 'alert' }, why));
  }
  document.querySelector('h1').textContent = seen.draft_title;
  document.title = `${seen.draft_title} · inkring`;
  const states = {
    pending: t(`${seen.created_by_user_id} запрошує вас писати разом. Запрошення діє до: `, `${seen.created_by_user_id} invites you to write together. The invitation is valid until: `),
    accepted: t('Ви вже прийняли це запрошення.', 'You have accepted this invitation.'),
    revoked: t('Це запрошення відкликали.', 'This invitation was revoked.'),
    expired: t('Це запрошення більше не діє. Попросіть нове.', 'This invitation has expired. Ask for a new one.'),
  };
  const draft = `/drafts/${seen.draft_id}`;
  // One key for one intent, as for all that may be asked for again.
  const key = newKey();
  const accept = el('button', { class: 'main', type: 'button', onclick: async () => {
    accept.disabled = true;
    try {
      await request('POST', `${path}/accept`, { json: { token: token.value, idempotency_key: key } });
      token.value = null;
      location.assign(draft);
    } catch (problem) {
      complain(problem);
      accept.disabled = false;
    }
  } }, t('Прийняти запрошення', 'Accept the invitation'));
  show(identity(), el('section', { class: 'card' },
    el('p', {}, states[seen.status], seen.status === 'pending' && say.written(seen.expires_at)),
    el('div', { class: 'row' }, seen.status === 'pending' ? accept : el('a', { href: draft }, t('До чернетки', 'Open the draft')))));
}

const [, place, second, third] = location.pathname.split('/');
const id = place === 'drafts' ? decodeURIComponent(second ?? '') : new URLSearchParams(location.search).get('draftId') ?? '';
if (place === 'collab') known(() => invitation(decodeURIComponent(third ?? '')));
else known(() => (id ? open(id) : overview()), { anybody: Boolean(id) });
