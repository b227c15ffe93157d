// Judges incidents by keyboard: on an incident's own page, and at the review desk, where the next one waits preloaded.
// Without it, the same pages work by links and forms.
"use strict";

const page = document.body.dataset;
const isDesk = page.page === "review";
const at = document.getElementById("at");
const last = document.getElementById("last");
const desk = crypto.randomUUID ? crypto.randomUUID() : String(Math.random()).slice(2).padEnd(8, "0");
const failed = document.getElementById("failed");
const ended = document.getElementById("ended");
const LOOK = "/review/look";
const LIVELY = !matchMedia("(prefers-reduced-motion: reduce)").matches;

async function ask(url, fields, what = "item") {
  const options = { headers: { "X-Fragment": what }, signal: AbortSignal.timeout?.(htmx.config.timeout) };
  if (fields) Object.assign(options, { method: "POST", body: new URLSearchParams(fields) });
  const answer = await fetch(url, options);
  if (answer.status === 401) {
    if (hasDraft()) {
      ended.hidden = false;
      return answer;
    }
    toLogin(fields && url !== LOOK); // that somebody looks, the page tells by itself
    return new Promise(() => {}); // the page is leaving
  }
  return answer;
}

// What somebody wrote and hasn't sent would be lost with the page: they log in beside it.
const hasDraft = () => along || drafts.size ||
  [...document.querySelectorAll("main :is(textarea, input[type=text], input:not([type]))")]
    .some((field) => field.form !== handedIn && field.checkVisibility() && field.value !== field.defaultValue);

let along = ""; // a note that goes along with a verdict, until it is taken or is a draft again
let handedIn = null; // a form that goes to the server by itself, and with it what was written there
const drafts = new Map(); // by incident: a note that was written and not sent, while another incident is shown
let leaving = false;

// And back: at the desk to the first one whose verdict was still on its way, not to the one that is shown since.
function toLogin(isDeed) {
  if (leaving) return;
  leaving = true;
  const back = new URL(location.href);
  const [lost] = [...judged.keys()].filter((id) => judged.get(id) === null);
  if (lost) back.searchParams.set("incident", lost);
  const unsaved = isDeed || unsent ? "&unsaved=1" : "";
  location.assign("/login?next=" + encodeURIComponent(back.pathname + back.search) + unsaved);
}

function elements(html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  return document.importNode(template.content, true);
}

const path = (id, part) => `/incidents/${encodeURIComponent(id)}/${part}`;
const shown = () => document.querySelector(".item");
const player = () => Player.in(shown());

// Whoever works by Tab and Enter goes on from where they were, also where that is exchanged. After a press of the mouse
// the keys are the page's own again, Space too.
const holds = (inside) => inside.contains(document.activeElement);
const isLed = (inside) => holds(inside) && document.activeElement.matches(":focus-visible");
const lead = (to) => to?.focus({ preventScroll: true });
const toTitle = () => lead(shown()?.querySelector("h1"));

function exchange(old, fresh, how) {
  const isPressed = holds(old) && !isLed(old);
  morph(old, fresh, how);
  if (isPressed) document.activeElement.blur();
}

// In place, so that what is scrolled, pressed or in focus stays so; where that goes, the keys are at the first button.
function morph(old, fresh, how) {
  const led = isLed(old);
  Idiomorph.morph(old, fresh, how);
  if (led && !holds(old)) lead(old.querySelector("button"));
}

// Items: fetched once, kept while they may be wanted soon. Each is a promise of an element with its player.

const kept = new Map();
let news = 0; // changes that were told to this page

class Gone extends Error {}

function item(id) {
  if (!kept.has(id)) {
    const made = (async () => {
      const known = news;
      const answer = await ask(path(id, "item"));
      if (answer.status === 404) throw new Gone();
      if (!answer.ok) throw new Error(String(answer.status));
      const found = elements(await answer.text()).querySelector(".item");
      found.dataset.known = known;
      new Player(found.querySelector(".player"));
      return found;
    })();
    made.catch(() => kept.delete(id));
    kept.set(id, made);
    // A few around the present one; an older one gives its video back.
    for (const old of [...kept.keys()].slice(0, Math.max(0, kept.size - 8))) {
      if (old !== shown()?.dataset.incident) kept.delete(old);
    }
  }
  return kept.get(id);
}

const entries = () => [...document.querySelectorAll("#queue [data-incident]")];
const entry = (id) => entries().find((one) => one.dataset.incident === id);

let wanted = null; // the incident that is to be shown, while it is on its way
let unopened = null; // the one that couldn't be, until one is

