// The page's settings of htmx count from its first script on: by itself htmx takes them once the page is whole.
"use strict";

Object.assign(htmx.config, JSON.parse(document.querySelector("meta[name=htmx-config]").content));
