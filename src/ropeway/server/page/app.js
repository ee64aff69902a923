// The page: which view an address means, the header, the keys, and signing in.

import { ahead, api, keep, may, me, onRefused, token } from "./api.js";
import { BASE, ago, el, exact, fill, inside, say, write } from "./dom.js";
import { awake, halt, restart, start } from "./live.js";

const named = (text) => {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
};

// Each view is loaded when it is first wanted. A view answers { at, stop }; `asks` of its module says what it will ask first.
const ROUTES = [
  [/^\/$/, "overview", (view) => view.overviewPage()],
  [/^\/queues$/, "queues", (view) => view.queueTable()],
  [/^\/queues\/([^/]+)$/, "queue", (view, name) => view.queuePage(name)],
  [/^\/jobs$/, "jobs", (view) => view.jobsPage()],
  [/^\/jobs\/([^/]+)$/, "job", (view, id) => view.jobPage(id)],
  [/^\/failures$/, "failures", (view) => view.failuresPage(new URLSearchParams(location.search))],
  [/^\/failures\/([^/]+)$/, "failures", (view, name) => view.failurePage(name)],
  [/^\/workers$/, "workers", (view) => view.workersPage()],
  [/^\/workers\/([^/]+)$/, "workers", (view, id) => view.workerPage(id, new URLSearchParams(location.search))],
  [/^\/schedules$/, "schedules", (view) => view.schedulesPage()],
  [/^\/schedules\/([^/]+)$/, "schedules", (view, name) => view.schedulePage(name)],
  [/^\/topics$/, "topics", (view) => view.topicsPage()],
  [/^\/topics\/([^/]+)$/, "topics", (view, name) => view.topicPage(name)],
  [/^\/put$/, "put", (view) => view.putPage(new URLSearchParams(location.search))],
  [/^\/about$/, "about", (view) => view.aboutPage()],
];

const main = document.getElementById("main");
let shown = { stop() {} };
let turn = 0;

function routed() {
  const path = location.pathname.slice(BASE.length) || "/";
  const route = ROUTES.find(([pattern]) => pattern.test(path));
  const words = route ? path.match(route[0]).slice(1).map(named) : [];
  return { route, words, path, load: route && (() => import(`./${route[1]}.js`)) };
}

async function show(focus = true) {
  const mine = ++turn;
  const { route, words, path, load } = routed();
  for (const link of document.querySelectorAll("header nav a")) {
    const to = link.pathname.slice(BASE.length) || "/";
    if (to === "/" ? path === "/" : path === to || path.startsWith(`${to}/`)) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  let view;
  try {
    view = route ? await load() : null;
  } catch {
    if (mine === turn) say("This part of the page could not be loaded; is the server still there? Reload the page to try again.");
    return;
  }
  if (mine !== turn) return; // another address was chosen meanwhile
  shown.stop();
  const made = route ? route[2](view, ...words) : { at: el("section", {}, el("h1", {}, "No such page"), el("p", {}, "There is nothing at this address. ", el("a", { href: "/" }, "To the overview"))), stop() {} };
  shown = made;
  main.replaceChildren(made.at);
  document.title = `${main.querySelector("h1")?.textContent ?? "ropeway"} - ropeway`;
  if (focus) main.focus({ preventScroll: true });
  if (focus) scrollTo(0, 0);
}

export function go(address, more = {}) {
  history[more.replace ? "replaceState" : "pushState"](null, "", inside(address));
  if (!more.keep) say("");
  show();
}

document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a");
  const plain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey;
  if (!link?.href || link.download || !plain || link.origin !== location.origin || link.pathname.startsWith(inside("/v1/")) || link.getAttribute("href").startsWith("#")) return;
  event.preventDefault();
  go(link.href);
});
document.addEventListener("submit", (event) => {
  if (!event.target.matches("#search, .filter")) return;
  event.preventDefault();
  const where = event.target.getAttribute("action") ?? "/jobs";
  const given = new URLSearchParams([...new FormData(event.target)].filter(([, value]) => value));
  go(String(given) ? `${where}?${given}` : where);
});
addEventListener("popstate", () => show());

