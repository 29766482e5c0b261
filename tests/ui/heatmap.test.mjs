// The pure functions of the plots and the tree, put together as the page does: shared helpers first. No packages.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const source = (name) => readFileSync(fileURLToPath(new URL(`../../gradiend_ui/ui/${name}`, import.meta.url)), 'utf8');
const place = (name) => (name === 'tree.js' ? name : `grid/${name}`);
const load = (files, names) => new Function(`${files.map(place).map(source).join('\n')}\nreturn {${names.join(',')}};`)();

const plotting = load(['plotting.js'], ['formatNumber', 'formatSigned', 'axisCentres', 'axisEdges', 'axisTicks', 'parsed']);
const heatmap = load(['plotting.js', 'heatmap.js'], ['warp', 'rampColour', 'textColour', 'cellAt', 'moved', 'tooltipText', 'spoken', 'tableRows', 'marks', 'diagonals', 'mapBox', 'figure', 'outlineBox', 'isSideBySide', 'signature', 'escapeMarkup']);
const chart = load(['plotting.js', 'row_chart.js'], ['chartFigure', 'chartLabel', 'legendItems', 'topOf']);
const tree = load(['tree.js'], ['isAllowed', 'TAGS']);

const theme = {
  ink: '#000', soft: '#555', line: '#999', hair: '#ddd', paper: '#fff', accent: '#00f', other: '#88f', base: '#888', kept: '#b60', star: '#fc0', failed: '#b00', font: 'sans',
  ramps: { probability: ['#ffffff', '#000000'], kept: ['#000000', '#ffffff'] },
};
const view = (changes = {}) => ({
  run: 'r', rev: 5, rows: [-1, 1], columns: [0.1, 0.2, 0.5],
  maps: [
    { name: 'metric', title: 'P(F) on <M> rows', ramp: 'probability', stops: [0, 1], values: [[0.47, 0.71, 0.76], [0.09, null, null]], base: 0.11 },
    { name: 'lms', title: 'LMS / base', ramp: 'kept', stops: [0, 0.5, 0.8, 0.9, 0.95, 1], values: [[1.016, 1.008, 0.958], [0.99, null, null]], base: 1 },
  ],
  details: [{ label: 'LMS', values: [[0.39, 0.39, 0.37], [0.38, null, null]], base: 0.387 }],
  status: [['final', 'final', 'final'], ['provisional', 'failed', 'pending']], reason: [[null, null, null], [null, 'not finite', null]],
  passes: [[true, true, false], [true, null, null]], rows_done: [[4, 4, 4], [2, 1, 0]], rows_total: 4, best: [0, 1], fallback: false, ...changes,
});

test('numbers have three significant digits and a real minus sign', () => {
  assert.deepEqual([0.71234, 12.34, 1, 0, null, NaN, -0.00012].map(plotting.formatNumber), ['0.712', '12.3', '1.00', '0', '–', '–', '−1.2e−4']);
  assert.equal(plotting.formatSigned(-1), '−1');
  assert.equal(plotting.formatSigned(0.5), '+0.5');
});

test('rates in steps of 1, 2, 5 are spaced evenly, a gap in a typed list shows', () => {
  assert.deepEqual(plotting.axisCentres([0.1, 0.2, 0.5, 1]), [0, 1, 2, 3]);
  assert.deepEqual(plotting.axisCentres([0.1, 1, 100]), [-1, 0, 2]);
  assert.deepEqual(plotting.axisCentres([0, 0.1, 100]), [0, 1, 2]);
  assert.deepEqual(plotting.axisCentres([0.1, 0.101, 100]), [0, 1, 2]);
  assert.deepEqual(plotting.axisEdges([0, 1, 2]), [-0.5, 0.5, 1.5, 2.5]);
  assert.deepEqual(plotting.axisEdges([7]), [6.5, 7.5]);
});

test('labels that do not fit are left out, powers of ten stay', () => {
  const rates = [0.1, 0.2, 0.5, 1, 2, 5, 10], centres = plotting.axisCentres(rates);
  assert.equal(plotting.axisTicks(rates, centres, 700).ticktext.length, 7);
  assert.deepEqual(plotting.axisTicks(rates, centres, 120).ticktext, ['0.1', '1', '10']);
  assert.deepEqual(plotting.axisTicks([3], [0], 300).ticktext, ['3']);
});

