// Linked maps over (feature factor, learning rate): where everything lies. Pure: values in, values out, tested with Node.
// Needs plotting.js before it.

const MARGIN = { left: 46, right: 50, top: 7, ticks: 20, axis: 18 };
const SMALL = { left: 34, right: 6, top: 2, ticks: 18, axis: 0 };
const GAP = 10, NARROWEST = 150, MOST_NUMBERS = 400;
const DARK_TEXT = '#14181f', LIGHT_TEXT = '#ffffff';

// A value of the component as the functions here read it: every map and detail gets its table. What a value leaves out
// comes from `held`, the view before it; null where that is of another version.
function readView(value, held = null) {
  const sent = parsed(value);
  if (!sent || (sent.held && sent.tables_version !== held?.tables_version)) return null;
  const view = sent.held ? { ...held, ...sent, tables: { ...held.tables, ...sent.tables } } : sent;
  const withValues = (item) => ({ ...item, values: view.tables[item.table] });
  return { ...view, maps: view.maps.map(withValues), details: view.details.map(withValues) };
}

function arrangement(view, width) {
  if (view.matrix) return 'matrix';
  return view.feature_factors.length > 4 && width >= 620 ? 'side' : 'stack';
}

function cellHeight(rows, isSmall) {
  if (isSmall) return rows <= 2 ? 15 : rows <= 4 ? 12 : Math.max(4, Math.min(10, 120 / rows));
  return rows <= 2 ? 34 : rows <= 4 ? 24 : Math.max(8, Math.min(20, 260 / rows));
}

// Plain numbers for the box of map `k`: the plot area is what is inside its margins.
function mapBox(view, width, k) {
  const kind = arrangement(view, width), last = view.maps.length - 1;
  const isSmall = kind === 'matrix' && k < last;
  const margin = isSmall ? SMALL : MARGIN;
  let outer = width;
  if (kind === 'side') outer = (width - GAP) / 2;
  if (isSmall) outer = Math.max(NARROWEST, (width - GAP * (view.matrix - 1)) / view.matrix);
  const hasTicks = !isSmall || k >= last - view.matrix;
  const titled = !isSmall && (kind === 'side' || k === last);
  const bottom = (hasTicks ? margin.ticks : 4) + (titled ? margin.axis : 0);
  const whole = cellHeight(view.feature_factors.length, isSmall);
  const cell = kind === 'matrix' && !isSmall ? Math.max(5, Math.min(22, whole, 120 / view.feature_factors.length)) : whole;
  const innerWidth = outer - margin.left - margin.right, innerHeight = view.feature_factors.length * cell;
  const gap = Math.min(cell, innerWidth / view.learning_rates.length) < 12 ? 1 : 2;
  return { width: outer, height: innerHeight + margin.top + bottom, left: margin.left, right: margin.right, top: margin.top, bottom, innerWidth, innerHeight, hasTicks, titled, isSmall, gap };
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

const CHANNELS = new WeakMap();

// Red, green and blue of every colour of a ramp, read once.
function channels(ramp) {
  if (!CHANNELS.has(ramp)) CHANNELS.set(ramp, ramp.map((colour) => [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16))));
  return CHANNELS.get(ramp);
}

function rampColour(ramp, share) {
  const place = Math.min(share * (ramp.length - 1), ramp.length - 1 - 1e-9);
  const low = Math.floor(place), [from, to] = [channels(ramp)[low], channels(ramp)[low + 1]];
  return from.map((value, at) => Math.round(value + (place - low) * (to[at] - value)));
}

function textColour(ramp, share) {
  const [red, green, blue] = rampColour(ramp, share);
  return 0.299 * red + 0.587 * green + 0.114 * blue > 140 ? DARK_TEXT : LIGHT_TEXT;
}

