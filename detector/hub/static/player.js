// Plays an incident's clips, one after another, with what was seen in them: boxes over the untouched video, acts on a
// time line, the score curve. Times are Unix seconds, except within a segment, where they count from its first picture.
"use strict";

const RATES = [0.25, 0.5, 1, 2, 4];
const AROUND_S = 1; // an act is shown with a breath before and after it
const PAST_S = 0.005; // a jump goes so far into a picture: at its border, rounding decides which one is shown
const BRIDGED_S = 2; // looks further apart than this say nothing of the time between
const SHOWN_S = 0.5; // a box that isn't seen again lasts so long
const PROBE_S = 1 / 60;
const LONG_S = 0.5; // what lasts longer is no picture's length but a gap
const TOLD_MS = 80; // a picture's own time is told so soon after a jump to it, or not at all
const ASTRAY_S = 0.5; // a paused picture isn't shown so long
const COLOURS = { person: "#ffb74a", phone: "#ff5248", scanner: "#58d68d", parcel: "#e8edf2", label: "#6cc5ff" };
const LETTER_PX = .8125 * parseFloat(getComputedStyle(document.documentElement).fontSize); // as large as the reader's

// What people choose in one player holds in the next.
const choices = { boxes: true, loop: true, rate: 1 };

// What was seen in a segment; `null` where that isn't here.
async function readSide(url) {
  const answer = await fetch(url).catch(() => null);
  if (!answer?.ok) return null;
  const side = await answer.json();
  for (const look of side.looks) look.boxes = surest(look.boxes);
  return side;
}

// Of one phone in a hand a look makes two or three at times, side by side. Acts are judged by the surest (`rules/
// evidence.py`), and that is shown.
function surest(boxes) {
  const best = new Map();
  const held = ([what, track]) => (what === "phone" || what === "scanner") && track !== null && `${what} ${track}`;
  for (const box of boxes.filter(held)) if (!(best.get(held(box))?.[6] >= box[6])) best.set(held(box), box);
  return boxes.filter((box) => !held(box) || best.get(held(box)) === box);
}

// Boxes at a time between two looks. A thing that is in both moves on the straight way; what is in one alone is shown
// near it.
function boxesAt(looks, t) {
  let low = 0;
  let high = looks.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (looks[middle].t <= t) low = middle + 1;
    else high = middle;
  }
  const before = looks[low - 1];
  const after = looks[low];
  const bridged = before && after && after.t - before.t <= BRIDGED_S;
  if (!bridged) {
    const near = [before, after].find((look) => look && Math.abs(look.t - t) <= SHOWN_S);
    return near ? near.boxes.map((box) => drawn(box, box, 0, near)) : [];
  }
  const share = (t - before.t) / (after.t - before.t);
  const later = before.later ??= partners(before.boxes, after.boxes);
  const found = [];
  for (const box of before.boxes) {
    const to = later.get(box);
    if (to || share < 0.5) found.push(drawn(box, to ?? box, to ? share : 0, before));
  }
  if (share >= 0.5) {
    const moved = new Set(later.values());
    for (const box of after.boxes) if (!moved.has(box)) found.push(drawn(box, box, 0, after));
  }
  return found;
}

// The box of the next look that shows the same thing, for each that has one: that of its track; of things without a
// track, as labels and phones are, the nearest of its kind that lies no further off than its own size, pair by pair.
function partners(before, after) {
  const near = [];
  for (const one of before) {
    for (const other of after) {
      if (one[0] !== other[0] || one[1] !== other[1]) continue;
      const off = one[1] === null ? apart(one, other) : 0;
      if (off <= 1) near.push([off, one, other]);
    }
  }
  near.sort((one, two) => one[0] - two[0]);
  const found = new Map();
  const taken = new Set();
  for (const [, one, other] of near) {
    if (found.has(one) || taken.has(other)) continue;
    found.set(one, other);
    taken.add(other);
  }
  return found;
}

// How far the middles of two boxes lie apart, in widths and heights of the larger one.
function apart([, , ...one], [, , ...other]) {
  return Math.max(...[0, 1].map((n) => {
    const sizes = [one, other].map((box) => box[n + 2] - box[n]);
    return Math.abs(one[n] + one[n + 2] - other[n] - other[n + 2]) / 2 / Math.max(...sizes);
  }));
}

function drawn(from, to, share, look) {
  const place = [2, 3, 4, 5].map((n) => from[n] + (to[n] - from[n]) * share);
  return { what: from[0], track: from[1], place, offender: from[1] !== null && (look.offender ?? []).includes(from[1]) };
}

