// What belongs to the page as a whole: drawers, hover help, the keys of sweeps, their links. Loaded once, in the head.

(() => {
  let opener = null;

  function openDrawer(name) {
    const panel = document.getElementById(`drawer-${name}`);
    if (!panel) return;
    if (document.body.dataset.drawer === name) { closeDrawer(); return; }
    opener = document.activeElement;
    document.body.dataset.drawer = name;
    const title = panel.querySelector('h2');
    panel.setAttribute('role', 'region');
    panel.setAttribute('aria-label', title?.textContent || name);
    panel.scrollIntoView({ block: 'nearest', behavior: 'instant' });
    title?.focus();
  }

  function closeDrawer() {
    if (!document.body.dataset.drawer) return;
    delete document.body.dataset.drawer;
    if (opener?.isConnected) opener.focus();
    opener = null;
  }

  // One tooltip for everything that carries data-tip; shown by hover and by focus, hidden by Escape.
  const tip = document.createElement('div');
  tip.className = 'page-tip';
  tip.setAttribute('role', 'tooltip');
  tip.hidden = true;

  function showTip(target) {
    tip.textContent = target.dataset.tip;
    if (!tip.isConnected) document.body.append(tip);
    tip.hidden = false;
    const box = target.getBoundingClientRect();
    const left = Math.max(8, Math.min(box.left, innerWidth - tip.offsetWidth - 8));
    const below = box.bottom + 6;
    const fits = below + tip.offsetHeight < innerHeight;
    tip.style.left = `${left}px`;
    tip.style.top = `${fits ? below : Math.max(8, box.top - tip.offsetHeight - 6)}px`;
  }
  const hideTip = () => { tip.hidden = true; };
  const explained = (event) => event.target instanceof Element && event.target.closest('[data-tip]');

  document.addEventListener('pointerover', (event) => { const target = explained(event); if (target) showTip(target); else hideTip(); });
  document.addEventListener('focusin', (event) => { const target = explained(event); if (target && event.target.matches(':focus-visible')) showTip(target); else hideTip(); });
  document.addEventListener('scroll', hideTip, true);
  document.addEventListener('keydown', (event) => {
    if (event.key !== 'Escape') return;
    if (!tip.hidden) { hideTip(); return; }
    closeDrawer();
  });

  // Help for Gradio's own widgets: #help-texts holds one line per widget, <span data-for="ratio">…</span>.
  function labelWidgets() {
    for (const line of document.querySelectorAll('#help-texts [data-for]')) {
      const label = document.querySelector(`#${CSS.escape(line.dataset.for)} :is([data-testid="block-info"], label > span)`);
      if (label && label.dataset.tip !== line.textContent) {
        label.dataset.tip = line.textContent;
        label.classList.add('explained');
      }
    }
  }
  // Which files an upload button offers: <span data-files-of="load-zip" data-accept=".zip">. Gradio's own check is not
  // used: it tells what it refuses in English, and the name in it as markup.
  function offerFiles() {
    for (const line of document.querySelectorAll('#help-texts [data-files-of]')) {
      const button = document.getElementById(line.dataset.filesOf);
      const input = button?.matches('input') ? button : button?.parentElement.querySelector('input[type="file"]');
      if (input && input.accept !== line.dataset.accept) input.accept = line.dataset.accept;
    }
  }
  let waiting = 0;
  new MutationObserver(() => { clearTimeout(waiting); waiting = setTimeout(() => { labelWidgets(); offerFiles(); }, 120); }).observe(document.documentElement, { childList: true, subtree: true });

  // The keys of the sweeps that this browser may control: {run: key}, the newest last, in its storage; where a private
  // window has none, in this tab alone (with its history entry, so that a reload keeps them).
  const RING = 'gradiend-keys', MOST_KEYS = 100;
  let inTab = history.state?.[RING] || null;

  function storage() {
    for (const name of ['localStorage', 'sessionStorage']) {
      try {
        const found = globalThis[name];
        found.setItem(`${RING}-probe`, '1');
        found.removeItem(`${RING}-probe`);
        return found;
      } catch { /* closed to us: the next one */ }
    }
    return null;
  }

  function keys() {
    let found = {};
    try { found = JSON.parse(storage()?.getItem(RING) || '{}'); } catch { /* not ours */ }
    if (typeof found !== 'object' || Array.isArray(found)) found = {};
    const pairs = Object.entries({ ...found, ...inTab }).filter(([, key]) => typeof key === 'string' && key);
    return Object.fromEntries(pairs.slice(-MOST_KEYS));
  }

  function keep(run, key) {
    const { [run]: _, ...others } = keys();
    const kept = Object.fromEntries([...Object.entries(others), [run, key]].slice(-MOST_KEYS));
    try {
      const place = storage();
      if (place) { place.setItem(RING, JSON.stringify(kept)); inTab = null; return; }
    } catch { /* full */ }
    inTab = kept;
    history.replaceState({ ...history.state, [RING]: kept }, '');
  }

  // A key that the server says fits nothing; one that has taken its place meanwhile stays.
  function drop(run, key) {
    const { [run]: kept, ...others } = keys();
    if (kept !== key) return;
    try { storage()?.setItem(RING, JSON.stringify(others)); } catch { /* as it was */ }
    if (!inTab) return;
    inTab = others;
    history.replaceState({ ...history.state, [RING]: others }, '');
  }

  const runOf = (address) => new URL(address).searchParams.get('run') || '';
  const keyOf = (run) => keys()[run] || '';
  const linkOf = (run, key = '') => `${location.origin}${location.pathname}?run=${encodeURIComponent(run)}${key && `#key=${encodeURIComponent(key)}`}`;

  // A control link was opened: its key is kept, and leaves the address bar before anybody reads it there.
  function takeKey() {
    const run = runOf(location), key = new URLSearchParams(location.hash.slice(1)).get('key');
    if (key === null) return false;
    history.replaceState(history.state, '', location.pathname + location.search);
    if (!run || !key) return false;
    const own = keyOf(run);
    if (own && own !== key) offered = { run, key }; else keep(run, key);
    return true;
  }

  // A key that is here is not given up for one that came by a link, unless the server has said that it does not fit.
  let offered = null;
  function tryOffered() {
    if (!offered || !watches()) return;
    const { run, key } = offered;
    offered = null;
    if (run !== runOf(location)) return;
    keep(run, key);
    document.getElementById('claim-control')?.click();
  }
  new MutationObserver(tryOffered).observe(document.documentElement, { childList: true, subtree: true, attributes: true, attributeFilter: ['data-role'] });
  takeKey();
  addEventListener('hashchange', () => {
    if (!takeKey()) return;
    if (offered) tryOffered(); else document.getElementById('claim-control')?.click();
  });

  // Another page of this site is opened in the same tab: without storage the key travels in the fragment.
  function passing() {
    const key = inTab && keyOf(runOf(location));
    return key ? `#key=${encodeURIComponent(key)}` : '';
  }

  const watches = () => Boolean(document.querySelector('#control :is([data-role="watcher"], [data-role="keyless"])'));

  async function copied(text) {
    try { await navigator.clipboard.writeText(text); return true; } catch { /* not a secure page, or not allowed */ }
    const field = document.createElement('textarea'), before = document.activeElement;
    field.value = text;
    field.style.cssText = 'position:fixed;opacity:0';
    document.body.append(field);
    field.select();
    let done = false;
    try { done = document.execCommand('copy'); } catch { /* the link is shown instead */ }
    field.remove();
    before?.focus();
    return done;
  }

  document.addEventListener('click', async (event) => {
    const button = event.target instanceof Element && event.target.closest('[data-copy]');
    if (!button) return;
    const { copy, run, done, failed } = button.dataset, key = copy === 'control' ? keyOf(run) : '';
    const link = linkOf(run, key), said = button.closest('.role')?.querySelector('[data-copied]');
    const worked = await copied(link);
    if (said) said.textContent = worked ? `${button.textContent}: ${done}` : `${failed} ${link}`;
  });

  // Answers overtake each other: `next` numbers what the page asks; `inOrder` makes the check that lets nothing pass that
  // is older than what passed before. `order` is a list of numbers, the first that differs decides; without one it passes.
  let asked = 0;
  const next = () => { asked = Math.max(asked + 1, Date.now()); return asked; };

  function inOrder() {
    let newest = [];
    return ({ order }) => {
      const at = order ? order.findIndex((number, k) => number !== newest[k]) : -1;
      if (at >= 0 && order[at] < newest[at]) return false;
      newest = order || newest;
      return true;
    };
  }

  globalThis.gradiendPage = { next, inOrder, openDrawer, closeDrawer, keep, drop, keyOf, ring: () => JSON.stringify(keys()), passing, watches };
})();
