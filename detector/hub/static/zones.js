// Draws zones on a camera's picture: with a mouse, a finger, or the keyboard. What is drawn stands in the textarea
// "draft" as JSON, which the page sends; the server checks it all again.
"use strict";

(() => {
const SVG = "http://www.w3.org/2000/svg";
const box = document.getElementById("drawing");
const said = box.dataset;
const svg = box.querySelector("svg.over");
const draft = document.getElementById("draft");
const list = document.getElementById("zone-list");
const selectedBox = document.getElementById("selected");
const nameInput = document.getElementById("zone-name");
const kindInput = document.getElementById("zone-kind");
const spotInput = document.getElementById("zone-spot"); // not for who only proposes, nor the next
const rateInput = document.getElementById("zone-rate");
const told = document.getElementById("told"); // what is drawn, for who doesn't see it
const wrong = document.getElementById("wrong");
const hint = document.getElementById("hint");
const proposing = document.getElementById("proposing");
const [, , WIDTH, HEIGHT] = svg.getAttribute("viewBox").split(" ").map(Number);
const NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/;
const LEAST_AREA = 1e-4;
const MOST_UNDO = 200;

let zones = JSON.parse(draft.value);
let selected = -1; // which zone
let point = -1; // which of its points
let drawing = null; // points of a zone that is being drawn
let cross = [0.5, 0.5]; // where the keyboard would put the next one
let crossShown = false;
let drag = null;
let naming = false;
let shownOf = null; // the zone whose name and numbers stand in the fields
const undone = [];

svg.removeAttribute("aria-hidden");
svg.setAttribute("role", "group");
svg.setAttribute("aria-label", document.querySelector("h1").textContent);
svg.setAttribute("tabindex", "0");
svg.classList.add("live");
svg.querySelectorAll("polygon.zone").forEach((old) => old.remove());
const layer = svg.appendChild(document.createElementNS(SVG, "g"));
box.querySelector(".bar").hidden = false;

const say = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name]);
const rounded = (share) => Math.round(Math.min(1, Math.max(0, share)) * 1e4) / 1e4;
const percent = (share) => Math.round(100 * share);
const inPercent = (share) => (typeof share === "number" ? String(Math.round(1e4 * share) / 100) : "");
const LETTER_PX = .875 * parseFloat(getComputedStyle(document.documentElement).fontSize); // as large as the reader's
const px = () => WIDTH / Math.max(1, svg.getBoundingClientRect().width); // units of the drawing in a CSS pixel

function element(name, attributes, inside = layer) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return inside.appendChild(made);
}

const points = (polygon) => polygon.map(([x, y]) => `${(x * WIDTH).toFixed(1)},${(y * HEIGHT).toFixed(1)}`).join(" ");

// What is wrong with a zone: as the server has it (`geometry.crosses_itself`, `zones.checked_polygon`)

const cut = (a, b, c) => (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]);
const turn = (a, b, c) => (cut(a, b, c) > 1e-12) - (cut(a, b, c) < -1e-12);
const along = (a, b, c) => (b[0] - a[0]) * (c[0] - a[0]) + (b[1] - a[1]) * (c[1] - a[1]);

function meet(a, b, c, d) {
  if (turn(a, b, c) * turn(a, b, d) < 0 && turn(c, d, a) * turn(c, d, b) < 0) return true;
  return [[a, b, c], [a, b, d], [c, d, a], [c, d, b]].some(([p, q, r]) => turn(p, q, r) === 0 && along(r, p, q) <= 0);
}

function crosses(polygon) {
  const n = polygon.length;
  const edge = (k) => [polygon[k], polygon[(k + 1) % n]];
  for (let i = 0; i < n; i += 1) {
    const [a, b] = edge(i);
    if (a[0] === b[0] && a[1] === b[1]) return true;
    for (let j = i + 1; j < n; j += 1) {
      const [c, d] = edge(j);
      if (j === i + 1 || (i === 0 && j === n - 1)) {
        const [shared, one, two] = j === i + 1 ? [b, a, d] : [a, b, c];
        if (turn(shared, one, two) === 0 && along(shared, one, two) > 0) return true;
      } else if (meet(a, b, c, d)) return true;
    }
  }
  return false;
}

