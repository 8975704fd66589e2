// The views: each asks for what it shows until `signal` gives it up, and gives what makes its elements of that at once.

import { h, ask, link, to, named, figure, table, empty } from './dom.js';
import { count, bytes, seconds, percent, ratio, rate, ago, clock, moment, plain } from './format.js';
import { chart } from './charts.js';

// What is wrong now.

const things = (labels) => [
  labels.consumergroup && link(to('group', labels.consumergroup), 'group ', named(labels.consumergroup)),
  labels.topic && link(to('topic', labels.topic), `topic ${labels.topic}${labels.partition ? ` / ${labels.partition}` : ''}`),
  ...Object.entries(labels).filter(([name]) => !['consumergroup', 'topic', 'partition', 'cluster', 'instance', 'job'].includes(name)).map(([name, value]) => h('span', {}, `${name} ${value}`)),
].filter(Boolean);

function alert_item(alert, now) {
  const pending = alert.state === 'pending';
  const left = alert.since_ms + alert.for_ms - now;
  return h('li', { class: 'alert', 'data-key': `${alert.name} ${alert.severity} ${JSON.stringify(alert.labels)}`, 'data-severity': alert.severity, 'data-state': alert.state, 'data-alert': alert.name },
    h('div', { class: 'alert-head' },
      h('span', { class: 'mark', 'data-severity': alert.severity, 'data-state': alert.state }, pending ? `${alert.severity} in ${seconds(Math.max(0, left) / 1000)}` : alert.severity),
      h('b', { class: 'summary' }, alert.summary || alert.name),
      h('time', { class: 'since', datetime: new Date(alert.since_ms).toISOString(), title: moment(alert.since_ms) }, `for ${seconds((now - alert.since_ms) / 1000)}`)),
    h('p', { class: 'description' }, alert.description, pending ? h('span', { class: 'quiet' }, ' No alert yet.') : ''),
    h('p', { class: 'things' }, things(alert.labels), alert.runbook ? link(to('runbook', alert.name), 'Runbook') : '',
      h('details', {}, h('summary', {}, 'Rule'), h('code', {}, alert.expr), h('span', {}, ` is ${count(alert.value)}; alert ${alert.name}`))));
}

// Alerts of one kind that are shown one by one; more of them are lines that open.
const ONE_BY_ONE = 3;

// The same alert of many things is one thing to a person: the first of each kind, then the rest.
function alert_list(alerts, now) {
  const kinds = new Map();
  for (const alert of alerts) {
    const kind = `${alert.state} ${alert.name} ${alert.severity}`;
    kinds.set(kind, [...(kinds.get(kind) || []), alert]);
  }
  return h('ol', { class: 'alerts' }, [...kinds.values()].map((same) => [
    same.slice(0, ONE_BY_ONE).map((alert) => alert_item(alert, now)),
    same.length > ONE_BY_ONE ? h('li', { class: 'alert rest', 'data-key': `more ${same[0].name} ${same[0].severity} ${same[0].state}`, 'data-severity': same[0].severity, 'data-state': same[0].state },
      h('details', {}, h('summary', {}, `and ${same.length - ONE_BY_ONE} more ${same[0].name}`),
        h('ul', {}, same.slice(ONE_BY_ONE).map((alert) => h('li', {}, alert.summary, ' ', things(alert.labels).map((it) => [it, ' '])))))) : null,
  ]));
}

const kinds_of = (alerts) => new Set(alerts.map((alert) => alert.name)).size;

function verdict(now) {
  const firing = kinds_of(now.alerts.filter((alert) => alert.state === 'firing'));
  const pending = kinds_of(now.alerts.filter((alert) => alert.state === 'pending'));
  if (now.not_ready.length) return ['bad', 'This broker is not ready.'];
  if (!now.look.at_ms) return ['quiet', 'The first look is under way.'];
  const more = `${pending} ${firing ? 'more ' : ''}${pending === 1 ? 'is' : 'are'} building up`;
  if (firing) return [now.alerts.some((alert) => alert.state === 'firing' && alert.severity === 'critical') ? 'bad' : 'warn', `${firing} ${firing === 1 ? 'thing is' : 'things are'} wrong${pending ? `, ${more}` : ''}.`];
  if (pending) return ['may', `No alert fires, ${more}.`];
  return ['good', 'Nothing is wrong.'];
}

