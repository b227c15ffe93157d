// A picture of an incident, large: copied from where it stands on the page. So who sees labels blurred there sees them
// blurred here too, and the hub is asked for nothing more.
"use strict";

(() => {
  const large = document.getElementById("large");
  const [title, place] = large.children;
  let shown = null; // the button whose picture is shown

  const others = () =>
    [...shown.closest("section").querySelectorAll("[data-large]")].filter((one) => one.checkVisibility());

  function show(button) {
    shown = button;
    const picture = button.querySelector("img, canvas");
    const copy = picture.cloneNode();
    if (picture.matches("canvas")) copy.getContext("2d").drawImage(picture, 0, 0);
    title.textContent = picture.getAttribute("aria-label") ?? picture.alt;
    copy.ariaHidden = true; // the title says what it is
    place.replaceChildren(copy);
    large.querySelector("[data-film]").hidden = !button.dataset.at;
    for (const turn of large.querySelectorAll("[data-turn]")) turn.hidden = others().length < 2;
    if (!large.open) large.showModal();
    button.scrollIntoView({ block: "nearest" }); // one that was out of sight may not be drawn yet
  }

  function turn(by) {
    const all = others();
    show(all[(all.indexOf(shown) + by + all.length) % all.length]);
  }

  document.addEventListener("click", ({ target }) => {
    const opener = target.closest("[data-large]");
    if (opener) show(opener);
    else if (large.contains(target)) {
      const by = target.closest("[data-turn]")?.dataset.turn;
      if (by) turn(Number(by));
      else if (target === large) large.close(); // beside it
      else if (target.closest("[data-film]")) {
        large.close();
        showActAt(Number(shown.dataset.at));
      }
    }
  });
  large.addEventListener("keydown", ({ key }) => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[key];
    if (by) turn(by);
  });
  large.addEventListener("close", () => shown.focus({ preventScroll: true }));
  document.addEventListener("drawn", ({ target }) => {
    if (large.open && shown.contains(target)) show(shown);
  });
})();
