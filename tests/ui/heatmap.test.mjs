// The pure functions of the plots and the tree, put together as the page does: shared helpers first. No packages.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const source = (name) => readFileSync(fileURLToPath(new URL(`../../gradiend_ui/ui/${name}`, import.meta.url)), 'utf8');
const place = (name) => (name === 'tree.js' ? `kit/${name}` : `grid/${name}`);
const load = (files, names) => new Function(`${files.map(place).map(source).join('\n')}\nreturn {${names.join(',')}};`)();

const MAPS = ['plotting.js', 'heatmap.js', 'heatmap_figure.js', 'heatmap_words.js'];
const plotting = load(['plotting.js'], ['formatNumber', 'formatSigned', 'axisCentres', 'axisEdges', 'axisTicks', 'ratePositions', 'parsed', 'fill', 'fileWord']);
const heatmap = load(MAPS, ['readView', 'warp', 'rampColour', 'textColour', 'cellAt', 'moved', 'tooltipText', 'spoken', 'tableColumns', 'tableOrder', 'overlayPaths', 'diagonals', 'mapBox', 'figure', 'savedFigure', 'cellBox', 'arrangement', 'signature', 'paintedFor', 'rowTicks', 'numberText', 'clippedText', 'pinnedLetter', 'starPlace', 'hasFaint']);
const chart = load(['plotting.js', 'row_chart.js'], ['chartFigure', 'savedChart', 'chartLabel', 'legendItems', 'topOf', 'isEmpty']);
const tree = load(['tree.js'], ['isAllowed', 'TAGS']);

const theme = {
  ink: '#000', soft: '#555', line: '#999', hair: '#ddd', paper: '#fff', accent: '#00f', other: '#88f', base: '#888', kept: '#b60', star: '#fc0', failed: '#b00', font: 'sans',
  ramps: { probability: ['#ffffff', '#000000'], change: ['#aa5500', '#ffffff', '#0055aa'], kept: ['#000000', '#ffffff'] },
};
const texts = Object.fromEntries(readFileSync(fileURLToPath(new URL('../../gradiend_ui/ui/kit/language/en/grid.toml', import.meta.url)), 'utf8').split('\n').map((line) => line.match(/^(\w+) = (".*")$/)).filter(Boolean).map(([, key, text]) => [key, JSON.parse(text)]));
const payload = (changes = {}) => ({
  run: 'r', rev: 5, feature_factors: [-1, 1], learning_rates: [0.1, 0.2, 0.5],
  tables: { 'F|M': [[0.47, 0.71, 0.76], [0.09, null, null]], lms: [[1.016, 1.008, 0.958], [0.99, null, null]], score: [[0.39, 0.39, 0.37], [0.38, null, null]] },
  maps: [
    { name: 'metric', title: 'P(F) on <M> rows', tip: 'gain', ramp: 'probability', stops: [0, 1], clipped: false, table: 'F|M', base: 0.11 },
    { name: 'lms', title: 'LMS / base', tip: 'kept', ramp: 'kept', stops: [0, 0.5, 0.8, 0.9, 0.95, 1], clipped: false, table: 'lms', base: 1 },
  ],
  details: [{ label: 'LMS', table: 'score', base: 0.387 }, { label: 'P(F) on <M> rows', table: 'F|M', base: 0.11 }],
  status: [['final', 'final', 'final'], ['provisional', 'failed', 'pending']], reason: [[null, null, null], [null, 'not finite', null]],
  passes: [[true, true, false], [true, null, null]], rows_done: [[4, 4, 4], [2, 1, 0]], rows_total: 4, best: [0, 1], fallback: false,
  can_win: [true, true], cannot: 'cannot win for F', pinned: [], matrix: 0, shows: 'other', file: { stem: 'demo_F', subtitle: 'demo, more F' }, ...changes,
});
const view = (changes = {}) => heatmap.readView(JSON.stringify(payload(changes)));

