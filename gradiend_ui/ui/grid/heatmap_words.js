// What is said of a cell: tooltip, spoken label, the table twin with its order. Pure. Needs plotting.js and heatmap.js.

function statusWords(view, row, column, texts) {
  const status = view.status[row][column];
  if (status === 'provisional') return [fill(texts.provisional, { done: view.rows_done[row][column], total: view.rows_total }), errorWords(view, row, column, texts)].filter(Boolean).join(', ');
  const reason = view.reason[row][column];
  const told = (status === 'final' ? '' : texts[status] || status) + (reason ? `: ${reason}` : '');
  return status === 'skipped' && !globalThis.gradiendPage?.watches() ? `${told.replace(/\.$/, '')}. ${texts.skipped_advice}` : told;
}

// What a broken model says nearly everywhere; nothing for any other.
function brokenWords(view, row, column, texts) {
  const broken = view.degenerate?.[row][column];
  return broken ? fill(texts.broken_tip, { token: broken.token, share: `${Math.round(100 * broken.share)} %` }) : '';
}

// How far a provisional value may still move; nothing where that is not known.
function errorWords(view, row, column, texts) {
  const [metric, lms] = view.errors ? [view.errors.metric[row][column], view.errors.lms[row][column]] : [null, null];
  return metric === null || lms === null ? '' : fill(texts.provisional_error, { metric: formatNumber(metric), lms: formatNumber(lms) });
}

function cellTitle(view, row, column, texts) {
  return fill(texts.cell, { factor: formatSigned(view.feature_factors[row]), rate: formatPlain(view.learning_rates[column]) });
}

// Every number of a cell once, maps first: {label, values, base}.
function measuresOf(view) {
  const seen = new Set();
  return [...view.maps.map((map) => ({ label: map.title, ...map })), ...view.details].filter(({ table }) => !seen.has(table) && seen.add(table));
}

function notes(view, row, column, texts) {
  const isBest = view.best && view.best[0] === row && view.best[1] === column, letter = pinnedLetter(view, row, column);
  return [
    isBest ? (view.fallback ? texts.fallback : texts.best) : '',
    view.passes[row][column] === false ? texts.below : '',
    brokenWords(view, row, column, texts),
    view.status[row][column] === 'final' ? '' : statusWords(view, row, column, texts) || texts.pending,
    view.can_win[row] ? '' : view.cannot,
    letter && fill(texts.pinned, { letter }),
  ].filter(Boolean);
}

// {title, lines: [[label, value, base]], note}.
function tooltipText(view, row, column, texts) {
  const title = cellTitle(view, row, column, texts), measures = measuresOf(view);
  const known = measures.some(({ values }) => values[row][column] !== null);
  const lines = known ? measures.map(({ label, values, base }) => [label, formatNumber(values[row][column]), formatNumber(base)]) : [];
  return { title, lines, note: notes(view, row, column, texts).join(' · ') };
}

// What a screen reader says of a cell of one map: place, that map's number, what is kept, then what there is to note.
function spoken(view, map, row, column, texts) {
  const maps = [...new Set([map, view.maps[view.maps.length - 1]])];
  const numbers = maps.filter(({ values }) => values[row][column] !== null).map(({ title, values }) => `${title} ${formatNumber(values[row][column])}`);
  return [cellTitle(view, row, column, texts), numbers.join(', '), notes(view, row, column, texts).join(', ')].filter(Boolean).join('. ');
}

// Columns of the table twin: {label, number(row, column), text(row, column)}; the number decides the order.
function tableColumns(view, texts) {
  const status = (row, column) => notes(view, row, column, texts).join(' · ') || texts.final;
  return [
    { label: texts.table_factor, number: (row) => view.feature_factors[row], text: (row) => formatSigned(view.feature_factors[row]) },
    { label: texts.table_rate, number: (row, column) => view.learning_rates[column], text: (row, column) => formatPlain(view.learning_rates[column]) },
    ...measuresOf(view).map(({ label, values }) => ({ label, number: (row, column) => values[row][column], text: (row, column) => formatNumber(values[row][column]) })),
    { label: texts.table_status, number: status, text: status, isText: true },
  ];
}

// The cells as the table shows them, [row, column] each: in the order of the grid, or by a column; what is unknown is last.
function tableOrder(view, columns, sorted) {
  const order = [];
  eachCell(view, (row, column) => order.push([row, column]));
  const by = sorted && columns[sorted.column];
  if (!by) return order;
  const sign = sorted.descending ? -1 : 1;
  const keyed = order.map(([row, column]) => [row, column, by.number(row, column)]);
  keyed.sort((a, b) => {
    if (a[2] === null || b[2] === null) return (a[2] === null) - (b[2] === null);
    return sign * (by.isText ? a[2].localeCompare(b[2]) : a[2] - b[2]);
  });
  return keyed;
}
