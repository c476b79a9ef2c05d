// Lengths of time in words: PT30M is 30 minutes.
import { choice, el } from "./element.js";
import { t } from "./speech.js";

const UNITS = [["M", "minutes", "T"], ["H", "hours", "T"], ["D", "days", ""]];

export function spanField(value, onChange, { optional = false, label = "" } = {}) {
  const found = /^(-?)P(T?)(\d+)([MHD])$/.exec(value ?? "");
  if (value && !found) return el("input", { value, "aria-label": label, on: { change: (event) => onChange(event.target.value.trim() || undefined) } });
  const sign = found?.[1] ?? "";
  const unit = found?.[4] ?? "M";
  const number = el("input", { type: "number", min: 1, step: 1, value: found?.[3] ?? "", "aria-label": label });
  const units = choice(UNITS.map(([letter, words]) => [letter, t(words)]), unit, () => say(), { "aria-label": `${label} ${t("Kind")}` });
  function say() {
    const count = Number.parseInt(number.value, 10);
    const mark = UNITS.find(([letter]) => letter === units.value)[2];
    if (count > 0) onChange(`${sign}P${mark}${count}${units.value}`);
    else if (optional) onChange(undefined);
  }
  number.addEventListener("change", say);
  return el("span", { class: "span-field" }, number, units);
}

/** A length of time as people say it: P1DT2H is 1 days 2 hours. */
export function spanInWords(span) {
  const found = /^P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:[\d.]+S)?)?$/.exec(span ?? "");
  if (!found) return span ?? "";
  const parts = ["days", "hours", "minutes"].map((unit, at) => [found[at + 1], unit]).filter(([count]) => Number(count) > 0);
  return (parts.length ? parts : [["0", "minutes"]]).map(([count, unit]) => `${count} ${t(unit)}`).join(" ");
}
