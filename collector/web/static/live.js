// Moves the page: an event names the probes that changed, their parts are fetched and put in place.
// Without it the page is whole, and reloads every minute.
"use strict";

(() => {
  const PAUSE_MS = 3000;
  const ANNOUNCE_EVERY_MS = 30000;
  // Above this many names the whole page is fetched instead: an address has a length.
  const MOST_NAMES = 20;

  const words = document.body.dataset;
  const language = document.documentElement.lang;
  const clock = new Intl.DateTimeFormat(language, {
    timeStyle: "medium",
    hour12: false,
    timeZone: words.timezone,
  });
  const live = document.getElementById("live");
  const liveState = document.getElementById("live-state");
  const liveAt = document.getElementById("live-at");
  const announcement = document.getElementById("announce");

  let lastEvent = words.revision;
  let announcedAt = -Infinity;
  let fetching = false;
  const changed = new Set();

  function showLive(on) {
    live.hidden = false;
    live.dataset.on = on;
    const text = on ? words.liveOn : words.liveOff;
    if (liveState.textContent !== text) liveState.textContent = text;
  }

  function showUpdated(names) {
    const now = clock.format(new Date());
    liveAt.textContent = `· ${words.liveAt} ${now}`;
    // Politely: not every result of every probe.
    if (performance.now() - announcedAt > ANNOUNCE_EVERY_MS) {
      announcedAt = performance.now();
      announcement.textContent = `${names.join(", ")}: ${words.liveAt} ${now}`;
    }
  }

  function place(fresh) {
    const shown = document.getElementById(fresh.id);
    const article = document.adoptNode(fresh);
    article.classList.add("fresh");
    if (shown) {
      shown.replaceWith(article);
      return;
    }
    const list = document.getElementById("probes");
    list.querySelector(":scope > .nothing")?.remove();
    const next = [...list.children].find((other) => other.id > article.id);
    list.insertBefore(article, next ?? null);
  }

  async function refresh() {
    if (fetching) return;
    fetching = true;
    while (changed.size) {
      const names = [...changed];
      changed.clear();
      const query = new URLSearchParams({ lang: language });
      const whole = names.length > MOST_NAMES;
      if (!whole) names.forEach((name) => query.append("probe", name));
      try {
        const answer = await fetch(`${whole ? "/live" : "/parts"}?${query}`);
        if (!answer.ok) throw new Error(answer.statusText);
        const parts = new DOMParser().parseFromString(await answer.text(), "text/html");
        document.getElementById("summary").replaceWith(parts.getElementById("summary"));
        const articles = [...parts.querySelectorAll("article")];
        articles.forEach(place);
        showUpdated(articles.map((article) => article.querySelector("h2").textContent));
      } catch {
        names.forEach((name) => changed.add(name));
        await new Promise((resume) => setTimeout(resume, PAUSE_MS));
      }
    }
    fetching = false;
  }

  function listen() {
    const events = new EventSource(`/events?after=${lastEvent}`);
    events.addEventListener("open", () => showLive(true));
    events.addEventListener("probes", (event) => {
      lastEvent = event.lastEventId;
      JSON.parse(event.data).forEach((name) => changed.add(name));
      refresh();
    });
    events.addEventListener("error", () => {
      showLive(false);
      // The browser comes again by itself unless the answer was no stream at all.
      if (events.readyState === EventSource.CLOSED) setTimeout(listen, PAUSE_MS);
    });
  }

  listen();
})();
