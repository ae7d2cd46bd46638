// Live updates. Polls only while the page is visible, and less often while requests fail.
import { addCopyButtons } from "./copy.js";

const root = document.documentElement;
const skew = Date.now() - Number(root.dataset.now);
const now = () => Date.now() - skew;
const MOST_ROWS = 100;
const LONGEST_S = 60;

class LoggedOut extends Error {}

async function load(url, as = "json") {
  const response = await fetch(url, { credentials: "same-origin", headers: { accept: as === "json" ? "application/json" : "text/html" } });
  if (response.status === 401 || response.redirected) throw new LoggedOut();
  if (!response.ok) throw new Error(String(response.status));
  return as === "json" ? response.json() : response.text();
}

/** Run `work` every so many seconds while the page is visible; after failures, with growing pauses. `false` ends it. */
function every(seconds, work) {
  let wait = seconds;
  let timer = 0;
  let isRunning = false;
  const schedule = () => {
    clearTimeout(timer);
    timer = setTimeout(run, wait * 1000);
  };
  async function run() {
    if (document.hidden || isRunning) return;
    isRunning = true;
    try {
      if ((await work()) === false) return;
      wait = seconds;
      delete root.dataset.stale;
    } catch (error) {
      if (error instanceof LoggedOut) {
        location.reload();
        return;
      }
      wait = Math.min(wait * 2, LONGEST_S);
      root.dataset.stale = "";
    } finally {
      isRunning = false;
    }
    schedule();
  }
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) run();
  });
  schedule();
}

// The server escapes this markup, as it does that of a page.
function parsed(html) {
  return new DOMParser().parseFromString(`<table><tbody>${html}</tbody></table>`, "text/html");
}

/** Replace what is in an element by this markup. */
function replace(place, html) {
  const fresh = parsed(`<tr><td>${html}</td></tr>`).querySelector("td");
  place.replaceChildren(...[...fresh.childNodes].map((node) => document.adoptNode(node)));
}

function clock(milliseconds) {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  const two = (number) => String(number).padStart(2, "0");
  const minutes = Math.floor(seconds / 60) % 60;
  const hours = Math.floor(seconds / 3600);
  return hours ? `${hours}:${two(minutes)}:${two(seconds % 60)}` : `${minutes}:${two(seconds % 60)}`;
}

function ago(milliseconds) {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  for (const [unit, size] of [["d", 86400], ["h", 3600], ["m", 60]]) {
    if (seconds >= size) return `${Math.floor(seconds / size)} ${unit} ago`;
  }
  return seconds >= 5 ? `${seconds} s ago` : "now";
}

/** Keep durations and ages up to date. */
export function tick() {
  const set = (element, text) => {
    if (element.textContent !== text) element.textContent = text;
  };
  const step = () => {
    if (document.hidden) return;
    for (const element of document.querySelectorAll("[data-ticks]")) set(element, clock(now() - Number(element.dataset.ticks)));
    for (const element of document.querySelectorAll("[data-ago]")) set(element, ago(now() - Number(element.dataset.ago)));
  };
  step();
  setInterval(step, 1000);
}

export function followOnline() {
  const place = document.querySelector("[data-online]");
  if (!place) return;
  const show = async () => {
    const { online } = await load(place.dataset.online);
    const number = place.querySelector("[data-number]");
    const text = online.toLocaleString("en");
    if (number.textContent !== text) number.textContent = text;
    place.querySelector(".dot").className = online ? "dot on" : "dot off";
  };
  every(5, show);
}

/** The session list: update its rows, and add new ones at the top unless the reader is busy with it. */
export function followListing() {
  const listing = () => document.querySelector("[data-listing]");
  if (!listing()) return;
  const announcer = document.querySelector("[data-announce]");
  const isBusy = (place) =>
    place.matches(":hover") || place.contains(document.activeElement) || scrollY > place.offsetTop || String(getSelection()) !== "";

  async function renew(place) {
    const before = new Set([...place.querySelectorAll("tr[data-key]")].map((row) => row.dataset.key));
    const page = new DOMParser().parseFromString(await load(location.href, "text"), "text/html");
    const fresh = page.querySelector("[data-listing]");
    if (!fresh) return;
    for (const row of fresh.querySelectorAll("tr[data-key]")) row.classList.toggle("is-new", !before.has(row.dataset.key));
    place.replaceWith(document.adoptNode(fresh));
  }

  every(3, async () => {
    const place = listing();
    // A session that has ended hardly ever changes.
    const rows = [...place.querySelectorAll("tr[data-open]")].slice(0, MOST_ROWS);
    const url = new URL(place.dataset.live, location.href);
    url.searchParams.set("keys", rows.map((row) => row.dataset.key).join(","));
    const news = await load(url);
    for (const row of rows) {
      const html = news.rows[row.dataset.key];
      if (html === undefined) {
        row.classList.add("is-gone");
        continue;
      }
      const next = parsed(html).querySelector("tr");
      if (signature(next) !== signature(row) && !row.contains(document.activeElement)) row.replaceWith(document.adoptNode(next));
    }
    if (!news.newer || !("countsNew" in place.dataset)) return;
    const count = news.newer >= 100 ? "100+" : String(news.newer);
    const word = news.newer === 1 ? "new session" : "new sessions";
    if (!isBusy(place)) {
      await renew(place);
      announcer.textContent = `${count} ${word} added at the top`;
      return;
    }
    const notice = place.querySelector("[data-new-rows]");
    notice.querySelector("[data-count]").textContent = count;
    notice.querySelector("[data-unit]").textContent = word;
    if (notice.hidden) announcer.textContent = `${count} ${word}`;
    notice.hidden = false;
  });
}

/** A row's markup without durations and ages, which tick by themselves. */
function signature(row) {
  const copy = row.cloneNode(true);
  for (const element of copy.querySelectorAll("[data-ticks], [data-ago]")) element.textContent = "";
  copy.removeAttribute("class");
  return copy.outerHTML.replace(/\s+/g, " ");
}

export function followSteps() {
  const list = document.querySelector("[data-live-steps]");
  if (!list) return;
  const announcer = document.querySelector("[data-announce]");
  every(3, async () => {
    const shown = list.dataset.shown === undefined ? "" : `&shown=${list.dataset.shown}`;
    const changes = await load(`${list.dataset.liveSteps}?after=${list.dataset.last}${shown}`);
    for (const html of changes.steps) list.append(document.adoptNode(parsed(`<tr><td>${html}</td></tr>`).querySelector("li")));
    if (changes.steps.length) {
      announcer.textContent = `${changes.steps.length} more events`;
      addCopyButtons(list);
    }
    list.dataset.last = changes.last;
    if (changes.shown !== null) list.dataset.shown = changes.shown;
    replace(document.querySelector("[data-state]"), changes.state);
    replace(document.querySelector("[data-facts]"), changes.facts);
    return changes.is_open;
  });
}

export function followDelivery() {
  const place = document.querySelector("[data-live-part]");
  if (!place) return;
  every(8, async () => {
    const part = await load(place.dataset.livePart);
    if (place.contains(document.activeElement) && document.activeElement !== document.body) return;
    const fresh = new DOMParser().parseFromString(part.html, "text/html").body;
    place.replaceChildren(...[...fresh.childNodes].map((node) => document.adoptNode(node)));
  });
}
