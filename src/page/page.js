// The page: data into its places, table, filter, keys, theme; and, where it is served, news of the run.
const data = JSON.parse($("data").textContent);
const view = { rows: new Map(), sort: null, down: false, states: new Set(), chosen: null, from: null };

function index() {
  data.byName = new Map(data.steps.map((step) => [step.name, step]));
  data.rank = new Map(data.steps.map((step, i) => [step.name, i]));
}

function lead() {
  const { run, decision } = data;
  fill($("kicker"), run ? "Run " : "Dry run of ", make("span", { class: "mono" }, run ? run.id : data.path), run && " · " + moment(run.started).slice(0, 20) + "UTC");
  $("summary").textContent = data.summary;
  const end = run ? run.end : "dry run";
  const signs = { good: "✓", bad: "✗", hold: "…", even: "▶", dull: "–" };
  const words = make("span", { class: "word " + tone(end) }, make("span", { class: "sign", "aria-hidden": "true" }, run ? signs[tone(end)] : "◌"), end);
  const risk = decision && make("span", { class: "number" }, make("b", {}, decision.risk), "risk of 100");
  fill($("verdict"), make("div", { class: "said" }, words, risk), decision && gauge(decision));
  fill($("facts"), facts());
  fill($("reasons"), reasons());
  $("terms").hidden = !decision;
  if (decision) fill($("terms-body"), terms(decision));
}

function gauge({ risk, go: most, no_go: least }) {
  const [w, h] = [300, 44];
  const x = (n) => 8 + (n / 100) * (w - 16);
  const svg = make("svg:svg", { class: "gauge", viewBox: "0 0 " + w + " " + h, role: "img", "aria-label": "Risk " + risk + " of 100; GO up to " + most + ", NO-GO from " + least });
  const part = (name, from, to) => make("svg:rect", { class: name, x: x(from), y: 13, width: Math.max(0, x(to) - x(from)), height: 8 });
  svg.append(part("go", 0, most), part("mid", most, least), part("no", least, 100));
  svg.append(make("svg:path", { class: "pin", d: "M" + x(risk) + " 24l-5 -14h10z" }));
  const near = Math.abs(least - most) < 22;
  svg.append(make("svg:text", { x: x(most), y: 37, "text-anchor": near ? "end" : "middle" }, "GO to " + most), make("svg:text", { x: x(least), y: 37, "text-anchor": near ? "start" : "middle" }, "NO-GO from " + least));
  return svg;
}

function facts() {
  const { run } = data;
  const one = (name, value) => value && make("div", {}, make("dt", {}, name), make("dd", {}, value));
  const tally = ORDER.map((state) => [state, data.steps.filter((step) => step.state === state).length]).filter(([, n]) => n);
  const states = make("span", { class: "legend" }, tally.map(([state, n]) => badge(state, n + " " + word(state))));
  const digest = (text) => make("code", { title: text }, text);
  return [
    one("Steps", states),
    run && one("Took", duration(run.took_ns)),
    run && one("Workers", run.jobs),
    one("Plan", make("code", {}, data.path)),
    run && one("Engine", run.engine),
    run && run.record && one("Record (SHA-256)", digest(run.record)),
    run && !run.record && one("Plan (SHA-256)", digest(run.plan_sha256)),
  ];
}

function reasons() {
  const { run, decision } = data;
  if (!decision) return run && run.why ? [make("div", { class: "reason dull" }, make("p", {}, prose(run.why)))] : [];
  const link = (id) => (data.byName.has(id) ? make("a", { href: "#step=" + encodeURIComponent(id), class: "mono" }, id) : make("code", {}, id));
  // What only stands behind another failure is told in one line.
  const behind = ({ id }) => id && data.byName.has(id) && data.byName.get(id).state === "blocked";
  const block = (tones, mark, list) => {
    if (!list.length) return null;
    const own = list.filter((veto) => !behind(veto)).map(({ id, reason }) => make("li", {}, id && link(id), id && " ", prose(reason)));
    const rest = list.filter(behind);
    if (rest.length) own.push(make("li", { class: "behind" }, count(rest.length, "step") + " not run behind " + (rest.length > 1 ? "failures: " : "a failure: "), rest.map(({ id }, i) => [i ? ", " : "", link(id)])));
    return make("div", { class: "reason " + tones }, make("span", { "aria-hidden": "true" }, mark), make("ul", {}, own));
  };
  return [block("bad", "✗", decision.vetoes), block("hold", "…", decision.holds)];
}

