// Charts of an hour, with events drawn over each. A chart lives as long as the page: only its data change.

import { h, link, to, named, figure } from './dom.js';
import { of_unit, clock, plain } from './format.js';

const kept = new Map();
const sync = window.uPlot ? uPlot.sync('time') : null;

const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const COLOURS = 8;
// Steps of an axis of bytes.
const TWOS = Array.from({ length: 50 }, (_, at) => 2 ** at);
// Steps of an axis of time: what clocks count by, from a second on.
const TIMES = [...[-6, -5, -4, -3, -2, -1].flatMap((power) => [1, 2, 5].map((digit) => Number(`${digit}e${power}`))),
  1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 21600, 43200, ...Array.from({ length: 20 }, (_, at) => 86400 * 2 ** at)];
const STEPS = { bytes: TWOS, 'bytes/s': TWOS, seconds: TIMES };

export function forget() {
  for (const { plot, fit } of kept.values()) {
    if (fit) fit.disconnect();
    if (plot) plot.destroy();
  }
  kept.clear();
}

// All times of all lines, and each line's value at each of them.
function align(lines) {
  const times = [...new Set(lines.flatMap((line) => line.times_ms))].sort((a, b) => a - b);
  const at = new Map(times.map((time, index) => [time, index]));
  const columns = lines.map((line) => {
    const column = new Array(times.length).fill(null);
    line.times_ms.forEach((time, index) => { column[at.get(time)] = line.values[index]; });
    return column;
  });
  return [times.map((time) => time / 1000), ...columns];
}

export const name_of = (line) => Object.values(line.labels).join(' / ');

// The value as of the last look; a line that ended before has none.
const last = (line, at_ms) => (line.times_ms[line.times_ms.length - 1] === at_ms ? line.values[line.values.length - 1] : null);

// One chart as a card. `events` are drawn as thin lines.
export function chart(spec, from_ms, to_ms, events, height = 120) {
  const show = of_unit[spec.unit] || String;
  const several = spec.lines.length > 1 || spec.lines.some((line) => name_of(line));
  const have = kept.get(spec.id) || { canvas: h('div', { class: 'canvas' }) };
  kept.set(spec.id, have);
  have.events = events;
  const now = spec.lines.map((line) => last(line, spec.at_ms)).filter((value) => value !== null);
  const highest = Math.max(0, ...spec.lines.flatMap((line) => line.values).filter((value) => value !== null));
  have.canvas.setAttribute('role', 'img');
  have.canvas.setAttribute('aria-label', now.length ? `${spec.title}: now ${show(Math.max(...now))}, at most ${show(highest)} within the last hour` : `${spec.title}: nothing yet`);
  draw(have, spec, from_ms, to_ms, height);
  const value = now.length ? show(Math.max(...now)) : '–';
  return h('section', { class: 'card chart', 'data-chart': spec.id },
    h('header', {}, h('h3', {}, spec.title), figure(value, spec.of)),
    have.canvas,
    several ? h('ul', { class: 'legend' }, spec.lines.slice(0, COLOURS).map((line, at) =>
      h('li', {}, h('i', { class: `swatch c${at}` }), spec.id === 'lag' ? link(to('group', line.labels.consumergroup || ''), named(name_of(line) || spec.title, 40)) : name_of(line) || spec.title, ' ', h('b', {}, show(last(line, spec.at_ms)))))) : null,
    spec.left_out ? h('p', { class: 'quiet' }, `${spec.left_out} smaller ones are not drawn.`) : null);
}

function draw(have, spec, from_ms, to_ms, height) {
  if (!window.uPlot) return;
  const data = spec.lines.length ? align(spec.lines) : [[], []];
  const scale = { min: from_ms / 1000, max: to_ms / 1000 };
  if (have.plot && have.lines === data.length) {
    have.scale = scale;
    have.plot.setData(data, false);
    have.plot.batch(() => {
      have.plot.setScale('x', scale);
    });
    return;
  }
  if (have.plot) have.plot.destroy();
  have.lines = data.length;
  have.scale = scale;
  const show = of_unit[spec.unit] || String;
  const axis = { stroke: style('--quiet'), grid: { stroke: style('--line'), width: 1 }, ticks: { show: false }, font: '11px system-ui, sans-serif' };
  const options = {
    width: 300, height, padding: [6, 4, 0, 0], legend: { show: false },
    cursor: { sync: sync ? { key: sync.key } : undefined, y: false, points: { size: 5 }, drag: { x: false, y: false } },
    scales: { x: { time: true, range: () => [have.scale.min, have.scale.max] }, y: { range: (plot, low, high) => [0, high > 0 ? high * 1.1 : 1] } },
    axes: [{ ...axis, size: 22, space: 60, values: (plot, ticks) => ticks.map((tick) => new Date(tick * 1000).toLocaleTimeString('en-GB', { hour: '2-digit', minute: '2-digit' })) }, { ...axis, ...(STEPS[spec.unit] ? { incrs: STEPS[spec.unit] } : {}), size: spec.unit === 'seconds' ? 70 : 58, space: 30, values: (plot, ticks) => ticks.map((tick) => show(tick)) }],
    series: [{}, ...data.slice(1).map((column, at) => ({ stroke: style(`--c${at % COLOURS}`), width: 1.5, fill: data.length === 2 ? style('--fill') : undefined, spanGaps: false, points: { show: false } }))],
    hooks: { draw: [(plot) => mark(plot, have.events)] },
  };
  have.plot = new uPlot(options, data, have.canvas);
  if (have.fit) have.fit.disconnect();
  have.fit = new ResizeObserver(([entry]) => {
    const width = Math.floor(entry.contentRect.width);
    if (width > 0 && have.plot) have.plot.setSize({ width, height });
  });
  have.fit.observe(have.canvas);
}

// Events as lines, one for each pixel at most.
function mark(plot, events) {
  if (!events || !events.length) return;
  const { ctx, bbox } = plot;
  const drawn = new Set();
  ctx.save();
  ctx.lineWidth = 1;
  ctx.setLineDash([3, 3]);
  for (const event of events) {
    const x = Math.round(plot.valToPos(event.time_ms / 1000, 'x', true));
    if (x < bbox.left || x > bbox.left + bbox.width || drawn.has(x)) continue;
    drawn.add(x);
    ctx.strokeStyle = style(['unclean_election', 'log_directory', 'fencing'].includes(event.kind) ? '--bad' : '--event');
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
  }
  ctx.restore();
}

export { clock, plain };
