// The workers that are there.

import { api } from "./api.js";
import { el, number, say, time } from "./dom.js";

export function workersPage() {
  const body = el("tbody");
  const empty = el("p", { class: "empty", hidden: true }, "No worker is there. Start one: ", el("code", {}, "ropeway work mails -- ./send-mail"));

  async function draw() {
    let found;
    try {
      found = (await api("/v1/workers")).workers;
    } catch (error) {
      say(error.message);
      return;
    }
    empty.hidden = found.length > 0;
    body.replaceChildren(
      ...found.map((one) =>
        el(
          "tr",
          { "data-worker": one.id },
          el("th", { scope: "row" }, one.id),
          el("td", {}, one.state),
          el("td", {}, (one.patterns ?? one.queues ?? []).join(" ")),
          el("td", {}, `${one.host} ${one.pid}`),
          el("td", {}, one.pool),
          el("td", { class: "number" }, `${number(one.running)} / ${number(one.slots)}`),
          el("td", { class: "number" }, number(one.totals?.done)),
          el("td", { class: "number" }, number(one.totals?.failed)),
          el("td", { class: "number" }, `${number(Math.round((one.memory ?? 0) / 1048576))} MiB`),
          el("td", {}, time(one.seen)),
        ),
      ),
    );
  }

  draw();
  const timer = setInterval(() => document.hidden || draw(), 5000);
  const heads = ["Worker", "State", "Queues", "Host, pid", "Pool", "Busy", "Done", "Failed", "Memory", "Seen"];
  const table = el("table", {}, el("caption", {}, "Workers"), el("thead", {}, el("tr", {}, heads.map((head) => el("th", { scope: "col" }, head)))), body);
  return { at: el("section", {}, el("h1", {}, "Workers"), table, empty), stop: () => clearInterval(timer) };
}
