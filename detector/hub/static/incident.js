// Plays an incident's clips one after another, moves the line on the time line, jumps to acts, and listens to keys.
"use strict";

let clips = [];
let current = -1;

const player = () => document.getElementById("video");
const line = () => document.getElementById("timeline");

function load(index, offset, play) {
  const video = player();
  const start = () => {
    video.currentTime = Math.max(0, offset);
    if (play) video.play().catch(() => {});
  };
  if (index === current) return start();
  current = index;
  video.src = clips[index].url;
  video.addEventListener("loadedmetadata", start, { once: true });
  return video.load();
}

function seek(at, play) {
  if (!clips.length) return;
  // The clip that holds this time; in a gap, the one that begins next; else the last.
  let index = clips.findIndex((clip) => at < clip.start + clip.length);
  if (index < 0) index = clips.length - 1;
  load(index, Math.min(at - clips[index].start, clips[index].length), play);
}

function showTime() {
  const figure = line();
  if (!figure || current < 0) return;
  const at = clips[current].start + player().currentTime;
  const { start, end, zone } = figure.dataset;
  const x = (100 * (at - start)) / (end - start) + "%";
  const head = document.getElementById("playhead");
  head.setAttribute("x1", x);
  head.setAttribute("x2", x);
  head.classList.add("on");
  const words = new Intl.DateTimeFormat("en-GB", { timeZone: zone, hour: "2-digit", minute: "2-digit", second: "2-digit" });
  document.getElementById("playtime").textContent = words.format(at * 1000);
}

function begin() {
  const video = player();
  if (!video) return;
  clips = JSON.parse(video.dataset.playlist);
  current = -1;
  video.addEventListener("timeupdate", showTime);
  video.addEventListener("seeked", showTime);
  video.addEventListener("ended", () => { if (current + 1 < clips.length) load(current + 1, 0, true); });
  video.addEventListener("error", () => { document.getElementById("trouble").hidden = false; });
  // Opens a breath before the first photo, else before the first act.
  const acts = document.getElementById("timeline");
  const first = acts?.querySelector("[data-at]:has(.photo)") ?? acts?.querySelector("[data-at]");
  seek(first ? Number(first.dataset.at) - 1 : clips[0].start, false);
}

document.addEventListener("labelwatch:clips", begin);
begin();

document.addEventListener("click", (event) => {
  const act = event.target.closest("[data-at]");
  if (act) {
    event.preventDefault();
    seek(Number(act.dataset.at) - 1, true);
    return;
  }
  const figure = event.target.closest("#timeline > svg");
  if (!figure) return;
  const box = figure.getBoundingClientRect();
  const { start, end } = line().dataset;
  seek(Number(start) + ((event.clientX - box.left) / box.width) * (end - start), false);
});

const keys = {
  " ": (video) => (video.paused ? video.play() : video.pause()),
  k: (video) => video.pause(),
  j: (video) => { video.playbackRate = Math.max(0.25, video.playbackRate / 2); },
  l: (video) => { video.playbackRate = Math.min(8, video.paused ? 1 : video.playbackRate * 2); video.play(); },
  ArrowLeft: (video) => { video.pause(); video.currentTime -= 0.04; },
  ArrowRight: (video) => { video.pause(); video.currentTime += 0.04; },
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const typing = event.target.matches("input, textarea");
  if (typing) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  const verdict = document.querySelectorAll("#verdict .choices button")["1234".indexOf(event.key)];
  if (verdict) return verdict.click();
  if (event.key === "u") return document.querySelector("#verdict [data-undo]")?.click();
  if (event.key === "n") {
    event.preventDefault();
    return document.querySelector("#verdict .note")?.focus();
  }
  const video = player();
  if (!video || !keys[event.key] || (event.key === " " && event.target.matches("button, a, summary, video"))) return;
  event.preventDefault();
  keys[event.key](video);
});