// The product, a line a factor, so that it can be computed again by hand.
function terms(decision) {
  const permille = (n) => String(n / 1000);
  let product = 1;
  const rows = decision.terms.filter((term) => term.unknown_permille > 0 && term.weight_permille > 0).map((term) => {
    const factor = 1 - (term.weight_permille * term.unknown_permille) / 1e6;
    product *= factor;
    return make("tr", {}, make("td", {}, make("code", {}, term.id)), make("td", {}, term.kind), make("td", {}, badge(term.state, term.state)),
      make("td", { class: "num" }, permille(term.weight_permille)), make("td", { class: "num" }, permille(term.unknown_permille)),
      make("td", { class: "num" }, Number(factor.toFixed(6))), make("td", { class: "num" }, product.toFixed(6)));
  });
  const rest = decision.terms.length - rows.length;
  const heads = ["Step or factor", "Kind", "State", "Weight w", "Unknown u", "1 − w·u", "Product"];
  const table = make("table", { class: "small" }, make("thead", {}, make("tr", {}, heads.map((text, i) => make("th", { scope: "col", class: i > 2 ? "num" : null }, text)))), make("tbody", {}, rows));
  return [
    rows.length ? make("div", { class: "rows", tabindex: "0", role: "region", "aria-label": "Terms of the risk" }, table) : null,
    make("p", {}, "risk = ⌈100 · (1 − Π(1 − w·u))⌉ = ⌈100 · (1 − " + Number(product.toFixed(6)) + ")⌉ = " + decision.risk + ". " +
      count(rest, "term") + " with u = 0 or w = 0 change" + (rest === 1 ? "s" : "") + " nothing. GO up to " + decision.go + ", NO-GO from " + decision.no_go + "."),
  ];
}

function legend() {
  const states = ORDER.filter((state) => data.steps.some((step) => step.state === state));
  const more = [data.steps.some((step) => step.critical) && "▬ thick: critical path", data.steps.some((step) => !step.required) && "▭ dashed: advisory",
    data.steps.some((step) => (step.after || []).length) && "┄ order only"];
  fill($("legend"), states.map((state) => badge(state)), more.filter(Boolean).map((text) => make("span", {}, text)));
}

// ── the table ──
const COLUMNS = [
  { id: "state", title: "State", key: (s) => ORDER.indexOf(s.state), cell: (s) => badge(s.state) },
  { id: "name", title: "Step", key: (s) => s.name, cell: (s) => [make("button", { type: "button", class: "name", tabindex: "-1" }, s.name), s.title && make("span", { class: "title" }, s.title)] },
  { id: "kind", title: "Kind", key: (s) => s.kind, cell: (s) => s.kind },
  { id: "wave", title: "Wave", num: true, key: (s) => (s.finally ? 1e9 : 0) + s.wave, cell: (s) => (s.finally ? "finally" : s.wave) },
  { id: "severity", title: "Severity", key: (s) => ["low", "medium", "high", "critical"].indexOf(s.severity), cell: (s) => s.severity + (s.required ? "" : ", advisory") },
  { id: "tries", title: "Tries", num: true, key: (s) => (s.attempts || []).length, cell: (s) => (s.attempts || []).length || "" },
  { id: "time", title: "Time", num: true, key: (s) => s.time_ns ?? -1, cell: (s) => (s.time_ns === undefined ? "" : (data.run ? "" : "≈ ") + duration(s.time_ns)) },
  { id: "why", title: "Why", key: (s) => s.why || "", cell: (s) => make("span", { class: "why" }, prose(s.why || (s.notes || []).join(" · "))) },
];

function table() {
  const used = COLUMNS.filter((column) => column.id !== "tries" || data.run);
  view.columns = used;
  const head = (column) => make("th", { scope: "col", class: "c-" + column.id + (column.num ? " num" : "") },
    make("button", { type: "button", onclick: () => sort(column.id) }, column.title));
  fill($("head"), used.map(head));
  fill($("body"), data.steps.map(row));
  $("body").addEventListener("click", (event) => {
    const found = event.target.closest("tr");
    if (found && !String(getSelection())) open(found.dataset.step, found.querySelector(".name"));
  });
  const first = $("body").querySelector(".name");
  if (first) first.tabIndex = 0;
}

