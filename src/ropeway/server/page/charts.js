// Charts of the history: one picture that the arrow keys walk through, its values as text, and the same as a table.

import { api } from "./api.js";
import { button, el, empty, fill, number, span, svg, table, write } from "./dom.js";
import { ticking } from "./live.js";

const WIDE = 600;
const HIGH = 110;
const MOST = 120; // points of one chart
export const SPANS = { "1h": 3600, "6h": 21600, "24h": 86400 };

// `series`: [{ name, mark }], drawn over one another as lines, or upon one another as bars.
export function chart(title, series, show, bars = false) {
  const picture = svg("svg", { viewBox: `0 0 ${WIDE} ${HIGH}`, preserveAspectRatio: "none", "aria-hidden": "true" });
  const cursor = svg("line", { y1: 0, y2: HIGH, class: "cursor" });
  const told = el("output", { class: "soft" });
  const handle = el("div", { class: "plot", role: "slider", tabindex: 0, "aria-label": `${title}; arrow keys move through time`, "aria-valuemin": 0, "aria-valuemax": 0, "aria-valuenow": 0, onkeydown: key, onpointermove: point, onpointerleave: () => set(newest()) }, picture);
  const rows = el("tbody");
  const asTable = table(`${title}, as a table`, ["Time", ...series.map((one) => [one.name, "number"])], rows);
  asTable.hidden = true;
  const turn = button("Show as table", () => {
    asTable.hidden = !asTable.hidden;
    handle.hidden = !asTable.hidden;
    turn.setAttribute("aria-pressed", String(!asTable.hidden));
    list();
  }, { "aria-pressed": "false", class: "small" });
  const legend = el("span", { class: "legend" }, series.map((one) => el("span", { class: `key ${one.mark}` }, one.name)));
  const most = el("span", { class: "soft" });
  let times = [];
  let values = [];
  let at = -1;
  let follows = true; // the cursor stands at what is newest, until a key has moved it

  function key(event) {
    const step = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -10, PageUp: 10, Home: -times.length, End: times.length }[event.key];
    if (!step) return;
    event.preventDefault();
    follows = false;
    set(at + step);
  }

  function point(event) {
    const box = handle.getBoundingClientRect();
    set(Math.floor(((event.clientX - box.left) / box.width) * times.length));
  }

  const clock = (moment) => new Date(moment * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });

  function set(place) {
    at = Math.max(0, Math.min(times.length - 1, place));
    if (!times.length) return write(told, "");
    const x = ((at + 0.5) * WIDE) / times.length;
    cursor.setAttribute("x1", x);
    cursor.setAttribute("x2", x);
    const text = `${clock(times[at])}: ${series.map((one, n) => `${one.name} ${values[n][at] === null ? "-" : show(values[n][at])}`).join(", ")}`;
    write(told, text);
    handle.setAttribute("aria-valuenow", at);
    handle.setAttribute("aria-valuetext", text);
  }

  // The last minute of which anything is told: the one that is not over has told nothing yet.
  function newest() {
    for (let place = times.length - 1; place >= 0; place--) if (values.some((line) => line[place])) return place;
    return times.length - 1;
  }

  function list() {
    if (asTable.hidden) return;
    const full = times.map((_, place) => place).filter((place) => values.some((line) => line[place]));
    fill(rows, full.reverse().map((place) => el("tr", {}, el("th", { scope: "row" }, clock(times[place])), values.map((line) => el("td", { class: "number" }, line[place] === null ? "" : show(line[place]))))));
  }

  function draw(moments, lines) {
    times = moments;
    values = lines;
    const tops = times.map((_, place) => (bars ? lines.reduce((sum, line) => sum + (line[place] ?? 0), 0) : Math.max(...lines.map((line) => line[place] ?? 0))));
    const top = Math.max(...tops, 1e-9);
    const step = WIDE / Math.max(1, times.length);
    const shapes = [];
    const base = times.map(() => 0);
    lines.forEach((line, n) => {
      const mark = series[n].mark;
      if (!bars) {
        let path = "";
        line.forEach((value, place) => {
          if (value === null) return;
          const [joins, goes] = [typeof line[place - 1] === "number", typeof line[place + 1] === "number"];
          const high = (HIGH - 2 - (value / top) * (HIGH - 6)).toFixed(1);
          path += joins || goes ? `${joins ? "L" : "M"}${((place + 0.5) * step).toFixed(1)} ${high}` : `M${(place * step).toFixed(1)} ${high}h${step.toFixed(1)}`; // one alone is a dash
        });
        return shapes.push(svg("path", { d: path, class: `line ${mark}` }));
      }
      let path = "";
      line.forEach((value, place) => {
        if (!value) return;
        const high = (value / top) * (HIGH - 4);
        path += `M${(place * step + step * 0.1).toFixed(1)} ${(HIGH - base[place]).toFixed(1)}v${(-high).toFixed(1)}h${(step * 0.8).toFixed(1)}v${high.toFixed(1)}z`;
        base[place] += high;
      });
      shapes.push(svg("path", { d: path, class: `bar ${mark}` }));
    });
    picture.replaceChildren(...shapes, cursor);
    handle.setAttribute("aria-valuemax", Math.max(0, times.length - 1));
    write(most, `at most ${show(Math.max(...tops, 0))}`);
    set(follows ? newest() : at);
    list();
  }

  return { at: el("figure", {}, el("figcaption", {}, el("strong", {}, title), turn, el("span", {}, legend, " ", most)), handle, asTable, told), draw };
}

