// One step in full.
function panel(step, data, close) {
  const link = (name) => {
    const other = data.byName.get(name);
    return make("a", { href: "#step=" + encodeURIComponent(name) }, other ? make("span", { class: "s-" + other.state, "aria-hidden": "true" }, sign(other.state) + " ") : null, name);
  };
  const names = (title, list) => (list && list.length ? [make("h3", {}, title), make("div", { class: "names" }, list.map(link))] : []);
  const part = (title, ...content) => (content.flat().some(Boolean) ? [make("h3", {}, title), ...content] : []);
  const rank = data.steps.indexOf(step);
  const dependants = data.steps.filter((other) => (other.needs || []).includes(step.name)).map((other) => other.name);
  const followers = data.steps.filter((other) => (other.after || []).includes(step.name)).map((other) => other.name);
  const bits = [step.kind, "wave " + step.wave, step.severity && step.severity + " severity", step.required ? "required" : "advisory",
    step.finally && "finally", step.critical && "critical path", step.time_ns !== undefined && (data.run ? "took " : "about ") + duration(step.time_ns)];
  return [
    make("div", { class: "panel-top" },
      make("h2", { id: "panel-title", tabindex: "-1" }, step.name),
      make("button", { type: "button", class: "tool", "aria-label": "Previous step", disabled: rank < 1, onclick: () => go(data.steps[rank - 1].name) }, "↑"),
      make("button", { type: "button", class: "tool", "aria-label": "Next step", disabled: rank + 1 >= data.steps.length, onclick: () => go(data.steps[rank + 1].name) }, "↓"),
      make("button", { type: "button", class: "tool", "aria-label": "Close", "aria-keyshortcuts": "Escape", onclick: close }, "✕")),
    step.title && make("p", { class: "lede" }, step.title),
    make("div", { class: "tags" }, make("span", { class: "pill b-" + step.state }, badge(step.state)), make("span", {}, bits.filter(Boolean).join(" · "))),
    (step.notes || []).length ? make("p", { class: "plot-note" }, step.notes.join(" · ")) : null,
    (step.tags || []).length ? make("div", { class: "tags" }, step.tags.map((tag) => make("span", { class: "tag" }, tag))) : null,
    step.why && make("p", { class: "because b-" + step.state }, prose(step.why)),
    step.docs && make("p", { class: "plot-note" }, step.docs),
    step.action && part("What it does", copyable(step.action.map((line) => line.replace(/^\$ /, "")).join("\n"), true)),
    part("Criteria", criteria(step)),
    part("Attempts", attempts(step)),
    part("Samples", (step.plots || []).map(plot)),
    (step.logs || []).length ? (step.logs).flatMap(log) : null,
    names("Needs", step.needs),
    names("Runs after", step.after),
    names("Needed by", dependants),
    names("Followed by", followers),
    part("Earlier runs", pasts(step, data)),
    part("Outputs", outputs(step)),
    part("In the plan", source(step)),
    step.policy && part("Policy", make("dl", { class: "kv" }, step.policy.flatMap(([key, text]) => [make("dt", {}, key), make("dd", {}, text)]))),
    part("On the command line", data.commands.map((command) => copyable(command + " " + shellWord(step.name), true))),
  ];
}

// As if a link had been followed, only at once.
function go(name) {
  history.pushState(null, "", "#step=" + encodeURIComponent(name));
  show();
}

function criteria(step) {
  const list = step.criteria || [];
  if (!list.length) return null;
  const row = (one) => {
    const state = one.state || "none";
    const pair = (label, text) => text && make("span", {}, label + " ", make("b", {}, text));
    return make("li", {},
      make("span", { class: "state s-" + state }, make("span", { class: "sign", "aria-hidden": "true" }, one.state ? sign(one.state) : "·"), make("span", { class: "off" }, one.state || "not judged")),
      make("div", {},
        make("code", {}, one.text), make("span", { class: "tier" }, one.tier + (one.origin === "implied" ? ", implied" : "")),
        (one.expected || one.actual) && make("div", { class: "pair" }, pair("expected", one.expected), pair("actual", one.actual), one.margin && make("span", {}, one.margin)),
        (one.notes || []).map((note) => make("p", { class: "note" }, prose(note))),
        !one.state && one.origin && make("p", { class: "note" }, prose(one.origin))));
  };
  return make("ul", { class: "crit-list" }, list.map(row));
}

