// Trying a flow: on paper, over the last orders, in the sandbox; and then publishing it.
import { post } from "./door.js";
import { choice, el } from "./element.js";
import { spanInWords } from "./spans.js";
import { fieldName, t } from "./speech.js";

const number = (label, value, attributes = {}) => { const input = el("input", { type: "number", value, ...attributes }); return { input, label: el("label", {}, el("span", {}, label), input) }; };

/** One order on paper; the way it takes is lit. */
export function trying(board) {
  const total = number(t("An order over"), 12000, { min: 0, step: "any", id: "try-total" });
  const type = choice(["normal", "presale", "sample", "group_buy", "cross_border", "gift"].map((one) => [one, one]), "normal", () => {});
  const level = el("input", { value: "VIP", maxlength: 40 });
  const otherwise = choice([["smooth", t("goes smoothly")], ["silent", t("nobody answers")]], "smooth", () => {});
  const out = el("div", { class: "try-out", role: "status" });
  const go = async () => {
    const { currency, decimals } = board.vocabulary;
    const facts = { "order.currency": currency, "order.total_minor": Math.round(Number(total.input.value) * 10 ** decimals[currency]), "order.type": type.value, "customer.level": level.value };
    const found = await post("flows:simulate", { definition: board.flow.definition, facts, script: { name: "board", events: [], otherwise: otherwise.value } });
    board.light(found.path, found.links);
    const ended = { held: t("is held"), waiting: t("waits") }[found.result] ?? fieldName(found.result);
    out.replaceChildren(el("p", {}, `${t("Result")}: `, el("b", {}, ended), ` · ${found.path.length} ${t("steps")} · ${t("after")} ${spanInWords(found.ended_after)} · ${found.took_ms} ms`),
      el("ol", { class: "path" }, found.steps.map((one) => el("li", {}, el("button", { type: "button", class: "plain small", on: { click: () => { board.choose(one.node); board.canvas.focus(one.node); } } }, el("b", { class: "mono" }, one.node), ` ${one.field ? fieldName(one.field.replace(/^.*\./, "")) : ""}${one.detail ? ` (${one.detail})` : ""}`)))));
  };
  board.show(el("h2", {}, t("Try")), el("div", { class: "filters" }, total.label, el("label", {}, el("span", {}, t("Order type")), type), el("label", {}, el("span", {}, t("Customer level")), level), el("label", {}, el("span", {}, t("What is not said")), otherwise), el("button", { type: "button", class: "primary", id: "try-go", on: { click: () => board.guarded(go) } }, t("Go"))), out);
}

/** The last real orders, before and now. */
export function backtest(board, key) {
  const limit = number(t("orders"), 1000, { min: 1, max: 10000 });
  const out = el("div", { role: "status", id: "backtest-out" });
  const go = async () => {
    if (!board.isSaved || !board.draft) await board.save();
    const found = await post(`flows/${key}/draft/backtest`, { limit: Number(limit.input.value) });
    const rows = found.changes.map((one) => el("tr", {}, el("td", {}, el("a", { href: `/console/orders/${one.order_no}`, class: "mono" }, one.order_no)), el("td", {}, `${one.before.flow} v${one.before.version}`), el("td", {}, `${one.after.flow} v${one.after.version}`), el("td", {}, one.detail ?? one.why)));
    out.replaceChildren(el("p", {}, el("b", {}, `${found.changed} / ${found.orders}`), ` ${t("orders")} ${t("take another way")} · ${found.took_ms} ms`),
      rows.length ? el("table", { class: "table" }, el("thead", {}, el("tr", {}, [t("Order"), t("before"), t("now"), t("Why")].map((one) => el("th", {}, one)))), el("tbody", {}, rows)) : el("p", { class: "hint" }, t("Nothing changes its way.")));
  };
  board.show(el("h2", {}, t("Backtest over the last orders")), el("div", { class: "filters" }, limit.label, el("button", { type: "button", class: "primary", id: "backtest-go", on: { click: () => board.guarded(go) } }, t("Go"))), out);
}

/** Saved, run in the sandbox, published: in this order. */
export function publishing(board, key) {
  const reason = el("input", { maxlength: 2000, required: "", id: "publish-reason" });
  const channels = el("input", { maxlength: 400 });
  const percent = number(t("Percent of orders"), 100, { min: 1, max: 100 });
  const from = el("input", { type: "datetime-local" });
  const out = el("div", { role: "status", id: "publish-out" });
  const sandbox = async () => {
    if (!board.isSaved || !board.draft) await board.save();
    out.replaceChildren(el("p", { class: "hint" }, t("The sandbox is at work…")));
    const run = await post(`flows/${key}/draft/sandbox`, {});
    if (run.passed) board.draft = { ...board.draft, status: "sandbox_passed" };
    board.say("");
    await board.check();
    out.replaceChildren(el("ul", { class: "runs" }, run.scripts.map((one) => el("li", {}, el("span", { class: `badge tone-${one.passed ? "good" : "bad"}` }, t(one.passed ? "passed" : "failed")), ` ${one.name}: ${fieldName(String(one.result))}`, one.unmet.map((words) => el("small", {}, words)), one.error ? el("small", {}, one.error) : null))));
  };
  const publish = async () => {
    const body = { sha256: board.draft?.sha256 ?? "", reason: reason.value.trim(), percent: Number(percent.input.value) };
    const named = channels.value.split(/[,\s]+/).filter(Boolean);
    if (named.length) body.channels = named;
    if (from.value) body.starts_at = `${from.value}:00Z`;
    const done = await post(`flows/${key}/publish`, body);
    board.say(t("Published as version {n}.", { n: done.version }));
    out.replaceChildren(el("p", {}, el("a", { href: `/console/flows/${key}` }, `v${done.version}`)));
  };
  const field = (words, input) => el("label", {}, el("span", {}, words), input);
  board.show(el("h2", {}, t("Publish")), el("p", { class: "hint" }, t("Save it first, then run it in the sandbox, then publish.")),
    el("div", { class: "buttons" }, el("button", { type: "button", id: "sandbox-go", on: { click: () => board.guarded(sandbox) } }, t("Run in the sandbox"))), out,
    el("div", { class: "filters" }, field(t("Reason"), reason), field(t("Channels (empty: all)"), channels), percent.label, field(t("From when (empty: now, UTC)"), from), el("button", { type: "button", class: "primary", id: "publish-go", on: { click: () => board.guarded(publish) } }, t("Publish"))));
}