test('what a value leaves out comes from the view before it', () => {
  const whole = view({ tables_version: 'r:5', held: false });
  const { status, reason, rows_done: rows, rows_total: total, ...rest } = payload({ tables_version: 'r:5', held: true, passes: [[false, true, true], [true, null, null]] });
  const sent = JSON.stringify({ ...rest, tables: {} }), light = heatmap.readView(sent, whole);
  assert.deepEqual([light.status, light.reason, light.rows_done, light.rows_total], [status, reason, rows, total]);
  assert.deepEqual(light.passes[0], [false, true, true]);
  assert.equal(light.maps[0].values, whole.maps[0].values);
  assert.equal(light.details[0].values, whole.details[0].values);
  const changed = { ...rest, tables: { 'F|M': [[0, 0, 0], [1, 1, 1]] } };
  assert.deepEqual(heatmap.readView(JSON.stringify(changed), light).maps[0].values, [[0, 0, 0], [1, 1, 1]]);
  assert.equal(heatmap.readView(sent, view({ tables_version: 'r:6', held: false })), null);
  assert.equal(heatmap.readView(sent), null);
});

test('numbers have three significant digits and a real minus sign', () => {
  assert.deepEqual([0.71234, 12.34, 1, 0, null, NaN, -0.00012].map(plotting.formatNumber), ['0.712', '12.3', '1.00', '0', '–', '–', '−1.2e−4']);
  assert.equal(plotting.formatSigned(-1), '−1');
  assert.equal(plotting.formatSigned(0.5), '+0.5');
});

test('rates in steps of 1, 2, 5 are spaced evenly, a gap in a typed list shows', () => {
  assert.deepEqual(plotting.axisCentres([0.1, 0.2, 0.5, 1]), [0, 1, 2, 3]);
  assert.deepEqual(plotting.axisCentres([0.1, 1, 100]), [-1, 0, 2]);
  assert.deepEqual(plotting.axisCentres([0, 0.1, 100]), [0, 0.5, 3.5]);
  assert.deepEqual(plotting.axisCentres([0.1, 0.101, 100]), [0, 1, 2]);
  assert.deepEqual(plotting.axisEdges([0, 1, 2]), [-0.5, 0.5, 1.5, 2.5]);
  assert.deepEqual(plotting.axisEdges([7]), [6.5, 7.5]);
});

test('negative rates mirror the positive ones around zero', () => {
  assert.deepEqual(plotting.ratePositions([-1, -0.1, 0, 0.1, 1]), [-1.5, -0.5, 0, 0.5, 1.5]);
  assert.deepEqual(plotting.axisCentres([-1, -0.1, 0, 0.1, 1]), [-1.5, -0.5, 0, 0.5, 1.5]);
  assert.deepEqual(plotting.axisCentres([-0.5, -0.2, -0.1]).map((x) => x < 0 || x === 0 || x > 0), [true, true, true]);
  const rates = [-10, -5, -2, -1, 0, 1, 2, 5, 10], ticks = plotting.axisTicks(rates, plotting.axisCentres(rates), 200).ticktext;
  assert.ok(ticks.includes('0') && ticks.includes('10') && ticks.includes('−10'), String(ticks));
});

test('labels that do not fit are left out, powers of ten stay', () => {
  const rates = [0.1, 0.2, 0.5, 1, 2, 5, 10], centres = plotting.axisCentres(rates);
  assert.equal(plotting.axisTicks(rates, centres, 700).ticktext.length, 7);
  assert.deepEqual(plotting.axisTicks(rates, centres, 140).ticktext, ['0.1', '1', '10']);
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
  assert.deepEqual(heatmap.cellAt(view({ learning_rates: [0.1, 1, 100] }), 0.6, 0.1), { row: 0, column: 2 });
});

