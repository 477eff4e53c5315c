// The timeline: a lane a worker, a bar an attempt; and the runs of the plan over time.
const LANE = 24;

// Puts every step into the first lane that is free from its first attempt to its last.
function lanes(steps) {
  const spans = steps.filter((step) => (step.attempts || []).length).map((step) => {
    const first = step.attempts[0];
    const last = step.attempts[step.attempts.length - 1];
    return { step, start: first.start, end: Math.max(last.end, first.start) };
  });
  spans.sort((a, b) => a.start - b.start || a.end - b.end);
  const free = [];
  for (const span of spans) {
    let lane = free.findIndex((until) => until <= span.start);
    if (lane < 0) lane = free.length;
    free[lane] = Math.max(span.end, span.start + 1);
    span.lane = lane;
  }
  return { spans, count: free.length };
}

// A round number near to an eighth of the whole.
function tick(whole) {
  const rough = whole / 7;
  const seconds = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200].map((s) => s * 1e9);
  if (rough > 1e9) return seconds.find((s) => s >= rough) || Math.ceil(rough / 3.6e12) * 3.6e12;
  const power = 10 ** Math.floor(Math.log10(Math.max(rough, 1)));
  return [1, 2, 5, 10].map((n) => n * power).find((n) => n >= rough);
}

function timeline(data, open) {
  const { spans, count: rows } = lanes(data.steps);
  $("time-part").hidden = spans.length === 0;
  if (!spans.length) return;
  const width = Math.max(320, $("time").clientWidth || 1000);
  const whole = Math.max(1, data.run ? data.run.took_ns : 0, ...spans.map((span) => span.end));
  const left = 6;
  const x = (ns) => left + (ns / whole) * (width - left - 46);
  const height = rows * LANE + 26;
  const critical = data.steps.filter((step) => step.critical).map((step) => step.name);
  const label = count(spans.length, "step") + " in " + count(rows, "lane") + " over " + duration(whole);
  const svg = make("svg:svg", { class: "time", viewBox: "0 0 " + width + " " + height, height, role: "img", "aria-label": "Timeline: " + label });
  for (let row = 0; row < rows; row++) {
    svg.append(make("svg:rect", { class: "lane", x: left, y: 20 + row * LANE, width: width - left - 46, height: LANE - 3, rx: 3 }));
  }
  const step = tick(whole);
  for (let at = 0; at <= whole * 1.0001; at += step) {
    svg.append(make("svg:line", { class: "axis", x1: x(at), x2: x(at), y1: 16, y2: height - 4 }));
    svg.append(make("svg:text", { x: x(at), y: 11, "text-anchor": at === 0 ? "start" : "middle" }, at === 0 ? "0" : duration(at)));
  }
  for (const { step: one, lane, end } of spans) svg.append(bars(one, 20 + lane * LANE, x, end));
  svg.addEventListener("click", (event) => {
    const bar = event.target.closest(".t");
    if (bar) open(bar.dataset.step, null);
  });
  fill($("time"), svg);
  const path = critical.length ? "; outlined: the critical path, " + duration(data.steps.filter((s) => s.critical).reduce((sum, s) => sum + (s.time_ns || 0), 0)) : "";
  $("time-hint").textContent = label + path;
}

function bars(step, y, x, end) {
  const group = make("svg:g", { class: "t " + step.state + (step.critical ? " crit" : ""), "data-step": step.name });
  const tries = step.attempts.length;
  step.attempts.forEach((attempt, at) => {
    const from = x(attempt.start);
    const to = Math.max(from + 2, x(attempt.end));
    const next = step.attempts[at + 1];
    if (next) group.append(make("svg:line", { class: "gap", x1: to, x2: x(next.start), y1: y + 10, y2: y + 10 }));
    const bar = make("svg:g", { class: "t " + (attempt.state || step.state) + (step.critical ? " crit" : ""), "data-step": step.name });
    const tried = tries > 1 ? ", attempt " + attempt.number + " of " + tries : "";
    const title = step.name + tried + ": " + word(attempt.state || step.state) + ", " + duration(attempt.end - attempt.start) + " from " + duration(attempt.start);
    bar.append(make("svg:title", {}, title));
    bar.append(make("svg:rect", { x: from, y: y + 2, width: to - from, height: LANE - 7, rx: 3 }));
    // Only whole names: what doesn't fit is told by the title.
    if ((at === tries - 1 || next.start > end) && to - from > step.name.length * 6.4 + 20) {
      bar.append(make("svg:text", { x: from + 6, y: y + 14.5 }, sign(attempt.state || step.state) + " " + step.name));
    }
    group.append(bar);
  });
  return group;
}

