// The line above the maps (what they show, saving, the way back to the best cell) and the legend below.
// Knows no number; needs plotting.js and heatmap_grid.js (tagged) before it.

const SHOWS = ['other', 'own', 'change', 'all'];
const KEYS = ['star', 'outline', 'pinned', 'hatched', 'faint', 'struck', 'hollow', 'crossed'];
const FORMATS = ['png', 'svg'];
const ANSWER_WITHIN = 5000;

function explainedText(text, tip) {
  return tagged('span', { class: 'explained', tabindex: 0, 'data-tip': tip, 'aria-description': tip }, text);
}

// Gives a function that shows what a view needs: only a search for the winner skips cells; once it has, none is left
// that is not computed.
function mountLegend(root, texts) {
  root.replaceChildren(...KEYS.map((kind) => tagged('span', { class: `cell-key ${kind}` }, texts[`key_${kind}`])));
  const struck = root.querySelector('.struck'), hollow = root.querySelector('.hollow');
  struck.hidden = true;
  return (view) => {
    const has = (status) => view.status.some((line) => line.includes(status));
    struck.hidden = !has('skipped');
    hollow.hidden = !struck.hidden && !has('pending');
  };
}

// Radios of what the maps show; `ask(name)` is called for a choice. Gives a function that shows what is chosen; a choice
// that is on its way to the server is not taken back by an older value.
function mountShows(root, id, texts, ask) {
  let wanted = null, asked = 0;
  const choices = SHOWS.map((name) => {
    const label = tagged('label', { 'data-tip': texts[`show_${name}_help`] }), input = tagged('input', { type: 'radio', name: id, value: name });
    input.addEventListener('change', () => { if (input.checked) { wanted = name; asked = performance.now(); ask(name); } });
    label.append(input, tagged('span', {}, texts[`show_${name}`]));
    return { label, input };
  });
  root.replaceChildren(tagged('legend', {}, texts.show), ...choices.map(({ label }) => label));
  return (name) => {
    root.disabled = !name;
    if (wanted && name && wanted !== name && performance.now() - asked < ANSWER_WITHIN) return;
    wanted = null;
    choices.forEach(({ input }) => { input.checked = input.value === name; });
  };
}

// The menu of files. `pictures()` gives {label, save(format)}, `files(format)` asks for csv or json.
function mountSave(menu, texts, pictures, files) {
  const summary = menu.querySelector('summary'), list = menu.querySelector('.save-menu');
  const close = () => { menu.open = false; };
  function line(label, formats, act) {
    const row = tagged('li', {});
    row.append(tagged('span', {}, label));
    for (const format of formats) {
      const button = tagged('button', { type: 'button', class: 'pick', 'aria-label': fill(texts.save_as, { what: label, format }) }, format.toUpperCase());
      button.addEventListener('click', () => { act(format); close(); summary.focus(); });
      row.append(button);
    }
    return row;
  }
  menu.addEventListener('toggle', () => {
    if (!menu.open) return;
    list.replaceChildren(line(texts.save_cells, ['csv', 'json'], files), ...pictures().map(({ label, save }) => line(label, FORMATS, save)), tagged('li', { class: 'note' }, texts.save_help));
  });
  menu.addEventListener('keydown', (event) => {
    if (event.key !== 'Escape' || !menu.open) return;
    event.stopPropagation();
    close();
    summary.focus();
  });
  document.addEventListener('pointerdown', (event) => { if (menu.open && !menu.contains(event.target)) close(); });
}

function fillTip(tip, { title, lines, note }, texts) {
  const rowOf = (tag, cells) => { const row = tagged('tr', {}); row.append(...cells.map((text) => tagged(tag, {}, text))); return row; };
  const table = tagged('table', {});
  if (lines.length) table.append(rowOf('th', ['', texts.here, texts.at_base]), ...lines.map((cells) => rowOf('td', cells)));
  tip.replaceChildren(tagged('strong', {}, title), table, ...(note ? [tagged('em', {}, note)] : []));
}
