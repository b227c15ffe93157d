// Parcels that were photographed, cut out of the recording that the player plays: whole pixels for who may see them,
// else its redacted copy. Each is drawn once it comes into view; what isn't here yet is asked for again.
"use strict";

const CUT_AROUND = 0.3; // of the parcel's and the phone's sides, on each side
const CUT_LEAST = 0.14; // of the picture's width
const ASK_AGAIN_MS = 5000;
const WAIT_MS = 10000; // for a picture

const shotsDrawn = new WeakSet(); // canvases
let shotsInTurn = Promise.resolve();
let shotFilm = null; // a player that nobody sees, for jumping about

const shotsInView = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    if (!isIntersecting || shotsDrawn.has(target)) continue;
    shotsDrawn.add(target);
    shotsInTurn = shotsInTurn.then(() => drawShot(target)).catch(() => drawLater(target));
  }
}, { rootMargin: "200px" });

function watchShots() {
  for (const canvas of document.querySelectorAll(".stills canvas")) shotsInView.observe(canvas);
}

function drawLater(canvas) {
  setTimeout(() => {
    shotsDrawn.delete(canvas);
    shotsInView.unobserve(canvas);
    if (canvas.isConnected) shotsInView.observe(canvas);
  }, ASK_AGAIN_MS);
}

async function drawShot(canvas) {
  const [parcel, track, from, to] = ["parcel", "track", "from", "to"].map((name) => Number(canvas.dataset[name]));
  const player = Player.in(document.querySelector(".item"));
  const segment = player?.plan.segments[player.segmentOf((from + to) / 2)];
  const [film, side] = segment ? await Promise.all([shotSource(segment), shotSide(segment)]) : [];
  if (!film || !side) {
    drawLater(canvas);
    return;
  }
  const look = shotLook(side.looks, parcel, track, from - segment.start, to - segment.start);
  if (!look) return;
  await showAt(film, look.t);
  cutOut(canvas, shotFilm, look, parcel, track);
}

async function shotSource(segment) {
  const answer = await fetch(segment.url, { headers: { Range: "bytes=0-0" } }).catch(() => null);
  return answer?.status === 200 || answer?.status === 206 ? answer.url : null;
}

const shotSide = async (segment) => segment.read ?? (segment.side ? readSide(segment.side) : null);

const isParcel = (box, parcel) => box[0] === "parcel" && box[1] === parcel;
const isPhoneOf = (box, track) => box[0] === "phone" && box[1] === track;

// The look within an act that shows most of it: parcel and phone both found, then nearest to its middle.
function shotLook(looks, parcel, track, from, to) {
  const worth = (look) => {
    const seen = look.boxes.some((box) => isParcel(box, parcel) && box[6] > 0);
    const phone = look.boxes.some((box) => isPhoneOf(box, track));
    return 2 * seen + phone - Math.abs(look.t - (from + to) / 2) / (to - from + 1);
  };
  const within = looks.filter((look) => look.t >= from && look.t <= to && look.boxes.some((box) => isParcel(box, parcel)));
  return within.reduce((best, look) => (best && worth(best) >= worth(look) ? best : look), null);
}

function showAt(film, t) {
  if (!shotFilm) {
    // WebKit paints pictures of what is on the screen alone, be it one pixel that nobody sees.
    shotFilm = Object.assign(document.createElement("video"), { muted: true, playsInline: true, preload: "auto", className: "shot-film", ariaHidden: "true" });
    document.body.append(shotFilm);
  }
  return new Promise((resolve, reject) => {
    const fail = () => {
      clearTimeout(late);
      shotFilm.removeAttribute("src"); // the next try loads it anew
      reject();
    };
    const late = setTimeout(fail, WAIT_MS);
    const jump = () => {
      shotFilm.onseeked = () => { clearTimeout(late); resolve(); };
      shotFilm.currentTime = t + PAST_S;
    };
    if (shotFilm.src === film) return jump();
    shotFilm.onloadedmetadata = jump; // a jump loads the picture; without, some load none before somebody plays
    shotFilm.onerror = fail;
    shotFilm.src = film;
    return undefined;
  });
}

// The parcel, with the phone above it where that is seen, in the canvas's own proportions.
function cutOut(canvas, video, look, parcel, track) {
  const { videoWidth: wide, videoHeight: high } = video;
  const boxes = look.boxes.filter((box) => isParcel(box, parcel) || isPhoneOf(box, track));
  const [x1, y1, x2, y2] = [
    wide * Math.min(...boxes.map((box) => box[2])), high * Math.min(...boxes.map((box) => box[3])),
    wide * Math.max(...boxes.map((box) => box[4])), high * Math.max(...boxes.map((box) => box[5])),
  ];
  const shape = canvas.width / canvas.height;
  const around = 1 + 2 * CUT_AROUND;
  const width = Math.min(Math.max(around * (x2 - x1), around * (y2 - y1) * shape, CUT_LEAST * wide), wide, high * shape);
  const height = width / shape;
  const left = Math.min(Math.max((x1 + x2 - width) / 2, 0), wide - width);
  const top = Math.min(Math.max((y1 + y2 - height) / 2, 0), high - height);
  const scale = canvas.width / width;
  const pen = canvas.getContext("2d");
  pen.imageSmoothingQuality = "high";
  pen.drawImage(video, left, top, width, height, 0, 0, canvas.width, canvas.height);
  for (const box of boxes) {
    const place = [box[2] * wide - left, box[3] * high - top, (box[4] - box[2]) * wide, (box[5] - box[3]) * high];
    for (const [colour, thick] of [["rgb(0 0 0 / 55%)", 4], [COLOURS[box[0]], 2]]) {
      pen.strokeStyle = colour;
      pen.lineWidth = thick;
      pen.strokeRect(...place.map((part) => part * scale));
    }
  }
  canvas.dispatchEvent(new Event("drawn", { bubbles: true }));
}

if (document.getElementById("more")) {
  watchShots();
  new MutationObserver(watchShots).observe(document.getElementById("more"), { childList: true, subtree: true });
}
