// What htmx leaves open. Every page works without it.
"use strict";

(() => {
  const lost = document.getElementById("lost");
  const failed = document.getElementById("failed");
  let complaint = 0;

  // The stream of changes comes back by itself; only when it takes long is that worth a word.
  document.addEventListener("htmx:sseOpen", () => {
    clearTimeout(complaint);
    complaint = 0;
    lost.hidden = true;
  });
  document.addEventListener("htmx:sseError", () => { complaint ||= setTimeout(() => { lost.hidden = false; }, 4000); });

  // On a line that died without a word the stream says nothing at all: then what the page asks for by itself doesn't come.
  const isDeed = (event) => event.detail.requestConfig.verb !== "get";
  for (const failure of ["htmx:sendError", "htmx:timeout"]) {
    document.addEventListener(failure, (event) => { if (!isDeed(event)) lost.hidden = false; });
  }
  document.addEventListener("htmx:afterRequest", (event) => {
    if (!isDeed(event) && event.detail.successful) lost.hidden = true;
  });

  // A phone that slept may have missed anything.
  document.addEventListener("visibilitychange", () => { if (!document.hidden) htmx.trigger(document.body, "wake"); });
  addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });

  // What comes in above doesn't push away what somebody reads, or is about to tap: browsers don't see to it here.
  let read = []; // cards in sight or below, and where they were
  document.addEventListener("htmx:beforeSwap", (event) => {
    if (event.detail.target.id !== "feed") return;
    read = [...event.detail.target.querySelectorAll(".card")]
      .map((card) => [card.id, card.getBoundingClientRect()])
      .filter(([, { bottom }]) => bottom > 0);
  });
  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.detail.target.id !== "feed" || !scrollY) return;
    const [id, box] = read.find(([one]) => document.getElementById(one)) ?? [];
    if (id) scrollBy({ top: document.getElementById(id).getBoundingClientRect().top - box.top, behavior: "instant" });
  });

  // A form on its way isn't sent again: to press twice would make two cases. After a while that is wanted.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (event.defaultPrevented || form.method !== "post") return;
    if ("sent" in form.dataset) event.preventDefault();
    form.dataset.sent = "";
    setTimeout(() => { delete form.dataset.sent; }, 5000);
  });

  // What somebody wrote at length, or drew, is sent from here and stays until it is taken: a page that is left takes it
  // along, be it for the login or because the network is gone. So the browser asks before it is left for anything else,
  // and who has to log in does that beside it.
  const ended = document.getElementById("ended");
  let isTaken = false; // the server has it, and answers with another page
  const isChanged = (field) => (field.type === "radio"
    ? field.checked !== field.defaultChecked
    : "defaultValue" in field && field.value !== field.defaultValue);
  const hasDraft = () => !isTaken && [...document.querySelectorAll("form[data-draft]")]
    .some((form) => form.dataset.draft === "unsent" || [...form.elements].some(isChanged));
  addEventListener("beforeunload", (event) => { if (hasDraft()) event.preventDefault(); });
  document.addEventListener("htmx:beforeOnLoad", (event) => {
    if (event.detail.xhr.status !== 401 || !hasDraft()) return;
    event.preventDefault();
    ended.hidden = false;
  });
  document.addEventListener("submit", async (event) => {
    const form = event.target;
    if (event.defaultPrevented || !("draft" in form.dataset)) return;
    event.preventDefault();
    const body = new URLSearchParams(new FormData(form, event.submitter));
    const options = { method: "POST", headers: { "X-Fragment": "draft" }, body, signal: AbortSignal.timeout?.(htmx.config.timeout) };
    const answer = await fetch(form.getAttribute("action"), options).catch(() => null);
    delete form.dataset.sent;
    failed.hidden = answer !== null;
    ended.hidden = answer?.status !== 401;
    isTaken = answer !== null && ended.hidden;
    if (answer?.ok) location.assign(answer.url);
    else if (isTaken) form.submit(); // the server says what is wrong
  });

  // What somebody did and the server didn't take must not look done. That is told until something is taken: what a page
  // asks for by itself says nothing of it.
  for (const failure of ["htmx:responseError", "htmx:sendError", "htmx:timeout"]) {
    document.addEventListener(failure, (event) => { if (isDeed(event)) failed.hidden = false; });
  }
  document.addEventListener("htmx:afterRequest", (event) => {
    if (isDeed(event) && event.detail.successful) failed.hidden = true;
    if (event.detail.successful) ended.hidden = true; // only who is logged in is answered
  });
})();
