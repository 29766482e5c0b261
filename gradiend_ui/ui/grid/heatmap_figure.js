// Plotly figures of one map: what the page shows, where marks lie over it as elements of their own, and what is saved
// as a file, marks included. Pure. Needs plotting.js and heatmap.js before it.

const SAVED = { width: 960, cell: 34 };
const INKS = { dark: 'rgba(20,24,31,.5)', light: 'rgba(255,255,255,.55)' };
const CLEAR = 'rgba(0,0,0,0)';

function cellTable(view, map, wanted) {
  return map.values.map((line, row) => line.map((value, column) => (isFaint(view.status[row][column]) === wanted ? warp(value, map.stops) : null)));
}

function heatTraces(view, map, theme, box) {
  const ramp = theme.ramps[map.ramp];
  const x = axisEdges(axisCentres(view.learning_rates)), y = axisEdges(view.feature_factors.map((_, k) => k));
  const colorbar = {
    thickness: 7, len: 1, lenmode: 'fraction', outlinewidth: 0, x: 1, xpad: 8, y: 0.5, ypad: 0, tickfont: { color: theme.soft, size: 10 }, ticklen: 2, tickcolor: theme.line,
    ...barTicks(map, box),
  };
  const heat = (wanted, opacity) => ({
    type: 'heatmap', x, y, z: cellTable(view, map, wanted), zmin: 0, zmax: 1, xgap: box.gap, ygap: box.gap, hoverinfo: 'skip', opacity,
    colorscale: ramp.map((colour, k) => [k / (ramp.length - 1), colour]), ...(wanted || box.isSmall ? { showscale: false } : { showscale: true, colorbar }),
  });
  return hasFaint(view) ? [heat(false, 1), heat(true, 0.45)] : [heat(false, 1)];
}

function numberText(map, value) {
  if (map.ramp === 'change') return Math.abs(value) < 0.0005 ? '0' : (value > 0 ? '+' : '') + formatNumber(value).replace(/^(\u2212?)0\./, '$1.');
  return value > 0 && value < 0.0005 ? '<.001' : formatNumber(value);
}

function numbersFit(view, box) {
  const cells = view.feature_factors.length * view.learning_rates.length;
  return cells <= MOST_NUMBERS && box.innerWidth / view.learning_rates.length >= 34 && box.innerHeight / view.feature_factors.length >= 18;
}

function numbersTraces(view, map, theme, box) {
  if (!numbersFit(view, box)) return [];
  const ramp = theme.ramps[map.ramp], centres = axisCentres(view.learning_rates);
  const trace = { type: 'scatter', mode: 'text', x: [], y: [], text: [], hoverinfo: 'skip', cliponaxis: true, textfont: { size: 10.5, color: [], family: theme.font } };
  eachCell(view, (row, column) => {
    const value = map.values[row][column];
    if (value === null) return;
    trace.x.push(centres[column]);
    trace.y.push(row);
    trace.text.push(numberText(map, value));
    trace.textfont.color.push(isFaint(view.status[row][column]) ? theme.ink : textColour(ramp, warp(value, map.stops)));
  });
  return [trace];
}

function mapLayout(view, theme, box, texts) {
  const centres = axisCentres(view.learning_rates), edges = axisEdges(centres);
  const font = { color: theme.soft, size: 10.5, family: theme.font };
  const axis = { zeroline: false, showgrid: false, fixedrange: true, automargin: false, tickfont: font, ticklen: 0, showline: false };
  const room = box.isSmall ? 30 : 34;
  const side = view.feature_factors.length > 2 ? texts.axis_factor : texts.axis_factor_short;
  return {
    width: box.width, height: box.height, font, dragmode: false, hovermode: false, showlegend: false,
    margin: { l: box.left, r: box.right, t: box.top, b: box.bottom, autoexpand: false }, paper_bgcolor: CLEAR, plot_bgcolor: CLEAR,
    xaxis: { ...axis, ...axisTicks(view.learning_rates, centres, box.innerWidth, room), showticklabels: box.hasTicks, range: [edges[0], edges[edges.length - 1]], title: box.titled ? { text: texts.axis_rate, font, standoff: 6 } : undefined },
    yaxis: { ...axis, ...rowTicks(view, box), range: [-0.5, view.feature_factors.length - 0.5], title: box.isSmall ? undefined : { text: side, font, standoff: 4 } },
  };
}

// What the page draws: cells and numbers.
function figure(view, map, theme, box, texts) {
  return { data: [...heatTraces(view, map, theme, box), ...numbersTraces(view, map, theme, box)], layout: mapLayout(view, theme, box, texts) };
}

function lineTrace(points, color, width) {
  return { type: 'scatter', mode: 'lines', ...points, hoverinfo: 'skip', connectgaps: false, line: { color, width } };
}

