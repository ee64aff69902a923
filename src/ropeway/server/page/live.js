// How the queues stand: one stream for the page, closed while it is hidden or paused; and what else is asked for again and again.

import { api, events } from "./api.js";
import { el, fill, say, write } from "./dom.js";

const KEPT = 60; // seconds of the sparkline
const POLL = 2000; // milliseconds between two questions where the stream does not come through
const QUIET = 5000; // milliseconds without a word after which it does not

export const queues = new Map(); // name -> row
export const past = new Map(); // name -> what waited, second by second
export const ready = { seen: false }; // whether the queues are known at all
const listeners = new Set();
const tickers = new Set();
let end = null;
let poll = null;
let paused = false;
let heard = 0;
let shown = "";

export const awake = () => !paused && !document.hidden;

export function onChange(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

// Do it now, even when paused, then again each so many milliseconds, but never while the page is hidden or paused. Answers the function that ends it.
export function ticking(act, each) {
  const one = { act, busy: false };
  one.run = async () => {
    if (one.busy || !awake()) return;
    one.busy = true;
    await act().catch((error) => error.status !== 401 && say(error.message));
    one.busy = false;
  };
  one.timer = setInterval(one.run, each);
  tickers.add(one);
  if (!document.hidden) act().catch((error) => error.status !== 401 && say(error.message)); // else once somebody looks
  return () => (clearInterval(one.timer), tickers.delete(one));
}

function told(type, text) {
  const change = JSON.parse(text);
  if (type === "snapshot") queues.clear();
  for (const row of change.queues) queues.set(row.queue, row);
  for (const name of change.gone) queues.delete(name);
  tell(change.failure ? "store lost" : "live");
}

function tell(how) {
  heard = Date.now();
  ready.seen = true;
  for (const [name, row] of queues) past.set(name, [...(past.get(name) ?? []), row.ready + row.delayed].slice(-KEPT));
  link(how);
  for (const listener of listeners) listener();
}

const WORDS = { connecting: "connecting", live: "live", polling: "live, each 2 s", paused: "paused", lost: "connection lost, trying again", "store lost": "the store does not answer" };

function link(how) {
  if (how === shown) return;
  if (how === "lost") say("The connection to the server is lost; what stands here is how it was. Trying again.");
  else if (shown === "lost" && how === "live") say("The connection is back.");
  shown = how;
  const at = document.getElementById("link");
  at.className = `link ${how.replace(" ", "-")}`;
  at.title = WORDS[how] ?? how;
  write(at, how);
}

// Some proxies hold a stream back. Then it is asked for instead, until the stream speaks.
function watch() {
  if (!end || Date.now() - heard < QUIET || shown === "lost") return;
  api("/v1/queues").then((answer) => {
    if (!end) return;
    queues.clear();
    for (const row of answer.queues) queues.set(row.queue, row);
    const before = heard;
    tell("polling");
    heard = before;
  }, () => {});
}

function open() {
  if (end || !awake()) return;
  heard = Date.now();
  end = events("/v1/events", told, (how) => how === "lost" && link("lost"));
  poll = setInterval(watch, POLL);
}

function close() {
  end?.();
  clearInterval(poll);
  end = null;
}

function again() {
  if (!awake()) return close();
  open();
  for (const one of tickers) one.run();
}

export function start() {
  const at = document.getElementById("live");
  at.addEventListener("click", () => {
    paused = !paused;
    at.setAttribute("aria-pressed", String(paused));
    write(at, paused ? "Go on" : "Pause");
    link(paused ? "paused" : "connecting");
    again();
  });
  document.addEventListener("visibilitychange", again);
}

// Where jobs shall go: a field that offers the queues that are known.
let fields = 0;
export function queueField(label) {
  const list = el("datalist", { id: `queues-${++fields}` });
  const offer = () => fill(list, [...queues.keys()].sort().map((name) => el("option", { value: name })));
  return { at: [el("input", { type: "text", list: list.id, "aria-label": label, placeholder: "other queue", autocomplete: "off", onfocus: offer }), list], get value() { return this.at[0].value.trim(); }, focus() { this.at[0].focus(); } };
}

// With a token that was just given, or after one was taken away.
export function restart() {
  close();
  queues.clear();
  past.clear();
  open();
}

export const halt = close;
