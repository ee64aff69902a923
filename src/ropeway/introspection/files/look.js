// The page of one process: its views, one at a time, asked each two seconds. All that comes from the process becomes text, never markup.

import { el, number, svg, write } from "./dom.js";

const EACH = 2000;
const main = document.getElementById("main");
let timer = 0;
let paused = false;
let turn = 0;
const opened = new Set();

const clock = (seconds) => (seconds ? new Date(seconds * 1000).toISOString().replace("T", " ").slice(0, 19) : "");
const span = (seconds) => (seconds === null || seconds === undefined ? "" : seconds < 90 ? `${seconds.toFixed(1)} s` : seconds < 5400 ? `${(seconds / 60).toFixed(1)} min` : `${(seconds / 3600).toFixed(1)} h`);
const mib = (bytes) => (bytes === undefined ? "" : `${number(Math.round(bytes / 1048576))} MiB`);
const shown = (value) => (typeof value === "string" ? value : JSON.stringify(value));

const facts = (pairs) => el("dl", {}, pairs.filter(([, value]) => value !== undefined && value !== "").map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, shown(value)))));

function table(caption, heads, rows) {
  if (!rows.length) return el("p", { class: "empty" }, `${caption}: none.`);
  const head = el("thead", {}, el("tr", {}, heads.map((one) => el("th", { scope: "col" }, one))));
  const body = el("tbody", {}, rows.map((cells) => el("tr", {}, cells.map((cell, at) => (at ? el("td", {}, cell) : el("th", { scope: "row" }, cell))))));
  return el("table", {}, el("caption", {}, caption), head, body);
}

const named = (caption, value) => table(caption, ["Name", "Value"], Object.entries(value ?? {}).map(([name, one]) => [name, shown(one)]));

function state(seen) {
  return [
    facts([["Process", seen.pid], ["Host", seen.host], ["Up", span(seen.uptime)], ["Since", clock(seen.started)], ["Iterations", number(seen.iterations)], ["Command", seen.command.join(" ")]]),
    el("h2", {}, "State"), named("State", seen.state),
    el("h2", {}, "Counters"), named("Counters", seen.counters),
    el("h2", {}, "Workers"),
    table("Workers", ["Worker", "State", "Queues", "Pool", "Running", "Done", "Failed"], seen.workers.map((one) => [one.id, one.state, one.queues.join(" "), one.pool, `${one.running} / ${one.slots}`, number(one.totals.done), number(one.totals.failed)])),
    el("h2", {}, "Claims"),
    table("Claims", ["Job", "Queue", "Task", "Held", "Lease left"], seen.claims.map((one) => [one.id, one.queue, one.task, span(one.seconds), span(one.lease_left)])),
  ];
}

function jobs(seen) {
  const rows = seen.jobs.map((one) => [one.id, one.queue, one.task, one.state, span(one.seconds), span(one.lease_left), el("span", { class: "doing" }, one.doing ? `${one.doing.text} (${one.doing.function ?? ""} ${one.doing.file ?? ""}:${one.doing.line ?? ""})` : "")]);
  return [table("Jobs", ["Job", "Queue", "Task", "State", "Runs for", "Lease left", "Does"], rows)];
}

function frames(one, kind) {
  const name = `${kind} ${one.name}`;
  const list = el("ol", {}, one.frames.map((frame) => el("li", {}, `${frame.function}, ${frame.file}:${frame.line}`, frame.code ? el("code", {}, frame.code) : null)));
  const box = el("details", { class: "stack", open: opened.has(name) }, el("summary", {}, el("strong", {}, name), ` ${one.doing.text}`), list);
  box.addEventListener("toggle", () => (box.open ? opened.add(name) : opened.delete(name)));
  return box;
}

function stacks(seen) {
  const out = [el("h2", {}, "Threads"), seen.threads.map((one) => frames(one, "thread")), el("h2", {}, "Tasks")];
  out.push(seen.tasks.length ? seen.tasks.map((one) => frames(one, "task")) : el("p", { class: "empty" }, "No asyncio task."));
  for (const child of seen.children ?? []) {
    out.push(el("h2", {}, `Process ${child.pid} of the pool`));
    if (child.stacks) out.push(child.stacks.threads.map((one) => frames(one, `${child.pid} thread`)), child.stacks.tasks.map((one) => frames(one, `${child.pid} task`)));
    else out.push(el("p", { class: "error" }, child.error));
  }
  return out;
}

function output(seen) {
  const stream = (name) => [el("h2", {}, name), el("pre", { class: "printed", tabindex: "0", "aria-label": name }, [...seen[name].lines, ...(seen[name].open ? [seen[name].open] : [])].join("\n"))];
  return [seen.why ? el("p", { class: "empty" }, seen.why) : null, stream("stdout"), stream("stderr")];
}

function logs(seen) {
  const rows = seen.records.slice().reverse().map((one) => [clock(one.at), el("span", { class: `level-${one.level}` }, one.level), one.logger, one.thread, el("span", { class: "doing" }, one.text), one.traceback ? el("pre", {}, one.traceback) : ""]);
  return [table("Log records, the newest first", ["Time", "Level", "Logger", "Thread", "Text", "Traceback"], rows)];
}

function metrics(seen) {
  return [
    facts([["Processor, user", span(seen.cpu.user)], ["system", span(seen.cpu.system)], ["Memory", mib(seen.memory.resident)], ["Peak", mib(seen.memory.peak)], ["Open files", `${number(seen.descriptors.open)} of ${number(seen.descriptors.most)}`], ["Threads", seen.threads.length], ["Up", span(seen.uptime)], ["Collector", seen.gc.timed ? `${number(seen.gc.timed.collections)} runs, ${seen.gc.timed.seconds.toFixed(3)} s, longest ${(seen.gc.timed.longest * 1000).toFixed(1)} ms` : ""]]),
    el("h2", {}, "Threads"), table("Threads", ["Thread", "Number", "Processor time"], seen.threads.map((one) => [one.name, one.native, `${one.cpu.toFixed(3)} s`])),
    el("h2", {}, "Versions"), named("Versions", seen.versions),
    el("h2", {}, "Command"), el("pre", {}, seen.command.join(" ")),
    el("h2", {}, "Environment"), named("Environment", seen.environment),
  ];
}

