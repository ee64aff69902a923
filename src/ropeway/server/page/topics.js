// Topics: the groups that listen for good and how far they are behind, what is published while one looks, and publishing one.

import { api, events, may, send } from "./api.js";
import { button, el, empty, fill, keyed, number, say, span, table, time, write } from "./dom.js";
import { awake, ticking } from "./live.js";
import { go } from "./app.js";
import { viewer } from "./values.js";

const SHOWN = 200; // messages that stay on the page

export function topicsPage() {
  const body = el("tbody");
  const none = el("div", { hidden: true }, empty("No durable group listens. Groups are made by whoever subscribes; to see what is published just now, listen:", "ropeway listen 'orders.*'"));
  const missing = el("p", { class: "empty", hidden: true });
  const at = table("Groups", ["Group", "Patterns", ["Behind", "number"], ["Dead", "number"], ["Kept for", "number"], "From"], body);
  const kept = el("div");
  const lines = keyed(body, (first) => {
    const [patterns, lag, dead, keep, from] = [el("td"), el("td", { class: "number" }), el("td", { class: "number" }), el("td", { class: "number" }), el("td")];
    const queue = el("a", { href: `/queues/${encodeURIComponent(first.queue ?? `_group.${first.name}`)}` }, first.name);
    let drawn = "";
    return {
      at: el("tr", { "data-group": first.name }, el("th", { scope: "row" }, queue), patterns, lag, dead, keep, from),
      draw(one) {
        const now = JSON.stringify(one.patterns);
        if (now !== drawn) fill(patterns, (one.patterns ?? []).map((pattern) => [el("a", { href: `/topics/${encodeURIComponent(pattern)}` }, pattern), " "]));
        drawn = now;
        write(lag, number(one.lag));
        write(dead, number(one.dead));
        write(keep, one.keep ? span(one.keep) : "");
        write(from, one.source ?? "");
      },
    };
  });

  async function draw() {
    let answer;
    try {
      answer = await api("/v1/topics");
    } catch (error) {
      if (!error.missing) throw error;
      missing.hidden = false;
      fill(missing, error.status === 404 ? "This server knows of no groups." : error.message);
      at.hidden = true;
      return;
    }
    const found = answer.groups ?? [];
    lines.draw(found, (one) => one.name);
    fill(kept, answer.retained?.length ? [el("h2", {}, "Kept for who comes later"), el("ul", {}, answer.retained.map((one) => el("li", {}, el("code", {}, one.pattern), ` for ${span(one.keep)}`)))] : null);
    none.hidden = found.length > 0;
    at.hidden = found.length === 0;
  }

  const pattern = el("input", { type: "text", required: true, placeholder: "orders.*", "aria-label": "Topic or pattern" });
  const form = el("form", { class: "actions", onsubmit: (event) => (event.preventDefault(), go(`/topics/${encodeURIComponent(pattern.value)}`)) }, pattern, el("button", {}, "Listen"));
  return { at: el("section", {}, el("h1", {}, "Topics"), form, at, none, kept, missing), stop: ticking(draw, 3000) };
}

export function topicPage(name) {
  const list = el("ol", { class: "messages", reversed: true });
  const status = el("p", { class: "soft" }, "connecting");
  const waiting = empty("Nothing was published yet while this page is open. Publish something:", `ropeway notify ${name.replaceAll("*", "x").replaceAll("#", "x")} 'hello'`);
  let heard = 0;
  let missed = 0;
  let started = Date.now();

  function told(type, text) {
    let message;
    try {
      message = JSON.parse(text);
    } catch {
      message = { body: text };
    }
    if (type === "missed" || message.missed) {
      missed += Math.max(1, message.missed ?? 1);
      return;
    }
    heard++;
    waiting.hidden = true;
    const body = message.body ?? message.data;
    const headers = Object.entries(message.headers ?? {});
    list.prepend(el("li", {}, el("p", {}, el("strong", {}, message.topic ?? name), " ", time(message.at ?? Date.now() / 1000), headers.map(([key, value]) => el("span", { class: "soft" }, ` ${key}: ${value}`))), body === undefined ? empty("Bytes that are no text.") : viewer(body, "Message", message.content_type ?? "")));
    while (list.children.length > SHOWN) list.lastElementChild.remove();
    tally();
  }

  function tally() {
    const minutes = Math.max((Date.now() - started) / 60000, 1 / 60);
    write(status, `live; ${number(heard)} heard, ${(heard / minutes).toFixed(1)} a minute${missed ? `, ${number(missed)} missed` : ""}`);
  }

  let end = null;
  function open() {
    if (!awake()) return (end?.(), (end = null), write(status, "paused"));
    if (end) return;
    end = events(`/v1/topics/${encodeURIComponent(name)}/events`, told, (how, error) => (how === "open" ? tally() : write(status, error?.missing ? "This server hands out no messages." : error?.message ? `lost: ${error.message}` : "lost, trying again")));
  }
  const timer = setInterval(open, 500);
  open();

  const plain = !/[*#?>]/.test(name);
  const body = el("textarea", { rows: 4, spellcheck: "false", "aria-label": "Message" });
  const kind = el("select", { "aria-label": "Content type" }, ["application/json", "text/plain; charset=utf-8"].map((one) => el("option", {}, one)));
  async function publish(event) {
    event.preventDefault();
    if (kind.value.startsWith("application/json")) {
      try {
        JSON.parse(body.value);
      } catch (error) {
        return say(`The message is no JSON (${error.message}); nothing was published.`);
      }
    }
    try {
      await send(`/v1/topics/${encodeURIComponent(name)}`, { method: "POST", headers: { "Content-Type": kind.value }, body: body.value });
      say("Published.");
    } catch (error) {
      say(error.message);
    }
  }
  const form = plain && may("produce") ? el("form", { class: "put", onsubmit: publish }, el("h2", {}, "Publish one"), el("label", {}, "Message", body), kind, el("button", {}, "Publish")) : null;
  const clear = button("Clear", () => (fill(list), (heard = missed = 0), (started = Date.now()), (waiting.hidden = false), tally()), { class: "small" });
  return {
    at: el("section", {}, el("h1", {}, "Topic ", el("code", {}, name)), el("div", { class: "head" }, status, clear), waiting, list, form),
    stop() {
      clearInterval(timer);
      end?.();
    },
  };
}

