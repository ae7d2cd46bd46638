// A page that takes longer than a moment shows that it is on its way: figures of a long range with filters can take a second.
const MOMENT_MS = 300;
const root = document.documentElement;
let timer;

function stop() {
  clearTimeout(timer);
  delete root.dataset.waiting;
}

function begin() {
  stop();
  timer = setTimeout(() => { root.dataset.waiting = ""; }, MOMENT_MS);
}

// The browser tells nothing of a link with `download`: the page stays, and nothing would end the waiting.
export function followWaiting() {
  addEventListener("beforeunload", begin);
  addEventListener("pageshow", stop);
  addEventListener("keydown", (event) => { if (event.key === "Escape") stop(); });
}