test('keys move the cell and stop at the border', () => {
  const at = (cell, key) => heatmap.moved(view(), cell, key);
  assert.deepEqual(at({ row: 0, column: 1 }, 'ArrowUp'), { row: 1, column: 1 });
  assert.deepEqual(at({ row: 0, column: 0 }, 'ArrowLeft'), { row: 0, column: 0 });
  assert.deepEqual(at({ row: 0, column: 0 }, 'End'), { row: 0, column: 2 });
  assert.deepEqual(at({ row: 1, column: 2 }, 'Home'), { row: 1, column: 0 });
  assert.deepEqual(at(null, 'ArrowDown'), { row: 0, column: 0 });
  assert.deepEqual(at({ row: 0, column: 1 }, 'PageUp'), { row: 1, column: 1 });
  assert.deepEqual(heatmap.moved(view(), { row: 0, column: 1 }, 'Home', true), { row: 1, column: 0 });
  assert.deepEqual(heatmap.moved(view(), { row: 0, column: 1 }, 'End', true), { row: 0, column: 2 });
  assert.equal(heatmap.moved(view(), { row: 0, column: 1 }, 'ArrowUp', true), null);
  assert.equal(at(null, 'x'), null);
});

test('a tooltip has every number once, or says why there is none', () => {
  const tip = (changes, row, column) => heatmap.tooltipText(view(changes), row, column, texts);
  const best = tip({}, 0, 1);
  assert.equal(best.title, 'feature factor −1, learning rate 0.2');
  assert.deepEqual(best.lines, [['P(F) on <M> rows', '0.710', '0.110'], ['LMS / base', '1.01', '1.00'], ['LMS', '0.390', '0.387']]);
  assert.equal(best.note, 'best cell');
  assert.equal(tip({}, 0, 2).note, 'below the LMS threshold');
  assert.equal(tip({}, 1, 0).note, 'provisional, 2 of 4 rows');
  assert.deepEqual(tip({}, 1, 1), { title: 'feature factor +1, learning rate 0.2', lines: [], note: 'failed: not finite' });
  assert.equal(tip({}, 1, 2).note, 'not computed yet');
  assert.equal(tip({ fallback: true }, 0, 1).note, 'fallback, not a winner');
  assert.equal(tip({ can_win: [false, true], pinned: [[0, 0]] }, 0, 0).note, 'cannot win for F · pinned as A');
  assert.equal(heatmap.spoken(view(), view().maps[0], 0, 1, texts), 'feature factor −1, learning rate 0.2. P(F) on <M> rows 0.710, LMS / base 1.01. best cell');
});

test('the table twin has a line for every cell and every number once, in any order', () => {
  const shown = view({ can_win: [true, false] }), columns = heatmap.tableColumns(shown, texts);
  assert.deepEqual(columns.map(({ label }) => label), ['factor', 'rate', 'P(F) on <M> rows', 'LMS / base', 'LMS', 'status']);
  const line = ([row, column]) => columns.map(({ text }) => text(row, column));
  const inOrder = heatmap.tableOrder(shown, columns, null);
  assert.equal(inOrder.length, 6);
  assert.deepEqual(line(inOrder[2]), ['−1', '0.5', '0.760', '0.958', '0.370', 'below the LMS threshold']);
  assert.deepEqual(line(inOrder[5]), ['+1', '0.5', '–', '–', '–', 'not computed yet · cannot win for F']);
  const values = (sorted) => heatmap.tableOrder(shown, columns, sorted).map(([row, column]) => shown.maps[0].values[row][column]);
  assert.deepEqual(values({ column: 2, descending: true }), [0.76, 0.71, 0.47, 0.09, null, null]);
  assert.deepEqual(values({ column: 2, descending: false }), [0.09, 0.47, 0.71, 0.76, null, null]);
  const late = view({ tables: { ...payload().tables, 'F|M': [[null, 0.71, 0.76], [0.09, 0.2, null]] } }), order = (descending) => heatmap.tableOrder(late, heatmap.tableColumns(late, texts), { column: 2, descending }).map(([row, column]) => late.maps[0].values[row][column]);
  assert.deepEqual([order(true), order(false)], [[0.76, 0.71, 0.2, 0.09, null, null], [0.09, 0.2, 0.71, 0.76, null, null]]);
});

