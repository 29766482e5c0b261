// Shared by the plots: theme from CSS variables, numbers, axis positions, and a drawing loop that drops frames.
// Top-level functions only; Python puts this file before the component's own (see heatmap.py), so there is nothing to import.

const MINUS = '\u2212';

// A text of the page with its {places} filled in.
function fill(text, values) {
  return (text || '').replace(/\{(\w+)\}/g, (_, name) => values[name] ?? '');
}

function formatNumber(value) {
  if (value === null || value === undefined || !Number.isFinite(value)) return '–';
  const size = Math.abs(value);
  if (size === 0) return '0';
  let text;
  if (size < 0.0005) text = value.toExponential(1);
  else if (size < 1) text = value.toFixed(3);
  else text = value.toFixed(Math.max(0, 2 - Math.floor(Math.log10(size))));
  return text.replace(/-/g, MINUS);
}

function formatPlain(value) {
  return String(Number(value.toPrecision(6))).replace(/-/g, MINUS);
}

function formatSigned(value) {
  return (value > 0 ? '+' : '') + formatPlain(value);
}

// Where rates lie on a symmetric logarithmic axis: zero in the middle, half a decade between it and the smallest size.
function ratePositions(rates) {
  const sizes = rates.filter((rate) => rate !== 0).map(Math.abs);
  const smallest = sizes.length ? Math.min(...sizes) : 1;
  return rates.map((rate) => (rate === 0 ? 0 : Math.sign(rate) * (Math.log10(Math.abs(rate) / smallest) + 0.5)));
}

// Centres of the columns: 0, 1, 2, ... where the rates are about evenly spaced on their axis (1, 2, 5, 10: it then is
// logarithmic to the eye), or cannot be; else their places on it, so that a gap in a typed list looks like one.
function axisCentres(rates) {
  const index = rates.map((_, k) => k);
  if (rates.length < 3) return index;
  const places = rates.every((rate) => rate > 0) ? rates.map(Math.log10) : ratePositions(rates);
  const gaps = places.slice(1).map((value, k) => value - places[k]);
  const [smallest, largest] = [Math.min(...gaps), Math.max(...gaps)];
  return largest <= 1.7 * smallest || smallest < (places[places.length - 1] - places[0]) / (6 * gaps.length) ? index : places;
}

function axisEdges(centres) {
  if (centres.length === 1) return [centres[0] - 0.5, centres[0] + 0.5];
  const inner = centres.slice(1).map((value, k) => (value + centres[k]) / 2);
  const first = centres[0] - (inner[0] - centres[0]);
  const last = centres[centres.length - 1] + (centres[centres.length - 1] - inner[inner.length - 1]);
  return [first, ...inner, last];
}

const isDecade = (size) => size > 0 && Math.abs(Math.log10(size) - Math.round(Math.log10(size))) < 1e-6;

// Which of the labels fit, at least `room` pixels apart: `first` before the others.
function labelsThatFit(pixels, first, room) {
  const kept = [];
  for (const k of [...first, ...pixels.keys()]) {
    if (kept.every((other) => Math.abs(pixels[k] - pixels[other]) >= room)) kept.push(k);
  }
  return kept.sort((a, b) => a - b);
}

// Ticks of the rates: all of them where they fit, else zero, then powers of ten, then whatever has room.
function axisTicks(rates, centres, width, least = 34) {
  const edges = axisEdges(centres);
  const pixels = centres.map((centre) => ((centre - edges[0]) / (edges[edges.length - 1] - edges[0])) * width);
  const places = [...rates.keys()], labels = rates.map(formatPlain);
  const room = Math.max(least, 6 * Math.max(...labels.map((text) => text.length)) + 6);
  const tight = pixels.slice(1).some((value, k) => value - pixels[k] < room);
  const first = tight ? [...places.filter((k) => rates[k] === 0), ...places.filter((k) => isDecade(Math.abs(rates[k])))] : places;
  const keep = labelsThatFit(pixels, first, room);
  return { tickvals: keep.map((k) => centres[k]), ticktext: keep.map((k) => labels[k]), tickangle: 0 };
}

