// Elements, made of text and of other elements. Nothing is ever parsed as HTML, so no name, body or error can become markup.

// Where we are: "" at the root of a server, else the path under which an application has mounted us.
const here = new URL(import.meta.url).pathname;
export const BASE = here.slice(0, here.lastIndexOf("/page/"));
export const inside = (path) => (path.startsWith("/") ? BASE + path : path);

export function el(tag, given = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value === true ? "" : name === "href" ? inside(String(value)) : String(value));
  }
  return fill(made, ...children);
}

export function fill(at, ...children) {
  at.replaceChildren(...children.flat(3).filter((child) => child !== null && child !== undefined && child !== false).map(node));
  return at;
}

// What turns the direction of a text would turn ours around it too, and make a name look like another: it is shown as what it is.
export const straight = (text) => String(text).replace(/[\u202a-\u202e\u2066-\u2069]/g, (one) => `\\u${one.charCodeAt(0).toString(16)}`);

const node = (child) => (child instanceof Node ? child : document.createTextNode(straight(child)));

export function svg(tag, given = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(given)) made.setAttribute(name, String(value));
  made.append(...children);
  return made;
}

// Change a text only where it differs: what does not change keeps its selection.
export function write(at, text) {
  const wanted = straight(text);
  if (at.textContent !== wanted) at.textContent = wanted;
}

// By hand: the first use of Intl in a process makes the browser read its tables, which takes longer than the whole list of jobs.
export function number(value) {
  const [whole, part] = String(Math.round(Number(value ?? 0) * 1000) / 1000).split(".");
  return whole.replace(/\B(?=(\d{3})+$)/g, ",") + (part ? `.${part}` : "");
}
export const plural = (count, one, many = `${one}s`) => `${number(count)} ${Number(count) === 1 ? one : many}`;

export function bytes(value) {
  const steps = ["B", "KiB", "MiB", "GiB", "TiB"];
  let size = Number(value ?? 0);
  let step = 0;
  while (size >= 1024 && step < steps.length - 1) (size /= 1024, step++);
  return `${step && size < 10 ? size.toFixed(1) : Math.round(size)} ${steps[step]}`;
}

// Seconds as a person says them: 85 ms, 1.2 s, 3 min.
export function span(seconds) {
  if (seconds === null || seconds === undefined) return "";
  const size = Math.abs(seconds);
  if (size < 0.001) return size ? `${Math.round(size * 1e6)} µs` : "0 s";
  if (size < 1) return `${Math.round(size * 1000)} ms`;
  if (size < 10) return `${size.toFixed(1)} s`;
  if (size < 90) return `${Math.round(size)} s`;
  if (size < 5400) return `${Math.round(size / 60)} min`;
  return size < 172800 ? `${Math.round(size / 3600)} h` : `${Math.round(size / 86400)} d`;
}

export function rate(value) {
  if (!value) return "0/s";
  return value >= 10 ? `${number(Math.round(value))}/s` : value >= 0.1 ? `${value.toFixed(1)}/s` : value >= 1 / 60 ? `${(value * 60).toFixed(1)}/min` : value >= 1 / 3600 ? `${(value * 3600).toFixed(1)}/h` : `${(value * 86400).toFixed(1)}/d`;
}

const iso = (moment) => (typeof moment === "number" ? new Date(moment * 1000).toISOString() : moment);

export function ago(moment) {
  if (!moment) return "";
  const away = (Date.now() - Date.parse(iso(moment))) / 1000;
  if (Math.abs(away) < 1) return "now";
  return away < 0 ? `in ${span(-away)}` : `${span(away)} ago`;
}

// A moment, relative; app.js keeps it true, and adds the exact one.
export const time = (moment) => (moment ? el("time", { datetime: iso(moment) }, ago(moment)) : "");
export const exact = (moment) => `${new Date(moment).toLocaleString()} (${moment})`;

export function say(text) {
  const at = document.getElementById("said");
  fill(at, text ? [el("span", {}, text), el("button", { type: "button", "aria-label": "Dismiss", onclick: () => fill(at) }, "×")] : []);
}

export const STATES = ["ready", "running", "delayed", "dead", "done"];

