// The selected feature factor's row as lines over the learning rate. Pure figure first, mounting last. Needs plotting.js.

const CHART = { height: 150, left: 46, right: 50, top: 8, bottom: 38 };

function lineStyle(kind, theme) {
  return {
    target: { color: theme.accent, width: 2.5, dash: 'solid' },
    other: { color: theme.other, width: 2, dash: 'solid' },
    kept: { color: theme.kept, width: 2, dash: '5px,3px' },
  }[kind];
}

function lineTraces(view, theme) {
  const x = axisCentres(view.columns);
  const opacity = (status) => (status === 'provisional' ? 0.4 : 1);
  return view.lines.map((line) => ({
    type: 'scatter', mode: 'lines+markers', name: line.name, x, y: line.values, connectgaps: false, hoverinfo: 'skip',
    line: lineStyle(line.kind, theme), marker: { size: 5, color: lineStyle(line.kind, theme).color, opacity: view.status.map(opacity) },
  }));
}

function chartShapes(view, theme) {
  const edges = axisEdges(axisCentres(view.columns));
  const across = (y, colour, dash, width) => ({ type: 'line', xref: 'paper', x0: 0, x1: 1, y0: y, y1: y, line: { color: colour, width, dash }, layer: 'below' });
  const shapes = view.lines.filter((line) => line.base !== null).map((line) => across(line.base, theme.base, 'solid', line.kind === 'target' ? 1.6 : 1));
  if (view.threshold !== null) shapes.push(across(view.threshold, theme.kept, '1px,3px', 1.2));
  if (view.column !== null) {
    shapes.unshift({ type: 'rect', yref: 'paper', x0: edges[view.column], x1: edges[view.column + 1], y0: 0, y1: 1, line: { color: theme.ink, width: 1.5 }, fillcolor: 'rgba(128,128,128,.10)', layer: 'below' });
  }
  return shapes;
}

function topOf(view) {
  const values = view.lines.flatMap((line) => [...line.values, line.base]).filter((value) => value !== null);
  return Math.max(1.05, ...values.map((value) => value * 1.03));
}

function chartFigure(view, theme, width) {
  const centres = axisCentres(view.columns), edges = axisEdges(centres);
  const font = { color: theme.soft, size: 10.5, family: theme.font };
  const axis = { zeroline: false, fixedrange: true, automargin: false, tickfont: font, ticklen: 0 };
  return {
    data: lineTraces(view, theme),
    layout: {
      datarevision: view.rev, width, height: CHART.height, font, dragmode: false, hovermode: false, showlegend: false,
      margin: { l: CHART.left, r: CHART.right, t: CHART.top, b: CHART.bottom, autoexpand: false }, paper_bgcolor: 'rgba(0,0,0,0)', plot_bgcolor: 'rgba(0,0,0,0)',
      xaxis: { ...axis, ...axisTicks(view.columns, centres, width - CHART.left - CHART.right), range: [edges[0], edges[edges.length - 1]], showgrid: false, title: { text: 'strength (learning rate)', font, standoff: 6 } },
      yaxis: { ...axis, range: [0, topOf(view)], nticks: 5, gridcolor: theme.hair, title: { text: '0 to 1', font, standoff: 4 } },
      shapes: chartShapes(view, theme),
    },
  };
}

function chartLabel(view) {
  const values = view.column === null ? [] : view.lines.map((line) => `${line.name} ${formatNumber(line.values[view.column])}`);
  return `Feature factor ${formatSigned(view.feature_factor)} over the learning rate. ${values.join(', ')}`;
}

function legendItems(view) {
  const at = (line) => (view.column === null ? '' : ` ${formatNumber(line.values[view.column])}`);
  return [...view.lines.map((line) => ({ kind: line.kind, text: line.name + at(line) })), { kind: 'base', text: 'base' }];
}

function mountRowChart(element, props, trigger, watch) {
  const root = element.querySelector('.row-plot'), legend = element.querySelector('.legend'), title = element.querySelector('.row-title');
  let view = null, painted = '';
  async function draw() {
    if (!view) return;
    const theme = readTheme(element), key = JSON.stringify([{ ...view, rev: 0 }, root.clientWidth, theme.paper]);
    if (key === painted) return;
    painted = key;
    title.textContent = `Row of feature factor ${formatSigned(view.feature_factor)}`;
    legend.replaceChildren(...legendItems(view).map(({ kind, text }) => Object.assign(document.createElement('span'), { className: `key ${kind}`, textContent: text })));
    root.setAttribute('aria-label', chartLabel(view));
    const { data, layout } = chartFigure(view, theme, root.clientWidth);
    await Plotly.react(root, data, layout, { displayModeBar: false, responsive: false });
    Object.assign(element.dataset, { rev: view.rev, row: view.row, column: view.column ?? '' });
  }
  const schedule = drawingLoop(root, draw);
  root.addEventListener('click', (event) => {
    const area = root.querySelector('.nsewdrag');
    if (!area || !view) return;
    const box = area.getBoundingClientRect(), edges = axisEdges(axisCentres(view.columns));
    const x = edges[0] + ((event.clientX - box.left) / box.width) * (edges[edges.length - 1] - edges[0]);
    const column = view.columns.findIndex((_, k) => x >= edges[k] && x < edges[k + 1]);
    if (column >= 0) trigger('select', { index: [view.row, column], value: null, selected: true });
  });
  function update() {
    view = parsed(props.value) || view;
    schedule();
  }
  watch('value', update);
  const waiting = setInterval(() => { if (globalThis.Plotly) { clearInterval(waiting); schedule(); } }, 40);
  update();
}
