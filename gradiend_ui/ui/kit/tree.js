// Paints a tree of plain values as DOM nodes: strings become text nodes, never markup. Nodes of the same tag are kept, so
// focus, open <details> and running transitions survive an update. A click on a node with data-pick is a `select` event. Only the tags and attributes listed here are accepted.

const TAGS = new Set(['div', 'span', 'p', 'h1', 'h2', 'h3', 'strong', 'em', 'small', 'code', 'ul', 'ol', 'li', 'dl', 'dt', 'dd', 'table', 'caption', 'thead', 'tbody', 'tr', 'th', 'td', 'details', 'summary', 'a', 'nav', 'progress', 'mark', 'button', 'pre', 'ins', 'del', 'tfoot']);
const ATTRIBUTES = new Set(['class', 'title', 'role', 'scope', 'tabindex', 'value', 'max', 'hidden', 'colspan', 'rowspan', 'disabled', 'lang']);

function isAllowed(name, value) {
  if (ATTRIBUTES.has(name) || name.startsWith('aria-') || name.startsWith('data-')) return true;
  if (name === 'type') return value === 'button';
  if (name === 'href') return /^(#|\?run=)[\w-]*$/.test(value);
  return name === 'style' && /^(--[a-z]+: ?-?[\d.]+%?;? ?)+$/.test(value);
}

function patchAttributes(element, wanted) {
  for (const { name } of [...element.attributes]) {
    if (!(name in wanted) && name !== 'open') element.removeAttribute(name);
  }
  for (const [name, value] of Object.entries(wanted)) {
    if (isAllowed(name, String(value)) && element.getAttribute(name) !== String(value)) element.setAttribute(name, String(value));
  }
}

function patchChildren(parent, wanted) {
  wanted.forEach((spec, k) => {
    const old = parent.childNodes[k];
    if (typeof spec === 'string') {
      if (old?.nodeType === 3) { if (old.data !== spec) old.data = spec; } else if (old) old.replaceWith(document.createTextNode(spec));
      else parent.append(document.createTextNode(spec));
      return;
    }
    if (!TAGS.has(spec.tag)) throw new Error(`tag ${spec.tag} is not accepted`);
    let node = old;
    if (!(old?.nodeType === 1 && old.localName === spec.tag)) {
      node = document.createElement(spec.tag);
      if (old) old.replaceWith(node); else parent.append(node);
    }
    patchAttributes(node, spec.attributes || {});
    patchChildren(node, spec.children || []);
  });
  while (parent.childNodes.length > wanted.length) parent.lastChild.remove();
}

function mountTree(element, props, trigger, watch) {
  const root = element.querySelector('.tree');
  const isNewest = globalThis.gradiendPage.inOrder();
  function update() {
    const sent = props.value && JSON.parse(props.value);
    if (sent && isNewest(sent)) patchChildren(root, [sent]);
  }
  root.addEventListener('click', (event) => {
    const picked = event.target.closest('[data-pick]');
    if (picked && root.contains(picked) && !picked.disabled) trigger('select', { index: 0, value: picked.dataset.pick, selected: true });
  });
  watch('value', update);
  update();
}
