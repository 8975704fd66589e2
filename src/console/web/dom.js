// Makes elements. Text becomes text, never markup: names come from clients.

export function h(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else if (name === 'class') element.className = value;
    else if (name === 'width%') element.style.width = `${value}%`;
    else element.setAttribute(name, value === true ? '' : value);
  }
  element.append(...children.flat(Infinity).filter((it) => it !== null && it !== undefined && it !== false));
  return element;
}

// A link within the page. Parts are names from clients.
export const to = (view, ...parts) => '#/' + [view, ...parts.map(encodeURIComponent)].join('/');

export const link = (href, ...children) => h('a', { href }, ...children);

// Characters that a name is shown with; the whole of it is told on asking.
const LONGEST = 80;

// A name from a client as a person can tell it from others: what is not printed is spelt, what is long is cut.
export function named(text, longest = LONGEST) {
  const drawn = String(text).replace(/[\u0000-\u001f\u007f-\u009f]/g, (sign) => ({ '\n': '\\n', '\r': '\\r', '\t': '\\t' })[sign] || `\\x${sign.charCodeAt(0).toString(16).padStart(2, '0')}`);
  const signs = [...drawn];
  return signs.length > longest ? h('span', { title: drawn.slice(0, 2000) }, `${signs.slice(0, longest - 20).join('')}…${signs.slice(-19).join('')}`) : drawn;
}

// A number that tells where it comes from.
export const figure = (text, series) =>
  series ? h('a', { class: 'figure', href: to('number', series), title: `Where does this come from? ${series}` }, text) : h('span', { class: 'figure' }, text);

export async function ask(path, options) {
  const answer = await fetch(path, options);
  const body = await answer.json().catch(() => ({}));
  // What was given up halfway is no answer.
  options?.signal?.throwIfAborted();
  if (!answer.ok) throw new Error(body.message || `${path} answered ${answer.status}`);
  return body;
}

export const fact = (title, value) => h('div', { class: 'fact' }, h('dt', {}, title), h('dd', {}, value));

export const empty = (text) => h('p', { class: 'empty' }, text);

export const problem = (error) => h('p', { class: 'problem', role: 'alert' }, String(error.message || error));

// Rows drawn at once; more come with a button.
const ROWS = 100;

// A table that sorts by its heads and filters by a word.
//   columns: {title, of: row => sortable, show: row => node, series, wide, number}
//   counted: say how many rows there are; without, all are drawn
//   dense: there is much in a row
//   key: where the person's choices are kept while the page is redrawn
const choices = new Map();

export function table({ key, caption, columns, rows, filter, sort, counted = true, dense = false }) {
  const choice = choices.get(key) || { sort: sort || null, down: true, word: '', rows: counted ? ROWS : Infinity };
  choices.set(key, choice);
  const body = h('tbody');
  const more = h('p', { class: 'more' });
  const heads = columns.map((column, at) => {
    const button = h('button', { type: 'button', onclick: () => {
      choice.down = choice.sort === at ? !choice.down : Boolean(column.number);
      choice.sort = at;
      draw();
    } }, column.title);
    return h('th', { scope: 'col', class: column.number ? 'number' : null }, button);
  });

  function draw() {
    let found = rows;
    const word = choice.word.toLowerCase();
    if (word) found = found.filter((row) => filter(row).toLowerCase().includes(word));
    // A column may have left with the rows that had something in it.
    if (choice.sort !== null && columns[choice.sort]) {
      const of = columns[choice.sort].of;
      const rank = (row) => { const value = of(row); return value === null || value === undefined || Number.isNaN(value) ? -Infinity : value; };
      found = [...found].sort((a, b) => {
        const [x, y] = [rank(a), rank(b)];
        const order = typeof x === 'string' || typeof y === 'string' ? String(x).localeCompare(String(y), undefined, { numeric: true }) : Number(x > y) - Number(x < y);
        return choice.down ? -order : order;
      });
    }
    heads.forEach((head, at) => head.setAttribute('aria-sort', choice.sort === at ? (choice.down ? 'descending' : 'ascending') : 'none'));
    const shown = found.slice(0, choice.rows);
    body.replaceChildren(...shown.map((row) => h('tr', {}, columns.map((column) =>
      h(column.head ? 'th' : 'td', { scope: column.head ? 'row' : null, class: [column.number ? 'number' : '', column.wide ? 'wide' : ''].join(' ').trim() || null, 'data-title': column.title }, column.show(row))))));
    const left = found.length - shown.length;
    // Who sees all rows needs no count of them, unless they can be filtered.
    if (!filter && left <= 0) { more.replaceChildren(); return; }
    more.replaceChildren(
      h('span', { class: 'quiet' }, word ? `${found.length} of ${rows.length}` : `${rows.length} in all`, left > 0 ? `, ${shown.length} shown ` : ''),
      left > 0 ? h('button', { type: 'button', onclick: () => { choice.rows += 10 * ROWS; draw(); } }, 'Show more') : '');
  }

  const search = filter && h('input', { type: 'search', class: 'filter', placeholder: 'Filter', 'aria-label': `Filter ${caption}`, value: choice.word, 'data-filter': key, oninput: (event) => {
    choice.word = event.target.value;
    choice.rows = ROWS;
    draw();
  } });
  draw();
  return h('div', { class: 'listing' },
    search || (counted && rows.length > ROWS) ? h('div', { class: 'listing-head' }, search || '', more) : '',
    h('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': caption },
      h('table', { class: dense ? 'dense' : null }, h('caption', { class: 'unseen' }, caption), h('thead', {}, h('tr', {}, heads)), body)));
}
