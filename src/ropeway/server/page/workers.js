// The workers: who they are and what they do; and one of them from inside, as it tells of itself.

import { api, may } from "./api.js";
import { asking, button, bytes, el, empty, facts, fill, keyed, number, plural, say, span, state, table, time, write } from "./dom.js";
import { ticking } from "./live.js";
import { told } from "./values.js";

export function workersPage() {
  const body = el("tbody");
  const none = el("div", { hidden: true }, empty("No worker is there. Start one:", "ropeway work mails -- cat"));
  const at = table("Workers", ["Worker", "State", "Queues", "Host, pid", "Pool", ["Busy", "number"], ["Done", "number"], ["Failed", "number"], ["Memory", "number"], ["CPU", "number"], "Seen"], body);
  const lines = keyed(body, (first) => {
    const cells = Array.from({ length: 10 }, (_, place) => el("td", { class: place >= 4 && place <= 8 ? "number" : null }));
    const row = el("tr", { "data-worker": first.id }, el("th", { scope: "row" }, el("a", { href: `/workers/${encodeURIComponent(first.id)}` }, first.id)), cells);
    let [stands, seen] = ["", ""];
    return {
      at: row,
      draw(one) {
        const how = one.every && Date.now() / 1000 - one.at > 3 * one.every ? "silent" : one.state;
        if (stands !== how) fill(cells[0], state((stands = how)));
        const texts = [null, (one.patterns ?? []).join(" "), `${one.host} ${one.pid}`, one.pool, `${number(one.running)} / ${number(one.slots)}`, number(one.totals?.done), number(one.totals?.failed), bytes(one.memory), span(one.cpu)];
        texts.forEach((text, place) => text !== null && write(cells[place], text ?? ""));
        if (seen !== one.at) fill(cells[9], time((seen = one.at)));
      },
    };
  });

  async function draw() {
    const found = (await api("/v1/workers")).workers;
    lines.draw(found, (one) => one.id);
    none.hidden = found.length > 0;
    at.hidden = found.length === 0;
  }

  return { at: el("section", {}, el("h1", {}, "Workers"), at, none), stop: ticking(draw, 2000) };
}

const VIEWS = ["state", "jobs", "stacks", "output", "logs", "metrics"];
const SAID = { state: "State and counters", jobs: "Jobs in hand", stacks: "Stacks of threads and asyncio tasks", output: "Last lines of output", logs: "Last log records", metrics: "Metrics" };

export function workerPage(id, query) {
  let what = VIEWS.includes(query.get("view")) ? query.get("view") : "state";
  const where = `/v1/workers/${encodeURIComponent(id)}`;
  const head = el("div");
  const jobs = el("div");
  const inside = el("div", { class: "inspected" });
  const slots = el("input", { type: "number", min: 1, max: 10000, value: 4, "aria-label": "Slots" });
  let drawn = "";
  let known = "";
  let seen = null;

  async function order(what, given) {
    say(`${what}: waiting for the worker's answer.`);
    try {
      const answer = await api(`${where}/orders`, given);
      say(`${what}: ${answer.said || "done"}.`);
      await draw();
    } catch (error) {
      say(error.message);
    }
  }

  async function draw() {
    const one = (await api("/v1/workers")).workers.find((worker) => worker.id === id);
    if (!one) {
      fill(head, empty(seen ? "This worker has ended." : "There is no such worker: it has ended, or never was."), el("p", {}, el("a", { href: "/workers" }, "All workers")));
      acts.hidden = true;
      fill(jobs);
      return;
    }
    seen = one;
    const served = (one.queues ?? []).filter((queue) => !queue.startsWith("_"));
    const wanted = (one.patterns ?? []).filter((pattern) => !pattern.startsWith("!"));
    acts.hidden = !(served.length ? served : wanted.length ? wanted : [`_orders.${id}`]).every((queue) => may("operate", queue));
    const now = JSON.stringify(one);
    if (now === drawn) return;
    drawn = now;
    fill(
      head,
      el("p", {}, state(one.state), " seen ", time(one.at), ", started ", time(one.started)),
      facts([["queues", (one.patterns ?? []).join(" ")], ["host", one.host], ["pid", String(one.pid)], ["version", one.version], ["pool", one.pool], ["busy", `${number(one.running)} of ${number(one.slots)}`], ["in hand", number(one.held)], ["used", `${Math.round((one.utilisation ?? 0) * 100)} %`], ["memory", bytes(one.memory)], ["CPU", span(one.cpu)], ["idle", span(one.idle)], ["supervisor", one.supervisor ? String(one.supervisor) : ""], ...Object.entries(one.totals ?? {}).map(([name, value]) => [name, number(value)])]),
    );
    const ids = JSON.stringify(one.jobs ?? []);
    if (ids === known) return;
    known = ids;
    fill(jobs, el("h2", {}, "Runs now"), one.jobs?.length ? el("ul", {}, one.jobs.map((job) => el("li", {}, el("a", { href: `/jobs/${job.id}` }, el("code", {}, job.id)), ` ${job.task || "job"} of `, el("a", { href: `/queues/${encodeURIComponent(job.queue)}` }, job.queue), ", began ", time(job.since)))) : empty(`Nothing; it waits for jobs. Give it one:`, `ropeway put ${one.queues?.[0] ?? "mails"} 'welcome 42'`));
  }

  let looked = "";
  async function look() {
    if (!seen) return;
    const mine = what;
    let answer;
    try {
      answer = await api(`${where}/inspect?what=${mine}`);
    } catch (error) {
      if (mine !== what || error.status === 401) return;
      looked = "";
      fill(inside, empty(error.status === 404 || error.status === 501 ? "This worker tells nothing of its inside." : error.message, error.status === 404 || error.status === 501 ? `ropeway workers --stacks ${id}` : ""));
      return;
    }
    if (mine !== what) return;
    const now = mine + JSON.stringify(answer);
    if (now === looked) return;
    looked = now;
    const open = inside.scrollTop;
    fill(inside, told(answer, SAID[mine]));
    inside.scrollTop = open;
  }

  function choose(view) {
    what = view;
    history.replaceState(null, "", `/workers/${encodeURIComponent(id)}?view=${view}`);
    for (const at of tabs.children) at.setAttribute("aria-pressed", String(at.dataset.view === view));
    fill(inside, el("p", {}, "…"));
    looked = "";
    look();
  }

  const tabs = el("div", { class: "actions", role: "group", "aria-label": "What it tells" }, VIEWS.map((view) => button(view, () => choose(view), { "data-view": view, "aria-pressed": String(view === what) })));
  const acts = el(
    "div",
    { class: "actions", hidden: true },
    button("Pause", () => order("Pause", { do: "pause" }), { title: "Claim nothing until resume; what runs goes on" }),
    button("Resume", () => order("Resume", { do: "resume" })),
    asking("Quiet", "Claim nothing more, run what is held, then end?", () => order("Quiet", { do: "quiet" })),
    asking("Stop", () => `End it? ${plural(seen?.running ?? 0, "running job")} get the grace, then go back.`, () => order("Stop", { do: "stop" })),
    el("label", { class: "beside" }, "Slots", slots),
    button("Resize", () => order("Resize", { do: "resize", slots: Number(slots.value) })),
  );
  const first = ticking(draw, 2000);
  const second = ticking(async () => {
    if (!seen) await new Promise((done) => setTimeout(done, 300));
    await look();
  }, 5000);
  return {
    at: el("section", {}, el("h1", {}, "Worker ", el("code", {}, id)), head, acts, jobs, el("h2", {}, "From inside"), tabs, inside),
    stop: () => (first(), second()),
  };
}

