// The 3D view by 3Dmol.js. It receives atoms, sites and colours, and sends no requests.

const { make } = atomsight;

const MOST_LABELS = 400;
/** Blue-grey to yellow to vermilion: dark and light differ for every eye; flagged sites are larger too. */
const SCALE = [[0, [150, 172, 192]], [1, [240, 200, 90]], [2, [213, 94, 0]], [3, [150, 45, 0]]];

export function suspicionColour(value) {
  const at = Math.min(Math.max(value, 0), 3);
  const upper = SCALE.findIndex(([edge]) => edge >= at);
  const [[low, from], [high, to]] = [SCALE[Math.max(upper - 1, 0)], SCALE[upper]];
  const share = high === low ? 0 : (at - low) / (high - low);
  return `rgb(${from.map((one, i) => Math.round(one + share * (to[i] - one))).join(",")})`;
}

export function elementColour(symbol) {
  const number = window.$3Dmol?.elementColors?.Jmol?.[symbol] ?? 0x909090;
  return symbol === "H" ? "#d0d4d8" : `#${number.toString(16).padStart(6, "0")}`;
}

const hex = (colour) => {
  const parts = colour.startsWith("#") ? null : colour.match(/\d+/g).map(Number);
  return parts ? (parts[0] << 16) | (parts[1] << 8) | parts[2] : parseInt(colour.slice(1), 16);
};

