// The selected feature factor's row as lines over the learning rate. Pure figure first, mounting last. Needs plotting.js.

const CHART = { height: 150, left: 46, right: 50, top: 8, bottom: 38 };
const SAVED_CHART = { width: 960, height: 420, left: 66, right: 74, top: 92, bottom: 58 };

const FURTHER = [['triangle-up', '▲'], ['x', '✕']];

function lineStyle(kind, theme, nth = 0) {
  return {
    target: { color: theme.accent, width: 2.5, dash: 'solid', symbol: 'circle' },
    other: { color: theme.other, width: 2, dash: 'solid', symbol: 'square' },
    further: { color: theme.other, width: 1.6, dash: '2px,3px', symbol: FURTHER[nth % FURTHER.length][0] },
    kept: { color: theme.kept, width: 2, dash: '5px,3px', symbol: 'diamond' },
  }[kind];
}

// Which of the lines of its kind a line is.
function place(view, line) {
  return view.lines.filter(({ kind }) => kind === line.kind).indexOf(line);
}

function lineTraces(view, theme) {
  const x = axisCentres(view.learning_rates);
  const isFaint = (status) => status === 'provisional' || status === 'skipped';
  return view.lines.map((line) => {
    const { symbol, ...style } = lineStyle(line.kind, theme, place(view, line));
    return {
      type: 'scatter', mode: 'lines+markers', name: line.name, x, y: line.values, connectgaps: false, hoverinfo: 'skip',
      line: style, marker: { size: 5, symbol: view.status.map((status) => (isFaint(status) ? `${symbol}-open` : symbol)), color: style.color, opacity: view.status.map((status) => (isFaint(status) ? 0.6 : 1)) },
    };
  });
}

function chartShapes(view, theme) {
  const centres = axisCentres(view.learning_rates), edges = axisEdges(centres), zero = view.learning_rates.indexOf(0);
  const across = (y, colour, dash, width) => ({ type: 'line', xref: 'paper', x0: 0, x1: 1, y0: y, y1: y, line: { color: colour, width, dash }, layer: 'below' });
  const shapes = view.lines.filter((line) => line.base !== null).map((line) => across(line.base, theme.base, 'solid', line.kind === 'target' ? 1.6 : 1));
  if (view.threshold !== null) shapes.push(across(view.threshold, theme.kept, '1px,3px', 1.2));
  if (zero >= 0) shapes.push({ type: 'line', yref: 'paper', x0: centres[zero], x1: centres[zero], y0: 0, y1: 1, line: { color: theme.base, width: 1, dash: '2px,2px' }, layer: 'below' });
  if (view.column !== null) {
    shapes.unshift({ type: 'rect', yref: 'paper', x0: edges[view.column], x1: edges[view.column + 1], y0: 0, y1: 1, line: { color: theme.ink, width: 1.5 }, fillcolor: 'rgba(128,128,128,.10)', layer: 'below' });
  }
  return shapes;
}

function topOf(view) {
  const values = view.lines.flatMap((line) => [...line.values, line.base]).filter((value) => value !== null);
  return Math.max(1.05, ...values.map((value) => value * 1.03));
}

function chartFigure(view, theme, width, texts, size = CHART) {
  const centres = axisCentres(view.learning_rates), edges = axisEdges(centres);
  const font = { color: theme.soft, size: 10.5, family: theme.font };
  const axis = { zeroline: false, fixedrange: true, automargin: false, tickfont: font, ticklen: 0 };
  return {
    data: lineTraces(view, theme),
    layout: {
      width, height: size.height, font, dragmode: false, hovermode: false, showlegend: false,
      margin: { l: size.left, r: size.right, t: size.top, b: size.bottom, autoexpand: false }, paper_bgcolor: 'rgba(0,0,0,0)', plot_bgcolor: 'rgba(0,0,0,0)',
      xaxis: { ...axis, ...axisTicks(view.learning_rates, centres, width - size.left - size.right), range: [edges[0], edges[edges.length - 1]], showgrid: false, ticklabelstandoff: 2, title: { text: texts.axis_rate, font, standoff: 6 } },
      yaxis: { ...axis, range: [0, topOf(view)], nticks: 5, gridcolor: theme.hair, title: { text: texts.axis_share, font, standoff: 4 } },
      shapes: chartShapes(view, theme),
    },
  };
}

