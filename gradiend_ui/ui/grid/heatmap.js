// Linked maps over (feature factor, learning rate) in one component. Pure: values in, values out,
// tested with Node. heatmap_mount.js owns the DOM. Needs plotting.js before it.

const MARGIN = { left: 46, right: 50, top: 24, bottom: 20, title: 18 };
const DARK_TEXT = '#14181f', LIGHT_TEXT = '#ffffff';
const WORDS = { pending: 'not computed yet', skipped: 'skipped', failed: 'failed' };

function isSideBySide(view, width) {
  return view.rows.length > 4 && width >= 620;
}

// Plain numbers for one map's box; the plot area is what is inside the margins.
function mapBox(view, width, isLast) {
  const side = isSideBySide(view, width);
  const outer = side ? (width - 10) / 2 : width;
  const cell = view.rows.length <= 2 ? 34 : view.rows.length <= 4 ? 24 : 20;
  const bottom = MARGIN.bottom + (side || isLast ? MARGIN.title : 0);
  const inner = view.rows.length * cell;
  return { width: outer, height: inner + MARGIN.top + bottom, innerWidth: outer - MARGIN.left - MARGIN.right, innerHeight: inner, bottom, titled: side || isLast };
}

// Position of a value between evenly spaced colours: 0 at the first stop, 1 at the last, clipped.
function warp(value, stops) {
  if (value === null || value === undefined) return null;
  if (value <= stops[0]) return 0;
  for (let k = 1; k < stops.length; k += 1) {
    if (value <= stops[k]) return (k - 1 + (value - stops[k - 1]) / (stops[k] - stops[k - 1])) / (stops.length - 1);
  }
  return 1;
}

function channel(colour, at) {
  return parseInt(colour.slice(1 + 2 * at, 3 + 2 * at), 16);
}

function rampColour(ramp, share) {
  const place = Math.min(share * (ramp.length - 1), ramp.length - 1 - 1e-9);
  const low = Math.floor(place);
  return [0, 1, 2].map((at) => Math.round(channel(ramp[low], at) + (place - low) * (channel(ramp[low + 1], at) - channel(ramp[low], at))));
}

function textColour(ramp, share) {
  const [red, green, blue] = rampColour(ramp, share);
  return 0.299 * red + 0.587 * green + 0.114 * blue > 140 ? DARK_TEXT : LIGHT_TEXT;
}

function cellAt(view, fractionX, fractionUp) {
  if (!(fractionX >= 0 && fractionX < 1 && fractionUp >= 0 && fractionUp < 1)) return null;
  const edges = axisEdges(axisCentres(view.columns));
  const x = edges[0] + fractionX * (edges[edges.length - 1] - edges[0]);
  const column = edges.findIndex((edge, k) => k + 1 < edges.length && x < edges[k + 1]);
  return { row: Math.floor(fractionUp * view.rows.length), column };
}

function moved(view, cell, key) {
  const steps = { ArrowUp: [1, 0], ArrowDown: [-1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1], Home: [0, -Infinity], End: [0, Infinity] };
  const step = steps[key];
  if (!step) return null;
  if (!cell) return { row: 0, column: 0 };
  const clamp = (value, size) => Math.max(0, Math.min(size - 1, value));
  return { row: clamp(cell.row + step[0], view.rows.length), column: clamp(cell.column + step[1], view.columns.length) };
}

function statusWords(view, row, column) {
  const status = view.status[row][column];
  if (status === 'provisional') return `provisional, ${view.rows_done[row][column]} of ${view.rows_total} rows`;
  const reason = view.reason[row][column];
  return (WORDS[status] || '') + (reason ? `: ${reason}` : '');
}

// Every number of a cell: {title, lines: [[label, value, base]], note}.
function tooltipText(view, row, column) {
  const status = view.status[row][column];
  const title = `feature factor ${formatSigned(view.rows[row])}, learning rate ${formatPlain(view.columns[column])}`;
  const known = view.maps.some((map) => map.values[row][column] !== null);
  if (!known) return { title, lines: [], note: statusWords(view, row, column) || WORDS.pending };
  const seen = new Set();
  const lines = [...view.maps.map((map) => ({ label: map.title, values: map.values, base: map.base })), ...view.details]
    .filter(({ label }) => !seen.has(label) && seen.add(label))
    .map(({ label, values, base }) => [label, formatNumber(values[row][column]), formatNumber(base)]);
  const below = view.passes[row][column] === false ? 'below the LMS threshold' : '';
  const best = view.best && view.best[0] === row && view.best[1] === column ? (view.fallback ? 'fallback, not a winner' : 'best cell') : '';
  const note = [best, below, status === 'final' ? '' : statusWords(view, row, column)].filter(Boolean).join(' · ');
  return { title, lines, note };
}

function spoken(view, row, column) {
  const { title, lines, note } = tooltipText(view, row, column);
  const numbers = lines.slice(0, view.maps.length).map(([label, value]) => `${label} ${value}`).join(', ');
  return [title, numbers, note].filter(Boolean).join('. ');
}

