// Keyboard shortcuts: `/` searches, `j` and `k` go from row to row, `d`, `w` and `m` show a day, a week or a month.
// They can be switched off, for people whose words are heard as keys (WCAG 2.1.4).
const OFF = "sojourn-keys-off";
const RANGES = { d: "24h", w: "7d", m: "30d" };
const ROWS = "table.sessions .go, .steps .step:not(.is-quiet) .since";

function isOff() {
  try {
    return localStorage.getItem(OFF) !== null;
  } catch {
    return false;
  }
}

function setOff(off) {
  try {
    if (off) localStorage.setItem(OFF, "");
    else localStorage.removeItem(OFF);
  } catch {
    // without storage they are on again on the next page
  }
}

function search() {
  const field = document.querySelector("input[type=search]");
  if (!field) return false;
  field.focus();
  field.select();
  return true;
}

function move(step) {
  const rows = [...document.querySelectorAll(ROWS)];
  const place = rows.indexOf(document.activeElement);
  const next = rows[place < 0 ? (step > 0 ? 0 : -1) : place + step];
  if (!next) return false;
  next.focus();
  next.scrollIntoView({ block: "nearest" });
  return true;
}

function showRange(name) {
  const link = document.querySelector(`.ranges a[data-range="${name}"]`);
  if (!link) return false;
  link.click();
  return true;
}

function act(key) {
  if (key === "/") return search();
  if (key === "j") return move(1);
  if (key === "k") return move(-1);
  return key in RANGES && showRange(RANGES[key]);
}

export function followKeys() {
  const foot = document.querySelector("[data-keys]");
  if (!foot) return;
  let off = isOff();
  const button = foot.querySelector("button");
  const show = () => {
    button.textContent = off ? "Turn shortcuts on" : "Turn shortcuts off";
    foot.classList.toggle("is-off", off);
  };
  button.addEventListener("click", () => {
    off = !off;
    setOff(off);
    show();
  });
  show();
  foot.hidden = false;
  document.addEventListener("keydown", (event) => {
    if (off || event.ctrlKey || event.metaKey || event.altKey || event.isComposing || event.defaultPrevented) return;
    if (event.target.closest?.("input, textarea, select, [contenteditable]")) return;
    if (act(event.key)) event.preventDefault();
  });
}
