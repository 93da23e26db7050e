// Charts as SVG in the colours of the page: score against density, histograms of distances.

const { make } = atomsight;
const SMALL = "font-size:12px";

/** Round steps for an axis. */
function ticks(low, high, about = 6) {
  const raw = (high - low) / about;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((f) => f * power).find((s) => s >= raw);
  const first = Math.ceil(low / step) * step;
  return Array.from({ length: Math.floor((high - first) / step + 1e-9) + 1 }, (_, i) => Number((first + i * step).toPrecision(10)));
}

const MOST_POINTS = 4000;

/** Candidates by density and score: circles are kept, crosses unlikely. `choose` receives an index. */
export function scoreDensity(rows, choose) {
  const step = Math.max(1, Math.ceil(rows.length / MOST_POINTS));
  const shown = rows.map((row, i) => [row, i]).filter((_, i) => i % step === 0);
  const [width, height, left, bottom, top] = [640, 360, 54, 40, 10];
  const range = (values) => {
    const [low, high] = values.reduce(([a, b], v) => [Math.min(a, v), Math.max(b, v)], [Infinity, -Infinity]);
    const pad = (high - low || 1) * 0.06;
    return [low - pad, high + pad];
  };
  const [x0, x1] = range(shown.map(([row]) => row.density));
  const [y0, y1] = range(shown.map(([row]) => row.score));
  const x = (v) => left + ((v - x0) / (x1 - x0)) * (width - left - 18);
  const y = (v) => top + (1 - (v - y0) / (y1 - y0)) * (height - top - bottom);
  const svg = make("svg", { viewBox: `0 0 ${width} ${height}`, class: "chart", id: "score-density", role: "img",
    "aria-label": "Score of each candidate against its density; the table contains the same numbers" });
  for (const v of ticks(y0, y1)) {
    svg.append(
      make("line", { x1: left, x2: width, y1: y(v), y2: y(v), style: "stroke:var(--rule)" }),
      make("text", { x: left - 6, y: y(v), "text-anchor": "end", "dominant-baseline": "central", style: SMALL }, String(v)));
  }
  for (const v of ticks(x0, x1)) {
    svg.append(make("text", { x: x(v), y: height - bottom + 16, "text-anchor": "middle", style: SMALL }, String(v)));
  }
  for (const [row, index] of shown) {
    const keep = row.verdict === "keep";
    const [cx, cy] = [x(row.density), y(row.score)];
    const attributes = { class: "point", "data-index": index, onclick: () => choose(index) };
    const point = keep
      ? make("circle", { ...attributes, cx, cy, r: 4, style: "fill:var(--blue);fill-opacity:0.7" })
      : make("path", { ...attributes, d: `M${cx - 4} ${cy - 4}l8 8m0 -8l-8 8`, style: "stroke:var(--orange);stroke-width:2" });
    point.append(make("title", {}, `${row.crystal}: score ${row.score.toFixed(2)}, ${row.density} g/cm³, ${row.verdict}`));
    svg.append(point);
  }
  const part = step > 1 ? `, one candidate in ${step} shown` : "";
  svg.append(
    make("text", { x: (left + width) / 2, y: height - 4, "text-anchor": "middle", style: SMALL }, `density, g/cm³ (circles: keep, crosses: unlikely${part})`),
    make("text", { x: 12, y: (height - bottom) / 2, "text-anchor": "middle", transform: `rotate(-90 12 ${(height - bottom) / 2})`, style: SMALL }, "score"));
  return svg;
}

/** Histograms below each other over one axis: [name, {sites, first, counts}]. */
export function histograms(series, low, step) {
  const used = series.flatMap(([, one]) => (one.counts.length ? [one.first, one.first + one.counts.length] : []));
  const [from, to] = used.length ? [Math.min(...used) - 2, Math.max(...used) + 2] : [0, 100];
  const [width, left, row, bottom] = [900, 150, 62, 34];
  const height = series.length * row + bottom;
  const x = (bin) => left + ((bin - from) / (to - from)) * (width - left - 6);
  const svg = make("svg", { viewBox: `0 0 ${width} ${height}`, class: "chart", id: "histograms", role: "img",
    "aria-label": `Distances: ${series.map(([name, one]) => `${name}, ${one.sites} sites`).join("; ")}` });
  for (const d of ticks(low + from * step, low + to * step, 9)) {
    const at = x((d - low) / step);
    svg.append(
      make("line", { x1: at, x2: at, y1: 0, y2: height - bottom, style: "stroke:var(--rule)" }),
      make("text", { x: at, y: height - bottom + 15, "text-anchor": "middle", style: SMALL }, String(d)));
  }
  series.forEach(([name, one], i) => {
    const base = (i + 1) * row - 6;
    const most = Math.max(...one.counts, 1);
    const middle = median(one);
    let outline = "";
    one.counts.forEach((count, j) => {
      const top = base - (count / most) * (row - 16);
      outline += `L${x(one.first + j).toFixed(1)} ${top.toFixed(1)}L${x(one.first + j + 1).toFixed(1)} ${top.toFixed(1)}`;
    });
    if (one.counts.length) {
      svg.append(make("path", { d: `M${x(one.first)} ${base}${outline}L${x(one.first + one.counts.length)} ${base}Z`,
        style: "fill:var(--blue);fill-opacity:0.65" },
      make("title", {}, `${name}: ${one.sites.toLocaleString("en-GB")} sites, median ${(low + middle * step).toFixed(2)} Å`)));
    }
    svg.append(
      make("line", { x1: left, x2: width, y1: base, y2: base, style: "stroke:var(--mute)" }),
      make("text", { x: left - 10, y: base - 22, "text-anchor": "end", style: "font-size:14px;font-weight:600" }, name),
      make("text", { x: left - 10, y: base - 6, "text-anchor": "end", style: SMALL },
        `${one.sites.toLocaleString("en-GB")}${one.counts.length ? `, ${(low + middle * step).toFixed(2)} Å` : ""}`));
  });
  svg.append(make("text", { x: (left + width) / 2, y: height - 3, "text-anchor": "middle", style: SMALL }, "distance, Å"));
  return svg;
}

function median({ first, counts }) {
  const half = counts.reduce((a, b) => a + b, 0) / 2;
  let sum = 0;
  for (let j = 0; j < counts.length; j++) {
    sum += counts[j];
    if (sum >= half) return first + j + 0.5;
  }
  return first;
}