function area(polygon) {
  const next = (k) => polygon[(k + 1) % polygon.length];
  return Math.abs(polygon.reduce((sum, a, k) => sum + a[0] * next(k)[1] - next(k)[0] * a[1], 0)) / 2;
}

function trouble(zone) {
  if (!NAME.test(zone.name) || (zone.spot && !NAME.test(zone.spot))) return said.name;
  const usual = Number(zone.label_up_rate ?? ""); // 0 for none
  if (zone.kind === "storage" && !(usual >= 0 && usual <= 1)) return said.rate;
  // Zones of kind blind_edge that share a name are mouths of one place.
  const isMouth = (one) => one.kind === "blind_edge";
  const namesakes = zones.filter((other) => other !== zone && other.name === zone.name);
  if (!namesakes.every((other) => isMouth(other) && isMouth(zone))) return said.twice;
  if (zone.polygon.length < 3) return said.few;
  if (zone.polygon.length > Number(said.mostPoints)) return said.many;
  if (zone.polygon.length > 3 && crosses(zone.polygon)) return said.crossing; // first: halves of a bow tie cancel out
  return area(zone.polygon) < LEAST_AREA ? said.area : "";
}

// What is shown

function render() {
  const focused = document.activeElement?.dataset?.key;
  layer.replaceChildren();
  const unit = px();
  zones.forEach((zone, z) => {
    const shape = element("polygon", {
      points: points(zone.polygon), class: `zone ${zone.kind}${z === selected ? " chosen" : ""}${trouble(zone) ? " broken" : ""}`,
    });
    shape.dataset.zone = z;
  });
  zones.forEach((zone) => {
    const [x, y] = zone.polygon.reduce(([u, v], [a, b]) => [u + a / zone.polygon.length, v + b / zone.polygon.length], [0, 0]);
    const text = element("text", { x: x * WIDTH, y: y * HEIGHT, class: "zone-name", "font-size": LETTER_PX * unit, "stroke-width": 3 * unit });
    text.textContent = zone.name;
  });
  if (drawing) renderDrawing(unit);
  else if (zones[selected]) renderHandles(zones[selected], unit);
  renderList();
  renderTools();
  draft.value = JSON.stringify(zones);
  if (focused) document.querySelector(`[data-key="${focused}"]`)?.focus({ preventScroll: true });
}

function handle(kind, index, [x, y], label, unit) {
  const group = element("g", { class: `handle ${kind}`, tabindex: "0", role: "button", "aria-label": label });
  group.dataset[kind] = index;
  group.dataset.key = `${kind}-${index}`;
  element("circle", { cx: x * WIDTH, cy: y * HEIGHT, r: 20 * unit, class: "reach" }, group);
  element("circle", { cx: x * WIDTH, cy: y * HEIGHT, r: (kind === "point" ? 8 : 5) * unit, class: "dot", "stroke-width": 2 * unit }, group);
  return group;
}

function renderHandles(zone, unit) {
  const n = zone.polygon.length;
  if (n < Number(said.mostPoints)) {
    zone.polygon.forEach((a, k) => {
      const b = zone.polygon[(k + 1) % n];
      const apart = Math.hypot((a[0] - b[0]) * WIDTH, (a[1] - b[1]) * HEIGHT);
      if (apart > 60 * unit) handle("middle", k, [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2], say(said.middle, { k: k + 1 }), unit);
    });
  }
  zone.polygon.forEach((at, k) => {
    const label = say(said.point, { k: k + 1, n, x: percent(at[0]), y: percent(at[1]) });
    if (k === point) handle("point", k, at, label, unit).classList.add("chosen");
    else handle("point", k, at, label, unit);
  });
}

function renderDrawing(unit) {
  const shown = crossShown ? [...drawing, cross] : drawing;
  element("polyline", { points: points(shown), class: "drawn", "stroke-width": 3 * unit });
  drawing.forEach((at, k) => handle("corner", k, at, say(said.point, { k: k + 1, n: drawing.length, x: percent(at[0]), y: percent(at[1]) }), unit));
  if (!crossShown) return;
  const [x, y] = [cross[0] * WIDTH, cross[1] * HEIGHT];
  const arm = 14 * unit;
  element("path", { d: `M${x - arm} ${y}H${x + arm}M${x} ${y - arm}V${y + arm}`, class: "cross", "stroke-width": 2 * unit });
}