test('a value is placed between the stops', () => {
  const stops = [0, 0.5, 0.8, 0.9, 0.95, 1];
  assert.equal(heatmap.warp(null, stops), null);
  assert.equal(heatmap.warp(1.02, stops), 1);
  assert.equal(heatmap.warp(-1, stops), 0);
  assert.ok(Math.abs(heatmap.warp(0.9, stops) - 0.6) < 1e-12);
  assert.equal(heatmap.textColour(['#ffffff', '#000000'], 0), '#14181f');
  assert.equal(heatmap.textColour(['#ffffff', '#000000'], 1), '#ffffff');
});

test('the hit test finds the cell, also on uneven columns, and nothing outside', () => {
  assert.deepEqual(heatmap.cellAt(view(), 0.99, 0.1), { row: 0, column: 2 });
  assert.deepEqual(heatmap.cellAt(view(), 0, 0.99), { row: 1, column: 0 });
  assert.equal(heatmap.cellAt(view(), 1, 0.5), null);
  assert.equal(heatmap.cellAt(view(), 0.5, -0.01), null);
  assert.deepEqual(heatmap.cellAt(view({ columns: [0.1, 1, 100] }), 0.6, 0.1), { row: 0, column: 2 });
});

test('keys move the cell and stop at the border', () => {
  const at = (cell, key) => heatmap.moved(view(), cell, key);
  assert.deepEqual(at({ row: 0, column: 1 }, 'ArrowUp'), { row: 1, column: 1 });
  assert.deepEqual(at({ row: 0, column: 0 }, 'ArrowLeft'), { row: 0, column: 0 });
  assert.deepEqual(at({ row: 0, column: 0 }, 'End'), { row: 0, column: 2 });
  assert.deepEqual(at({ row: 1, column: 2 }, 'Home'), { row: 1, column: 0 });
  assert.deepEqual(at(null, 'ArrowDown'), { row: 0, column: 0 });
  assert.equal(at(null, 'x'), null);
});

test('a tooltip has every number, or says why there is none', () => {
  const best = heatmap.tooltipText(view(), 0, 1);
  assert.equal(best.title, 'feature factor −1, learning rate 0.2');
  assert.deepEqual(best.lines, [['P(F) on <M> rows', '0.710', '0.110'], ['LMS / base', '1.01', '1.00'], ['LMS', '0.390', '0.387']]);
  assert.equal(best.note, 'best cell');
  assert.equal(heatmap.tooltipText(view(), 0, 2).note, 'below the LMS threshold');
  assert.equal(heatmap.tooltipText(view(), 1, 0).note, 'provisional, 2 of 4 rows');
  assert.deepEqual(heatmap.tooltipText(view(), 1, 1), { title: 'feature factor +1, learning rate 0.2', lines: [], note: 'failed: not finite' });
  assert.equal(heatmap.tooltipText(view(), 1, 2).note, 'not computed yet');
  assert.equal(heatmap.tooltipText(view({ fallback: true }), 0, 1).note, 'fallback, not a winner');
  assert.match(heatmap.spoken(view(), 0, 1), /learning rate 0.2. P\(F\) on <M> rows 0.710, LMS \/ base 1.01. best cell/);
});

test('the table twin has a line for every cell', () => {
  const { head, body } = heatmap.tableRows(view());
  assert.deepEqual(head, ['factor', 'rate', 'P(F) on <M> rows', 'LMS / base', 'status']);
  assert.equal(body.length, 6);
  assert.deepEqual(body[2], ['−1', '0.5', '0.760', '0.958', 'below threshold']);
  assert.deepEqual(body[5], ['+1', '0.5', '–', '–', 'not computed yet']);
});

test('empty cells are outlined and failed ones crossed', () => {
  const gaps = (line) => line.x.filter((x) => x === null).length;
  const { empty, cross } = heatmap.marks(view(), view().maps[0], heatmap.mapBox(view(), 700, true));
  assert.equal(gaps(empty), 2);
  assert.equal(gaps(cross), 2);
  assert.ok(empty.x[0] > 0.5 && empty.x[1] < 1.5, 'inside the second column');
});

test('diagonals stay inside their box', () => {
  for (const [x0, y0, x1, y1] of heatmap.diagonals(20, 30)) {
    assert.ok(x0 >= 0 && x1 <= 20 && y0 >= 0 && y1 <= 30 + 1e-9 && x1 > x0);
  }
});