const KEYS = { "/": "search", "g o": "overview", "g q": "queues", "g j": "jobs", "g f": "failures", "g w": "workers", "g s": "schedules", "g t": "topics", p: "pause, or go on", t: "theme", "?": "these keys" };
const PLACES = { o: "/", q: "/queues", j: "/jobs", f: "/failures", w: "/workers", s: "/schedules", t: "/topics" };

function help() {
  const box = el("dialog", { "aria-labelledby": "keys", onclose: () => box.remove() }, el("h2", { id: "keys" }, "Keys"), el("dl", { class: "keys" }, Object.entries(KEYS).map(([key, does]) => el("div", {}, el("dt", {}, key.split(" ").map((one) => el("kbd", {}, one))), el("dd", {}, does)))), el("p", {}, el("a", { href: "/about", onclick: () => box.close() }, "They can be switched off")), el("form", { method: "dialog" }, el("button", {}, "Close")));
  document.body.append(box);
  box.showModal();
}

let leader = "";
document.addEventListener("keydown", (event) => {
  const at = event.target;
  if (localStorage.getItem("keys") === "off" || at.matches?.("input, textarea, select") || event.metaKey || event.ctrlKey || event.altKey || document.querySelector("dialog[open]")) return;
  const after = leader;
  leader = event.key === "g" ? "g" : "";
  if (after === "g" && PLACES[event.key]) go(PLACES[event.key]);
  else if (event.key === "/") document.querySelector("#search input").focus();
  else if (event.key === "?") help();
  else if (event.key === "p") document.getElementById("live").click();
  else if (event.key === "t") document.getElementById("theme").click();
  else return;
  event.preventDefault();
});

const THEMES = ["", "light", "dark"];
export function theme(name) {
  if (THEMES.includes(name)) document.documentElement.dataset.theme = name;
  write(document.getElementById("theme"), `Theme: ${name || "system"}`);
}
document.getElementById("theme").addEventListener("click", () => {
  const next = THEMES[(THEMES.indexOf(document.documentElement.dataset.theme ?? "") + 1) % THEMES.length];
  localStorage.setItem("theme", next);
  theme(next);
  say(`Theme: ${next || "as the system"}.`);
});
theme(localStorage.getItem("theme") ?? "");

// Relative times stay true while one looks, and have the exact one at hand.
setInterval(() => {
  for (const at of document.querySelectorAll("main time")) {
    if (!at.title) at.title = exact(at.dateTime);
    if (awake()) write(at, ago(at.dateTime));
  }
}, 1000);

let asked = false;
async function signIn(why) {
  if (asked) return;
  asked = true;
  halt();
  shown.stop();
  const { signInForm } = await import("./signin.js");
  shown = { stop() {} };
  main.replaceChildren(signInForm(why, (value) => (keep(value), begin())));
  document.title = "Sign in - ropeway";
  main.querySelector("input").focus();
}

export function signOut() {
  keep("");
  signIn("You are signed out of this tab.");
}

// Who we are, then the view: nothing is asked before it is known that somebody may ask.
async function begin() {
  asked = false;
  document.body.classList.add("unknown");
  const { load, words } = routed();
  if (token()) load?.().then((view) => view.asks && ahead(view.asks(...words)), () => {}); // comes while the server says who we are
  try {
    Object.assign(me, await api("/v1/me"));
  } catch (error) {
    if (error.status !== 401) fill(main, el("section", {}, el("h1", {}, "ropeway"), el("p", { class: "error" }, error.message), el("button", { type: "button", onclick: begin }, "Try again")));
    return;
  }
  document.body.classList.remove("unknown");
  for (const link of document.querySelectorAll("header [data-role]")) link.hidden = !may(link.dataset.role);
  await show(false); // what one came for is asked first
  ahead(null);
  if (may("observe")) restart();
  else fill(document.getElementById("link"), "may not look");
}

onRefused(signIn);
start();
begin();
