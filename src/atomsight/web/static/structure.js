// The view Structure: checked crystals, one of them in 3D and as a table of sites, linked with each other.

import { abandon, get, post, watch } from "./api.js";
import { Work, chooseRow, choice, dataTable, dropPlace } from "./parts.js";
import { SitePanel } from "./site.js";
import { Viewer, elementColour, suspicionColour } from "./viewer.js";

const { make } = atomsight;
const plural = (n, word) => `${n.toLocaleString("en-GB")} ${word}${n === 1 ? "" : "s"}`;

const CRYSTALS = [
  { key: "crystal", title: "crystal", kind: "text" },
  { key: "formula", title: "formula", kind: "text" },
  { key: "score", title: "suspicion", kind: "number", hint: "2: one correct crystal in a hundred has such a site" },
  { key: "flagged", title: "flagged", kind: "count", hint: "sites with a suspicion of at least 2" },
  { key: "signs", title: "findings", kind: "count", hint: "findings that concern the crystal as a whole" },
  { key: "worst", title: "most suspicious", kind: "text" },
];
const SITES = [
  { key: "label", title: "site", kind: "text" },
  { key: "flag", title: "flag", kind: "text" },
  { key: "element", title: "element", kind: "text" },
  { key: "better", title: "suggested", kind: "text", hint: "other element with the highest probability" },
  { key: "suspicion", title: "suspicion", kind: "number", hint: "2: one correct crystal in a hundred has such a site" },
  { key: "probability", title: "probability", kind: "percent", hint: "probability of the element, given the elements of all other sites" },
  { key: "copies", title: "copies", kind: "count", hint: "number of copies in the cell" },
];

export function structureView(panel, about) {
  const work = new Work((s) => `${plural(s.handled, "crystal")} checked, ${s.marked} flagged${s.state === "waiting" ? ", waiting for an earlier job" : ""}${s.state === "cancelled" ? ", cancelled" : ""}`);
  const list = make("div");
  const place = make("div");
  const known = make("form", { onsubmit: (event) => {
    event.preventDefault();
    start({ cod: number.value.trim() });
  } });
  const number = make("input", { type: "text", inputmode: "numeric", pattern: "[1-9][0-9]{6}", required: true, placeholder: "2016452", "aria-label": "COD number" });
  known.append(make("label", {}, "COD ", number), make("button", { title: "The only function of this page that uses the network" }, "Fetch"));
  const examples = choice("Example", [["", "choose"], ...about.examples], (name) => name && start({ example: name }));
  panel.append(
    dropPlace("Drop structure files, a folder or an archive here to check the element of each site.", (files) => start({}, files), examples, known),
    work.element, list, place);
  const bench = new Bench(place, about);
  let reported = 0;

  async function start(body, files = null) {
    list.replaceChildren();
    place.classList.add("away");
    reported = 0;
    const last = await work.run("/api/checks", body, files, (status) => {
      if (status.handled > reported && (status.handled < 5 || status.handled > 1.5 * reported)) {
        reported = status.handled;
        refresh(work.job, false);
      }
    });
    if (last) await refresh(last.job, true);
  }

  return start;

  async function refresh(job, final) {
    try {
      const { crystals, skipped } = await get(`/api/checks/${job}`);
      if (job !== work.job) return;
      if (final) work.tellSkips(skipped, (await get(`/api/jobs/${job}`)).skipped);
      const table = dataTable("crystals", CRYSTALS, crystals, {
        caption: "Crystals, most suspicious first", page: 10, open: (index) => pick(index) });
      table.sortBy(CRYSTALS.findIndex(({ key }) => key === "score"));
      const pick = (index) => {
        chooseRow(table, index);
        bench.open(job, index).catch((error) => work.fail(error));
      };
      list.replaceChildren(...(crystals.length > 1 ? [table.element] : []));
      if (final && crystals.length) pick(table.order[0]);
    } catch (error) {
      work.fail(error);
    }
  }
}

