"use strict";
// Everything a model wrote is set as the text of an element; nothing is ever parsed as markup.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const PAGE = 200;

  const element = (tag, text, name) => {
    const made = document.createElement(tag);
    if (text !== undefined && text !== null) made.textContent = text;
    if (name) made.className = name;
    return made;
  };
  const add = (parent, ...children) => {
    for (const child of children) if (child) parent.append(child);
    return parent;
  };
  const folded = (title, ...children) => add(element("details"), element("summary", title), ...children);
  const block = (text) => element("pre", text);

  const table = (heads, rows) => {
    const head = add(element("tr"), ...heads.map((each) => element("th", each)));
    const body = element("tbody");
    for (const row of rows) add(body, add(element("tr"), ...row.map((each) => element("td", each ?? "–"))));
    return add(element("div", null, "scroll"), add(element("table"), add(element("thead"), head), body));
  };

  const diff = (lines) => {
    const shown = element("pre");
    for (const line of lines) {
      const kind = line.startsWith("+") ? "plus" : line.startsWith("-") ? "minus" : line.startsWith("@") ? "at" : "";
      add(shown, element("span", `${line}\n`, kind));
    }
    return shown;
  };

  const decision = (each) => {
    const title = `event ${each.event}: ${each.what}${each.model === null ? "" : ` → ${each.model}`}`;
    const lines = each.remarks.map((one) => element("p", one));
    if (!each.candidates.length && !each.said) return add(element("div"), element("p", title), ...lines);
    const rows = each.candidates.map((one) => [
      one.is_chosen ? "*" : "", one.model, one.vendor, one.price, one.calls, one.quality, one.latency, one.score, one.why,
    ]);
    const heads = ["", "model", "vendor", "price in/out", "calls", "quality", "latency", "score", "why"];
    return folded(
      title,
      ...lines,
      rows.length ? table(heads, rows) : null,
      ...each.attempts.map((one) => element("p", one)),
      ...(each.said ?? []).map(([what, text]) => folded(what, block(text))),
    );
  };

  const iteration = (each) => {
    const score = each.score === null ? "not scored" : `score ${each.score.toFixed(3)}`;
    const title = `Iteration ${each.number}: ${score}${each.gate === false ? ", gate not passed" : ""}${each.chosen ? ", chosen" : ""}`;
    const box = add(element("div"), element("h3", title));
    for (const step of each.steps) {
      add(box, folded(`${step.label} by ${step.model}`, ...step.defects.map((one) => element("p", one.result ? `${one.text} (${one.result})` : one.text)), block(step.text)));
      if (step.changes) add(box, folded(`what the ${step.label} changed`, step.changes.length ? diff(step.changes) : element("p", "nothing")));
    }
    for (const one of each.skipped) add(box, element("p", `left out: ${one}`));
    for (const check of each.checks) {
      add(box, folded(`check ${check.validator}: ${check.verdict}${check.tests ? `, ${check.tests}` : ""}`, block(check.details ?? "it said nothing")));
    }
    for (const judge of each.scores) {
      add(box, folded(`evaluated by ${judge.by}: ${judge.said}`, block(judge.reasons)));
    }
    return box;
  };

  const local = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
  for (const time of document.querySelectorAll("time[datetime]")) {
    time.title = time.textContent;
    time.textContent = local.format(new Date(time.dateTime));
  }

  const choices = new Map();
  for (const each of data.choices) {
    if (!choices.has(each.node)) choices.set(each.node, []);
    choices.get(each.node).push(each);
  }

  const fill = (box) => {
    if (box.dataset.filled) return;
    box.dataset.filled = "yes";
    const task = data.tasks[box.dataset.node];
    if (task) {
      add(box, folded("what was asked for", block(task.prompt)));
      for (const each of task.iterations) add(box, iteration(each));
    }
    const decided = choices.get(box.dataset.node) ?? [];
    add(box, element("h3", "Decisions"), ...(decided.length ? decided.map(decision) : [element("p", "none")]));
  };
  const boxes = [...document.querySelectorAll("details.work")];
  for (const box of boxes) box.addEventListener("toggle", () => { if (box.open) fill(box); });
  const reveal = () => {
    const target = location.hash.startsWith("#work-") ? document.getElementById(location.hash.slice(1)) : null;
    if (target) { target.open = true; fill(target); target.scrollIntoView(); }
  };

  const all = document.getElementById("all");
  const openAll = (open) => {
    for (const box of boxes) { if (open) fill(box); box.open = open; }
    for (const each of document.querySelectorAll("details details")) each.open = open;
    all.setAttribute("aria-pressed", String(open));
    all.textContent = open ? "Collapse all" : "Expand all";
  };
  all.addEventListener("click", () => openAll(all.getAttribute("aria-pressed") !== "true"));
  let before = null; // what was open when printing began: paper shows what every task has delivered
  addEventListener("beforeprint", () => { before = boxes.map((box) => box.open); for (const box of boxes) box.open = true; });
  addEventListener("afterprint", () => { if (before) boxes.forEach((box, at) => { box.open = before[at]; }); before = null; });

  // ── the table of events ───────────────────────────────────────────────────────────────────────────────────────
  const query = document.getElementById("query");
  const kind = document.getElementById("type");
  const body = document.querySelector("#table tbody");
  const found = document.getElementById("found");
  const earlier = document.getElementById("earlier");
  const later = document.getElementById("later");
  for (const name of [...new Set(data.events.map((each) => each[3]))].sort()) {
    const option = element("option", name);
    option.value = name;
    add(kind, option);
  }
  let matches = data.events;
  let first = 0;
  // What an event holds, with its amounts in dollars: they are stored in billionths of one, in fields that its type names.
  const dollars = (nano) => {
    const shown = Math.abs(nano) < 50000 && nano ? "<$0.0001" : `$${(Math.abs(nano) / 1e9).toFixed(4)}`;
    return nano < 0 ? `-${shown}` : shown;
  };
  const readable = (type, fields) => {
    const names = data.amounts[type] ?? [];
    return fields.replace(/"(\w+)":\s?(-?\d+)(?=[,}])/g, (all, name, nano) =>
      names.includes(name) ? `"${name}": ${dollars(Number(nano))}` : all);
  };
  const show = () => {
    body.replaceChildren();
    for (const [position, version, seconds, type, fields] of matches.slice(first, first + PAGE)) {
      const row = element("tr");
      add(row, element("td", position, "number"), element("td", version, "number"), element("td", seconds.toFixed(3), "number"), element("td", type), element("td", readable(type, fields)));
      add(body, row);
    }
    const last = Math.min(first + PAGE, matches.length);
    found.textContent = matches.length ? `${first + 1} to ${last} of ${matches.length} events` : "no event matches";
    earlier.disabled = first === 0;
    later.disabled = last >= matches.length;
  };
  const search = () => {
    const words = query.value.toLowerCase().split(/\s+/).filter(Boolean);
    matches = data.events.filter(([position, version, , type, fields]) => {
      if (kind.value && type !== kind.value) return false;
      const text = `${position} ${version} ${type} ${fields}`.toLowerCase();
      return words.every((word) => text.includes(word));
    });
    first = 0;
    show();
  };
  query.addEventListener("input", search);
  kind.addEventListener("change", search);
  document.getElementById("find").addEventListener("submit", (event) => event.preventDefault());
  earlier.addEventListener("click", () => { first = Math.max(0, first - PAGE); show(); });
  later.addEventListener("click", () => { first += PAGE; show(); });

  const list = document.getElementById("event-list");
  const opener = document.getElementById("open-events");
  const openEvents = (open) => {
    if (open && !body.childElementCount) show();
    list.hidden = !open;
    opener.setAttribute("aria-expanded", String(open));
  };
  opener.addEventListener("click", () => openEvents(list.hidden));

  // A link can carry a search: report.html#find=call.failed
  const follow = () => {
    if (location.hash.startsWith("#find=")) {
      query.value = decodeURIComponent(location.hash.slice(6));
      search();
      openEvents(true);
      document.getElementById("events").scrollIntoView();
    } else {
      reveal();
    }
  };
  follow();
  addEventListener("hashchange", follow);
})();