async function show(id) {
  wanted = id;
  const began = performance.now();
  const ready = item(id);
  const slow = setTimeout(() => { at.dataset.slow = ""; }, 200);
  let next;
  try {
    next = await ready;
  } catch (failure) {
    return passOver(id, failure instanceof Gone);
  } finally {
    clearTimeout(slow);
    delete at.dataset.slow;
  }
  if (wanted !== id) return undefined;
  player()?.video?.pause();
  const led = isLed(at);
  layAside();
  at.replaceChildren(next);
  takeUp(id);
  if (led) toTitle();
  document.getElementById("empty").hidden = true;
  at.hidden = false;
  sayUnopened(null);
  mark(id);
  const now = player();
  now?.showState();
  if (now?.video) {
    if (LIVELY) now.play();
    now.drawSoon();
    firstPicture(now.video, began);
  }
  const url = new URL(location.href);
  url.searchParams.set("incident", id);
  history.replaceState(null, "", url);
  look();
  if (kept.get(id) !== ready) refresh(id); // it changed on its way here
  else if (Number(next.dataset.known) !== news) refreshSoon(); // others did meanwhile
  for (const one of neighbours(id)) item(one).catch(() => {});
  return undefined;
}

// A note that isn't on its way with a verdict stays with its incident, whatever is shown meanwhile.
function layAside() {
  const { incident } = shown()?.dataset ?? {};
  const text = shown()?.querySelector(".note")?.value;
  if (text?.trim() && judged.get(incident) !== null) drafts.set(incident, text);
}

function takeUp(id) {
  const field = shown().querySelector(".note");
  if (field && drafts.has(id)) field.value = drafts.get(id);
  drafts.delete(id);
}

// What is gone leaves the list; anything else stays there, for it may only be that the hub can't be reached.
function passOver(id, isGone) {
  if (isGone) {
    entry(id)?.closest("li").remove();
    drafts.delete(id);
  }
  if (wanted !== id) return undefined;
  wanted = shown()?.dataset.incident ?? null;
  const stays = wanted && !judged.has(wanted); // where one is
  if (isGone) return stays && wanted !== id ? undefined : showNext();
  if (!stays) clear();
  document.getElementById("empty").hidden = true;
  return sayUnopened(id);
}

function sayUnopened(id) {
  unopened = id;
  document.getElementById("unopened").hidden = !id;
}

// How long it took from the key until the next clip's picture stood on the page, for whoever measures.
function firstPicture(video, began) {
  const done = () => requestAnimationFrame(() => setTimeout(() => {
    performance.measure("to-next-clip", { start: began, end: performance.now() });
  }));
  if (video.readyState >= 2) done();
  else video.addEventListener("loadeddata", done, { once: true });
}

function mark(id) {
  for (const one of entries()) {
    if (one.dataset.incident === id) {
      one.setAttribute("aria-current", "true");
      one.scrollIntoView({ block: "nearest" });
    } else one.removeAttribute("aria-current");
  }
}

// Those that come after one, the nearest first.
function neighbours(id, most = 3) {
  const ids = entries().map((one) => one.dataset.incident).filter((one) => !judged.has(one));
  const place = ids.indexOf(id);
  return ids.slice(place + 1, place + 1 + most);
}

function following(id) {
  const ids = entries().map((one) => one.dataset.incident);
  const place = ids.indexOf(id);
  const open = (one) => one !== id && !judged.has(one);
  return ids.slice(place + 1).find(open) ?? ids.find(open) ?? null;
}

function showNext() {
  const next = following(shown()?.dataset.incident ?? "");
  if (next) return show(next);
  const more = document.getElementById("queue-more");
  if (!more.hidden) return showNextOf(more);
  const led = isLed(at);
  clear();
  const empty = document.getElementById("empty");
  empty.hidden = false;
  if (led) lead(empty);
  return undefined;
}

// More waits than is listed: all of that is judged here, and the hub doesn't know it yet.
async function showNextOf(more) {
  const before = wanted;
  at.dataset.slow = "";
  const found = await showMore(more);
  delete at.dataset.slow;
  if (wanted !== before) return undefined; // somebody chose another one
  return found ? showNext() : clear(); // the list is asked for anew once the hub is back
}

function clear() {
  wanted = null;
  player()?.video?.pause();
  at.replaceChildren();
  at.hidden = true;
}

// Verdicts. They are sent one after another; the page doesn't wait for them, and comes back to one that failed.

const judged = new Map(); // by incident: number of the verdict that settled it, null while one's own is on its way
const past = []; // incidents judged here, the latest last
const undoing = new Set(); // those of them whose verdict is about to be taken back
let cameBack = 0; // how many came back, taken back or not taken at all
let sending = Promise.resolve();
let unsent = 0;

function inTurn(deed) {
  unsent += 1;
  sending = sending.then(deed).catch(() => {}).finally(() => { unsent -= 1; });
  return sending;
}

// What is still to be sent, or only written yet, would be lost with the page: the browser asks.
addEventListener("submit", (event) => { handedIn = event.defaultPrevented ? null : event.target; });
addEventListener("beforeunload", (event) => {
  if (!leaving && (unsent || hasDraft())) event.preventDefault();
});

