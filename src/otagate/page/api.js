// Calls to the hub. The token goes into a header, never into an address.

const KEPT = "otagate-token";
let token = null;

export class Problem extends Error {
  // What the hub answered where it refused (RFC 9457); `slug` is the stable word, `message` the sentence for people.
  constructor(status, document) {
    super(document?.detail || document?.title || `HTTP ${status}`);
    this.status = status;
    this.title = document?.title || "";
    this.slug = String(document?.type || "").split("/").pop();
    this.errors = document?.errors || [];
  }
}

// The token out of `#token=…`, which is taken out of the address at once, or the one of this tab.
export function findToken() {
  const given = /^#token=([^&]+)(?:&to=(.*))?$/.exec(location.hash);
  if (given) {
    keepToken(decodeURIComponent(given[1]));
    history.replaceState(null, "", given[2] ? "#" + decodeURIComponent(given[2]) : location.pathname);
  }
  try {
    token ||= sessionStorage.getItem(KEPT);
  } catch {
    // storage is switched off: the token lasts as long as this page
  }
  return token;
}

export function keepToken(text) {
  token = text;
  try {
    if (text) sessionStorage.setItem(KEPT, text);
    else sessionStorage.removeItem(KEPT);
  } catch {
    // as above
  }
}

export async function send(method, path, { body, form, signal, headers } = {}) {
  const options = { method, signal, cache: "no-store", credentials: "omit", headers: { Authorization: `Bearer ${token}`, ...headers } };
  if (body !== undefined) {
    options.headers["Content-Type"] = "application/json";
    options.body = JSON.stringify(body);
  } else if (form) options.body = form;
  const response = await fetch(path, options);
  if (response.ok) return response;
  throw new Problem(response.status, await response.json().catch(() => null));
}

export async function read(path) {
  return (await send("GET", `/api/v1/${path}`)).json();
}

export async function act(method, path, body, { headers, form } = {}) {
  const response = await send(method, `/api/v1/${path}`, { body, headers, form });
  return response.status === 204 ? null : response.json();
}

// Every item of a list, page after page.
export async function readAll(path, most = 20000) {
  const items = [];
  let cursor = null;
  do {
    const page = await read(path + (cursor ? `${path.includes("?") ? "&" : "?"}cursor=${encodeURIComponent(cursor)}` : ""));
    items.push(...page.items);
    cursor = page.next_cursor;
  } while (cursor && items.length < most);
  return items;
}

export function query(fields) {
  const found = new URLSearchParams(Object.entries(fields).filter(([, value]) => value !== null && value !== undefined && value !== ""));
  const text = found.toString();
  return text ? `?${text}` : "";
}

// Have the browser keep a file that only the token's bearer may read.
export async function download(path, name) {
  const blob = await (await send("GET", `/api/v1/${path}`)).blob();
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}