class Player {
  constructor(root) {
    this.root = root;
    this.plan = JSON.parse(root.dataset.plan);
    this.video = root.querySelector("video");
    this.line = root.querySelector(".timeline");
    this.index = -1;
    this.ready = false; // it can be played
    this.coming = false; // it is asked for
    this.retried = null; // the segment that was asked for once more since nothing of it came
    this.act = null;
    this.frameAt = null; // time of the picture that is shown
    this.frameS = null; // how long one lasts
    this.steps = Promise.resolve();
    this.stepping = 0; // steps on their way
    Player.of.set(root, this);
    if (this.line) this.listenToLine();
    if (!this.video) return;
    this.canvas = root.querySelector("canvas");
    this.video.removeAttribute("controls");
    this.controls = root.querySelector(".controls");
    this.controls.hidden = false;
    this.controls.addEventListener("click", (event) => {
      const button = event.target.closest("[data-do]");
      if (button) this.do(button.dataset.do);
    });
    this.video.addEventListener("click", () => this.do("play"));
    for (const name of ["play", "pause", "ratechange", "waiting", "playing", "emptied"]) this.video.addEventListener(name, () => this.showState());
    this.video.addEventListener("ended", () => this.goOn());
    this.video.addEventListener("error", () => this.fail());
    this.video.addEventListener("seeked", () => this.settle());
    this.video.addEventListener("loadeddata", () => this.drawSoon());
    new ResizeObserver(() => this.drawSoon()).observe(this.video);
    if (this.video.requestVideoFrameCallback) this.follow();
    else this.video.addEventListener("timeupdate", () => this.tick(this.video.currentTime));
    this.showState();
    this.open();
  }

  // Opens a breath before the first photo, else before the first act, else at the beginning.
  open() {
    const acts = this.plan.acts.filter((act) => this.segmentOf(act.start) >= 0);
    this.act = acts.find((act) => act.kind === "photo") ?? acts[0] ?? null;
    this.seek(this.act ? this.act.start - AROUND_S : this.plan.segments[0].start);
    this.readSides();
  }

  // Takes in what an update brings, under the picture that is shown and whatever somebody does with it; tells whether
  // it could: without that picture's segment there is nothing to go on with. Segments known before stay the same
  // objects, with what was read for them and whoever waits for them.
  renew(root) {
    const plan = JSON.parse(root.dataset.plan);
    const known = new Map(this.plan.segments.map((one) => [one.url, one]));
    plan.segments = plan.segments.map((one) => Object.assign(known.get(one.url) ?? one, one));
    const index = plan.segments.indexOf(this.segment);
    if (index < 0) return false;
    this.plan = plan;
    this.index = index;
    this.act = plan.acts.find((one) => one.start === this.act?.start) ?? this.act;
    this.root.dataset.plan = root.dataset.plan;
    Idiomorph.morph(this.line, root.querySelector(".timeline"));
    this.moveHead();
    this.showState();
    this.drawCurve();
    this.readSides();
    return true;
  }

  async readSides() {
    for (const segment of this.plan.segments) {
      if (!segment.side || segment.read) continue;
      const side = await readSide(segment.side);
      if (!side) continue;
      segment.read = side;
      this.drawCurve();
      if (segment === this.segment) this.drawSoon();
    }
    const count = this.plan.segments.filter((one) => one.read).length;
    this.root.querySelector(".no-side").hidden = count > 0;
    this.root.dataset.sides = String(count);
  }

  // The segment that shows a time; -1 where none does.
  segmentOf(at) {
    return this.plan.segments.findIndex((one) => at >= one.start - 0.05 && at < one.start + one.length);
  }

  get segment() {
    return this.plan.segments[this.index];
  }

  // What is shown, or is going to be as soon as it is there. Of a picture that stands still it is the beginning: from
  // there a jump comes to the same picture, however often one follows another.
  get now() {
    if (!this.segment) return null;
    const { currentTime, paused, seeking } = this.video;
    const still = paused && !seeking && !this.stepping && Math.abs(this.frameAt - currentTime) < ASTRAY_S;
    return this.segment.start + (!this.ready ? this.offset : still ? this.frameAt : currentTime);
  }

  // In a gap, the segment that begins next; behind the last, its end.
  seek(at, play = false) {
    const { segments } = this.plan;
    let index = segments.findIndex((one) => at < one.start + one.length);
    if (index < 0) index = segments.length - 1;
    const { start, length } = segments[index];
    const offset = Math.min(Math.max(0, at - start + PAST_S), Math.max(0, length - 0.05));
    return this.load(index, offset, play);
  }