function countDown(by) {
  const left = document.getElementById("left");
  left.textContent = left.textContent.replace(/\d+/, (n) => String(Math.max(0, Number(n) - by)));
}

function judgeAtDesk(form, fields) {
  const id = shown().dataset.incident;
  if (wanted !== id || judged.has(id)) return; // the next one isn't there yet
  judged.set(id, null);
  past.push(id);
  entry(id)?.closest("li").classList.add("judged");
  countDown(1);
  const field = shown().querySelector(".note"); // who wrote to it and judges it means both
  const text = field?.value.trim() ?? "";
  showNext();
  inTurn(async () => {
    along = text;
    const noted = text ? await ask(path(id, "notes"), { text }).catch(() => null) : null;
    if (noted?.ok) field.value = along = "";
    const answer = along ? null : await ask(form.getAttribute("action"), fields, "desk").catch(() => null);
    if (answer?.ok) {
      const told = elements(await answer.text());
      judged.set(id, Number(told.querySelector(".just").dataset.number));
      last.replaceChildren(told, nextAloud());
      kept.delete(id);
      return;
    }
    if (along) drafts.set(id, along);
    along = "";
    const isBack = await comeBack(id);
    if (isBack && answer?.status === 409) contest(await answer.text());
    else last.textContent = isBack ? last.dataset.failed : last.dataset.notDone;
  });
}

// Which one is shown by now, for who doesn't see it.
function nextAloud() {
  const words = document.createElement("p");
  words.className = "hidden";
  const heading = shown()?.querySelector(".heading");
  if (heading) words.textContent = `${last.dataset.next}${heading.textContent.replace(/\s+/g, " ").trim()}`;
  return words;
}

function forget(id) {
  judged.delete(id);
  const place = past.lastIndexOf(id);
  if (place >= 0) past.splice(place, 1);
  const line = entry(id)?.closest("li");
  if (line?.classList.contains("judged")) {
    line.classList.remove("judged");
    countDown(-1);
  }
}

// Shows one again, as the hub has it now or, while that can't be asked, as it was; tells whether it is shown.
async function comeBack(id) {
  cameBack += 1;
  forget(id);
  wanted = id;
  const before = kept.get(id);
  kept.delete(id);
  await item(id).catch((failure) => { if (before && !(failure instanceof Gone)) kept.set(id, before); });
  if (wanted === id) await show(id);
  return shown()?.dataset.incident === id;
}

function contest(html) {
  const section = shown().querySelector("[data-part=verdict]");
  section.querySelector(".contested")?.remove();
  section.prepend(elements(html));
  section.querySelector("[data-keep]").focus();
}

function undoAtDesk() {
  if (!past.length) return document.querySelector(".item [data-undo]")?.click();
  const id = past.findLast((one) => !undoing.has(one));
  if (!id) return undefined;
  undoing.add(id);
  return inTurn(async () => {
    undoing.delete(id);
    const place = past.lastIndexOf(id);
    if (place < 0) return undefined; // its verdict wasn't taken: nothing is to be taken back
    past.splice(place, 1);
    const answer = await ask(path(id, "undo"), {}, "desk").catch(() => null);
    if (!answer?.ok && answer?.status !== 409) {
      if (answer?.status !== 404) past.splice(place, 0, id);
      last.textContent = last.dataset.notDone;
      return undefined;
    }
    const led = isLed(last);
    last.replaceChildren();
    const isBack = await comeBack(id);
    if (isBack && led) toTitle();
    if (isBack && answer.status === 409) contest(await answer.text());
    return refreshQueueSoon();
  });
}

async function sendHere(form, fields) {
  const told = JSON.stringify(fields);
  if (form.dataset.sent === told) return undefined; // pressed twice
  form.dataset.sent = told;
  const { part } = form.closest("[data-part]").dataset;
  const { incident } = shown().dataset;
  const answer = await ask(form.getAttribute("action"), fields).catch(() => null);
  delete form.dataset.sent;
  if (answer?.status === 409) return contest(await answer.text());
  failed.hidden = answer !== null;
  if (answer === null || answer.status === 401) return undefined;
  ended.hidden = true;
  if (!answer.ok) {
    handedIn = form;
    return form.submit(); // the server says what is wrong
  }
  const fresh = elements(await answer.text());
  if (shown()?.dataset.incident !== incident) return undefined;
  // Asked for only now: the stream of changes may have put another in its place meanwhile.
  const old = shown().querySelector(`[data-part=${part}]`);
  if (old && part === "notes") takeNote(old, fields.text, fresh.firstElementChild);
  else if (old) exchange(old, fresh);
  refresh(incident);
  return undefined;
}

// The note that was sent is among the others now. What was written since is the next one's draft.
function takeNote(section, text, fresh) {
  const field = section.querySelector(".note");
  if (field.value === text) {
    field.value = "";
    field.blur();
  }
  Idiomorph.morph(section, fresh);
}

