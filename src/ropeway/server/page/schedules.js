// Schedules: when each runs, in words, its next runs and its last one; run now, pause, delete.

import { api, may } from "./api.js";
import { ago, asking, button, el, empty, facts, fill, keyed, say, span, state, table, time, write } from "./dom.js";
import { go } from "./app.js";
import { ticking } from "./live.js";
import { viewer } from "./values.js";

const path = (name, verb = "") => `/v1/schedules/${encodeURIComponent(name)}${verb && `/${verb}`}`;
const local = (iso, tz) => new Date(iso).toLocaleString([], { timeZone: tz, dateStyle: "medium", timeStyle: "medium" });

function when(iso, tz) {
  try {
    return el("time", { datetime: iso, title: `${local(iso, tz)} ${tz} (${iso})` }, ago(iso));
  } catch {
    return el("time", { datetime: iso, title: iso }, ago(iso));
  }
}

async function act(what, name, verb, then) {
  try {
    const done = await api(path(name, verb), {});
    say(done.id ? `${what}: put as job ${done.id}.` : `${what}: done.`);
    await then(done);
  } catch (error) {
    say(error.message);
  }
}

export function schedulesPage() {
  const body = el("tbody");
  const none = el("div", { hidden: true }, empty("No schedule yet. Add one:", "ropeway schedule add nightly '0 3 * * *' reports '{}'"));
  const missing = el("p", { class: "empty", hidden: true });
  const at = table("Schedules", ["Schedule", "State", "When", "Zone", "Next", "Last run", "Queue", "Task", "From", ""], body);
  const lines = keyed(body, (first) => {
    const cells = Array.from({ length: 9 }, () => el("td"));
    const row = el("tr", { "data-schedule": first.name }, el("th", { scope: "row" }, el("a", { href: `/schedules/${encodeURIComponent(first.name)}` }, first.name)), cells);
    let drawn = "";
    return {
      at: row,
      draw(one) {
        const now = JSON.stringify(one);
        if (now === drawn || row.contains(document.activeElement)) return;
        drawn = now;
        fill(cells[0], state(one.state));
        fill(cells[1], one.words ?? one.expression, one.words && one.words !== one.expression ? [" ", el("code", { class: "soft" }, one.expression)] : null);
        write(cells[2], one.tz);
        fill(cells[3], time(one.next));
        fill(cells[4], one.last_id ? el("a", { href: `/jobs/${one.last_id}` }, time(one.last)) : time(one.last));
        fill(cells[5], el("a", { href: `/queues/${encodeURIComponent(one.queue)}` }, one.queue));
        write(cells[6], one.task);
        write(cells[7], one.source);
        fill(cells[8], may("operate", one.queue) ? el("span", { class: "actions" }, button("Run now", () => act("Run now", one.name, "run", draw)), one.state === "paused" ? button("Resume", () => act("Resume", one.name, "resume", redraw)) : button("Pause", () => act("Pause", one.name, "pause", redraw))) : null);
      },
    };
  });

  async function draw() {
    let found;
    try {
      found = (await api("/v1/schedules")).schedules;
    } catch (error) {
      if (!error.missing) throw error;
      missing.hidden = false;
      fill(missing, error.message);
      at.hidden = true;
      return;
    }
    lines.draw(found, (one) => one.name);
    none.hidden = found.length > 0;
    at.hidden = found.length === 0;
  }
  async function redraw() {
    document.activeElement?.blur();
    await draw();
  }

  return { at: el("section", {}, el("h1", {}, "Schedules"), at, none, missing), stop: ticking(draw, 5000) };
}

export function schedulePage(name) {
  const at = el("section", {}, el("h1", {}, name), el("p", {}, "…"));
  let before = "";

  async function draw() {
    let one;
    try {
      one = await api(path(name));
    } catch (error) {
      if (!error.missing) throw error;
      before = "";
      fill(at, el("h1", {}, name), empty(error.message), el("p", {}, el("a", { href: "/schedules" }, "All schedules")));
      return;
    }
    const now = JSON.stringify(one);
    if (now === before || at.querySelector(".asking")) return;
    before = now;
    fill(
      at,
      el("h1", {}, name),
      el("p", {}, state(one.state), ` ${one.words}, in ${one.tz}`),
      may("operate", one.queue)
        ? el(
            "div",
            { class: "actions" },
            button("Run now", () => act("Run now", name, "run", draw)),
            one.state === "paused" ? button("Resume", () => act("Resume", name, "resume", draw)) : button("Pause", () => act("Pause", name, "pause", draw)),
            asking("Delete", one.source === "code" ? "Delete it? It is in the code, so it is back with the next worker that starts; pause it to keep it off." : "Delete this schedule? This cannot be undone.", () => act("Delete", name, "delete", () => go("/schedules", { keep: true }))),
          )
        : null,
      facts([["expression", el("code", {}, one.expression)], ["zone", one.tz], ["missed ticks", one.catch_up], ["queue", el("a", { href: `/queues/${encodeURIComponent(one.queue)}` }, one.queue)], ["task", one.task], ["from", one.source], ["priority", one.priority === 50 ? "" : String(one.priority)], ["lifetime", one.ttl ? span(one.ttl) : ""], ["kept when done", one.keep ? span(one.keep) : ""], ["lane", one.lane]]),
      el("h2", {}, "Next runs"),
      one.ticks.length ? el("ol", {}, one.ticks.map((tick) => el("li", {}, when(tick, one.tz), ` (${zoned(tick, one.tz)})`))) : empty("None while it is paused."),
      el("h2", {}, "Last run"),
      one.last ? el("p", {}, time(one.last), one.last_id ? [" as ", el("a", { href: `/jobs/${one.last_id}` }, "job ", el("code", {}, one.last_id))] : null) : empty("None yet."),
      el("h2", {}, "What it puts"),
      one.body === undefined ? empty("Bytes that are no text.") : viewer(one.body === null ? "null" : one.body, "Body", one.content_type),
    );
  }

  return { at, stop: ticking(draw, 3000) };
}

function zoned(iso, tz) {
  try {
    return local(iso, tz);
  } catch {
    return iso;
  }
}
