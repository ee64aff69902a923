// Put one job by hand.

import { el, say } from "./dom.js";
import { queues } from "./live.js";

export function putPage() {
  const field = (name, label, more = {}) => el("label", {}, label, el("input", { name, type: "text", ...more }));
  const body = el("textarea", { name: "body", rows: 8, spellcheck: "false", "aria-label": "Body" });
  const kind = el("select", { name: "kind", "aria-label": "Content type" }, ["application/json", "text/plain; charset=utf-8"].map((one) => el("option", {}, one)));
  const form = el(
    "form",
    { class: "put", onsubmit: put },
    field("queue", "Queue", { required: true, list: "known", pattern: "[A-Za-z0-9_\\-][A-Za-z0-9._\\-]{0,127}" }),
    el("datalist", { id: "known" }, [...queues.keys()].map((name) => el("option", { value: name }))),
    el("label", {}, "Body", body),
    kind,
    field("task", "Task"),
    field("priority", "Priority, 0 first", { inputmode: "numeric", pattern: "[0-9]{1,2}" }),
    field("delay", "Delay, such as 10m"),
    field("key", "Key"),
    el("button", {}, "Put"),
  );

  async function put(event) {
    event.preventDefault();
    const given = Object.fromEntries(new FormData(form));
    if (given.kind.startsWith("application/json")) {
      try {
        JSON.parse(given.body);
      } catch (error) {
        say(`The body is no JSON (${error.message}); nothing was put.`);
        return;
      }
    }
    const query = new URLSearchParams(["task", "priority", "delay", "key"].filter((name) => given[name]).map((name) => [name, given[name]]));
    const response = await fetch(`/v1/queues/${encodeURIComponent(given.queue)}/jobs?${query}`, { method: "POST", headers: { "Content-Type": given.kind }, body: given.body });
    const answer = await response.json().catch(() => ({}));
    if (!response.ok) return say(answer.detail ?? `The server answered ${response.status}; nothing was put.`);
    say("Put.");
    history.pushState(null, "", `/jobs/${answer.id}`);
    dispatchEvent(new PopStateEvent("popstate"));
  }

  return { at: el("section", {}, el("h1", {}, "Put a job"), form), stop() {} };
}
