// Lists of jobs. What the address says is what is shown, so it can be kept and sent.

import { api, may } from "./api.js";
import { STATES, asking, button, el, empty, fill, number, plural, say, state, table, time, write } from "./dom.js";
import { queueField, ticking } from "./live.js";

const FIELDS = ["queue", "state", "task", "key", "lane", "error", "q"];
const LABELS = { q: "text" };
const PAGE = 50;
const BATCH = 1000; // jobs in one request
const WAITING = ["ready", "delayed"];
const ALL = {
  Requeue: { path: "/v1/jobs/requeue", states: ["dead", "done", "delayed"] },
  Cancel: { path: "/v1/jobs/cancel", states: [...WAITING, "running"] },
  Delete: { path: "/v1/jobs/delete", states: [...WAITING, "dead", "done"] },
  Move: { path: "/v1/jobs/move", states: [...WAITING, "dead"] },
};
const MOST = 200; // rows that one looks at; beyond them, a filter serves better

const asQuery = (given, more = {}) => new URLSearchParams(Object.entries({ ...given, ...more }).filter(([, value]) => value));
const fromAddress = () => Object.fromEntries(FIELDS.map((name) => [name, new URLSearchParams(location.search).get(name) ?? ""]));
export const listed = (given, more = {}) => `/v1/jobs?${asQuery(given, { ...more, limit: String(PAGE) })}`;
export const asks = () => listed(fromAddress());

