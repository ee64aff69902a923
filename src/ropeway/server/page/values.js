// Values to look at: JSON that folds, text as it is; all of it text, whatever is in it.

import { button, bytes, copying, el, empty, number, plural, span, straight, table, time } from "./dom.js";

const FEW = 100; // members that are shown at once
const LONG = 4000; // characters of a text that are

function leaf(value) {
  const kind = value === null ? "null" : typeof value;
  const text = kind === "string" ? JSON.stringify(value) : String(value);
  if (text.length <= LONG) return el("span", { class: `json ${kind}` }, text);
  const rest = el("span", { class: `json ${kind}` }, text.slice(0, LONG));
  const all = button(`… ${number(text.length)} characters: show all`, () => (rest.append(straight(text.slice(LONG))), all.remove()), { class: "small" });
  return el("span", {}, rest, all);
}

function branch(name, value, deep) {
  const list = Array.isArray(value);
  const members = Object.entries(value);
  const label = [name, el("span", { class: "soft" }, list ? ` [ ${plural(members.length, "item")} ]` : ` { ${plural(members.length, "field")} }`)];
  if (!members.length) return el("div", {}, name, el("span", { class: "soft" }, list ? "[]" : "{}"));
  const inside = el("div", { class: "inside" });
  let from = 0;
  function grow() {
    inside.lastElementChild?.matches("button") && inside.lastElementChild.remove();
    for (const [key, one] of members.slice(from, from + FEW)) inside.append(line(list ? null : key, one, deep + 1));
    from += FEW;
    if (from < members.length) inside.append(button(`${number(members.length - from)} more`, grow, { class: "small" }));
  }
  const at = el("details", { open: deep < 2, ontoggle: () => at.open && !from && grow() }, el("summary", {}, label), inside);
  if (deep < 2) grow();
  return at;
}

function line(key, value, deep) {
  const name = key === null ? null : el("span", { class: "json name" }, `${JSON.stringify(key)}: `);
  return value !== null && typeof value === "object" ? branch(name, value, deep) : el("div", {}, name, leaf(value));
}

export const json = (value) => el("div", { class: "value" }, line(null, value, 0));

// A body or a result: parsed where it is JSON and says so, with a way to see it raw.
export function viewer(raw, name, type = "") {
  let parsed;
  if (typeof raw !== "string") parsed = raw;
  else if (/json|^$/.test(type) || /^\s*[[{]/.test(raw)) {
    try {
      parsed = JSON.parse(raw);
    } catch {
      // text, then
    }
  }
  const text = typeof raw === "string" ? raw : JSON.stringify(raw, null, 2);
  const plain = el("pre", { class: "body", tabindex: 0, "aria-label": name }, parsed === undefined ? text : JSON.stringify(parsed, null, 2));
  if (parsed === undefined || parsed === null || typeof parsed !== "object") return plain;
  const tree = json(parsed);
  plain.hidden = true;
  const turn = button("Show as text", () => {
    plain.hidden = !plain.hidden;
    tree.hidden = !plain.hidden;
    turn.setAttribute("aria-pressed", String(!plain.hidden));
  }, { "aria-pressed": "false", class: "small" });
  return el("div", { class: "body" }, el("div", { class: "actions" }, turn, copying("Copy as JSON", plain.textContent, { class: "small" })), tree, plain);
}

// For a shell: in single quotes nothing means anything.
export const quoted = (text) => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);

// Where a thread or a task stands: what it does in one line, and its stack for who wants to see it.
const opened = new Set();
function stack(one) {
  const at = el("details", { class: "stack", "data-stack": one.name, open: opened.has(one.name), ontoggle: () => opened[at.open ? "add" : "delete"](one.name) }, el("summary", {}, el("strong", {}, one.name), " ", one.doing.text, one.cpu ? el("span", { class: "soft" }, ` ${span(one.cpu)} of CPU`) : null), listed(one.frames, one.name));
  return at;
}

// What a process tells of itself, each part in the shape that suits it: lines as text, frames as a stack, alike objects as a table, names
// with values as a list.
export function told(value, name) {
  if (value === null || typeof value !== "object") return typeof value === "string" ? pre(value, name) : el("p", {}, shown(name, value));
  if (Array.isArray(value)) return listed(value, name);
  const does = value.doing?.text ? value.doing : null;
  const entries = Object.entries(value).filter(([key]) => !does || key !== "doing");
  if (!entries.length) return empty("Nothing.");
  const simple = ([, part]) => part === null || (typeof part === "object" ? short(part) : !String(part).includes("\n"));
  const plain = entries.filter(simple);
  return el(
    "div",
    {},
    does ? el("p", {}, el("strong", {}, does.text), does.function ? el("span", { class: "soft" }, ` in ${does.function}, ${does.file}:${does.line}`) : null) : null,
    plain.length ? el("dl", {}, plain.map(([key, part]) => el("div", {}, el("dt", {}, key.replaceAll("_", " ")), el("dd", {}, typeof part === "object" && part ? part.join(" ") : shown(key, part))))) : null,
    entries.filter((one) => !simple(one)).map(([key, part]) => el("div", {}, el("h3", {}, key.replaceAll("_", " ")), told(part, key))),
  );
}

const pre = (text, name) => el("pre", { tabindex: 0, "aria-label": name }, text);
const isShort = (text) => typeof text === "string" && text.length < 200 && !text.includes("\n");
const short = (part) => Array.isArray(part) && part.length > 0 && part.length < 30 && part.every(isShort) && part.join(" ").length < 300;
const isFlat = (one) => one !== null && typeof one === "object" && !Array.isArray(one) && Object.values(one).every((part) => part === null || typeof part !== "object");

function listed(value, name) {
  if (!value.length) return empty("Nothing.");
  if (value.every((one) => typeof one === "string")) return pre(value.join("\n"), name);
  if (value.every((one) => one?.function !== undefined && one.line !== undefined)) return pre(value.map((one) => `${one.function}, ${one.file}:${one.line}${one.code ? `\n    ${one.code}` : ""}`).join("\n"), name);
  if (value.every((one) => one?.frames && one.doing?.text)) return el("div", {}, value.map(stack));
  if (value.every(isFlat)) {
    const heads = [...new Set(value.flatMap(Object.keys))];
    return table(name, heads.map((head) => head.replaceAll("_", " ")), el("tbody", {}, value.map((one) => el("tr", {}, heads.map((head) => el("td", { class: "lines" }, shown(head, one[head] ?? "")))))));
  }
  return el("div", {}, value.map((one, place) => el("div", { class: "card" }, told(one, one?.name ?? `${name} ${place + 1}`))));
}

// Moments, spans and sizes as people read them, by what they are called.
function shown(key, value) {
  if (value === null || value === undefined) return "-";
  if (typeof value !== "number") return String(value);
  if (/^(at|started|since|ended|created|seen|time)$/.test(key) && value > 1e9) return time(value);
  if (/^(uptime|seconds|cpu|user|system|children|lease_left|idle|wait|elapsed)$/.test(key)) return span(value);
  if (/^(virtual|peak|resident|swapped|memory|rss|bytes)$/.test(key)) return bytes(value);
  return Number.isInteger(value) ? String(value) : value.toFixed(3);
}
