// A copy button behind each ID. Without JavaScript, or without access to the clipboard, there is none.
const DONE_MS = 1500;

function button(text) {
  const made = document.createElement("button");
  made.type = "button";
  made.className = "copy quiet";
  const say = (word) => {
    made.textContent = word;
    made.ariaLabel = `${word} ${text.slice(0, 60)}`;
  };
  say("Copy");
  made.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      return;
    }
    say("Copied");
    setTimeout(say, DONE_MS, "Copy");
  });
  return made;
}

/** Add the buttons to what is on the page, and to what comes. */
export function addCopyButtons(place = document) {
  if (!navigator.clipboard) return;
  for (const element of place.querySelectorAll("[data-copy]")) {
    if (!element.querySelector(":scope > .copy")) element.append(" ", button(element.dataset.copy));
  }
}