  async load(index, offset, play) {
    this.offset = offset;
    this.eager ||= play;
    const start = () => {
      this.ready = true;
      this.retried = null;
      this.video.currentTime = this.offset;
      this.video.playbackRate = choices.rate;
      if (this.eager && this.root.isConnected) this.play();
    };
    if (index === this.index && this.ready) return start();
    if (index === this.index && this.coming) return undefined;
    this.index = index;
    this.ready = false;
    this.coming = true;
    const { segment } = this;
    const url = await this.playable(segment);
    if (!url && this.segment === segment) this.giveUp();
    if (!url || this.segment !== segment) return undefined;
    this.video.src = url;
    this.video.load();
    return this.video.addEventListener("loadedmetadata", start, { once: true });
  }

  // What of a segment may be seen here and can be played: itself or a copy, which is made when it is first asked for.
  async playable(segment) {
    while (!segment.playable && this.segment === segment) {
      const answer = await fetch(segment.url, { headers: { Range: "bytes=0-0" } }).catch(() => null);
      if (answer?.status === 200 || answer?.status === 206) {
        segment.playable = answer.url;
        break;
      }
      const told = await answer?.json().catch(() => null);
      const isReached = answer && answer.status < 500 && answer.status !== 429; // else it may be there in a moment
      this.complain(isReached ? told?.text ?? this.trouble.dataset.broken : this.trouble.dataset.unreached);
      if (isReached && answer.status !== 202) return null;
      await new Promise((resolve) => { setTimeout(resolve, 2000); });
    }
    this.complain("");
    return segment.playable;
  }

  // A phone's network comes back, and then it goes on where it was; what can't be decoded stays so. Of a film of which
  // nothing came browsers don't tell the one from the other: it is asked for once more.
  fail() {
    const { index, segment, video } = this;
    if (video.src !== segment.playable) return undefined; // of what was shown before
    const offset = this.ready ? video.currentTime : this.offset;
    const isCutOff = video.error?.code === MediaError.MEDIA_ERR_NETWORK;
    const isBroken = !isCutOff && (this.ready || this.retried === segment);
    if (!isCutOff) this.retried = segment;
    segment.playable = "";
    this.ready = this.coming = false;
    if (!isBroken) return this.load(index, offset, !video.paused);
    this.offset = offset;
    this.complain(this.trouble.dataset.broken);
    return this.giveUp();
  }

  // Until somebody wants to see it once more.
  giveUp() {
    this.coming = false;
    this.video.pause();
    this.play(false);
  }

  get trouble() {
    return this.root.querySelector(".trouble");
  }

  complain(words) {
    this.trouble.hidden = !words;
    this.trouble.textContent = words;
  }

  // Asked to before there is anything to play, it plays as soon as there is: loading would stop it again.
  play(wanted = true) {
    this.eager = wanted && !this.ready;
    if (wanted && this.ready) this.video.play().catch(() => {});
    else if (wanted) this.load(this.index, this.offset, true);
    this.showState();
  }

  goOn() {
    const next = this.index + 1;
    if (choices.loop && this.act) this.seek(this.act.start - AROUND_S, true);
    else if (next < this.plan.segments.length) this.load(next, 0, true);
  }

  do(what) {
    const { video } = this;
    if (!video) return;
    const deeds = {
      play: () => (video.paused ? this.play() : video.pause()),
      back: () => this.step(-1),
      forward: () => this.step(1),
      slower: () => this.setRate(-1),
      faster: () => this.setRate(1),
      rate: () => this.setRate(choices.rate === RATES.at(-1) ? 1 - RATES.length : 1),
      loop: () => this.choose("loop"),
      boxes: () => this.choose("boxes"),
      full: () => this.toFull(),
      earlier: () => this.toAct(-1),
      later: () => this.toAct(1),
    };
    deeds[what]?.();
  }

  toFull() {
    const stage = this.root.querySelector(".stage");
    if (document.fullscreenElement) document.exitFullscreen();
    else if (stage.requestFullscreen) stage.requestFullscreen();
    else this.video.webkitEnterFullscreen?.(); // all that an iPhone has, without the boxes
  }

  choose(what) {
    choices[what] = !choices[what];
    this.showState();
    this.draw();
  }

  setRate(way) {
    const place = RATES.indexOf(choices.rate) + way;
    choices.rate = RATES[Math.min(Math.max(place, 0), RATES.length - 1)];
    this.video.playbackRate = choices.rate;
    this.showState();
  }

  toAct(way) {
    const acts = this.plan.acts.filter((act) => this.segmentOf(act.start) >= 0);
    if (!acts.length) return;
    const at = acts.indexOf(this.act);
    this.showAct(acts[Math.min(Math.max(at + way, 0), acts.length - 1)]);
  }

