// The table of queues, and one queue: numbers that change in place, a line of the last minute, the switches.

import { api } from "./api.js";
import { ago, asking, el, number, say, state, svg, write } from "./dom.js";
import { jobList } from "./jobs.js";
import { onChange, past, queues } from "./live.js";

const STATES = ["ready", "running", "delayed", "dead", "done"];

export function queueTable() {
  const body = el("tbody");
  const rows = new Map();
  const filter = el("input", { type: "search", "aria-label": "Filter queues", placeholder: "Filter queues", oninput: draw });
  const empty = el("p", { class: "empty", hidden: true }, "No queue yet. Put a first job: ", el("code", {}, "ropeway put mails 'welcome 42'"));
  const table = el(
    "table",
    { class: "queues" },
    el("caption", {}, "Queues"),
    el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "Queue"), el("th", { scope: "col" }, "State"), STATES.map((name) => el("th", { scope: "col", class: "number" }, name)), el("th", { scope: "col" }, "oldest"), el("th", { scope: "col" }, "last minute"))),
    body,
  );

  function draw() {
    const wanted = [...queues.keys()].filter((name) => name.includes(filter.value)).sort();
    for (const [name, row] of rows) if (!wanted.includes(name)) (row.at.remove(), rows.delete(name));
    wanted.forEach((name, place) => {
      const row = rows.get(name) ?? made(name);
      rows.set(name, row);
      if (body.children[place] !== row.at) body.insertBefore(row.at, body.children[place] ?? null);
      row.draw(queues.get(name), past.get(name) ?? []);
    });
    empty.hidden = queues.size > 0;
    table.hidden = queues.size === 0;
  }

  const stop = onChange(draw);
  draw();
  return { at: el("section", {}, el("h1", {}, "Queues"), filter, table, empty), stop };
}

function made(name) {
  const cells = STATES.map((one) => el("td", { class: `number ${one}` }));
  const switched = el("td");
  const oldest = el("td");
  const line = el("td", { class: "line" });
  const at = el("tr", { "data-queue": name }, el("th", { scope: "row" }, el("a", { href: `/queues/${encodeURIComponent(name)}` }, name)), switched, cells, oldest, line);
  let shown = "";
  return {
    at,
    draw(row, values) {
      STATES.forEach((one, place) => write(cells[place], (row.exact === false ? "~" : "") + number(row[one])));
      cells[STATES.indexOf("dead")].classList.toggle("some", row.dead > 0);
      if (shown !== row.state) switched.replaceChildren(state((shown = row.state)));
      write(oldest, ago(row.oldest).replace(" ago", ""));
      line.replaceChildren(spark(values));
    },
  };
}

export function spark(values) {
  const most = Math.max(1, ...values);
  const points = values.map((value, place) => `${(place * 120) / 59},${19 - (value * 18) / most}`).join(" ");
  return svg("svg", { viewBox: "0 0 120 20", class: "spark", role: "img", "aria-label": `waiting: now ${values.at(-1) ?? 0}, at most ${Math.max(0, ...values)} in the last minute` }, svg("polyline", { points }));
}

export function queuePage(name) {
  const where = `/v1/queues/${encodeURIComponent(name)}`;
  const numbers = el("dl", { class: "numbers" });
  const reason = el("input", { type: "text", "aria-label": "Reason", placeholder: "Reason, shown to whoever is refused", maxlength: 200 });
  const switched = el("p");
  const jobs = jobList({ queue: name });

  async function act(what, path, body) {
    try {
      const done = await api(path, body);
      say(done?.count === undefined ? `${what}: done.` : `${what}: ${number(done.count)} jobs.`);
      jobs.refresh();
    } catch (error) {
      say(error.message);
    }
  }

  function draw() {
    const row = queues.get(name);
    if (!row) return;
    numbers.replaceChildren(...STATES.map((one) => el("div", {}, el("dt", {}, one), el("dd", { class: row[one] ? `${one} some` : one }, number(row[one])))));
    const why = row.claim_stopped ?? row.put_stopped;
    switched.replaceChildren(state(row.state), why === null || why === undefined ? "" : ` ${why || "no reason given"}`);
  }

  const stop = onChange(draw);
  draw();
  const at = el(
    "section",
    {},
    el("h1", {}, name),
    switched,
    numbers,
    el(
      "div",
      { class: "actions" },
      reason,
      el("button", { type: "button", onclick: () => act("Pause", `${where}/pause`, { claim: true, reason: reason.value }) }, "Pause"),
      el("button", { type: "button", onclick: () => act("Resume", `${where}/resume`, {}) }, "Resume"),
      el("button", { type: "button", onclick: () => act("Requeue the dead", "/v1/jobs/requeue", { queue: name, state: "dead" }) }, "Requeue the dead"),
      asking("Purge", `Remove every job of ${name} that is not running?`, () => act("Purge", `${where}/purge`, {})),
    ),
    jobs.at,
  );
  return { at, stop };
}
