// One queue: its numbers, who takes from it, its limits and switches, its history and its jobs.

import { api, may } from "./api.js";
import { historyCharts } from "./charts.js";
import { STATES, asking, button, causeList, el, empty, fill, number, plural, say, state, time, write } from "./dom.js";
import { jobList, listed } from "./jobs.js";
import { onChange, queues, ready, ticking } from "./live.js";

const FINE = ["empty", "all-delayed", "catching-up", "keeping-up", "no-queue"]; // of the codes of the guide

export const asks = (name) => listed({ queue: name });

export function queuePage(name) {
  const where = `/v1/queues/${encodeURIComponent(name)}`;
  const cells = new Map();
  const numbers = el("dl", { class: "numbers" }, STATES.map((one) => {
    const value = el("dd");
    cells.set(one, value);
    return el("div", {}, el("dt", {}, el("a", { href: `/jobs?queue=${encodeURIComponent(name)}&state=${one}` }, one)), value);
  }));
  const oldest = el("dd");
  numbers.append(el("div", {}, el("dt", {}, "oldest waiting"), oldest));
  const switched = el("p");
  const gone = el("p", { class: "empty", hidden: true }, "There is no such queue now. It is made by the first put: ", el("code", {}, `ropeway put ${name} 'welcome 42'`));
  const reason = el("input", { type: "text", "aria-label": "Reason", placeholder: "Reason, shown to whoever is refused", maxlength: 200 });
  const takers = el("div");
  const why = el("section", { "aria-label": "Why", class: "why" });
  const running = el("input", { type: "number", min: 0, max: 1000000, "aria-label": "At once, 0: any number" });
  const lane = el("input", { type: "number", min: 1, max: 1000000, "aria-label": "Of each lane" });
  const jobs = jobList({ queue: name }, { all: true });
  const charts = historyCharts({ queue: name }, jobs.stands);
  let since = "";
  let limited = "";
  let shown = "";

  async function act(what, path, body) {
    try {
      const done = await api(path, body);
      say(done?.count === undefined ? `${what}: done.` : `${what}: ${plural(done.count, "job")}.`);
      jobs.refresh();
    } catch (error) {
      say(error.message);
    }
  }

  function draw() {
    const row = queues.get(name);
    gone.hidden = !ready.seen || Boolean(row);
    if (!row) return;
    for (const one of STATES) {
      write(cells.get(one), (row.exact === false ? "~" : "") + number(row[one]));
      cells.get(one).className = row[one] ? `${one} some` : one;
    }
    if (since !== row.oldest) fill(oldest, time((since = row.oldest)) || "-");
    const why = row.claim_stopped ?? row.put_stopped;
    const now = `${row.state} ${why ?? ""}`;
    if (now !== shown) fill(switched, state(row.state), why === null || why === undefined ? "" : ` ${why || "no reason given"}`);
    shown = now;
    const limits = `${row.limits?.running ?? 0} ${row.limits?.lane ?? 1}`;
    if (limits !== limited) [running.value, lane.value] = (limited = limits).split(" ");
  }

  async function look() {
    const { workers } = await api("/v1/workers");
    const here = workers.filter((one) => one.queues?.includes(name));
    fill(takers, here.length ? el("ul", {}, here.map((one) => el("li", {}, el("a", { href: `/workers/${encodeURIComponent(one.id)}` }, one.id), " ", state(one.state), ` ${number(one.running)} of ${number(one.slots)} slots, ${one.pool}`))) : empty("No worker of the fleet takes from here. Start one:", `ropeway work ${name} -- COMMAND`));
  }

  let explained = "";
  async function explain() {
    const { causes } = await api(`${where}/why`);
    const now = JSON.stringify(causes);
    const fine = causes.every((one) => FINE.includes(one.code));
    if (now !== explained) fill(why, causes.length ? [el("h2", {}, fine ? "How it goes" : "What holds it up"), causeList(causes)] : null);
    explained = now;
  }

  const once = (act) => () => jobs.stands.then(act); // what one came for is asked first
  const stops = [onChange(draw), ticking(once(explain), 5000), ticking(once(look), 5000), charts.stop, jobs.stop];
  draw();
  const operates = may("operate", name);
  const at = el(
    "section",
    {},
    el("h1", {}, name),
    switched,
    gone,
    numbers,
    operates
      ? el(
          "div",
          { class: "actions" },
          reason,
          button("Pause", () => act("Pause", `${where}/pause`, { claim: true, reason: reason.value })),
          button("Refuse puts", () => act("Refuse puts", `${where}/pause`, { put: true, reason: reason.value })),
          button("Resume", () => act("Resume", `${where}/resume`, {})),
          asking("Requeue the dead", () => `Make ${plural(queues.get(name)?.dead ?? 0, "dead job")} ready now?`, () => act("Requeue the dead", "/v1/jobs/requeue", { queue: name, state: "dead" })),
          asking("Purge", () => `Remove every job of ${name} that is not running, ${number(STATES.reduce((all, one) => all + (one === "running" ? 0 : (queues.get(name)?.[one] ?? 0)), 0))} now? Write its name: `, () => act("Purge", `${where}/purge`, {}), name),
        )
      : null,
    operates
      ? el(
          "form",
          {
            class: "actions limits",
            onsubmit: (event) => {
              event.preventDefault();
              act("Limits", `${where}/limits`, { running: Number(running.value), lane: Number(lane.value) });
            },
          },
          el("label", {}, "At once, 0: any number", running),
          el("label", {}, "Of each lane", lane),
          el("button", {}, "Set limits"),
        )
      : null,
    may("produce", name) ? el("p", {}, el("a", { href: `/put?queue=${encodeURIComponent(name)}` }, "Put a job here")) : null,
    why,
    charts.at,
    el("h2", {}, "Workers"),
    takers,
    el("h2", {}, "Jobs"),
    jobs.at,
  );
  return { at, stop: () => stops.forEach((one) => one()) };
}