const ENDS = { GO: "good", "NO-GO": "bad", HOLD: "hold" };
const tone = (end) => ENDS[end.split(" ").pop()] || (end === "running" || end === "dry run" ? "even" : "dull");

// Decision, risk and time of the runs of the plan.
function trend(data) {
  const runs = data.trend || [];
  $("trend-part").hidden = runs.length < 2;
  if (runs.length < 2) return;
  const room = $("trend").clientWidth || 900;
  const [w, h] = [Math.max(240, Math.floor(room > 640 ? (room - 30) / 2 : room)), 86];
  const x = (i) => 22 + (i / Math.max(1, runs.length - 1)) * (w - 44);
  const is = (run) => data.run && run.run === data.run.id;
  const words = (run) => run.run + ": " + run.end + (run.risk === undefined ? "" : ", risk " + run.risk) + ", " + duration(run.took_ns) + ", " + moment(run.at);
  const risks = runs.map((run, i) => ({ run, i })).filter(({ run }) => run.risk !== undefined);
  const y = (risk) => 10 + (1 - risk / 100) * 50;
  const last = runs[runs.length - 1];
  const risk = make("svg:svg", { class: "trend", viewBox: "0 0 " + w + " " + h, role: "img", "aria-label": "Risk of the last " + count(runs.length, "run") + "; the newest: " + words(last) });
  if (data.decision) {
    for (const bound of [data.decision.go, data.decision.no_go]) risk.append(make("svg:line", { class: "limit", x1: 8, x2: w - 8, y1: y(bound), y2: y(bound) }));
  }
  risk.append(make("svg:path", { class: "line", d: risks.map(({ run, i }, n) => (n ? "L" : "M") + x(i) + " " + y(run.risk)).join("") }));
  runs.forEach((run, i) => {
    const at = { cx: x(i), cy: run.risk === undefined ? y(0) : y(run.risk) };
    if (is(run)) risk.append(make("svg:circle", { class: "this", ...at, r: 7.5 }));
    risk.append(make("svg:circle", { class: "dot-" + tone(run.end).replace("even", "dull"), ...at, r: 4.2 }, make("svg:title", {}, words(run))));
    if (run.risk !== undefined && (is(run) || i === runs.length - 1)) risk.append(make("svg:text", { x: x(i), y: at.cy < 26 ? at.cy + 20 : at.cy - 11, "text-anchor": "middle" }, run.risk));
  });
  risk.append(make("svg:text", { x: 8, y: h - 3 }, moment(runs[0].at).slice(0, 16)), make("svg:text", { x: w - 8, y: h - 3, "text-anchor": "end" }, moment(last.at).slice(0, 16)));
  const longest = Math.max(...runs.map((run) => run.took_ns), 1);
  const time = make("svg:svg", { class: "trend", viewBox: "0 0 " + w + " " + h, role: "img", "aria-label": "Time of the last " + count(runs.length, "run") + ": from " + duration(Math.min(...runs.map((r) => r.took_ns))) + " to " + duration(longest) });
  const wide = Math.min(18, (w - 44) / runs.length - 3);
  runs.forEach((run, i) => {
    const tall = Math.max(2, (run.took_ns / longest) * 54);
    time.append(make("svg:rect", { class: "bar-d" + (is(run) ? " now" : ""), x: x(i) - wide / 2, y: 68 - tall, width: wide, height: tall, rx: 2 }, make("svg:title", {}, words(run))));
  });
  time.append(make("svg:text", { x: 8, y: h - 3 }, "longest " + duration(longest)), make("svg:text", { x: w - 8, y: h - 3, "text-anchor": "end" }, "newest " + duration(last.took_ns)));
  fill($("trend"), make("div", { class: "trend-row" },
    make("figure", {}, make("figcaption", {}, "Risk, coloured by decision"), risk),
    make("figure", {}, make("figcaption", {}, "Time"), time)));
}
