// Details of one site: evidence, distances compared with typical ones, trials of other elements.

import { get } from "./api.js";
import { choice, refill, wide } from "./parts.js";

const { make } = atomsight;
const percent = (value) => `${(100 * value).toPrecision(3)} %`;

export class SitePanel {
  /** `change` receives a site and a symbol; `choose` a site. */
  constructor(about, { change, choose }) {
    Object.assign(this, { about, change, choose });
    this.element = make("section", { class: "panel", "aria-label": "Selected site", id: "site" });
  }

  async open(path, site, checked, original, beside = null) {
    const turn = (this.turn = (this.turn ?? 0) + 1);
    const other = beside ?? (checked.element === original ? checked.suggested : checked.element);
    let found;
    try {
      found = await get(`${path}/sites/${site}?beside=${encodeURIComponent(other)}`);
    } catch (error) {
      this.element.replaceChildren(make("p", { class: "note" }, error.message));
      return;
    }
    if (turn !== this.turn) return;
    const again = (symbol) => this.open(path, site, checked, original, symbol);
    refill(this.element,
      make("h3", {}, `${found.label}: ${original}${checked.element === original ? "" : ` → ${checked.element}`}, suspicion ${checked.suspicion.toFixed(2)}${checked.flagged ? " ▲ flagged" : ""}`),
      make("div", { class: "two" }, this.words(found, checked), this.trial(site, checked, original)),
      make("div", { class: "row" }, choice("Compare with the distances of", this.about.elements, again, found.beside)),
      ...this.plot(found),
      make("details", {}, make("summary", {}, "Neighbours"), this.neighbours(found)));
  }

  words(found, checked) {
    const list = (ranked) => Object.entries(ranked).map(([symbol, p]) => `${symbol} ${percent(p)}`).join(", ");
    return make("ul", {},
      ...checked.evidence.map((words) => make("li", {}, words)),
      make("li", {}, `Prediction from the geometry alone: ${list(found.blind)}`),
      make("li", {}, `Prediction with the elements of all other sites: ${list(found.given)}`),
      make("li", { id: "precedents" }, `Most similar sites among ${found.precedents_of}: ` + (found.precedents.map(
        ({ crystal, label, element, apart }) => `${element} (${crystal} ${label}, mean difference ${apart.toFixed(3)} Å)`).join(", ") || "none")));
  }

  trial(site, checked, original) {
    let wanted = checked.element === original ? checked.suggested : checked.element;
    const tell = make("p", { class: "flag", "aria-live": "polite" });
    const attempt = async (symbol, button) => {
      button.disabled = true;
      try {
        await this.change(site, symbol);
      } catch (error) {
        tell.textContent = error.message;
      }
      button.disabled = false;
    };
    const press = ({ target }) => attempt(wanted, target);
    const back = ({ target }) => attempt(original, target);
    return make("fieldset", {}, make("legend", {}, "Try another element"),
      choice("Element", this.about.elements, (symbol) => { wanted = symbol; }, wanted),
      make("button", { type: "button", id: "try", onclick: press }, "Check again with this element"),
      checked.element === original ? null : make("button", { type: "button", onclick: back }, `Restore ${original}`),
      tell);
  }

  plot(found) {
    const names = [found.element, found.beside];
    const missing = names.filter((symbol) => !found.profiles[symbol]?.length);
    const note = missing.length ? ` Too few sites of ${missing.join(", ")} are known.` : "";
    return [
      wide("Distances of the site", atomsight.sitePlot(found, found.profiles, names)),
      make("p", { class: "source" },
        `Black: this site, with the element of each neighbour. Blue, left: distances to the n-th neighbour of ${names[0]} ` +
        `in the ${this.about.dataset ? "dataset" : "training data"}. Orange, right: of ${names[1]}. Dark boxes contain 50 %, pale boxes ` +
        `90 %, and lines 98 % of the sites.${note}`),
    ];
  }

  neighbours(found) {
    const head = make("tr", {}, ...["n", "site", "element", "distance, Å"].map((title) => make("th", { scope: "col" }, title)));
    const rows = found.distances.map((distance, i) => make("tr", {},
      make("td", {}, String(i + 1)),
      make("td", {}, make("button", { type: "button", onclick: () => this.choose(found.neighbours[i]) }, found.labels[i])),
      make("td", {}, found.elements[i]),
      make("td", { class: "right" }, distance.toFixed(3))));
    return make("div", { class: "scroll" }, make("table", {}, make("thead", {}, head), make("tbody", {}, ...rows)));
  }
}
