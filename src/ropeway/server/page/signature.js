// Whether a body fits what a task takes: its arguments by place, by name or both, each held against its schema. A schema comes from a worker:
// what is not understood in it is passed over, no pattern of it is run, and no depth of it goes deeper than the value.

import { number } from "./dom.js";

const DEEPEST = 40;
const MOST = 5; // faults that are told at once
const NAMES = { string: "a text", integer: "a whole number", number: "a number", boolean: "true or false", null: "null", array: "a list", object: "an object" };

export const brief = (value) => {
  const text = JSON.stringify(value);
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
};

const kindOf = (value) => (value === null ? "null" : Array.isArray(value) ? "array" : typeof value === "number" ? (Number.isInteger(value) ? "integer" : "number") : typeof value);
const is = (value, type) => kindOf(value) === type || (type === "number" && typeof value === "number");
const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);

// The faults of a value, each [where, what]; none when it fits.
export function faults(value, schema, defs, where, deep = 0) {
  if (deep > DEEPEST || schema === null || typeof schema !== "object") return [];
  if (typeof schema.$ref === "string") return faults(value, defs[schema.$ref.replace("#/$defs/", "")], defs, where, deep + 1);
  const say = (what) => [[where, `${what} was expected, not ${brief(value)}`]];
  const either = schema.anyOf ?? schema.oneOf;
  if (Array.isArray(either)) {
    const tried = either.map((one) => faults(value, one, defs, where, deep + 1));
    if (tried.some((found) => !found.length)) return [];
    const fitting = tried.filter((found) => found.some(([at]) => at !== where)); // of the right kind, wrong further in
    return fitting[0] ?? say(either.map((one) => wanted(one, defs)).join(" or "));
  }
  if ("const" in schema) return same(value, schema.const) ? [] : say(brief(schema.const));
  if (Array.isArray(schema.enum)) return schema.enum.some((one) => same(one, value)) ? [] : say(`one of ${schema.enum.map(brief).join(", ")}`);
  const types = [schema.type].flat().filter((type) => type in NAMES);
  if (types.length && !types.some((type) => is(value, type))) return say(wanted(schema, defs));
  return inside(value, schema, defs, where, deep);
}

const wanted = (schema, defs) => {
  const met = typeof schema?.$ref === "string" ? (defs[schema.$ref.replace("#/$defs/", "")] ?? {}) : (schema ?? {});
  const types = [met.type].flat().filter((type) => type in NAMES).map((type) => NAMES[type]).join(" or ");
  const form = { "date-time": "a moment such as 2030-01-31T08:00:00Z", date: "a date such as 2030-01-31", uuid: "a UUID" }[met.format];
  return form ?? (types || "something else");
};

function inside(value, schema, defs, where, deep) {
  const out = [];
  const say = (what) => out.push([where, what]);
  if (typeof value === "number") {
    if (value < schema.minimum) say(`at least ${schema.minimum} was expected, not ${value}`);
    if (value <= schema.exclusiveMinimum) say(`more than ${schema.exclusiveMinimum} was expected, not ${value}`);
    if (value > schema.maximum) say(`at most ${schema.maximum} was expected, not ${value}`);
    if (value >= schema.exclusiveMaximum) say(`less than ${schema.exclusiveMaximum} was expected, not ${value}`);
  } else if (typeof value === "string") {
    const length = [...value].length;
    if (length < schema.minLength) say(`at least ${number(schema.minLength)} characters were expected`);
    if (length > schema.maxLength) say(`at most ${number(schema.maxLength)} characters were expected`);
    if (["date", "date-time"].includes(schema.format) && Number.isNaN(Date.parse(value))) say(`${wanted(schema, defs)} was expected, not ${brief(value)}`);
    if (schema.format === "uuid" && !/^[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}$/i.test(value)) say(`a UUID was expected, not ${brief(value)}`);
  } else if (Array.isArray(value)) {
    if (value.length < schema.minItems) say(`at least ${number(schema.minItems)} items were expected, not ${number(value.length)}`);
    if (value.length > schema.maxItems) say(`at most ${number(schema.maxItems)} items were expected, not ${number(value.length)}`);
    const first = Array.isArray(schema.prefixItems) ? schema.prefixItems : [];
    value.forEach((one, place) => out.length < MOST && out.push(...faults(one, first[place] ?? schema.items, defs, `${where}[${place}]`, deep + 1)));
  } else if (value !== null && typeof value === "object") {
    const known = schema.properties ?? {};
    for (const name of Array.isArray(schema.required) ? schema.required : []) if (!Object.hasOwn(value, name)) out.push([where, `${brief(name)} is missing`]);
    for (const [name, one] of Object.entries(value)) {
      if (out.length >= MOST) break;
      if (Object.hasOwn(known, name)) out.push(...faults(one, known[name], defs, `${where}.${name}`, deep + 1));
      else if (schema.additionalProperties === false) out.push([where, `${brief(name)} is not known`]);
      else out.push(...faults(one, schema.additionalProperties, defs, `${where}.${name}`, deep + 1));
    }
  }
  return out.slice(0, MOST);
}

