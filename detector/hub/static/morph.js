// What stays as somebody left it where a page keeps itself fresh: what they folded in or out, or wrote and haven't sent.
"use strict";

(() => {
  const isDraft = (on) => on.matches("input[type=text], textarea") && on.value !== on.defaultValue;
  Idiomorph.defaults.callbacks.beforeAttributeUpdated = (name, on) =>
    !(name === "open" && on.matches("details")) && !(name === "value" && isDraft(on));
})();
