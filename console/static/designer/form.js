// The form of a step, made from the JSON Schema of its kind.
import { conditionField } from "./condition.js";
import { choice, el } from "./element.js";
import { firstValue, plain } from "./flow.js";
import { fieldName, t, titleOf } from "./speech.js";
import { spanField } from "./spans.js";

const REGISTRIES = { action: "actions", event: "events", notice: "notices", audience: "audiences", queue: "queues", moment: "moments", role: "roles", calendar: "calendars", hold_reason: "hold_reasons", fact: "facts" };

/** Fields for the value under `schema`; `onChange` gets the whole new value. */
export function fieldsOf(value, schema, root, context, onChange) {
  const made = Object.entries(schema.properties ?? {})
    .filter(([name]) => !(name === "kind" && schema.properties.kind.const))
    .map(([name, part]) => {
      const say = (to) => { const next = { ...value }; if (to === undefined || to === null) delete next[name]; else next[name] = to; onChange(schema.title === "Clock" ? withCalendar(next, context.vocabulary) : next); };
      return field(name, value[name], part, root, { ...context, required: (schema.required ?? []).includes(name) }, say);
    });
  const rare = made.filter((one) => one.matches(".field-rare"));
  const usual = made.filter((one) => !rare.includes(one));
  return rare.length ? [...usual, el("details", {}, el("summary", { class: "hint" }, t("more")), el("div", { class: "rare" }, rare))] : usual;
}

// Working hours are those of a calendar: of the first, until another is chosen. Every minute needs none.
function withCalendar(clock, vocabulary) {
  const { id, ...rest } = clock;
  return clock.kind === "working_hours" ? { ...rest, id: id ?? vocabulary.calendars[0]?.name } : rest;
}

function field(name, value, part, root, context, say) {
  const { schema, optional } = plain(part, root);
  const label = fieldName(name);
  const free = optional || !context.required;
  const control = controlOf(name, value, schema, root, { ...context, free, label, instead: part.default ?? undefined }, say);
  const grouped = control.matches("div, fieldset");
  const rare = ["max_visits", "template", "retry", "table", "version", "returned", "withdrawn", "delegation", "cc", "id"].includes(name) && value === undefined;
  return el(grouped ? "div" : "label", { class: `field${rare ? " field-rare" : ""}` }, el("span", { class: "field-name" }, label), control);
}

function controlOf(name, value, schema, root, context, say) {
  const { vocabulary, flow, id, free, label, instead } = context;
  const none = free ? [["", typeof instead === "string" ? fieldName(instead) : t("none")]] : [];
  const given = (to) => say(to === "" ? undefined : to);
  if (schema["x-link"]) return choice([["", t("nowhere yet")], ...Object.keys(flow.nodes).filter((one) => one !== id).map((one) => [one, one])], value, (to) => say(to === "" && !free ? "" : to || undefined));
  if (schema["x-condition"]) return conditionField(value, vocabulary, say, label);
  if (schema["x-registry"]) return choice([...none, ...names(schema["x-registry"], vocabulary)], value, given);
  if (name === "flow") return choice(vocabulary.subflows.map((one) => [one.key, titleOf(one.title) || one.key]), value, given);
  if (name === "mode") return modeField(value, schema, root, say, label);
  if (schema.format === "duration") return spanField(value ?? instead, say, { optional: free, label });
  if (schema.enum) return choice([...none, ...schema.enum.map((one) => [one, fieldName(one)])], value, given);
  if (schema.anyOf) return anyOf(value, schema, given, root);
  switch (schema.type) {
    case "boolean": return choice([["true", t("yes")], ["false", t("no")]], String(value ?? schema.default ?? false), (to) => say(to === "true"));
    case "integer": return el("input", { type: "number", min: schema.minimum, max: schema.maximum, value: value ?? "", on: { change: (event) => say(event.target.value === "" ? undefined : Number(event.target.value)) } });
    case "array": return listOf(value ?? [], schema, root, context, say);
    case "object": return objectOf(name, value, schema, root, context, say);
    default: return el("input", { value: value ?? "", maxlength: schema.maxLength, on: { change: (event) => given(event.target.value) } });
  }
}

// Any, all, in turn, or a vote with its threshold: so many, or a share of those who do not abstain.
function modeField(value, schema, root, say, label) {
  const named = schema.anyOf.flatMap((one) => plain(one, root).schema.enum ?? []);
  const votes = typeof value === "object";
  const share = votes && value.vote < 1;
  const which = choice([...named, "vote"].map((one) => [one, fieldName(one)]), votes ? "vote" : value ?? schema.default ?? "any", (to) => say(to === "vote" ? { vote: 0.5 } : to), { "aria-label": label });
  if (!votes) return which;
  const unit = choice(["share", "count"].map((one) => [one, fieldName(one)]), share ? "share" : "count", (to) => say({ vote: to === "share" ? 0.5 : 2 }), { "aria-label": `${label} ${t("Kind")}` });
  const limits = share ? { min: 50, max: 99 } : { min: 1, max: 100 };
  const number = el("input", { type: "number", step: 1, ...limits, value: share ? Math.round(value.vote * 100) : value.vote, "aria-label": fieldName("vote"), on: { change: (event) => say({ vote: share ? Number(event.target.value) / 100 : Math.round(Number(event.target.value)) }) } });
  return el("div", { class: "items" }, which, el("span", { class: "span-field" }, number, unit));
}