// What does not fit in a body for this task, in words; none when all does.
export function unfit(value, told) {
  const { parameters, defs = {} } = told;
  const named = new Map(parameters.filter((one) => ["either", "name"].includes(one.kind)).map((one) => [one.name, one]));
  const places = parameters.filter((one) => ["place", "either"].includes(one.kind));
  const [more, others] = [parameters.find((one) => one.kind === "places"), parameters.find((one) => one.kind === "names")];
  let [args, kwargs] = [[], {}];
  const keys = value !== null && typeof value === "object" && !Array.isArray(value) ? Object.keys(value) : [];
  const both = keys.length > 0 && keys.every((key) => key === "args" || key === "kwargs") && Array.isArray(value.args ?? []) && kindOf(value.kwargs ?? {}) === "object";
  if (Array.isArray(value)) args = value;
  else if (value === null || typeof value !== "object") return ["A task takes a list of arguments, or an object by their names."];
  else if (both && !(named.has("args") || named.has("kwargs"))) [args, kwargs] = [value.args ?? [], value.kwargs ?? {}];
  else kwargs = value;

  const out = [];
  const given = new Set();
  args.forEach((one, place) => {
    const to = places[place] ?? more;
    if (!to) return;
    given.add(to.name);
    out.push(...faults(one, to.schema, defs, to.name));
  });
  if (args.length > places.length && !more) out.push(["", `It takes ${number(places.length)} by place, not ${number(args.length)}`]);
  for (const [name, one] of Object.entries(kwargs)) {
    const to = named.get(name) ?? others;
    if (!to) out.push(["", `There is no argument ${brief(name)}; there ${named.size === 1 ? "is" : "are"}: ${[...named.keys()].join(", ") || "none"}`]);
    else if (given.has(name)) out.push([name, "it is given twice"]);
    else out.push(...faults(one, to.schema, defs, name));
    given.add(name);
  }
  for (const one of parameters) if (one.required && !given.has(one.name)) out.push([one.name, "it is missing"]);
  return out.slice(0, MOST).map(([where, what]) => (where ? `${where}: ${what}` : what));
}

// A body to begin with: what must be given, as empty as its type allows.
export function blank(told) {
  const value = (schema, deep = 0) => {
    if (deep > 6 || schema === null || typeof schema !== "object") return null;
    if (typeof schema.$ref === "string") return value(told.defs?.[schema.$ref.replace("#/$defs/", "")], deep + 1);
    if ("default" in schema) return schema.default;
    if ("const" in schema) return schema.const;
    if (Array.isArray(schema.enum)) return schema.enum[0];
    const either = schema.anyOf ?? schema.oneOf;
    if (Array.isArray(either)) return value(either[0], deep + 1);
    if (schema.type === "object") return Object.fromEntries((schema.required ?? []).map((name) => [name, value(schema.properties?.[name], deep + 1)]));
    return { string: "", integer: 0, number: 0, boolean: false, array: [] }[schema.type] ?? null;
  };
  const needed = told.parameters.filter((one) => one.required);
  if (needed.some((one) => one.kind === "place")) return needed.filter((one) => one.kind !== "name").map((one) => value(one.schema));
  return Object.fromEntries(needed.map((one) => [one.name, value(one.schema)]));
}
