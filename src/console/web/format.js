// Numbers as people read them. JSON writes what is not finite as a text.

export const plain = (value) => (typeof value === 'string' ? { NaN: NaN, '+Inf': Infinity, '-Inf': -Infinity }[value] : value);

const three = (value) => (value >= 100 || Number.isInteger(value) ? Math.round(value).toString() : value >= 10 ? value.toFixed(1) : value >= 0.01 ? value.toFixed(2).replace(/\.?0+$/, '') : value.toPrecision(1));

function scaled(value, step, units) {
  let at = 0;
  let size = Math.abs(value);
  while (size >= step && at < units.length - 1) { size /= step; at += 1; }
  return `${value < 0 ? '−' : ''}${three(size)}${units[at]}`;
}

const missing = (value) => value === null || value === undefined || Number.isNaN(value);

export function count(given) {
  const value = plain(given);
  if (missing(value)) return '–';
  if (!Number.isFinite(value)) return '∞';
  return scaled(value, 1000, ['', ' k', ' M', ' G', ' T']);
}

export function bytes(given) {
  const value = plain(given);
  if (missing(value)) return '–';
  return scaled(value, 1024, [' B', ' KiB', ' MiB', ' GiB', ' TiB']);
}

export function seconds(given) {
  const value = plain(given);
  if (missing(value)) return '–';
  if (!Number.isFinite(value)) return 'never';
  const size = Math.abs(value);
  if (size === 0) return '0 s';
  if (size < 0.001) return `${three(size * 1e6)} µs`;
  if (size < 1) return `${three(size * 1000)} ms`;
  if (size < 60) return `${three(size)} s`;
  const [days, hours, minutes, rest] = [Math.floor(size / 86400), Math.floor(size / 3600) % 24, Math.floor(size / 60) % 60, Math.floor(size) % 60];
  if (days > 0) return `${days} d ${hours} h`;
  if (hours > 0) return `${hours} h ${minutes} min`;
  return rest && minutes < 10 ? `${minutes} min ${rest} s` : `${minutes} min`;
}

export const percent = (given) => { const value = plain(given); return missing(value) ? '–' : `${three(value * 100)} %`; };

export const ratio = (given) => { const value = plain(given); return missing(value) ? '–' : `${three(value)}×`; };

// So many a second; what is not known has no unit.
export const rate = (show, value) => (missing(plain(value)) ? '–' : `${show(value)}/s`);

export const of_unit = {
  'records/s': (value) => `${count(value)}/s`,
  'requests/s': (value) => `${count(value)}/s`,
  'errors/s': (value) => `${count(value)}/s`,
  'bytes/s': (value) => (missing(plain(value)) ? '–' : `${bytes(value)}/s`),
  bytes,
  seconds,
  ratio: percent,
  cores: (value) => count(value),
};

export const ago = (ms, now) => (ms ? `${seconds(Math.max(0, (now - ms) / 1000))} ago` : '–');

export const clock = (ms) => new Date(ms).toLocaleTimeString('en-GB');

export const moment = (ms) => new Date(ms).toLocaleString('en-GB', { month: 'short', day: 'numeric', hour: '2-digit', minute: '2-digit', second: '2-digit' });
