// Lists of jobs, and one job with its attempts. What the address says is what is shown, so it can be kept and sent.

import { api } from "./api.js";
import { asking, el, number, say, state, time } from "./dom.js";

const STATES = ["ready", "running", "delayed", "dead", "done"];
const FIELDS = ["queue", "state", "task", "key", "error", "q"];

export function jobList(given) {
  const chosen = new Map();
  const body = el("tbody");
  const more = el("button", { type: "button", onclick: () => load(true) }, "More");
  const empty = el("p", { class: "empty", hidden: true }, "No job fits.");
  const acts = el("div", { class: "actions", hidden: true });
  let after = null;

  async function load(on = false) {
    const query = new URLSearchParams(Object.entries(given).filter(([, value]) => value));
    if (on && after) query.set("after", after);
    query.set("limit", "50");
    let page;
    try {
      page = await api(`/v1/jobs?${query}`);
    } catch (error) {
      say(error.message);
      return;
    }
    if (!on) {
      body.replaceChildren();
      chosen.clear();
      choose();
    }
    after = page.after;
    more.hidden = !after;
    body.append(...page.jobs.map(row));
    empty.hidden = body.children.length > 0;
  }

  function row(job) {
    const box = el("input", {
      type: "checkbox",
      "aria-label": `Choose job ${job.id}`,
      onchange: () => (box.checked ? chosen.set(job.id, job) : chosen.delete(job.id), choose()),
    });
    return el(
      "tr",
      { "data-job": job.id },
      el("td", {}, box),
      el("th", { scope: "row" }, el("a", { href: `/jobs/${job.id}` }, el("code", {}, job.id.slice(0, 8) + "…" + job.id.slice(-4)))),
      el("td", {}, job.queue),
      el("td", {}, state(job.state)),
      el("td", {}, job.task ?? ""),
      el("td", { class: "number" }, number(job.attempts)),
      el("td", {}, time(job.due)),
      el("td", { class: "cut" }, job.error || job.body || (job.body_base64 ? `${number(job.size)} bytes` : "")),
    );
  }

  async function act(what, path) {
    try {
      const done = await api(path, { ids: [...chosen.keys()] });
      say(`${what}: ${number(done.count)} of ${number(chosen.size)} jobs.`);
    } catch (error) {
      say(error.message);
    }
    await load();
  }

  function choose() {
    acts.hidden = chosen.size === 0;
    if (acts.hidden) return;
    const count = number(chosen.size);
    acts.replaceChildren(
      `${count} chosen `,
      el("button", { type: "button", onclick: () => act("Requeue", "/v1/jobs/requeue") }, "Requeue"),
      el("button", { type: "button", onclick: () => act("Cancel", "/v1/jobs/cancel") }, "Cancel"),
      asking("Delete", `Delete ${count} jobs?`, () => act("Delete", "/v1/jobs/delete")),
    );
  }

  load();
  const heads = ["", "Job", "Queue", "State", "Task", "Tries", "Due", "Error or body"];
  const table = el("table", { class: "jobs" }, el("caption", {}, "Jobs"), el("thead", {}, el("tr", {}, heads.map((head) => (head ? el("th", { scope: "col" }, head) : el("td"))))), body);
  return { at: el("div", {}, acts, table, empty, more), refresh: () => load() };
}

export function jobsPage(query) {
  const given = Object.fromEntries(FIELDS.map((name) => [name, query.get(name) ?? ""]));
  const link = (name) => `/jobs?${new URLSearchParams(Object.entries({ ...given, state: name }).filter(([, value]) => value))}`;
  const tabs = el(
    "nav",
    { class: "tabs", "aria-label": "States" },
    ["", ...STATES].map((name) => el("a", { href: link(name), "aria-current": given.state === name ? "page" : null }, name || "all")),
  );
  const fields = FIELDS.filter((name) => name !== "state").map((name) =>
    el("label", {}, name === "q" ? "text" : name, el("input", { name, value: given[name], type: "text" })),
  );
  const form = el("form", { class: "filter", action: "/jobs" }, fields, el("input", { type: "hidden", name: "state", value: given.state }), el("button", {}, "Filter"));
  return { at: el("section", {}, el("h1", {}, "Jobs"), tabs, form, jobList(given).at), stop() {} };
}

export function jobPage(id) {
  const at = el("section", {}, el("h1", {}, "Job"), el("p", {}, "…"));

  async function draw() {
    let job;
    try {
      job = await api(`/v1/jobs/${encodeURIComponent(id)}`);
    } catch (error) {
      at.replaceChildren(el("h1", {}, "Job"), el("p", { class: "empty" }, error.message));
      return;
    }
    const act = async (what, path) => {
      try {
        const done = await api(path, { ids: [id] });
        say(done.count ? `${what}: done.` : `${what}: the job is not in a state for that; nothing was done.`);
      } catch (error) {
        say(error.message);
      }
      await draw();
    };
    const facts = ["queue", "task", "key", "lane", "priority", "attempts", "deaths", "holder", "content_type", "size", "ttl", "keep"];
    const parts = [
      el("h1", {}, "Job ", el("code", {}, job.id)),
      el("p", {}, state(job.state), " due ", time(job.due), ", made ", time(job.created)),
      el("div", { class: "actions" }, el("button", { type: "button", onclick: () => act("Requeue", "/v1/jobs/requeue") }, "Requeue"), el("button", { type: "button", onclick: () => act("Cancel", "/v1/jobs/cancel") }, "Cancel"), asking("Delete", "Delete this job?", () => act("Delete", "/v1/jobs/delete"))),
      el("dl", {}, facts.filter((name) => job[name]).map((name) => el("div", {}, el("dt", {}, name.replace("_", " ")), el("dd", {}, job[name])))),
      Object.keys(job.headers ?? {}).length ? el("h2", {}, "Headers") : null,
      el("dl", {}, Object.entries(job.headers ?? {}).map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value)))),
      el("h2", {}, "Body"),
      job.body === undefined ? el("p", {}, el("a", { href: `/v1/jobs/${job.id}/body` }, `${number(job.size)} bytes`)) : el("pre", { class: "body", tabindex: 0 }, pretty(job.body)),
      job.result === undefined ? null : el("h2", {}, "Result"),
      job.result === undefined ? null : el("pre", { tabindex: 0 }, pretty(job.result)),
      el("h2", {}, "Attempts that did not end well"),
      job.history.length ? el("ol", { class: "history" }, job.history.map(attempt)) : el("p", { class: "empty" }, "None."),
    ];
    at.replaceChildren(...parts.filter(Boolean));
  }

  draw();
  return { at, stop() {} };
}

const attempt = (one) =>
  el("li", { value: one.number }, el("p", {}, `${one.outcome} on ${one.worker}, `, time(new Date(one.ended * 1000).toISOString())), el("p", { class: "error" }, one.error), one.traceback ? el("details", {}, el("summary", {}, "Traceback"), el("pre", {}, one.traceback)) : null);

function pretty(value) {
  if (typeof value !== "string") return JSON.stringify(value, null, 2);
  try {
    return JSON.stringify(JSON.parse(value), null, 2);
  } catch {
    return value;
  }
}