function anyOf(value, schema, given, root) {
  const named = schema.anyOf.flatMap((one) => plain(one, root).schema.enum ?? []);
  if (!named.length) return el("input", { value: typeof value === "object" ? JSON.stringify(value) : value ?? "", on: { change: (event) => given(event.target.value) } });
  if (typeof value === "object") return el("input", { value: JSON.stringify(value), on: { change: (event) => { try { given(JSON.parse(event.target.value)); } catch { event.target.setAttribute("aria-invalid", "true"); } } } });
  return choice(named.map((one) => [one, fieldName(one)]), value, given);
}

function objectOf(name, value, schema, root, context, say) {
  if (schema.patternProperties) return pairs(value ?? {}, schema, root, context, say);
  if (value === undefined && context.free) {
    return el("div", {}, el("button", { type: "button", class: "small", on: { click: () => say(firstValue(schema, root)) } }, t("Add")));
  }
  const remove = context.free ? el("button", { type: "button", class: "plain small", on: { click: () => say(undefined) } }, t("Remove")) : null;
  return el("fieldset", { class: "group" }, fieldsOf(value ?? {}, schema, root, context, say), remove);
}

function listOf(value, schema, root, context, say) {
  const inner = plain(schema.items, root).schema;
  if (inner.enum) {
    return el("div", { class: "ticks" }, inner.enum.map((one) => el("label", { class: "tick-line" }, el("input", { type: "checkbox", checked: value.includes(one), on: { change: (event) => say(event.target.checked ? [...value, one] : value.filter((other) => other !== one)) } }), fieldName(one))));
  }
  const replace = (index, to) => say(value.map((one, at) => (at === index ? to : one)));
  const items = value.map((item, index) => el("div", { class: "item" },
    inner.properties ? el("fieldset", { class: "group" }, itemFields(item, inner, root, context, (to) => replace(index, to))) : controlOf("", item, inner, root, { ...context, free: false, label: `${context.label} ${index + 1}` }, (to) => replace(index, to)),
    el("button", { type: "button", class: "plain small cross", "aria-label": `${t("Remove")} ${context.label} ${index + 1}`, on: { click: () => say(value.filter((_one, at) => at !== index)) } }, "×")));
  const add = el("button", { type: "button", class: "small", on: { click: () => say([...value, fresh(inner, root, value.length + 1)]) } }, t("Add an item"));
  return el("div", { class: "items" }, items, add);
}

// A person, a role, or a superior: one of the three, and most often a role.
function fresh(inner, root, number) {
  if (inner.properties?.role && inner.properties?.superior_of) return { role: "manager" };
  const made = firstValue(inner, root);
  if (inner.properties?.label) made.label = t("Case {n}", { n: number });
  if (inner.properties?.to?.type === "array") made.to = [{ superior_of: "assignee" }];
  return made;
}

function itemFields(item, inner, root, context, say) {
  if (!(inner.properties.role && inner.properties.superior_of)) return fieldsOf(item, inner, root, context, say);
  const which = ["role", "superior_of", "user"].find((name) => item[name] !== undefined) ?? "role";
  const firsts = { role: "manager", superior_of: "assignee", user: "" };
  const kinds = choice(Object.keys(firsts).map((name) => [name, fieldName(name)]), which, (to) => say({ [to]: firsts[to] }), { "aria-label": t("Kind") });
  return [kinds, controlOf(which, item[which], plain(inner.properties[which], root).schema, root, { ...context, free: false, label: fieldName(which) }, (to) => say({ [which]: to ?? "" }))];
}

function pairs(value, schema, root, context, say) {
  const [inner] = Object.values(schema.patternProperties);
  const part = plain(inner, root).schema;
  const offered = schema.propertyNames?.["x-registry"] === "settable" ? context.vocabulary.facts.filter((one) => one.settable).map((one) => one.name) : context.vocabulary.subflows.flatMap((one) => one.outcomes);
  const rows = Object.entries(value).map(([name, one]) => el("div", { class: "item pair-row" },
    el("input", { value: name, list: "pair-names", "aria-label": t("Name"), on: { change: (event) => say(Object.fromEntries(Object.entries(value).map(([key, kept]) => [key === name ? event.target.value.trim() : key, kept]))) } }),
    part["x-link"] ? controlOf("", one, part, root, { ...context, free: false }, (to) => say({ ...value, [name]: to ?? "" })) : el("input", { value: String(one), "aria-label": name, on: { change: (event) => say({ ...value, [name]: typed(event.target.value) }) } }),
    el("button", { type: "button", class: "plain small cross", "aria-label": `${t("Remove")} ${name}`, on: { click: () => say(Object.fromEntries(Object.entries(value).filter(([key]) => key !== name))) } }, "×")));
  const next = offered.find((one) => !(one in value)) ?? `value_${rows.length + 1}`;
  return el("div", { class: "items" }, rows, el("datalist", { id: "pair-names" }, offered.map((one) => el("option", { value: one }))), el("button", { type: "button", class: "small", on: { click: () => say({ ...value, [next]: part["x-link"] ? "" : "" }) } }, t("Add an item")));
}

const typed = (text) => (text === "true" ? true : text === "false" ? false : text);

function names(registry, vocabulary) {
  const found = registry === "compensation" ? [...new Set([...vocabulary.actions, ...vocabulary.events].map((one) => one.compensation).filter(Boolean))] : vocabulary[REGISTRIES[registry]] ?? [];
  return found.map((one) => (typeof one === "string" ? [one, one] : [one.name, `${titleOf(one.title) || one.name}${one.people === undefined ? "" : ` (${one.people})`}`]));
}
