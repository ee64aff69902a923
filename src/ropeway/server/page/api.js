// The one way to the server. A refusal is an Error whose text says what was not done.
//
// The token stays in this tab's sessionStorage and goes out in a header, never by itself: no other site, and no other port of this
// host, can make the browser send it.

import { inside } from "./dom.js";

const KEY = "ropeway-token";
let refused = () => {};

export const me = { name: "", roles: {}, read_only: false, version: "" };
export const token = () => sessionStorage.getItem(KEY) ?? "";
export const onRefused = (act) => (refused = act);

export function keep(value) {
  if (value) sessionStorage.setItem(KEY, value);
  else sessionStorage.removeItem(KEY);
}

// fnmatch, as the server's patterns are: * ? [abc]; ! in front takes away.
function means(pattern, name) {
  const parts = pattern.replace(/[.+^${}()|\\]/g, "\\$&").replaceAll("*", ".*").replaceAll("?", ".").replace(/\[!/g, "[^");
  try {
    return new RegExp(`^${parts}$`, "s").test(name);
  } catch {
    return false;
  }
}

// Whether this token may do it: what it may not is hidden, and the server refuses it all the same.
export function may(role, queue) {
  const patterns = me.roles[role] ?? [];
  if (queue === undefined) return patterns.length > 0;
  if (patterns.some((one) => one.startsWith("!") && means(one.slice(1), queue))) return false;
  return patterns.some((one) => !one.startsWith("!") && (one.startsWith("_") || !queue.startsWith("_")) && means(one, queue));
}

const signed = (headers = {}) => (token() ? { ...headers, Authorization: `Bearer ${token()}` } : headers);

export class Refused extends Error {
  constructor(text, status) {
    super(text);
    this.status = status;
  }
  // The server has no such door, or its store lacks the feature.
  get missing() {
    return [404, 405, 422, 501].includes(this.status);
  }
}

export async function send(path, asked = {}) {
  let response;
  try {
    response = await fetch(inside(path), { ...asked, headers: signed(asked.headers), credentials: "same-origin" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused("The server does not answer; it is unknown what was done. Is `ropeway serve` still running?", 0);
  }
  if (response.ok) return response;
  let data = null;
  try {
    data = JSON.parse(await response.text());
  } catch {
    // not ours: the status says enough
  }
  if (response.status === 401) refused(token() ? "This token is not known here, or its time is over." : "");
  throw new Refused(data?.detail ?? `The server answered ${response.status}.`, response.status);
}

// What a view asks first may be asked before the view stands: the answer lies here for it. null: forget what nobody came for.
let early = null;
export function ahead(path) {
  early = path && { path, answer: api(path) };
  early?.answer.catch(() => {}); // whoever comes for it hears it
}

export async function api(path, body) {
  if (body === undefined && early?.path === path) {
    const { answer } = early;
    early = null;
    return answer;
  }
  const response = await send(path, body === undefined ? {} : { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
  return response.status === 204 ? null : response.json();
}

// Server-sent events with the token in a header, which EventSource cannot send. Comes back by itself, with the last id that it saw.
// `told(type, data)` for each event; `changed("open" | "lost", error)`. Answers the function that ends it.
export function events(path, told, changed) {
  const ended = new AbortController();
  let last = "";
  let wait = 500;

  async function once() {
    const response = await send(path, { headers: { Accept: "text/event-stream", ...(last ? { "Last-Event-ID": last } : {}) }, signal: ended.signal });
    changed("open");
    wait = 500;
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const parts = (rest + value).split(/\r?\n\r?\n/);
      rest = parts.pop();
      for (const part of parts) one(part);
    }
  }

  function one(part) {
    let type = "message";
    const data = [];
    for (const line of part.split(/\r?\n/)) {
      if (line.startsWith("id:")) last = line.slice(3).trim();
      else if (line.startsWith("event:")) type = line.slice(6).trim();
      else if (line.startsWith("data:")) data.push(line.slice(5).replace(/^ /, ""));
    }
    if (data.length) told(type, data.join("\n"));
  }

  (async () => {
    while (!ended.signal.aborted) {
      let reason = null;
      try {
        await once();
      } catch (error) {
        reason = error;
      }
      if (ended.signal.aborted) return;
      changed("lost", reason);
      if (reason && (reason.status === 401 || reason.status === 403 || reason.missing)) return;
      await new Promise((done) => setTimeout(done, wait));
      wait = Math.min(wait * 2, 8000);
    }
  })();
  return () => ended.abort();
}

// A file to save, asked for with the token.
export async function download(path, name) {
  const at = URL.createObjectURL(await (await send(path)).blob());
  const link = document.createElement("a");
  link.href = at;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(at), 1000);
}
