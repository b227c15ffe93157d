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

  // A phone that slept may have missed anything.
  document.addEventListener("visibilitychange", () => { if (!document.hidden) htmx.trigger(document.body, "wake"); });
  addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });

  // What somebody did and the server didn't take must not look done.
  const say = (event) => { failed.hidden = event.detail.requestConfig.verb === "get"; };
  document.addEventListener("htmx:responseError", say);
  document.addEventListener("htmx:sendError", say);
  document.addEventListener("htmx:afterOnLoad", () => { failed.hidden = true; });
})();
