// Put one job by hand, or another one like it.

import { api, send } from "./api.js";
import { go } from "./app.js";
import { button, el, fill, say } from "./dom.js";
import { onChange, queues } from "./live.js";
import { blank, unfit } from "./signature.js";

export function putPage(query) {
  const field = (name, label, more = {}) => el("label", {}, label, el("input", { name, type: "text", ...more }));
  const body = el("textarea", { name: "body", rows: 10, spellcheck: "false" });
  const kind = el("select", { name: "kind" }, ["application/json", "text/plain; charset=utf-8"].map((one) => el("option", {}, one)));
  const headers = el("textarea", { name: "headers", rows: 2, spellcheck: "false", placeholder: "tenant: 7" });
  const known = el("datalist", { id: "known" });
  const tasks = el("datalist", { id: "tasks" });
  const wrong = el("p", { class: "error", id: "wrong", role: "alert" });
  const hint = el("div", { class: "soft", hidden: true, "aria-live": "off" });
  const anyway = button("Put it all the same", () => ((sure = true), form.requestSubmit()), { hidden: true, class: "grave" });
  let told = null; // what the task takes, by a worker that has it
  let sure = false;
  const form = el(
    "form",
    { class: "put", onsubmit: put, oninput: () => ((sure = false), check()) },
    field("queue", "Queue", { required: true, list: "known", value: query.get("queue") ?? "", autocomplete: "off" }),
    known,
    field("task", "Task", { list: "tasks", autocomplete: "off", oninput: () => ask() }),
    tasks,
    hint,
    el("label", {}, "Body", body),
    wrong,
    el("label", {}, "Content type", kind),
    el("div", { class: "fields" }, field("priority", "Priority, 0 first", { inputmode: "numeric", pattern: "[0-9]{1,2}" }), field("delay", "Delay, such as 10m"), field("key", "Unique key"), field("lane", "Lane"), field("keep", "Keep when done, such as 1h"), field("ttl", "Lifetime, such as 1d")),
    el("details", {}, el("summary", {}, "Headers"), el("label", {}, "One a line, name: value", headers)),
    el("div", { class: "actions" }, el("button", {}, "Put"), anyway),
  );

  function names() {
    const now = [...queues.keys()].sort();
    if (now.length !== known.children.length) fill(known, now.map((name) => el("option", { value: name })));
  }

  // Tasks that workers have registered, and those that somebody has run or planned lately.
  async function learn() {
    const found = new Set();
    for (const name of await registered) found.add(name);
    const look = (path, rows) => api(path).then((answer) => rows(answer).forEach((row) => row.task && found.add(row.task)), () => {});
    await Promise.all([look("/v1/history?span=24h", (answer) => answer.rows), look("/v1/schedules", (answer) => answer.schedules), look("/v1/jobs?limit=200", (answer) => answer.jobs)]);
    fill(tasks, [...found].sort().map((name) => el("option", { value: name })));
  }

  const registered = api("/v1/tasks").then((answer) => new Set(answer.tasks.map((row) => row.task)), () => new Set());

  // What the task takes: asked of a worker, once it is named and nobody types any more.
  let asked = "";
  let later = null;
  function ask(soon = 250) {
    const name = form.elements.task.value.trim();
    if (name === asked) return;
    asked = name;
    told = null;
    clearTimeout(later);
    hint.hidden = !name;
    fill(hint, name ? "A task takes its arguments as JSON: a list of them, or an object by their names." : "");
    if (!/^[\w.-]{1,128}$/.test(name)) return;
    later = setTimeout(async () => {
      let answer = null;
      let why = "";
      try {
        if (!(await registered).has(name)) why = "No worker that is there has this task, so it is not known what it takes: the body is not checked.";
        else answer = await api(`/v1/tasks/${encodeURIComponent(name)}`);
      } catch (error) {
        why = error.message;
      }
      if (asked !== name) return; // another was named meanwhile
      told = answer;
      if (!told) return fill(hint, why);
      if (!form.elements.queue.value) form.elements.queue.value = told.queue;
      fill(hint, el("code", { class: "signature" }, told.signature), told.says ? el("p", {}, told.says) : null, body.value.trim() ? null : button("Fill in", (event) => ((body.value = JSON.stringify(blank(told), null, 2)), event.target.remove(), check(), body.focus()), { class: "small" }));
      check();
    }, soon);
  }

  function check() {
    let text = "";
    anyway.hidden = true;
    if (kind.value.startsWith("application/json") && body.value.trim()) {
      try {
        const value = JSON.parse(body.value);
        if (form.elements.task.value && (value === null || typeof value !== "object")) text = "A task takes a list of arguments, or an object by their names.";
        else if (told) text = unfit(value, told).join("; ");
        anyway.hidden = !text;
        if (text && sure) text = "";
      } catch (error) {
        text = `This is no JSON: ${error.message}`;
      }
    }
    if (wrong.textContent !== text) fill(wrong, text);
    body.setAttribute("aria-invalid", String(Boolean(text)));
    return text;
  }

  async function fromJob(id) {
    try {
      const job = await api(`/v1/jobs/${encodeURIComponent(id)}`);
      for (const name of ["queue", "task", "lane", "priority"]) form.elements[name].value = job[name] ?? "";
      if (job.keep) form.elements.keep.value = `${job.keep}s`;
      if (job.ttl) form.elements.ttl.value = `${job.ttl}s`;
      if (![...kind.options].some((one) => one.value === job.content_type)) kind.append(el("option", {}, job.content_type));
      kind.value = job.content_type;
      body.value = job.body ?? "";
      headers.value = Object.entries(job.headers ?? {}).filter(([name]) => !name.startsWith("ropeway-")).map(([name, value]) => `${name}: ${value}`).join("\n");
      headers.closest("details").open = Boolean(headers.value);
      ask(0);
      check();
    } catch (error) {
      say(error.message);
    }
  }

  async function put(event) {
    event.preventDefault();
    const given = Object.fromEntries(new FormData(form));
    const text = kind.value.startsWith("application/json") ? (body.value.trim() ? check() : "This is no JSON: it is empty") : "";
    if (text) {
      say(`${text.replace(/\.$/, "")}; nothing was put.`);
      body.focus();
      return;
    }
    const asked = new URLSearchParams(["task", "priority", "delay", "key", "lane", "keep", "ttl"].filter((name) => given[name]).map((name) => [name, given[name]]));
    const sent = { "Content-Type": given.kind };
    for (const line of given.headers.split("\n").filter((one) => one.trim())) {
      const [name, ...value] = line.split(":");
      if (!value.length || !/^[!#$%&'*+.^_`|~\w-]+$/.test(name.trim()) || !/^[\x20-\x7e]*$/.test(value.join(":"))) return say(`${line.slice(0, 80)} is no header: write name: value, in plain letters; nothing was put.`);
      sent[`Ropeway-H-${name.trim()}`] = value.join(":").trim();
    }
    try {
      const answer = await (await send(`/v1/queues/${encodeURIComponent(given.queue)}/jobs?${asked}`, { method: "POST", headers: sent, body: given.body })).json();
      say("Put.");
      go(`/jobs/${answer.id}`, { keep: true });
    } catch (error) {
      say(error.message);
    }
  }

  const stop = onChange(names);
  names();
  learn();
  if (query.get("from")) fromJob(query.get("from"));
  return { at: el("section", {}, el("h1", {}, query.get("from") ? "Edit and put again" : "Put a job"), query.get("from") ? el("p", { class: "soft" }, "This makes a new job; the old one stays as it is.") : null, form), stop };
}
