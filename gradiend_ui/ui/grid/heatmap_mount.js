// The maps' DOM: pointer, keys, tooltip, table twin, drawing. Knows no formula; needs plotting.js and heatmap.js before it.

function mountHeatmap(element, props, trigger, watch) {
  const root = element.querySelector('.maps'), live = element.querySelector('.spoken'), tip = element.querySelector('.tip'), twin = element.querySelector('.twin');
  let view = null, chosen = null, frames = [], timer = null, emitted = '';
  const best = () => (view?.best ? { row: view.best[0], column: view.best[1] } : null);
  const current = () => chosen || best();

  function send(how) {
    const cell = current();
    if (!cell) return;
    emitted = signature(view, cell);
    trigger('select', { index: [cell.row, cell.column], value: { feature_factor: view.rows[cell.row], learning_rate: view.columns[cell.column], how, rev: view.rev }, selected: true });
  }
  function emit(how, delay) {
    clearTimeout(timer);
    if (delay) timer = setTimeout(() => send(how), delay);
    else send(how);
  }
  function choose(cell, how, delay) {
    chosen = cell;
    live.textContent = spoken(view, cell.row, cell.column);
    outlineCell();
    emit(how, delay);
  }
  function place(frame, event) {
    const area = frame.querySelector('.nsewdrag');
    if (!area || !view) return null;
    const box = area.getBoundingClientRect();
    return cellAt(view, (event.clientX - box.left) / box.width, (box.bottom - event.clientY) / box.height);
  }
  function onPointerDown(frame, down) {
    if (down.button) return;
    document.addEventListener('pointerup', (up) => {
      const cell = Math.hypot(up.clientX - down.clientX, up.clientY - down.clientY) <= 6 && place(frame, up);
      if (!cell) return;
      choose(cell, 'pointer', 0);
      frame.focus({ preventScroll: true });
    }, { once: true, capture: true });
  }
  function onKey(event) {
    if (!view || event.ctrlKey || event.metaKey || event.altKey) return;
    const cell = moved(view, current(), event.key);
    if (!cell) return;
    event.preventDefault();
    choose(cell, 'key', 120);
  }
  function hideTip() { tip.hidden = true; }
  function onHover(frame, event) {
    const cell = event.pointerType !== 'touch' && place(frame, event);
    if (!cell) return hideTip();
    fillTip(tip, tooltipText(view, cell.row, cell.column));
    tip.hidden = false;
    const outer = element.getBoundingClientRect();
    const x = event.clientX - outer.left, y = event.clientY - outer.top;
    tip.style.left = `${Math.max(4, Math.min(x + 14, outer.width - tip.offsetWidth - 4))}px`;
    tip.style.top = `${y + 18}px`;
  }
  function buildPlots() {
    if (frames.length === view.maps.length) return;
    frames = view.maps.map((map) => {
      const frame = document.createElement('div'), plot = document.createElement('div'), outline = document.createElement('div');
      frame.className = 'map';
      frame.tabIndex = 0;
      frame.dataset.map = map.name;
      frame.setAttribute('role', 'application');
      frame.setAttribute('aria-roledescription', 'heatmap');
      frame.addEventListener('keydown', onKey);
      frame.addEventListener('pointerdown', (event) => onPointerDown(frame, event), true);
      frame.addEventListener('pointermove', (event) => onHover(frame, event), true);
      frame.addEventListener('pointerleave', hideTip);
      outline.className = 'cell-outline';
      outline.hidden = true;
      frame.append(plot, outline);
      return { frame, plot, outline, drawn: '' };
    });
    root.replaceChildren(...frames.map(({ frame }) => frame));
  }
  const boxOf = (k) => mapBox(view, root.clientWidth, k === view.maps.length - 1);
  function outlineCell() {
    const cell = current();
    frames.forEach(({ outline }, k) => {
      outline.hidden = !cell;
      if (cell) for (const [side, pixels] of Object.entries(outlineBox(view, boxOf(k), cell))) outline.style[side] = `${pixels}px`;
    });
    element.dataset.sel = cell ? `${cell.row},${cell.column}` : '';
  }
  async function drawMap(part, map, k, theme) {
    const box = boxOf(k), shown = view;
    const key = JSON.stringify([map, shown.columns, shown.rows, shown.status, shown.passes, shown.best, shown.fallback, box, theme.paper]);
    if (key === part.drawn) return;
    part.drawn = key;
    const { data, layout } = figure(shown, map, theme, box);
    part.frame.setAttribute('aria-label', `${map.title}: ${shown.rows.length} feature factors by ${shown.columns.length} learning rates. Arrow keys, Home and End move the selected cell.`);
    await Plotly.react(part.plot, data, layout, { displayModeBar: false, responsive: false });
  }
  async function draw() {
    if (!view) return;
    const drawn = view, theme = readTheme(element);
    buildPlots();
    root.classList.toggle('side', isSideBySide(view, root.clientWidth));
    outlineCell();
    await Promise.all(drawn.maps.map((map, k) => drawMap(frames[k], map, k, theme)));
    if (twin.open) fillTable(twin.querySelector('table'), tableRows(drawn));
    Object.assign(element.dataset, { rev: drawn.rev, run: drawn.run, best: drawn.best ? drawn.best.join(',') : '' });
  }
  const schedule = drawingLoop(root, draw);
  function update() {
    const before = view;
    view = parsed(props.value);
    if (!view) return;
    const sameGrid = before && before.run === view.run && before.rows.length === view.rows.length && before.columns.length === view.columns.length;
    if (!sameGrid) chosen = null;
    hideTip();
    schedule();
    const cell = current();
    if (view.run && cell && signature(view, cell) !== emitted) emit(chosen ? 'arrived' : 'best', 0);
  }
  twin.addEventListener('toggle', schedule);
  watch('value', update);
  watch('goto', () => {
    const goto = props.goto;
    if (!goto || !view) return;
    if (goto[0] === 'best') { chosen = null; outlineCell(); emit('best', 0); } else choose({ row: goto[0], column: goto[1] }, 'python', 0);
  });
  const waiting = setInterval(() => { if (globalThis.Plotly) { clearInterval(waiting); schedule(); } }, 40);
  update();
}

function fillTip(tip, { title, lines, note }) {
  const make = (tag, text, name) => Object.assign(document.createElement(tag), { textContent: text, className: name || '' });
  const table = document.createElement('table');
  if (lines.length) table.append(rowOf(make, 'th', ['', 'here', 'base']), ...lines.map((cells) => rowOf(make, 'td', cells)));
  tip.replaceChildren(make('strong', title), table, ...(note ? [make('em', note)] : []));
}

function fillTable(table, { head, body }) {
  const lines = [head, ...body];
  while (table.rows.length > lines.length) table.deleteRow(-1);
  lines.forEach((texts, k) => {
    const row = table.rows[k] || table.insertRow();
    texts.forEach((text, at) => {
      const cell = row.cells[at] || row.appendChild(document.createElement(k ? 'td' : 'th'));
      if (cell.textContent !== text) cell.textContent = text;
    });
  });
}

function rowOf(make, tag, cells) {
  const row = document.createElement('tr');
  row.append(...cells.map((text) => make(tag, text)));
  return row;
}
