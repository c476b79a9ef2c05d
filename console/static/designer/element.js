// Elements without markup: text stays text.
export function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === undefined || value === null) continue;
    if (name === "on") for (const [event, listener] of Object.entries(value)) made.addEventListener(event, listener);
    else if (name === "value") made.value = value;
    else if (name in { checked: 1, selected: 1, disabled: 1, hidden: 1 }) made[name] = Boolean(value);
    else made.setAttribute(name, value);
  }
  made.append(...children.flat(9).filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

export function choice(options, value, onChange, attributes = {}) {
  const all = options.some(([one]) => one === (value ?? "")) ? options : [[value ?? "", value || "—"], ...options];
  return el("select", { ...attributes, on: { change: (event) => onChange(event.target.value) } }, all.map(([one, words]) => el("option", { value: one, selected: one === (value ?? "") }, words)));
}