// What there is no room for, by what it is for.
function left_out(names) {
  const charts = names.filter((it) => it.chart).map((it) => `the chart ${it.chart}`);
  const others = { rules: 'figures that alerts read', lists: 'rates in lists', charts: 'what charts are made of' };
  const kinds = Object.entries(others).map(([of, said]) => [said, names.filter((it) => it.of === of && !it.chart).map((it) => it.name)]);
  return [...charts, ...kinds.filter(([, all]) => all.length).map(([said, all]) => `${said} (${all.join(', ')})`)].join('; ');
}

export async function now_view(signal) {
  const [now, lines, events] = await Promise.all([ask('/api/now', { signal }), ask('/api/lines', { signal }), recent_events(signal)]);
  const [mood, text] = verdict(now);
  // A young broker fills its charts, too.
  const first = Math.min(lines.to_ms, ...lines.charts.flatMap((spec) => spec.lines.map((line) => line.times_ms[0] || lines.to_ms)));
  lines.from_ms = Math.max(lines.from_ms, Math.min(first, lines.to_ms - 5 * 60000));
  const within = events.filter((event) => event.time_ms >= lines.from_ms);
  return () => [
    h('section', { class: 'now', 'aria-label': 'What is wrong now' },
      h('h1', { class: 'verdict', 'data-mood': mood }, h('i', { class: 'lamp', 'data-mood': mood }), text),
      h('p', { class: 'quiet' }, now.look.at_ms ? `${now.look.rules} rules asked ${ago(now.look.at_ms, now.time_ms)}, every ${seconds(now.look.pause_ms / 1000)}.` : 'The rules have not been asked yet.',
        now.node.started_ms ? ` Up ${seconds((now.time_ms - now.node.started_ms) / 1000)}.` : '',
        ` The past takes ${bytes(now.memory.bytes)} of ${bytes(now.memory.budget_bytes)}.`),
      now.memory.left_out.length ? h('p', { class: 'problem', id: 'left-out' }, `admin.console.memory.bytes leaves no room for all of the past. Left out: ${left_out(now.memory.left_out)}.`) : null,
      now.not_ready.map((it) => h('p', { class: 'problem' }, `${it.condition}: ${it.reason}`)),
      alert_list(now.alerts, now.time_ms),
      now.alerts_left_out ? h('p', { class: 'quiet' }, `${now.alerts_left_out} more.`) : null),
    h('section', { 'aria-label': 'Vital figures' }, h('h2', {}, 'The last hour'),
      h('div', { class: 'charts' }, lines.charts.map((spec) => chart({ ...spec, at_ms: lines.at_ms }, lines.from_ms, lines.to_ms, within)))),
    h('section', {}, h('h2', {}, 'What happened ', link(to('timeline'), 'all events')), event_list(events.slice(-8).reverse())),
    now.blind.length ? h('details', { class: 'blind', 'data-key': 'blind' }, h('summary', {}, `${now.blind.length} alerts cannot be seen from here`),
      h('ul', {}, now.blind.map((it) => h('li', {}, h('b', {}, it.name), ` ${it.why}.`)))) : null,
  ];
}

// Events: asked for once, then only what is new.

let remembered = [];
const MOST = 10000;

export async function recent_events(signal) {
  const newest = () => (remembered.length ? remembered[remembered.length - 1].id : 0);
  const { events } = await ask(`/events?after=${newest()}`, { signal });
  // Another view may have asked for the same meanwhile.
  const known = newest();
  remembered = [...remembered, ...events.filter((event) => event.id > known)].slice(-MOST);
  return remembered;
}

// Ids begin anew with the broker.
export function forget_events() { remembered = []; }

const KINDS = {
  election: 'Election', unclean_election: 'Unclean election', fencing: 'Fencing', rebalance: 'Rebalance', config_change: 'Configuration',
  topic: 'Topic', recovery: 'Start', log_directory: 'Log directory', reload: 'Rules',
};

const subject = (event) => (event.kind === 'rebalance' ? link(to('group', event.subject), named(event.subject))
  : ['topic', 'election'].includes(event.kind) ? link(to('topic', event.subject), event.subject) : h('b', {}, named(event.subject)));