async function reasonForLast(form, fields) {
  return inTurn(async () => {
    const answer = await ask(form.getAttribute("action"), fields, "desk").catch(() => null);
    failed.hidden = Boolean(answer?.ok);
    if (answer?.ok) exchange(last, elements(await answer.text()), { morphStyle: "innerHTML" });
  });
}

// The case is chosen over the clip, so that the guard stays where they are; #last says what came of it.

const choice = document.getElementById("choice"); // none for who may only look at cases: the link leads there

async function chooseCase(link) {
  const answer = await ask(link.getAttribute("href"), null, "case").catch(() => null);
  const html = answer?.ok ? await answer.text() : "";
  if (choice.open) return; // pressed twice
  if (!html) {
    last.textContent = last.dataset.notDone;
    return;
  }
  choice.replaceChildren(elements(html));
  choice.showModal();
}

async function putIntoCase(form, fields) {
  if ("sent" in form.dataset) return; // pressed twice
  form.dataset.sent = "";
  const answer = await ask(form.getAttribute("action"), fields, "case").catch(() => null);
  if (answer?.status === 409) {
    choice.replaceChildren(elements(await answer.text())); // and why
    choice.querySelector("button:enabled, input:not([type=hidden])").focus(); // what was pressed is gone
    return;
  }
  choice.close();
  if (answer?.ok) {
    last.replaceChildren(elements(await answer.text()));
    if (!isDesk) refresh(shown().dataset.incident); // which names the cases it is in
  } else last.textContent = last.dataset.notDone;
}

document.addEventListener("submit", (event) => {
  const form = event.target;
  const { deed } = form.dataset;
  if (!deed) return;
  event.preventDefault();
  const fields = Object.fromEntries(new FormData(form, event.submitter));
  if (deed === "mask") sendMask(form, fields);
  else if (deed === "undo-last") undoAtDesk();
  else if (deed === "reason" && form.closest("#last")) reasonForLast(form, fields);
  else if (deed === "case") putIntoCase(form, fields);
  else if (isDesk && (deed === "verdict" || (deed === "replace" && fields.verdict))) judgeAtDesk(form, fields);
  else sendHere(form, fields);
});

// The second click of a double one was meant for what the first did away with: it would judge the next one unseen, or
// take back the verdict before.
document.addEventListener("click", (event) => {
  if (event.detail > 1 && event.target.closest("[data-deed] button")) event.preventDefault();
});

document.addEventListener("click", (event) => {
  if (event.ctrlKey || event.metaKey || event.shiftKey) return;
  const act = event.target.closest(".acts [data-at]");
  if (act) return showActAt(Number(act.dataset.at));
  if (event.target.closest("[data-help]")) help();
  const toCase = choice && event.target.closest("[data-case]");
  if (toCase) {
    event.preventDefault();
    chooseCase(toCase);
  }
  const side = isDesk && event.target.closest(".item [data-side]:not(input)");
  if (side) {
    event.preventDefault();
    showSide(side.dataset.side);
  }
  const keep = event.target.closest("[data-keep]");
  if (keep) {
    event.preventDefault();
    keepTheirs();
  }
  const chosen = event.target.closest("#queue [data-incident]");
  if (chosen) {
    event.preventDefault();
    show(chosen.dataset.incident);
  }
  const more = event.target.closest("#queue-more");
  if (more) {
    event.preventDefault();
    showMore(more);
  }
});

// The act that begins then, or what is there.
function showActAt(start) {
  if (!player()?.video) return;
  player().root.scrollIntoView({ block: "nearest" });
  player().showAct(player().plan.acts.find((one) => one.start === start) ?? { start, end: start + 2 });
}

function keepTheirs() {
  const contested = document.querySelector(".contested");
  if (isLed(contested)) toTitle();
  contested.remove();
  if (!contested.dataset.number) return refresh(shown().dataset.incident); // it grew graver: look again
  if (!isDesk) {
    const url = new URL(location.href);
    url.searchParams.delete("asked"); // who comes from the feed is asked by the address, which is asked for anew
    history.replaceState(null, "", url);
    return refresh(shown().dataset.incident);
  }
  judged.set(shown().dataset.incident, Number(contested.dataset.number)); // not one's own, so not to be undone
  return showNext();
}

// Keys

