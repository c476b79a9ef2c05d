// What pages do beyond htmx: the browser's own time, time that is left, and forms that survive a live update.
"use strict";

const language = document.documentElement.lang;
const chinese = language.startsWith("zh");

function localised(root) {
  const format = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short" });
  for (const one of root.querySelectorAll("time[datetime]:not([data-until], [data-shown])")) {
    const at = new Date(one.dateTime);
    one.title = one.textContent;
    one.textContent = format.format(at);
    one.dataset.shown = "1";
  }
}

function spanOf(seconds) {
  const units = [[86400, chinese ? "天" : "d"], [3600, chinese ? "小时" : "h"], [60, chinese ? "分钟" : "min"]];
  const parts = [];
  let left = Math.abs(seconds);
  for (const [size, unit] of units) {
    if (left >= size || (size === 60 && !parts.length)) parts.push(`${Math.floor(left / size)} ${unit}`);
    left %= size;
  }
  return parts.slice(0, 2).join(" ");
}

function countDown() {
  for (const one of document.querySelectorAll("time[data-until]")) {
    const left = Math.trunc((new Date(one.dateTime) - Date.now()) / 1000);
    const said = spanOf(left);
    one.textContent = left < 0 ? (chinese ? `已超 ${said}` : `${said} over`) : chinese ? `剩 ${said}` : `${said} left`;
    one.className = `left left-${left < 0 ? "over" : left < 900 ? "soon" : "later"}`;
  }
}

// A live update replaces part of the page; what somebody has typed, opened or focused there stays theirs.
const kept = new Map();
const nameOf = (field) => `${field.form?.getAttribute("action")} ${field.form?.elements.hold_id?.value ?? ""} ${field.name} ${field.type === "radio" ? field.value : ""}`;

function fieldsOf(root) {
  return root.querySelectorAll("textarea, select, input:not([type=hidden])");
}

document.addEventListener("htmx:beforeSwap", (event) => {
  const root = event.detail.target;
  if (!root.hasAttribute("data-keep")) return;
  kept.clear();
  for (const field of fieldsOf(root)) kept.set(nameOf(field), { value: field.value, checked: field.checked, focus: field === document.activeElement });
  kept.set("open", [...root.querySelectorAll("details")].map((one) => one.open));
});

document.addEventListener("htmx:afterSwap", (event) => {
  const root = event.detail.target;
  localised(root);
  countDown();
  if (!root.hasAttribute("data-keep")) return;
  for (const field of fieldsOf(root)) {
    const before = kept.get(nameOf(field));
    if (!before) continue;
    if (field.type === "radio") field.checked = before.checked;
    else field.value = before.value;
    if (before.focus) field.focus();
  }
  root.querySelectorAll("details").forEach((one, index) => { one.open = kept.get("open")?.[index] ?? one.open; });
});

// One click is one request, however impatient the finger.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.dataset.sent) event.preventDefault();
  form.dataset.sent = "1";
  setTimeout(() => delete form.dataset.sent, 10000);
});

document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, textarea, select");
  if (event.key === "/" && !typing) {
    const search = document.querySelector("input[type=search]");
    if (search) { event.preventDefault(); search.focus(); }
  }
  if (event.key === "Escape") for (const one of document.querySelectorAll(".me details[open], .pop[open]")) one.open = false;
});

document.addEventListener("click", (event) => {
  for (const one of document.querySelectorAll(".me details[open], .pop[open]")) if (!one.contains(event.target)) one.open = false;
});

localised(document);
countDown();
setInterval(countDown, 15000);
