// The labelled grid of one map for a screen reader: an element with role grid over the cells, its rows as text that
// is not seen. A large grid holds the selected row only and says which row that is. Needs heatmap_words.js before it.

const MOST_SPOKEN = 200;

function spokenRows(view, cell) {
  const all = view.rows.map((_, row) => view.rows.length - 1 - row);
  if (view.rows.length * view.columns.length <= MOST_SPOKEN) return all;
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
  const rows = spokenRows(view, cell), shape = `${view.run}|${rows}|${view.rows}|${view.columns}`;
  if (grid.shape === shape && grid.view === view) return selectIn(grid, id, rows, cell);
  if (grid.shape !== shape) buildGrid(grid, id, view, rows, texts);
  Object.assign(grid, { shape, view });
  setOnce(grid, 'aria-label', fill(texts.grid_label, { title: map.title, rows: view.rows.length, columns: view.columns.length }));
  rows.forEach((row, k) => view.columns.forEach((_, column) => {
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
  setOnce(grid, 'aria-rowcount', view.rows.length + 1);
  setOnce(grid, 'aria-colcount', view.columns.length + 1);
  const head = tagged('div', { role: 'row', 'aria-rowindex': 1 });
  head.append(tagged('span', { role: 'columnheader', 'aria-colindex': 1 }, texts.axis_factor));
  view.columns.forEach((rate, column) => head.append(tagged('span', { role: 'columnheader', 'aria-colindex': column + 2 }, fill(texts.column_rate, { rate: formatPlain(rate) }))));
  grid.cells = [];
  grid.selected = null;
  const lines = rows.map((row) => {
    const line = tagged('div', { role: 'row', 'aria-rowindex': view.rows.length - row + 1 });
    line.append(tagged('span', { role: 'rowheader', 'aria-colindex': 1 }, fill(texts.row_factor, { factor: formatSigned(view.rows[row]) })));
    const cells = view.columns.map((_, column) => tagged('span', { role: 'gridcell', id: `${id}-${row}-${column}`, 'aria-selected': 'false', 'aria-colindex': column + 2 }, ''));
    line.append(...cells);
    grid.cells.push(cells);
    return line;
  });
  grid.replaceChildren(head, ...lines);
}
