// Keeps an open page true: new incidents appear, changed ones are redrawn, verdicts are sent without leaving the page.
// Every page works without it; it only asks the server for parts of the same pages.
"use strict";

const page = document.body.dataset;
const MOST_CARDS = 200;

async function fragment(url, options = {}, what = "part") {
  const answer = await fetch(url, { ...options, headers: { "X-Fragment": what } });
  if (answer.status === 401) {
    location.assign("/login?next=" + encodeURIComponent(location.pathname));
    return new Promise(() => {}); // the page is leaving
  }
  if (!answer.ok) throw new Error(`${url}: ${answer.status}`);
  const template = document.createElement("template");
  template.innerHTML = await answer.text();
  return template.content;
}

// The feed

function cardBefore(card) {
  // Cards stand from newest to oldest, by time and then by id: the first that is older than this one.
  const key = [Number(card.dataset.at), card.dataset.incident];
  for (const other of document.querySelectorAll("#feed > .card")) {
    const at = Number(other.dataset.at);
    if (at < key[0] || (at === key[0] && other.dataset.incident < key[1])) return other;
  }
  return null;
}

function place(card) {
  const feed = document.getElementById("feed");
  const old = document.getElementById(card.id);
  if (old) {
    const focused = old.contains(document.activeElement);
    old.replaceWith(card);
    if (focused) card.querySelector("button")?.focus();
    return;
  }
  if (!("live" in feed.dataset)) return;
  const next = cardBefore(card);
  if (next) feed.insertBefore(card, next);
  else if (feed.querySelector("[data-more]")) return; // older than all that is shown; it comes with its page
  else feed.insertBefore(card, feed.querySelector(":scope > .older"));
  card.classList.add("fresh");
  document.getElementById("empty")?.remove();
  if (document.hidden) document.title = "● " + document.title.replace(/^● /, "");
}

function trim() {
  // A page left open for a day stays light; what falls off its end is behind the link for older ones.
  const cards = document.querySelectorAll("#feed > .card");
  if (cards.length <= MOST_CARDS) return;
  [...cards].slice(MOST_CARDS / 2).forEach((card) => card.remove());
  const last = cards[MOST_CARDS / 2 - 1].dataset;
  const link = document.createElement("a");
  link.className = "button";
  link.dataset.more = "";
  link.href = `${page.list}before=${last.at},${encodeURIComponent(last.incident)}`;
  link.textContent = page.older;
  document.querySelector("#feed > .older").replaceChildren(link);
}

function markDays() {
  const feed = document.getElementById("feed");
  if ("oneDay" in page) return; // it stands above already
  feed.querySelectorAll(":scope > .day").forEach((heading) => heading.remove());
  let day = "";
  for (const card of feed.querySelectorAll(":scope > .card")) {
    if (card.dataset.day === day) continue;
    day = card.dataset.day;
    const heading = document.createElement("h2");
    heading.className = "day";
    heading.textContent = card.dataset.dayWords;
    feed.insertBefore(heading, card);
  }
}

async function refreshHead() {
  const fresh = await fragment(page.head);
  for (const part of [...fresh.children]) {
    const old = document.getElementById(part.id);
    if (old && !old.contains(document.activeElement)) old.replaceWith(part);
  }
}

async function refreshFeed(ids) {
  const query = new URLSearchParams(ids.map((id) => ["id", id]));
  const fresh = await fragment(page.cards + query);
  // What has grown from digest to alert goes from the one list and comes to the other.
  for (const id of ids) {
    const card = `card-${id}`;
    if (!fresh.getElementById(card)) document.getElementById(card)?.remove();
  }
  // Oldest first, so that each finds its place among those already put.
  for (const card of [...fresh.querySelectorAll(".card")].reverse()) place(card);
  trim();
  markDays();
  await refreshHead();
}

async function showMore(link) {
  const more = link.closest(".older");
  const fresh = await fragment(link.href);
  const first = fresh.querySelector(".card a");
  more.replaceWith(fresh);
  markDays();
  first?.focus();
}

// One incident