export class Viewer {
  /** `choose` receives the site that is clicked, `point` the one that is pointed at, or null. */
  constructor({ choose, point }) {
    this.element = make("div", { class: "viewer", tabindex: "0", role: "application" });
    this.options = { arrangement: "whole", colour: "suspicion", labels: "flagged" };
    this.choose = choose;
    this.point = point;
    this.element.addEventListener("keydown", (event) => this.key(event));
    new MutationObserver(() => this.paper()).observe(document.documentElement, { attributes: true });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.paper());
  }

  begin() {
    if (this.view !== undefined) return;
    try {
      this.view = window.$3Dmol.createViewer(this.element, { backgroundColor: this.paperColour(), antialias: true });
    } catch {
      this.view = null;
    }
    if (!this.view) {
      this.view = null;
      this.element.replaceChildren(make("p", { class: "note" },
        "The 3D view needs WebGL, which this browser does not offer. The table lists the same sites."));
    }
  }

  paperColour() {
    return getComputedStyle(document.documentElement).getPropertyValue("--paper").trim();
  }

  paper() {
    if (!this.view) return;
    this.view.setBackgroundColor(this.paperColour());
    this.dress();
  }

  key(event) {
    if (!this.view) return;
    const turns = { ArrowLeft: [-10, "y"], ArrowRight: [10, "y"], ArrowUp: [-10, "x"], ArrowDown: [10, "x"] };
    if (turns[event.key]) this.view.rotate(...turns[event.key]);
    else if (event.key === "+" || event.key === "=") this.view.zoom(1.2);
    else if (event.key === "-") this.view.zoom(1 / 1.2);
    else if (event.key === "0") this.view.zoomTo();
    else return;
    event.preventDefault();
    this.view.render();
  }

  /** Show a crystal: its scene, and its sites with element, label, suspicion and flag. */
  show(scene, sites, name) {
    this.begin();
    Object.assign(this, { scene, sites, selected: null });
    this.element.setAttribute("aria-label",
      `3D view of ${name}: ${scene.elements.length} atoms. Arrow keys rotate, plus and minus zoom, 0 resets the view; ` +
      "the table of sites lists the same atoms.");
    this.build();
    this.view?.zoomTo();
    this.view?.render();
  }

  build() {
    if (!this.view) return;
    const { scene } = this;
    this.view.removeAllModels();
    this.places = this.options.arrangement === "inside" ? scene.inside : scene.whole;
    const shown = scene.elements.map((_, i) => this.options.arrangement !== "unique" || scene.unique[i]);
    this.atoms = shown.flatMap((yes, i) => (yes ? [i] : []));
    const place = new Map(this.atoms.map((atom, i) => [atom, i]));
    const bonds = this.atoms.map(() => []);
    for (const [first, second, length] of scene.bonds) {
      if (first === second || !place.has(first) || !place.has(second)) continue;
      const apart = Math.hypot(...this.places[first].map((value, i) => value - this.places[second][i]));
      if (Math.abs(apart - length) > 0.02) continue;
      bonds[place.get(first)].push(place.get(second));
      bonds[place.get(second)].push(place.get(first));
    }
    this.model = this.view.addModel();
    this.model.addAtoms(this.atoms.map((atom, i) => ({
      elem: scene.elements[atom], x: this.places[atom][0], y: this.places[atom][1], z: this.places[atom][2],
      index: i, serial: i, bonds: bonds[i], bondOrder: bonds[i].map(() => 1),
    })));
    const site = (atom) => scene.sites[this.atoms[atom.index]];
    this.view.setClickable({}, true, (atom) => this.choose(site(atom)));
    this.view.setHoverable({}, true, (atom) => this.point(site(atom)), () => this.point(null));
    this.view.setHoverDuration(60);
    this.dress();
  }

  colourOf(site) {
    const { element, suspicion } = this.sites[site];
    return this.options.colour === "element" ? elementColour(element) : suspicionColour(suspicion);
  }

  /** Colours, sizes, labels and the cell; the atoms stay. */
  dress() {
    if (!this.view || !this.model) return;
    const { scene, sites } = this;
    const colours = sites.map((_, site) => hex(this.colourOf(site)));
    const colourfunc = (atom) => colours[scene.sites[this.atoms[atom.index]]];
    const sized = (scale) => ({ stick: { radius: 0.11, colorfunc: colourfunc }, sphere: { scale, colorfunc: colourfunc } });
    this.model.setStyle({}, sized(0.24));
    const flagged = this.atoms.flatMap((atom, i) => (sites[scene.sites[atom]].flagged ? [i] : []));
    if (flagged.length) this.model.setStyle({ index: flagged }, sized(0.36));
    this.view.removeAllShapes();
    this.view.removeAllLabels();
    this.drawCell();
    this.drawLabels();
    this.halo();
    this.view.render();
  }

  drawCell() {
    const [a, b, c] = this.scene.cell;
    const at = (i, j, k) => ({
      x: i * a[0] + j * b[0] + k * c[0], y: i * a[1] + j * b[1] + k * c[1], z: i * a[2] + j * b[2] + k * c[2],
    });
    const color = getComputedStyle(document.documentElement).getPropertyValue("--mute").trim();
    const ends = [0, 1];
    for (const u of ends) for (const v of ends) {
      for (const [from, to] of [[at(0, u, v), at(1, u, v)], [at(u, 0, v), at(u, 1, v)], [at(u, v, 0), at(u, v, 1)]]) {
        this.view.addLine({ start: from, end: to, color });
      }
    }
    for (const [name, position] of [["a", at(1, 0, 0)], ["b", at(0, 1, 0)], ["c", at(0, 0, 1)]]) {
      this.view.addLabel(name, { position, fontColor: color, backgroundOpacity: 0, fontSize: 14, inFront: false });
    }
  }

  drawLabels() {
    if (this.options.labels === "none") return;
    const styles = getComputedStyle(document.documentElement);
    const colour = (name) => styles.getPropertyValue(name).trim();
    const wanted = this.atoms.filter((atom) => this.options.labels === "all" || this.sites[this.scene.sites[atom]].flagged);
    for (const atom of wanted.slice(0, MOST_LABELS)) {
      const site = this.sites[this.scene.sites[atom]];
      const [x, y, z] = this.places[atom];
      this.view.addLabel(site.flagged ? `${site.label} ${site.element}?` : site.label, {
        position: { x, y, z }, fontSize: 12, fontColor: colour("--ink"), backgroundColor: colour("--paper"),
        backgroundOpacity: 0.75, borderThickness: site.flagged ? 1 : 0, borderColor: colour("--orange"), inFront: true,
      });
    }
  }

  halo() {
    this.halos = [];
    if (this.selected === null || this.selected === undefined) return;
    const color = getComputedStyle(document.documentElement).getPropertyValue("--blue").trim();
    for (const atom of this.atoms.filter((one) => this.scene.sites[one] === this.selected).slice(0, 200)) {
      const [x, y, z] = this.places[atom];
      this.halos.push(this.view.addSphere({ center: { x, y, z }, radius: 0.85, color, opacity: 0.35 }));
    }
  }

  select(site) {
    this.selected = site;
    if (!this.view || !this.model) return;
    for (const one of this.halos) this.view.removeShape(one); // atoms and labels stay: large cells are slow to dress
    this.halo();
    this.view.render();
  }

  /** Show other results for the same atoms: elements, suspicions. */
  update(sites) {
    this.sites = sites;
    this.dress();
  }

  set(option, value) {
    this.options[option] = value;
    if (!this.scene) return;
    if (option === "arrangement") {
      this.build();
      this.view?.zoomTo();
      this.view?.render();
    } else this.dress();
  }
}