function row(step) {
  const cells = view.columns.map((column) => make("td", { class: "c-" + column.id + (column.num ? " num" : "") }, column.cell(step)));
  const made = make("tr", { "data-step": step.name, class: step.name === view.chosen ? "here" : null }, cells);
  const old = view.rows.get(step.name);
  made.hidden = old ? old.row.hidden : false;
  view.rows.set(step.name, { row: made, step, text: haystack(step) });
  return made;
}

function haystack(step) {
  return [step.name, step.title, step.kind, step.state, step.why, step.severity, ...(step.tags || []), ...(step.notes || []), step.critical ? "critical path" : ""].join("\n").toLowerCase();
}

function sort(id) {
  // Up, down, and back to the order of the plan.
  if (view.sort !== id) [view.sort, view.down] = [id, false];
  else if (!view.down) view.down = true;
  else [view.sort, view.down] = [null, false];
  arrange();
}

function arrange() {
  const column = COLUMNS.find((one) => one.id === view.sort);
  for (const th of $("head").children) {
    const is = column && th.classList.contains("c-" + column.id);
    if (is) th.setAttribute("aria-sort", view.down ? "descending" : "ascending");
    else th.removeAttribute("aria-sort");
  }
  const order = [...data.steps];
  if (column) {
    const by = new Intl.Collator("en", { numeric: true });
    const keys = new Map(order.map((step) => [step, column.key(step)]));
    const compare = (a, b) => (typeof a === "string" ? by.compare(a, b) : a - b);
    order.sort((a, b) => compare(keys.get(a), keys.get(b)) || data.rank.get(a.name) - data.rank.get(b.name));
    if (view.down) order.reverse();
  }
  $("body").append(...order.map((step) => view.rows.get(step.name).row));
}

function chips() {
  const states = ORDER.filter((state) => data.steps.some((step) => step.state === state));
  view.states = new Set([...view.states].filter((state) => states.includes(state)));
  const chip = (state) => {
    const n = data.steps.filter((step) => step.state === state).length;
    return make("button", { type: "button", class: "chip s-" + state, "data-state": state, "aria-pressed": view.states.has(state) ? "true" : "false", onclick: (event) => {
      view.states.has(state) ? view.states.delete(state) : view.states.add(state);
      event.currentTarget.setAttribute("aria-pressed", view.states.has(state) ? "true" : "false");
      filter();
    } }, make("span", { "aria-hidden": "true" }, sign(state)), word(state), make("b", {}, n));
  };
  const focused = document.activeElement && document.activeElement.dataset.state;
  fill($("chips"), states.length > 1 ? states.map(chip) : null);
  if (focused) [...$("chips").children].find((one) => one.dataset.state === focused)?.focus();
}

