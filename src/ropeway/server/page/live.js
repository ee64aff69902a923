// How the queues stand, by server-sent events: one stream for the page, closed while it is hidden or paused.

import { write } from "./dom.js";

const KEPT = 60; // seconds of the sparkline

export const queues = new Map(); // name -> row
export const past = new Map(); // name -> what waited, second by second
const listeners = new Set();
let source = null;
let paused = false;

export function onChange(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

function told(event) {
  const change = JSON.parse(event.data);
  if (event.type === "snapshot") queues.clear();
  for (const row of change.queues) queues.set(row.queue, row);
  for (const name of change.gone) queues.delete(name);
  for (const [name, row] of queues) {
    const line = past.get(name) ?? [];
    line.push(row.ready + row.delayed);
    past.set(name, line.slice(-KEPT));
  }
  link(change.failure ? "store lost" : "live");
  for (const listener of listeners) listener();
}

function link(text) {
  const at = document.getElementById("link");
  at.className = `link ${text.replace(" ", "-")}`;
  write(at, text);
}

function open() {
  if (source || paused || document.hidden) return;
  source = new EventSource("/v1/events");
  source.addEventListener("snapshot", told);
  source.addEventListener("change", told);
  source.onerror = () => link("lost");
}

function close() {
  source?.close();
  source = null;
}

export function start() {
  const button = document.getElementById("live");
  button.addEventListener("click", () => {
    paused = !paused;
    button.setAttribute("aria-pressed", String(paused));
    write(button, paused ? "Go on" : "Pause");
    if (paused) {
      close();
      link("paused");
    } else open();
  });
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  open();
}