// The table twin: a head and one line of texts per cell, in the order of the grid.
function tableRows(view) {
  const head = ['factor', 'rate', ...view.maps.map((map) => map.title), 'status'];
  const body = [];
  eachCell(view, (row, column) => {
    const below = view.status[row][column] === 'final' && view.passes[row][column] === false;
    body.push([
      formatSigned(view.rows[row]), formatPlain(view.columns[column]), ...view.maps.map((map) => formatNumber(map.values[row][column])),
      below ? 'below threshold' : view.status[row][column] === 'final' ? 'final' : statusWords(view, row, column),
    ]);
  });
  return { head, body };
}

function eachCell(view, visit) {
  view.rows.forEach((_, row) => view.columns.forEach((__, column) => visit(row, column)));
}

// Outlines of all cells without a value and strokes over failed (crossed) and skipped (struck) ones, as two lines with gaps.
function marks(view, map, box) {
  const edges = axisEdges(axisCentres(view.columns));
  const perX = (edges[edges.length - 1] - edges[0]) / box.innerWidth, perY = view.rows.length / box.innerHeight;
  const empty = { x: [], y: [] }, cross = { x: [], y: [] };
  const add = (line, ...points) => { for (const [x, y] of [...points, [null, null]]) { line.x.push(x); line.y.push(y); } };
  eachCell(view, (row, column) => {
    const [left, right, low, high] = [edges[column] + 1.5 * perX, edges[column + 1] - 1.5 * perX, row - 0.5 + 1.5 * perY, row + 0.5 - 1.5 * perY];
    if (map.values[row][column] === null) add(empty, [left, low], [right, low], [right, high], [left, high], [left, low]);
    const at = (share, from, to) => from + share * (to - from);
    const [x0, x1, y0, y1] = [at(0.28, left, right), at(0.72, left, right), at(0.28, low, high), at(0.72, low, high)];
    const status = view.status[row][column];
    if (status === 'failed') { add(cross, [x0, y0], [x1, y1]); add(cross, [x0, y1], [x1, y0]); }
    if (status === 'skipped') add(cross, [x0, row], [x1, row]);
  });
  return { empty, cross };
}

function markTraces(view, map, box, theme) {
  const { empty, cross } = marks(view, map, box);
  const line = (points, color, width) => ({ type: 'scatter', mode: 'lines', ...points, hoverinfo: 'skip', connectgaps: false, line: { color, width } });
  return [line(empty, theme.hair, 1), line(cross, theme.failed, 2)];
}

// Diagonals over the cells below the threshold as one line trace per ink, under the numbers. Light ink on dark cells.
function hatchTraces(view, map, ramp, box) {
  const edges = axisEdges(axisCentres(view.columns));
  const perX = (edges[edges.length - 1] - edges[0]) / box.innerWidth, perY = view.rows.length / box.innerHeight;
  const inks = { 'rgba(20,24,31,.5)': [[], []], 'rgba(255,255,255,.55)': [[], []] };
  eachCell(view, (row, column) => {
    if (view.passes[row][column] !== false || map.values[row][column] === null) return;
    const dark = textColour(ramp, warp(map.values[row][column], map.stops)) === DARK_TEXT;
    const [x, y] = inks[dark ? 'rgba(20,24,31,.5)' : 'rgba(255,255,255,.55)'];
    const left = edges[column] + perX, low = row - 0.5 + perY;
    for (const [x0, y0, x1, y1] of diagonals((edges[column + 1] - edges[column]) / perX - 2, 1 / perY - 2)) {
      x.push(left + x0 * perX, left + x1 * perX, null);
      y.push(low + y0 * perY, low + y1 * perY, null);
    }
  });
  return Object.entries(inks).map(([color, [x, y]]) => ({ type: 'scatter', mode: 'lines', x, y, hoverinfo: 'skip', connectgaps: false, line: { color, width: 0.9 } }));
}

// Rising lines through a box of pixels, as [x0, y0, x1, y1].
function diagonals(width, height, gap = 6) {
  const lines = [];
  for (let offset = gap / 2 - height; offset < width; offset += gap) {
    const [x0, x1] = [Math.max(0, offset), Math.min(width, offset + height)];
    if (x1 > x0) lines.push([x0, x0 - offset, x1, x1 - offset]);
  }
  return lines;
}

function cellTable(view, values, stops, wanted) {
  return values.map((line, row) => line.map((value, column) => ((view.status[row][column] === 'provisional') === wanted ? warp(value, stops) : null)));
}

function mapTraces(view, map, theme, box) {
  const ramp = theme.ramps[map.ramp];
  const centres = axisCentres(view.columns);
  const x = axisEdges(centres), y = axisEdges(view.rows.map((_, k) => k));
  const bar = {
    thickness: 7, len: 1, lenmode: 'fraction', outlinewidth: 0, x: 1, xpad: 8, y: 0.5, ypad: 0, tickfont: { color: theme.soft, size: 10 }, ticklen: 2, tickcolor: theme.line,
    ...barTicks(map, box),
  };
  const heat = (wanted, opacity) => ({
    type: 'heatmap', x, y, z: cellTable(view, map.values, map.stops, wanted), zmin: 0, zmax: 1, xgap: 2, ygap: 2, hoverinfo: 'skip', opacity,
    colorscale: ramp.map((colour, k) => [k / (ramp.length - 1), colour]), showscale: !wanted, ...(wanted ? {} : { colorbar: bar }),
  });
  return [heat(false, 1), heat(true, 0.45), ...markTraces(view, map, box, theme), ...hatchTraces(view, map, ramp, box), numbersTrace(view, map, ramp, centres, box, theme), starTrace(view, centres, box, theme)];
}