// State has text and a sign beside its colour.
const SIGNS = { ready: "●", delayed: "◷", running: "▶", dead: "✕", done: "✓", open: "●", stopped: "■", "put stopped": "■", "claim stopped": "■", paused: "■", on: "●", busy: "▶", idle: "○", quiet: "◷", stopping: "◷" };
export const state = (name) => el("span", { class: `state ${String(name).replaceAll(" ", "-").replace(/[^a-z-]/g, "")}` }, `${SIGNS[name] ?? "·"} ${name}`);

// A button that asks once more before it does what cannot be undone. `typed`: a word that must be written first. `fit`: whether it can be asked yet.
export function asking(label, question, act, typed = "", fit = () => true) {
  const grave = /^(Cancel|Delete|Discard|Purge|Quiet|Stop)/.test(label) ? "grave" : null; // what takes something away
  const button = el("button", { type: "button", class: grave, onclick: ask }, label);
  function ask() {
    if (!fit()) return;
    const word = typed ? el("input", { type: "text", "aria-label": `Write ${typed} to confirm`, placeholder: typed, autocomplete: "off" }) : null;
    const yes = el("button", { type: "button", class: grave, onclick: () => act().finally(back) }, label);
    if (word) {
      yes.disabled = true;
      word.addEventListener("input", () => (yes.disabled = word.value !== typed));
    }
    const sure = el("span", { class: grave ? "asking grave" : "asking", role: "group", "aria-label": label, onkeydown: (event) => event.key === "Escape" && back() }, typeof question === "function" ? question() : question, " ", word, yes, " ", el("button", { type: "button", onclick: back }, "Keep"));
    function back() {
      if (!sure.isConnected) return;
      sure.replaceWith(button);
      button.focus();
    }
    button.replaceWith(sure);
    (word ?? yes).focus();
  }
  return button;
}

export const button = (label, act, given = {}) => el("button", { type: "button", onclick: act, ...given }, label);

export function copying(label, text, given = {}) {
  return button(label, async () => {
    try {
      await navigator.clipboard.writeText(typeof text === "function" ? text() : text);
      say(`Copied: ${label.replace(/^Copy /, "")}.`);
    } catch {
      say("The browser did not let us copy; select the text instead.");
    }
  }, given);
}

// A table in a place of its own that scrolls when it is too wide. Heads: text, or [text, class].
export function table(caption, heads, body, given = {}) {
  const row = heads.map((head) => {
    const [text, kind] = Array.isArray(head) ? head : [head, null];
    return text instanceof Node ? el("th", { scope: "col", class: kind }, text) : text ? el("th", { scope: "col", class: kind }, text) : el("td", { class: kind });
  });
  const made = el("table", given, el("caption", {}, caption), el("thead", {}, el("tr", {}, row)), body);
  return el("div", { class: "scroll", role: "region", "aria-label": caption, tabindex: 0 }, made);
}

export const facts = (pairs, kind = null) => el("dl", { class: kind }, pairs.filter(([, value]) => value !== undefined && value !== null && value !== "" && value !== false).map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))));

// What stands where there is nothing: why, and the one command that fills it.
export const empty = (text, command = "") => el("p", { class: "empty" }, text, command ? [" ", el("code", {}, command)] : null);

// Why something waits or is slow, and what unblocks it.
export const causeList = (causes) => el("ul", {}, causes.map((one) => el("li", {}, one.text, one.unblock ? [" ", el("span", { class: "unblock" }, one.unblock)] : null)));

// Rows by their keys, patched in place: nothing flashes, selection, focus and scroll stay.
export function keyed(body, make) {
  const rows = new Map();
  return {
    rows,
    draw(list, key) {
      const wanted = new Set(list.map(key));
      for (const [name, row] of rows) if (!wanted.has(name)) (row.at.remove(), rows.delete(name));
      list.forEach((one, place) => {
        const name = key(one);
        let row = rows.get(name);
        if (!row) rows.set(name, (row = make(one)));
        if (body.children[place] !== row.at) body.insertBefore(row.at, body.children[place] ?? null);
        row.draw(one);
      });
    },
  };
}
