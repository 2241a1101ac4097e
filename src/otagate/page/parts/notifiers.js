// Who is told what happens. The hub's stream says nothing of them, so they are read again now and then by whoever shows them.

import { reading } from "../readings.js";

const EVERY = 15000;
let tested = 0;

export const notifiers = () => reading("notifiers", { every: EVERY, made_of: tested });

// Have them read again: one was tried.
export const again = () => {
  tested += 1;
};