function readTheme(element) {
  const style = getComputedStyle(element);
  const colour = (name) => style.getPropertyValue(name).trim();
  const ramp = (name) => colour(name).split(/\s+/);
  return {
    ink: colour('--ink'), soft: colour('--ink-soft'), line: colour('--line-strong'), hair: colour('--line'), paper: colour('--surface'),
    accent: colour('--accent'), other: colour('--accent-soft'), base: colour('--base'), kept: colour('--kept'), star: colour('--star'),
    failed: colour('--danger'), font: colour('--plot-font') || 'sans-serif',
    ramps: { probability: ramp('--ramp-probability'), change: ramp('--ramp-change'), kept: ramp('--ramp-kept') },
  };
}

// The colours of a saved picture: light, whatever the page's theme is.
function readPaper(element) {
  const paper = document.createElement('div');
  paper.className = 'paper';
  paper.hidden = true;
  element.append(paper);
  const theme = readTheme(paper);
  paper.remove();
  return theme;
}

// A figure as a file of the browser's download folder: drawn here, nothing leaves the machine.
async function savePicture({ data, layout }, format, name) {
  const url = await Plotly.toImage({ data, layout }, { format, width: layout.width, height: layout.height, scale: format === 'png' ? 2 : 1 });
  const [head, body] = [url.slice(0, url.indexOf(',')), url.slice(url.indexOf(',') + 1)];
  const bytes = head.includes('base64') ? Uint8Array.from(atob(body), (letter) => letter.charCodeAt(0)) : decodeURIComponent(body);
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([bytes], { type: format === 'png' ? 'image/png' : 'image/svg+xml' }));
  link.download = `${name}.${format}`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

const LONGEST_REST = 200;

// Draws at most one frame at a time, the newest value only; again on a new width and when the theme changes. After a
// frame the page is left alone for as long as the frame took, so that a slow machine still answers clicks.
// Width and colours are kept until they change: to ask for them while the page is being changed costs a layout each.
function drawingLoop(root, draw) {
  let busy = false, dirty = false, width = 0, theme = null, restUntil = 0;
  async function frame() {
    if (busy || !dirty || !width || !globalThis.Plotly) return;
    busy = true;
    dirty = false;
    const began = performance.now();
    theme = theme || readTheme(root);
    try { await draw(width, theme); } finally { busy = false; }
    restUntil = performance.now() + Math.min(LONGEST_REST, performance.now() - began);
    if (dirty) soon();
  }
  function soon() {
    const rest = restUntil - performance.now();
    if (rest > 8) setTimeout(() => requestAnimationFrame(frame), rest);
    else if (document.hidden) requestAnimationFrame(frame);
    else queueMicrotask(frame);
  }
  function schedule() {
    dirty = true;
    if (!busy) soon();
  }
  const resize = new ResizeObserver(() => {
    if (root.clientWidth === width) return;
    width = root.clientWidth;
    schedule();
  });
  const colours = new MutationObserver(() => {
    theme = null;
    if (root.isConnected) schedule();
    else { colours.disconnect(); resize.disconnect(); }
  });
  resize.observe(root);
  colours.observe(document.body, { attributes: true, attributeFilter: ['class'] });
  return schedule;
}

// Calls `act` once the page is painted; at once where nobody looks.
function afterPaint(act) {
  if (document.hidden) act();
  else requestAnimationFrame(() => setTimeout(act));
}

const PRINTED = new WeakMap();

// A value that nobody changes as text, written once: what is drawn is compared by it.
function printed(value) {
  if (!PRINTED.has(value)) PRINTED.set(value, JSON.stringify(value));
  return PRINTED.get(value);
}

// A component's value arrives as JSON: the frontend would clone and proxy nested values on every update.
function parsed(value) {
  return value ? JSON.parse(value) : null;
}

// A title as part of a file name; the sign of a number is spelt out.
function fileWord(text) {
  const signs = text.replace(/[\u2212-](?=\d)/g, 'minus').replace(/\+(?=\d)/g, 'plus');
  return signs.replace(/[^\p{L}\p{N}.]+/gu, '-').replace(/^-+|-+$/g, '').slice(0, 60);
}

function escapeMarkup(text) {
  return text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;');
}