// `all`: offer what can be done to all that fit, with their number named first.
export function jobList(given, { all = false } = {}) {
  const chosen = new Map();
  const rows = new Map(); // id -> row, in the order in which they stand
  const body = el("tbody");
  const more = button("More", () => load(true), { hidden: true });
  const none = el("div", { hidden: true }, empty(given.queue || given.q ? "No job fits." : "No job fits. Put a first one:", given.queue || given.q ? "" : "ropeway put mails 'welcome 42'"));
  const chip = button("", () => load(), { class: "chip", hidden: true });
  const acts = el("div", { class: "actions", hidden: true });
  const every = el("div", { class: "actions" });
  const head = el("input", { type: "checkbox", "aria-label": "Choose all that are shown", onchange: () => pickAll(head.checked) });
  let after = null;
  let totals = null;

  async function load(on = false) {
    let page;
    try {
      page = await api(listed(given, { after: on ? after : "" }));
    } catch (error) {
      say(error.message);
      return;
    }
    if (!on) {
      for (const row of rows.values()) row.at.remove();
      rows.clear();
      chosen.clear();
      choose();
    }
    chip.hidden = true;
    after = page.after;
    more.hidden = !after || rows.size >= MOST;
    for (const job of page.jobs) if (!rows.has(job.id)) add(job);
    none.hidden = rows.size > 0;
    at.hidden = rows.size === 0;
    if (!on) count().catch((error) => error.status !== 401 && say(error.message));
  }

  function add(job) {
    const row = made(job, (picked) => (picked ? chosen.set(job.id, true) : chosen.delete(job.id), choose()));
    rows.set(job.id, row);
    body.append(row.at);
  }

  // What stands here is kept true, cell by cell; what is new only shows as a number to press.
  async function refresh() {
    if (!rows.size) return load();
    const page = await api(listed(given));
    const fresh = new Map(page.jobs.map((job) => [job.id, job]));
    let unseen = 0;
    for (const job of page.jobs) {
      if (rows.has(job.id)) rows.get(job.id).draw(job);
      else unseen++;
    }
    if (!page.after) for (const [id, row] of rows) if (!fresh.has(id)) row.left();
    chip.hidden = unseen === 0 || !page.jobs.length;
    write(chip, `${number(unseen)}${unseen === PAGE ? "+" : ""} new: show`);
    await count();
  }

  async function count() {
    const { state: only, ...filter } = given;
    try {
      totals = await api(`/v1/totals?${asQuery(filter)}`);
    } catch (error) {
      if (!error.missing) throw error;
      return;
    }
    at.dispatchEvent(new CustomEvent("totals", { detail: totals }));
    if (!all || !may("operate")) return;
    const fits = (states) => states.filter((one) => !only || one === only).reduce((sum, one) => sum + totals.totals[one], 0);
    const numbers = Object.fromEntries(Object.entries(ALL).map(([what, { states }]) => [what, fits(states)]));
    const now = JSON.stringify([numbers, totals.exact]);
    every.hidden = !Object.values(given).some(Boolean) || !Object.values(numbers).some(Boolean);
    if (every.dataset.now === now || busy || every.querySelector(".asking") || every.contains(document.activeElement)) return;
    every.dataset.now = now;
    const about = totals.exact ? "" : "~";
    const target = queueField("Move all to");
    const one = (what, sure) => (numbers[what] ? asking(`${what} all ${about}${number(numbers[what])}`, () => sure(`${about}${plural(numbers[what], "job")}`), () => sweep(what, numbers[what])) : null);
    const named = () => target.value || (say("Say which queue the jobs shall go to; nothing was moved."), target.focus(), "");
    fill(
      every,
      el("span", { class: "soft" }, "All that fit"),
      one("Requeue", (jobs) => `Make ${jobs} ready now?`),
      one("Cancel", (jobs) => `Call ${jobs} back? What waits is removed, what runs is asked to stop.`),
      one("Delete", (jobs) => `Delete ${jobs}? This cannot be undone.`),
      numbers.Move ? [target.at, asking(`Move all ${about}${number(numbers.Move)}`, () => `Move ${about}${plural(numbers.Move, "job")} to ${target.value}?`, () => sweep("Move", numbers.Move, target.value), "", named)] : null,
    );
  }

  // All that fit, a batch at a time: what was done so far is told, and can be stopped between two batches.
  let busy = false;
  async function sweep(what, of, to) {
    const { path, states } = ALL[what];
    const asked = { ...Object.fromEntries(asQuery(given)), state: given.state || states.join(","), limit: BATCH, ...(what === "Move" ? { to } : {}) };
    const [done, bar] = [el("span", {}, "…"), el("progress", { max: Math.max(1, of), value: 0, "aria-label": what })];
    let [count, met, after, stopped] = [0, 0, "", false];
    busy = true;
    fill(every, el("strong", {}, what), bar, done, button("Stop", () => (stopped = true)));
    try {
      do {
        const one = await api(path, { ...asked, after });
        [count, met, after] = [count + one.count, met + one.met, one.after];
        bar.value = met;
        write(done, `${number(count)} of ${number(of)}`);
      } while (after !== null && !stopped);
      say(`${what}: ${number(count)} of ${plural(of, "job")}${stopped && after !== null ? "; then you stopped it" : count < met ? `; ${number(met - count)} stayed as they were` : ""}.`);
    } catch (error) {
      say(count ? `${what}: ${plural(count, "job")}, then: ${error.message}` : error.message);
    }
    busy = false;
    every.dataset.now = "";
    await load();
  }

  async function act(what, path, asked, of) {
    try {
      const done = await api(path, asked);
      say(`${what}: ${number(done.count)} of ${plural(of, "job")}.`);
    } catch (error) {
      say(error.message);
    }
    await load();
  }

  function pickAll(on) {
    for (const [id, row] of rows) if (row.choose(on)) on ? chosen.set(id, true) : chosen.delete(id);
    choose();
  }

  function choose() {
    acts.hidden = chosen.size === 0;
    head.checked = chosen.size > 0 && chosen.size === rows.size;
    if (acts.hidden) return fill(acts);
    const ids = () => [...chosen.keys()];
    const jobs = plural(chosen.size, "job");
    const to = queueField("Move to");
    fill(
      acts,
      el("strong", {}, `${number(chosen.size)} chosen`),
      button(`Requeue ${number(chosen.size)}`, () => act("Requeue", "/v1/jobs/requeue", { ids: ids() }, chosen.size)),
      asking(`Cancel ${number(chosen.size)}`, `Call ${jobs} back? What waits is removed, what runs is asked to stop.`, () => act("Cancel", "/v1/jobs/cancel", { ids: ids() }, chosen.size)),
      asking(`Delete ${number(chosen.size)}`, `Delete ${jobs}? This cannot be undone.`, () => act("Delete", "/v1/jobs/delete", { ids: ids() }, chosen.size)),
      to.at,
      button(`Move ${number(chosen.size)}`, () => (to.value ? act("Move", "/v1/jobs/move", { ids: ids(), to: to.value }, chosen.size) : (say("Say which queue the jobs shall go to; nothing was moved."), to.focus()))),
    );
  }

  const heads = [may("operate") ? head : "", "Job", "Queue", "State", "Task", ["Tries", "number"], "Due", "Error or body"];
  const at = table("Jobs", heads, body, { class: "jobs" });
  let loaded = false;
  let stood;
  const stands = new Promise((done) => (stood = done)); // the list, or why it cannot
  const end = ticking(async () => {
    await (loaded ? refresh() : load()).finally(stood);
    loaded = true;
  }, 4000);
  return { at: el("div", {}, all ? every : null, acts, chip, at, none, more), refresh: load, stop: end, list: at, stands };
}

