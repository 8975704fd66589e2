// Shows the view that the address names, and again whenever the broker has looked at its rules.

import { h, ask, link, problem, empty, named } from './dom.js';
import { forget } from './charts.js';
import { let_go } from './press.js';
import { now_view, timeline_view, groups_view, topics_view, slow_view, skew_view, forget_events } from './views.js';
import { group_view, topic_view, number_view, runbook_view, config_view } from './details.js';
import { beans_view, bean_view } from './beans.js';

const VIEWS = [
  ['', 'Now', now_view],
  ['groups', 'Groups', groups_view],
  ['topics', 'Topics', topics_view],
  ['skew', 'Skew', skew_view],
  ['slow', 'Slow requests', slow_view],
  ['timeline', 'Timeline', timeline_view],
  ['number', 'Numbers', number_view],
  ['beans', 'Beans', beans_view],
  ['config', 'Settings', config_view],
];
const DETAILS = { group: ['groups', group_view], topic: ['topics', topic_view], runbook: ['', runbook_view], bean: ['beans', bean_view] };
// Views by the words of their tabs.
const ALSO = { now: '', numbers: 'number', settings: 'config' };
// Asked again this often while nobody tells of changes, in ms.
const POLL_MS = 10000;
// A view that has not come after this long is given up, so that a lost answer is not waited for.
const LONGEST_MS = 120000;

const main = document.getElementById('main');
const nav = document.getElementById('nav');
const live = document.getElementById('live');
const links = VIEWS.map(([name, title]) => link(`#/${name}`, title));
nav.replaceChildren(...links);

