"use strict";
// Dialog of one misclassified site: its neighbours, and its distances next to those of both elements.

(() => {
  const make = atomsight.make;
  const RANKS = 16;

  const line = (x1, x2, y1, y2, style) => make("line", { x1, x2, y1, y2, style });
  const label = (x, y, text, attributes = {}) =>
    make("text", { x, y, "text-anchor": "middle", style: "font-size:12px", ...attributes }, text);

  /** Boxes of an element's distances to its n-th neighbour: middle half, 90 %, 98 % of the sites. */
  function boxes(svg, profile, ranks, side, colour, x, y, step) {
    profile.slice(0, ranks).forEach(([p1, p5, p25, p50, p75, p95, p99], n) => {
      const from = x(n) + (side < 0 ? -0.4 : 0.05) * step;
      const width = 0.35 * step;
      const middle = from + width / 2;
      const box = (low, high, opacity, share) =>
        make("rect", {
          x: from + (width * (1 - share)) / 2, width: width * share,
          y: y(high), height: Math.max(y(low) - y(high), 1),
          style: `fill:var(--${colour});fill-opacity:${opacity}`,
        });
      svg.append(
        line(middle, middle, y(p1), y(p99), `stroke:var(--${colour})`),
        box(p5, p95, 0.3, 0.6), box(p25, p75, 0.65, 1),
        line(from, from + width, y(p50), y(p50), "stroke:var(--paper);stroke-width:1.5"),
      );
    });
  }

  function plot(site, profiles, names) {
    const ranks = Math.min(site.distances.length, RANKS);
    const [width, height, left, bottom, top] = [900, 360, 46, 34, 12];
    const own = profiles[names[0]] || [];
    const other = profiles[names[1]] || [];
    const every = [site.distances.slice(0, ranks)]
      .concat([...own.slice(0, ranks), ...other.slice(0, ranks)].map((q) => [q[0], q[6]])).flat();
    const low = Math.max(0, Math.min(...every) - 0.15);
    const high = Math.max(...every) + 0.15;
    const step = (width - left) / ranks;
    const x = (n) => left + (n + 0.5) * step;
    const y = (d) => top + (height - top - bottom) * (1 - (d - low) / (high - low));
    const svg = make("svg", { viewBox: `0 0 ${width} ${height}`, role: "img",
      "aria-label": `Distances of the site next to those of ${names[0]} and of ${names[1]}` });
    for (let d = Math.ceil(low * 2) / 2; d <= high; d += 0.5) {
      svg.append(
        line(left, width, y(d), y(d), "stroke:var(--rule)"),
        label(left - 6, y(d), d.toFixed(1), { "text-anchor": "end", "dominant-baseline": "central" }),
      );
    }
    boxes(svg, own, ranks, -1, "blue", x, y, step);
    boxes(svg, other, ranks, 1, "orange", x, y, step);
    const outlined = "font-size:12px;font-weight:600;paint-order:stroke;stroke:var(--paper);stroke-width:3";
    for (let n = 0; n < ranks; n++) {
      const d = site.distances[n];
      svg.append(
        line(x(n) - 0.46 * step, x(n) + 0.46 * step, y(d), y(d), "stroke:var(--ink);stroke-width:2"),
        label(x(n), y(d) - 5, site.elements[n], { style: outlined }),
        label(x(n), height - bottom + 16, String(n + 1)),
      );
    }
    svg.append(label((left + width) / 2, height - 3, "n: distance to the n-th neighbour, Å"));
    return svg;
  }

  function neighbours(site, names) {
    const percent = (value) => (value === null ? "" : (value / 10).toFixed(1) + " %");
    const titles = ["n", "distance, Å", "element", "label", `nearer in ${names[0]}`, `nearer in ${names[1]}`];
    const head = make("tr", {}, ...titles.map((title) => make("th", { scope: "col" }, title)));
    const rows = site.distances.map((d, n) =>
      make("tr", {}, ...[
        String(n + 1), d.toFixed(3), site.elements[n], site.labels[n],
        percent(site.nearer_true[n]), percent(site.nearer_predicted[n]),
      ].map((text) => make("td", {}, text))));
    return make("div", { class: "scroll" },
      make("table", {}, make("thead", {}, head), make("tbody", {}, ...rows)));
  }

  function addDialog(table) {
    const data = atomsight.data(`${table.element.id}-sites`);
    if (!data) return;
    const dialog = make("dialog", { "aria-label": "One misclassified site" });
    document.body.append(dialog);
    let shown = [];
    let place = 0;
    const field = (index, key) =>
      table.data.rows[index][table.data.columns.findIndex((column) => column.key === key)];

    function move(by) {
      place += by;
      show();
    }

    function show() {
      const index = shown[place];
      const raw = data.sites[index];
      const site = {
        distances: raw[0],
        elements: raw[1].map((z) => data.elements[z]),
        labels: raw[2],
        nearer_true: raw[3],
        nearer_predicted: raw[4],
      };
      const names = [field(index, "true"), field(index, "predicted")];
      const back = atomsight.button("Back", () => move(-1));
      const next = atomsight.button("Next", () => move(1));
      back.disabled = place === 0;
      next.disabled = place === shown.length - 1;
      const close = atomsight.button("Close", () => dialog.close());
      const probability = (key) => (100 * field(index, key)).toFixed(2) + " %";
      dialog.replaceChildren(
        make("div", { class: "bar" }, back, next, close),
        make("h3", {}, `${field(index, "crystal")}: ${field(index, "label")}, ${names[0]} taken for ${names[1]}`),
        make("p", {},
          `Probability of ${names[1]} ${probability("probability")}, of ${names[0]} ` +
          `${probability("probability_true")}. Formula ${field(index, "formula")}; coordination ` +
          `${field(index, "coordination")} by ${field(index, "neighbours")}; flags: ` +
          `${field(index, "flags") || "none"}; source: ${field(index, "source")}.`),
        plot(site, data.profiles, names),
        make("p", { class: "source" },
          `Black: this site, with the element of each neighbour. Left, blue: distances to the n-th neighbour ` +
          `of ${names[0]} in ${data.reference}; right, orange: of ${names[1]}. Boxes hold the middle half of ` +
          `the sites, pale boxes 90 %, lines 98 %; the notch is the median. Nearer: share of that element's ` +
          `sites whose n-th neighbour is nearer; below 1 % or above 99 % is unusual.`),
        neighbours(site, names),
      );
      if (!dialog.open) dialog.showModal();
      (next.disabled ? close : next).focus();
    }

    dialog.addEventListener("keydown", (event) => {
      if (event.key === "ArrowRight" && place < shown.length - 1) move(1);
      if (event.key === "ArrowLeft" && place > 0) move(-1);
    });
    table.element.addEventListener("open-row", ({ detail }) => {
      shown = detail.shown;
      place = shown.indexOf(detail.index);
      show();
    });
  }

  atomsight.sitePlot = plot;
  for (const table of atomsight.tables.values()) if (table.data.opens) addDialog(table);
})();
