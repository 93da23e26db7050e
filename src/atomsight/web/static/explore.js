// The view Explore: distributions of neighbour distances, confusion matrix of the bundled model.

import { get } from "./api.js";
import { histograms } from "./charts.js";
import { choice, dataTable, refill, wide } from "./parts.js";

const { make } = atomsight;

const EXAMPLES = [
  { key: "crystal", title: "crystal", kind: "text" },
  { key: "label", title: "site", kind: "text" },
  { key: "formula", title: "formula", kind: "text" },
  { key: "probability", title: "probability of predicted", kind: "percent" },
  { key: "probability_true", title: "probability of true", kind: "percent" },
];
const MOST_ROWS = 10;

export async function exploreView(panel, about) {
  const distances = make("div");
  const matrix = make("div", { class: "confusion" });
  const cell = make("div", { class: "panel", "aria-live": "polite" });
  const summary = make("p", { class: "source" });
  panel.append(
    make("h2", {}, "Neighbour distances"), distances,
    make("h2", {}, "Confusion matrix of the model"), summary, make("div", { class: "two" }, matrix, cell));
  distances.textContent = "loading";
  try {
    await new Distances(distances).load("C");
    await confusion(matrix, summary, cell, about);
  } catch (error) {
    panel.append(make("p", { class: "note", role: "alert" }, error.message));
  }
}

class Distances {
  constructor(place) {
    this.place = place;
    this.by = "neighbours";
    this.n = 1;
    this.neighbour = null;
  }

  async load(centre) {
    this.table = await get(`/api/explore/distances/${encodeURIComponent(centre)}`);
    this.centre = centre;
    const [first] = this.neighbours();
    if (!this.neighbours().includes(this.neighbour)) this.neighbour = first;
    this.show();
  }

  fail(error) {
    this.place.append(make("p", { class: "note", role: "alert" }, error.message));
  }

  /** Elements of neighbours, the most frequent first. */
  neighbours() {
    const counts = new Map();
    for (const { neighbour, sites } of this.table.histograms) counts.set(neighbour, (counts.get(neighbour) ?? 0) + sites);
    return [...counts].sort((a, b) => b[1] - a[1]).map(([symbol]) => symbol);
  }

  series() {
    const { histograms: all, bonds } = this.table;
    if (this.by === "neighbours") {
      return all.filter((one) => one.n === this.n).sort((a, b) => b.sites - a.sites).slice(0, MOST_ROWS)
        .map((one) => [`${this.centre}–${one.neighbour}`, one]);
    }
    if (this.by === "ranks") {
      return all.filter((one) => one.neighbour === this.neighbour).map((one) => [`${this.centre}–${one.neighbour}, n = ${one.n}`, one]);
    }
    return bonds.filter((one) => one.neighbour === this.neighbour).map((one) => [`${this.centre}–${one.neighbour} ${one.type}`, one]);
  }

  show() {
    const ways = [["neighbours", "elements of the neighbour"], ["ranks", "neighbour numbers"], ["bonds", "bond types"]];
    const set = (key) => (value) => {
      this[key] = key === "n" ? Number(value) : value;
      this.show();
    };
    const numbers = Array.from({ length: this.table.ranks }, (_, i) => [String(i + 1), String(i + 1)]);
    const series = this.series();
    refill(this.place,
      make("div", { class: "row" },
        choice("Element", this.table.centres, (centre) => this.load(centre).catch((error) => this.fail(error)), this.centre),
        choice("Group by", ways, set("by"), this.by),
        this.by === "neighbours" ? choice("Neighbour number", numbers, set("n"), String(this.n))
          : choice("Neighbour", this.neighbours(), set("neighbour"), this.neighbour)),
      series.length ? wide("Histograms of distances", histograms(series, this.table.low, this.table.step)) : make("p", {}, "Too few sites, or no bonds in the data."),
      make("p", { class: "source" },
        `${this.by === "bonds" ? `${this.table.bond_crystals.toLocaleString("en-GB")} crystals, bond types perceived from the geometry` : this.table.source}. Each site of the first element counts once. Below each name: number of sites and median. ` +
        "Each histogram is scaled to its highest bin."));
  }
}

async function confusion(place, summary, cell, about) {
  const table = await get("/api/explore/confusion");
  const share = (value) => `${(100 * value).toFixed(1)} %`;
  summary.textContent = `${about.model} on ${table.sites.toLocaleString("en-GB")} sites of ${table.crystals.toLocaleString("en-GB")} crystals ` +
    `that share no formula with the training data: accuracy ${share(table.accuracy)}, macro recall ${share(table.macro_recall)}. ` +
    "Select a cell to see examples.";
  atomsight.drawConfusion(place, { elements: table.elements, cells: table.cells, sites: table.sites_of, table: "" });
  const open = async (right, wrong) => {
    const found = await get(`/api/explore/confusion/${encodeURIComponent(right)}/${encodeURIComponent(wrong)}`);
    const plot = make("div");
    const heading = make("h3", {}, right === wrong ? `${right}, predicted correctly` : `${right} predicted as ${wrong}`);
    if (!found.examples.length) {
      cell.replaceChildren(heading, make("p", {}, "There are no examples for this cell."));
      return;
    }
    const examples = dataTable("examples", EXAMPLES, found.examples, { open: (index) => {
      const one = found.examples[index];
      plot.replaceChildren(
        make("h3", {}, `${one.crystal}, ${one.label}`),
        wide("Distances of the site", atomsight.sitePlot({ ...one, elements: one.around }, found.profiles, [right, wrong])),
        make("p", { class: "source" }, `Black: this site, with the elements of its neighbours. Blue, left: typical of ${right}. Orange, right: typical of ${wrong}.`));
    } });
    cell.replaceChildren(heading, examples.element, plot);
    examples.open(0);
  };
  place.addEventListener("open-cell", ({ detail }) => open(detail.true, detail.predicted).catch((error) => {
    cell.replaceChildren(make("p", { class: "note" }, error.message));
  }));
  const pair = (text, key, chosen) => choice(text, table.elements, (value) => { chosen[key] = value; }, chosen[key]);
  const chosen = { true: "C", predicted: "N" };
  place.parentElement.before(make("div", { class: "row" }, pair("True", "true", chosen), pair("Predicted", "predicted", chosen),
    make("button", { type: "button", onclick: () => open(chosen.true, chosen.predicted).catch((error) => cell.replaceChildren(error.message)) }, "Examples")));
}
