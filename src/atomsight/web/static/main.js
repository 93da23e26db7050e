// The views; the address selects one: #structure, #candidates or #explore.

import { get } from "./api.js";
import { candidatesView } from "./candidates.js";
import { exploreView } from "./explore.js";
import { structureView } from "./structure.js";

const NAMES = ["structure", "candidates", "explore"];
const tabs = NAMES.map((name) => document.getElementById(`tab-${name}`));
const panels = NAMES.map((name) => document.getElementById(name));
const ready = new Set();

try {
  const about = await get("/api/about");
  const begin = [structureView, candidatesView, exploreView];
  let check = null;
  const see = (body) => {
    go(0);
    check(body);
  };
  const show = () => {
    const chosen = Math.max(NAMES.indexOf(location.hash.slice(1)), 0);
    tabs.forEach((tab, i) => {
      tab.setAttribute("aria-selected", String(i === chosen));
      tab.tabIndex = i === chosen ? 0 : -1;
      // The 3D view keeps its size, because a view without size cannot be drawn.
      panels[i].classList.toggle("away", i !== chosen);
      if (i === chosen) panels[i].hidden = false;
    });
    if (!ready.has(chosen)) {
      ready.add(chosen);
      const start = begin[chosen](panels[chosen], about, see);
      if (chosen === 0) check = start;
    }
  };
  const go = (i) => {
    history.replaceState(null, "", `#${NAMES[i]}`);
    show();
  };
  tabs.forEach((tab, i) => {
    tab.addEventListener("click", () => go(i));
    tab.addEventListener("keydown", (event) => {
      const last = NAMES.length - 1;
      const next = { ArrowRight: i === last ? 0 : i + 1, ArrowLeft: i ? i - 1 : last, Home: 0, End: last }[event.key];
      if (next === undefined) return;
      event.preventDefault();
      go(next);
      tabs[next].focus();
    });
  });
  window.addEventListener("hashchange", show);
  for (const kind of ["dragover", "drop"]) {
    window.addEventListener(kind, (event) => event.preventDefault()); // A file dropped outside the target must not replace the page.
  }
  show();
} catch (error) {
  document.getElementById("views").prepend(atomsight.make("p", { class: "note", role: "alert" }, error.message));
}
