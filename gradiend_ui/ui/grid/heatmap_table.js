// The table twin: every number of every cell, sorted by any column, built only while it is open. A long one grows as it
// is scrolled, or at once by its button.
// Needs heatmap_words.js and heatmap_grid.js (tagged) before it.

const FIRST_ROWS = 200, MORE_ROWS = 300;

function mountTable(twin, texts, choose) {
  const table = twin.querySelector('table'), head = tagged('thead', {}), line = tagged('tr', {}), body = tagged('tbody', {});
  const scroll = twin.querySelector('.scroll'), more = tagged('button', { type: 'button', class: 'pick more', hidden: '' });
  let view = null, columns = [], sorted = null, rows = [], shown = [], limit = FIRST_ROWS, cell = null;
  head.append(line);
  table.append(head, body);
  scroll.append(more);
  more.addEventListener('click', () => { limit = Infinity; fillBody(); scroll.focus(); });
  scroll.addEventListener('scroll', () => {
    if (more.hidden || scroll.scrollTop + scroll.clientHeight < scroll.scrollHeight - 400) return;
    limit += MORE_ROWS;
    fillBody();
  });

  function sortBy(column) {
    if (sorted?.column !== column) sorted = { column, descending: column > 1 && !columns[column].isText };
    else sorted = { column, descending: !sorted.descending };
    fillHead();
    fillBody();
  }
  function fillHead() {
    while (line.cells.length > columns.length) line.lastChild.remove();
    columns.forEach(({ label }, k) => {
      let cell = line.cells[k];
      if (!cell) {
        cell = tagged('th', { scope: 'col' });
        const button = tagged('button', { type: 'button' });
        button.addEventListener('click', () => sortBy(k));
        cell.append(button);
        line.append(cell);
      }
      const button = cell.firstChild, now = sorted?.column === k;
      if (button.textContent !== label) { button.textContent = label; button.title = fill(texts.sort, { column: label }); }
      setOnce(cell, 'aria-sort', now ? (sorted.descending ? 'descending' : 'ascending') : 'none');
    });
  }
  function fillBody() {
    const all = tableOrder(view, columns, sorted), order = all.slice(0, limit);
    more.hidden = all.length <= limit;
    more.textContent = fill(texts.table_more, { count: all.length });
    setOnce(table, 'aria-rowcount', all.length + 1);
    if (rows.length > order.length || (rows[0] && rows[0].cells.length !== columns.length)) { body.replaceChildren(); rows = []; shown = []; }
    const fresh = document.createDocumentFragment();
    order.forEach(([row, column], place) => {
      const texts = columns.map(({ text }) => text(row, column)), before = shown[place];
      let line = rows[place];
      if (!line) {
        line = document.createElement('tr');
        for (let k = 0; k < texts.length; k += 1) line.append(document.createElement('td'));
        rows.push(line);
        fresh.append(line);
      }
      line.place = [row, column];
      setOnce(line, 'aria-rowindex', place + 2);
      texts.forEach((text, k) => { if (!before || before[k] !== text) line.cells[k].textContent = text; });
      shown[place] = texts;
    });
    body.append(fresh);
    mark();
  }
  function mark() {
    for (const line of rows) setOnce(line, 'aria-current', cell && line.place[0] === cell.row && line.place[1] === cell.column ? 'true' : null);
  }
  body.addEventListener('click', (event) => {
    const line = event.target.closest('tr');
    if (line && !String(getSelection())) choose({ row: line.place[0], column: line.place[1] });
  });
  return {
    update(newest) {
      if (newest === view) return;
      view = newest;
      columns = tableColumns(view, texts);
      if (sorted && sorted.column >= columns.length) sorted = null;
      fillHead();
      fillBody();
    },
    select(selected) {
      cell = selected;
      mark();
    },
  };
}
