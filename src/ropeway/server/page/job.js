// One job: where it stands and why, what it carries, what became of its attempts, and what can be done to it.

import { api, download, may } from "./api.js";
import { go } from "./app.js";
import { asking, button, bytes, causeList, copying, el, empty, facts, fill, number, plural, say, span, state, time } from "./dom.js";
import { queueField, ticking } from "./live.js";
import { json, quoted, viewer } from "./values.js";

const ENDED = ["dead", "done"];

const where = (id) => `/v1/jobs/${encodeURIComponent(id)}`;
export const asks = where;

export function jobPage(id) {
  const why = el("section", { "aria-label": "Why", class: "why" });
  const at = el("section", {}, el("h1", {}, "Job ", el("code", {}, id)), el("p", {}, "…"));
  const left = el("p", { class: "error", role: "status", hidden: true }, "The job has left the store: done, deleted or expired. What stands here is how it was.");
  const log = el("section", { "aria-label": "Log" });
  let before = "";
  let drawn = false;
  let lately = 0;

  async function draw() {
    let job;
    try {
      job = await api(where(id));
    } catch (error) {
      if (error.status === 401) return;
      if (drawn && error.status === 404) left.hidden = false;
      if (!drawn) fill(at, el("h1", {}, "Job ", el("code", {}, id)), empty(error.message), error.status === 404 ? empty("A done job stays when it is asked to:", "ropeway put --keep 1h QUEUE BODY") : null);
      return;
    }
    left.hidden = true;
    const now = JSON.stringify(job);
    if (now !== before && !at.querySelector(".asking")) show(job), (drawn = true);
    before = at.querySelector(".asking") ? before : now;
    await Promise.all([explain(job), listen(job)]);
  }

  let explained = "";
  async function explain(job) {
    let answer;
    try {
      answer = await api(`${where(id)}/why`);
    } catch (error) {
      if (!error.missing) throw error;
      return;
    }
    const now = JSON.stringify(answer.causes);
    if (now === explained) return;
    explained = now;
    fill(why, el("h2", {}, ENDED.includes(job.state) ? "Why it ended so" : job.state === "running" ? "Why it still runs" : "Why it waits"), answer.causes?.length ? causeList(answer.causes) : empty("Nothing holds it up."));
  }

  // The lines of the last run, while its worker knows them; those of attempts that failed stand with them.
  let logged = "";
  let heard = 0;
  async function listen(job) {
    const running = job.state === "running";
    if ((!running && heard > 1) || (!running && !job.attempts) || Date.now() - lately < 4000) return;
    lately = Date.now();
    heard = running ? 0 : heard + 1;
    let answer;
    try {
      answer = await api(`${where(id)}/log`);
    } catch (error) {
      if (!error.missing) throw error;
      return;
    }
    const { lines, asked, silent } = answer;
    const now = JSON.stringify([lines, silent.length]);
    if (now === logged) return;
    logged = now;
    const none = silent.length ? `Worker ${silent[0]} has not answered.` : asked.length ? "" : running ? "Its worker is not of the fleet, so nobody can be asked." : "";
    fill(log, lines.length ? [el("h2", {}, `Log of attempt ${number(lines.at(-1).attempt)}`), logLines(lines)] : none ? [el("h2", {}, "Log"), empty(none)] : null);
  }

  async function act(what, path, more = {}) {
    try {
      const done = await api(path, { ids: [id], ...more });
      say(done.count ? `${what}: done.` : `${what}: the job is not in a state for that; nothing was done.`);
      if (done.ids?.length) return go(`/jobs/${done.ids[0]}`, { keep: true });
    } catch (error) {
      say(error.message);
    }
    before = "";
    await draw();
  }

  function show(job) {
    const to = queueField("Move to");
    const waits = job.state === "ready" || job.state === "delayed";
    const operates = may("operate", job.queue);
    const whole = job.body !== undefined;
    const hidden = (job.headers ?? {})["ropeway-redacted"] !== undefined;
    const shortly = whole && job.body.length < 2000 ? quoted(job.body) : `- < body`;
    const command = ["ropeway put", job.task ? `--task ${quoted(job.task)}` : "", job.priority !== 50 ? `--priority ${job.priority}` : "", job.key ? `--key ${quoted(job.key)}` : "", job.lane ? `--lane ${quoted(job.lane)}` : "", ...Object.entries(job.headers ?? {}).map(([name, value]) => `--header ${quoted(`${name}=${value}`)}`), job.task || job.content_type.startsWith("text/plain") ? "" : `--type ${quoted(job.content_type)}`, quoted(job.queue), shortly.startsWith("-") && whole ? "--" : "", shortly].filter(Boolean).join(" ");
    const names = ["task", "key", "lane", "priority", "attempts", "deaths", "holder", "content_type"];
    const link = (name) => (name === "task" ? el("a", { href: `/jobs?task=${encodeURIComponent(job.task)}` }, job.task) : name === "key" || name === "lane" ? el("a", { href: `/jobs?${name}=${encodeURIComponent(job[name])}` }, job[name]) : String(job[name]));
    fill(
      at,
      el("h1", {}, "Job ", el("code", {}, job.id)),
      left,
      el("p", {}, state(job.state), `, ${{ running: "its lease ends", dead: "died", done: "forgotten" }[job.state] ?? "due"} `, time(job.due), ", made ", time(job.created), " in ", el("a", { href: `/queues/${encodeURIComponent(job.queue)}` }, job.queue)),
      job.error ? el("p", { class: "error" }, job.error) : null,
      job.progress === undefined || job.progress === null ? null : progress(job.progress),
      el(
        "div",
        { class: "actions" },
        operates && job.state !== "running" && job.state !== "ready" ? button(job.state === "delayed" ? "Run now" : "Requeue", () => act("Requeue", "/v1/jobs/requeue")) : null,
        operates && (waits || job.state === "running") ? asking("Cancel", job.state === "running" ? "Ask its worker to stop it?" : "Remove it before it runs?", () => act("Cancel", "/v1/jobs/cancel")) : null,
        operates && job.state !== "running" ? asking("Delete", "Delete this job? This cannot be undone.", () => act("Delete", "/v1/jobs/delete")) : null,
        operates && (waits || job.state === "dead") ? [to.at, button("Move", () => (to.value ? act("Move", "/v1/jobs/move", { to: to.value }) : (say("Say which queue it shall go to; nothing was moved."), to.focus())))] : null,
        may("produce") && whole && !hidden ? el("a", { class: "button", href: `/put?from=${job.id}` }, "Edit and put again") : null,
        hidden ? null : copying("Copy as command", command),
      ),
      facts([...names.filter((name) => job[name]).map((name) => [name.replace("_", " "), link(name)]), ["size", bytes(job.size)], ["lifetime", job.ttl ? span(job.ttl) : ""], ["kept when done", job.keep ? span(job.keep) : ""]]),
      why,
      Object.keys(job.headers ?? {}).some((name) => name !== "ropeway-redacted") ? [el("h2", {}, "Headers"), facts(Object.entries(job.headers).filter(([name]) => name !== "ropeway-redacted"))] : null,
      el("div", { class: "head" }, el("h2", {}, "Body"), button("Save", () => download(`/v1/jobs/${job.id}/body`, job.id).catch((error) => say(error.message)), { class: "small" })),
      hidden ? el("p", { class: "soft" }, "*** stands for what only those see who may do everything on this queue.") : null,
      whole ? viewer(job.body, "Body", job.content_type) : empty(`${bytes(job.size)} that are no text, or too large to show here.`),
      job.result === undefined && job.result_base64 === undefined ? null : [el("h2", {}, "Result"), job.result === undefined ? empty("Bytes that are no text.") : viewer(job.result, "Result")],
      log,
      el("h2", {}, "Timeline"),
      timeline(job),
    );
  }

  const stop = ticking(draw, 2000);
  return { at, stop };
}

