// The reader's clock and colours, kept in two cookies of the report's own path.
const root = document.documentElement;
const path = root.dataset.base || "/";
const YEAR_S = 31536000;

function keep(name, value) {
  const secure = location.protocol === "https:" ? "; Secure" : "";
  document.cookie = `${name}=${value}; Path=${path}; Max-Age=${YEAR_S}; SameSite=Strict${secure}`;
}

/** Times are written by the server, so it is told the reader's offset; the first page is then asked for once more. */
export function tellZone() {
  const offset = -new Date().getTimezoneOffset();
  if (String(offset) === root.dataset.zone) return;
  keep("sojourn_report_zone", offset);
  if (!document.cookie.includes(`sojourn_report_zone=${offset}`)) return;
  try {
    if (sessionStorage.getItem("sojourn-zone") === String(offset)) return;
    sessionStorage.setItem("sojourn-zone", String(offset));
  } catch {
    return;
  }
  if (document.querySelector("main time, main .chart")) location.reload();
}

/** Colours change at once; the server hears of them with the next page. */
export function followTheme() {
  const form = document.querySelector("[data-theme-form]");
  if (!form) return;
  const order = ["auto", "light", "dark"];
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const next = order[(order.indexOf(root.dataset.theme) + 1) % order.length];
    root.dataset.theme = next;
    keep("sojourn_report_theme", next);
    const button = form.querySelector("button");
    button.title = `Theme: ${next}`;
    button.querySelector(".hidden").textContent = `Theme: ${next}. Switch to ${order[(order.indexOf(next) + 1) % 3]}`;
  });
}