export function event_list(events) {
  if (!events.length) return empty('Nothing happened yet.');
  return h('ol', { class: 'events' }, events.map((event) => h('li', { 'data-key': `event ${event.id}`, 'data-kind': event.kind },
    h('time', { datetime: new Date(event.time_ms).toISOString(), title: moment(event.time_ms) }, clock(event.time_ms)),
    h('span', { class: 'kind' }, KINDS[event.kind] || event.kind), h('span', { class: 'what' }, subject(event), ' ', named(event.text, 160)))));
}

export async function timeline_view(signal) {
  const events = await recent_events(signal);
  const rows = [...events].reverse();
  return () => [h('h1', {}, 'Timeline'), h('p', { class: 'quiet' }, 'The last 10,000 events of this broker, newest first. Charts draw them as lines; Grafana can, too.'),
    events.length ? table({
      key: 'timeline', caption: 'Events', rows, filter: (event) => `${event.kind} ${event.subject} ${event.text}`,
      columns: [
        { title: 'When', of: (event) => event.id, show: (event) => h('time', { datetime: new Date(event.time_ms).toISOString() }, moment(event.time_ms)) },
        { title: 'Kind', of: (event) => event.kind, show: (event) => KINDS[event.kind] || event.kind },
        { title: 'What', wide: true, of: (event) => event.subject, show: (event) => [subject(event), ' ', named(event.text, 160)] },
      ] }) : empty('Nothing happened yet.')];
}

// Groups.

export const STATUS = { ok: 'keeps up', warn: 'falls behind', stop: 'stopped', stall: 'stalled', rewind: 'went back', no_offset: 'no commit' };
export const status = (word) => (word ? h('span', { class: 'status', 'data-status': word }, STATUS[word] || word) : '–');

// The status of a group or of one of its topics, unless that would say more than is known: `ok` is also who
// has committed too little to be judged.
export function standing(it, members) {
  if (it.status === 'ok' && plain(it.lag) > 0 && members === 0) return h('span', { class: 'status', 'data-status': 'stop' }, 'nobody reads');
  if (it.status === 'ok' && plain(it.lag_seconds) > 60 && plain(it.drain_seconds) === Infinity) {
    return h('span', { class: 'status', title: 'It has committed less than ten times, or its lag has shrunk meanwhile.' }, 'not judged yet');
  }
  return status(it.status);
}
const lag_bad = (value) => (plain(value) > 300 ? 'bad' : plain(value) > 60 ? 'warn' : null);

export async function groups_view(signal) {
  const { groups, left_out } = await ask('/api/groups', { signal });
  return () => [h('h1', {}, 'Groups'), h('p', { class: 'quiet' }, 'Who is behind, the furthest first. Open one to see why.'),
    groups.length ? table({
      key: 'groups', caption: 'Groups', rows: groups, filter: (group) => `${group.id} ${group.state} ${STATUS[group.status] || ''}`,
      columns: [
        { title: 'Group', head: true, wide: true, of: (group) => group.id, show: (group) => link(to('group', group.id), named(group.id)) },
        { title: 'Status', of: (group) => group.status, show: (group) => standing(group, group.members) },
        { title: 'Behind by', number: true, of: (group) => plain(group.lag_seconds), show: (group) => h('span', { 'data-mood': lag_bad(group.lag_seconds) }, seconds(group.lag_seconds)) },
        { title: 'Records', number: true, of: (group) => plain(group.lag), show: (group) => count(group.lag) },
        { title: 'Drained in', number: true, of: (group) => plain(group.drain_seconds), show: (group) => seconds(group.drain_seconds) },
        { title: 'Members', number: true, of: (group) => group.members, show: (group) => count(group.members) },
        { title: 'State', of: (group) => group.state, show: (group) => group.state || '–' },
        { title: 'Lost unread', number: true, of: (group) => plain(group.expired_records), show: (group) => h('span', { 'data-mood': plain(group.expired_records) > 0 ? 'bad' : null }, count(group.expired_records)) },
        { title: 'Last commit', number: true, of: (group) => group.last_commit_ms, show: (group) => ago(group.last_commit_ms, Date.now()) },
      ] }) : empty('No group has joined or committed here.'),
    left_out ? h('p', { class: 'quiet' }, `${left_out} more groups are not listed.`) : null];
}