  showAct(act) {
    this.act = act;
    this.seek(act.start - AROUND_S, true);
    this.showState();
  }

  showState() {
    if (!this.video) return;
    const pressed = { loop: choices.loop, boxes: choices.boxes };
    for (const [name, is] of Object.entries(pressed)) {
      this.root.querySelector(`[data-do=${name}]`).setAttribute("aria-pressed", String(is));
    }
    this.root.querySelector("[data-rate]").textContent = `${choices.rate}×`;
    this.root.classList.toggle("playing", !this.video.paused);
    this.root.classList.toggle("loading", this.eager || (!this.video.paused && this.video.readyState < 3));
    this.line?.querySelectorAll(".spans [data-at]").forEach((link) => {
      link.classList.toggle("current", Number(link.dataset.at) === this.act?.start);
    });
  }

  // Frames

  follow() {
    this.video.requestVideoFrameCallback((_now, frame) => {
      this.frameAt = frame.mediaTime;
      this.tick(frame.mediaTime);
      this.follow();
    });
  }

  // A jump over a picture that is only now shown may leave the one jumped to untold: then it is the one jumped to.
  settle() {
    this.drawSoon();
    setTimeout(() => {
      const { currentTime, paused, seeking } = this.video;
      if (!paused || seeking || Math.abs(this.frameAt - currentTime) < ASTRAY_S) return;
      this.frameAt = currentTime - PAST_S;
      this.draw();
    }, TOLD_MS);
  }

  tick(at) {
    if (choices.loop && this.act && !this.video.paused) {
      const time = this.segment.start + at;
      if (time > this.act.end + AROUND_S) this.seek(this.act.start - AROUND_S, true);
    }
    this.draw();
  }

  // To the picture before or after the one that is shown, by the clip's own times: the one before is found a moment
  // before this one begins; the one after by a picture's length, which the one before tells, or else by looking on until
  // another is shown: each look that shows the same picture is told by nothing, and so takes long.
  step(way) {
    this.video.pause();
    if (this.stepping > 2) return; // a key held down
    this.stepping += 1;
    this.steps = this.steps.then(() => this.stepOnce(way)).finally(() => { this.stepping -= 1; });
  }

  async stepOnce(way) {
    if (!this.video.requestVideoFrameCallback) {
      this.video.currentTime += way / 25;
      return;
    }
    const from = this.frameAt ?? this.video.currentTime;
    if (way < 0 || !this.frameS) await this.seekFrame(from - 0.002);
    this.learnLength(from - this.frameAt);
    if (way < 0) return;
    if (this.frameS) await this.seekFrame(from + 1.5 * this.frameS);
    else {
      for (let n = 1; n <= 60 && this.frameAt - from < 1e-4; n += 1) await this.seekFrame(from + n * PROBE_S);
      this.learnLength(this.frameAt - from);
    }
  }

  learnLength(between) {
    if (!this.frameS && between > 1e-4 && between < LONG_S) this.frameS = between;
  }

  seekFrame(at) {
    return new Promise((resolve) => {
      const end = Math.max(0, this.video.duration - 0.001);
      this.video.addEventListener("seeked", () => {
        // The picture's own time is told with it; where it is the same picture, that may never come.
        const late = setTimeout(resolve, TOLD_MS);
        this.video.requestVideoFrameCallback((_now, frame) => {
          this.frameAt = frame.mediaTime;
          clearTimeout(late);
          resolve();
        });
      }, { once: true });
      this.video.currentTime = Math.min(Math.max(0, at), end);
    });
  }

  // What is drawn

  drawSoon() {
    if (this.video.paused) requestAnimationFrame(() => this.draw());
  }

  draw() {
    this.moveHead();
    const { canvas, video } = this;
    const ratio = window.devicePixelRatio || 1;
    const width = Math.round(video.clientWidth * ratio);
    const height = Math.round(video.clientHeight * ratio);
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    const pen = canvas.getContext("2d");
    pen.clearRect(0, 0, width, height);
    const looks = this.segment?.read?.looks;
    if (!choices.boxes || !looks || !video.videoWidth) return;
    // The picture within the player, which may have bars beside it.
    const scale = Math.min(width / video.videoWidth, height / video.videoHeight);
    const area = [video.videoWidth * scale, video.videoHeight * scale];
    const origin = [(width - area[0]) / 2, (height - area[1]) / 2];
    const boxes = boxesAt(looks, this.frameAt ?? video.currentTime);
    boxes.sort((one, two) => Number(one.offender) - Number(two.offender));
    for (const box of boxes) this.drawBox(pen, box, area, origin, ratio);
  }

