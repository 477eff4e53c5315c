// The graph: boxes that open their step, keys that follow its lines, sizes, dragging.
const graph = {
  boxes: new Map(),
  before: new Map(),
  after: new Map(),
  scale: 1,

  start(open) {
    this.svg = $("graph");
    this.stage = $("stage");
    this.width = Number(this.svg.getAttribute("width"));
    this.height = Number(this.svg.getAttribute("height"));
    for (const box of this.svg.querySelectorAll("g.n")) {
      const rect = box.querySelector("rect");
      const place = { x: Number(rect.getAttribute("x")), y: Number(rect.getAttribute("y")), w: Number(rect.getAttribute("width")) };
      this.boxes.set(box.dataset.step, { box, ...place });
    }
    const put = (map, key, value) => (map.has(key) ? map.get(key).push(value) : map.set(key, [value]));
    this.lines = [...this.svg.querySelectorAll("path.e")].map((path) => {
      const { from, to } = path.dataset;
      put(this.after, from, to);
      put(this.before, to, from);
      return { path, head: path.nextElementSibling, from, to };
    });
    this.current = this.boxes.keys().next().value;
    if (this.current !== undefined) this.boxes.get(this.current).box.setAttribute("tabindex", "0");
    this.svg.addEventListener("click", (event) => {
      const box = event.target.closest("g.n");
      if (box && !this.dragged) open(box.dataset.step, box);
    });
    this.stage.addEventListener("keydown", (event) => this.key(event, open));
    this.svg.addEventListener("focusin", (event) => {
      const box = event.target.closest("g.n");
      if (box) this.rove(box.dataset.step);
    });
    $("zoom-in").addEventListener("click", () => this.zoom(this.scale * 1.25));
    $("zoom-out").addEventListener("click", () => this.zoom(this.scale / 1.25));
    $("zoom-fit").addEventListener("click", () => this.fit(true));
    this.stage.addEventListener("wheel", (event) => {
      if (!event.ctrlKey && !event.metaKey) return;
      event.preventDefault();
      this.zoom(this.scale * Math.exp(-event.deltaY / 300), event);
    }, { passive: false });
    this.drag();
    this.fit(false);
  },

  // The whole width, but by itself never so small that names can't be read.
  fit(whole) {
    const room = this.stage.clientWidth;
    const least = whole ? 0.08 : 0.62;
    this.zoom(Math.max(least, Math.min(1, room / this.width)));
  },

  zoom(scale, at) {
    const before = this.scale;
    this.scale = Math.max(0.05, Math.min(3, scale));
    const box = this.stage.getBoundingClientRect();
    const x = at ? at.clientX - box.left : this.stage.clientWidth / 2;
    const y = at ? at.clientY - box.top : this.stage.clientHeight / 2;
    const { scrollLeft: left, scrollTop: top } = this.stage;
    this.svg.setAttribute("width", this.width * this.scale);
    this.svg.setAttribute("height", this.height * this.scale);
    this.stage.scrollLeft = ((left + x) * this.scale) / before - x;
    this.stage.scrollTop = ((top + y) * this.scale) / before - y;
  },

  drag() {
    let from = null;
    this.stage.addEventListener("pointerdown", (event) => {
      if (event.button !== 0 || event.pointerType === "touch") return;
      from = { x: event.clientX, y: event.clientY, left: this.stage.scrollLeft, top: this.stage.scrollTop };
      this.dragged = false;
    });
    addEventListener("pointermove", (event) => {
      if (!from) return;
      const [dx, dy] = [event.clientX - from.x, event.clientY - from.y];
      if (!this.dragged && Math.hypot(dx, dy) < 5) return;
      this.dragged = true;
      this.stage.classList.add("drag");
      this.stage.scrollLeft = from.left - dx;
      this.stage.scrollTop = from.top - dy;
    });
    addEventListener("pointerup", () => {
      from = null;
      this.stage.classList.remove("drag");
      // The click that ends a drag is none.
      setTimeout(() => { this.dragged = false; });
    });
  },

  key(event, open) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const box = event.target.closest && event.target.closest("g.n");
    const at = box ? box.dataset.step : this.current;
    if (event.key === "Enter" || event.key === " ") {
      if (!box) return;
      event.preventDefault();
      open(at, box);
      return;
    }
    if (event.key === "+" || event.key === "-" || event.key === "0") {
      event.preventDefault();
      if (event.key === "0") this.fit(true);
      else this.zoom(event.key === "+" ? this.scale * 1.25 : this.scale / 1.25);
      return;
    }
    const next = box || !event.key.startsWith("Arrow") ? this.neighbour(at, event.key) : at;
    if (next === undefined) return;
    event.preventDefault();
    this.focus(next);
  },

  // Along a line to the left or right, within the column up or down: always the nearest.
  neighbour(name, key) {
    const here = this.boxes.get(name);
    if (!here) return undefined;
    const all = [...this.boxes.entries()].filter(([other]) => other !== name);
    const column = (sideways) => all.filter(([, o]) => Math.sign(o.x - here.x) === sideways);
    const named = (names) => (names || []).map((other) => [other, this.boxes.get(other)]).filter(([, o]) => o);
    let found = [];
    if (key === "ArrowLeft") found = named(this.before.get(name));
    else if (key === "ArrowRight") found = named(this.after.get(name));
    else if (key === "ArrowUp") found = column(0).filter(([, o]) => o.y < here.y);
    else if (key === "ArrowDown") found = column(0).filter(([, o]) => o.y > here.y);
    else return undefined;
    if (!found.length && key === "ArrowLeft") found = column(-1);
    if (!found.length && key === "ArrowRight") found = column(1);
    const far = ([, o]) => Math.abs(o.x - here.x) + Math.abs(o.y - here.y);
    return found.sort((a, b) => far(a) - far(b)).map(([other]) => other)[0] ?? name;
  },

  rove(name) {
    const [old, now] = [this.boxes.get(this.current), this.boxes.get(name)];
    if (!now) return;
    if (old) old.box.setAttribute("tabindex", "-1");
    now.box.setAttribute("tabindex", "0");
    this.current = name;
  },

  focus(name) {
    this.rove(name);
    this.boxes.get(name).box.focus({ preventScroll: true });
    this.show(name);
  },

  // Scrolls within the stage only.
  show(name) {
    const found = this.boxes.get(name);
    if (!found) return;
    const [x, y, w, h] = [found.x * this.scale, found.y * this.scale, found.w * this.scale, 40 * this.scale];
    const stage = this.stage;
    const pad = 30;
    if (x - pad < stage.scrollLeft) stage.scrollLeft = x - pad;
    else if (x + w + pad > stage.scrollLeft + stage.clientWidth) stage.scrollLeft = x + w + pad - stage.clientWidth;
    if (y - pad < stage.scrollTop) stage.scrollTop = y - pad;
    else if (y + h + pad > stage.scrollTop + stage.clientHeight) stage.scrollTop = y + h + pad - stage.clientHeight;
  },

  // The chosen step, everything it waits for and everything that waits for it; null for none.
  choose(name) {
    this.svg.classList.toggle("far", name !== null && this.boxes.has(name));
    const near = new Set();
    if (name !== null) {
      for (const next of [this.before, this.after]) {
        const stack = [name];
        const seen = new Set(stack);
        while (stack.length) {
          for (const other of next.get(stack.pop()) || []) {
            if (seen.has(other)) continue;
            seen.add(other);
            stack.push(other);
          }
        }
        seen.forEach((other) => near.add(other));
      }
    }
    for (const [other, { box }] of this.boxes) {
      box.classList.toggle("here", other === name);
      box.classList.toggle("near", other !== name && near.has(other));
    }
    for (const { path, head, from, to } of this.lines) {
      const is = near.has(from) && near.has(to);
      path.classList.toggle("near", is);
      if (head) head.classList.toggle("near", is);
    }
    if (name !== null) {
      this.rove(name);
      this.show(name);
    }
  },

  // States as they are now: a sign and a class for each box, the lines of a blast radius dashed.
  paint(steps) {
    const states = new Map(steps.map((step) => [step.name, step.state]));
    const times = new Map(steps.map((step) => [step.name, step.time_ns]));
    for (const [name, { box }] of this.boxes) {
      const state = states.get(name);
      const note = box.querySelector(".m");
      const time = times.get(name);
      const waits = state === "not_run" && note && note.textContent === "not_run" && word(state) !== WORDS.not_run;
      if (!state || (box.classList.contains(state) && !waits)) continue;
      Object.keys(SIGNS).forEach((other) => box.classList.remove(other));
      box.classList.add(state);
      box.querySelector(".s").textContent = sign(state);
      if (!note) continue;
      note.removeAttribute("textLength");
      note.textContent = word(state) + (time === undefined ? "" : " · " + duration(time));
    }
    const bad = ["fail", "error", "inconclusive", "blocked"];
    for (const { path, from, to } of this.lines) path.classList.toggle("blast", states.get(to) === "blocked" && bad.includes(states.get(from)));
  },
};
