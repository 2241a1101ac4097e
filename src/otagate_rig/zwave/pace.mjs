// Loaded before the driver: its longest waits pass OTAGATE_RIG_PACE times faster, and nothing else does.
//
// Scaled are, by their exact length: two minutes for a fragment request, five for the end, one for a late answer to a request, and the wait after an
// update of nodes that announce two seconds (zwave-js adds five). Every other timer is the driver's own.

const pace = Number(process.env.OTAGATE_RIG_PACE ?? "1");
const scaled = new Set([7_000, 60_000, 120_000, 300_000]);
const original = globalThis.setTimeout;

if (pace > 1) {
    globalThis.setTimeout = Object.assign((callback, delay, ...rest) => original(callback, scaled.has(delay) ? delay / pace : delay, ...rest), original);
}