const WIDTH = 1200;
const ROW = 18;

function flame(seen) {
  if (seen.why) return [el("p", { class: "empty" }, seen.why)];
  if (!seen.tree.value) return [el("p", { class: "empty" }, "No thread has worked in the last minute.")];
  const boxes = [];
  let deepest = 0;
  (function place(node, left, width, level) {
    boxes.push([node, left, width, level]);
    deepest = Math.max(deepest, level);
    for (const child of node.children) {
      const part = (width * child.value) / node.value;
      if (part >= 0.5) place(child, left, part, level + 1);
      left += part;
    }
  })(seen.tree, 0, WIDTH, 0);
  const height = (deepest + 1) * ROW;
  const drawn = boxes.map(([node, left, width, level]) => {
    const share = `${((100 * node.value) / seen.tree.value).toFixed(1)} %`;
    const top = height - (level + 1) * ROW;
    const box = svg("g", {}, svg("title", {}, `${node.name} ${share} ${node.file ?? ""}`), svg("rect", { x: left, y: top, width: Math.max(0.3, width - 0.5), height: ROW - 1, fill: `hsl(${20 + (node.name.length * 7) % 35},75%,68%)` }));
    if (width > 30) box.append(svg("text", { x: left + 3, y: top + 13, "font-size": 11 }, node.name.slice(0, Math.floor(width / 6.7) - 1)));
    return box;
  });
  const heaviest = [];
  (function walk(node, path) {
    const own = node.value - node.children.reduce((sum, child) => sum + child.value, 0);
    if (own > 0) heaviest.push([node.name, node.file ?? "", own]);
    node.children.forEach((child) => walk(child, path));
  })(seen.tree, []);
  heaviest.sort((a, b) => b[2] - a[2]);
  return [
    el("p", {}, `${number(seen.tree.value)} samples of threads at work in the last ${seen.span} s; ${number(seen.waiting)} of threads that wait are left out. `, el("a", { href: "flame.svg" }, "As a picture")),
    svg("svg", { class: "flame", viewBox: `0 0 ${WIDTH} ${height}`, role: "img", "aria-label": "Flame of the last minute; the table below has its numbers" }, ...drawn),
    table("Where the time went", ["Function", "File", "Samples"], heaviest.slice(0, 20).map(([name, file, own]) => [name, file, number(own)])),
  ];
}

const VIEWS = { state, jobs, stacks, output, logs, metrics, flame };
const wanted = () => (location.hash.slice(1) in VIEWS ? location.hash.slice(1) : "state");

async function draw() {
  clearTimeout(timer);
  const name = wanted();
  const mine = ++turn;
  try {
    const response = await fetch(`${name}.json`);
    const seen = await response.json();
    if (!response.ok) throw new Error(seen.detail ?? `The process answered ${response.status}.`);
    if (mine !== turn) return;
    const at = scrolled();
    const section = el("section", { "data-view": name });
    section.append(el("h1", {}, `${name[0].toUpperCase()}${name.slice(1)}`), ...VIEWS[name](seen).flat(3).filter(Boolean));
    main.replaceChildren(section);
    for (const [label, top] of at) for (const pre of main.querySelectorAll("pre.printed")) if (pre.getAttribute("aria-label") === label) pre.scrollTop = top;
    link("live");
  } catch (error) {
    link("lost");
    if (mine === turn) write(document.getElementById("said"), error instanceof TypeError ? "The process does not answer." : error.message);
  }
  if (!paused && mine === turn) timer = setTimeout(() => (document.hidden ? wait() : draw()), EACH);
}

const wait = () => (timer = setTimeout(() => (document.hidden ? wait() : draw()), EACH));

// Where each list of lines stood; one that stood at its end stays there.
const scrolled = () => {
  const before = [...main.querySelectorAll("pre.printed")].map((pre) => [pre.getAttribute("aria-label"), pre.scrollTop + pre.clientHeight >= pre.scrollHeight - 4 ? 1e9 : pre.scrollTop]);
  return before.length ? before : [["stdout", 1e9], ["stderr", 1e9]];
};

function link(state) {
  const at = document.getElementById("link");
  at.className = `link ${state}`;
  write(at, state);
  if (state === "live") write(document.getElementById("said"), "");
}

function show() {
  for (const one of document.querySelectorAll("#views a")) {
    if (one.hash.slice(1) === wanted()) one.setAttribute("aria-current", "page");
    else one.removeAttribute("aria-current");
  }
  draw();
}

document.getElementById("views").append(...Object.keys(VIEWS).map((name) => el("a", { href: `#${name}` }, name[0].toUpperCase() + name.slice(1))));
document.getElementById("live").addEventListener("click", (event) => {
  paused = !paused;
  event.target.setAttribute("aria-pressed", String(paused));
  write(event.target, paused ? "Go on" : "Pause");
  if (paused) (clearTimeout(timer), link("paused"));
  else draw();
});
const THEMES = ["", "light", "dark"];
document.getElementById("theme").addEventListener("click", () => {
  const root = document.documentElement;
  root.dataset.theme = THEMES[(THEMES.indexOf(root.dataset.theme ?? "") + 1) % THEMES.length];
});
addEventListener("hashchange", show);
show();
