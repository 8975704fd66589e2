// The beans of the broker, and rules tried on them.

import { h, ask, link, to, table, fact, empty, problem } from './dom.js';
import { count } from './format.js';

// What a person typed stays while the view is drawn again.
let word = '';
let rules = `rules:
- pattern: kafka.server<type=BrokerTopicMetrics, name=(.+), topic=(.+)><>Count
  name: my_topic_$1_total
  type: COUNTER
  labels:
    topic: "$2"
`;
let tried = null;

const PAUSE_MS = 150;

async function listing(signal) {
  const { beans, left_out, all } = await ask(`/api/beans?find=${encodeURIComponent(word)}`, { signal });
  const found = beans.length + left_out;
  return [h('p', { class: 'quiet' }, `${found} of ${all}`, left_out ? `, the first ${beans.length} are listed` : '', '.'),
    beans.length ? table({
      key: 'beans', caption: 'Beans', rows: beans, counted: false,
      columns: [
        { title: 'Object name', head: true, wide: true, of: (it) => it.name, show: (it) => link(to('bean', it.name), it.name) },
        { title: 'Meaning', wide: true, of: (it) => it.meaning, show: (it) => it.meaning },
      ] }) : empty('No bean has such a name.')];
}

export async function beans_view(signal) {
  const list = h('div', {}, await listing(signal));
  let timer = null;
  let turn = 0;
  const box = h('input', { type: 'search', class: 'ask', name: 'find', value: word, placeholder: 'Words of an object name', 'aria-label': 'Words of an object name', 'data-filter': 'beans', spellcheck: 'false', oninput: (event) => {
    word = event.target.value;
    clearTimeout(timer);
    timer = setTimeout(async () => {
      const mine = (turn += 1);
      const found = await listing().catch(problem);
      if (mine === turn) list.replaceChildren(...[found].flat());
    }, PAUSE_MS);
  } });
  return () => [h('h1', {}, 'Beans'), h('p', { class: 'quiet' }, 'What rules read, under the names that Kafka gives to JMX.'),
    h('p', { class: 'asking' }, box), list, trying()];
}

function outcome(it) {
  const dropped = Object.entries(it.dropped);
  const unused = it.rules.map((rule, at) => ({ ...rule, at })).filter((rule) => !rule.attributes);
  return h('div', { role: 'status', id: 'tried' },
    h('p', {}, h('b', {}, `${count(it.samples)} series`), ` of ${count(it.attributes)} attributes of ${count(it.beans)} beans.`,
      it.beans_left ? h('span', { class: 'quiet' }, it.cut ? ` Time was up before ${count(it.beans_left)} more.` : ` ${count(it.beans_left)} more beans are of the same kinds.`) : ''),
    it.warnings.map((text) => h('p', { class: 'problem' }, text)),
    dropped.map(([reason, samples]) => h('p', { class: 'problem' }, `${count(samples)} dropped: ${reason.replaceAll('_', ' ')}.`)),
    unused.map((rule) => h('p', { class: 'problem' }, `Rule ${rule.at + 1}${rule.line ? `, line ${rule.line}` : ''}, matches nothing that an earlier one left.`)),
    it.page.length ? h('pre', { class: 'page', tabindex: '0', 'aria-label': 'The page that the rules make' }, it.page.join('\n')) : null);
}

function trying() {
  const found = h('div', {}, tried || '');
  const box = h('textarea', { name: 'rules', 'aria-label': 'Rules to try', spellcheck: 'false', oninput: (event) => { rules = event.target.value; } }, rules);
  const form = h('form', { class: 'trying', onsubmit: async (event) => {
    event.preventDefault();
    tried = await ask('/api/try', { method: 'POST', headers: { 'content-type': 'text/plain' }, body: rules }).then(outcome).catch(problem);
    found.replaceChildren(tried);
  } }, box, h('button', {}, 'Try'));
  return h('section', { 'aria-label': 'Try rules' }, h('h2', {}, 'Try rules'),
    h('p', { class: 'quiet' }, 'A rule file of jmx_exporter, tried on the beans of this broker. Nothing is kept.'), form, found);
}

// Who types here is not disturbed.
beans_view.still = true;

export async function bean_view(signal, name) {
  const bean = await ask(`/api/bean?name=${encodeURIComponent(name)}`, { signal });
  const own = bean.attributes.some((it) => it.meaning !== bean.meaning);
  return () => [h('p', { class: 'crumb' }, link(to('beans'), 'Beans')), h('h1', {}, bean.name), h('p', { class: 'reason' }, bean.meaning),
    h('dl', { class: 'facts' }, fact('Counts', bean.unit || '–'), fact('In Kafka', h('code', {}, bean.kafka))),
    table({
      key: 'attributes', caption: 'Attributes', rows: bean.attributes, counted: false,
      columns: [
        { title: 'Attribute', head: true, of: (it) => it.name, show: (it) => it.name },
        { title: 'Value', number: true, of: (it) => (typeof it.value === 'number' ? it.value : -Infinity), show: (it) => String(it.value ?? '–') },
        { title: 'Type', of: (it) => it.type, show: (it) => h('code', {}, it.type) },
        // Of a meter or a timer they all mean the same.
        own && { title: 'Meaning', wide: true, of: (it) => it.meaning, show: (it) => it.meaning },
      ].filter(Boolean) }),
    bean.pages.map((page) => [h('h2', {}, page.rules.replace('.yml', ''), ' ', h('a', { href: `/metrics/${page.rules.replace('.yml', '')}` }, 'page')),
      page.page.length ? h('pre', { class: 'page', tabindex: '0' }, page.page.map((line) => [series_of(line), '\n'])) : empty('These rules make nothing of it.')])];
}

// A line of the page; a series tells where it comes from.
function series_of(line) {
  if (line.startsWith('#')) return h('span', { class: 'quiet' }, line);
  const series = line.slice(0, line.lastIndexOf(' '));
  return [link(to('number', series), series), line.slice(series.length)];
}