function renderList() {
  list.replaceChildren(...zones.map((zone, z) => {
    const row = document.createElement("li");
    const button = document.createElement("button");
    button.type = "button";
    button.dataset.key = `row-${z}`;
    button.setAttribute("aria-pressed", z === selected);
    const mark = document.createElementNS(SVG, "svg");
    mark.setAttribute("class", "swatch");
    mark.setAttribute("viewBox", "0 0 22 14");
    mark.setAttribute("aria-hidden", "true");
    element("rect", { class: `zone ${zone.kind}`, x: 1.5, y: 1.5, width: 19, height: 11 }, mark);
    const name = document.createElement("strong");
    name.textContent = zone.name;
    const kind = document.createElement("span");
    kind.className = trouble(zone) ? "wrong" : "faint";
    kind.textContent = trouble(zone) || said["kind" + zone.kind.split("_").map((word) => word[0].toUpperCase() + word.slice(1)).join("")] || zone.kind;
    button.append(mark, name, kind);
    button.addEventListener("click", () => choose(z));
    row.append(button);
    return row;
  }));
}

function renderTools() {
  const zone = zones[selected];
  const button = (name) => box.querySelector(`[data-do="${name}"]`);
  button("undo").disabled = !undone.length;
  button("new").hidden = Boolean(drawing);
  // Who proposes sends one at a time: a second one would be lost with the page that the first one's answer replaces.
  button("new").disabled = zones.length >= Number(said.mostZones) || Boolean(proposing && zones.some((one) => one.was === null));
  button("done").hidden = button("cancel").hidden = !drawing;
  button("done").disabled = !drawing || drawing.length < 3;
  selectedBox.hidden = !zone || Boolean(drawing);
  hint.hidden = !drawing;
  hint.textContent = drawing ? (drawing.length < 3 ? said.drawing : said.closes) : "";
  const bad = drawing ? null : zones.find(trouble);
  wrong.hidden = !bad;
  wrong.textContent = bad ? say(said.bad, { name: bad.name, why: trouble(bad) }) : "";
  document.querySelectorAll("#look button.main, #proposing button").forEach((send) => {
    send.disabled = Boolean(bad || drawing || (proposing && !(zone && !zone.was)));
  });
  if (!zone) return;
  // What somebody types in stays as they type it, as long as it is of this zone.
  const fill = (input, value) => { if (input !== document.activeElement || zone !== shownOf) input.value = value; };
  fill(nameInput, zone.name);
  kindInput.value = zone.kind;
  if (spotInput) {
    fill(spotInput, zone.spot || "");
    document.getElementById("zone-spot-label").hidden = document.getElementById("spot-why").hidden = zone.kind === "ignore";
    fill(rateInput, inPercent(zone.label_up_rate));
    selectedBox.querySelectorAll("[data-for]").forEach((one) => { one.hidden = one.dataset.for !== zone.kind; });
  }
  shownOf = zone;
  document.querySelectorAll("[data-why]").forEach((why) => { why.hidden = why.dataset.why !== zone.kind; });
  button("point-away").disabled = point < 0 || zone.polygon.length <= 3;
  button("earlier").disabled = selected <= 0;
}

// What people do

// Ends a drag, whose step to undo was noted when it began: what hasn't moved is no step, what isn't kept never was.
function letGo(isKept = true) {
  if (!drag) return;
  if (!isKept) [zones, point] = [JSON.parse(undone.pop()), -1];
  else if (!drag.moved) undone.pop();
  drag = null;
}

function before() {
  letGo(); // what else is done while a corner is held is a step of its own
  undone.push(JSON.stringify(zones));
  if (undone.length > MOST_UNDO) undone.shift();
  document.getElementById("looked")?.remove(); // it shows what is no longer so
}

function change(what) {
  before();
  what();
  render();
}

function choose(z) {
  letGo();
  [selected, point, drawing, naming] = [z, -1, null, false];
  render();
}

function undo() {
  if (drag) letGo(false);
  else if (drawing) {
    if (drawing.length) drawing.pop();
    else drawing = null;
  } else if (undone.length) {
    zones = JSON.parse(undone.pop());
    document.getElementById("looked")?.remove();
    if (selected >= zones.length) selected = -1;
    point = -1;
  }
  render();
}