function dotTrace({ x, y }, color) {
  return { type: 'scatter', mode: 'markers', x, y, hoverinfo: 'skip', marker: { symbol: 'circle', size: 2.6, color } };
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

// The marks of `overlayPaths` as traces in the units of the axes, for a saved picture.
function markTraces(view, map, theme, box) {
  const edges = axisEdges(axisCentres(view.learning_rates)), ramp = theme.ramps[map.ramp];
  const perX = (edges[edges.length - 1] - edges[0]) / box.innerWidth, perY = view.feature_factors.length / box.innerHeight;
  const lines = Object.fromEntries(['empty', 'cross', 'dash', 'dots', 'dark', 'light'].map((name) => [name, { x: [], y: [] }]));
  const add = (line, ...points) => { for (const [x, y] of [...points, [null, null]]) { line.x.push(x); line.y.push(y); } };
  eachCell(view, (row, column) => {
    const [left, right, low, high] = [edges[column] + perX, edges[column + 1] - perX, row - 0.5 + perY, row + 0.5 - perY];
    const value = map.values[row][column], status = view.status[row][column];
    const at = (share, from, to) => from + share * (to - from);
    const [x0, x1, y0, y1] = [at(0.28, left, right), at(0.72, left, right), at(0.28, low, high), at(0.72, low, high)];
    if (value === null) add(lines.empty, [left, low], [right, low], [right, high], [left, high], [left, low]);
    if (status === 'failed') { add(lines.cross, [x0, y0], [x1, y1]); add(lines.cross, [x0, y1], [x1, y0]); }
    if (isFaint(status)) {
      const sign = signPlaces(status, value, (right - left) / perX, (high - low) / perY), y = high - sign.y * (high - low);
      const points = sign.xs.map((share) => [at(share, left, right), y]);
      if (status === 'skipped') add(lines.dash, ...points);
      else for (const [x] of points) { lines.dots.x.push(x); lines.dots.y.push(y); }
    }
    if (view.passes[row][column] !== false || value === null) return;
    const ink = textColour(ramp, warp(value, map.stops)) === DARK_TEXT ? lines.dark : lines.light;
    for (const [a, b, c, d] of diagonals((right - left) / perX, (high - low) / perY)) add(ink, [left + a * perX, low + b * perY], [left + c * perX, low + d * perY]);
  });
  return [lineTrace(lines.empty, theme.hair, 1), lineTrace(lines.cross, theme.failed, 2), lineTrace(lines.dash, theme.ink, 1.8), dotTrace(lines.dots, theme.ink), lineTrace(lines.dark, INKS.dark, 0.9), lineTrace(lines.light, INKS.light, 0.9)];
}

function starTraces(view, theme) {
  if (!view.best) return [];
  const edges = axisEdges(axisCentres(view.learning_rates)), [row, column] = view.best;
  const marker = { symbol: view.fallback ? 'star-open' : 'star', size: 13, color: view.fallback ? theme.failed : theme.star, line: { color: view.fallback ? theme.failed : '#1b1b1b', width: 1 } };
  return [{ type: 'scatter', mode: 'markers', hoverinfo: 'skip', cliponaxis: false, x: [edges[column + 1] - 0.16 * (edges[column + 1] - edges[column])], y: [row + 0.28], marker }];
}

function savedBox(view) {
  const cell = view.feature_factors.length <= 8 ? SAVED.cell : Math.max(10, 300 / view.feature_factors.length);
  const innerHeight = cell * view.feature_factors.length, margin = { left: 66, right: 74, top: 70, bottom: 54 };
  const innerWidth = SAVED.width - margin.left - margin.right;
  return { ...margin, width: SAVED.width, height: innerHeight + margin.top + margin.bottom, innerWidth, innerHeight, hasTicks: true, titled: true, isSmall: false, gap: cell < 14 || innerWidth / view.learning_rates.length < 14 ? 1 : 2 };
}

// One map as a picture that stands on its own: title, what it is of, axis titles, colours, all marks, the selected cell.
function savedFigure(view, map, theme, texts, cell) {
  const box = savedBox(view), layout = mapLayout(view, theme, box, texts);
  const notes = [view.file.subtitle, map.base === null || map.ramp === 'change' ? '' : fill(texts.base, { value: formatNumber(map.base) }), map.clipped ? clippedText(map, texts) : '', view.can_win.every(Boolean) ? '' : `* ${view.cannot}`];
  const title = `<b>${escapeMarkup(map.title)}</b><br><span style="font-size:12px">${escapeMarkup(notes.filter(Boolean).join('   '))}</span>`;
  const edges = axisEdges(axisCentres(view.learning_rates));
  const frame = cell ? [{ type: 'rect', x0: edges[cell.column], x1: edges[cell.column + 1], y0: cell.row - 0.5, y1: cell.row + 0.5, line: { color: theme.ink, width: 2.5 } }] : [];
  return {
    data: [...heatTraces(view, map, theme, box), ...markTraces(view, map, theme, box), ...numbersTraces(view, map, theme, box), ...starTraces(view, theme)],
    layout: {
      ...layout, paper_bgcolor: theme.paper, plot_bgcolor: theme.paper, shapes: frame,
      title: { text: title, font: { size: 16, color: theme.ink, family: theme.font }, x: box.left / box.width, xanchor: 'left', y: 1, yref: 'container', yanchor: 'top', pad: { t: 16 } },
    },
  };
}

function clippedText(map, texts) {
  const end = map.stops[map.stops.length - 1];
  return fill(texts.clipped, { value: (map.ramp === 'change' ? '±' : '') + formatPlain(end) });
}