test('a figure has true cells, both opacities and the star', () => {
  const box = heatmap.mapBox(view(), 700, true);
  const { data, layout } = heatmap.figure(view(), view().maps[0], theme, box);
  const [final, provisional] = data;
  assert.equal(final.zsmooth, undefined);
  assert.deepEqual(final.z, [[0.47, 0.71, 0.76], [null, null, null]]);
  assert.deepEqual(provisional.z[1], [0.09, null, null]);
  assert.ok(provisional.opacity < 1);
  assert.equal(final.x.length, 4);
  const star = data.find((trace) => trace.marker?.symbol === 'star');
  assert.equal(star.x.length, 1);
  assert.equal(layout.margin.autoexpand, false);
  assert.ok(layout.title.text.startsWith('P(F) on &lt;M&gt; rows'));
});

test('the outline lies exactly over its cell', () => {
  const box = heatmap.mapBox(view(), 696, true);
  const first = heatmap.outlineBox(view(), box, { row: 1, column: 0 }), last = heatmap.outlineBox(view(), box, { row: 0, column: 2 });
  assert.deepEqual([first.left, first.top, first.width, first.height], [46, 24, 200, 34]);
  assert.deepEqual([last.left, last.top], [446, 58]);
});

test('a failing cell is hatched, a passing one is not', () => {
  const box = heatmap.mapBox(view(), 700, true);
  const hatched = (passes) => heatmap.figure(view({ passes }), view().maps[0], theme, box).data.filter((trace) => trace.line?.color?.startsWith('rgba')).some((trace) => trace.x.length > 0);
  assert.ok(hatched([[true, true, false], [true, null, null]]));
  assert.ok(!hatched([[true, true, true], [true, null, null]]));
});

test('a fallback is an open star in the colour of failure', () => {
  const { data } = heatmap.figure(view({ fallback: true }), view().maps[0], theme, heatmap.mapBox(view(), 700, true));
  assert.equal(data.at(-1).marker.symbol, 'star-open');
  assert.equal(data.at(-1).marker.color, theme.failed);
});

test('tall grids stand side by side where there is room', () => {
  const tall = view({ rows: [1, 2, 3, 4, 5, 6, 7, 8, 9] });
  assert.ok(heatmap.isSideBySide(tall, 720));
  assert.ok(!heatmap.isSideBySide(tall, 400));
  assert.ok(!heatmap.isSideBySide(view(), 720));
});

test('a cell that has just arrived changes its signature', () => {
  const cell = { row: 1, column: 0 };
  const later = view({ status: [['final', 'final', 'final'], ['final', 'failed', 'pending']] });
  assert.notEqual(heatmap.signature(view(), cell), heatmap.signature(later, cell));
  assert.equal(heatmap.signature(view(), null), '');
});

const rowView = { rev: 1, columns: [0.1, 0.2, 0.5], feature_factor: -1, row: 0, column: 1, threshold: 0.99, status: ['final', 'final', 'provisional'],
  lines: [{ name: 'P(F) on M rows', kind: 'target', values: [0.47, 0.71, null], base: 0.11 }, { name: 'LMS / base', kind: 'kept', values: [1.01, 1, 0.9], base: 1 }] };

test('the row chart marks the selection, the base and the threshold', () => {
  const { data, layout } = chart.chartFigure(rowView, theme, 700);
  assert.equal(data.length, 2);
  assert.equal(data[0].connectgaps, false);
  assert.deepEqual(layout.shapes.map((shape) => shape.type), ['rect', 'line', 'line', 'line']);
  assert.deepEqual(layout.shapes.filter((shape) => shape.line.color === theme.base).map((shape) => shape.y0), [0.11, 1]);
  assert.match(chart.chartLabel(rowView), /P\(F\) on M rows 0.710/);
  assert.deepEqual(chart.legendItems(rowView).map((item) => item.kind), ['target', 'kept', 'base']);
});

test('a value arrives as JSON, or not at all', () => {
  assert.deepEqual(plotting.parsed('{"a":1}'), { a: 1 });
  assert.equal(plotting.parsed(''), null);
  assert.equal(plotting.parsed(null), null);
});

test('a tree takes no scripts, handlers, foreign links or free styles', () => {
  assert.ok(!tree.TAGS.has('script') && !tree.TAGS.has('img') && !tree.TAGS.has('iframe'));
  assert.ok(tree.isAllowed('aria-label', 'x') && tree.isAllowed('href', '#step-load') && tree.isAllowed('href', '?run=Ab-1_x') && tree.isAllowed('style', '--p: 0.5'));
  assert.ok(!tree.isAllowed('onclick', 'x') && !tree.isAllowed('href', 'javascript:alert(1)') && !tree.isAllowed('href', 'https://x.org') && !tree.isAllowed('style', 'background: url(x)'));
});
