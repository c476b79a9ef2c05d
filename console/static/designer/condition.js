// Conditions in rows, written as CEL. What the rows cannot say is kept as text.
import { choice, el } from "./element.js";
import { t, titleOf } from "./speech.js";

const OPERATORS = {
  int: [[">", "more than"], [">=", "at least"], ["<", "less than"], ["<=", "at most"], ["==", "is"], ["!=", "is not"]],
  text: [["==", "is"], ["!=", "is not"], ["in", "is one of"]],
  bool: [["==", "is"]],
  texts: [["has", "contains"]],
};

const quoted = (text) => `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
const unquoted = (text) => text.slice(1, -1).replace(/\\(.)/g, "$1");
const LITERAL = "-?\\d+|true|false|'(?:[^'\\\\]|\\\\.)*'|\"(?:[^\"\\\\]|\\\\.)*\"";

/** The rows of a condition, or null where it is richer than rows. */
export function parsed(text, facts) {
  const joined = text.includes("||") ? "||" : "&&";
  if (joined === "||" && text.includes("&&")) return null;
  const rows = text.split(joined).map((part) => row(part.trim(), facts));
  return rows.every(Boolean) ? { joined, rows } : null;
}

function row(part, facts) {
  let found = new RegExp(`^([\\w.]+)\\s*(==|!=|>=|<=|>|<)\\s*(${LITERAL})$`).exec(part);
  if (found) return known(facts, found[1], found[2], value(found[3]));
  found = /^([\w.]+)\s+in\s+\[([^\]]*)\]$/.exec(part);
  if (found) return known(facts, found[1], "in", found[2].split(",").map((one) => value(one.trim())).join(", "));
  found = new RegExp(`^(${LITERAL})\\s+in\\s+([\\w.]+)$`).exec(part);
  if (found) return known(facts, found[2], "has", value(found[1]));
  found = /^(!?)([\w.]+)$/.exec(part);
  return found ? known(facts, found[2], "==", found[1] ? "false" : "true") : null;
}

const value = (literal) => (/^['"]/.test(literal) ? unquoted(literal) : literal);
const known = (facts, fact, operator, said) => {
  const type = facts.get(fact)?.type;
  return OPERATORS[type]?.some(([one]) => one === operator) ? { fact, operator, value: said } : null;
};

export function written({ joined, rows }, facts) {
  return rows.map((one) => writtenRow(one, facts.get(one.fact).type)).join(` ${joined} `);
}

function writtenRow({ fact, operator, value: said }, type) {
  if (type === "bool") return said === "false" ? `!${fact}` : fact;
  if (operator === "has") return `${quoted(said)} in ${fact}`;
  if (operator === "in") return `${fact} in [${said.split(",").map((one) => quoted(one.trim())).join(", ")}]`;
  return `${fact} ${operator} ${type === "int" ? Number.parseInt(said || "0", 10) || 0 : quoted(said)}`;
}

/** A builder with a way to plain text and back. */
export function conditionField(text, vocabulary, onChange, label) {
  const facts = new Map(vocabulary.facts.map((one) => [one.name, one]));
  const box = el("div", { class: "condition", role: "group", "aria-label": label });
  let now = text || "true";
  let rich = now === "true" ? { joined: "&&", rows: [] } : parsed(now, facts);
  // An amount is one of the currency that another row names, or else of that of the books.
  const currency = () => (rich?.joined === "&&" && rich.rows.find((one) => one.fact === "order.currency" && one.operator === "==")?.value) || vocabulary.currency;
  const scale = () => 10 ** (vocabulary.decimals[currency()] ?? vocabulary.decimals[vocabulary.currency]);
  const shown = (one) => (isMoney(one.fact) ? String(Number(one.value) / scale()) : one.value);
  const kept = (name, text) => (isMoney(name) ? String(Math.round(Number(text) * scale())) : text);
  /** Does it, and leaves amounts what they are to people when their currency is another one afterwards. */
  const keepAmounts = (act) => {
    const before = scale();
    act();
    if (scale() !== before) for (const one of rich.rows) if (isMoney(one.fact)) one.value = String(Math.round((Number(one.value) / before) * scale()));
  };
  const say = () => { now = rich.rows.length ? written(rich, facts) : "true"; onChange(now); draw(); };
  function draw() { box.replaceChildren(...(rich ? rowsOf() : textOf(parsed(now, facts) === null && now !== "true"))); }
  function rowsOf() {
    const rows = rich.rows.map((one, index) => rowOf(one, index));
    const first = vocabulary.facts.find((one) => one.name === "order.total_minor") ?? vocabulary.facts[0];
    const add = el("button", { type: "button", class: "small", on: { click: () => { rich.rows.push({ fact: first.name, operator: ">", value: String(10000 * scale()) }); say(); } } }, t("Add a condition"));
    const raw = el("button", { type: "button", class: "plain small", on: { click: () => { rich = null; draw(); } } }, t("As text"));
    return [...rows, el("div", { class: "buttons" }, add, raw), el("code", { class: "hint" }, now)];
  }
  function rowOf(one, index) {
    const fact = facts.get(one.fact);
    const names = vocabulary.facts.filter((other) => OPERATORS[other.type]).map((other) => [other.name, titleOf(other.title) || other.name]);
    const change = (changes) => { keepAmounts(() => Object.assign(one, changes)); say(); };
    const pick = (name) => { const type = facts.get(name).type; change({ fact: name, operator: OPERATORS[type][0][0], value: type === "bool" ? "true" : type === "int" ? "0" : "" }); };
    const said = fact.type === "bool"
      ? choice([["true", t("yes")], ["false", t("no")]], one.value, (to) => change({ value: to }), { "aria-label": t("Result") })
      : el("input", { value: shown(one), type: fact.type === "int" ? "number" : "text", step: "any", "aria-label": t("Result"), on: { change: (event) => change({ value: kept(one.fact, event.target.value) }) } });
    return el("div", { class: "condition-row" },
      index ? choice([["&&", t("and")], ["||", t("or")]], rich.joined, (to) => { keepAmounts(() => { rich.joined = to; }); say(); }, { class: "joined", "aria-label": t("and") }) : null,
      choice(names, one.fact, pick, { "aria-label": t("When") }),
      choice(OPERATORS[fact.type].map(([sign, words]) => [sign, t(words)]), one.operator, (to) => change({ operator: to }), { "aria-label": t("is") }),
      said, isMoney(one.fact) ? el("span", { class: "hint" }, currency()) : null,
      el("button", { type: "button", class: "plain small cross", "aria-label": t("Remove"), on: { click: () => { keepAmounts(() => rich.rows.splice(index, 1)); say(); } } }, "×"));
  }
  function textOf(tooRich) {
    const area = el("textarea", { rows: 3, maxlength: vocabulary.limits.condition_characters, spellcheck: "false", class: "mono", "aria-label": label, on: { change: (event) => { now = event.target.value.trim(); onChange(now); draw(); } } });
    area.value = now;
    const back = el("button", { type: "button", class: "plain small", on: { click: () => { rich = now === "true" ? { joined: "&&", rows: [] } : parsed(now, facts); draw(); } } }, t("Builder"));
    return [area, tooRich ? el("p", { class: "hint" }, t("This condition is too rich for the builder; it is kept as text.")) : back];
  }
  draw();
  return box;
}

// Amounts are kept in the smallest unit and spoken of in whole ones.
const isMoney = (name) => name.endsWith("_minor");
