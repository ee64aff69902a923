// The table of queues: numbers that change in place, a line of the last minute, sorted, filtered, and by the beginning of their names.

import { STATES, el, empty, fill, keyed, number, rate, span, state, table, time, write } from "./dom.js";
import { onChange, past, queues, ready, ticking } from "./live.js";
import { spark } from "./spark.js";

const COLUMNS = [["queue", "Queue"], ["state", "State"], ...STATES.map((name) => [name, name]), ["oldest", "oldest"], ["rate", "done/s, 5 min"], ["p95", "run, 95 %"]];

export function queueTable() {
  const given = new URLSearchParams(location.search);
  const body = el("tbody");
  const filter = el("input", { type: "search", "aria-label": "Filter queues", placeholder: "Filter queues", value: given.get("name") ?? "", oninput: () => (keep(), draw(true)) });
  const group = el("input", { type: "checkbox", checked: given.get("group") === "1", onchange: () => (keep(), draw(true)) });
  const none = el("div", { hidden: true }, empty("No queue yet. Put a first job:", "ropeway put mails 'welcome 42'"));
  const unfit = el("div", { hidden: true }, empty("No queue has a name like that."));
  let [by, down] = [given.get("sort") ?? "queue", given.get("down") === "1"];
  let lately = new Map(); // what ended in the last five minutes, by queue
  let over = false; // the pointer or the focus is in the table: nothing changes its place

  const heads = COLUMNS.map(([name, text]) => {
    const sort = el("button", { type: "button", class: "sort", onclick: () => ([by, down] = [name, by === name ? !down : name !== "queue"], keep(), draw(true)) }, text);
    return [sort, ["queue", "state"].includes(name) ? null : "number"];
  });
  const at = table("Queues", [...heads, "last minute"], body, { class: "queues" });
  at.addEventListener("pointerenter", () => (over = true));
  at.addEventListener("pointerleave", () => (over = false));

  function keep() {
    const query = new URLSearchParams(Object.entries({ name: filter.value, sort: by === "queue" && !down ? "" : by, down: down ? "1" : "", group: group.checked ? "1" : "" }).filter(([, value]) => value));
    window.history.replaceState(null, "", String(query) ? `/queues?${query}` : "/queues");
  }

  function value(row) {
    if (by === "rate") return lately.get(row.queue)?.done ?? 0;
    if (by === "p95") return lately.get(row.queue)?.p95 ?? 0;
    if (by === "oldest") return row.oldest ? -Date.parse(row.oldest) : -Infinity;
    return row[by] ?? "";
  }

  function folded(rows) {
    if (!group.checked) return rows;
    const made = new Map();
    for (const row of rows) {
      const head = row.queue.split(/[.-]/)[0];
      const all = made.get(head) ?? { queue: head, members: 0, state: row.state, oldest: null, ...Object.fromEntries(STATES.map((name) => [name, 0])) };
      all.members++;
      for (const name of STATES) all[name] += row[name];
      if (row.state !== all.state) all.state = "mixed";
      if (row.oldest && (!all.oldest || row.oldest < all.oldest)) all.oldest = row.oldest;
      made.set(head, all);
    }
    return [...made.values()];
  }

  let order = [];
  function draw(forced = false) {
    const rows = folded([...queues.values()].filter((row) => row.queue.includes(filter.value)));
    if (forced === true || !(over || at.contains(document.activeElement)) || rows.length !== order.length) {
      rows.sort((a, b) => {
        const [x, y] = [value(a), value(b)];
        const less = typeof x === "string" ? x.localeCompare(y) : x - y;
        return (down ? -less : less) || a.queue.localeCompare(b.queue);
      });
      order = rows.map((row) => row.queue);
    } else rows.sort((a, b) => order.indexOf(a.queue) - order.indexOf(b.queue));
    lines.draw(rows, (row) => `${row.members ? "group" : "queue"} ${row.queue}`);
    none.hidden = !ready.seen || queues.size > 0;
    unfit.hidden = queues.size === 0 || rows.length > 0;
    at.hidden = rows.length === 0;
    heads.forEach(([button], place) => {
      const cell = button.closest("th");
      if (COLUMNS[place][0] === by) cell.setAttribute("aria-sort", down ? "descending" : "ascending");
      else cell.removeAttribute("aria-sort");
    });
  }

  const lines = keyed(body, (row) => made(row, lately));

  async function measure() {
    const { history } = await import("./charts.js");
    try {
      const now = Date.now() / 1000;
      const fresh = new Map();
      for (const row of (await history("1h")).rows) {
        const one = fresh.get(row.queue) ?? { done: 0, p95: 0 };
        if (row.at > now - 360) one.done += row.done;
        one.p95 = Math.max(one.p95, row.run_p95 ?? 0);
        fresh.set(row.queue, one);
      }
      lately.clear();
      for (const [name, one] of fresh) lately.set(name, one);
      draw();
    } catch (error) {
      if (!error.missing) throw error;
    }
  }

  const stops = [onChange(() => draw()), ticking(measure, 15000)];
  draw(true);
  return {
    at: el("section", {}, el("h1", {}, "Queues"), el("div", { class: "actions" }, filter, el("label", { class: "beside" }, group, "one row for names that begin alike")), at, none, unfit),
    stop: () => stops.forEach((one) => one()),
  };
}

function made(first, lately) {
  const cells = STATES.map((one) => el("td", { class: `number ${one}` }));
  const [switched, oldest, ends, slow, line] = [el("td"), el("td", { class: "number" }), el("td", { class: "number" }), el("td", { class: "number" }), el("td", { class: "line" })];
  const name = first.members ? el("a", { href: `/queues?name=${encodeURIComponent(first.queue)}` }, `${first.queue}…`) : el("a", { href: `/queues/${encodeURIComponent(first.queue)}` }, first.queue);
  const count = el("span", { class: "soft" });
  const at = el("tr", { "data-queue": first.queue }, el("th", { scope: "row" }, name, count), switched, cells, oldest, ends, slow, line);
  let shown = "";
  let since = null;
  let drawn = "";
  return {
    at,
    draw(row) {
      STATES.forEach((one, place) => write(cells[place], (row.exact === false ? "~" : "") + number(row[one])));
      cells[STATES.indexOf("dead")].classList.toggle("some", row.dead > 0);
      if (row.members) write(count, ` ${row.members} queues`);
      if (shown !== row.state) fill(switched, state((shown = row.state)));
      if (since !== row.oldest) fill(oldest, time((since = row.oldest)));
      const ended = lately.get(row.queue);
      write(ends, ended ? rate(ended.done / 300) : "");
      write(slow, ended?.p95 ? span(ended.p95) : "");
      const values = past.get(row.queue) ?? [];
      if (drawn !== values.join()) fill(line, row.members ? "" : spark(values));
      drawn = values.join();
    },
  };
}
