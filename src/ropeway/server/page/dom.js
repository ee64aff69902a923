// Elements, made of text and of other elements. Nothing is ever parsed as HTML, so no name, body or error can become markup.

export function el(tag, given = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value === true ? "" : String(value));
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false).map(node));
  return made;
}

const node = (child) => (child instanceof Node ? child : document.createTextNode(String(child)));

export function svg(tag, given = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(given)) made.setAttribute(name, String(value));
  made.append(...children);
  return made;
}

// Change a text only where it differs: what does not change keeps its selection.
export function write(at, text) {
  const wanted = String(text);
  if (at.textContent !== wanted) at.textContent = wanted;
}

export const number = (value) => Number(value ?? 0).toLocaleString("en");

export function ago(iso) {
  if (!iso) return "";
  const away = (Date.now() - Date.parse(iso)) / 1000;
  const size = Math.abs(away);
  const text =
    size < 1 ? "now" : size < 90 ? `${Math.round(size)} s` : size < 5400 ? `${Math.round(size / 60)} min` : size < 172800 ? `${Math.round(size / 3600)} h` : `${Math.round(size / 86400)} d`;
  return text === "now" ? text : away < 0 ? `in ${text}` : `${text} ago`;
}

export const time = (iso) => (iso ? el("time", { datetime: iso, title: iso }, ago(iso)) : "");

export function say(text) {
  write(document.getElementById("said"), text);
}

// State has text and a sign beside its colour.
const SIGNS = { ready: "●", delayed: "◷", running: "▶", dead: "✕", done: "✓", open: "●", stopped: "■", "put stopped": "■", "claim stopped": "■" };
export const state = (name) => el("span", { class: `state ${name.replace(" ", "-")}` }, `${SIGNS[name] ?? "·"} ${name}`);

// How long it takes until two things were named: a button that asks once more before it does what cannot be undone.
export function asking(label, question, act) {
  const button = el("button", { type: "button", onclick: ask }, label);
  function ask() {
    const sure = el("span", { class: "asking" }, `${question} `, el("button", { type: "button", class: "grave", onclick: () => act().finally(back) }, label), " ", el("button", { type: "button", onclick: back }, "Keep"));
    function back() {
      sure.replaceWith(button);
      button.focus();
    }
    button.replaceWith(sure);
    sure.querySelector("button").focus();
  }
  return button;
}