/** Details of one crystal. */
class Bench {
  constructor(place, about) {
    this.place = place;
    this.viewer = new Viewer({ choose: (site) => this.choose(site, true), point: (site) => this.point(site) });
    this.head = make("h2", { tabindex: "-1" });
    this.facts = make("p", { class: "source" });
    this.signs = make("ul");
    this.under = make("p", { class: "under" });
    this.announced = make("p", { class: "unseen", role: "status" });
    this.keys = make("p", { class: "key" });
    this.sites = make("div");
    this.result = make("div", { "aria-live": "polite" });
    this.panel = new SitePanel(about, {
      change: (site, symbol) => this.change(site, symbol), choose: (site) => this.choose(site) });
    const option = (text, name, options) => choice(text, options, (value) => {
      this.viewer.set(name, value);
      this.legend();
    });
    const tools = make("div", { class: "row" },
      option("Colour", "colour", [["suspicion", "suspicion"], ["element", "element"]]),
      option("Atoms", "arrangement", [["whole", "whole molecules"], ["inside", "the cell"], ["unique", "symmetry-unique"]]),
      option("Labels", "labels", [["flagged", "flagged"], ["all", "all"], ["none", "none"]]));
    place.hidden = true;
    place.append(this.head, this.facts, this.signs, this.result,
      make("div", { class: "bench" },
        make("div", {}, tools, this.viewer.element, this.under, this.announced, this.keys),
        make("div", {}, this.sites)),
      this.panel.element);
  }

  async open(job, index) {
    const turn = (this.turn = (this.turn ?? 0) + 1);
    const crystal = await get(`/api/checks/${job}/${index}`);
    if (turn !== this.turn) return;
    this.giveUp();
    this.path = `/api/checks/${job}/${index}`;
    this.crystal = crystal;
    this.current = crystal;
    this.changes = new Map();
    this.tried = null;
    this.place.hidden = false;
    this.place.classList.remove("away");
    this.head.textContent = `${crystal.crystal}  ${crystal.formula}`;
    this.facts.textContent = [
      crystal.source, crystal.space_group, `${plural(crystal.sites.length, "site")}, ${plural(crystal.atoms, "atom")} in the cell`,
      `${crystal.volume} Å³`, ...crystal.flags.map((flag) => flag.replaceAll("_", " "))].filter(Boolean).join(" · ");
    this.signs.replaceChildren(...crystal.signs.map((sign) => make("li", { class: "flag" }, sign.text)));
    this.result.replaceChildren();
    this.viewer.show(crystal.scene, crystal.sites, crystal.crystal);
    this.legend();
    this.fill();
    await this.choose(this.table.order[0]);
  }

  /** Fill the table of sites with the current results. */
  fill() {
    const rows = this.current.sites.map((site, i) => {
      const before = this.crystal.sites[i].element;
      return {
        ...site, better: site.suspicion > 0 ? site.suggested : "", copies: this.crystal.multiplicities[i],
        element: before === site.element ? site.element : `${before} → ${site.element}`,
        flag: [site.flagged ? "▲ flagged" : "", before === site.element ? "" : "changed"].filter(Boolean).join(", "),
      };
    });
    this.table = dataTable("sites", SITES, rows, { caption: "Sites, most suspicious first", open: (i) => this.choose(i) });
    this.table.sortBy(SITES.findIndex(({ key }) => key === "suspicion"));
    this.sites.replaceChildren(this.table.element);
  }

  point(site) {
    const one = site === null ? this.chosen : site;
    if (one === undefined || !this.current) return;
    const { label, element, probability, suggested, suspicion } = this.current.sites[one];
    this.under.textContent = `${label}: ${element} (probability ${probability < 1e-4 ? "below 0.01" : (100 * probability).toPrecision(3)} %), suspicion ` +
      `${suspicion.toFixed(2)}${suspicion > 0.3 ? `, suggested ${suggested}` : ""}; nearest: ` +
      `${this.crystal.near_distances[one].map((d, n) => `${this.current.sites[this.crystal.near_sites[one][n]].element} ${d.toFixed(3)}`).join(", ")} Å`;
  }

  async choose(site, scroll = false) {
    this.chosen = site;
    this.viewer.select(site);
    chooseRow(this.table, site);
    this.point(site);
    this.announced.textContent = this.under.textContent;
    if (scroll) this.under.scrollIntoView({ block: "nearest" });
    await this.panel.open(this.path, site, this.current.sites[site], this.crystal.sites[site].element);
  }