function barTicks(map, box) {
  const few = box.innerHeight < 100;
  const indices = map.stops.map((_, k) => k).filter((k) => !few || k === 0 || k === map.stops.length - 1 || map.stops[k] === 0.9);
  return { tickvals: indices.map((k) => k / (map.stops.length - 1)), ticktext: indices.map((k) => formatPlain(map.stops[k])) };
}

function numbersTrace(view, map, ramp, centres, box, theme) {
  const fits = box.innerWidth / view.columns.length >= 34 && box.innerHeight / view.rows.length >= 18;
  const trace = { type: 'scatter', mode: 'text', x: [], y: [], text: [], hoverinfo: 'skip', cliponaxis: true, textfont: { size: 10.5, color: [], family: theme.font } };
  if (!fits) return trace;
  eachCell(view, (row, column) => {
    const value = map.values[row][column];
    if (value === null) return;
    trace.x.push(centres[column]);
    trace.y.push(row);
    trace.text.push(value > 0 && value < 0.0005 ? '<.001' : formatNumber(value));
    trace.textfont.color.push(view.status[row][column] === 'provisional' ? theme.ink : textColour(ramp, warp(value, map.stops)));
  });
  return trace;
}

function starTrace(view, centres, box, theme) {
  const edges = axisEdges(centres);
  const tall = box.innerHeight / view.rows.length >= 30 && box.innerWidth / view.columns.length >= 24;
  const at = view.best;
  return {
    type: 'scatter', mode: 'markers', hoverinfo: 'skip', cliponaxis: false,
    x: at ? [tall ? edges[at[1] + 1] - 0.16 * (edges[at[1] + 1] - edges[at[1]]) : centres[at[1]]] : [], y: at ? [at[0] + (tall ? 0.3 : 0)] : [],
    marker: { symbol: view.fallback ? 'star-open' : 'star', size: 12, color: view.fallback ? theme.failed : theme.star, line: { color: view.fallback ? theme.failed : '#1b1b1b', width: 1 } },
  };
}

function figure(view, map, theme, box) {
  const centres = axisCentres(view.columns), edges = axisEdges(centres);
  const font = { color: theme.soft, size: 10.5, family: theme.font };
  const axis = { zeroline: false, showgrid: false, fixedrange: true, automargin: false, tickfont: font, ticklen: 0, showline: false };
  return {
    data: mapTraces(view, map, theme, box),
    layout: {
      datarevision: view.rev, width: box.width, height: box.height, font, dragmode: false, hovermode: false, showlegend: false,
      margin: { l: MARGIN.left, r: MARGIN.right, t: MARGIN.top, b: box.bottom, autoexpand: false }, paper_bgcolor: 'rgba(0,0,0,0)', plot_bgcolor: 'rgba(0,0,0,0)',
      title: { text: escapeMarkup(map.title) + baseNote(map), font: { size: 12.5, color: theme.ink, family: theme.font }, x: MARGIN.left / box.width, xanchor: 'left', y: 1 - 11 / box.height, yanchor: 'middle' },
      xaxis: { ...axis, ...axisTicks(view.columns, centres, box.innerWidth), range: [edges[0], edges[edges.length - 1]], title: box.titled ? { text: 'strength (learning rate)', font, standoff: 6 } : undefined },
      yaxis: { ...axis, tickvals: view.rows.map((_, k) => k), ticktext: view.rows.map(formatSigned), range: [-0.5, view.rows.length - 0.5], title: { text: view.rows.length > 2 ? 'feature factor' : 'factor', font, standoff: 4 } },
    },
  };
}

// Where the selected cell lies inside its map, in CSS pixels. An element of its own: a click then redraws no plot.
function outlineBox(view, box, cell) {
  const edges = axisEdges(axisCentres(view.columns));
  const perX = box.innerWidth / (edges[edges.length - 1] - edges[0]), height = box.innerHeight / view.rows.length;
  return {
    left: MARGIN.left + (edges[cell.column] - edges[0]) * perX, top: MARGIN.top + (view.rows.length - 1 - cell.row) * height,
    width: (edges[cell.column + 1] - edges[cell.column]) * perX, height,
  };
}

function baseNote(map) {
  return map.base === null || map.name === 'lms' ? '' : `   <span style="font-weight:400">base ${formatNumber(map.base)}</span>`;
}

function escapeMarkup(text) {
  return text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;');
}

function signature(view, cell) {
  return cell ? JSON.stringify([view.run, cell.row, cell.column, view.status[cell.row][cell.column], view.maps.map((map) => map.values[cell.row]?.[cell.column])]) : '';
}