const keys = {
  k: () => player()?.do("play"),
  " ": () => player()?.do("play"),
  j: () => player()?.do("slower"),
  l: () => player()?.do("faster"),
  ArrowLeft: () => player()?.do("back"),
  ArrowRight: () => player()?.do("forward"),
  ",": () => player()?.do("earlier"),
  ".": () => player()?.do("later"),
  o: () => player()?.do("loop"),
  b: () => player()?.do("boxes"),
  f: () => player()?.do("full"),
  u: () => (isDesk ? undoAtDesk() : document.querySelector(".item [data-undo]")?.click()),
  n: () => shown()?.querySelector("[data-part=notes] .note")?.focus(),
  g: () => shown()?.querySelector("[data-part=response] button:is([value=going], [value=there])")?.click(),
  c: () => shown()?.querySelector("[data-case]")?.click(),
  v: () => {
    const sides = [...(shown()?.querySelectorAll(".sides a") ?? [])];
    sides[(sides.findIndex((one) => one.hasAttribute("aria-current")) + 1) % sides.length]?.click();
  },
  m: () => {
    const mask = shown()?.querySelector(".mask");
    if (mask) mask.open = !mask.open;
  },
  y: () => document.querySelector(".contested [data-replace]")?.click(),
  Escape: () => (document.querySelector(".contested") ? keepTheirs() : closeMask()),
  "?": help,
  ...(isDesk && { ArrowDown: () => go(1), ArrowUp: () => go(-1) }), // elsewhere they scroll the page
};

function go(way) {
  const ids = entries().map((one) => one.dataset.incident);
  const to = ids[ids.indexOf(unopened ?? shown()?.dataset.incident) + way];
  if (to) {
    judged.delete(to);
    show(to);
  }
}

// Who speaks to the browser, or has a screen reader's own keys, turns letters and digits off (WCAG 2.1.4).
const letters = document.getElementById("letters");
letters?.addEventListener("change", () => {
  const body = new URLSearchParams({ letters: letters.checked ? "on" : "off" });
  fetch("/preferences", { method: "POST", body, redirect: "manual" }).catch(() => null); // a cookie keeps it
});

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (document.querySelector("#help[open], #large[open]")) return;
  if (event.target.matches("input, textarea, select")) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  if (letters && !letters.checked && event.key.length === 1 && event.key !== " ") return;
  if (choice?.open) {
    if (/^[1-9]$/.test(event.key)) choice.querySelectorAll("li button")[event.key - 1]?.click();
    return;
  }
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (key === " " && (event.target.matches("button, a, summary") || !player()?.video)) return; // and so does Space
  const pressed =
    document.querySelectorAll(".item .choices button")["1234".indexOf(key)] ??
    document.querySelector(`#last [data-key="${CSS.escape(key)}"]`) ??
    document.querySelector(`.item .reasons [data-key="${CSS.escape(key)}"]`);
  if (pressed) {
    event.preventDefault();
    if (!event.repeat) pressed.click();
  } else if (keys[key]) {
    event.preventDefault();
    if (!event.repeat || key !== "u") keys[key]();
  }
});

// "Ignore here": an area is drawn on the picture, point by point, or typed as a rectangle.

function polygon(form) {
  return JSON.parse(form.elements.polygon.value);
}

function closeMask() {
  const mask = document.querySelector(".item .mask[open]");
  if (!mask) return;
  if (isLed(mask)) lead(mask.querySelector("summary"));
  mask.open = false;
}

// The picture's own width and height, by which the drawing lies over it: beside it there may be bars.
function maskShape(svg) {
  const picture = svg.parentElement.querySelector("video, img");
  const shape = [picture.videoWidth || picture.naturalWidth || 16, picture.videoHeight || picture.naturalHeight || 9];
  svg.setAttribute("viewBox", `0 0 ${shape.join(" ")}`);
  return shape;
}

function drawMask(form, points) {
  form.elements.polygon.value = JSON.stringify(points);
  const svg = shown().querySelector(".stage .area");
  if (!svg) return;
  const [wide, high] = maskShape(svg);
  svg.querySelector("polygon").setAttribute("points", points.map(([x, y]) => `${wide * x},${high * y}`).join(" "));
  svg.querySelectorAll("circle").forEach((one) => one.remove());
  points.forEach(([x, y], n) => {
    const corner = document.createElementNS(svg.namespaceURI, "circle");
    const places = { cx: wide * x, cy: high * y, r: 7 / (svg.getScreenCTM()?.a || 1) };
    for (const [name, value] of Object.entries(places)) corner.setAttribute(name, value);
    corner.dataset.corner = n;
    svg.append(corner);
  });
}