function attempts(step) {
  const list = step.attempts || [];
  if (!list.length) return null;
  const row = (one) => make("tr", {},
    make("td", { class: "num" }, one.number),
    make("td", {}, badge(one.state || step.state)),
    make("td", { class: "num" }, "+" + duration(one.start)),
    make("td", { class: "num" }, duration(one.end - one.start)),
    make("td", {}, [one.exit, one.samples > 1 && count(one.samples, "look")].filter(Boolean).join(", ")));
  const more = list.flatMap((one) => [one.detail && list.length > 1 && "Attempt " + one.number + ": " + one.detail, ...(one.notes || [])]).filter(Boolean);
  const heads = ["#", "State", "Began", "Took", "Ended"].map((text) => make("th", { scope: "col", class: ["#", "Began", "Took"].includes(text) ? "num" : null }, text));
  return [make("table", { class: "small" }, make("thead", {}, make("tr", {}, heads)), make("tbody", {}, list.map(row))),
    ...more.map((text) => make("p", { class: "plot-note" }, prose(text)))];
}

function plot(one) {
  const values = one.values.filter((value) => value !== null);
  const [w, h] = [400, 64];
  const looks = one.states || "";
  const n = Math.max(one.values.length, 2);
  const x = (i) => 10 + (i / (n - 1)) * (w - 20);
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const foot = looks ? 18 : 8;
  const y = (value) => (high === low ? (h - foot) / 2 : 7 + (1 - (value - low) / (high - low)) * (h - foot - 12));
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted[Math.floor((sorted.length - 1) / 2)];
  const range = values.length ? figure(low, one.unit) + " to " + figure(high, one.unit) + ", middle " + figure(middle, one.unit) : "";
  const svg = make("svg:svg", { class: "plot", viewBox: "0 0 " + w + " " + h, preserveAspectRatio: "none", role: "img", "aria-label": one.label + ": " + count(one.count, "value") + ". " + range });
  let path = "";
  one.values.forEach((value, i) => {
    if (value !== null) path += (path && one.values[i - 1] !== null ? "L" : "M") + x(i).toFixed(1) + " " + y(value).toFixed(1);
  });
  svg.append(make("svg:path", { class: "line", d: path }));
  [...looks].forEach((letter, i) => {
    // A failure stands higher, so that colour is not all that tells it.
    const bad = "fe".includes(letter);
    svg.append(make("svg:rect", { class: "look-" + letter, x: x(i) - 2, y: bad ? h - 16 : h - 10, width: 4, height: bad ? 12 : 6, rx: 1 }, make("svg:title", {}, "look " + (one.count - looks.length + i + 1) + ": " + LETTERS[letter])));
  });
  const thinned = one.count > one.values.length ? (looks ? ", the last " + one.values.length + " shown" : ", peaks of each " + Math.ceil(one.count / one.values.length) + " shown") : "";
  return make("div", {}, svg, make("p", { class: "plot-note" }, one.label + " · " + count(one.count, looks ? "look" : "value") + thinned + (range ? " · " + range : "")));
}

function log(one) {
  const note = one.left_out ? "the first " + bytes(one.left_out) + " are left out" : "";
  return [make("h3", {}, one.name),
    make("div", { class: "code" }, terminal(one.text, make("pre", { tabindex: "0", "aria-label": one.name }))),
    make("p", { class: "plot-note" }, [note, one.path].filter(Boolean).join(" · "))];
}

function pasts(step, data) {
  if (!step.past) return null;
  const one = (letter, i) => {
    const run = data.trend[i];
    const state = LETTERS[letter];
    return make("span", { class: "b-" + state + " s-" + state, title: (run ? run.run + ": " : "") + (letter === "-" ? "not known" : word(state)) }, letter === "-" ? "·" : sign(state));
  };
  const tally = new Map();
  [...step.past].forEach((letter) => letter !== "-" && tally.set(letter, (tally.get(letter) || 0) + 1));
  const words = [...tally].map(([letter, n]) => n + " " + word(LETTERS[letter])).join(", ");
  return [make("div", { class: "pasts", "aria-hidden": "true" }, [...step.past].map(one)), make("p", { class: "plot-note" }, words + ", oldest first")];
}

function outputs(step) {
  const files = (step.files || []).map(([path, digest, kept]) => [make("dt", {}, kept ? "archived" : "file"), make("dd", {}, make("code", {}, path), " ", make("span", { class: "tier" }, digest.slice(0, 12)))]);
  const values = Object.entries(step.values || {}).map(([name, value]) => [make("dt", {}, name), make("dd", {}, make("code", {}, value))]);
  const all = [...values, ...files].flat();
  return all.length ? make("dl", { class: "kv" }, all) : null;
}

function source(step) {
  if (!(step.source || []).length) return step.place ? make("p", { class: "plot-note" }, step.place) : null;
  const first = Number((step.place.match(/:(\d+):\d+$/) || [])[1] || 1);
  const pre = make("pre", { tabindex: "0", "aria-label": "Lines of the plan" });
  step.source.forEach((line, i) => pre.append(make("span", { class: "ln", "aria-hidden": "true" }, first + i), line + "\n"));
  return [make("div", { class: "code" }, pre), make("p", { class: "plot-note" }, step.place)];
}