function address() {
  const [name = '', ...parts] = location.hash.replace(/^#\/?/, '').split('/').map((part) => { try { return decodeURIComponent(part); } catch { return part; } });
  return { name: ALSO[name] ?? name, parts };
}

let shown = null;
// The view that is on its way, and whether something new was told meanwhile.
let coming = null;

// One view at a time is asked for: what is new meanwhile waits for it, else a view that takes longer than from one
// look to the next would never be drawn. Another address does not wait.
async function show(again) {
  const here = location.hash;
  if (again && coming && coming.here === here) {
    coming.again = true;
    return;
  }
  if (coming) coming.stop.abort();
  const mine = { here, again: false, stop: new AbortController() };
  coming = mine;
  const limit = setTimeout(() => mine.stop.abort(new Error(`No answer within ${LONGEST_MS / 1000} s.`)), LONGEST_MS);
  try {
    await draw(mine, again);
  } finally {
    clearTimeout(limit);
    if (coming === mine) {
      coming = null;
      if (mine.again) show(true);
    }
  }
}

async function draw(mine, again) {
  const { here, stop: { signal } } = mine;
  const { name, parts } = address();
  const [tab, view] = DETAILS[name] || [name, (VIEWS.find(([have]) => have === name) || [])[2]];
  links.forEach((it, at) => (VIEWS[at][0] === tab ? it.setAttribute('aria-current', 'page') : it.removeAttribute('aria-current')));
  let content;
  try {
    if (again && view && view.still && shown === location.hash) {
      await ask('/health/live', { signal });
      say('live');
      return;
    }
    const make = view ? await view(signal, ...parts) : () => [empty('There is no such view.')];
    say('live');
    if (shown === here) await let_go();
    // A later view has been asked for meanwhile, or is about to be.
    if (mine !== coming || here !== location.hash) return;
    content = make();
  } catch (error) {
    if (mine !== coming || here !== location.hash) return;
    if (again && shown === here) { say('stale'); return; }
    content = [h('h1', {}, named(parts[0] || 'Pharos', 200)), problem(error)];
  }
  const same = shown === here;
  shown = here;
  replace(content.flat(Infinity).filter(Boolean), same);
  main.dataset.view = name || 'now';
  main.dataset.drawn = String(Number(main.dataset.drawn || 0) + 1);
  const heading = main.querySelector('h1');
  document.title = `${heading ? heading.textContent : 'Pharos'} · Pharos`;
}

// What an element is, wherever it stands: the thing that it belongs to, and what it says or leads to.
function identity(it) {
  const thing = it.closest('[data-key], tr');
  const of = thing ? thing.dataset.key || thing.cells[0].textContent : '';
  // What a line that opens says may change: it tells how many.
  const says = it.tagName === 'SUMMARY' && of ? '' : it.textContent;
  return JSON.stringify([of, it.tagName, it.getAttribute('href') || it.getAttribute('name') || it.getAttribute('aria-label') || it.dataset.filter || says]);
}

// The elements of a kind by what they are; of equal ones the first.
function by_identity(selector) {
  const found = new Map();
  for (const it of main.querySelectorAll(selector)) {
    const key = identity(it);
    if (!found.has(key)) found.set(key, it);
  }
  return found;
}

// Puts the new content in place of the old; who reads or types stays where they were, wherever it is now.
function replace(content, same) {
  const REACH = 'a, button, input, textarea, summary, [tabindex]';
  const active = same && main.contains(document.activeElement) ? document.activeElement : null;
  const at = active && identity(active);
  const caret = active && active.selectionStart !== undefined ? [active.selectionStart, active.selectionEnd] : null;
  const text = active && active.matches('input:not([data-filter])') ? active.value : null;
  const open = [...main.querySelectorAll('details[open] > summary')].map(identity);
  const scrolls = [...by_identity('.scroll')].map(([key, it]) => [key, it.scrollTop, it.scrollLeft]);
  main.replaceChildren(...content);
  if (!same) {
    window.scrollTo(0, 0);
    return;
  }
  const summaries = by_identity('details > summary');
  open.forEach((key) => { const it = summaries.get(key); if (it) it.parentElement.open = true; });
  const regions = by_identity('.scroll');
  scrolls.forEach(([key, top, left]) => { const it = regions.get(key); if (it) [it.scrollTop, it.scrollLeft] = [top, left]; });
  const again = at && by_identity(REACH).get(at);
  if (again) {
    if (text !== null) again.value = text;
    again.focus({ preventScroll: true });
    if (caret && again.setSelectionRange) again.setSelectionRange(...caret);
  }
}

function say(word) {
  live.dataset.state = word;
  live.textContent = word === 'live' ? 'live' : 'no answer';
}

// The broker tells of each look; where it cannot, the page asks by itself.
let timer = null;
function listen() {
  const poll = () => { show(true); timer = setTimeout(poll, POLL_MS); };
  const stream = new EventSource('/api/stream');
  stream.addEventListener('look', () => { clearTimeout(timer); timer = null; show(true); });
  stream.addEventListener('error', () => { forget_events(); if (timer === null) poll(); });
}

// Light, dark, or as the system says.
const theme = document.getElementById('theme');
const THEMES = ['system', 'light', 'dark'];
function paint(word) {
  if (word === 'system') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = word;
  theme.textContent = { system: 'Theme: system', light: 'Theme: light', dark: 'Theme: dark' }[word];
  theme.dataset.word = word;
  forget();
}
theme.addEventListener('click', () => {
  const next = THEMES[(THEMES.indexOf(theme.dataset.word) + 1) % THEMES.length];
  try { localStorage.setItem('theme', next); } catch { /* it is not kept */ }
  paint(next);
  show(true);
});
let word = 'system';
try { word = localStorage.getItem('theme') || 'system'; } catch { /* it is not kept */ }
paint(THEMES.includes(word) ? word : 'system');
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => { forget(); show(true); });

document.addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const typing = event.target.matches('input, textarea, select');
  if (event.key === 'Escape') {
    if (typing) event.target.blur();
    else if (DETAILS[address().name]) location.hash = `#/${DETAILS[address().name][0]}`;
  } else if (!typing && event.key === '/') {
    const filter = main.querySelector('input[type=search]');
    if (filter) { event.preventDefault(); filter.focus(); }
  } else if (!typing && /^[1-9]$/.test(event.key) && VIEWS[event.key - 1]) {
    location.hash = `#/${VIEWS[event.key - 1][0]}`;
  }
});

window.addEventListener('hashchange', () => show(false));
// Scripts run after the parser; uPlot is deferred before this module.
show(false);
listen();
export { h };
