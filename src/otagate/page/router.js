// Addresses of views: `#/?q=lamp` is the first screen, `#/device/ID` one device. The part after `#` never leaves the browser.

// Every view by the first word of its address. A module is read when somebody first goes there and exports `view(id)`, which answers
// { title, content }; those with `nav` stand in the navigation in this order, under the words `nav.NAME`.
export const VIEWS = {
  home: { nav: true, load: () => import("./views/home.js") },
  device: { under: "home", load: () => import("./views/device.js") },
  update: { under: "home", load: () => import("./views/update.js") },
  plan: { nav: true, load: () => import("./views/plan.js") },
  rollouts: { nav: true, load: () => import("./views/rollouts.js") },
  history: { nav: true, load: () => import("./views/history.js") },
  images: { nav: true, load: () => import("./views/images.js") },
  radios: { nav: true, load: () => import("./views/radios.js") },
  sources: { nav: true, load: () => import("./views/sources.js") },
  notices: { nav: true, load: () => import("./views/notices.js") },
  settings: { nav: true, load: () => import("./views/settings.js") },
};

export function here() {
  const [path, search] = location.hash.replace(/^#/, "").split("?");
  const [name, id] = path.split("/").filter(Boolean);
  const query = Object.fromEntries(new URLSearchParams(search || ""));
  return { name: Object.hasOwn(VIEWS, name || "") ? name : "home", id: decoded(id || ""), query };
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

// The address of a view, of one thing in it, with what its list is filtered by.
export function to(name, id = "", query = {}) {
  const path = name === "home" ? "" : name + (id && `/${encodeURIComponent(id)}`);
  const asked = new URLSearchParams(Object.entries(query).filter(([, value]) => value)).toString();
  return `#/${path}${asked && `?${asked}`}`;
}

export const toDevice = (id) => to("device", id);

// Change what the list is filtered by, without a new entry in the history of the tab.
export function filter(changes) {
  const { name, id, query } = here();
  history.replaceState(null, "", to(name, id, { ...query, ...changes }));
}
