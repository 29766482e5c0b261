// The maps' DOM: pointer, keys, drawing, files. Knows no formula; needs the other scripts of this folder before it.

const SVG = 'http://www.w3.org/2000/svg';
const KEY_PAUSE = 120;

function mountHeatmap(root, props, trigger, watch) {
  const find = (name) => root.querySelector(name);
  const host = find('.maps'), live = find('.spoken'), tip = find('.tip'), twin = find('.twin'), scale = find('.matrix-scale');
  const texts = JSON.parse(JSON.stringify(props.texts || {})), uid = `grid-${Math.random().toString(36).slice(2, 8)}`;
  let view = null, chosen = null, origin = null, frames = [], timer = null, telling = false, width = 0, sentAt = 0, nth = 0, emitted = '', hovered = null;
  const isNewest = globalThis.gradiendPage.inOrder();
  const best = () => (view?.best ? { row: view.best[0], column: view.best[1] } : null);
  const current = () => chosen || best();
  const table = mountTable(twin, texts, (cell) => choose(cell, 'pointer'));
  const showChosen = mountShows(find('.shows'), uid, texts, (name) => trigger('input', { shows: name, held: view?.tables_version }));
  const showKeys = mountLegend(find('.legend'), texts);
  mountSave(find('.save'), texts, pictures, (format) => trigger('submit', { format }));
  find('.save summary').textContent = texts.save;
  find('.twin summary').textContent = texts.table;
  find('.twin .scroll').setAttribute('aria-label', texts.table);
  find('h2').textContent = texts.title;
  find('.best').textContent = texts.use_best;

  function send(how) {
    const cell = current();
    if (!cell) return;
    timer = null;
    sentAt = performance.now();
    nth = globalThis.gradiendPage.next();
    emitted = signature(view, cell);
    trigger('select', { index: [cell.row, cell.column], value: { feature_factor: view.feature_factors[cell.row], learning_rate: view.learning_rates[cell.column], how, nth, rev: view.rev }, selected: true });
  }
  // A key that is held sends its first and its last cell only.
  function emit(how) {
    clearTimeout(timer);
    if (how === 'key' && performance.now() - sentAt < KEY_PAUSE) timer = setTimeout(() => send(how), KEY_PAUSE);
    else send(how);
    if (how === 'key') sentAt = performance.now();
  }
  function choose(cell, how) {
    chosen = cell;
    if (how !== 'key') live.textContent = spoken(view, view.maps[0], cell.row, cell.column, texts);
    markCell();
    emit(how);
    if (how === 'pointer' || how === 'enter') finish(cell);
  }
  // A skipped cell that a hand picks is asked for: it is scored then. Who only watches looks at it.
  function finish({ row, column }) {
    if (globalThis.gradiendPage?.watches()) return;
    if (view.run && view.status[row][column] === 'skipped') trigger('apply', { feature_factor: view.feature_factors[row], learning_rate: view.learning_rates[column] });
  }
  function chooseBest() {
    if (!view) return;
    chosen = null;
    markCell();
    emit('best');
  }
  function place(frame, event) {
    if (!view) return null;
    const box = frame.grid.getBoundingClientRect();
    return cellAt(view, (event.clientX - box.left) / box.width, (box.bottom - event.clientY) / box.height);
  }
  function onPointerDown(frame, down) {
    if (down.button) return;
    document.addEventListener('pointerup', (up) => {
      const cell = Math.hypot(up.clientX - down.clientX, up.clientY - down.clientY) <= 6 && place(frame, up);
      if (!cell) return;
      frame.grid.focus({ preventScroll: true });
      origin = cell;
      choose(cell, 'pointer');
    }, { once: true, capture: true });
  }
  function onKey(event) {
    if (!view || event.metaKey || event.altKey) return;
    if (event.key === 'Enter') origin = current();
    if (event.key === 'Escape' && tip.hidden && origin) { chosen = origin; markCell(); emit('key'); }
    if (event.key === 'Escape') return hideTip();
    const cell = event.key === 'Enter' ? current() : moved(view, current(), event.key, event.ctrlKey);
    if (!cell) return;
    event.preventDefault();
    choose(cell, event.key === 'Enter' ? 'enter' : 'key');
  }
  function hideTip() { tip.hidden = true; hovered = null; }
  function showTip(cell) {
    hovered = cell;
    fillTip(tip, tooltipText(view, cell.row, cell.column, texts), texts);
    tip.hidden = false;
  }
  function onHover(frame, event) {
    const cell = event.pointerType !== 'touch' && place(frame, event);
    if (!cell) return hideTip();
    showTip(cell);
    const outer = root.getBoundingClientRect();
    const x = event.clientX - outer.left, y = event.clientY - outer.top;
    tip.style.left = `${Math.max(4, Math.min(x + 14, outer.width - tip.offsetWidth - 4))}px`;
    tip.style.top = `${y + 18}px`;
  }
  function buildFrame(k) {
    const frame = { k, drawn: '', marked: '', outer: tagged('div', { class: 'map' }), title: tagged('div', { class: 'map-title' }), area: tagged('div', { class: 'map-area' }) };
    frame.plot = tagged('div', { class: 'map-plot', 'aria-hidden': 'true' });
    frame.overlay = document.createElementNS(SVG, 'svg');
    frame.overlay.setAttribute('class', 'overlay');
    frame.overlay.setAttribute('aria-hidden', 'true');
    frame.outline = tagged('div', { class: 'cell-outline', hidden: '' });
    frame.grid = tagged('div', { class: 'cells', role: 'grid', tabindex: 0 });
    frame.grid.addEventListener('keydown', onKey);
    frame.grid.addEventListener('focus', () => { origin = current(); });
    frame.grid.addEventListener('pointerdown', (event) => onPointerDown(frame, event));
    frame.grid.addEventListener('pointermove', (event) => onHover(frame, event));
    frame.grid.addEventListener('pointerleave', hideTip);
    frame.area.append(frame.plot, frame.overlay, frame.outline, frame.grid);
    frame.outer.append(frame.title, frame.area);
    return frame;
  }
  function buildFrames() {
    while (frames.length > view.maps.length) { const gone = frames.pop(); Plotly.purge(gone.plot); gone.outer.remove(); }
    while (frames.length < view.maps.length) { const made = buildFrame(frames.length); frames.push(made); host.append(made.outer); }
  }
  function markCell() {
    if (!view) return;
    const cell = current();
    for (const frame of frames) {
      if (!frame.box) continue;
      frame.outline.hidden = !cell;
      if (cell) putAt(frame.outline, cellBox(view, frame.box, cell));
      fillGrid(frame.grid, `${uid}-${frame.k}`, view, view.maps[frame.k], cell, texts);
    }
    if (twin.open) table.select(cell);
    root.dataset.sel = cell ? `${cell.row},${cell.column}` : '';
  }
  function putAt(target, sides) {
    for (const [side, pixels] of Object.entries(sides)) target.style[side] = `${pixels}px`;
  }
  function titleMap(frame, map) {
    const parts = [explainedText(map.title, map.tip)];
    if (map.base !== null && map.ramp !== 'change' && map.ramp !== 'kept' && frame.box.width >= 200) parts.push(tagged('span', { class: 'quiet' }, fill(texts.base, { value: formatNumber(map.base) })));
    if (map.clipped && !frame.box.isSmall) parts.push(clippedNote(map));
    if (frame.k === 0 && !view.matrix) parts.push(...cannotNote());
    const key = parts.map((part) => part.outerHTML).join('');
    if (frame.titled === key) return;
    frame.titled = key;
    frame.title.replaceChildren(...parts);
  }
  function clippedNote(map) {
    const note = explainedText(clippedText(map, texts), texts.clipped_help);
    note.classList.add('quiet');
    return note;
  }
  function cannotNote() {
    if (view.can_win.every(Boolean) || !view.cannot) return [];
    const note = explainedText(`* ${view.cannot}`, texts.cannot_win_help);
    note.classList.add('quiet', 'cannot');
    return [note];
  }
  function scaleLine(theme) {
    if (!view.matrix) return scale.replaceChildren();
    const map = view.maps[0], bar = tagged('span', { class: 'scale-bar' });
    bar.style.background = `linear-gradient(to right, ${theme.ramps[map.ramp].join(',')})`;
    scale.replaceChildren(tagged('span', {}, fill(texts.scale, { value: formatPlain(map.stops[map.stops.length - 1]) })), bar, ...(map.clipped ? [clippedNote(map)] : []), ...cannotNote());
  }
  async function drawMap(frame, theme) {
    const map = view.maps[frame.k], shown = view, box = mapBox(shown, width, frame.k);
    frame.box = box;
    frame.outer.dataset.map = map.name;
    frame.outer.classList.toggle('whole', Boolean(shown.matrix) && !box.isSmall);
    titleMap(frame, map);
    const area = { left: box.left, top: box.top, width: box.innerWidth, height: box.innerHeight };
    putAt(frame.grid, area);
    frame.area.style.setProperty('--left', `${box.left}px`);
    frame.area.style.setProperty('--top', `${box.top}px`);
    frame.area.style.height = `${box.height}px`;
    const cells = printed(map.values), status = printed(shown.status);
    const marked = [cells, printed(shown.passes), status, JSON.stringify([shown.best, shown.fallback, shown.pinned, map.stops, box, theme.paper])].join();
    if (marked !== frame.marked) { frame.marked = marked; drawOverlay(frame, map, theme); }
    const drawn = [cells, hasFaint(shown) && status, JSON.stringify([map.stops, map.ramp, shown.feature_factors, shown.learning_rates, shown.can_win, box, theme.paper])].join();
    if (drawn === frame.drawn) return;
    frame.drawn = drawn;
    const { data, layout } = figure(shown, map, theme, box, texts);
    await Plotly.react(frame.plot, data, layout, { staticPlot: true, responsive: false });
  }
  function drawOverlay(frame, map, theme) {
    const { box, overlay } = frame, ramp = theme.ramps[map.ramp], paths = overlayPaths(view, map, ramp, box), star = starPlace(view, box);
    const make = (tag, attributes, text) => { const made = document.createElementNS(SVG, tag); for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value); if (text) made.textContent = text; return made; };
    const size = box.gap === 1 ? 4 : 6;
    const hatch = (name) => { const pattern = make('pattern', { id: `${uid}-${frame.k}-${name}`, width: size, height: size, patternUnits: 'userSpaceOnUse', patternTransform: 'rotate(45)' }); pattern.append(make('line', { x1: 0, y1: 0, x2: 0, y2: size, stroke: INKS[name], 'stroke-width': 1.8 })); return pattern; };
    const defs = make('defs', {});
    defs.append(hatch('dark'), hatch('light'));
    const pins = view.pinned.slice(0, 4).map(([row, column], k) => pinMark(make, cellBox(view, box, { row, column }), 'ABCD'[k]));
    overlay.setAttribute('width', box.innerWidth);
    overlay.setAttribute('height', box.innerHeight);
    overlay.replaceChildren(
      defs, make('path', { class: 'empty', d: paths.empty }), make('path', { fill: `url(#${uid}-${frame.k}-dark)`, d: paths.dark }), make('path', { fill: `url(#${uid}-${frame.k}-light)`, d: paths.light }),
      make('path', { class: 'crosses', d: paths.cross }), make('path', { class: 'dashes', d: paths.dash }), make('path', { class: box.gap === 1 ? 'dots small' : 'dots', d: paths.dots }), ...pins, ...(star ? [make('polygon', { class: view.fallback ? 'star open' : 'star', points: starPoints(star.x, star.y, box.isSmall || box.gap === 1 ? 5.5 : 7) })] : []),
    );
  }
  function pinMark(make, { left, top, width, height }, letter) {
    const mark = make('g', { class: 'pin' });
    mark.append(make('rect', { x: left + 1, y: top + 1, width: Math.max(1, width - 2), height: Math.max(1, height - 2) }), make('rect', { class: 'tag', x: left, y: top, width: 11, height: 11 }), make('text', { x: left + 5.5, y: top + 9 }, letter));
    return mark;
  }
  async function draw(across, theme) {
    if (!view) return;
    const drawn = view;
    width = across;
    buildFrames();
    const kind = arrangement(drawn, width);
    host.className = `maps ${kind}`;
    host.style.setProperty('--across', drawn.matrix || 1);
    scaleLine(theme);
    showKeys(drawn);
    showChosen(drawn.shows);
    await Promise.all(frames.map((frame) => drawMap(frame, theme)));
    markCell();
    if (twin.open) { table.update(drawn); table.select(current()); }
    Object.assign(root.dataset, { rev: drawn.rev, run: drawn.run, shows: drawn.shows, best: drawn.best ? drawn.best.join(',') : '' });
  }
  const schedule = drawingLoop(host, draw);
  function update() {
    const before = view, sent = parsed(props.value);
    if (sent && !isNewest(sent)) return;
    const newest = readView(props.value, before);
    if (!newest) return askForAll();
    view = newest;
    root.dataset.held = view.tables_version;
    const sameGrid = before && before.run === view.run && String(before.feature_factors) === String(view.feature_factors) && String(before.learning_rates) === String(view.learning_rates);
    if (!sameGrid) { chosen = null; origin = null; }
    if (sameGrid && hovered) showTip(hovered);  // a running sweep must not take the tip from under the pointer
    else hideTip();
    schedule();
    if (telling) return;
    telling = true;
    const known = nth;
    afterPaint(() => { telling = false; if (nth === known) tell(); });
  }
  // A value that stands on tables which are not here (the page was built anew, or shows another run by now).
  function askForAll() {
    const sent = parsed(props.value);
    if (sent?.shows) trigger('input', { shows: sent.shows, held: '' });
  }
  function tell() {
    const cell = current();
    if (!view.run || !cell || timer) return;
    if (paintedFor(view, chosen)) { if (signature(view, cell) !== emitted) emit(chosen ? 'arrived' : 'follows'); }
    else emit(chosen ? 'pointer' : 'best');  // the board was painted before it knew of this selection: ask for it again
  }
  function pictures() {
    if (!view) return [];
    const save = (map) => (format) => savePicture(savedFigure(view, map, readPaper(root), texts, current()), format, `${view.file.stem}_${fileWord(map.title)}`);
    const saveRow = (format) => document.dispatchEvent(new CustomEvent('gradiend-save-row', { detail: { format, file: view.file } }));
    return [...view.maps.map((map) => ({ label: map.title, save: save(map) })), { label: texts.save_row, save: saveRow }];
  }
  function goTo(goto) {
    if (!goto || !view) return;
    const [row, column] = goto[0] === 'cell' ? [view.feature_factors.indexOf(goto[1]), view.learning_rates.indexOf(goto[2])] : goto;
    if (row >= 0 && column >= 0) choose({ row, column }, 'python');
  }
  find('.best').addEventListener('click', chooseBest);
  twin.addEventListener('toggle', schedule);
  watch('value', update);
  watch('goto', () => goTo(props.goto));
  const waiting = setInterval(() => { if (globalThis.Plotly) { clearInterval(waiting); schedule(); } }, 40);
  update();
}