// Every word has to be in it.
function filter() {
  const words = $("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
  let n = 0;
  const active = words.length > 0 || view.states.size > 0;
  for (const [name, { row: tr, step, text }] of view.rows) {
    const fits = (!view.states.size || view.states.has(step.state)) && words.every((part) => text.includes(part));
    if (tr.hidden === fits) tr.hidden = !fits;
    n += fits ? 1 : 0;
    const box = graph.boxes.get(name);
    if (box) box.box.classList.toggle("out", active && !fits);
  }
  $("graph").classList.toggle("sift", active && view.chosen === null);
  $("count").textContent = active ? n + " of " + count(data.steps.length, "step") : count(data.steps.length, "step");
  $("none").hidden = n > 0;
}

// ── one step ──
function open(name, from) {
  if (from) view.from = from;
  if (location.hash === "#step=" + encodeURIComponent(name)) show();
  else go(name);
}

function close() {
  const back = view.from && view.from.isConnected ? view.from : null;
  history.replaceState(null, "", location.pathname + location.search);
  show();
  if (back) back.focus({ preventScroll: true });
}

function show(quiet) {
  const found = location.hash.match(/^#step=(.*)$/);
  let name = null;
  try { name = found ? decodeURIComponent(found[1]) : null; } catch { name = null; }
  if (name !== null && !data.byName.has(name)) {
    // A box that stands for several steps: the table shows which.
    if (graph.boxes.has(name) && !quiet) {
      $("filter").value = name.replace(/^wave (\d+)$/, "");
      filter();
    }
    name = null;
  }
  mark(name);
  graph.choose(name);
  const aside = $("panel");
  aside.hidden = name === null;
  if (name === null) {
    filter();
    return;
  }
  const top = quiet ? aside.scrollTop : 0;
  fill(aside, panel(data.byName.get(name), data, close));
  aside.scrollTop = top;
  if (!quiet) $("panel-title").focus({ preventScroll: true });
}

function mark(name) {
  const class_ = (of, is) => {
    const found = of !== null && view.rows.get(of);
    if (found) found.row.classList.toggle("here", is);
  };
  class_(view.chosen, false);
  class_(name, true);
  view.chosen = name;
  document.querySelectorAll(".time .t").forEach((bar) => bar.classList.toggle("here", bar.dataset.step === name));
}

// ── keys ──
function visible() {
  return [...$("body").children].filter((tr) => !tr.hidden);
}

function move(by) {
  const rows = visible();
  if (!rows.length) return;
  const active = document.activeElement && document.activeElement.closest("#body tr");
  const at = rows.findIndex((tr) => tr === active || (!active && tr.dataset.step === view.chosen));
  const next = rows[Math.max(0, Math.min(rows.length - 1, at < 0 ? (by > 0 ? 0 : rows.length - 1) : at + by))];
  const button = next.querySelector(".name");
  $("body").querySelectorAll(".name[tabindex='0']").forEach((other) => { other.tabIndex = -1; });
  button.tabIndex = 0;
  button.focus({ preventScroll: true });
  next.scrollIntoView({ block: "nearest" });
  if (!$("panel").hidden) {
    view.from = button;
    history.replaceState(null, "", "#step=" + encodeURIComponent(next.dataset.step));
    show(true);
    $("panel").scrollTop = 0;
  }
}

const KEYS = [
  [["/"], "filter the steps"], [["j", "k"], "next, previous step"], [["Enter"], "open the step"], [["Esc"], "close it; clear the filter"],
  [["←", "→"], "in the graph: along a line"], [["↑", "↓"], "in the graph: within a column"], [["+", "−", "0"], "in the graph: larger, smaller, fit"],
  [["g", "t", "s"], "to graph, timeline, steps"], [["d"], "dark or light"], [["?"], "this list"],
];

function help() {
  const dialog = $("keys");
  if (dialog.open) return dialog.close();
  fill(dialog, make("h2", { id: "keys-title" }, "Keys"),
    make("dl", {}, KEYS.flatMap(([keys, text]) => [make("dt", {}, keys.map((key) => make("kbd", {}, key))), make("dd", {}, text)])),
    make("button", { type: "button", class: "tool wide", onclick: () => dialog.close() }, "Close"));
  dialog.showModal();
}

function key(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  const typing = event.target.matches && event.target.matches("input");
  if (event.key === "Escape") {
    if ($("keys").open) return;
    if (!$("panel").hidden) close();
    else if ($("filter").value || view.states.size) clear();
    if (typing) event.target.blur();
    return;
  }
  if (typing && event.key === "Enter") return move(1);
  if (typing || $("keys").open) return;
  const jump = { g: "graph-part", t: "time-part", s: "steps" }[event.key];
  if (event.key === "/") $("filter").focus();
  else if (event.key === "j") move(1);
  else if (event.key === "k") move(-1);
  else if (event.key === "?") help();
  else if (event.key === "d") theme();
  else if (jump) {
    $(jump).scrollIntoView();
    if (jump === "graph-part") graph.focus(graph.current);
  } else return;
  event.preventDefault();
}

function clear() {
  $("filter").value = "";
  view.states.clear();
  chips();
  filter();
}

// ── light and dark ──
const system = matchMedia("(prefers-color-scheme: dark)");
const dark = () => (document.documentElement.dataset.theme || (system.matches ? "dark" : "light")) === "dark";

function theme() {
  document.documentElement.dataset.theme = dark() ? "light" : "dark";
  try { localStorage.setItem("runplan-theme", document.documentElement.dataset.theme); } catch { /* kept for this page only */ }
  pressed();
}

function pressed() {
  $("theme").setAttribute("aria-pressed", dark() ? "true" : "false");
}

// ── everything ──
function rest() {
  const moments = data.moments || [];
  $("moments-part").hidden = !moments.length;
  const one = (m) => make("li", {}, make("span", { class: "num" }, "+" + duration(m.at)), make("span", {},
    m.step && make("a", { href: "#step=" + encodeURIComponent(m.step), class: "mono" }, m.step), m.step && " ", prose(m.text), " ", make("span", { class: "tier" }, m.name)));
  fill($("moments"), moments.slice(0, 200).map(one));
  fill($("foot"), data.left_out && make("p", {}, data.left_out), make("p", {}, data.run ? "Made from the log of run " + data.run.id + ". " : "Nothing was run for this page. ", "It holds everything it shows and asks nobody for anything."));
}

function draw() {
  index();
  lead();
  legend();
  graph.paint(data.steps);
  timeline(data, open);
  trend(data);
  chips();
  rest();
}

// News of a run that goes on: what changed, each with its place.
function update(news) {
  const changed = news.steps || [];
  delete news.steps;
  Object.assign(data, news);
  const active = document.activeElement;
  const focused = active && active.closest("#body tr") ? active.closest("tr").dataset.step : null;
  const within = active && active.closest("#panel");
  for (const [at, step] of changed) data.steps[at] = step;
  index();
  for (const [, step] of changed) {
    const old = view.rows.get(step.name).row;
    old.replaceWith(row(step));
    if (step.name === focused) view.rows.get(step.name).row.querySelector(".name").focus({ preventScroll: true });
  }
  draw();
  filter();
  if (view.sort) arrange();
  if (view.chosen !== null && changed.some(([, step]) => step.name === view.chosen)) {
    show(true);
    if (within) $("panel-title").focus({ preventScroll: true });
  } else mark(view.chosen);
}

function listen() {
  if (document.body.dataset.mode !== "served") return;
  $("home").hidden = false;
  if (!data.run || data.run.end !== "running") return;
  const live = $("live");
  const time = make("span", { "aria-hidden": "true", class: "num" });
  const text = make("span", {}, "Live");
  fill(live, text, time);
  live.hidden = false;
  const clock = setInterval(() => { time.textContent = duration(Math.max(0, Math.round((Date.now() - Date.parse(data.run.started)) / 1000)) * 1e9); }, 1000);
  const source = new EventSource(location.pathname + "/events");
  source.addEventListener("page", (event) => {
    text.textContent = "Live";
    update(JSON.parse(event.data));
  });
  source.addEventListener("end", () => {
    source.close();
    clearInterval(clock);
    fill(live, "Ended: " + data.run.end);
    live.classList.add("over");
  });
  source.addEventListener("error", () => { text.textContent = "No connection, trying again"; });
}

function start() {
  try {
    const kept = localStorage.getItem("runplan-theme");
    if (kept === "dark" || kept === "light") document.documentElement.dataset.theme = kept;
  } catch { /* nothing kept */ }
  index();
  graph.start(open);
  table();
  draw();
  filter();
  pressed();
  $("theme").addEventListener("click", theme);
  $("help").addEventListener("click", help);
  $("filter").addEventListener("input", filter);
  $("clear").addEventListener("click", clear);
  system.addEventListener("change", pressed);
  addEventListener("hashchange", () => show());
  document.addEventListener("keydown", key);
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[href^='#step=']");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
    event.preventDefault();
    open(decodeURIComponent(link.hash.slice(6)), link);
  });
  // Paper can't be clicked: what is folded is unfolded on it.
  let folded = false;
  addEventListener("beforeprint", () => { folded = !$("terms").open; $("terms").open = true; });
  addEventListener("afterprint", () => { if (folded) $("terms").open = false; });
  let width = $("main").clientWidth;
  new ResizeObserver(() => {
    if ($("main").clientWidth === width) return;
    width = $("main").clientWidth;
    // Not within the observation: what is drawn anew has another size.
    requestAnimationFrame(() => { timeline(data, open); trend(data); mark(view.chosen); });
  }).observe($("main"));
  if (location.hash.startsWith("#step=")) show();
  listen();
}

start();
