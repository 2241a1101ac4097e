// The hub's event stream, read by fetch (an EventSource cannot carry a token), resumed after the last number, with a growing pause between tries.

import { Problem, send } from "./api.js";

const QUIET = 40000; // the hub says something every 15 s
const PAUSES = [500, 1000, 2000, 4000, 8000, 15000];

// `news(type, data, id)` per event after number `last`; `state({ open, heard })` when the line opens, breaks, or is heard of. Ends when `signal` is
// aborted.
export async function follow({ last, news, state, refused, signal }) {
  let failures = 0;
  while (!signal.aborted) {
    const line = new AbortController();
    const stop = () => line.abort();
    signal.addEventListener("abort", stop);
    let watch = setTimeout(stop, QUIET);
    try {
      const headers = { Accept: "text/event-stream", "Last-Event-ID": last };
      const response = await send("GET", "/api/v1/events", { headers, signal: line.signal });
      failures = 0;
      state({ open: true });
      for await (const event of events(response.body)) {
        clearTimeout(watch);
        watch = setTimeout(stop, QUIET);
        state({ open: true, heard: true });
        if (!event.data) continue;
        if (event.id) last = event.id;
        news(event.type, JSON.parse(event.data), event.id);
      }
    } catch (error) {
      if (error instanceof Problem && (error.status === 401 || error.status === 403)) return refused(error);
    } finally {
      clearTimeout(watch);
      signal.removeEventListener("abort", stop);
    }
    if (signal.aborted) return;
    state({ open: false });
    await pause(PAUSES[Math.min(failures++, PAUSES.length - 1)] * (0.8 + 0.4 * Math.random()), signal);
  }
}

function pause(milliseconds, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(done, milliseconds);
    function done() {
      clearTimeout(timer);
      window.removeEventListener("online", done);
      signal.removeEventListener("abort", done);
      resolve();
    }
    window.addEventListener("online", done);
    signal.addEventListener("abort", done);
  });
}

async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    rest += value;
    const blocks = rest.split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) yield parse(block);
  }
}

function parse(block) {
  const event = { type: "message", id: null, data: "" };
  for (const line of block.split("\n")) {
    const at = line.indexOf(":");
    const [name, value] = [line.slice(0, at), line.slice(at + 1).replace(/^ /, "")];
    if (name === "event") event.type = value;
    else if (name === "id") event.id = value;
    else if (name === "data") event.data += value;
  }
  return event;
}
