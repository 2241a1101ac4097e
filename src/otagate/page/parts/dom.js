// Descriptions of elements, and the one place that makes elements of them. Data reaches the document as text nodes, attributes of a short list
// and properties of style only: there is no way here from text to markup.

const SVG = "http://www.w3.org/2000/svg";
const SHAPES = new Set(["svg", "path", "rect", "circle", "line", "polyline", "g", "text", "title"]);
const ATTRIBUTES = new Set(["PROGRESS", "OPTION"]); // an option without the attribute has its text for a value
const PROPERTIES = new Set(["value", "checked", "disabled", "open", "hidden", "indeterminate", "selected"]);

// h("p", { class: "x", onclick: f, key: "k" }, "text", h(...), [more], null): a description, not yet an element.
export function h(tag, props, ...children) {
  return { tag, props: props || {}, children: flat(children), key: props?.key };
}

function flat(children) {
  const found = [];
  for (const child of children) {
    if (Array.isArray(child)) found.push(...flat(child));
    else if (typeof child === "object" && child !== null) found.push(child);
    else if (child !== null && child !== undefined && typeof child !== "boolean") found.push(String(child));
  }
  return found;
}

// What was made for `key` before, where nothing that it is made of has changed: the patch below then leaves its elements alone.
export function memo() {
  const kept = new Map();
  return (key, made_of, make) => {
    const known = kept.get(key);
    if (known && known.made_of.length === made_of.length && known.made_of.every((each, i) => each === made_of[i])) return known.node;
    const node = make();
    kept.set(key, { made_of, node });
    return node;
  };
}

// Make the children of `parent` be as described; elements that stay keep their focus, selection and scroll position.
export function render(parent, ...children) {
  const next = flat(children);
  patchChildren(parent, parent._shown || [], next);
  parent._shown = next;
}

function create(node) {
  if (typeof node === "string") return document.createTextNode(node);
  const element = SHAPES.has(node.tag) ? document.createElementNS(SVG, node.tag) : document.createElement(node.tag);
  patchProps(element, {}, node.props);
  for (const child of node.children) element.appendChild(create(child));
  if (node.tag === "select") element.value = node.props.value ?? "";
  return element;
}

function patch(element, was, now) {
  if (was === now) return element;
  if (typeof was === "string" && typeof now === "string") {
    element.data = now;
    return element;
  }
  if (was.tag !== now.tag || was.key !== now.key || typeof was !== typeof now) {
    const made = create(now);
    element.replaceWith(made);
    return made;
  }
  patchProps(element, was.props, now.props);
  patchChildren(element, was.children, now.children);
  if (now.tag === "select" && was.props.value !== now.props.value) element.value = now.props.value ?? "";
  return element;
}

function patchChildren(parent, was, now) {
  const elements = Array.from(parent.childNodes).slice(0, was.length);
  const byKey = new Map();
  was.forEach((node, i) => node.key !== undefined && byKey.set(node.key, i));
  const used = new Set();
  let plain = 0;
  let cursor = parent.firstChild;
  for (const node of now) {
    let from = -1;
    if (node.key !== undefined) from = byKey.has(node.key) && !used.has(byKey.get(node.key)) ? byKey.get(node.key) : -1;
    else {
      while (plain < was.length && (was[plain].key !== undefined || used.has(plain))) plain += 1;
      if (plain < was.length) from = plain++;
    }
    let element;
    if (from < 0) {
      element = create(node);
      parent.insertBefore(element, cursor);
    } else {
      used.add(from);
      const before = elements[from];
      if (before !== cursor) parent.insertBefore(before, cursor);
      else cursor = cursor.nextSibling;
      element = patch(before, was[from], node);
    }
    if (element.nextSibling !== cursor && element.parentNode === parent) cursor = element.nextSibling;
  }
  elements.forEach((element, i) => !used.has(i) && element.parentNode === parent && element.remove());
}

// What a person is typing or choosing just now is left alone until the description of it changes.
function patchProps(element, was, now) {
  const busy = element === document.activeElement;
  for (const name of Object.keys(was)) if (!(name in now)) setProp(element, name, undefined);
  for (const [name, value] of Object.entries(now)) if (was[name] !== value || (PROPERTIES.has(name) && !busy)) setProp(element, name, value);
}

function setProp(element, name, value) {
  if (name === "key") return;
  if (name.startsWith("on")) listen(element, name.slice(2), value);
  else if (name === "share") element.style.setProperty("--share", value ?? null);
  else if (name === "span") ["--from", "--to"].forEach((each, i) => element.style.setProperty(each, value?.[i] ?? null));
  else if (name === "value" && element.tagName === "SELECT") return; // once its options are there
  else if (PROPERTIES.has(name) && !ATTRIBUTES.has(element.tagName)) setProperty(element, name, value);
  else if (value === undefined || value === null || value === false) element.removeAttribute(name);
  else element.setAttribute(name, value === true ? "" : value);
}

function setProperty(element, name, value) {
  const wanted = value ?? (name === "value" ? "" : false);
  if (element[name] !== wanted) element[name] = wanted;
}

function listen(element, type, call) {
  element._calls ||= {};
  if (!(type in element._calls)) element.addEventListener(type, (event) => element._calls[type]?.(event));
  element._calls[type] = call;
}