test('empty cells are outlined, failed ones crossed and failing ones hatched in an ink that shows', () => {
  const shown = view(), box = heatmap.mapBox(shown, 700, 1), count = (path, letter) => path.split(letter).length - 1;
  const paths = heatmap.overlayPaths(shown, shown.maps[0], theme.ramps.probability, box);
  assert.equal(count(paths.empty, 'z'), 2);
  assert.equal(count(paths.cross, 'M'), 2);
  assert.equal(count(paths.dark, 'z') + count(paths.light, 'z'), 1);
  assert.equal(count(paths.light, 'z'), 1, '0.76 of black is dark: light ink');
  const passing = view({ passes: [[true, true, true], [true, null, null]] });
  const none = heatmap.overlayPaths(passing, passing.maps[0], theme.ramps.probability, box);
  assert.equal(none.dark + none.light, '');
});

test('what may still move is faint, with dots or a dash that a colour-blind eye sees, and tells its standard error', () => {
  const status = [['final', 'skipped', 'final'], ['provisional', 'skipped', 'pending']];
  const shown = view({ status, errors: { metric: [[null, 0.1, null], [0.0234, null, null]], lms: [[null, 0.1, null], [0.011, null, null]] } });
  const box = heatmap.mapBox(shown, 700, 1), count = (path, letter) => path.split(letter).length - 1;
  const paths = heatmap.overlayPaths(shown, shown.maps[0], theme.ramps.probability, box);
  assert.deepEqual([count(paths.dots, 'M'), count(paths.dash, 'M'), paths.cross], [3, 2, '']);
  const small = heatmap.overlayPaths(shown, shown.maps[0], theme.ramps.probability, heatmap.mapBox(shown, 120, 1));
  assert.equal(count(small.dots, 'M'), 1);
  const { data, layout } = heatmap.figure(shown, shown.maps[0], theme, box, texts);
  assert.deepEqual([data[0].z[0][1], data[1].z[0][1], data[1].opacity], [null, 0.71, 0.45]);
  assert.ok(!('datarevision' in layout), 'with it, Plotly leaves other numbers of the same revision undrawn');
  assert.match(heatmap.tooltipText(shown, 1, 0, texts).note, /^provisional, 2 of 4 rows, standard error 0\.023 of the probability, 0\.011 of the LMS$/);
  assert.match(heatmap.spoken(shown, shown.maps[0], 1, 0, texts), /standard error 0\.023/);
  const reason = [[null, 'Cannot win: it is small.', null], [null, null, null]];
  assert.match(heatmap.spoken(view({ status, reason }), shown.maps[0], 0, 1, texts), /skipped: Cannot win: it is small\. A click \(or Enter\) scores it\./);
  const degenerate = [[null, null, { token: '[CLS]', share: 0.97, base_share: 0.1 }], [null, null, null]];
  assert.match(heatmap.tooltipText(view({ degenerate }), 0, 2, texts).note, /broken: says “\[CLS\]” at 97 % of all places/);
  assert.doesNotMatch(heatmap.tooltipText(view({ degenerate }), 0, 1, texts).note, /broken/);
  const rows = chart.chartFigure({ ...rowView, status: ['final', 'provisional', 'skipped'] }, theme, 700, texts).data;
  assert.deepEqual(rows[0].marker.symbol, ['circle', 'circle-open', 'circle-open']);
});

test('diagonals stay inside their box', () => {
  for (const [x0, y0, x1, y1] of heatmap.diagonals(20, 30)) {
    assert.ok(x0 >= 0 && x1 <= 20 && y0 >= 0 && y1 <= 30 + 1e-9 && x1 > x0);
  }
});

test('a figure has true cells and both opacities', () => {
  const box = heatmap.mapBox(view(), 700, 1);
  const { data, layout } = heatmap.figure(view(), view().maps[0], theme, box, texts);
  const [final, provisional] = data;
  assert.equal(final.zsmooth, undefined);
  assert.deepEqual(final.z, [[0.47, 0.71, 0.76], [null, null, null]]);
  assert.deepEqual(provisional.z[1], [0.09, null, null]);
  assert.ok(provisional.opacity < 1);
  assert.equal(final.x.length, 4);
  assert.equal(layout.margin.autoexpand, false);
  const finished = view({ status: [['final', 'final', 'final'], ['final', 'failed', 'pending']] });
  assert.equal(heatmap.figure(finished, finished.maps[0], theme, box, texts).data.filter(({ type }) => type === 'heatmap').length, 1);
});