// Topics.

export async function topics_view(signal) {
  const { topics, left_out } = await ask('/api/topics', { signal });
  return () => [h('h1', {}, 'Topics'),
    topics.length ? table({
      key: 'topics', caption: 'Topics', rows: topics, filter: (topic) => topic.name,
      columns: [
        { title: 'Topic', head: true, wide: true, of: (topic) => topic.name, show: (topic) => link(to('topic', topic.name), topic.name) },
        { title: 'Partitions', number: true, of: (topic) => topic.partitions, show: (topic) => count(topic.partitions) },
        { title: 'Offline', number: true, of: (topic) => topic.offline, show: (topic) => h('span', { 'data-mood': topic.offline ? 'bad' : null }, count(topic.offline)) },
        { title: 'Under-replicated', number: true, of: (topic) => topic.under_replicated, show: (topic) => h('span', { 'data-mood': topic.under_replicated ? 'warn' : null }, count(topic.under_replicated)) },
        { title: 'Records in', number: true, of: (topic) => plain(topic.messages_in), show: (topic) => rate(count, topic.messages_in) },
        { title: 'Bytes in', number: true, of: (topic) => plain(topic.bytes_in), show: (topic) => rate(bytes, topic.bytes_in) },
        { title: 'Bytes out', number: true, of: (topic) => plain(topic.bytes_out), show: (topic) => rate(bytes, topic.bytes_out) },
        { title: 'Skew', number: true, of: (topic) => plain(topic.skew), show: (topic) => h('span', { 'data-mood': plain(topic.skew) >= 3 ? 'warn' : null }, ratio(topic.skew)) },
      ] }) : empty('There is no topic yet.'),
    left_out ? h('p', { class: 'quiet' }, `${left_out} more topics are not listed.`) : null];
}

// Skew.

export async function skew_view(signal) {
  const { cluster, known, partitions, left_out, keys, keys_left_out } = await ask('/api/skew', { signal });
  const dimensions = Object.entries(cluster);
  return () => [h('h1', {}, 'Skew'), h('p', { class: 'quiet' }, 'Who takes more than an even part. 1× is even.'),
    h('dl', { class: 'facts' }, dimensions.map(([dimension, value]) => h('div', { class: 'fact' }, h('dt', {}, `${dimension} between brokers`), h('dd', {}, figure(ratio(value), 'pharos_cluster_skew_ratio'))))),
    h('h2', {}, 'Partitions that take too much'),
    partitions.length ? table({
      key: 'skew', caption: 'Partitions that take too much', rows: partitions, filter: (it) => `${it.topic} ${it.partition}`,
      columns: [
        { title: 'Partition', head: true, wide: true, of: (it) => `${it.topic} ${it.partition}`, show: (it) => [link(to('topic', it.topic), it.topic), ` / ${it.partition}`] },
        { title: 'Against even', number: true, of: (it) => plain(it.times_even), show: (it) => h('span', { 'data-mood': plain(it.times_even) >= 3 ? 'warn' : null }, ratio(it.times_even)) },
        { title: 'Share of topic', number: true, of: (it) => plain(it.share), show: (it) => percent(it.share) },
        { title: 'Bytes in', number: true, of: (it) => plain(it.bytes_in), show: (it) => rate(bytes, it.bytes_in) },
        { title: 'Too much', number: true, of: (it) => plain(it.too_much), show: (it) => rate(bytes, it.too_much) },
      ] }) : empty(known ? 'Within the last 5 minutes no partition took a tenth more than its part.' : 'No rate of a partition is known: the broker has not looked twice yet, or there is no partition.'),
    left_out ? h('p', { class: 'quiet' }, `${left_out} smaller ones are not listed.`) : null,
    h('h2', {}, 'Hot keys'),
    keys.length ? table({
      key: 'keys', caption: 'Hot keys', rows: keys, filter: (it) => `${it.topic} ${it.partition} ${it.key}`,
      columns: [
        { title: 'Key', head: true, of: (it) => it.key, show: (it) => h('code', {}, it.key) },
        { title: 'Partition', wide: true, of: (it) => `${it.topic} ${it.partition}`, show: (it) => [link(to('topic', it.topic), it.topic), ` / ${it.partition}`] },
        { title: 'Share of records', number: true, of: (it) => plain(it.share), show: (it) => figure(percent(it.share), 'pharos_hot_key_ratio') },
        { title: 'At most too high by', number: true, of: (it) => plain(it.error), show: (it) => figure(percent(it.error), 'pharos_hot_key_error_ratio') },
      ] }) : empty('No key has a hundredth of the records of a partition, or no topic is watched: metrics.hot.keys names those that are.'),
    keys.length ? h('p', { class: 'quiet' }, 'Keys by their names: pharos keys hash TOPIC KEY tells that of a key.', keys_left_out ? ` ${keys_left_out} more are not listed.` : '') : null];
}

