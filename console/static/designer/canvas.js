// The drawing: boxes and arrows by LogicFlow, which tells what a hand has done; what is true stays with the flow.
import { el } from "./element.js";
import { t, wayName } from "./speech.js";

const NEAR = 26;

export class Canvas {
  #lf;
  #drawing = false;
  #held = false;
  #waiting = null;

  constructor(container, flow, hands, writes) {
    this.flow = flow;
    this.hands = hands;
    this.container = container;
    const core = window.Core;
    this.#lf = new core.LogicFlow({
      container, grid: { size: 10, visible: false }, keyboard: { enabled: false }, adjustEdgeStartAndEnd: writes, hoverOutline: false, nodeTextEdit: false, edgeTextEdit: false, textEdit: false,
      isSilentMode: !writes, hideAnchors: !writes, edgeType: "polyline", animation: false, background: false, history: false, stopMoveGraph: false, stopScrollGraph: true, stopZoomGraph: false,
      plugins: [window.Extension.MiniMap],
      pluginsOptions: { miniMap: { width: 150, height: 100, isShowHeader: false, isShowCloseIcon: false, leftPosition: 10, bottomPosition: 10, headerTitle: "" } },
      style: { polyline: { stroke: "#aab3c5", strokeWidth: 1.6, hoverStroke: "#3451b2", selectedStroke: "#3451b2" }, edgeText: { fontSize: 11, color: "#5a6276", textWidth: 120, background: { fill: "#ffffff", radius: 4, stroke: "transparent" } }, arrow: { offset: 7, verticalLength: 3.5 }, anchor: { r: 4, stroke: "#3451b2", fill: "#fff", hover: { r: 9, fill: "#dfe5fa", fillOpacity: 0.8, stroke: "#3451b2" } }, anchorLine: { stroke: "#3451b2", strokeWidth: 1.6 } },
    });
    this.#lf.register(cardKind(core, this));
    this.#lf.register({ type: "way", view: core.PolylineEdge, model: wayModel(core) });
    this.#lf.setDefaultEdgeType("way");
    this.#listen();
  }

  /** Draws the flow as it is: problems, what is chosen and the way an order took included. */
  draw(state) {
    // What comes meanwhile must not take the box or the arrow out of a hand.
    if (this.#held) this.#waiting = state;
    else this.#drawNow(state);
  }

  #drawNow({ problems = new Map(), chosen = "", lit = new Set(), litLinks = new Set() }) {
    this.shown = { problems, chosen, lit };
    this.#drawing = true;
    const nodes = Object.keys(this.flow.nodes).map((id) => ({ id, type: "card", ...this.#spot(id), properties: { stamp: JSON.stringify([this.flow.nodes[id], problems.get(id) ?? "", chosen === id, lit.has(id), lit.size > 0, this.flow.definition.start === id]) } }));
    const edges = this.flow.links().filter((link) => this.flow.nodes[link.to]).map((link) => ({ id: `${link.from}/${link.field}`, type: "way", sourceNodeId: link.from, targetNodeId: link.to, text: ["next", "on_error"].includes(link.field) ? "" : wayName(link), properties: { lit: litLinks.has(`${link.from}>${link.to}`), trouble: /error|timeout|rejected/.test(link.field) } }));
    this.#lf.renderRawData({ nodes, edges });
    this.#drawing = false;
  }

  fit() { this.#lf.fitView(40, 40); }
  showMap() { this.#lf.extension.miniMap?.show?.(); }
  centre() { const { transformModel: at, width, height } = this.#lf.graphModel; const [x, y] = at.HtmlPointToCanvasPoint([width / 2, height / 2]); return { x, y }; }
  focus(id) { if (this.flow.nodes[id]) this.#lf.focusOn({ id }); }
  drag(kind) { this.#lf.dnd.startDrag({ type: "card", properties: { kind } }); }

  #spot(id) {
    this.flow.layout[id] ??= { x: 120, y: 80 };
    return this.flow.layout[id];
  }

  #listen() {
    const lf = this.#lf;
    document.addEventListener("pointerdown", (event) => { this.#held = Boolean(event.target.closest(".board")) && !event.target.closest("#side"); }, true);
    for (const end of ["pointerup", "pointercancel"]) document.addEventListener(end, () => setTimeout(() => {
      this.#held = false;
      const state = this.#waiting;
      this.#waiting = null;
      if (state) this.#drawNow(state);
    }), true);
    lf.on("node:click", ({ data }) => this.hands.choose(data.id));
    lf.on("edge:click", ({ data }) => this.hands.chooseWay(...splitId(data.id)));
    lf.on("blank:click", () => this.hands.choose(""));
    lf.on("node:drop", ({ data }) => { if (this.flow.nodes[data.id]) this.flow.move({ [data.id]: { x: Math.round(data.x), y: Math.round(data.y) } }); });
    lf.on("node:dnd-add", ({ data }) => {
      const kind = data.properties.kind;
      const near = this.#wayNear(data);
      queueMicrotask(() => this.hands.add(kind, { x: data.x, y: data.y }, near));
    });
    lf.on("edge:add", ({ data }) => { if (!this.#drawing) queueMicrotask(() => this.hands.connect(data.sourceNodeId, data.targetNodeId)); });
    lf.on("edge:exchange-node", ({ data }) => {
      const { oldEdge, newEdge } = data;
      queueMicrotask(() => this.hands.reattach(splitId(oldEdge.id), newEdge.sourceNodeId, newEdge.targetNodeId));
    });
  }

  #wayNear({ x, y }) {
    for (const edge of this.#lf.graphModel.edges) {
      const points = edge.pointsList ?? [];
      for (let at = 1; at < points.length; at += 1) if (distance({ x, y }, points[at - 1], points[at]) < NEAR) { const [from, field] = splitId(edge.id); return { from, field, to: edge.targetNodeId }; }
    }
    return null;
  }
}

const splitId = (id) => { const at = id.indexOf("/"); return [id.slice(0, at), id.slice(at + 1)]; };

function distance(point, from, to) {
  const [dx, dy] = [to.x - from.x, to.y - from.y];
  const along = Math.max(0, Math.min(1, ((point.x - from.x) * dx + (point.y - from.y) * dy) / (dx * dx + dy * dy || 1)));
  return Math.hypot(point.x - from.x - along * dx, point.y - from.y - along * dy);
}

function cardKind(core, canvas) {
  class CardModel extends core.HtmlNodeModel {
    setAttributes() {
      this.width = 190;
      this.height = 58;
      this.text.editable = false;
    }
    getDefaultAnchor() {
      const { x, y, width, height, id } = this;
      return [{ x, y: y - height / 2, id: `${id}-top` }, { x: x + width / 2, y, id: `${id}-right` }, { x, y: y + height / 2, id: `${id}-bottom` }, { x: x - width / 2, y, id: `${id}-left` }];
    }
    getOutlineStyle() { return { ...super.getOutlineStyle(), stroke: "transparent", hover: { stroke: "transparent" } }; }
  }
  class CardView extends core.HtmlNode {
    setHtml(root) {
      const { id } = this.props.model;
      const node = canvas.flow.nodes[id] ?? { kind: this.props.model.properties.kind ?? "" };
      const { problems = new Map(), chosen = "", lit = new Set() } = canvas.shown ?? {};
      const wrong = problems.get(id) ?? [];
      const classes = ["node-card", `node-${node.kind}`, wrong.length && "node-wrong", chosen === id && "node-chosen", lit.has(id) && "node-lit", lit.size > 0 && !lit.has(id) && "node-dim"].filter(Boolean).join(" ");
      root.replaceChildren(el("div", { class: classes, "data-node": id, title: wrong.join("\n") },
        el("span", { class: "node-kind" }, canvas.hands.kindName(node.kind)), el("b", {}, canvas.hands.nodeTitle(id, node)),
        canvas.flow.definition.start === id ? el("i", { class: "node-start" }, t("Start")) : null,
        wrong.length ? el("span", { class: "node-flag" }, String(wrong.length)) : null));
    }
  }
  return { type: "card", view: CardView, model: CardModel };
}

function wayModel(core) {
  return class extends core.PolylineEdgeModel {
    setAttributes() { this.isAnimation = false; }
    getEdgeStyle() {
      const style = super.getEdgeStyle();
      if (this.properties.lit) return { ...style, stroke: "#3451b2", strokeWidth: 3 };
      return this.properties.trouble ? { ...style, strokeDasharray: "5 4" } : style;
    }
  };
}
