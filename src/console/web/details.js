// One thing at a time: a group, a topic, a number, a runbook.

import { h, ask, link, to, named, figure, table, empty, problem, fact } from './dom.js';
import { count, bytes, seconds, percent, ratio, rate, ago, plain } from './format.js';
import { recent_events, event_list, standing } from './views.js';

// Why a group is behind, said in one sentence where the figures allow it.
function reason(group) {
  const worst = group.partitions[0];
  if (!worst) return 'It has committed nothing yet.';
  const behind = plain(worst.lag_seconds);
  const lost = group.topics.reduce((sum, topic) => sum + (plain(topic.expired_records) || 0), 0);
  const parts = [];
  if (lost > 0) parts.push(`Retention deleted ${count(lost)} records before it had read them.`);
  if (!(behind > 0)) return [...parts, 'It has read everything.'].join(' ');
  const late = group.partitions.filter((it) => plain(it.lag_seconds) > Math.max(1, behind / 2));
  if (group.members === 0) parts.push('It has no members: nobody reads.');
  else if (group.state && group.state !== 'Stable' && group.state !== 'Empty') parts.push(`It is rebalancing (${group.state}): members read little meanwhile.`);
  else if (late.some((it) => it.out_per_second === null || it.in_per_second === null)) parts.push('How fast it reads is not known yet: the broker has not looked twice.');
  else if (late.every((it) => !(plain(it.out_per_second) > 0))) parts.push(`Members are there, but nothing is committed on ${late.length} ${late.length === 1 ? 'partition' : 'partitions'}.`);
  else if (plain(worst.out_per_second) < plain(worst.in_per_second)) parts.push(`Partition ${worst.topic} / ${worst.partition} receives ${count(worst.in_per_second)} records a second and commits ${count(worst.out_per_second)}.`);
  else parts.push('It catches up.');
  if (late.length === 1 && group.partitions.length > 2) parts.push('One partition alone is late: look at its keys and its member.');
  return parts.join(' ');
}

// Events cut long names.
const is_about = (event, id) => event.subject === id || (event.subject.endsWith('…') && id.startsWith(event.subject.slice(0, -1)));

