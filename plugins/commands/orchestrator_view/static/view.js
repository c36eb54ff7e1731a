// Pages are complete without this. It shows times in the viewer's zone, keeps pages up to date, and knows some keys.
"use strict";
(() => {
  const address = new URL(location.href);
  if (address.searchParams.has("token")) { // the cookie has it now
    address.searchParams.delete("token");
    history.replaceState(null, "", address);
  }

  const relative = new Intl.RelativeTimeFormat(undefined, { numeric: "auto", style: "short" });
  const steps = [[60, "second", 1], [3600, "minute", 60], [86400, "hour", 3600], [7 * 86400, "day", 86400]];
  const local = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
  const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "long" });
  function tell(time) {
    const when = new Date(time.dateTime);
    if (Number.isNaN(when.getTime())) return;
    const ago = (when - Date.now()) / 1000;
    const step = steps.find(([limit]) => Math.abs(ago) < limit);
    time.textContent = step ? relative.format(Math.round(ago / step[2]), step[1]) : local.format(when);
    time.title = `${exact.format(when)} (${time.dateTime})`;
  }
  const tellAll = (root) => root.querySelectorAll("time[datetime]").forEach(tell);
  tellAll(document);
  setInterval(() => tellAll(document), 20000);

  function unfold() {
    let found = location.hash.length > 1 ? document.getElementById(decodeURIComponent(location.hash.slice(1))) : null;
    const wanted = found;
    for (; found; found = found.parentElement) if (found instanceof HTMLDetailsElement) found.open = true;
    if (wanted) wanted.scrollIntoView({ block: "start" });
  }
  addEventListener("hashchange", unfold);
  if (location.hash) unfold();

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-expand]");
    if (!button) return;
    const open = button.getAttribute("aria-pressed") !== "true";
    document.querySelectorAll("main details").forEach((each) => { each.open = open; });
    button.setAttribute("aria-pressed", String(open));
    button.textContent = open ? "Collapse all" : "Expand all";
  });

  const places = { r: "/", c: "/compare", e: "/evals", m: "/money", o: "/models", l: "/log" };
  let leading = 0;
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea")) return;
    if (event.key === "/") {
      const search = document.querySelector("input[type=search]");
      if (search) { event.preventDefault(); search.focus(); search.select(); }
    } else if (event.key === "g") leading = event.timeStamp;
    else if (leading && event.timeStamp - leading < 1500 && places[event.key]) location.assign(places[event.key]);
  });

  // ── live: events tell that something has changed; at most every 0.7 s the page's parts are fetched anew ──────────
  const source = document.body.dataset.live;
  if (!source) return;
  const state = document.getElementById("live");
  let timer = 0, busy = false, dirty = false;
  const say = (word, kind) => { state.textContent = word; state.className = `state ${kind}`; };

  function put(fresh, known) {
    const open = new Map();
    known.querySelectorAll("details[id]").forEach((each) => open.set(each.id, each.open));
    fresh.querySelectorAll("details[id]").forEach((each) => { if (open.has(each.id)) each.open = open.get(each.id); });
    const scrolled = [...known.querySelectorAll(".scroll, pre")].map((each) => [each.scrollLeft, each.scrollTop]);
    known.replaceChildren(...fresh.childNodes);
    known.hidden = fresh.hidden;
    [...known.querySelectorAll(".scroll, pre")].forEach((each, at) => {
      if (scrolled[at]) [each.scrollLeft, each.scrollTop] = scrolled[at];
    });
    tellAll(known);
  }
  const seen = new Map();
  async function refresh() {
    if (busy) { dirty = true; return; }
    busy = true; dirty = false;
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
      if (!answer.ok) return;
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      document.title = page.title;
      for (const known of document.querySelectorAll("[data-part]")) {
        const name = known.dataset.part, fresh = page.querySelector(`[data-part="${name}"]`);
        if (!fresh || known.contains(document.activeElement) && document.activeElement.closest("form")) continue;
        const text = fresh.innerHTML;
        if (seen.get(name) !== text) { seen.set(name, text); put(document.importNode(fresh, true), known); }
      }
    } catch { /* the stream says that the server is gone */ } finally {
      busy = false;
      if (dirty) plan();
    }
  }
  function plan() {
    if (timer || document.hidden) { dirty = true; return; }
    timer = setTimeout(() => { timer = 0; refresh(); }, 700);
  }
  document.addEventListener("visibilitychange", () => { if (!document.hidden && dirty) plan(); });

  // ── what models write now: never recorded, so that it comes apart from the events ─────────────────────────────
  const writing = document.getElementById("writing");
  async function write() {
    try {
      const texts = await (await fetch(writing.dataset.text)).json();
      writing.replaceChildren(...texts.map(({ what, text }) => {
        const card = document.createElement("section"), head = document.createElement("h2"), body = document.createElement("pre");
        card.className = "card";
        head.textContent = `${what} · writing now`;
        body.textContent = text;
        card.append(head, body);
        return card;
      }));
      for (const body of writing.querySelectorAll("pre")) body.scrollTop = body.scrollHeight;
    } catch { /* the next one may come */ }
    const goes = document.querySelector(".hero .status.running");
    if (goes) setTimeout(write, document.hidden ? 5000 : 700); else writing.replaceChildren();
  }
  if (writing?.dataset.text) write();

  const events = new EventSource(source);
  events.onopen = () => say("live", "on");
  events.onerror = () => say("reconnecting", "off");
  events.onmessage = plan;
  if (document.querySelector(".waits, .status.running")) setInterval(plan, 5000); // a process may go without a word
})();
