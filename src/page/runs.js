// The list of runs, newest first, as it is now.
const TONES = { GO: "good", "NO-GO": "bad", HOLD: "hold", running: "even" };
const tone = (end) => TONES[end.split(" ").pop()] || "dull";
const MARKS = { good: "✓", bad: "✗", hold: "…", even: "▶", dull: "–" };

function runs(data) {
  const focused = document.activeElement && document.activeElement.dataset.run;
  $("kicker").textContent = data.folder + " · " + count(data.all, "run") + (data.all > data.runs.length ? ", the last " + data.runs.length : "");
  $("none").hidden = data.runs.length > 0;
  const row = (run) => make("tr", { "data-run": run.run },
    make("td", {}, make("span", { class: "end " + tone(run.end) }, make("span", { "aria-hidden": "true" }, MARKS[tone(run.end)] + " "), run.end)),
    make("td", {}, make("a", { href: "/run/" + encodeURIComponent(run.run), "data-run": run.run }, run.run)),
    make("td", {}, run.plan), make("td", {}, moment(run.at)), make("td", { class: "num" }, run.risk ?? ""), make("td", { class: "num" }, duration(run.took_ns)));
  fill($("body"), data.runs.map(row));
  const again = focused && [...document.querySelectorAll("a[data-run]")].find((link) => link.dataset.run === focused);
  if (again) again.focus({ preventScroll: true });
}

const heads = ["Ended", "Run", "Plan", "Began", "Risk", "Took"];
fill($("head"), heads.map((text) => make("th", { scope: "col", class: text === "Risk" || text === "Took" ? "num" : null }, text)));
runs(JSON.parse($("data").textContent));
const source = new EventSource("/events");
source.addEventListener("runs", (event) => {
  $("live").hidden = true;
  runs(JSON.parse(event.data));
});
source.addEventListener("error", () => {
  $("live").hidden = false;
  $("live").textContent = "No connection, trying again";
});