async function refreshIncident() {
  const answer = await fetch(location.href);
  if (!answer.ok || answer.redirected) return location.reload();
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const id of ["told", "more"]) {
    const part = document.getElementById(id);
    // Not under the hands of somebody who is writing a note.
    if (!part.contains(document.activeElement)) part.replaceWith(fresh.getElementById(id));
  }
  const before = document.getElementById("video")?.dataset.playlist;
  const now = fresh.getElementById("video")?.dataset.playlist;
  const video = document.getElementById("video");
  if (before !== now && (!video || video.paused)) {
    document.getElementById("watch").replaceWith(fresh.getElementById("watch"));
    document.dispatchEvent(new Event("labelwatch:clips"));
  }
  return undefined;
}

// What changed

const changed = new Set();
let flushing = 0;

function flushSoon() {
  // A backlog arrives in bursts: one question for all that come within a moment.
  flushing ||= setTimeout(async () => {
    flushing = 0;
    const ids = [...changed].slice(0, 50);
    ids.forEach((id) => changed.delete(id));
    try {
      if (page.page === "feed") await refreshFeed(ids);
      else if (ids.includes(page.incident)) await refreshIncident();
    } catch {
      ids.forEach((id) => changed.add(id));
      setTimeout(flushSoon, 3000);
      return;
    }
    if (changed.size) flushSoon();
  }, 120);
}

function listen(after) {
  const lost = document.getElementById("lost");
  const source = new EventSource("/events?after=" + after);
  let last = after;
  let complaint = 0;
  source.addEventListener("open", () => {
    clearTimeout(complaint);
    lost.hidden = true;
  });
  source.addEventListener("incident", (event) => {
    last = event.lastEventId;
    changed.add(JSON.parse(event.data).id);
    flushSoon();
  });
  source.addEventListener("reload", () => location.reload());
  source.addEventListener("error", () => {
    clearTimeout(complaint);
    complaint = setTimeout(() => { lost.hidden = false; }, 4000);
    if (source.readyState !== EventSource.CLOSED) return; // the browser tries again by itself
    setTimeout(async () => {
      await fragment("/feed/head").catch(() => {}); // leads to the login when that is why
      listen(last);
    }, 5000);
  });
  addEventListener("pagehide", () => source.close());
}

if ("after" in page) listen(page.after);
if (page.page === "feed") {
  markDays();
  setInterval(() => { if (!document.hidden) refreshHead().catch(() => {}); }, 15000);
  document.addEventListener("visibilitychange", () => { document.title = document.title.replace(/^● /, ""); });
}
if (page.page === "tuning") {
  setInterval(async () => {
    if (document.hidden || !document.querySelector("#edges .waiting")) return;
    const fresh = await fragment("/tuning/edges").catch(() => null);
    if (fresh) document.getElementById("edges").replaceWith(fresh.getElementById("edges"));
  }, 2000);
}
addEventListener("pageshow", (event) => { if (event.persisted && "after" in page) location.reload(); });

// Clicks and forms, wherever they come from

document.addEventListener("submit", async (event) => {
  const form = event.target;
  const swap = form.dataset.swap;
  if (!swap) return;
  event.preventDefault();
  const body = new URLSearchParams(new FormData(form, event.submitter));
  const target = swap === "card" ? form.closest(".card") : document.getElementById("verdict");
  target.querySelectorAll("button").forEach((button) => { button.disabled = true; });
  try {
    const fresh = (await fragment(form.action, { method: "POST", body }, swap)).firstElementChild;
    target.replaceWith(fresh);
    if (swap === "card") {
      markDays();
      refreshHead().catch(() => {});
    }
    fresh.querySelector("[data-undo]")?.focus({ preventScroll: true });
  } catch {
    target.querySelectorAll("button").forEach((button) => { button.disabled = false; });
    form.submit(); // without the button's value: the server says what is wrong
  }
});

document.addEventListener("click", (event) => {
  const more = event.target.closest("[data-more]");
  if (!more || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  showMore(more).catch(() => location.assign(more.href));
});