function made(first, picked) {
  const box = may("operate", first.queue) ? el("input", { type: "checkbox", "aria-label": `Choose job ${first.id}`, onchange: () => picked(box.checked) }) : null;
  const [stands, tries, due, what] = [el("td"), el("td", { class: "number" }), el("td"), el("td", { class: "cut" })];
  const at = el(
    "tr",
    { "data-job": first.id },
    el("td", {}, box),
    el("th", { scope: "row" }, el("a", { href: `/jobs/${first.id}`, title: first.id }, el("code", {}, `${first.id.slice(0, 8)}…${first.id.slice(-4)}`))),
    el("td", {}, el("a", { href: `/queues/${encodeURIComponent(first.queue)}` }, first.queue)),
    stands,
    el("td", {}, first.task ? el("a", { href: `/jobs?task=${encodeURIComponent(first.task)}` }, first.task) : ""),
    tries,
    due,
    what,
  );
  let drawn = "";
  function draw(job) {
    const now = `${job.state} ${job.due}`;
    if (now !== drawn) fill(stands, state(job.state)), fill(due, time(job.due));
    drawn = now;
    write(tries, number(job.attempts));
    write(what, job.error || job.body || (job.body_base64 ? `${number(job.size)} bytes` : ""));
    what.classList.toggle("error", Boolean(job.error));
    at.classList.remove("left");
  }
  draw(first);
  return {
    at,
    draw,
    choose(on) {
      if (box) box.checked = on;
      return box !== null;
    },
    left() {
      at.classList.add("left");
      if (drawn !== "left") fill(stands, el("span", { class: "soft" }, "no longer here"));
      drawn = "left";
    },
  };
}

export function jobsPage() {
  const given = fromAddress();
  const link = (name) => `/jobs?${asQuery(given, { state: name })}`;
  const counts = new Map();
  const tabs = el(
    "nav",
    { class: "tabs", "aria-label": "States" },
    ["", ...STATES].map((name) => {
      const count = el("span", { class: "count" });
      counts.set(name, count);
      return el("a", { href: link(name), "aria-current": given.state === name ? "page" : null }, name || "all", " ", count);
    }),
  );
  const fields = FIELDS.filter((name) => name !== "state").map((name) => el("label", {}, LABELS[name] ?? name, el("input", { name, value: given[name], type: "text" })));
  const form = el("form", { class: "filter", action: "/jobs" }, fields, given.state ? el("input", { type: "hidden", name: "state", value: given.state }) : null, el("button", {}, "Filter"), FIELDS.some((name) => given[name]) ? el("a", { href: "/jobs" }, "Clear") : null);
  const jobs = jobList(given, { all: true });
  jobs.list.addEventListener("totals", ({ detail }) => {
    const about = detail.exact ? "" : "~";
    write(counts.get(""), about + number(STATES.reduce((sum, name) => sum + detail.totals[name], 0)));
    for (const name of STATES) write(counts.get(name), about + number(detail.totals[name]));
  });
  return { at: el("section", {}, el("h1", {}, "Jobs"), tabs, form, jobs.at), stop: jobs.stop };
}