function begin() {
  letGo();
  [drawing, selected, point, crossShown] = [[], -1, -1, false];
  render();
  svg.focus({ preventScroll: true });
}

function put(at) {
  if (!drawing || drawing.length >= Number(said.mostPoints)) return;
  drawing.push(at.map(rounded));
  render();
  told.textContent = say(said.point, { k: drawing.length, n: drawing.length, x: percent(at[0]), y: percent(at[1]) });
}

function close() {
  if (!drawing || drawing.length < 3) return;
  change(() => {
    let n = zones.length + 1;
    while (zones.some((zone) => zone.name === `zone-${n}`)) n += 1;
    zones.push({ name: `zone-${n}`, kind: proposing ? "ignore" : "storage", polygon: drawing, was: null });
    [selected, point, drawing] = [zones.length - 1, -1, null];
  });
  (proposing ? kindInput : nameInput).focus({ preventScroll: true });
}

function pointAway() {
  const zone = zones[selected];
  if (!zone || point < 0 || zone.polygon.length <= 3) return;
  change(() => {
    zone.polygon.splice(point, 1);
    point = Math.min(point, zone.polygon.length - 1);
  });
}

const deeds = {
  new: begin, undo, done: close, "point-away": pointAway,
  cancel: () => { drawing = null; render(); },
  delete: () => change(() => { zones.splice(selected, 1); [selected, point] = [-1, -1]; }),
  earlier: () => change(() => {
    [zones[selected - 1], zones[selected]] = [zones[selected], zones[selected - 1]];
    selected -= 1;
  }),
};
box.addEventListener("click", (event) => {
  const button = event.target.closest("[data-do]");
  if (!button) return;
  deeds[button.dataset.do]();
  // What can't be pressed any more would take the focus along.
  if (button.contains(document.activeElement) || document.activeElement === document.body) {
    if (button.disabled || !button.checkVisibility()) box.querySelector("[data-do=new]").focus({ preventScroll: true });
  }
});
const typed = (input) => input.value.trim();
const asShare = (input) => (input.value ? Math.round(100 * input.value) / 1e4 : input.validity.badInput ? NaN : "");
for (const [input, field, read] of [[nameInput, "name", typed], [spotInput, "spot", typed], [rateInput, "label_up_rate", asShare]]) {
  input?.addEventListener("input", () => {
    if (!naming) before(); // a name is one step to undo, not one for each letter
    naming = true;
    zones[selected][field] = read(input);
    render();
  });
  input?.addEventListener("blur", () => { naming = false; });
}
kindInput.addEventListener("change", () => change(() => { zones[selected].kind = kindInput.value; }));
draft.addEventListener("change", () => {
  try {
    const wanted = JSON.parse(draft.value);
    if (!Array.isArray(wanted) || !wanted.every((zone) => Array.isArray(zone?.polygon) && typeof zone.name === "string" && typeof zone.kind === "string")) return;
    change(() => { [zones, selected, point] = [wanted, -1, -1]; });
  } catch {
    // the server says what is wrong with it
  }
});
proposing?.addEventListener("submit", () => {
  proposing.elements.kind.value = zones[selected].kind;
  proposing.elements.polygon.value = JSON.stringify(zones[selected].polygon);
});

// Mouse and touch

function where(event) {
  const frame = svg.getBoundingClientRect();
  return [(event.clientX - frame.left) / frame.width, (event.clientY - frame.top) / frame.height];
}

svg.addEventListener("pointerdown", (event) => {
  if (event.button !== 0 || drag) return;
  crossShown = false;
  const at = where(event);
  const grip = event.target.closest(".handle");
  const zone = zones[selected];
  if (drawing) {
    event.preventDefault();
    svg.focus({ preventScroll: true });
    if (grip?.dataset.corner === "0" && drawing.length >= 3) close();
    else put(at);
    return;
  }
  if (grip && zone) {
    event.preventDefault();
    before();
    if (grip.dataset.middle) {
      point = Number(grip.dataset.middle) + 1;
      zone.polygon.splice(point, 0, at.map(rounded));
    } else {
      point = Number(grip.dataset.point);
    }
    drag = { from: at, moved: Boolean(grip.dataset.middle), polygon: zone.polygon.map((p) => [...p]), only: point, id: event.pointerId };
    svg.setPointerCapture(event.pointerId);
    render();
    layer.querySelector(`[data-key="point-${point}"]`)?.focus({ preventScroll: true });
    return;
  }
  const hit = event.target.closest("polygon")?.dataset.zone;
  if (hit === undefined) return choose(-1);
  if (Number(hit) !== selected) return choose(Number(hit));
  before();
  drag = { from: at, moved: false, polygon: zone.polygon.map((p) => [...p]), only: -1, id: event.pointerId };
  svg.setPointerCapture(event.pointerId);
  return undefined;
});

