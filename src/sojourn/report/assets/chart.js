// The chart: describes the bar under the pointer; dragging across bars zooms in to them. A click follows a plain link.
export function followChart() {
  const plot = document.querySelector("[data-plot]");
  if (!plot) return;
  const bars = [...plot.querySelectorAll("[data-label]")];
  const zooms = "chart" in plot.dataset;
  const readout = document.querySelector("[data-readout]");
  const idle = readout.textContent;
  let first = -1;
  let last = -1;

  const under = (event) => {
    const box = plot.getBoundingClientRect();
    const share = (event.clientX - box.left) / box.width;
    return Math.max(0, Math.min(bars.length - 1, Math.floor(share * bars.length)));
  };
  const mark = () => {
    const [from, to] = [Math.min(first, last), Math.max(first, last)];
    bars.forEach((bar, place) => bar.classList.toggle("is-chosen", first >= 0 && place >= from && place <= to));
  };
  const drop = () => {
    first = last = -1;
    mark();
  };

  plot.addEventListener("dragstart", (event) => event.preventDefault());
  plot.addEventListener("pointerdown", (event) => {
    if (!zooms || event.button !== 0 || event.pointerType === "touch" || !bars.length) return;
    first = last = under(event);
  });
  plot.addEventListener("pointermove", (event) => {
    const place = under(event);
    readout.textContent = bars[place]?.dataset.label ?? idle;
    if (first < 0) return;
    last = place;
    mark();
  });
  plot.addEventListener("pointerleave", () => {
    if (first < 0) readout.textContent = idle;
  });
  addEventListener("pointerup", (event) => {
    if (first < 0) return;
    const [from, to] = [Math.min(first, last), Math.max(first, last)];
    const isDrag = from !== to && plot.contains(event.target);
    drop();
    if (!isDrag) return;
    addEventListener("click", (click) => click.preventDefault(), { capture: true, once: true });
    const url = new URL(plot.dataset.chart, location.href);
    url.searchParams.set("since", bars[from].dataset.since);
    url.searchParams.set("until", bars[to].dataset.until);
    location.assign(url);
  });
  addEventListener("keydown", (event) => {
    if (event.key === "Escape") drop();
  });
}