// The rows of the history in even steps: sums of what ended, the worst of what was measured.
export function steps(answer, length, now = Date.now() / 1000) {
  const size = Math.max(answer.step ?? 60, Math.ceil(length / MOST / 60) * 60);
  const end = Math.floor(now / size) * size;
  const count = Math.floor(length / size);
  const times = Array.from({ length: count }, (_, place) => end - (count - 1 - place) * size);
  const made = Object.fromEntries(["done", "failed", "dead"].map((name) => [name, times.map(() => 0)]));
  for (const name of ["run_p50", "run_p95", "wait_p50", "wait_p95"]) made[name] = times.map(() => null);
  for (const row of answer.rows) {
    const place = count - 1 - Math.floor((end + size - 1 - row.at) / size);
    if (place < 0 || place >= count) continue;
    for (const name of ["done", "failed", "dead"]) made[name][place] += row[name] ?? 0;
    for (const name of ["run_p50", "run_p95", "wait_p50", "wait_p95"]) if (row[name] !== null && row[name] !== undefined) made[name][place] = Math.max(made[name][place] ?? 0, row[name]);
  }
  return { times, size, ...made };
}

export async function history(length, more = {}) {
  return api(`/v1/history?${new URLSearchParams({ span: length, ...more })}`);
}

// How much ended in the last so many seconds, of all rows.
export function within(answer, seconds, now = Date.now() / 1000) {
  const late = answer.rows.filter((row) => row.at > now - seconds - answer.step);
  const sum = (name) => late.reduce((all, row) => all + (row[name] ?? 0), 0);
  return { done: sum("done"), failed: sum("failed") + sum("dead") };
}

// The three charts of a queue, of a task, or of all; asked for once `after` has happened.
export function historyCharts(more = {}, after = Promise.resolve()) {
  let length = sessionStorage.getItem("span") in SPANS ? sessionStorage.getItem("span") : "1h";
  const ended = chart("Ended", [{ name: "done", mark: "good" }, { name: "tried again", mark: "warn" }, { name: "dead", mark: "bad" }], number, true);
  const ran = chart("Run time, the slowest task", [{ name: "half of them", mark: "good" }, { name: "95 %", mark: "dash" }], span);
  const waited = chart("Wait before the start", [{ name: "half of them", mark: "good" }, { name: "95 %", mark: "dash" }], span);
  const note = el("p", { class: "empty", hidden: true });
  const box = el("div", { class: "charts" }, ended.at, ran.at, waited.at);
  const choice = el("div", { class: "actions", role: "group", "aria-label": "Span of the charts" }, Object.keys(SPANS).map((one) => button(one, () => choose(one), { "data-span": one, "aria-pressed": String(one === length), class: "small" })));

  function choose(one) {
    sessionStorage.setItem("span", (length = one));
    for (const at of choice.querySelectorAll("button")) at.setAttribute("aria-pressed", String(at.dataset.span === one));
    draw();
  }

  async function draw() {
    let answer;
    try {
      answer = await history(length, more);
    } catch (error) {
      box.hidden = choice.hidden = true;
      note.hidden = false;
      fill(note, error.missing ? "This server keeps no history." : error.message);
      return;
    }
    const made = steps(answer, SPANS[length]);
    box.hidden = choice.hidden = answer.rows.length === 0;
    note.hidden = answer.rows.length > 0;
    if (!note.hidden) fill(note, empty("Nothing has ended in the last hour. Workers write the history as they run jobs."));
    ended.draw(made.times, [made.done, made.failed, made.dead]);
    ran.draw(made.times, [made.run_p50, made.run_p95]);
    waited.draw(made.times, [made.wait_p50, made.wait_p95]);
  }

  const stop = ticking(() => after.then(draw), 15000);
  return { at: el("section", { class: "history", "aria-label": "History" }, el("div", { class: "head" }, el("h2", {}, "History"), choice), note, box), stop };
}

