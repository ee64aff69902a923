// Failures: dead jobs gathered by task and by what their errors share, so that a thousand of them are a handful of causes.

import { api, may } from "./api.js";
import { go } from "./app.js";
import { asking, button, el, empty, fill, keyed, number, plural, say, table, time, write } from "./dom.js";
import { ticking } from "./live.js";

export function failuresPage(query) {
  const given = { queue: query.get("queue") ?? "", task: query.get("task") ?? "" };
  const body = el("tbody");
  const none = el("div", { hidden: true }, el("p", { class: "well" }, given.queue || given.task ? "✓ Nothing has failed for good there." : "✓ Nothing has failed for good."));
  const cut = el("p", { class: "soft", hidden: true }, "There are more dead jobs than one look reads; the counts are of those that were read.");
  const at = table("Failures", [["Jobs", "number"], "Task", "Error", "Queues", "First", "Last", ""], body);
  const lines = keyed(body, (first) => {
    const [count, seen, last, queues] = [el("td", { class: "number dead some" }), el("td"), el("td"), el("td")];
    const row = el(
      "tr",
      { "data-failure": first.fingerprint },
      count,
      el("td", {}, first.task),
      el("th", { scope: "row", class: "wide" }, el("a", { href: `/failures/${first.fingerprint}` }, first.error || "no reason given")),
      queues,
      seen,
      last,
      el("td", {}, groupActs(() => shown.get(first.fingerprint) ?? first, draw)),
    );
    const shown = new Map();
    let drawn = "";
    return {
      at: row,
      draw(now) {
        shown.set(now.fingerprint, now);
        write(count, number(now.count));
        if (drawn !== now.last + now.first) fill(seen, time(now.first)), fill(last, time(now.last));
        drawn = now.last + now.first;
        write(queues, now.queues.join(" "));
      },
    };
  });

  async function draw() {
    const asked = new URLSearchParams(Object.entries(given).filter(([, value]) => value));
    const answer = await api(`/v1/failures?${asked}`);
    lines.draw(answer.failures, (one) => one.fingerprint);
    none.hidden = answer.failures.length > 0;
    at.hidden = answer.failures.length === 0;
    cut.hidden = answer.complete;
  }

  const form = el("form", { class: "filter", action: "/failures" }, ["queue", "task"].map((name) => el("label", {}, name, el("input", { name, value: given[name], type: "text" }))), el("button", {}, "Filter"));
  return { at: el("section", {}, el("h1", {}, "Failures"), form, none, at, cut), stop: ticking(draw, 5000) };
}

function groupActs(group, then) {
  if (!may("operate")) return null;
  async function act(what, verb) {
    try {
      const done = await api(`/v1/failures/${group().fingerprint}/${verb}`, {});
      say(`${what}: ${plural(done.count, "job")}.`);
    } catch (error) {
      say(error.message);
    }
    await then();
  }
  return el("span", { class: "actions" }, asking("Retry all", () => `Make ${plural(group().count, "job")} ready now?`, () => act("Retry", "requeue")), asking("Discard", () => `Delete ${plural(group().count, "job")}? This cannot be undone.`, () => act("Discard", "delete")));
}

export function failurePage(name) {
  const at = el("section", {}, el("h1", {}, "Failure"), el("p", {}, "…"));
  let before = "";

  async function draw() {
    let group;
    try {
      group = await api(`/v1/failures/${encodeURIComponent(name)}`);
    } catch (error) {
      if (!error.missing) throw error;
      before = "";
      fill(at, el("h1", {}, "Failure"), empty(error.message), el("p", {}, el("a", { href: "/failures" }, "All failures")));
      return;
    }
    const now = JSON.stringify(group);
    if (now === before || at.querySelector(".asking")) return;
    before = now;
    const rows = group.jobs.map((job) => el("tr", { "data-job": job.id }, el("th", { scope: "row" }, el("a", { href: `/jobs/${job.id}` }, el("code", {}, `${job.id.slice(0, 8)}…${job.id.slice(-4)}`))), el("td", {}, job.queue), el("td", { class: "number" }, number(job.attempts)), el("td", {}, time(job.due)), el("td", { class: "cut error" }, job.error ?? "")));
    fill(
      at,
      el("h1", {}, "Failure of ", group.task ? el("code", {}, group.task) : "jobs without a task"),
      el("p", { class: "error" }, group.error || "no reason given"),
      el("p", {}, `${plural(group.count, "job")} in ${group.queues.join(", ")}; the first `, time(group.first), ", the last ", time(group.last)),
      groupActs(() => group, () => go("/failures", { keep: true })),
      el("p", {}, "For example ", button(group.example.error || "this job", () => go(`/jobs/${group.example.id}`), { class: "link" })),
      table("Its jobs", ["Job", "Queue", ["Tries", "number"], "Died", "Error"], el("tbody", {}, rows)),
      group.count > group.jobs.length ? el("p", { class: "soft" }, `The latest ${number(group.jobs.length)} of ${number(group.count)}.`) : null,
    );
  }

  return { at, stop: ticking(draw, 5000) };
}
