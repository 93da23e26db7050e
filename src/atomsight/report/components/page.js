"use strict";
// Light and dark theme, the current entry of the navigation, and helpers of the other scripts in `atomsight`.

const atomsight = {
  /** Make an element with attributes; children are elements or strings, which are never HTML. */
  make(name, attributes = {}, ...children) {
    const svg = ["svg", "g", "rect", "line", "path", "text", "title", "circle"].includes(name);
    const element = svg
      ? document.createElementNS("http://www.w3.org/2000/svg", name)
      : document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) {
      if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
      else if (value !== null && value !== undefined && value !== false) element.setAttribute(key, value);
    }
    element.append(...children.filter((child) => child !== null && child !== undefined));
    return element;
  },

  /** Make a button. */
  button(text, onclick, ...children) {
    return atomsight.make("button", { type: "button", onclick }, text, ...children);
  },

  /** Read the data of a JSON block. */
  data(identifier) {
    const block = document.getElementById(identifier);
    return block ? JSON.parse(block.textContent) : null;
  },

  /** Format a value as the table shows it; see `format_value` in table.py. */
  written(value, kind) {
    if (value === null || value === undefined) return "";
    if (kind === "text" || typeof value === "string") return String(value);
    if (kind === "count") return value.toLocaleString("en-GB");
    if (kind === "percent") return (100 * value).toFixed(1) + " %";
    if (kind === "length") return value.toFixed(3);
    return String(Number(value.toPrecision(4)));
  },
};

(() => {
  const button = document.getElementById("theme");
  const root = document.documentElement;
  const keep = (value) => {
    try {
      if (value !== undefined) localStorage.setItem("atomsight-theme", value);
      return localStorage.getItem("atomsight-theme");
    } catch {
      return null; // Pages opened as files may have no storage.
    }
  };
  const dark = () =>
    root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  const show = () => {
    button.textContent = dark() ? "Light" : "Dark";
  };
  const kept = keep();
  if (kept === "dark" || kept === "light") root.dataset.theme = kept;
  if (button) {
    button.hidden = false;
    show();
    button.addEventListener("click", () => {
      root.dataset.theme = dark() ? "light" : "dark";
      keep(root.dataset.theme);
      show();
    });
  }

  const links = new Map(
    [...document.querySelectorAll("nav a")].map((link) => [link.getAttribute("href").slice(1), link]),
  );
  const seen = new IntersectionObserver(
    (entries) => {
      for (const entry of entries) {
        if (!entry.isIntersecting) continue;
        for (const link of links.values()) link.removeAttribute("aria-current");
        const link = links.get(entry.target.id);
        if (link) link.setAttribute("aria-current", "true");
      }
    },
    { rootMargin: "0px 0px -70% 0px" },
  );
  for (const identifier of links.keys()) {
    const target = document.getElementById(identifier);
    if (target) seen.observe(target);
  }
})();
