// A flow as it is drawn: its definition, where its boxes stand, and the way back to how it was before.
// What a step may lead to is read from the JSON Schema of its kind, so that a new kind needs nothing here.

const clone = (value) => structuredClone(value);

export function resolve(schema, root) {
  return schema?.$ref ? resolve(root.$defs[schema.$ref.split("/").pop()], root) : schema;
}

/** The schema that a field has when it has a value, and whether it may have none. */
export function plain(schema, root) {
  const found = resolve(schema, root) ?? {};
  const options = found.anyOf;
  if (!options) return { schema: found, optional: false };
  const filled = options.map((one) => resolve(one, root)).filter((one) => one.type !== "null");
  return { schema: { ...filled[0], anyOf: filled.length > 1 ? filled : undefined }, optional: filled.length < options.length };
}

function* waysOf(value, schema, root, path, label) {
  const { schema: found, optional } = plain(schema, root);
  if (found["x-link"]) {
    yield { field: path, to: value ?? "", label, optional };
  } else if (found.type === "array") {
    const list = Array.isArray(value) ? value : [];
    for (const [index, item] of list.entries()) yield* waysOf(item, found.items, root, `${path}[${index}]`, item?.label);
  } else if (found.type === "object" && found.patternProperties) {
    const [inner] = Object.values(found.patternProperties);
    for (const [name, item] of Object.entries(value ?? {})) if (plain(inner, root).schema["x-link"]) yield* waysOf(item, inner, root, `${path}.${name}`, name);
  } else if (found.type === "object" && found.properties && value) {
    for (const [name, part] of Object.entries(found.properties)) yield* waysOf(value[name], part, root, path ? `${path}.${name}` : name, path.endsWith("]") ? label : undefined);
  }
}

function setAt(target, path, value) {
  const steps = path.match(/[^.[\]]+/g);
  const last = steps.pop();
  const holder = steps.reduce((one, step) => one[step], target);
  if (value === null) delete holder[last];
  else holder[last] = value;
}

export class Flow {
  #past = [];
  #future = [];

  constructor(definition, layout, kinds) {
    this.definition = definition;
    this.layout = layout;
    this.kinds = new Map(kinds.map((one) => [one.kind, one]));
    this.listeners = [];
  }

  get nodes() { return this.definition.nodes; }
  schemaOf(id) { return this.kinds.get(this.nodes[id]?.kind)?.schema; }

  /** Every way out of a step, those that lead nowhere yet included. */
  ways(id) {
    const schema = this.schemaOf(id);
    return schema ? [...waysOf(this.nodes[id], schema, schema, "")] : [];
  }

  links() {
    return Object.keys(this.nodes).flatMap((id) => this.ways(id).filter((way) => way.to).map((way) => ({ from: id, ...way })));
  }

