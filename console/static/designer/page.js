// The drawing board: one flow, drawn on a canvas or as a list, checked as it changes, tried, saved and published.
import { Canvas } from "./canvas.js";
import { conditionField } from "./condition.js";
import { ask, post, read, Refusal } from "./door.js";
import { choice, el } from "./element.js";
import { Flow } from "./flow.js";
import { fieldsOf } from "./form.js";
import { listOf } from "./list.js";
import { askedOf, fieldName, t, titleOf, wayName } from "./speech.js";
import { backtest, publishing, trying } from "./tries.js";

const root = document.getElementById("designer");
const { key, template } = root.dataset;
const writes = Boolean(root.dataset.writes);
const parts = Object.fromEntries(["palette", "canvas", "list", "side", "result", "draft-state", "board-said", "flow-title"].map((id) => [id, document.getElementById(id)]));

class Board {
  chosen = "";
  problems = new Map();
  loose = [];
  lit = new Set();
  litLinks = new Set();
  asList = false;

  async open() {
    this.vocabulary = await read("flow-vocabulary");
    const known = await this.#known();
    this.flow = new Flow(known.definition, known.layout, this.vocabulary.kinds);
    if (Object.keys(this.flow.nodes).some((id) => !this.flow.layout[id])) this.flow.layout = { ...this.flow.arrange(), ...known.layout };
    this.saved = JSON.stringify(this.flow.definition);
    this.savedLayout = JSON.stringify(this.flow.layout);
    this.flow.listeners.push(() => this.#changed());
    this.canvas = new Canvas(parts.canvas, this.flow, this, writes);
    this.#drawPalette();
    this.#listen();
    await this.check();
    this.canvas.fit();
    this.canvas.showMap();
    this.#drawSide();
    root.dataset.ready = "1";
  }

  async #known() {
    let flow = null;
    try { flow = await read(`flows/${key}`); } catch (missing) { if (!(missing instanceof Refusal) || missing.status !== 404) throw missing; }
    const layout = flow?.layout ?? {};
    if (flow?.draft) await this.#takeDraft();
    if (template) return { definition: (await read(`flow-templates/${template}`)).definition, layout: {} };
    if (this.draft) return { definition: this.draft.definition, layout };
    const version = flow?.versions[0]?.version;
    return { definition: (await read(`flows/${key}/versions/${version}`)).definition, layout };
  }

