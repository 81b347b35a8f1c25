// The chat: questions to the household's own records. What was said stays for as long as the tab is open.

import { Problem, ask, el, memory, show, t } from './app.js';

/** How many turns the server is told, and how many are kept here. */
const TOLD = 10;
const KEPT = 200;
/** Characters of a message that the server takes. */
const MOST = 4000;

const EXAMPLES = [
  t('Що завтра?', 'What is tomorrow?'), t('Скільки в нас історій?', 'How many stories do we have?'), t('Розкажи про бабусю', 'Tell me about grandma'),
];

/** Turns are `{ role, content }` as the server has them; `local` marks what was found in records, `failed` what was not answered. */
const kept = memory('chat');
let turns = kept.value?.turns ?? [];

const log = el('div', { class: 'chat-log', role: 'log', 'aria-label': t('Розмова', 'The conversation'), tabindex: 0 });
const start = el('div', { class: 'empty' });
const field = el('textarea', {
  id: 'message', rows: 2, maxlength: MOST, required: true, value: kept.value?.draft ?? '', 'aria-describedby': 'message-hint', enterkeyhint: 'send',
});
const send = el('button', { class: 'main', type: 'submit' }, t('Запитати', 'Ask'));
const again = el('button', { type: 'button', onclick: forget }, t('Почати спочатку', 'Start over'));
const form = el('form', { class: 'chat-form' },
  el('label', { for: 'message' }, t('Питання', 'Question')), field,
  el('div', { class: 'row between' }, el('p', { class: 'hint small', id: 'message-hint' }, t('Enter надсилає, Shift+Enter починає новий рядок.', 'Enter sends, Shift+Enter starts a new line.')), el('div', { class: 'row' }, again, send)));

const keep = () => { kept.value = turns.length > 0 || field.value ? { turns: turns.slice(-KEPT), draft: field.value } : null; };

function bubble(turn) {
  const own = turn.role === 'user';
  return el('article', { class: own ? 'chat-turn chat-own' : 'chat-turn' },
    el('p', { class: 'unseen' }, own ? t('Ви:', 'You:') : t('Відповідь:', 'The answer:')),
    el('p', { class: 'chat-text' }, turn.content),
    turn.local && el('p', { class: 'quiet small' }, t('З ваших записів, на цьому сервері', 'From your own records, on this server')),
    turn.failed && el('div', { class: 'row' }, el('span', { class: 'problem' }, turn.failed),
      el('button', { type: 'button', onclick: () => repeat(turn) }, t('Запитати ще раз', 'Ask again'))));
}

/** Shows all turns, or only adds the last. */
function draw(last) {
  if (last) log.append(bubble(last));
  else log.replaceChildren(...turns.map(bubble));
  log.hidden = turns.length === 0;
  start.hidden = turns.length > 0;
  again.hidden = turns.length === 0;
  log.scrollTop = log.scrollHeight;
}

function add(turn) {
  turns.push(turn);
  keep();
  draw(turn);
}

async function answer(question) {
  const at = turns.indexOf(question);
  const history = turns.slice(0, at).filter(({ failed }) => !failed).slice(-TOLD).map(({ role, content }) => ({ role, content }));
  send.disabled = true;
  log.setAttribute('aria-busy', 'true');
  const thinking = el('p', { class: 'chat-turn quiet' }, t('Шукаю…', 'Looking…'));
  log.append(thinking);
  log.scrollTop = log.scrollHeight;
  try {
    const { data } = await ask('POST', '/api/v1/ci/chat', { json: { message: question.content, context: { history } } });
    thinking.remove();
    // Whoever started over meanwhile does not want the answer.
    if (turns.includes(question)) add({ role: 'assistant', content: data.reply, local: data.source === 'local' });
  } catch (problem) {
    if (!(problem instanceof Problem)) console.error(problem);
    question.failed = why(problem);
    keep();
    draw();
  }
  send.disabled = false;
  log.setAttribute('aria-busy', 'false');
}

const why = (problem) => ({
  chat_unavailable: t('Розмову на цьому сервері вимкнено (CHAT_ENABLED). Шукати можна полем Ci: клавіша «/».', 'Chat is switched off on this server (CHAT_ENABLED). You can still search with the Ci box: press “/”.'),
})[problem.code] ?? problem.message;

function say(content) {
  const question = { role: 'user', content };
  add(question);
  answer(question);
}

/** Asks again what was not answered, at the end of what was said since. */
function repeat(question) {
  turns = turns.filter((turn) => turn !== question);
  draw();
  say(question.content);
  field.focus();
}

function forget() {
  turns = [];
  keep();
  draw();
  field.focus();
}

form.addEventListener('submit', (event) => {
  event.preventDefault();
  const content = field.value.trim();
  if (content === '' || send.disabled) return;
  field.value = '';
  say(content);
});
field.addEventListener('input', keep);
field.addEventListener('keydown', (event) => {
  // A word that is being composed is not a message yet.
  if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  form.requestSubmit();
});

start.append(el('p', {}, t('Питайте про день, про те, скільки чого є, чи про будь-яке слово з ваших записів. Відповіді складено з них самих; нічого нікуди не надсилається.', 'Ask about a day, how many of something there are, or any word in your records. Answers come only from your records; nothing is sent anywhere.')),
  el('div', { class: 'row' }, EXAMPLES.map((text) => el('button', { type: 'button', onclick: () => { say(text); field.focus(); } }, text))));
show(el('div', { class: 'chat' }, start, log, form));
draw();
if (matchMedia('(hover: hover)').matches) field.focus({ preventScroll: true });