function openMask(form) {
  const stage = shown().querySelector(".stage");
  const picture = stage.querySelector("video, img");
  if (!picture) return;
  if (picture.pause) picture.pause();
  stage.querySelector(".area")?.remove();
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.classList.add("area");
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", form.dataset.area);
  svg.append(document.createElementNS(svg.namespaceURI, "polygon"));
  stage.append(svg);
  const sides = Object.fromEntries([...form.querySelectorAll("[data-side]")].map((one) => [one.dataset.side, one]));
  // What is drawn is told by the rectangle around it, in whole percents, as it may be typed.
  const draw = (points) => {
    drawMask(form, points);
    const [left, right, top, bottom] = [0, 1].flatMap((n) => {
      const parts = points.map((point) => Math.round(100 * point[n]));
      return [Math.min(...parts), Math.max(...parts)];
    });
    const told = points.length ? { left, top, width: right - left, height: bottom - top } : {};
    for (const [name, field] of Object.entries(sides)) field.value = told[name] ?? "";
  };
  let fresh = true; // the first touch replaces the rectangle that is offered
  let held = null;
  const place = (event) => {
    const [wide, high] = maskShape(svg);
    const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
    return [at.x / wide, at.y / high].map((part) => Math.round(1e4 * Math.min(Math.max(part, 0), 1)) / 1e4);
  };
  svg.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    const points = fresh && !("corner" in event.target.dataset) ? [] : polygon(form);
    fresh = false;
    if ("corner" in event.target.dataset) held = Number(event.target.dataset.corner);
    else held = points.push(place(event)) - 1;
    svg.setPointerCapture(event.pointerId);
    draw(points);
  });
  svg.addEventListener("pointermove", (event) => {
    if (held === null) return;
    const points = polygon(form);
    points[held] = place(event);
    draw(points);
  });
  svg.addEventListener("lostpointercapture", () => { held = null; }); // lifted, or taken away by the browser
  form.querySelector("[data-clear]").onclick = () => {
    fresh = false;
    draw([]);
  };
  form.querySelector("[data-cancel]").onclick = closeMask;
  const rectangle = () => {
    const [left, top, width, height] = ["left", "top", "width", "height"].map((name) => Number(sides[name].value) / 100);
    const right = Math.min(1, Math.round(1e4 * (left + width)) / 1e4);
    const bottom = Math.min(1, Math.round(1e4 * (top + height)) / 1e4);
    return [[left, top], [right, top], [right, bottom], [left, bottom]];
  };
  const typed = () => {
    fresh = false;
    drawMask(form, rectangle());
  };
  for (const one of Object.values(sides)) one.oninput = typed;
  drawMask(form, form.elements.polygon.value ? polygon(form) : rectangle());
  // What shape it has may be known only now.
  picture.addEventListener(picture.pause ? "loadedmetadata" : "load", () => drawMask(form, polygon(form)), { once: true });
}

document.addEventListener("toggle", (event) => {
  if (!event.target.matches?.(".mask")) return;
  if (event.target.open) {
    openMask(event.target.querySelector("form"));
    // The picture that is drawn on stays in sight, before the form below it.
    event.target.scrollIntoView({ block: "nearest" });
    shown().querySelector(".stage").scrollIntoView({ block: "nearest" });
  } else if (shown()) {
    shown().querySelector(".stage .area")?.remove();
    refresh(shown().dataset.incident); // a player that waited until nobody draws
  }
}, true);

async function sendMask(form, fields) {
  const status = form.querySelector("[role=status]");
  if (fields.polygon && polygon(form).length < 3) { // without a picture to draw on its sides are sent
    status.textContent = status.dataset.small;
    return;
  }
  const told = JSON.stringify(fields);
  if (form.dataset.sent === told) return; // pressed twice, or the same once more
  form.dataset.sent = told;
  const answer = await ask(form.getAttribute("action"), fields).catch(() => null);
  if (!answer?.ok) delete form.dataset.sent;
  status.textContent = answer?.ok ? status.dataset.sent : status.dataset.failed;
  if (answer?.ok) shown().querySelector(".stage .area")?.remove();
}

// What others do

let eyes = {};

function showEyes() {
  for (const place of document.querySelectorAll("[data-eyes]")) {
    place.textContent = (eyes[place.dataset.eyes] ?? []).filter((user) => user !== page.user).join(", ");
  }
  const words = shown()?.querySelector("[data-watched]");
  if (!words) return;
  const others = (eyes[shown().dataset.incident] ?? []).filter((user) => user !== page.user);
  words.hidden = !others.length;
  words.textContent = others.length ? words.dataset.words.replace("%", others.join(", ")) : "";
}

function look() {
  showEyes();
  const id = shown()?.dataset.incident;
  if (id && page.events.startsWith("/review")) ask(LOOK, { desk, incident: id }).catch(() => {});
}

// Redraws those parts of what is shown that changed, adds those it gained, such as a first recording, and takes away
// those it lost; not under the hands of somebody who chooses, and drafts stay (morph.js).
// Of several answers on their way only the one that was asked for last counts: an older one would undo it.
let refreshes = 0;