  async change(site, symbol) {
    const changes = new Map(this.changes);
    if (symbol === this.crystal.sites[site].element) changes.delete(site);
    else changes.set(site, symbol);
    const turn = this.turn;
    const tried = changes.size ? await this.try(changes) : null;
    if (tried === undefined || turn !== this.turn) return;
    this.changes = changes;
    this.tried = tried;
    this.current = tried ?? this.crystal;
    this.viewer.update(this.current.sites);
    this.fill();
    this.tellChange();
    await this.choose(site);
  }

  /** Check the crystal with other elements; a button cancels. Returns undefined after cancellation. */
  async try(changes) {
    const path = this.path;
    this.giveUp();
    const { job } = await post(`${path}/try`, { changes: Object.fromEntries(changes) });
    if (path !== this.path) return abandon(job).then(() => undefined);
    this.trying = job;
    const bar = make("progress", { max: 1, "aria-label": "Progress of the check" });
    const words = make("span", {}, "checking the crystal again");
    const stop = make("button", { type: "button", id: "stop", onclick: () => this.giveUp() }, "Cancel");
    const line = make("div", { class: "status", id: "trying" }, bar, words, stop);
    this.result.replaceChildren(line);
    try {
      const last = await watch(job, ({ part, state }) => {
        if (part) bar.value = part;
        words.textContent = state === "waiting" ? "waiting for an earlier job" : "checking the crystal again";
      }).catch((error) => {
        if (this.trying !== job) return { state: "cancelled" }; // The user cancelled it.
        throw error;
      });
      if (last.state === "failed") throw new Error(last.message);
      return last.state === "done" && this.trying === job ? await get(`/api/tries/${job}`) : undefined;
    } finally {
      if (this.trying === job) this.trying = null;
      if (!this.trying) this.tellChange();
      abandon(job);
    }
  }

  giveUp() {
    const job = this.trying;
    this.trying = null;
    if (job) post(`/api/jobs/${job}/cancel`, {}).catch(() => null);
  }

  /** Show the effect of the current changes. */
  tellChange() {
    const tried = this.tried;
    if (!tried) {
      this.result.replaceChildren();
      return;
    }
    const named = [...this.changes].map(([site, symbol]) => {
      const { label, element } = this.crystal.sites[site];
      return `${label} ${element} → ${symbol}`;
    });
    const query = [...this.changes].map(([site, symbol]) => `change=${site}:${symbol}`).join("&");
    const better = tried.gain > 0;
    this.result.replaceChildren(make("div", { class: `result${better ? "" : " worse"}`, id: "result" },
      make("p", {}, make("strong", {}, `${named.join(", ")}: the crystal ${better ? "gains" : "loses"} ${Math.abs(tried.gain).toFixed(2)} in log-likelihood`),
        `; suspicion ${tried.score_before.toFixed(2)} → ${tried.score.toFixed(2)}; flagged now: ` +
        `${tried.sites.filter((s) => s.flagged).map((s) => s.label).join(", ") || "none"}.`),
      make("p", { class: "row" },
        make("a", { class: "button", href: `${this.path}/cif?${query}`, download: "" }, "Download corrected CIF"),
        make("button", { type: "button", onclick: () => this.reset() }, "Undo all changes"))));
  }

  reset() {
    this.giveUp();
    this.changes = new Map();
    this.tried = null;
    this.current = this.crystal;
    this.viewer.update(this.current.sites);
    this.fill();
    this.result.replaceChildren();
    this.choose(this.chosen);
  }

  legend() {
    const dot = (colour, text) => {
      const mark = make("i");
      mark.style.background = colour;
      return make("span", {}, mark, text);
    };
    const elements = [...new Set(this.current.sites.map((site) => site.element))];
    this.keys.replaceChildren(...(this.viewer.options.colour === "element"
      ? elements.map((symbol) => dot(elementColour(symbol), symbol))
      : [[0, "not suspicious"], [1, "1 correct crystal in 10"], [2, "flagged: 1 in 100"], [3, "1 in 1000"]]
        .map(([value, text]) => dot(suspicionColour(value), text))));
  }
}