export async function group_view(signal, id) {
  const query = `id=${encodeURIComponent(id)}`;
  const [group, events, { members }, standings] = await Promise.all([ask(`/api/group?${query}`, { signal }), recent_events(signal),
    ask(`/api/members?group=${encodeURIComponent(id)}`, { signal }).catch(() => ({ members: [] })),
    ask(`/api/standings?group=${encodeURIComponent(id)}`, { signal }).catch(() => ({ partitions: [] }))]);
  // Who reads each partition.
  const owners = new Map(members.flatMap((member) => Object.entries(member.partitions).flatMap(([topic, partitions]) =>
    partitions.map((partition) => [`${topic}/${partition}`, member]))));
  const stands = new Map(standings.partitions.map((it) => [`${it.topic}/${it.partition}`, it]));
  for (const it of group.partitions) {
    it.owner = owners.get(`${it.topic}/${it.partition}`);
    it.stands = stands.get(`${it.topic}/${it.partition}`) || {};
  }
  const lost = group.partitions.some((it) => it.stands.expired_records > 0);
  const worst = group.partitions[0];
  const rebalances = Object.entries(group.rebalances).filter(([, times]) => times > 0);
  const own = events.filter((event) => event.kind === 'rebalance' && is_about(event, id)).slice(-20).reverse();
  return () => [
    h('p', { class: 'crumb' }, link(to('groups'), 'Groups')),
    h('h1', {}, named(id, 200)),
    h('p', { class: 'reason' }, reason(group)),
    h('dl', { class: 'facts' },
      fact('Behind by', figure(worst ? seconds(worst.lag_seconds) : '–', 'kafka_consumergroup_lag_seconds')),
      fact('State', group.state || '–'),
      fact('Members', figure(count(group.members), 'kafka_consumergroup_members')),
      fact('Protocol', [group.protocol, group.assignor].filter(Boolean).join(', ') || '–'),
      fact('Generation', count(group.generation)),
      fact('Rebalances', rebalances.length ? rebalances.map(([why, times]) => `${times} by ${why}`).join(', ') : 'none'),
      fact('Time rebalancing', figure(seconds(group.rebalance_seconds), 'kafka_consumergroup_rebalance_seconds_total'))),
    group.topics.length ? table({
      key: `group-topics`, caption: 'Topics of the group', rows: group.topics,
      columns: [
        { title: 'Topic', head: true, wide: true, of: (it) => it.topic, show: (it) => link(to('topic', it.topic), it.topic) },
        { title: 'Status', of: (it) => it.status, show: (it) => standing(it, group.members) },
        { title: 'Behind by', number: true, of: (it) => plain(it.lag_seconds), show: (it) => seconds(it.lag_seconds) },
        { title: 'Records', number: true, of: (it) => plain(it.lag), show: (it) => count(it.lag) },
        { title: 'Drained in', number: true, of: (it) => plain(it.drain_seconds), show: (it) => seconds(it.drain_seconds) },
        { title: 'Lost unread', number: true, of: (it) => plain(it.expired_records), show: (it) => count(it.expired_records) },
        { title: 'Last commit', number: true, of: (it) => it.last_commit_ms, show: (it) => ago(it.last_commit_ms, Date.now()) },
      ] }) : null,
    h('h2', {}, 'Partitions'),
    group.partitions.length ? table({
      key: 'group-partitions', caption: 'Partitions of the group', rows: group.partitions, filter: (it) => `${it.topic} ${it.partition} ${it.owner ? `${it.owner.client_id} ${it.owner.host}` : ''}`,
      columns: [
        { title: 'Partition', head: true, wide: true, of: (it) => `${it.topic} ${it.partition}`, show: (it) => [link(to('topic', it.topic), it.topic), ` / ${it.partition}`] },
        { title: 'Status', of: (it) => it.stands.status || '', show: (it) => standing({ ...it, status: it.stands.status }, group.members) },
        { title: 'Behind by', number: true, of: (it) => plain(it.lag_seconds), show: (it) => seconds(it.lag_seconds) },
        { title: 'Records', number: true, of: (it) => plain(it.lag), show: (it) => count(it.lag) },
        { title: 'In', number: true, of: (it) => plain(it.in_per_second), show: (it) => rate(count, it.in_per_second) },
        { title: 'Committed', number: true, of: (it) => plain(it.out_per_second), show: (it) => rate(count, it.out_per_second) },
        { title: 'Drained in', number: true, of: (it) => plain(it.drain_seconds), show: (it) => seconds(it.drain_seconds) },
        ...(lost ? [{ title: 'Lost unread', number: true, of: (it) => it.stands.expired_records || 0, show: (it) => h('span', { 'data-mood': it.stands.expired_records > 0 ? 'bad' : null }, count(it.stands.expired_records)) }] : []),
        { title: 'Offset', number: true, of: (it) => plain(it.committed), show: (it) => String(it.committed) },
        { title: 'Last commit', number: true, of: (it) => it.stands.last_commit_ms || 0, show: (it) => ago(it.stands.last_commit_ms, Date.now()) },
        { title: 'Read by', wide: true, of: (it) => (it.owner ? it.owner.client_id : ''), show: (it) => (it.owner ? [named(it.owner.client_id), h('span', { class: 'quiet' }, ` ${it.owner.host}`)] : h('span', { class: 'quiet' }, 'nobody')) },
      ] }) : empty('It has committed nothing yet.'),
    group.partitions_left_out ? h('p', { class: 'quiet' }, `${group.partitions_left_out} partitions that are less behind are not listed.`) : null,
    h('h2', {}, 'Members'),
    members.length ? table({
      key: 'members', caption: 'Members of the group', rows: members, filter: (it) => `${it.member_id} ${it.client_id} ${it.host}`,
      columns: [
        { title: 'Client', head: true, wide: true, of: (it) => it.client_id, show: (it) => named(it.client_id || '–') },
        { title: 'Host', of: (it) => it.host, show: (it) => it.host },
        { title: 'Partitions', number: true, of: (it) => Object.values(it.partitions).flat().length, show: (it) => String(Object.values(it.partitions).flat().length) },
        { title: 'Instance', of: (it) => it.instance_id || '', show: (it) => named(it.instance_id || '–') },
        { title: 'Member', wide: true, of: (it) => it.member_id, show: (it) => h('code', {}, named(it.member_id)) },
      ] }) : empty('Nobody is in it.'),
    h('h2', {}, 'Rebalances'), event_list(own),
  ];
}

