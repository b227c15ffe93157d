// The menu of what is seldom needed closes as menus do: by Escape, or by a press elsewhere.
// Without it, by its own button.
"use strict";

(() => {
  const menu = document.querySelector("details.menu");
  if (!menu) return;

  document.addEventListener("pointerdown", (event) => { if (!menu.contains(event.target)) menu.open = false; });

  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !menu.open) return;
    event.stopImmediatePropagation(); // on a page where it means something else, it means the menu first
    menu.open = false;
    menu.querySelector("summary").focus();
  });
})();
