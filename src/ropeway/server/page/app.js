// The page: which part of it an address means, the header, and the keys.

import { el, say } from "./dom.js";
import { jobPage, jobsPage } from "./jobs.js";
import { start } from "./live.js";
import { putPage } from "./put.js";
import { queuePage, queueTable } from "./queues.js";
import { workersPage } from "./workers.js";

const ROUTES = [
  [/^\/(?:queues)?$/, () => queueTable()],
  [/^\/queues\/([^/]+)$/, (name) => queuePage(decodeURIComponent(name))],
  [/^\/jobs$/, () => jobsPage(new URLSearchParams(location.search))],
  [/^\/jobs\/([^/]+)$/, (id) => jobPage(decodeURIComponent(id))],
  [/^\/workers$/, () => workersPage()],
  [/^\/put$/, () => putPage()],
];

const main = document.getElementById("main");
let shown = { stop() {} };

function show(focus = true) {
  shown.stop();
  const route = ROUTES.find(([pattern]) => pattern.test(location.pathname));
  shown = route ? route[1](...location.pathname.match(route[0]).slice(1)) : { at: el("p", {}, "There is no such page."), stop() {} };
  main.replaceChildren(shown.at);
  document.title = `${main.querySelector("h1")?.textContent ?? "ropeway"} - ropeway`;
  for (const link of document.querySelectorAll("header nav a")) {
    if (location.pathname.startsWith(link.pathname)) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  if (focus) main.focus();
}

function go(address) {
  history.pushState(null, "", address);
  say("");
  show();
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("a");
  const plain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey;
  if (!link || !plain || link.origin !== location.origin || link.pathname.startsWith("/v1/") || link.getAttribute("href").startsWith("#")) return;
  event.preventDefault();
  go(link.href);
});
document.addEventListener("submit", (event) => {
  if (!event.target.matches("#search, .filter")) return;
  event.preventDefault();
  go(`/jobs?${new URLSearchParams([...new FormData(event.target)].filter(([, value]) => value))}`);
});
addEventListener("popstate", () => show());

let leader = "";
document.addEventListener("keydown", (event) => {
  if (event.target.matches("input, textarea, select") || event.metaKey || event.ctrlKey || event.altKey) return;
  const key = leader + event.key;
  leader = event.key === "g" ? "g" : "";
  if (key === "/") document.querySelector("#search input").focus();
  else if (key === "gq") go("/queues");
  else if (key === "gj") go("/jobs");
  else if (key === "gw") go("/workers");
  else if (key === "p") document.getElementById("live").click();
  else if (key === "t") document.getElementById("theme").click();
  else return;
  event.preventDefault();
});

const THEMES = ["", "light", "dark"];
function theme(name) {
  document.documentElement.dataset.theme = name;
}
document.getElementById("theme").addEventListener("click", () => {
  const next = THEMES[(THEMES.indexOf(document.documentElement.dataset.theme ?? "") + 1) % THEMES.length];
  localStorage.setItem("theme", next);
  theme(next);
  say(`Theme: ${next || "as the system"}.`);
});
theme(localStorage.getItem("theme") ?? "");

start();
show(false);
