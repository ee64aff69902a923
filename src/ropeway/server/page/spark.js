// The line of the last minute.

import { svg } from "./dom.js";

export function spark(values) {
  const most = Math.max(1, ...values);
  const points = values.map((value, place) => `${(((place + 60 - values.length) * 120) / 59).toFixed(1)},${(19 - (value * 18) / most).toFixed(1)}`).join(" ");
  const line = svg("polyline", { points });
  return svg("svg", { viewBox: "0 0 120 20", class: "spark", role: "img", "aria-label": `waiting: now ${values.at(-1) ?? 0}, at most ${Math.max(0, ...values)} in the last minute` }, line);
}
