// Zooming in a line's charts by drag, wheel, touch and keys. The server draws every range (its links
// and its form need none of this); here a gesture is shown at once, then its range is asked for.
"use strict";

(() => {
  const place = document.getElementById("charts");
  const status = document.getElementById("range");
  const HOUR = 3600;
  const DAY = 24 * HOUR;
  const VIETNAM = 7 * HOUR; // The time zone of addresses and days; it has no summer time.
  const DRAG_PX = 6;
  const PLOT = "svg.plot";

  let shown = null; // What the server has drawn, in seconds UTC.
  let view = null; // What is seen while a gesture goes on.
  let fingers = new Map(); // Pointers on a chart: where they began, where they are.
  let timer = 0;
  let asking = null;

  function read() {
    const data = place.dataset;
    shown = { start: Number(data.start), end: Number(data.end) };
    view = { ...shown };
    for (const area of place.querySelectorAll(".zoomable")) {
      area.tabIndex = 0;
      area.setAttribute("role", "group");
      area.setAttribute("aria-label", area.querySelector("svg.chart").getAttribute("aria-label"));
      area.setAttribute("aria-describedby", "zoom-help");
    }
  }

  // Where a pointer is within the axes, from 0 to 1.
  function share(area, clientX) {
    const box = area.querySelector("svg.chart").getBoundingClientRect();
    const { left, right, width } = area.dataset;
    const x = ((clientX - box.left) / box.width) * width;
    return (x - left) / (right - left);
  }

  function bounded(start, span) {
    const { least, most, latest } = place.dataset;
    const length = Math.min(Math.max(span, least), most);
    const begin = Math.min(start + (span - length) / 2, latest - length);
    return { start: begin, end: begin + length };
  }

  function preview(next) {
    view = next;
    const stretch = shown.end - shown.start;
    for (const area of place.querySelectorAll(".zoomable")) {
      const { left, right } = area.dataset;
      const scale = (right - left) / stretch;
      const plot = area.querySelector(PLOT);
      const [, y, , height] = plot.getAttribute("viewBox").split(" ");
      const x = Number(left) + (next.start - shown.start) * scale;
      plot.setAttribute("viewBox", `${x} ${y} ${(next.end - next.start) * scale} ${height}`);
      area.classList.toggle("zooming", next.start !== shown.start || next.end !== shown.end);
    }
  }

  function moveBy(part) {
    const span = view.end - view.start;
    preview(bounded(view.start + part * span, span));
  }

  // Longer by `factor`; what is at `at` (0 to 1) stays where it is.
  function scaleBy(factor, at) {
    const { least, most } = place.dataset;
    const span = view.end - view.start;
    const length = Math.min(Math.max(span * factor, least), most);
    preview(bounded(view.start + (span - length) * at, length));
  }

  // Whole hours, or whole days of Vietnam: what the server can draw.
  function whole({ start, end }) {
    const up = (at, step) => Math.ceil((at + VIETNAM) / step) * step - VIETNAM;
    const down = (at, step) => Math.floor((at + VIETNAM) / step) * step - VIETNAM;
    const { hoursUpTo, most, least } = place.dataset;
    const step = up(end, HOUR) - down(start, HOUR) > hoursUpTo ? DAY : HOUR;
    let [first, last] = [down(start, step), up(end, step)];
    if (last - first > most) first = last - most;
    if (last - first < least) first = last - least;
    return { start: first, end: last };
  }

  function local(at) {
    return new Date((at + VIETNAM) * 1000).toISOString().slice(0, 16);
  }

  function soon(delay) {
    clearTimeout(timer);
    timer = setTimeout(commit, delay);
  }

  function commit() {
    const range = whole(view);
    if (range.start === shown.start && range.end === shown.end) {
      preview({ ...shown });
      return;
    }
    const url = new URL(location.href);
    url.searchParams.set("from", local(range.start));
    url.searchParams.set("to", local(range.end));
    load(url);
  }

  async function load(url) {
    clearTimeout(timer);
    asking?.abort();
    const mine = new AbortController();
    asking = mine;
    try {
      const answer = await fetch(url, { signal: mine.signal });
      if (!answer.ok) throw new Error(answer.statusText || String(answer.status));
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (mine.signal.aborted) return;
      replace(page);
      history.replaceState(null, "", url);
    } catch (error) {
      if (mine.signal.aborted) return;
      preview({ ...shown });
      status.textContent = `${place.dataset.failed} ${error.message}`;
    }
  }

  // Takes over what the new page has; whoever was on a chart or a link stays on it.
  function replace(page) {
    const focusable = () => [...place.querySelectorAll(".zoomable, nav a, nav span.soft")];
    const focused = focusable().indexOf(document.activeElement);
    const fresh = page.getElementById("charts");
    Object.assign(place.dataset, fresh.dataset);
    place.replaceChildren(...fresh.childNodes);
    status.textContent = page.getElementById("range").textContent;
    for (const field of document.querySelectorAll("form.filters input")) {
      field.value = page.querySelector(`form.filters input[name="${field.name}"]`).value;
    }
    for (const link of document.querySelectorAll(".visitor nav a")) {
      link.href = page.querySelector(`.visitor nav a[lang="${link.lang}"]`).getAttribute("href");
    }
    read();
    if (focused >= 0) focusable()[focused]?.focus({ preventScroll: true });
  }

  function selection(area, from, to) {
    const chart = area.querySelector("svg.chart");
    let mark = chart.querySelector(".selection");
    if (!mark) {
      mark = document.createElementNS("http://www.w3.org/2000/svg", "rect");
      mark.setAttribute("class", "selection");
      mark.setAttribute("y", chart.querySelector(PLOT).getAttribute("y"));
      mark.setAttribute("height", chart.querySelector(PLOT).getAttribute("height"));
      chart.append(mark);
    }
    const { left, right } = area.dataset;
    const [low, high] = [Math.min(from, to), Math.max(from, to)].map((at) => Math.min(Math.max(at, 0), 1));
    mark.setAttribute("x", Number(left) + low * (right - left));
    mark.setAttribute("width", (high - low) * (right - left));
  }

  function release() {
    fingers = new Map();
    for (const mark of place.querySelectorAll(".selection")) mark.remove();
  }

  function say(event) {
    const words = event.target.closest(".hit")?.querySelector("title")?.textContent;
    const line = event.target.closest("figure")?.querySelector(".readout");
    if (words && line) line.textContent = words.split("\n").join(" · ");
  }

  // The times that lie under fingers stay under them: one moves, two also stretch.
  function follow(area) {
    const [one, two] = [...fingers.values()].map(({ time, x }) => ({ time, at: share(area, x) }));
    if (two && Math.abs(two.at - one.at) > 0.02) {
      const span = (two.time - one.time) / (two.at - one.at);
      if (span > 0) preview(bounded(one.time - one.at * span, span));
    } else {
      const span = view.end - view.start;
      preview(bounded(one.time - one.at * span, span));
    }
  }

  place.addEventListener("pointerdown", (event) => {
    const area = event.target.closest?.(".zoomable");
    if (!area || event.button !== 0) return;
    say(event);
    clearTimeout(timer);
    asking?.abort();
    area.setPointerCapture(event.pointerId);
    const at = share(area, event.clientX);
    const time = view.start + at * (view.end - view.start);
    fingers.set(event.pointerId, { area, began: event.clientX, x: event.clientX, time });
    // With a new finger all begin anew.
    for (const finger of fingers.values()) {
      finger.time = view.start + share(area, finger.x) * (view.end - view.start);
    }
  });

  place.addEventListener("pointermove", (event) => {
    const finger = fingers.get(event.pointerId);
    if (!finger) {
      say(event);
      return;
    }
    finger.x = event.clientX;
    if (event.pointerType === "touch") follow(finger.area);
    else selection(finger.area, share(finger.area, finger.began), share(finger.area, finger.x));
  });

  place.addEventListener("pointerup", (event) => {
    const finger = fingers.get(event.pointerId);
    if (!finger) return;
    fingers.delete(event.pointerId);
    if (event.pointerType === "touch") {
      if (fingers.size) for (const other of fingers.values()) {
        other.time = view.start + share(other.area, other.x) * (view.end - view.start);
      }
      else soon(150);
      return;
    }
    release();
    if (Math.abs(finger.x - finger.began) < DRAG_PX) {
      soon(0);
      return;
    }
    const span = view.end - view.start;
    const ends = [finger.began, finger.x].map((x) => Math.min(Math.max(share(finger.area, x), 0), 1));
    const [start, end] = [Math.min(...ends), Math.max(...ends)].map((at) => view.start + at * span);
    preview(bounded(start, end - start));
    commit();
  });

  // A vertical swipe scrolls the page; the browser says so by this.
  place.addEventListener("pointercancel", () => {
    release();
    preview({ ...shown });
  });

  place.addEventListener(
    "wheel",
    (event) => {
      const area = event.target.closest?.(".zoomable");
      // Without Ctrl the wheel scrolls the page, unless somebody has chosen this chart.
      if (!area || !(event.ctrlKey || event.metaKey || area === document.activeElement)) return;
      event.preventDefault();
      const lines = event.deltaMode === 1 ? 30 : 1;
      scaleBy(Math.exp(event.deltaY * lines * 0.002), share(area, event.clientX));
      soon(250);
    },
    { passive: false },
  );

  place.addEventListener("keydown", (event) => {
    if (!event.target.matches?.(".zoomable") || event.ctrlKey || event.metaKey || event.altKey) return;
    const acts = {
      "+": () => scaleBy(0.5, 0.5),
      "=": () => scaleBy(0.5, 0.5),
      "-": () => scaleBy(2, 0.5),
      ArrowLeft: () => moveBy(-0.25),
      ArrowRight: () => moveBy(0.25),
    };
    if (event.key === "Escape" && fingers.size) release();
    else if (event.key === "0" || event.key === "Home") load(place.querySelector("nav.zoom a:last-of-type").href);
    else if (acts[event.key]) {
      acts[event.key]();
      soon(300);
    } else return;
    event.preventDefault();
  });

  place.addEventListener("click", (event) => {
    const link = event.target.closest?.("a[href]");
    if (!link || event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    load(link.href);
  });

  read();
})();
