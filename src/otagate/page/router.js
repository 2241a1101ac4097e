// Addresses of views: `#/?q=lamp` is the first screen, `#/device/ID` one device. The part after `#` never leaves the browser.

export function here() {
  const [path, search] = location.hash.replace(/^#/, "").split("?");
  const [name, id] = path.split("/").filter(Boolean);
  return { name: name || "home", id: decoded(id || ""), query: Object.fromEntries(new URLSearchParams(search || "")) };
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

export const toDevice = (id) => `#/device/${encodeURIComponent(id)}`;

// Change what the list is filtered by, without a new entry in the history of the tab.
export function filter(changes) {
  const wanted = Object.entries({ ...here().query, ...changes }).filter(([, value]) => value);
  history.replaceState(null, "", `#/?${new URLSearchParams(wanted)}`);
}
