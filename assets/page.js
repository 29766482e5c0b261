// What belongs to the page as a whole: drawers, hover help, the language that was chosen. Loaded once, in the head.

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
  let waiting = 0;
  new MutationObserver(() => { clearTimeout(waiting); waiting = setTimeout(labelWidgets, 120); }).observe(document.documentElement, { childList: true, subtree: true });

  globalThis.gradiendPage = { openDrawer, closeDrawer };
})();
