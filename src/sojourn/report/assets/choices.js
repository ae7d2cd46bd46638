// The reader's time zone and theme, kept in two cookies of the report's path.
const root = document.documentElement;
const path = root.dataset.base || "/";
const YEAR_S = 31536000;

function setCookie(name, value) {
  const secure = location.protocol === "https:" ? "; Secure" : "";
  document.cookie = `${name}=${value}; Path=${path}; Max-Age=${YEAR_S}; SameSite=Strict${secure}`;
}

/** The server writes the times, so it needs the name of the reader's time zone; the first page reloads once to use it. */
export function storeZone() {
  const zone = new Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
  if (zone === root.dataset.zone) return;
  setCookie("sojourn_report_zone", zone);
  if (!document.cookie.includes(`sojourn_report_zone=${zone}`)) return;
  try {
    if (sessionStorage.getItem("sojourn-zone") === zone) return;
    sessionStorage.setItem("sojourn-zone", zone);
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
