// About: the store, this server, this token, and the settings of this browser.

import { api, may, me, token } from "./api.js";
import { signOut, theme } from "./app.js";
import { button, bytes, el, empty, facts, fill, inside, say, span, table, time } from "./dom.js";
import { ticking } from "./live.js";

export function aboutPage() {
  const store = el("div", {}, el("p", {}, "…"));
  const health = el("p");

  async function draw() {
    record();
    const [fine, said] = await fetch(inside("/readyz")).then(async (answer) => [answer.ok, await answer.text()], () => [false, "the server does not answer"]);
    fill(health, el("span", { class: `state ${fine ? "open" : "dead"}` }, fine ? "✓ The store answers" : `✕ ${said.trim().slice(0, 300)}`));
    let known;
    try {
      known = await api("/v1/about");
    } catch (error) {
      fill(store, empty(error.message));
      return;
    }
    fill(store, facts([["store", el("code", {}, known.url)], ["an answered put survives", { "-": "nothing: it is in memory", P: "the death of any process", K: "a crash of the machine", R: "the loss of a machine" }[known.durability] ?? known.durability], ["largest body", known.max_body ? bytes(known.max_body) : "no limit"], ["can do", known.features.join(", ")], ["paused", known.paused === null ? "" : known.paused || "no reason given"]]), el("h2", {}, "Server"), facts([["ropeway", known.version], ["python", known.python], ["system", known.system], ["host", known.host], ["pid", String(known.pid)], ["runs for", span(known.uptime)], ["read only", known.read_only ? "yes: nothing can be changed here" : "no"]]));
  }

  async function record() {
    try {
      const found = (await api("/v1/audit")).acts;
      fill(acts, found.length ? table("What operators did last", ["When", "Who", "What", ["Answer", "number"], "Which", "From"], el("tbody", {}, found.slice(0, 50).map((one) => el("tr", {}, el("td", {}, time(one.at)), el("td", {}, one.who), el("th", { scope: "row" }, `${one.method} ${one.path}`), el("td", { class: "number" }, String(one.status)), el("td", { class: "cut" }, Object.entries(one.which ?? {}).map(([name, value]) => `${name} ${value}`).join(", ")), el("td", {}, one.address))))) : empty("Nothing yet since this server began."));
    } catch (error) {
      fill(acts, empty(error.message));
    }
  }

  const acts = el("div");
  const keys = el("input", { type: "checkbox", checked: localStorage.getItem("keys") !== "off", onchange: () => (localStorage.setItem("keys", keys.checked ? "on" : "off"), say(keys.checked ? "The keys are on." : "The keys are off.")) });
  const themes = el("select", { onchange: () => (localStorage.setItem("theme", themes.value), theme(themes.value)) }, [["", "as the system"], ["light", "light"], ["dark", "dark"]].map(([value, text]) => el("option", { value, selected: (localStorage.getItem("theme") ?? "") === value }, text)));
  return {
    at: el(
      "section",
      {},
      el("h1", {}, "About"),
      health,
      el("h2", {}, "Store"),
      store,
      el("h2", {}, "This token"),
      facts([["name", me.name], ...["observe", "operate", "produce", "consume"].map((role) => [`may ${role}`, me.roles[role]?.join(" ") ?? "nothing"])]),
      token() ? button("Sign out", signOut) : null,
      may("operate") ? [el("h2", {}, "What operators did last"), acts] : null,
      el("h2", {}, "This browser"),
      el("div", { class: "actions" }, el("label", { class: "beside" }, keys, "keys such as g q; ? shows them"), el("label", { class: "beside" }, "Theme", themes)),
      el("h2", {}, "For programs"),
      el("ul", {}, [["/openapi.json", "all routes"], ["/metrics", "Prometheus"], ["/stats.txt", "plain lines"], ["/healthz", "health"]].map(([where, what]) => el("li", {}, el("code", {}, where), ` ${what}`))),
    ),
    stop: ticking(draw, 10000),
  };
}