  async #takeDraft() {
    const { content, etag } = await ask("GET", `flows/${key}/draft`);
    this.draft = content;
    this.etag = etag;
  }

  // What hands do on the canvas, in the list and in forms.
  kindName(kind) { return titleOf(this.vocabulary.kinds.find((one) => one.kind === kind)?.title) || kind; }

  nodeTitle(id, node) {
    const named = (list, name) => titleOf(this.vocabulary[list].find((one) => one.name === name)?.title) || name;
    if (node.kind === "action" && node.action) return named("actions", node.action);
    if (node.kind === "wait" && node.event) return named("events", node.event);
    if (node.kind === "approval") return askedOf(node) || id;
    if (node.kind === "end") return fieldName(String(node.result ?? id));
    return id;
  }

  choose(id, focus = false) {
    this.chosen = id;
    this.#draw();
    this.#drawSide();
    if (focus) parts.side.querySelector("input, select, textarea")?.focus();
  }

  chooseWay(id, field) {
    this.choose(id);
    this.side?.querySelector(`[data-way="${CSS.escape(field)}"]`)?.focus();
  }

  add(kind, spot, near) {
    const beside = this.flow.layout[this.chosen];
    const place = spot ?? (beside ? { x: beside.x, y: beside.y + 120 } : this.canvas.centre());
    const id = this.flow.add(kind, place);
    if (near) this.flow.insert(id, near);
    this.choose(id, !spot);
  }

  connect(from, to) {
    const ways = this.flow.ways(from);
    this.#draw();
    if (!ways.length) return;
    const open = ways.filter((way) => !way.to && !way.optional);
    if (open.length === 1 || ways.length === 1) this.flow.connect(from, (open[0] ?? ways[0]).field, to);
    else this.#whichWay(from, to, ways);
  }

  reattach([from, field], source, target) {
    if (source === from) this.flow.connect(from, field, target);
    else { this.flow.disconnect(from, field); this.connect(source, target); }
    this.#draw();
  }

  #whichWay(from, to, ways) {
    const dialog = el("dialog", { class: "card" }, el("h2", {}, t("Which way?")), el("div", { class: "way-list" }, ways.map((way) => el("button", { type: "button", on: { click: () => { dialog.remove(); this.flow.connect(from, way.field, to); } } }, wayName(way), way.to ? el("small", {}, ` → ${way.to}`) : null))), el("button", { type: "button", class: "plain", on: { click: () => dialog.remove() } }, t("Close")));
    document.body.append(dialog);
    dialog.showModal();
  }

  // What the page shows.
  #changed() {
    this.lit.clear();
    this.litLinks.clear();
    if (this.chosen && !this.flow.nodes[this.chosen]) this.chosen = "";
    this.#draw();
    this.#drawSide();
    clearTimeout(this.waiting);
    this.waiting = setTimeout(() => this.check(), 250);
  }

  async check() {
    const number = (this.checks = (this.checks ?? 0) + 1);
    const { problems, sha256 } = await post("flows:validate", { definition: this.flow.definition });
    if (number !== this.checks) return;
    this.sha256 = sha256;
    this.problems = new Map();
    this.loose = problems.filter((one) => !this.flow.nodes[one.node]);
    for (const one of problems) if (this.flow.nodes[one.node]) this.problems.set(one.node, [...(this.problems.get(one.node) ?? []), one.message]);
    this.count = problems.length;
    this.#draw();
    this.#drawProblems();
  }

  get isSaved() { return JSON.stringify(this.flow.definition) === this.saved; }

  #draw() {
    if (this.asList) parts.list.replaceChildren(listOf(this.flow, this, this.problems, this.vocabulary, writes));
    else this.canvas.draw(this);
    this.#drawState();
  }

  #drawState() {
    const title = titleOf(this.flow.definition.title) || key;
    parts["flow-title"].textContent = title;
    const words = { draft: "Draft", validated: "Without problems", sandbox_passed: "Sandbox passed" };
    const state = !this.isSaved ? t("Not saved") : this.draft ? t(words[this.draft.status]) : t("Published");
    parts["draft-state"].textContent = this.count ? `${state} · ${this.count} ${t("Problems")}` : state;
    parts["draft-state"].className = `badge badge-large tone-${this.count ? "bad" : !this.isSaved ? "warn" : "good"}`;
    for (const [what, possible] of [["undo", this.flow.canUndo], ["redo", this.flow.canRedo]]) root.querySelector(`[data-do=${what}]`).disabled = !possible;
  }

  #drawPalette() {
    if (!writes) return;
    parts.palette.append(el("p", { class: "hint" }, t("Drag onto the board, or press Enter")), ...this.vocabulary.kinds.map((one) => el("button", { type: "button", class: `palette-item node-${one.kind}`, "data-kind": one.kind, on: {
      pointerdown: (event) => { if (event.button === 0 && !this.asList) this.canvas.drag(one.kind); },
      keydown: (event) => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); this.add(one.kind, null, null); } },
    } }, titleOf(one.title))));
  }

  #drawSide() {
    const id = this.chosen;
    const active = document.activeElement?.closest("#side") ? [...parts.side.querySelectorAll("input, select, textarea, button")].indexOf(document.activeElement) : -1;
    parts.side.replaceChildren(...(id ? this.#nodeForm(id) : this.#flowForm()), this.problemBox = el("div", { class: "problems" }));
    this.side = parts.side;
    this.#drawProblems();
    if (active >= 0) parts.side.querySelectorAll("input, select, textarea, button")[active]?.focus();
    if (!writes) for (const one of parts.side.querySelectorAll("input, select, textarea, button")) one.disabled = true;
  }

  #nodeForm(id) {
    const node = this.flow.nodes[id];
    const schema = this.flow.schemaOf(id);
    const context = { vocabulary: this.vocabulary, flow: this.flow, id };
    const name = el("input", { value: id, class: "mono", pattern: "[a-z][a-z0-9_]*", maxlength: 64, on: { change: (event) => { const to = event.target.value; if (this.flow.rename(id, to)) this.choose(to); else event.target.value = id; } } });
    return [
      el("div", { class: "card-head" }, el("h2", {}, this.kindName(node.kind)), el("button", { type: "button", class: "plain small cross", "aria-label": t("Close"), on: { click: () => this.choose("") } }, "×")),
      el("label", { class: "field" }, el("span", { class: "field-name" }, t("Name")), name),
      ...(schema ? fieldsOf(node, schema, schema, context, (to) => this.flow.set(id, to)) : []),
      el("div", { class: "buttons" },
        this.flow.definition.start === id ? null : el("button", { type: "button", class: "small", on: { click: () => this.flow.change(() => { this.flow.definition.start = id; }) } }, t("Start here")),
        el("button", { type: "button", class: "small danger", on: { click: () => this.flow.remove(id) } }, t("Remove"))),
    ];
  }

  #flowForm() {
    const { definition } = this.flow;
    const set = (act) => this.flow.change(act);
    const line = (label, value, say, type = "text") => el("label", { class: "field" }, el("span", { class: "field-name" }, label), el("input", { value: value ?? "", type, on: { change: (event) => set(() => say(event.target.value)) } }));
    const when = definition.match ? [el("div", { class: "field" }, el("span", { class: "field-name" }, t("Takes orders where")), conditionField(definition.match.when, this.vocabulary, (to) => set(() => { definition.match.when = to; }), t("Takes orders where"))), line(t("Priority"), definition.match.priority, (to) => { definition.match.priority = Number(to); }, "number")] : [];
    return [el("h2", {}, t("The flow")), line(t("Title (English)"), definition.title?.en, (to) => { definition.title.en = to; }), line(t("Title (Chinese)"), definition.title?.zh, (to) => { definition.title.zh = to; }), ...when,
      el("label", { class: "field" }, el("span", { class: "field-name" }, t("Start")), choice(Object.keys(this.flow.nodes).map((one) => [one, one]), definition.start, (to) => set(() => { definition.start = to; }))),
      el("p", { class: "hint" }, t("Choose a step, or add one."))];
  }

  #drawProblems() {
    if (!this.problemBox) return;
    const own = this.chosen ? (this.problems.get(this.chosen) ?? []).map((words) => el("li", {}, words)) : [
      ...this.loose.map((one) => el("li", {}, one.message)),
      ...[...this.problems].flatMap(([id, list]) => list.map((words) => el("li", {}, el("button", { type: "button", class: "plain small", on: { click: () => { this.choose(id); this.canvas.focus(id); } } }, el("b", { class: "mono" }, id), ` ${words}`)))),
    ];
    this.problemBox.replaceChildren(el("h3", {}, t("Problems")), own.length ? el("ul", {}, own) : el("p", { class: "hint" }, t("No problem.")));
  }

  say(words, tone = "good", ...more) {
    parts["board-said"].hidden = !words;
    parts["board-said"].className = `said said-${tone}`;
    parts["board-said"].replaceChildren(words, ...more);
  }

  light(path, links) {
    this.lit = new Set(path);
    this.litLinks = new Set(links.map((one) => `${one.from}>${one.to}`));
    this.#draw();
  }

  show(...content) {
    parts.result.hidden = false;
    parts.result.replaceChildren(el("button", { type: "button", class: "plain small cross result-close", "aria-label": t("Close"), on: { click: () => { parts.result.hidden = true; this.light([], []); } } }, "×"), ...content);
    parts.result.scrollIntoView({ block: "nearest" });
  }

  // Buttons.
  async save() {
    const headers = this.etag ? { "If-Match": this.etag } : { "If-None-Match": "*" };
    try {
      const { content, etag } = await ask("PUT", `flows/${key}/draft`, { definition: this.flow.definition }, headers);
      this.draft = content;
      this.etag = etag;
      this.saved = JSON.stringify(this.flow.definition);
      if (JSON.stringify(this.flow.layout) !== this.savedLayout) await this.#saveLayout();
      this.say(t("Saved"));
      this.#drawState();
    } catch (refused) {
      if (refused.status !== 412) throw refused;
      const theirs = el("button", { type: "button", class: "small", on: { click: () => location.reload() } }, t("Load theirs"));
      this.say(t("Somebody else has saved in the meantime ({who}). Load theirs and repeat your change.", { who: refused.problem.facts?.updated_by ?? "" }), "warn", " ", theirs);
    }
  }

  async #saveLayout() {
    const nodes = Object.fromEntries(Object.entries(this.flow.layout).filter(([id]) => this.flow.nodes[id]));
    await ask("PUT", `flows/${key}/layout`, { nodes });
    this.savedLayout = JSON.stringify(this.flow.layout);
  }

  #listen() {
    const acts = {
      undo: () => this.flow.undo(), redo: () => this.flow.redo(), fit: () => this.canvas.fit(), save: () => this.save(),
      arrange: () => { this.flow.move(this.flow.arrange()); this.canvas.fit(); },
      view: (button) => { this.asList = !this.asList; parts.list.hidden = !this.asList; parts.canvas.hidden = this.asList; button.setAttribute("aria-pressed", String(this.asList)); this.#draw(); },
      try: () => trying(this), backtest: () => backtest(this, key), publish: () => publishing(this, key),
    };
    for (const button of root.querySelectorAll("[data-do]")) button.addEventListener("click", () => this.guarded(() => acts[button.dataset.do](button)));
    document.addEventListener("keydown", (event) => {
      if (event.target.closest("input, textarea, select, dialog")) return;
      if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "z") { event.preventDefault(); if (event.shiftKey) this.flow.redo(); else this.flow.undo(); }
      if ((event.key === "Delete" || event.key === "Backspace") && this.chosen && writes) { event.preventDefault(); this.flow.remove(this.chosen); }
    });
    window.addEventListener("beforeunload", (event) => { if (!this.isSaved) event.preventDefault(); });
  }

  async guarded(act) {
    try { await act(); } catch (refused) { this.say(refused.message, "bad"); if (!(refused instanceof Refusal)) throw refused; }
  }
}

const board = new Board();
board.guarded(() => board.open());