function cellAt(view, fractionX, fractionUp) {
  if (!(fractionX >= 0 && fractionX < 1 && fractionUp >= 0 && fractionUp < 1)) return null;
  const edges = axisEdges(axisCentres(view.learning_rates));
  const x = edges[0] + fractionX * (edges[edges.length - 1] - edges[0]);
  const column = edges.findIndex((edge, k) => k + 1 < edges.length && x < edges[k + 1]);
  return { row: Math.floor(fractionUp * view.feature_factors.length), column };
}

// Where a key leads from a cell; null for any other key. Up is towards the larger feature factor, as it is drawn.
function moved(view, cell, key, withControl = false) {
  const rows = view.feature_factors.length, columns = view.learning_rates.length;
  const jump = Math.max(1, Math.min(10, Math.round(rows / 5)));
  const steps = {
    ArrowUp: [1, 0], ArrowDown: [-1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1], Home: [0, -Infinity], End: [0, Infinity], PageUp: [jump, 0], PageDown: [-jump, 0],
  };
  const step = steps[key];
  if (!step || (withControl && key !== 'Home' && key !== 'End')) return null;
  if (withControl) return key === 'Home' ? { row: rows - 1, column: 0 } : { row: 0, column: columns - 1 };
  if (!cell) return { row: 0, column: 0 };
  const clamp = (value, size) => Math.max(0, Math.min(size - 1, value));
  return { row: clamp(cell.row + step[0], rows), column: clamp(cell.column + step[1], columns) };
}

function eachCell(view, visit) {
  view.feature_factors.forEach((_, row) => view.learning_rates.forEach((__, column) => visit(row, column)));
}

// Left edges of the columns in pixels from the plot area's left side, and the last right edge.
function columnPixels(view, box) {
  const edges = axisEdges(axisCentres(view.learning_rates));
  return edges.map((edge) => ((edge - edges[0]) / (edges[edges.length - 1] - edges[0])) * box.innerWidth);
}

// Where a cell lies inside its map's plot area, in CSS pixels.
function cellBox(view, box, cell) {
  const x = columnPixels(view, box), height = box.innerHeight / view.feature_factors.length;
  return { left: x[cell.column], top: (view.feature_factors.length - 1 - cell.row) * height, width: x[cell.column + 1] - x[cell.column], height };
}

// A cell whose value may still move: it is drawn faint, and signed by dots (provisional) or a dash (skipped).
function isFaint(status) {
  return status === 'provisional' || status === 'skipped';
}

function hasFaint(view) {
  return view.status.some((line) => line.some(isFaint));
}

// Where the sign of a faint cell stands: below its number, or in the middle of a small or an empty cell. All in shares
// of the cell from its left and top.
function signPlaces(status, value, wide, high) {
  const isRoomy = wide >= 24 && high >= 18, y = isRoomy && value !== null ? 1 - 4 / high : 0.5;
  if (status === 'skipped') return { y, xs: [-1, 1].map((side) => 0.5 + side * Math.min(0.25, 5 / wide)) };
  return { y, xs: isRoomy ? [0.5 - 5 / wide, 0.5, 0.5 + 5 / wide] : [0.5] };
}

