// The view Candidates: ranking table, score against density, downloads.

import { get } from "./api.js";
import { scoreDensity } from "./charts.js";
import { Work, chooseRow, choice, dataTable, dropPlace, refill, wide } from "./parts.js";

const { make } = atomsight;

const COLUMNS = [
  { key: "crystal", title: "candidate", kind: "text" },
  { key: "formula", title: "formula", kind: "text" },
  { key: "rank", title: "rank", kind: "count", hint: "rank within the formula" },
  { key: "score", title: "score", kind: "number", hint: "log-odds of a real structure against a decoy" },
  { key: "verdict", title: "verdict", kind: "text" },
  { key: "density", title: "g/cm³", kind: "number" },
  { key: "kind", title: "class", kind: "text", hint: "class of the crystal" },
];
const REFRESH = 1500; // ms between two updates of the table while the job runs

/** `see` opens a candidate in the view Structure. */
export function candidatesView(panel, about, see) {
  const work = new Work((s) => `${s.handled.toLocaleString("en-GB")} candidates, ${s.marked.toLocaleString("en-GB")} to keep` +
    `${s.state === "waiting" ? ", waiting for an earlier job" : ""}${s.state === "cancelled" ? ", cancelled" : ""}`);
  const settings = { risk: 0.005, relaxed: false };
  const risk = choice("Real structures called unlikely, at most", [["0.001", "0.1 %"], ["0.005", "0.5 %"], ["0.02", "2 %"], ["0.05", "5 %"]],
    (value) => { settings.risk = Number(value); }, "0.005");
  const relaxed = make("label", {}, make("input", { type: "checkbox", onchange: ({ target }) => { settings.relaxed = target.checked; } }),
    " candidates are relaxed (volumes count)");
  const examples = choice("Example", [["", "choose"], ...about.landscapes], (name) => name && start(null, { example: name }));
  const downloads = make("p", { class: "row" });
  const chart = make("div");
  const list = make("div");
  const detail = make("div", { class: "panel", "aria-live": "polite" });
  panel.append(
    dropPlace("Drop a folder or archive of candidate structures here.", (files) => start(files), risk, relaxed, examples),
    work.element, downloads, make("div", { class: "bench" }, make("div", {}, list), make("div", {}, chart, detail)));
  let looked = 0;
  let turn = 0;
  let shown = null;
  let chosen = null; // source of the selected candidate

  async function start(files, example = {}) {
    for (const part of [downloads, chart, list, detail]) part.replaceChildren();
    looked = Date.now() + REFRESH;
    shown = chosen = null;
    const last = await work.run("/api/rankings", { ...settings, ...example }, files, () => {
      if (Date.now() < looked) return;
      const begun = Date.now();
      looked = Infinity; // One request at a time; long tables are requested less often.
      refresh(work.job).catch((error) => work.fail(error)).finally(() => {
        looked = Date.now() + REFRESH + 5 * (Date.now() - begun);
      });
    });
    if (!last) return;
    try {
      const skipped = await refresh(last.job);
      work.tellSkips(skipped, last.skipped);
      if (last.handled) offer(last);
    } catch (error) {
      work.fail(error);
    }
  }

  async function refresh(job) {
    const mine = ++turn;
    const { candidates, skipped } = await get(`/api/rankings/${job}`);
    if (mine !== turn || job !== work.job || !candidates.length) return skipped;
    const filter = shown?.filterBox.value ?? "";
    const page = shown?.page ?? 0;
    const table = dataTable("ranking", COLUMNS, candidates, {
      caption: "Candidates of each formula, best first", page: 20, open: (index) => pick(index) });
    const pick = (index, reveal = true) => {
      chooseRow(table, index, reveal);
      chosen = candidates[index].source;
      for (const point of chart.querySelectorAll(".chosen")) point.classList.remove("chosen");
      chart.querySelector(`[data-index="${index}"]`)?.classList.add("chosen");
      const one = candidates[index];
      const heading = `${one.crystal}: rank ${one.rank} of ${one.formula}, score ${one.score.toFixed(2)}, ${one.verdict}`;
      if (!reveal && detail.firstChild?.textContent === heading) return; // A screen reader would read it again.
      refill(detail,
        make("h2", {}, heading),
        make("p", { class: "source" }, one.source),
        make("button", { type: "button", onclick: () => see({ ranking: job, source: one.source }) }, "Open in the view Structure"),
        one.evidence.length ? make("ul", {}, ...one.evidence.map((words) => make("li", {}, words))) : make("p", {}, "No problems found."));
    };
    const verdict = choice("Show", [["", "all"], ["verdict:keep", "keep"], ["verdict:unlikely", "unlikely"]], (value) => table.filter(value), filter);
    // Sorting, filter and page stay while the table grows.
    if (shown?.sort) {
      table.sortBy(shown.sort.column);
      if (table.sort.down !== shown.sort.down) table.sortBy(shown.sort.column);
    }
    table.filter(filter);
    table.turn(page);
    shown = table;
    refill(list, verdict, table.element);
    chart.replaceChildren(wide("Score against density", scoreDensity(candidates, pick)));
    const again = candidates.findIndex(({ source }) => source === chosen);
    if (again >= 0) pick(again, false);
    return skipped;
  }

  function offer(status) {
    const path = `/api/rankings/${status.job}`;
    const link = (href, text) => make("a", { class: "button", href, download: "" }, text);
    downloads.replaceChildren(
      ...(status.marked ? [link(`${path}/survivors.zip`, `Download ${status.marked.toLocaleString("en-GB")} survivors (zip)`)] : []),
      link(`${path}/table.csv`, "Table as CSV"), link(`${path}/table.jsonl`, "JSON lines"), link(`${path}/table.parquet`, "Parquet"));
  }
}