// The chart as a picture that stands on its own: with title and a legend inside.
function savedChart(view, theme, texts, subtitle) {
  const { data, layout } = chartFigure(view, theme, SAVED_CHART.width, texts, SAVED_CHART);
  const title = fill(texts.row_title, { factor: formatSigned(view.feature_factor) });
  const base = { type: 'scatter', mode: 'lines', x: [null], y: [null], name: texts.at_base, line: { color: theme.base, width: 1.6 } };
  return {
    data: [...data.map((trace) => ({ ...trace, name: escapeMarkup(trace.name) })), base],
    layout: {
      ...layout, paper_bgcolor: theme.paper, plot_bgcolor: theme.paper, showlegend: true,
      legend: { orientation: 'h', x: 0, xanchor: 'left', y: 1.02, yanchor: 'bottom', font: { color: theme.ink, size: 12, family: theme.font } },
      title: { text: `<b>${escapeMarkup(title)}</b><br><span style="font-size:12px">${escapeMarkup(subtitle)}</span>`, font: { size: 16, color: theme.ink, family: theme.font }, x: SAVED_CHART.left / SAVED_CHART.width, xanchor: 'left', y: 1, yref: 'container', yanchor: 'top', pad: { t: 16 } },
    },
  };
}

function chartLabel(view, texts) {
  const values = view.column === null ? [] : view.lines.map((line) => `${line.name} ${formatNumber(line.values[view.column])}`);
  return `${fill(texts.row_label, { factor: formatSigned(view.feature_factor) })} ${values.join(', ')}`;
}

function legendItems(view, texts) {
  const at = (line) => (view.column === null ? '' : ` ${formatNumber(line.values[view.column])}`);
  const sign = (line) => (line.kind === 'further' ? `${FURTHER[place(view, line) % FURTHER.length][1]} ` : '');
  const items = view.lines.map((line) => ({ kind: line.kind, text: sign(line) + line.name + at(line), tip: line.tip + (line.kind === 'kept' && view.threshold !== null ? ` ${texts.row_threshold_help}` : '') }));
  return [...items, { kind: 'base', text: texts.at_base, tip: texts.row_base_help }];
}

function isEmpty(view) {
  return view.lines.every((line) => line.values.every((value) => value === null));
}

function mountRowChart(element, props, trigger, watch) {
  const root = element.querySelector('.row-plot'), legend = element.querySelector('.legend'), title = element.querySelector('.row-title'), empty = element.querySelector('.row-empty');
  const texts = JSON.parse(JSON.stringify(props.texts || {}));
  const isNewest = globalThis.gradiendPage.inOrder();
  let view = null, painted = '', plotted = '';
  empty.textContent = texts.row_none;
  function fillLegend() {
    const items = legendItems(view, texts);
    while (legend.children.length > items.length) legend.lastChild.remove();
    items.forEach(({ kind, text, tip }, k) => {
      const item = legend.children[k] || legend.appendChild(document.createElement('span'));
      item.className = `key explained ${kind}`;
      item.tabIndex = 0;
      if (item.textContent !== text) item.textContent = text;
      item.dataset.tip = tip;
      item.setAttribute('aria-description', tip);
    });
  }
  async function draw(width, theme) {
    if (!view) return;
    const key = JSON.stringify([{ ...view, rev: 0 }, width, theme.paper]), lines = JSON.stringify([{ ...view, rev: 0, column: 0, threshold: 0 }, width, theme.paper]);
    if (key !== painted) {
      painted = key;
      title.textContent = fill(texts.row_title, { factor: formatSigned(view.feature_factor) });
      fillLegend();
      empty.hidden = !isEmpty(view);
      root.setAttribute('role', 'img');  // a picture only once it has its name
      root.setAttribute('aria-label', chartLabel(view, texts));
      const { data, layout } = chartFigure(view, theme, width, texts);
      if (lines === plotted) await Plotly.relayout(root, { shapes: layout.shapes });
      else await Plotly.react(root, data, layout, { staticPlot: true, responsive: false });
      plotted = lines;
    }
    Object.assign(element.dataset, { rev: view.rev, row: view.row, column: view.column ?? '' });
  }
  const schedule = drawingLoop(root, draw);
  root.addEventListener('click', (event) => {
    if (!view) return;
    const box = root.getBoundingClientRect(), edges = axisEdges(axisCentres(view.learning_rates)), wide = box.width - CHART.left - CHART.right;
    const x = edges[0] + ((event.clientX - box.left - CHART.left) / wide) * (edges[edges.length - 1] - edges[0]);
    const column = view.learning_rates.findIndex((_, k) => x >= edges[k] && x < edges[k + 1]);
    if (column >= 0) trigger('select', { index: [view.row, column], value: null, selected: true });
  });
  document.addEventListener('gradiend-save-row', ({ detail: { format, file } }) => {
    if (!view || !element.isConnected) return;
    savePicture(savedChart(view, readPaper(element), texts, file.subtitle), format, `${file.stem}_${fileWord(title.textContent)}`);
  });
  function update() {
    const sent = parsed(props.value);
    if (!sent || !isNewest(sent)) return;
    view = { ...sent, order: null };  // what is drawn depends on the rest, and is not drawn again for this
    schedule();
  }
  watch('value', update);
  const waiting = setInterval(() => { if (globalThis.Plotly) { clearInterval(waiting); schedule(); } }, 40);
  update();
}
