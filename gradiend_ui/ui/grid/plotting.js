// Shared by the plots: theme from CSS variables, numbers, axis positions, and a drawing loop that drops frames.
// Top-level functions only; Python puts this file before the component's own (see ui/plot.py), so there is nothing to import.

const MINUS = '\u2212';

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

// Centres of the columns: 0, 1, 2, ... where the rates are about evenly spaced in log10 (1, 2, 5, 10: the axis then is
// logarithmic to the eye), or cannot be; else their log10, so that a gap in a typed list looks like one.
function axisCentres(rates) {
  const index = rates.map((_, k) => k);
  if (rates.length < 3 || rates.some((rate) => !(rate > 0))) return index;
  const logs = rates.map(Math.log10);
  const gaps = logs.slice(1).map((value, k) => value - logs[k]);
  const [smallest, largest] = [Math.min(...gaps), Math.max(...gaps)];
  return largest <= 1.7 * smallest || smallest < (logs[logs.length - 1] - logs[0]) / (6 * gaps.length) ? index : logs;
}

function axisEdges(centres) {
  if (centres.length === 1) return [centres[0] - 0.5, centres[0] + 0.5];
  const inner = centres.slice(1).map((value, k) => (value + centres[k]) / 2);
  const first = centres[0] - (inner[0] - centres[0]);
  const last = centres[centres.length - 1] + (centres[centres.length - 1] - inner[inner.length - 1]);
  return [first, ...inner, last];
}

// Which labels fit: all of them, else powers of ten, else every k-th.
function axisTicks(rates, centres, width, room = 34) {
  const span = centres.length > 1 ? centres[centres.length - 1] - centres[0] : 1;
  const smallest = Math.min(...centres.slice(1).map((value, k) => value - centres[k]), span);
  const pixels = (width * smallest) / (span + smallest);
  let keep = rates.map((_, k) => k);
  if (pixels < room) {
    const decades = keep.filter((k) => rates[k] > 0 && Math.abs(Math.log10(rates[k]) - Math.round(Math.log10(rates[k]))) < 1e-6);
    const enough = decades.length > 1 && (width * (centres[decades[1]] - centres[decades[0]])) / (span + smallest) >= room;
    const step = Math.max(1, Math.ceil(room / Math.max(pixels, 1)));
    keep = enough ? decades : keep.filter((k) => k % step === 0);
  }
  return { tickvals: keep.map((k) => centres[k]), ticktext: keep.map((k) => formatPlain(rates[k])) };
}

function readTheme(element) {
  const style = getComputedStyle(element);
  const colour = (name) => style.getPropertyValue(name).trim();
  const ramp = (name) => colour(name).split(/\s+/);
  return {
    ink: colour('--ink'), soft: colour('--ink-soft'), line: colour('--line-strong'), hair: colour('--line'), paper: colour('--surface'),
    accent: colour('--accent'), other: colour('--accent-soft'), base: colour('--base'), kept: colour('--kept'), star: colour('--star'),
    failed: colour('--danger'), font: colour('--plot-font') || 'sans-serif',
    ramps: { probability: ramp('--ramp-probability'), kept: ramp('--ramp-kept') },
  };
}

// Draws at most one frame at a time, the newest value only; again on a new width and when the theme changes.
function drawingLoop(root, draw) {
  let busy = false, dirty = false, width = 0;
  async function frame() {
    if (busy || !dirty || !root.clientWidth || !globalThis.Plotly) return;
    busy = true;
    dirty = false;
    try { await draw(); } finally { busy = false; }
    if (dirty) requestAnimationFrame(frame);
  }
  function schedule() {
    dirty = true;
    if (!busy) requestAnimationFrame(frame);
  }
  const resize = new ResizeObserver(() => {
    if (root.clientWidth === width) return;
    width = root.clientWidth;
    schedule();
  });
  const theme = new MutationObserver(() => {
    if (root.isConnected) schedule();
    else { theme.disconnect(); resize.disconnect(); }
  });
  resize.observe(root);
  theme.observe(document.body, { attributes: true, attributeFilter: ['class'] });
  return schedule;
}

// A component's value arrives as JSON: the frontend would clone and proxy nested values on every update.
function parsed(value) {
  return value ? JSON.parse(value) : null;
}