async function refresh(id) {
  const turn = ++refreshes;
  const known = news;
  const answer = await ask(isDesk ? sideOf(id) : location.href).catch(() => null);
  if (!answer?.ok || shown()?.dataset.incident !== id) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  if (turn !== refreshes || shown()?.dataset.incident !== id) return;
  shown().dataset.known = known;
  const parts = ".item [data-part], #more [data-part]";
  const left = new Set([...fresh.querySelectorAll(parts)].map((one) => one.dataset.part));
  for (const part of document.querySelectorAll(parts)) if (!left.has(part.dataset.part)) part.remove();
  let before;
  for (const other of fresh.querySelectorAll(parts)) {
    const part = document.querySelector(`[data-part=${other.dataset.part}]`);
    const active = document.activeElement;
    const busy = part?.contains(active) && active.matches("input:not(.note)");
    if (!part) before.after(other);
    else if (!busy && !part.querySelector(".contested") && other.outerHTML !== part.outerHTML) morph(part, other);
    before = part ?? other;
  }
  const now = fresh.querySelector(".player");
  if (player().root.dataset.plan !== now.dataset.plan && !player().renew(now)) renewPlayer(now);
}

// What another camera tells may be of the same minute, and then stands here, too. Of many changes a few are asked about.
const OTHERS_EVERY_MS = 5000;
let refreshingOthers = 0;

function refreshSoon() {
  refreshingOthers ||= setTimeout(() => {
    refreshingOthers = 0;
    if (shown()) refresh(shown().dataset.incident);
  }, OTHERS_EVERY_MS);
}

// Another player, for another clip. Not while somebody watches or draws on it.
function renewPlayer(root) {
  if ((player().video?.paused ?? true) && !shown().querySelector(".mask[open]")) replacePlayer(root);
}

// At the same moment, if one was shown: from another side, what is seen is what was just seen.
function replacePlayer(root) {
  const old = player();
  const focus = old.root.contains(document.activeElement) ? document.activeElement.dataset : {};
  const at = old.now;
  old.root.replaceWith(root);
  const next = new Player(root);
  if (next.video && at !== null) {
    next.act = old.act;
    next.seek(at);
    next.showState();
  }
  for (const [name, value] of Object.entries(focus)) {
    root.querySelector(`[data-${name}="${CSS.escape(value)}"]`)?.focus({ preventScroll: true });
  }
}

// The footage of another camera that told of the same, under the same verdict: a page of its own but at the desk.
function sideOf(id, side = shown().querySelector(".sides [aria-current]")?.dataset.side) {
  return side && side !== id ? `${path(id, "item")}?side=${encodeURIComponent(side)}` : path(id, "item");
}

async function showSide(side) {
  const id = shown().dataset.incident;
  const turn = ++refreshes;
  const answer = await ask(sideOf(id, side)).catch(() => null);
  failed.hidden = answer !== null;
  if (!answer?.ok || turn !== refreshes || shown()?.dataset.incident !== id) return;
  const fresh = elements(await answer.text());
  for (const part of [".sides", ".mask"]) {
    const [old, other] = [shown().querySelector(part), fresh.querySelector(part)];
    if (old && other) old.replaceWith(other);
  }
  player().video?.pause();
  replacePlayer(fresh.querySelector(".player"));
  shown().querySelector(".sides [aria-current]")?.focus({ preventScroll: true });
}

// Led to its head: of itself the browser goes to the first control, at the foot, which the space bar turns.
function help() {
  const keys = document.getElementById("help");
  keys?.showModal();
  keys?.querySelector("h2").focus();
}

// What was settled before the list was asked for, and is in it, was taken back in another tab or by somebody else.
function reopen(lines, before) {
  for (const line of lines) {
    const id = line.firstElementChild.dataset.incident;
    if (Number.isInteger(before.get(id)) && judged.get(id) === before.get(id)) forget(id);
  }
}

async function showMore(link) {
  const before = new Map(judged);
  const answer = await ask(link.getAttribute("href"), null, "queue").catch(() => null);
  if (!answer?.ok) return false;
  const more = elements(await answer.text()).querySelector("ol");
  const list = document.querySelector("#queue ol");
  reopen(more.children, before);
  // Whatever was asked for meanwhile may hold some of them.
  list.append(...[...more.children].filter((line) => !entry(line.firstElementChild.dataset.incident)));
  setNext(more.dataset.next);
  showEyes();
  return true;
}

function setNext(next) {
  const link = document.getElementById("queue-more");
  link.href = next;
  link.hidden = !next;
}

let isStale = false;
let refreshing = false;

function refreshQueueSoon() {
  isStale = true;
  if (!refreshing) refreshWhileStale();
}

// One after the other, with pauses several times as long as the answers took: a hub that has much to do isn't asked all
// the more, and many desks leave it most of its time for who waits for the next clip.
async function refreshWhileStale() {
  refreshing = true;
  let tookMs = 0;
  while (isStale) {
    const restMs = Math.max(150, 4 * tookMs);
    await new Promise((done) => { setTimeout(done, restMs); });
    isStale = false;
    const began = performance.now();
    await refreshQueue().catch(console.error);
    tookMs = performance.now() - began;
  }
  refreshing = false;
}