test('a saved figure stands on its own: title, notes, axis titles, marks, star, selection, a background', () => {
  const shown = view({ can_win: [true, false] }), { data, layout } = heatmap.savedFigure(shown, shown.maps[0], theme, texts, { row: 0, column: 2 });
  assert.ok(layout.title.text.startsWith('<b>P(F) on &lt;M&gt; rows</b>'));
  assert.match(layout.title.text, /demo, more F +base 0\.110 +\* cannot win for F/);
  assert.equal(layout.xaxis.title.text, texts.axis_rate);
  assert.equal(layout.yaxis.title.text, texts.axis_factor_short);
  assert.equal(layout.paper_bgcolor, theme.paper);
  assert.deepEqual([layout.shapes[0].x0, layout.shapes[0].y0], [1.5, -0.5]);
  assert.equal(data.find((trace) => trace.marker?.symbol === 'star').x.length, 1);
  assert.ok(data.some((trace) => trace.line?.color?.startsWith('rgba') && trace.x.length > 0), 'hatched');
  const fallback = heatmap.savedFigure(view({ fallback: true }), shown.maps[0], theme, texts, null).data.at(-1);
  assert.equal(fallback.marker.symbol, 'star-open');
  assert.equal(fallback.marker.color, theme.failed);
});

test('changes are signed, diverge around zero and say where their colours end', () => {
  const change = { name: 'metric', title: 'change', ramp: 'change', stops: [-0.31, 0, 0.31], clipped: true, values: [[0.1, -0.5, 0]] };
  assert.equal(heatmap.warp(0, change.stops), 0.5);
  assert.equal(heatmap.warp(-0.5, change.stops), 0);
  assert.deepEqual([0.5991, -0.25, 0.0001].map((value) => heatmap.numberText(change, value)), ['+.599', '−.250', '0']);
  assert.equal(heatmap.clippedText(change, texts), 'clipped at ±0.31');
});

test('a cell lies exactly over its place', () => {
  const box = heatmap.mapBox(view(), 696, 1);
  const first = heatmap.cellBox(view(), box, { row: 1, column: 0 }), last = heatmap.cellBox(view(), box, { row: 0, column: 2 });
  assert.deepEqual([first.left, first.top, first.width, first.height], [0, 0, 200, 34]);
  assert.deepEqual([last.left, last.top], [400, 34]);
});

test('tall grids stand side by side where there is room, many classes as small multiples', () => {
  const tall = view({ feature_factors: [1, 2, 3, 4, 5, 6, 7, 8, 9] });
  assert.equal(heatmap.arrangement(tall, 720), 'side');
  assert.equal(heatmap.arrangement(tall, 400), 'stack');
  assert.equal(heatmap.arrangement(view(), 720), 'stack');
  assert.equal(heatmap.arrangement(view({ matrix: 2 }), 720), 'matrix');
  assert.ok(heatmap.mapBox(view({ matrix: 1 }), 720, 0).isSmall && !heatmap.mapBox(view({ matrix: 1 }), 720, 1).isSmall);
});

test('rows that cannot win carry a sign, also where not all rows are labelled', () => {
  const few = view({ can_win: [false, true] });
  assert.deepEqual(heatmap.rowTicks(few, heatmap.mapBox(few, 700, 1)).ticktext, ['−1*', '+1']);
  const rows = Array.from({ length: 50 }, (_, k) => Math.round((-2 + (4 * k) / 49) * 1e4) / 1e4), many = view({ feature_factors: rows, can_win: rows.map(() => false) });
  const ticks = heatmap.rowTicks(many, { innerHeight: 400 }).ticktext;
  assert.ok(ticks.length < 25 && ticks.includes('+2*') && ticks.includes('−2*'), String(ticks));
});

