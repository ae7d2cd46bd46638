// The reader's time zone and theme, kept in two cookies of the report's path.
const root = document.documentElement;
const path = root.dataset.base || "/";
const YEAR_S = 31536000;

function setCookie(name, value) {
  const secure = location.protocol === "https:" ? "; Secure" : "";
  document.cookie = `${name}=${value}; Path=${path}; Max-Age=${YEAR_S}; SameSite=Strict${secure}`;
}

/** The server writes the times, so it needs the reader's offset from UTC; the first page reloads once to use it. */
export function storeZone() {
  const offset = -new Date().getTimezoneOffset();
  if (String(offset) === root.dataset.zone) return;
  setCookie("sojourn_report_zone", offset);
  if (!document.cookie.includes(`sojourn_report_zone=${offset}`)) return;
  try {
    if (sessionStorage.getItem("sojourn-zone") === String(offset)) return;
    sessionStorage.setItem("sojourn-zone", String(offset));
  } catch {
    return;
  }
  if (document.querySelector("main time, main .chart")) location.reload();
}

/** Switch the theme without a reload. */
export function followTheme() {
  const form = document.querySelector("[data-theme-form]");
  if (!form) return;
  const order = ["auto", "light", "dark"];
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const next = order[(order.indexOf(root.dataset.theme) + 1) % order.length];
    root.dataset.theme = next;
    setCookie("sojourn_report_theme", next);
    const button = form.querySelector("button");
    button.title = `Theme: ${next}`;
    button.querySelector(".hidden").textContent = `Theme: ${next}. Switch to ${order[(order.indexOf(next) + 1) % 3]}`;
  });
}