// Lines that stay aren't taken out, nor are those that others pass: a press of the mouse that has begun on one would
// come to nothing.
function relist(list, lines) {
  const known = new Map([...list.children].map((line) => [line.firstElementChild.dataset.incident, line]));
  const fresh = lines.map((line) => {
    const old = known.get(line.firstElementChild.dataset.incident);
    if (old && old !== line) morph(old, line);
    return old ?? line;
  });
  const stay = new Set(fresh);
  for (const line of known.values()) if (!stay.has(line)) line.remove();
  let place = list.firstElementChild;
  for (const line of fresh) {
    if (line === place) place = place.nextElementSibling;
    else list.insertBefore(line, place);
  }
}

async function refreshQueue() {
  await sending; // what is on its way would come back into the list
  const before = new Map(judged);
  const backBefore = cameBack;
  const pages = Math.ceil(entries().length / 30) || 1;
  const list = document.querySelector("#queue ol");
  let next = page.queue;
  const lines = [];
  let left = "";
  for (let n = 0; n < pages && next; n += 1) {
    const answer = await ask(next, null, "queue").catch(() => null);
    if (!answer?.ok) return undefined;
    const found = elements(await answer.text()).querySelector("ol");
    left ||= found.dataset.left;
    next = found.dataset.next;
    lines.push(...found.children);
  }
  if (cameBack !== backBefore) return refreshQueueSoon(); // asked for before, it may lack what one comes to next
  reopen(lines, before);
  const id = shown()?.dataset.incident;
  // The one that is being looked at stays in its place, whoever judges it.
  if (id && entry(id) && !lines.some((line) => line.firstElementChild.dataset.incident === id)) {
    const place = entries().findIndex((one) => one.dataset.incident === id);
    lines.splice(place, 0, entry(id).closest("li"));
  }
  const held = holds(list) ? document.activeElement.dataset.incident : null;
  relist(list, lines);
  if (held && !holds(list)) lead(entry(held)); // its line has moved
  setNext(next);
  document.getElementById("left").textContent = left;
  if (!entry(unopened)) sayUnopened(null);
  if (id) mark(id);
  else if (!wanted) showNext();
  showEyes();
  return undefined;
}

// Too much was missed to be told one by one. The page itself stays: somebody may be writing.
function askAnew() {
  const id = shown()?.dataset.incident;
  for (const one of [...kept.keys()]) if (one !== id) kept.delete(one);
  if (id) refresh(id);
  if (isDesk) refreshQueueSoon();
}

const SILENCE_MS = 40000; // the hub says every 15 s that it is here

function listen(after) {
  const lost = document.getElementById("lost");
  const source = new EventSource(`${page.events}?after=${after}&desk=${desk}`);
  let known = after;
  let complaint = 0;
  let silence = 0;
  // A line that died without a word, as under a phone that slept, or a proxy that holds everything back.
  const wait = () => {
    clearTimeout(silence);
    silence = setTimeout(() => {
      lost.hidden = false;
      source.close();
      askAnew();
      listen(known);
    }, SILENCE_MS);
  };
  wait();
  for (const heard of ["open", "incident", "watching", "reload", "here"]) source.addEventListener(heard, wait);
  source.addEventListener("open", () => {
    clearTimeout(complaint);
    complaint = 0;
    lost.hidden = true;
    ended.hidden = true; // only who is logged in hears anything
    look();
    if (isDesk) refreshQueueSoon(); // what couldn't be had meanwhile
  });
  source.addEventListener("incident", (event) => {
    known = event.lastEventId;
    const { id } = JSON.parse(event.data);
    news += 1;
    if (id === shown()?.dataset.incident) refresh(id);
    else {
      kept.delete(id);
      refreshSoon();
    }
    if (isDesk) refreshQueueSoon();
  });
  source.addEventListener("watching", (event) => {
    eyes = JSON.parse(event.data);
    showEyes();
  });
  source.addEventListener("reload", (event) => {
    known = event.lastEventId;
    askAnew();
  });
  source.addEventListener("error", () => {
    complaint ||= setTimeout(() => { lost.hidden = false; }, 4000); // from the first of many tries
    if (source.readyState !== EventSource.CLOSED) return; // the browser tries again by itself
    clearTimeout(silence);
    setTimeout(async () => {
      await ask(isDesk ? page.queue : location.href).catch(() => {}); // leads to the login when that is why
      listen(known);
    }, 5000);
  });
  addEventListener("pagehide", () => {
    clearTimeout(silence);
    source.close();
  });
}

addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });

if (shown()) {
  const now = new Player(shown().querySelector(".player"));
  wanted = shown().dataset.incident;
  shown().dataset.known = news;
  if (isDesk) {
    kept.set(wanted, Promise.resolve(shown()));
    mark(wanted);
    if (now.video && LIVELY) now.play();
    for (const one of neighbours(wanted)) item(one).catch(() => {});
  }
}
if (isDesk) {
  const filters = document.querySelector(".narrow");
  filters.addEventListener("change", () => filters.requestSubmit());
  filters.querySelector("button").hidden = true;
}
listen(page.after);
