// The labelled grid of one map for a screen reader: an element with role grid over the cells, its rows as text that
// is not seen. A large grid holds the selected row only and says which row that is. Needs heatmap_words.js before it.

const MOST_SPOKEN = 200;

function spokenRows(view, cell) {
  const all = view.feature_factors.map((_, row) => view.feature_factors.length - 1 - row);
  if (view.feature_factors.length * view.learning_rates.length <= MOST_SPOKEN) return all;
  return [cell ? cell.row : all[0]];
}

function tagged(tag, attributes, text) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

function setOnce(target, name, value) {
  if (value === null) target.removeAttribute(name);
  else if (target.getAttribute(name) !== String(value)) target.setAttribute(name, value);
}

function fillGrid(grid, id, view, map, cell, texts) {
  const rows = spokenRows(view, cell), shape = `${view.run}|${rows}|${view.feature_factors}|${view.learning_rates}`;
  if (grid.shape === shape && grid.view === view) return selectIn(grid, id, rows, cell);
  if (grid.shape !== shape) buildGrid(grid, id, view, rows, texts);
  Object.assign(grid, { shape, view });
  setOnce(grid, 'aria-label', fill(texts.grid_label, { title: map.title, rows: view.feature_factors.length, columns: view.learning_rates.length }));
  rows.forEach((row, k) => view.learning_rates.forEach((_, column) => {
    const target = grid.cells[k][column];
    const text = spoken(view, map, row, column, texts);
    if (target.textContent !== text) target.textContent = text;
  }));
  selectIn(grid, id, rows, cell);
}

function selectIn(grid, id, rows, cell) {
  const target = cell && grid.cells[rows.indexOf(cell.row)]?.[cell.column];
  if (grid.selected !== target) {
    if (grid.selected) setOnce(grid.selected, 'aria-selected', 'false');
    if (target) setOnce(target, 'aria-selected', 'true');
    grid.selected = target;
  }
  setOnce(grid, 'aria-activedescendant', target ? target.id : null);
}

function buildGrid(grid, id, view, rows, texts) {
  setOnce(grid, 'aria-rowcount', view.feature_factors.length + 1);
  setOnce(grid, 'aria-colcount', view.learning_rates.length + 1);
  const head = tagged('div', { role: 'row', 'aria-rowindex': 1 });
  head.append(tagged('span', { role: 'columnheader', 'aria-colindex': 1 }, texts.axis_factor));
  view.learning_rates.forEach((rate, column) => head.append(tagged('span', { role: 'columnheader', 'aria-colindex': column + 2 }, fill(texts.column_rate, { rate: formatPlain(rate) }))));
  grid.cells = [];
  grid.selected = null;
  const lines = rows.map((row) => {
    const line = tagged('div', { role: 'row', 'aria-rowindex': view.feature_factors.length - row + 1 });
    line.append(tagged('span', { role: 'rowheader', 'aria-colindex': 1 }, fill(texts.row_factor, { factor: formatSigned(view.feature_factors[row]) })));
    const cells = view.learning_rates.map((_, column) => tagged('span', { role: 'gridcell', id: `${id}-${row}-${column}`, 'aria-selected': 'false', 'aria-colindex': column + 2 }, ''));
    line.append(...cells);
    grid.cells.push(cells);
    return line;
  });
  grid.replaceChildren(head, ...lines);
}
