// The overview: totals, what ended lately, and what needs a look.

import { api } from "./api.js";
import { STATES, el, empty, facts, fill, keyed, number, plural, rate, time, write } from "./dom.js";
import { onChange, queues, ready, ticking } from "./live.js";

const SPANS = [["5 min", 300], ["1 h", 3600], ["24 h", 86400]];
const SIGNS = { paused: "■", unserved: "!", stalled: "!", silent: "?", dead: "✕", switched: "■" };

export function overviewPage() {
  const totals = facts([["…", "…"]], "numbers totals");
  const ended = el("div");
  const list = el("ul", { class: "attention" });
  const well = el("p", { class: "well", hidden: true }, "✓ Nothing needs a look.");
  const first = el("div", { hidden: true }, empty("No queue yet. Put a first job:", "ropeway put mails 'welcome 42'"), empty("Then work on it:", "ropeway work mails -- cat"));
  const cells = new Map();
  const oldest = el("dd");

  fill(totals, STATES.map((name) => {
    const value = el("dd");
    cells.set(name, value);
    return el("div", {}, el("dt", {}, el("a", { href: `/jobs?state=${name}` }, name)), value);
  }), el("div", {}, el("dt", {}, "oldest waiting"), oldest));

  function draw() {
    const rows = [...queues.values()];
    for (const name of STATES) {
      const sum = rows.reduce((all, row) => all + row[name], 0);
      write(cells.get(name), (rows.some((row) => row.exact === false) ? "~" : "") + number(sum));
      cells.get(name).className = sum ? `${name} some` : name;
    }
    const since = rows.map((row) => row.oldest).filter(Boolean).sort()[0];
    const known = oldest.querySelector("time")?.dateTime ?? "";
    if (known !== (since ?? "") || !oldest.textContent) fill(oldest, since ? time(since) : "-");
    first.hidden = !ready.seen || rows.length > 0;
  }

  async function look() {
    const found = (await api("/v1/attention")).attention;
    well.hidden = found.length > 0;
    lines.draw(found, (one) => `${one.kind} ${one.queue ?? ""} ${one.worker ?? ""} ${one.job ?? ""} ${one.text.includes("puts") ? "puts" : ""}`);
  }
  const where = (one) => (one.kind === "dead" ? `/failures?queue=${encodeURIComponent(one.queue)}` : one.job ? `/jobs/${one.job}` : one.worker ? `/workers/${encodeURIComponent(one.worker)}` : one.queue ? `/queues/${encodeURIComponent(one.queue)}` : null);
  const lines = keyed(list, (one) => {
    const text = el("span");
    const to = where(one);
    const at = el("li", { class: one.kind }, el("span", { class: "sign", "aria-hidden": "true" }, SIGNS[one.kind] ?? "!"), to ? el("a", { href: to }, text) : text, el("code", {}, one.do));
    return { at, draw: (now) => write(text, now.text) };
  });

  async function lately() {
    const { history, within } = await import("./charts.js");
    let [hour, day] = [null, null];
    try {
      [hour, day] = await Promise.all([history("1h"), history("24h")]);
    } catch (error) {
      if (!error.missing) throw error;
      fill(ended);
      return;
    }
    if (!day.rows.length && !hour.rows.length) return fill(ended);
    fill(ended, el("dl", { class: "numbers" }, SPANS.flatMap(([name, seconds]) => {
      const sum = within(seconds > 3600 ? day : hour, seconds);
      return [el("div", { title: plural(sum.done, "job") }, el("dt", {}, `done, ${name}`), el("dd", {}, rate(sum.done / seconds))), el("div", { title: plural(sum.failed, "attempt") }, el("dt", {}, `failed, ${name}`), el("dd", { class: sum.failed ? "dead some" : "" }, rate(sum.failed / seconds)))];
    })));
    if (!charts) {
      charts = (await import("./charts.js")).historyCharts();
      below.replaceChildren(charts.at);
      if (stopped) charts.stop();
    }
  }

  let charts = null;
  let stopped = false;
  const below = el("div");
  const stops = [onChange(draw), ticking(look, 3000), ticking(lately, 15000)];
  draw();
  return {
    at: el("section", {}, el("h1", {}, "Overview"), totals, first, el("section", { "aria-label": "Needs attention" }, el("h2", {}, "Needs attention"), well, list), ended, below),
    stop() {
      stopped = true;
      charts?.stop();
      for (const one of stops) one();
    },
  };
}