export async function topic_view(signal, name) {
  const topic = await ask(`/api/topic?name=${encodeURIComponent(name)}`, { signal });
  const shares = topic.partitions.map((it) => plain(it.share)).filter((it) => it > 0);
  const known = topic.partitions.some((it) => it.bytes_in !== null);
  const hottest = Math.max(0, ...shares);
  return () => [
    h('p', { class: 'crumb' }, link(to('topics'), 'Topics')),
    h('h1', {}, name),
    h('dl', { class: 'facts' },
      fact('Partitions', figure(count(topic.partitions.length + topic.partitions_left_out), 'kafka_topic_partitions')),
      fact('Hottest partition', hottest > 0 ? figure(`${percent(hottest)} of the bytes`, 'pharos_partition_bytes_in_total') : known ? 'no traffic' : '–'),
      Object.entries(topic.skew).map(([dimension, value]) => fact(`Skew of ${dimension}`, figure(ratio(value), 'pharos_topic_skew_ratio')))),
    h('p', {}, link(to('config', name), 'Settings of the topic')),
    table({
      key: 'partitions', caption: 'Partitions', rows: topic.partitions, filter: (it) => String(it.partition),
      columns: [
        { title: 'Partition', head: true, of: (it) => it.partition, show: (it) => String(it.partition) },
        { title: 'Leader', number: true, of: (it) => it.leader, show: (it) => (plain(it.leader) < 0 ? h('span', { 'data-mood': 'bad' }, 'nobody') : `broker ${it.leader}`) },
        { title: 'In sync', number: true, of: (it) => it.in_sync, show: (it) => h('span', { 'data-mood': it.in_sync < it.replicas ? 'warn' : null }, `${it.in_sync} of ${it.replicas}`) },
        { title: 'Share of bytes', number: true, of: (it) => plain(it.share), show: (it) => [it.share !== null && plain(it.share) >= 0 ? h('span', { class: 'bar', 'aria-hidden': 'true' }, h('i', { 'width%': Math.min(100, plain(it.share) * 100) })) : '', h('span', { class: 'share' }, percent(it.share))] },
        { title: 'Records in', number: true, of: (it) => plain(it.records_in), show: (it) => rate(count, it.records_in) },
        { title: 'Bytes in', number: true, of: (it) => plain(it.bytes_in), show: (it) => rate(bytes, it.bytes_in) },
        { title: 'Bytes out', number: true, of: (it) => plain(it.bytes_out), show: (it) => rate(bytes, it.bytes_out) },
        { title: 'From', number: true, of: (it) => plain(it.oldest_offset), show: (it) => String(it.oldest_offset ?? '–') },
        { title: 'To', number: true, of: (it) => plain(it.high_watermark), show: (it) => String(it.high_watermark ?? '–') },
      ] }),
    topic.partitions_left_out ? h('p', { class: 'quiet' }, `${topic.partitions_left_out} more partitions are not listed.`) : null,
  ];
}

// Settings and where they come from.

export async function config_view(signal, topic) {
  const { settings } = await ask(topic ? `/api/config?topic=${encodeURIComponent(topic)}` : '/api/config', { signal });
  return () => [topic ? h('p', { class: 'crumb' }, link(to('topic', topic), topic)) : null,
    h('h1', {}, topic ? `Settings of ${topic}` : 'Settings'),
    h('p', { class: 'quiet' }, 'What is set before what is left as it was.'),
    table({
      key: 'config', caption: 'Settings', rows: settings, filter: (it) => `${it.name} ${it.value} ${it.source}`, sort: 2,
      columns: [
        { title: 'Key', head: true, wide: true, of: (it) => it.name, show: (it) => h('span', { title: it.meaning }, it.name) },
        { title: 'Value', wide: true, of: (it) => it.value || '', show: (it) => (it.sensitive ? h('span', { class: 'quiet' }, 'secret') : it.value === '' ? h('span', { class: 'quiet' }, 'empty') : h('code', {}, it.value ?? '–')) },
        { title: 'From', of: (it) => (it.source === 'default' ? '' : it.source), show: (it) => (it.source === 'default' ? h('span', { class: 'quiet' }, 'default') : h('b', {}, it.source)) },
        { title: 'Otherwise', wide: true, of: (it) => it.would_be.length, show: (it) => it.would_be.map((other) => `${other.value === '' ? 'empty' : other.value ?? '–'} (${other.source})`).join(', ') },
      ] })];
}

// From a number to the truth.

function source(it) {
  const from = it.source;
  if (from.bean) {
    return [fact('Bean', h('code', {}, from.bean)), fact('Attribute', h('code', {}, from.attribute)),
      fact('Rule', `${from.rule_file}, rule ${from.rule}${from.line ? `, line ${from.line}` : ''}`), fact('In Kafka', h('code', {}, from.kafka))];
  }
  if (from.recorded_by) {
    return [fact('Recorded by', `${from.recorded_by}${from.line ? `, line ${from.line}` : ''}`),
      fact('Made of', from.reads.map((name) => [link(to('number', name), h('code', {}, name)), ' ']))];
  }
  return [from.family ? fact('Native family', h('code', {}, from.family)) : fact('Page', from.page)];
}