test('pinned cells have letters, file names only letters and signs', () => {
  assert.equal(heatmap.pinnedLetter(view({ pinned: [[0, 0], [1, 2]] }), 1, 2), 'B');
  assert.equal(heatmap.pinnedLetter(view(), 1, 2), '');
  assert.equal(plotting.fileWord('1 − P(F) on <M>/.. rows'), '1-P-F-on-M-..-rows');
  assert.equal(plotting.fileWord('Row of feature factor −1'), 'Row-of-feature-factor-minus1');
  assert.equal(plotting.fill('{a} of {b}', { a: 0, b: 2 }), '0 of 2');
});

test('a cell that has just arrived changes its signature', () => {
  const cell = { row: 1, column: 0 };
  const later = view({ status: [['final', 'final', 'final'], ['final', 'failed', 'pending']] });
  assert.notEqual(heatmap.signature(view(), cell), heatmap.signature(later, cell));
  assert.equal(heatmap.signature(view(), null), '');
});

const rowView = { rev: 1, learning_rates: [0.1, 0.2, 0.5], feature_factor: -1, row: 0, column: 1, threshold: 0.99, status: ['final', 'final', 'provisional'],
  lines: [{ name: 'P(F) on M rows', kind: 'target', tip: 'gain', values: [0.47, 0.71, null], base: 0.11 }, { name: 'LMS / base', kind: 'kept', tip: 'kept', values: [1.01, 1, 0.9], base: 1 }] };

test('the row chart marks the selection, the base and the threshold', () => {
  const { data, layout } = chart.chartFigure(rowView, theme, 700, texts);
  assert.equal(data.length, 2);
  assert.equal(data[0].connectgaps, false);
  assert.deepEqual(layout.shapes.map((shape) => shape.type), ['rect', 'line', 'line', 'line']);
  assert.deepEqual(layout.shapes.filter((shape) => shape.line.color === theme.base).map((shape) => shape.y0), [0.11, 1]);
  assert.match(chart.chartLabel(rowView, texts), /P\(F\) on M rows 0.710/);
  assert.deepEqual(chart.legendItems(rowView, texts).map((item) => item.kind), ['target', 'kept', 'base']);
  assert.ok(chart.legendItems(rowView, texts).every(({ tip }) => tip));
  assert.ok(!chart.isEmpty(rowView) && chart.isEmpty({ lines: [{ values: [null, null] }] }));
});

test('the row chart has negative rates left of zero, and zero is the base', () => {
  const signed = { ...rowView, learning_rates: [-1, -0.1, 0, 0.1, 1], column: 4, status: Array(5).fill('final'), lines: [{ ...rowView.lines[0], values: [0.1, 0.2, 0.3, 0.4, 0.5] }] };
  const { data, layout } = chart.chartFigure(signed, theme, 700, texts);
  assert.deepEqual(data[0].x, [-1.5, -0.5, 0, 0.5, 1.5]);
  assert.deepEqual(layout.xaxis.ticktext, ['−1', '−0.1', '0', '0.1', '1']);
  assert.deepEqual(layout.shapes.filter((shape) => shape.x0 === 0 && shape.x1 === 0).length, 1);
});

test('lines of the same kind differ in more than colour', () => {
  const line = (name) => ({ name, kind: 'further', tip: '', values: [0.1, 0.2, 0.3], base: 0 });
  const { data } = chart.chartFigure({ ...rowView, lines: [line('a'), line('b')] }, theme, 700, texts);
  assert.notEqual(data[0].marker.symbol, data[1].marker.symbol);
});

test('a board that was painted for another cell is known by it', () => {
  assert.ok(heatmap.paintedFor(view({ chosen: null }), null) && heatmap.paintedFor(view(), null));
  assert.ok(heatmap.paintedFor(view({ chosen: [0, 2] }), { row: 0, column: 2 }));
  assert.ok(!heatmap.paintedFor(view({ chosen: [0, 1] }), { row: 0, column: 2 }));
  assert.ok(!heatmap.paintedFor(view({ chosen: [0, 2] }), null) && !heatmap.paintedFor(view(), { row: 0, column: 2 }));
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