const clock = (at) => new Date(at * 1000).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3 });
const logLines = (lines) => el("pre", { tabindex: 0, class: "log", "aria-label": "Log lines" }, lines.flatMap((one) => [el("span", { class: "soft", title: new Date(one.at * 1000).toISOString() }, clock(one.at)), " ", el("span", { class: /ERROR|CRITICAL/.test(one.level) ? "error" : /WARN/.test(one.level) ? "warned" : "soft" }, one.level), ` ${one.logger}: ${one.text}\n`]));

function progress(value) {
  const share = typeof value === "number" ? value : Array.isArray(value) && value.length > 1 && value[1] ? value[0] / value[1] : value?.total ? value.done / value.total : null;
  const of = Array.isArray(value) ? value : value && Object.keys(value).length === 2 ? [value.done, value.total] : [];
  const text = of.length === 2 && of.every((one) => typeof one === "number") ? `${number(of[0])} of ${number(of[1])}` : typeof value === "number" && share >= 0 && share <= 1 ? `${Math.round(100 * share)} %` : null;
  return el("div", { class: "progress" }, share !== null && share >= 0 && share <= 1 ? el("progress", { max: 1, value: share, "aria-label": "Progress" }) : null, " ", text ?? (typeof value === "object" ? json(value) : String(value)));
}

// From the put to the end, with all attempts that did not end well.
function timeline(job) {
  const moments = [[Date.parse(job.created) / 1000, el("li", {}, el("p", {}, "Put ", time(job.created)))]];
  for (const one of job.history ?? []) {
    const text = el("p", {}, one.number ? `Attempt ${number(one.number)}: ${one.outcome} after ${span(one.ended - one.started)} on ` : `${one.outcome} by `, el("code", {}, one.worker || "unknown"), ", ", time(one.ended));
    moments.push([one.ended, el("li", { class: "failed" }, text, one.error ? el("p", { class: "error" }, one.error) : null, one.traceback ? el("details", {}, el("summary", {}, "Traceback"), el("pre", { tabindex: 0 }, one.traceback)) : null, one.log ? el("details", {}, el("summary", {}, `Log, ${plural(one.log.split("\n").length, "line")}`), el("pre", { tabindex: 0 }, one.log)) : null)]);
  }
  const last = { ready: "Due", delayed: "Due again", running: `Attempt ${number(job.attempts)} runs on ${job.holder || "unknown"}, its lease ends`, dead: "Given up", done: "Done; forgotten" }[job.state];
  moments.push([Infinity, el("li", { class: job.state }, el("p", {}, `${last} `, time(job.due)))]);
  moments.sort((a, b) => a[0] - b[0]);
  return el("ol", { class: "history timeline" }, moments.map(([, at]) => at));
}