  drawBox(pen, { what, track, place, offender }, area, origin, ratio) {
    const [x1, y1, x2, y2] = place.map((part, n) => origin[n % 2] + part * area[n % 2]);
    const strong = offender && what === "person";
    const thin = what === "label" || what === "parcel";
    pen.setLineDash(what === "label" ? [3 * ratio, 2 * ratio] : []);
    for (const [colour, wider] of [["rgb(0 0 0 / 55%)", 2], [strong ? COLOURS.phone : COLOURS[what] ?? "#bbb", 0]]) {
      pen.strokeStyle = colour;
      pen.lineWidth = ((strong ? 3 : thin ? 1 : 2) + wider) * ratio;
      pen.strokeRect(x1, y1, x2 - x1, y2 - y1);
    }
    if (!strong) return;
    const words = `${this.root.dataset.offender} ${track}`;
    const letter = LETTER_PX * ratio;
    const high = letter + 7 * ratio;
    pen.font = `600 ${letter}px system-ui, sans-serif`;
    const wide = pen.measureText(words).width + 10 * ratio;
    const top = Math.max(0, y1 - high);
    pen.fillStyle = COLOURS.phone;
    pen.fillRect(x1 - 1.5 * ratio, top, wide, high);
    pen.fillStyle = "#1c0503";
    pen.textBaseline = "middle";
    pen.fillText(words, x1 + 4 * ratio, top + high / 2 + ratio / 2);
  }

  moveHead() {
    const at = this.now;
    if (at === null || !this.line) return;
    const { start, end, zone } = this.plan;
    const head = this.line.querySelector(".playhead");
    head.hidden = false;
    head.style.left = `${(100 * (at - start)) / (end - start)}%`;
    const words = new Intl.DateTimeFormat("en-GB", { timeZone: zone, hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 1 });
    this.root.querySelector("[data-at-time]").textContent = words.format(at * 1000) + this.zoneName(at);
  }

  // Of an hour that comes twice, in which of the two a time is.
  zoneName(at) {
    const name = this.segment.names.findLast(([from]) => from <= at)?.[1];
    return name ? ` ${name}` : "";
  }

  // The belief that each of the incident's tracks photographs now, over time.
  drawCurve() {
    const svg = this.line?.querySelector(".curve");
    if (!svg) return;
    const { start, end, segments } = this.plan;
    const lines = new Map();
    for (const [n, segment] of segments.entries()) {
      for (const look of segment.read?.looks ?? []) {
        for (const [track, score] of Object.entries(look.score ?? {})) {
          const x = (1000 * (segment.start + look.t - start)) / (end - start);
          const name = `${n} ${track}`;
          if (!lines.has(name)) lines.set(name, []);
          lines.get(name).push(`${x.toFixed(1)},${(38 - 36 * score).toFixed(1)}`);
        }
      }
    }
    svg.replaceChildren(...[...lines.values()].map((points) => {
      const line = document.createElementNS("http://www.w3.org/2000/svg", "polyline");
      line.setAttribute("points", points.join(" "));
      return line;
    }));
    svg.toggleAttribute("hidden", !lines.size);
  }

  // A click on an act shows it, a drag along the line moves through the clip.
  listenToLine() {
    this.line.addEventListener("click", (event) => {
      const act = event.target.closest("[data-at]");
      if (!act) return;
      event.preventDefault();
      if (this.video) this.showAct(this.plan.acts.find((one) => one.start === Number(act.dataset.at)) ?? this.act);
    });
    const scrub = (event) => {
      const box = this.line.getBoundingClientRect();
      const share = Math.min(Math.max((event.clientX - box.left) / box.width, 0), 1);
      this.act = null; // who looks elsewhere isn't taken back to the act
      this.seek(this.plan.start + share * (this.plan.end - this.plan.start));
      this.showState();
    };
    this.line.addEventListener("pointerdown", (event) => {
      if (!this.video || event.button || event.target.closest("[data-at], figcaption")) return;
      this.line.setPointerCapture(event.pointerId);
      scrub(event);
      this.line.onpointermove = scrub;
      // Lifted, or taken away by the browser: a finger that turns out to scroll the page is.
      this.line.onlostpointercapture = () => { this.line.onpointermove = null; };
    });
  }
}

Player.of = new WeakMap();
Player.in = (place) => Player.of.get(place?.querySelector(".player"));

// Players beside which nothing is judged; review.js starts the others, and hears keys for them.
for (const root of document.querySelectorAll("[data-film] .player")) new Player(root);