// Slow requests.

const PHASES = ['request_queue', 'local', 'remote', 'throttle', 'response_queue', 'response_send'];

// Where the time of one request went, as a bar of its phases.
function phases(it) {
  const all = Object.values(it.phases_ms).reduce((sum, ms) => sum + ms, 0) || 1;
  const told = PHASES.map((name) => `${name.replace('_', ' ')} ${seconds(it.phases_ms[name] / 1000)}`).join(', ');
  return h('span', { class: 'phases', role: 'img', 'aria-label': told, title: told },
    PHASES.map((name, at) => h('i', { class: `c${at}`, 'width%': (100 * it.phases_ms[name]) / all })));
}

export async function slow_view(signal) {
  const { requests } = await ask('/api/slow', { signal });
  return () => [h('h1', {}, 'Slow requests'),
    h('p', { class: 'quiet' }, 'The 200 slowest of the last hour. What a client asked to wait for (a fetch for records, a join for members) is not counted as cost.'),
    h('ul', { class: 'legend' }, PHASES.map((name, at) => h('li', {}, h('i', { class: `swatch c${at}` }), name.replace('_', ' ')))),
    requests.length ? table({
      key: 'slow', caption: 'Slow requests', dense: true, rows: requests, filter: (it) => `${it.request} ${it.client_id} ${it.host} ${it.about ? it.about.topic : ''} ${it.errors.map((error) => error.error).join(' ')} ${it.trace_id || ''}`,
      columns: [
        { title: 'Request', head: true, of: (it) => it.request, show: (it) => [it.request, h('span', { class: 'quiet' }, ` v${it.version}`)] },
        { title: 'Cost', number: true, of: (it) => it.cost_ms, show: (it) => seconds(it.cost_ms / 1000) },
        { title: 'In all', number: true, of: (it) => it.total_ms, show: (it) => seconds(it.total_ms / 1000) },
        { title: 'Where it went', of: (it) => it.phases_ms.local, show: phases },
        { title: 'About', wide: true, of: (it) => (it.about ? it.about.topic : ''), show: (it) => (it.about ? [link(to('topic', it.about.topic), it.about.topic), ` / ${it.about.partition}`, it.about.more ? h('span', { class: 'quiet' }, ` and ${it.about.more} more`) : ''] : '–') },
        { title: 'Client', wide: true, of: (it) => it.client_id, show: (it) => [named(it.client_id || '–', 40), h('span', { class: 'quiet' }, ` ${it.host}`)] },
        { title: 'In, out', number: true, of: (it) => it.request_bytes + it.response_bytes, show: (it) => [bytes(it.request_bytes), h('br', {}), bytes(it.response_bytes)] },
        ...(requests.some((it) => it.errors.length) ? [{ title: 'Errors', wide: true, of: (it) => it.errors.length, show: (it) => it.errors.map((error) => h('span', { 'data-mood': 'warn' }, `${error.error} `)) }] : []),
        { title: 'When', number: true, of: (it) => it.time_ms, show: (it) => clock(it.time_ms) },
        ...(requests.some((it) => it.trace_id) ? [{ title: 'Trace', of: (it) => it.trace_id || '', show: (it) => (it.trace_id ? h('code', { class: 'trace' }, it.trace_id) : '–') }] : []),
      ] }) : empty('Nothing was asked within the last hour.')];
}

export { figure, percent };
