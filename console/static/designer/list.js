// The same flow as a list, for whoever draws without a mouse.
import { el } from "./element.js";
import { t, wayName } from "./speech.js";

export function listOf(flow, hands, problems, vocabulary, writes) {
  const add = el("select", { id: "list-kind", "aria-label": t("Kind") }, vocabulary.kinds.map((one) => el("option", { value: one.kind }, hands.kindName(one.kind))));
  const rows = inOrder(flow).map((id) => {
    const node = flow.nodes[id];
    const wrong = problems.get(id) ?? [];
    return el("tr", { class: wrong.length ? "row-wrong" : "" },
      el("td", {}, el("b", { class: "mono" }, id), flow.definition.start === id ? el("span", { class: "tag" }, t("Start")) : null, el("small", {}, `${hands.kindName(node.kind)} · ${hands.nodeTitle(id, node)}`), wrong.map((one) => el("p", { class: "problem" }, one))),
      el("td", {}, flow.ways(id).filter((way) => way.to || !way.optional).map((way) => el("div", {}, el("span", { class: "quiet" }, `${wayName(way)} → `), way.to ? el("span", { class: "mono" }, way.to) : el("b", { class: "problem" }, t("nowhere yet"))))),
      el("td", {}, el("button", { type: "button", class: "small", "aria-label": `${t("Edit")} ${id}`, on: { click: () => hands.choose(id, true) } }, t("Edit"))));
  });
  return el("div", {},
    writes ? el("div", { class: "filters" }, el("label", {}, el("span", {}, t("Kind")), add), el("button", { type: "button", on: { click: () => hands.add(add.value, null, null) } }, t("Add"))) : null,
    el("table", { class: "table" }, el("thead", {}, el("tr", {}, el("th", {}, t("Step")), el("th", {}, t("Leads to")), el("th", {}))), el("tbody", {}, rows)));
}

/** From the start on, as an order meets them; what it never meets comes last. */
function inOrder(flow) {
  const seen = [];
  const visit = (id) => {
    if (!flow.nodes[id] || seen.includes(id)) return;
    seen.push(id);
    for (const way of flow.ways(id)) visit(way.to);
  };
  visit(flow.definition.start);
  return [...seen, ...Object.keys(flow.nodes).filter((id) => !seen.includes(id))];
}