  /** Does it, and remembers how things were. */
  change(act) {
    const before = this.#snapshot();
    act();
    if (JSON.stringify(before) === JSON.stringify(this.#snapshot())) return;
    this.#past.push(before);
    if (this.#past.length > 200) this.#past.shift();
    this.#future = [];
    this.#tell();
  }

  undo() { this.#travel(this.#past, this.#future); }
  redo() { this.#travel(this.#future, this.#past); }
  get canUndo() { return this.#past.length > 0; }
  get canRedo() { return this.#future.length > 0; }

  add(kind, spot, values = {}) {
    const id = this.#freeName(kind);
    this.change(() => {
      this.nodes[id] = { kind, ...this.#firstValues(kind), ...values };
      this.layout[id] = { x: Math.round(spot.x), y: Math.round(spot.y) };
    });
    return id;
  }

  /** Between two steps: what led on leads here, and from here to where it led. */
  insert(id, link) {
    this.change(() => {
      const at = this.layout[id];
      for (const [other, spot] of Object.entries(this.layout)) if (other !== id && spot.y > at.y) this.layout[other] = { x: spot.x, y: spot.y + 120 };
      Object.assign(at, { x: this.layout[link.to]?.x ?? at.x, y: at.y + 30 });
      setAt(this.nodes[link.from], link.field, id);
      const way = this.ways(id).find((one) => !one.to) ?? this.ways(id)[0];
      if (way) setAt(this.nodes[id], way.field, link.to);
    });
  }

  connect(id, field, to) { this.change(() => setAt(this.nodes[id], field, to)); }
  disconnect(id, field) {
    const way = this.ways(id).find((one) => one.field === field);
    this.change(() => setAt(this.nodes[id], field, way?.optional ? null : ""));
  }

  set(id, values) { this.change(() => { this.nodes[id] = values; }); }

  rename(id, to) {
    if (id === to || this.nodes[to] || !/^[a-z][a-z0-9_]{0,63}$/.test(to)) return false;
    this.change(() => {
      for (const link of this.links()) if (link.to === id) setAt(this.nodes[link.from], link.field, to);
      this.definition.nodes = Object.fromEntries(Object.entries(this.nodes).map(([name, node]) => [name === id ? to : name, node]));
      if (this.definition.start === id) this.definition.start = to;
      if (this.layout[id]) { this.layout[to] = this.layout[id]; delete this.layout[id]; }
    });
    return true;
  }

  remove(id) {
    this.change(() => {
      for (const link of this.links()) if (link.to === id && link.from !== id) setAt(this.nodes[link.from], link.field, link.optional ? null : "");
      delete this.nodes[id];
      delete this.layout[id];
    });
  }

  move(spots) { this.change(() => Object.assign(this.layout, spots)); }

  /** Boxes from the top down in the order in which an order meets them. */
  arrange() {
    const graph = new window.dagre.graphlib.Graph({ multigraph: true });
    graph.setGraph({ rankdir: "TB", nodesep: 46, ranksep: 64 });
    graph.setDefaultEdgeLabel(() => ({}));
    // Almost everything leads to an exception lane when it goes wrong: lanes stand aside.
    const lanes = Object.keys(this.nodes).filter((id) => this.nodes[id].kind === "exception" && id !== this.definition.start);
    for (const id of Object.keys(this.nodes)) if (!lanes.includes(id)) graph.setNode(id, { width: 190, height: 58 });
    for (const link of this.links()) if (graph.hasNode(link.from) && graph.hasNode(link.to)) graph.setEdge(link.from, link.to, { weight: link.field === "next" ? 8 : 1 }, link.field);
    window.dagre.layout(graph);
    const spots = Object.fromEntries(graph.nodes().map((id) => [id, { x: Math.round(graph.node(id).x), y: Math.round(graph.node(id).y) }]));
    const all = Object.values(spots);
    const left = Math.min(...all.map((one) => one.x), 400);
    const middle = Math.max(...all.map((one) => one.y), 0) / 2;
    lanes.forEach((id, index) => { spots[id] = { x: left - 270, y: Math.round(middle + index * 120) }; });
    return spots;
  }

  #snapshot() { return clone({ definition: this.definition, layout: this.layout }); }
  #tell() { for (const listener of this.listeners) listener(); }

  #travel(from, to) {
    const other = from.pop();
    if (!other) return;
    to.push(this.#snapshot());
    this.definition = other.definition;
    this.layout = other.layout;
    this.#tell();
  }

  #freeName(kind) {
    for (let number = 1; ; number += 1) {
      const name = number === 1 ? kind : `${kind}_${number}`;
      if (!this.nodes[name] && name !== "default") return name;
    }
  }

  #firstValues(kind) {
    const { schema } = this.kinds.get(kind);
    return Object.fromEntries((schema.required ?? []).filter((name) => name !== "kind").map((name) => [name, firstValue(schema.properties[name], schema)]));
  }
}

/** What a field begins with: enough for a form to show, left to the checks to complain about. */
export function firstValue(schema, root) {
  const found = plain(schema, root).schema;
  if (found.default !== undefined && found.default !== null) return clone(found.default);
  if (found.enum) return found.enum[0];
  if (found.format === "duration") return "PT30M";
  if (found["x-condition"]) return "true";
  switch (found.type) {
    case "array": return Array.from({ length: found.minItems ?? 0 }, () => firstEntry(found.items, root));
    case "object": return Object.fromEntries((found.required ?? []).map((name) => [name, firstValue(found.properties[name], root)]));
    case "boolean": return false;
    case "integer": return found.minimum ?? 1;
    default: return "";
  }
}

function firstEntry(schema, root) {
  const found = plain(schema, root).schema;
  return found.properties?.role && found.properties?.superior_of ? { role: "manager" } : firstValue(found, root);
}