// Marks over the cells as paths of an SVG as large as the plot area: outlines of cells without a value, strokes over
// failed (crossed) and skipped (struck) ones, dots on provisional ones, and the cells below the threshold by the ink
// that shows on them.
function overlayPaths(view, map, ramp, box) {
  const x = columnPixels(view, box), height = box.innerHeight / view.feature_factors.length, inset = box.gap === 1 ? 0.5 : 1.5;
  const paths = { empty: '', cross: '', dots: '', dash: '', dark: '', light: '' };
  const pixel = (value) => Math.round(value * 10) / 10;
  eachCell(view, (row, column) => {
    const value = map.values[row][column], status = view.status[row][column];
    const fails = view.passes[row][column] === false && value !== null;
    if (value !== null && !fails && status !== 'failed' && !isFaint(status)) return;
    const left = pixel(x[column] + inset), top = pixel((view.feature_factors.length - 1 - row) * height + inset);
    const wide = pixel(x[column + 1] - x[column] - 2 * inset), high = pixel(height - 2 * inset);
    const square = `M${left} ${top}h${wide}v${high}h${-wide}z`;
    if (value === null) paths.empty += square;
    if (fails) paths[textColour(ramp, warp(value, map.stops)) === DARK_TEXT ? 'dark' : 'light'] += square;
    const [x0, x1, y0, y1] = [left + 0.28 * wide, left + 0.72 * wide, top + 0.28 * high, top + 0.72 * high].map(pixel);
    if (status === 'failed') paths.cross += `M${x0} ${y0}L${x1} ${y1}M${x0} ${y1}L${x1} ${y0}`;
    if (!isFaint(status)) return;
    const { y, xs } = signPlaces(status, value, wide, high), [first, ...rest] = xs.map((share) => pixel(left + share * wide));
    if (status === 'skipped') paths.dash += `M${first} ${pixel(top + y * high)}H${rest[0]}`;
    else paths.dots += [first, ...rest].map((at) => `M${at} ${pixel(top + y * high)}h0`).join('');
  });
  return paths;
}

// Points of a five-pointed star around a place.
function starPoints(x, y, radius) {
  return Array.from({ length: 10 }, (_, k) => {
    const size = k % 2 ? radius * 0.42 : radius, angle = (k * Math.PI) / 5;
    return `${(x + size * Math.sin(angle)).toFixed(1)},${(y - size * Math.cos(angle)).toFixed(1)}`;
  }).join(' ');
}

// The star of the best cell: in a corner where its number is to be read, else over the cell.
function starPlace(view, box) {
  if (!view.best) return null;
  const { left, top, width, height } = cellBox(view, box, { row: view.best[0], column: view.best[1] });
  const isTall = height >= 20 && width >= 24;
  return isTall ? { x: left + 0.84 * width, y: top + 0.22 * height } : { x: left + width / 2, y: top + height / 2 };
}

function pinnedLetter(view, row, column) {
  const at = view.pinned.findIndex(([r, c]) => r === row && c === column);
  return at < 0 ? '' : 'ABCD'[at] || '';
}

// Which feature factors are labelled, and a star-like note sign at those that cannot win.
function rowTicks(view, box) {
  const height = box.innerHeight / view.feature_factors.length;
  const pixels = view.feature_factors.map((_, row) => row * height), places = [...view.feature_factors.keys()];
  const all = height >= 13;
  const first = all ? places : [...places.filter((row) => view.can_win[row]), ...places.filter((row) => Number.isInteger(view.feature_factors[row]))];
  const keep = labelsThatFit(pixels, first, all ? 13 : 24);
  const label = (row) => formatSigned(all ? view.feature_factors[row] : Number(view.feature_factors[row].toFixed(2))) + (view.can_win[row] ? '' : '*');
  return { tickvals: keep, ticktext: keep.map(label), tickangle: 0 };
}

function barTicks(map, box) {
  const few = box.innerHeight < 100, last = map.stops.length - 1;
  const indices = map.stops.map((_, k) => k).filter((k) => !few || k === 0 || k === last || map.stops[k] === 0.9 || map.stops[k] === 0);
  return { tickvals: indices.map((k) => k / last), ticktext: indices.map((k) => (map.ramp === 'change' ? formatSigned(map.stops[k]) : formatPlain(map.stops[k]))) };
}

// Whether what came with the payload tells of the cell that is selected here (null: of the best one).
function paintedFor(view, chosen) {
  return String(view.chosen ?? '') === (chosen ? `${chosen.row},${chosen.column}` : '');
}

function signature(view, cell) {
  return cell ? JSON.stringify([view.run, cell.row, cell.column, view.status[cell.row][cell.column], view.maps.map((map) => map.values[cell.row]?.[cell.column])]) : '';
}
