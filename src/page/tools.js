"use strict";
// What every part uses: elements made of text, never of markup; figures as people read them.
const SVG = "http://www.w3.org/2000/svg";
const $ = (id) => document.getElementById(id);

// An element. Attributes by name, `on*` as listeners; children are elements or texts.
function make(name, attributes, ...children) {
  const [space, local] = name.startsWith("svg:") ? [SVG, name.slice(4)] : [null, name];
  const element = space ? document.createElementNS(space, local) : document.createElement(local);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value === true ? "" : String(value));
  }
  add(element, children);
  return element;
}

function add(element, children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false || child === "") continue;
    element.append(child instanceof Node ? child : String(child));
  }
  return element;
}

function fill(element, ...children) {
  element.replaceChildren();
  return add(element, children);
}

const SIGNS = {
  run: "●", reuse: "≡", skip: "○", skipped: "○", blocked: "⊘", pass: "✓", warn: "!", fail: "✗", error: "✖",
  inconclusive: "?", pending: "…", not_run: "–", running: "▶",
};
const WORDS = { run: "would run", reuse: "taken over", skip: "skipped", not_run: "not run" };
const ORDER = ["fail", "error", "inconclusive", "pending", "running", "blocked", "warn", "pass", "run", "reuse", "skip", "not_run"];
const LETTERS = { p: "pass", w: "warn", f: "fail", e: "error", i: "inconclusive", h: "pending", s: "skip", "-": "not_run" };

const sign = (state) => SIGNS[state] || "·";
// Of a run that goes on, what was not reached is waiting.
const word = (state) => (state === "not_run" && data.run && data.run.end === "running" ? "waiting" : WORDS[state] || state);

function badge(state, text) {
  return make("span", { class: "state s-" + state }, make("span", { class: "sign", "aria-hidden": "true" }, sign(state)), text || word(state));
}

// A text with what stands in backticks as code.
function prose(text) {
  return text.split(/`([^`]+)`/).map((part, i) => (i % 2 ? make("code", {}, part) : part));
}

function count(n, what) {
  return n + " " + what + (n === 1 ? "" : "s");
}

// Nanoseconds, to three figures.
function duration(ns) {
  if (ns === undefined || ns === null) return "";
  const ms = ns / 1e6;
  if (ms < 1) return ms < 0.001 ? "0 ms" : ms.toFixed(2) + " ms";
  if (ms < 1000) return (ms < 10 ? ms.toFixed(1) : Math.round(ms)) + " ms";
  const s = ms / 1000;
  if (s < 59.95) return (s < 9.995 ? s.toFixed(2) : s.toFixed(1)) + " s";
  const whole = Math.round(s);
  if (whole < 3600) return Math.floor(whole / 60) + " min " + String(whole % 60).padStart(2, "0") + " s";
  return Math.floor(whole / 3600) + " h " + String(Math.floor((whole % 3600) / 60)).padStart(2, "0") + " min";
}

function bytes(n) {
  if (n < 1024) return n + " B";
  const units = ["KiB", "MiB", "GiB", "TiB"];
  let at = -1;
  do { n /= 1024; at++; } while (n >= 1024 && at < units.length - 1);
  return n.toFixed(1) + " " + units[at];
}

function figure(value, unit) {
  if (unit === "ns") return duration(value);
  if (unit === "B") return bytes(Math.round(value));
  const text = Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(4)));
  return unit ? text + " " + unit : text;
}

// 2026-11-24T15:31:12Z as people read it, in UTC: the page says the same everywhere.
function moment(text) {
  return text.replace("T", " ").replace(/(\.\d+)?Z$/, " UTC");
}

// A word of a shell command line.
function shellWord(text) {
  return /^[A-Za-z0-9_\-./:=@%+,]+$/.test(text) ? text : "'" + text.replaceAll("'", "'\\''") + "'";
}

function copyable(text, wrap) {
  const button = make("button", { type: "button", class: "copy", "aria-label": "Copy: " + text.slice(0, 80) }, "Copy");
  const pre = make("pre", { tabindex: "0" }, text);
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
    } catch {
      // Where nothing may be written, the text is selected instead.
      getSelection().selectAllChildren(pre);
      button.textContent = "Selected";
    }
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  });
  return make("div", { class: "code has-copy" + (wrap ? " wrap" : "") }, pre, button);
}

// Characters that steer, hide or reorder: shown by their code point.
const HIDDEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/g;
const shown = (text) => text.replace(HIDDEN, (c) => "\\u{" + c.codePointAt(0).toString(16) + "}");

// An output with its colours: SGR escapes become classes, every other escape is dropped.
function terminal(text, into) {
  text = text.replace(/\r+\n/g, "\n").split("\n").map((line) => line.slice(line.lastIndexOf("\r", line.length - 2) + 1)).join("\n");
  const escapes = /\u001b\[([0-9;:]*)m|\u001b\[[0-?]*[ -/]*[@-~]?|\u001b[\]PX^_][^\u0007\u001b]*(?:\u0007|\u001b\\)?|\u001b[ -/]*[0-~]?|[\u0007\u0008]/g;
  let classes = new Set();
  let from = 0;
  const put = (part) => {
    if (!part) return;
    const safe = shown(part);
    into.append(classes.size ? make("span", { class: [...classes].join(" ") }, safe) : safe);
  };
  for (const found of text.matchAll(escapes)) {
    put(text.slice(from, found.index));
    from = found.index + found[0].length;
    if (found[1] !== undefined) classes = rendition(classes, found[1]);
  }
  put(text.slice(from));
  return into;
}

function rendition(before, codes) {
  const classes = new Set(before);
  const without = (test) => classes.forEach((c) => test(c) && classes.delete(c));
  const list = (codes || "0").split(/[;:]/).map(Number);
  for (let i = 0; i < list.length; i++) {
    const code = list[i];
    if (code === 0) classes.clear();
    else if ([1, 2, 3, 4, 9].includes(code)) classes.add("a" + code);
    else if (code === 22) without((c) => c === "a1" || c === "a2");
    else if (code === 23 || code === 24 || code === 29) classes.delete("a" + (code - 20));
    else if (code === 39) without((c) => c[0] === "f");
    else if ((code >= 30 && code <= 37) || (code >= 90 && code <= 97)) {
      without((c) => c[0] === "f");
      classes.add("f" + (code < 90 ? code - 30 : code - 82));
    } else if (code === 38 || code === 48) {
      // 256 colours: the first 16 are the named ones; of the rest nothing is shown.
      if (list[i + 1] === 5 && code === 38 && list[i + 2] < 16) {
        without((c) => c[0] === "f");
        classes.add("f" + list[i + 2]);
      }
      i += list[i + 1] === 5 ? 2 : 4;
    }
  }
  return classes;
}