svg.addEventListener("pointermove", (event) => {
  if (!drag || event.pointerId !== drag.id) return;
  const at = where(event);
  let [dx, dy] = [at[0] - drag.from[0], at[1] - drag.from[1]];
  if (!drag.moved && Math.hypot(dx * WIDTH, dy * HEIGHT) < 3 * px()) return; // a tap that trembles
  drag.moved = true;
  const moving = drag.only < 0 ? drag.polygon : [drag.polygon[drag.only]];
  const inside = (d, k) => Math.min(1 - Math.max(...moving.map((p) => p[k])), Math.max(-Math.min(...moving.map((p) => p[k])), d));
  [dx, dy] = [inside(dx, 0), inside(dy, 1)];
  zones[selected].polygon = drag.polygon.map((p, k) => (drag.only < 0 || k === drag.only ? [rounded(p[0] + dx), rounded(p[1] + dy)] : p));
  render();
});

function drop(event) {
  if (!drag || event.pointerId !== drag.id) return;
  letGo(event.type !== "pointercancel");
  render();
}
svg.addEventListener("pointerup", drop);
svg.addEventListener("pointercancel", drop);

// Keyboard

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

svg.addEventListener("keydown", (event) => {
  const arrow = ARROWS[event.key];
  const step = event.shiftKey ? 0.05 : 0.01;
  const grip = event.target.closest(".handle");
  const zone = zones[selected];
  if (drawing) {
    if (arrow) {
      crossShown = true;
      cross = [rounded(cross[0] + step * arrow[0]), rounded(cross[1] + step * arrow[1])];
      render();
      told.textContent = say(said.at, { x: percent(cross[0]), y: percent(cross[1]) });
    } else if (event.key === "Enter" && drawing.length >= 3 && drawing.some((p) => p[0] === cross[0] && p[1] === cross[1])) {
      close();
    } else if (event.key === "Enter" || event.key === " ") {
      crossShown = true;
      put(cross);
    } else if (event.key === "Escape") {
      deeds.cancel();
    } else return;
  } else if (grip && zone && arrow && grip.dataset.point) {
    point = Number(grip.dataset.point);
    change(() => {
      const [x, y] = zone.polygon[point];
      zone.polygon[point] = [rounded(x + step * arrow[0]), rounded(y + step * arrow[1])];
    });
  } else if (grip && zone && (event.key === "Delete" || event.key === "Backspace") && grip.dataset.point) {
    point = Number(grip.dataset.point);
    pointAway();
  } else if (grip && zone && (event.key === "Enter" || event.key === " ")) {
    if (grip.dataset.middle) {
      const k = Number(grip.dataset.middle);
      const [a, b] = [zone.polygon[k], zone.polygon[(k + 1) % zone.polygon.length]];
      point = k + 1;
      change(() => zone.polygon.splice(point, 0, [rounded((a[0] + b[0]) / 2), rounded((a[1] + b[1]) / 2)]));
    } else {
      point = Number(grip.dataset.point);
      render();
    }
    layer.querySelector(`[data-key="point-${point}"]`)?.focus({ preventScroll: true });
  } else return;
  event.preventDefault();
});

document.addEventListener("keydown", (event) => {
  if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "z" && !event.target.closest("input, textarea")) {
    event.preventDefault();
    undo();
  }
});
const tellChange = () => document.querySelector("#looked h2")?.focus();
document.addEventListener("htmx:afterSwap", (event) => { if (event.target.id === "change") tellChange(); });
new ResizeObserver(() => render()).observe(svg);
render();
tellChange(); // somebody else was quicker
draft.defaultValue = draft.value; // what differs from it was drawn since, and is sent or lost (app.js)
})();