function explained(it) {
  const labels = it.labels.map((label) => (label.value === null ? label.name : `${label.name}="${label.value}"`)).join(', ');
  const readers = it.readers;
  return h('section', { class: 'card explained' },
    h('h2', {}, h('code', {}, it.name), labels ? h('code', { class: 'quiet' }, `{${labels}}`) : ''),
    h('p', {}, it.meaning),
    h('dl', { class: 'facts' }, fact('Unit', it.unit || '–'), source(it), fact('Shown by', it.owner),
      fact('Proof', it.truth ? h('code', {}, it.truth) : '–')),
    readers.length ? h('details', {}, h('summary', {}, `${readers.length} panels and alerts read it`),
      h('ul', {}, readers.map((reader) => h('li', {}, h('b', {}, reader.file), ` ${reader.what}`, reader.through ? h('span', { class: 'quiet' }, ` through ${reader.through}`) : '')))) : h('p', { class: 'quiet' }, 'No shipped panel or alert reads it.'));
}

export async function number_view(signal, series) {
  const box = h('input', { type: 'search', class: 'ask', name: 'series', value: series || '', placeholder: 'kafka_consumergroup_lag_seconds', 'aria-label': 'Name of a series', spellcheck: 'false' });
  const form = h('form', { class: 'asking', onsubmit: (event) => { event.preventDefault(); location.hash = to('number', box.value.trim()); } }, box, h('button', {}, 'Explain'));
  let found = null;
  if (series) {
    found = await ask(`/api/explain?series=${encodeURIComponent(series)}`, { signal })
      .then(({ explained: all, left_out }) => [all.map(explained), left_out ? h('p', { class: 'quiet' }, `${left_out} more: give labels to see fewer.`) : null])
      .catch(problem);
  }
  found = found || await costs(signal);
  return () => [h('h1', {}, 'From number to truth'), h('p', { class: 'quiet' }, 'Any series of the pages: its bean, the rule that made it, what it means, the test that proves it, and who reads it.'),
    form, found];
}

// What a family costs changes little, and asking for it costs two pages.
number_view.still = true;

async function costs(signal) {
  const { families } = await ask('/api/cost', { signal });
  return [h('h2', {}, 'What each family costs a scrape'), table({
    key: 'cost', caption: 'Families', rows: families, filter: (it) => `${it.family} ${it.page}`, sort: 2,
    columns: [
      { title: 'Family', head: true, wide: true, of: (it) => it.family, show: (it) => link(to('number', it.family), it.family) },
      { title: 'Series', number: true, of: (it) => it.samples, show: (it) => count(it.samples) },
      { title: 'Bytes', number: true, of: (it) => it.bytes, show: (it) => bytes(it.bytes) },
      { title: 'Page', of: (it) => it.page, show: (it) => it.page },
      { title: 'Values by label', wide: true, of: (it) => Math.max(0, ...Object.values(it.values_of_labels)), show: (it) => Object.entries(it.values_of_labels).map(([label, values]) => `${label} ${values}`).join(', ') },
    ] })];
}

// Runbooks are Markdown of few forms.

function inline(text) {
  return text.split('`').map((part, at) => (at % 2 ? h('code', {}, part) : part));
}

function markdown(text) {
  const found = [];
  for (const block of text.split(/\n{2,}/)) {
    if (/^ {4}/.test(block)) found.push(h('pre', { tabindex: '0' }, block.replace(/^ {4}/gm, '')));
    else if (block.startsWith('# ')) found.push(h('h1', {}, block.slice(2)));
    else if (block.startsWith('## ')) {
      const [head, ...rest] = block.slice(3).split('\n');
      found.push(h('h2', {}, head));
      if (rest.length) found.push(...markdown(rest.join('\n')));
    } else if (/^(\d+\.|-) /.test(block)) {
      const items = block.split(/\n(?=(?:\d+\.|-) )/).map((item) => h('li', {}, inline(item.replace(/^(\d+\.|-) /, '').replace(/\s+/g, ' '))));
      found.push(h(/^\d/.test(block) ? 'ol' : 'ul', {}, items));
    } else if (block.trim()) found.push(h('p', {}, inline(block.replace(/\s+/g, ' '))));
  }
  return found;
}

export async function runbook_view(signal, alert) {
  const answer = await fetch(`/runbooks/${encodeURIComponent(alert)}`, { signal });
  if (!answer.ok) return () => [h('h1', {}, alert), empty('There is no such runbook.')];
  const text = await answer.text();
  return () => [h('p', { class: 'crumb' }, link(to(''), 'Now')), h('article', { class: 'runbook' }, markdown(text))];
}
