"use strict";
// Reads the numbers that the page carries and brings its charts, threshold, gallery and table to life. No request, no storage.
(() => {
  const data = JSON.parse(document.getElementById("residua-data").textContent);
  const NORMAL = 0, ABNORMAL = 1, UNKNOWN = 2;
  const VERDICT_WORDS = {caught: "caught", missed: "missed", alarm: "false alarm", passed: "left alone", flagged: "flagged", unflagged: "not flagged"};
  const IS_BAD = {missed: true, alarm: true};
  const SERIES = {normal: ["var(--accent)", "normal"], abnormal: ["var(--abnormal)", "anomalous"], images: ["var(--accent)", "images"]};
  const OUTLINES = {calibration: ["var(--muted)", "calibration, normal"], train: ["var(--note)", "train"]};

  function unpack(packed) {
    if (!packed) return null;
    const bytes = Uint8Array.from(atob(packed.data), c => c.charCodeAt(0));
    if (packed.dtype === "|u1") return bytes;
    const view = new DataView(bytes.buffer), wide = packed.dtype === "<f8", size = wide ? 8 : 4;
    return Float64Array.from({length: bytes.length / size}, (_, i) => wide ? view.getFloat64(i * 8, true) : view.getFloat32(i * 4, true));
  }
  const count = n => n.toLocaleString("en");
  const significant = (v, digits = 4) => {
    if (v === null || v === undefined || !Number.isFinite(v)) return "–";
    const size = Math.abs(v);
    if (v === 0 || (size >= 1e-4 && size < 1e6)) return String(Number(v.toPrecision(digits)));
    return v.toExponential(digits - 1);
  };
  const share = v => v === null ? "not defined" : v.toFixed(3);
  const make = (tag, text, attributes = {}) => {
    const node = document.createElement(tag);
    if (text !== undefined && text !== null) node.textContent = text;
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    return node;
  };
  // How many of the ascending `sorted` are > t.
  function above(sorted, t) {
    let low = 0, high = sorted.length;
    while (low < high) { const middle = (low + high) >> 1; if (sorted[middle] > t) high = middle; else low = middle + 1; }
    return sorted.length - low;
  }

  class Job {
    constructor(key, payload) {
      Object.assign(this, {key, payload, root: document.getElementById(key), listeners: []});
      this.scores = unpack(payload.scores);
      this.truth = unpack(payload.truth);
      this.isDetector = payload.job === "detect" && this.scores !== null;
      if (this.isDetector) {
        this.everything = Float64Array.from(this.scores).sort();
        const pick = kind => this.truth ? this.scores.filter((_, i) => this.truth[i] === kind).sort() : new Float64Array();
        this.normal = pick(NORMAL);
        this.abnormal = pick(ABNORMAL);
        this.unknown = this.truth ? pick(UNKNOWN) : this.everything;
        // NumPy compares in the scores' own precision, and so does this.
        this.rounded = payload.scores.dtype === "<f4" ? Math.fround : t => t;
        this.candidates = candidates(this.everything, this.rounded);
        this.threshold = payload.threshold ?? this.everything[Math.floor((this.everything.length - 1) * 0.99)];
      }
    }
    limit() { return this.rounded(this.threshold); }
    pathOf(i) { return this.payload.table.folder + this.payload.table.paths[i]; }
    labelOf(i) { return labelOf(this.payload.table, i); }
    // How many images each verdict has, those without a label apart.
    verdicts() {
      const {tp, fp, fn, tn} = this.rates(), flagged = above(this.unknown, this.limit());
      return {missed: fn, caught: tp, alarm: fp, passed: tn, flagged, unflagged: this.unknown.length - flagged};
    }
    rates(at = this.threshold) {
      const t = this.rounded(at);
      const tp = above(this.abnormal, t), fp = above(this.normal, t), fn = this.abnormal.length - tp, tn = this.normal.length - fp;
      const ratio = (part, whole) => whole ? part / whole : null;
      return {tp, fp, fn, tn, precision: ratio(tp, tp + fp), recall: ratio(tp, tp + fn), f1: ratio(2 * tp, 2 * tp + fp + fn), alarms: ratio(fp, fp + tn)};
    }
    verdict(i) {
      if (!this.isDetector) return null;
      const flagged = this.scores[i] > this.limit(), known = this.truth ? this.truth[i] : UNKNOWN;
      if (known === ABNORMAL) return flagged ? "caught" : "missed";
      if (known === NORMAL) return flagged ? "alarm" : "passed";
      return flagged ? "flagged" : "unflagged";
    }
    move(t) { this.threshold = t; for (const listen of this.listeners) listen(); }
    onMove(listen) { this.listeners.push(listen); listen(); }
  }

  // Every threshold that changes anything: below all, midway between neighbours, at the largest.
  function candidates(sorted, rounded) {
    const found = [];
    if (sorted.length) found.push(sorted[0] - (Math.abs(sorted[0]) * 1e-6 || 1e-9));
    for (let i = 1; i < sorted.length; i++) if (sorted[i] > sorted[i - 1]) {
      const middle = rounded(sorted[i - 1] + (sorted[i] - sorted[i - 1]) / 2);
      found.push(middle < sorted[i] ? middle : sorted[i - 1]);
    }
    if (sorted.length) found.push(sorted[sorted.length - 1]);
    return found;
  }

  /* Charts: drawn once a width; the threshold moves on top of them. */
  const charts = {
    histogram(job, width) {
      const drawn = job.payload.histogram;
      if (!drawn) return null;
      const {edges} = drawn, filled = [], outlined = [];
      for (const [name, counts] of Object.entries(drawn.counts)) {
        const total = counts.reduce((a, b) => a + b, 0);
        const bins = counts.map((n, i) => ({name, n, x1: edges[i], x2: edges[i + 1], share: n / total}));
        if (name in SERIES) filled.push([name, bins]);
        else outlined.push([name, [{x1: edges[0], share: 0}, ...bins, {x1: edges[edges.length - 1], share: 0}]]);
      }
      const marks = filled.map(([name, bins]) => Plot.rectY(bins, {x1: "x1", x2: "x2", y: "share", fill: SERIES[name][0], fillOpacity: .5, inset: 0,
        title: d => `${significant(d.x1, 3)} to ${significant(d.x2, 3)}: ${count(d.n)} ${SERIES[name][1]}`}));
      for (const [name, bins] of outlined) marks.push(Plot.line(bins, {x: "x1", y: "share", stroke: OUTLINES[name][0], strokeWidth: 1.25,
        strokeDasharray: name === "train" ? "2,3" : "5,3", curve: "step-after"}));
      const plot = Plot.plot({width, height: 250, marginTop: 22, marginLeft: 46, marginRight: 12, marginBottom: 40,
        x: {type: drawn.log ? "log" : "linear", label: `${drawn.quantity}${drawn.log ? ", logarithmic" : ""} →`, domain: [edges[0], edges[edges.length - 1]], ticks: width < 500 ? 4 : 8, tickFormat: d => significant(d, 3)},
        y: {label: "share of each kind", tickFormat: d => `${+(d * 100).toFixed(1)}%`, ticks: 4, grid: true}, marks: [...marks, Plot.ruleY([0])]});
      const box = make("div");
      box.append(legend([...filled.map(([n]) => [...SERIES[n], false]), ...outlined.map(([n]) => [...OUTLINES[n], true])]), plot);
      if (job.isDetector) marker(job, plot, width);
      return box;
    },
    roc: (job, width) => curve(job, width, job.payload.curves.roc, "false-alarm rate →", "↑ recall", "alarms", "recall", [[0, 0], [1, 1]]),
    pr(job, width) {
      const {pr, prevalence} = job.payload.curves;
      return curve(job, width, pr, "recall →", "↑ precision", "recall", "precision", [[0, prevalence], [1, prevalence]]);
    },
    history(job, width) {
      const {history} = job.payload, rows = [];
      for (const [column, name] of [["train_loss", "train"], ["validation_loss", "validation"]])
        (history[column] || []).forEach((loss, i) => rows.push({name, loss, epoch: history.epoch ? history.epoch[i] : i + 1}));
      const usable = rows.filter(row => row.loss !== null), losses = usable.map(row => row.loss);
      const wide = losses.length && Math.min(...losses) > 0 && Math.max(...losses) / Math.min(...losses) > 8;
      const colours = {train: "var(--muted)", validation: "var(--accent)"}, names = [...new Set(usable.map(row => row.name))];
      const plot = Plot.plot({width, height: 240, marginLeft: 58, marginRight: 16, marginBottom: 38, marginTop: 20,
        x: {label: "epoch →", ticks: width < 500 ? 4 : 8, tickFormat: d => Number.isInteger(d) ? String(d) : ""}, y: {label: `↑ loss${wide ? ", logarithmic" : ""}`, type: wide ? "log" : "linear", grid: true, ticks: 5, tickFormat: d => significant(d, 3), zero: !wide && losses.length && Math.min(...losses) >= 0},
        marks: names.flatMap(name => { const own = usable.filter(row => row.name === name);
          return [Plot.lineY(own, {x: "epoch", y: "loss", stroke: colours[name], strokeWidth: 1.8}),
            Plot.dot(own, {x: "epoch", y: "loss", fill: colours[name], r: own.length > 40 ? 0 : 2.5, title: d => `epoch ${d.epoch}, ${d.name}: ${significant(d.loss)}`})]; })});
      const box = make("div");
      box.append(legend(names.map(name => [colours[name], name, false])), plot);
      return box;
    },
  };

  function legend(entries) {
    const box = make("div", null, {class: "legend"});
    for (const [colour, name, line] of entries) {
      const entry = make("span"), key = make("i", null, line ? {class: "line"} : {});
      key.style.background = colour;
      key.style.borderColor = colour;
      entry.append(key, name);
      box.append(entry);
    }
    return box;
  }

  function curve(job, width, points, xLabel, yLabel, xRate, yRate, chance) {
    const side = Math.min(width, 440);
    const step = xRate === "alarms" ? "linear" : "step-before";
    const plot = Plot.plot({width: side, height: Math.round(side * .86), marginLeft: 44, marginBottom: 40, marginTop: 22, marginRight: 14,
      x: {domain: [0, 1], label: xLabel, ticks: 5}, y: {domain: [0, 1], label: yLabel, ticks: 5, grid: true},
      marks: [Plot.line(chance, {stroke: "currentColor", strokeDasharray: "3,4", strokeOpacity: .6}),
        Plot.line(points, {stroke: "var(--accent)", strokeWidth: 2, curve: step})]});
    const dot = d3.select(plot).append("circle").attr("class", "operating-dot").attr("r", 6).attr("fill", "var(--abnormal)").attr("stroke", "var(--surface)").attr("stroke-width", 2);
    const x = plot.scale("x"), y = plot.scale("y");
    live(job, plot, () => {
      const rates = job.rates(), there = rates[xRate] !== null && rates[yRate] !== null;
      dot.attr("display", there ? null : "none").attr("cx", x.apply(rates[xRate] ?? 0)).attr("cy", y.apply(rates[yRate] ?? 0));
    });
    return plot;
  }

  // The threshold line in the histogram; it can be dragged.
  function marker(job, plot, width) {
    const x = plot.scale("x"), [left, right] = [46, width - 12], svg = d3.select(plot);
    const group = svg.append("g").attr("class", "threshold-line");
    group.append("line").attr("y1", 20).attr("y2", 210).attr("stroke", "var(--text)").attr("stroke-width", 1.5);
    const policies = [...job.root.querySelectorAll(".policies [data-threshold]")].map(button => +button.dataset.threshold);
    svg.insert("g", ".threshold-line").selectAll("line").data(policies.filter(t => x.apply(t) >= left && x.apply(t) <= right)).join("line")
      .attr("class", "policy-line").attr("x1", t => x.apply(t)).attr("x2", t => x.apply(t)).attr("y1", 203).attr("y2", 210).attr("stroke", "var(--text)").attr("stroke-width", 1.5);
    const label = group.append("text").attr("y", 12).attr("fill", "var(--text)").attr("font-size", 11.5).attr("font-weight", 600);
    const grip = svg.append("rect").attr("class", "grip").attr("x", left).attr("y", 0).attr("width", Math.max(0, right - left)).attr("height", 212).attr("fill", "transparent");
    const lowest = job.candidates[0], highest = job.everything[job.everything.length - 1];
    plot.style.touchAction = "pan-y";  // on the grip alone it has no effect, and the browser takes the drag for a scroll
    const drag = event => {
      const at = x.invert(Math.min(Math.max(d3.pointer(event, plot)[0], left), right));
      job.move(Math.min(Math.max(at, lowest), highest));
    };
    grip.on("pointerdown", event => { grip.node().setPointerCapture(event.pointerId); drag(event); });
    grip.on("pointermove", event => { if (event.buttons) drag(event); });
    live(job, plot, () => {
      const at = Math.min(Math.max(x.apply(job.threshold), left), right);
      const place = Number.isFinite(at) ? at : left;
      group.attr("transform", `translate(${place},0)`);
      label.text(`threshold ${significant(job.threshold)}`).attr("text-anchor", place > width - 130 ? "end" : place < 120 ? "start" : "middle");
    });
  }

  // Follow the threshold for as long as `node` is on the page (a redraw at another width replaces it).
  function live(job, node, update) {
    update();
    update.node = node;
    job.listeners.push(update);
  }

  function draw(job, holder) {
    const width = Math.floor(holder.clientWidth);
    if (!width || holder.dataset.width === String(width)) return;
    holder.dataset.width = String(width);
    const chart = charts[holder.dataset.chart](job, Math.min(width, 1000));
    holder.replaceChildren(...(chart ? [chart] : []));
    job.listeners = job.listeners.filter(listen => !listen.node || listen.node.isConnected);
  }

  function bringCharts(job) {
    const holders = [...job.root.querySelectorAll("[data-chart]")];
    const watch = new ResizeObserver(entries => { for (const entry of entries) draw(job, entry.target); });
    for (const holder of holders) { draw(job, holder); watch.observe(holder); }
    window.addEventListener("beforeprint", () => holders.forEach(holder => draw(job, holder)));  // those in a hidden tab
  }

  /* The threshold's slider, exact field, buttons, counts and rates. */
  function bringThreshold(job) {
    const control = job.root.querySelector(".control");
    if (!control || !job.isDetector || !job.candidates.length) return;
    const slider = control.querySelector(".slider"), exact = control.querySelector(".exact"), words = control.querySelector(".outcome-words");
    const outcome = job.root.querySelector(".outcome-box");
    control.hidden = false;
    if (outcome) outcome.hidden = false;
    slider.max = job.candidates.length - 1;
    slider.addEventListener("input", () => job.move(job.candidates[+slider.value]));
    exact.addEventListener("change", () => { if (exact.value !== "" && Number.isFinite(+exact.value)) job.move(+exact.value); });
    const go = {all: () => lowestCatchingAll(job), none: () => job.normal[job.normal.length - 1], f1: () => bestF1(job)};
    for (const button of control.querySelectorAll("[data-go]")) button.addEventListener("click", () => {
      const t = go[button.dataset.go]();
      if (t !== undefined && t !== null) job.move(t);
    });
    const policies = [...control.querySelectorAll("[data-threshold]")], reset = control.querySelector(".reset");
    const ticks = control.querySelector(".ticks"), last = Math.max(1, job.candidates.length - 1);
    for (const button of policies) {
      const t = +button.dataset.threshold, place = Math.min(d3.bisectLeft(job.candidates, t), last) / last;
      button.addEventListener("click", () => job.move(t));
      const tick = make("i", null, {title: button.firstChild.textContent, class: "chosen" in button.dataset ? "chosen" : ""});
      tick.style.left = `calc(10px + (100% - 20px) * ${place})`;  // the middle of the slider's thumb
      ticks.append(tick);
    }
    if (reset) reset.addEventListener("click", () => job.move(job.payload.threshold));
    job.onMove(() => {
      const place = d3.bisectLeft(job.candidates, job.threshold);
      slider.value = Math.min(Math.max(place, 0), job.candidates.length - 1);
      slider.setAttribute("aria-valuetext", significant(job.threshold));
      if (document.activeElement !== exact) exact.value = Number(job.threshold.toPrecision(6));
      words.textContent = sentence(job);
      for (const button of policies) button.setAttribute("aria-pressed", String(+button.dataset.threshold === job.threshold));
      if (reset) reset.hidden = job.threshold === job.payload.threshold;
      if (!outcome) return;
      const rates = job.rates();
      for (const cell of outcome.querySelectorAll("[data-count]")) cell.querySelector("b").textContent = count(rates[cell.dataset.count]);
      for (const cell of outcome.querySelectorAll("[data-rate]")) cell.textContent = share(rates[cell.dataset.rate]);
    });
  }
  function sentence(job) {
    const n = job.abnormal.length, m = job.normal.length;
    if (!n && !m) return `${count(above(job.everything, job.limit()))} of ${count(job.everything.length)} images are flagged.`;
    const {tp, fp, fn} = job.rates();
    const one = n ? `Of ${count(n)} anomalous images, ${count(tp)} are caught and ${count(fn)} missed. ` : "";
    return one + (m ? `Of ${count(m)} normal images, ${count(fp)} ${fp === 1 ? "is a false alarm" : "are false alarms"}.` : "");
  }
  function lowestCatchingAll(job) {
    const first = job.abnormal[0], place = d3.bisectLeft(job.candidates, first);
    return job.candidates[Math.max(0, place - 1)];
  }
  function bestF1(job) {
    let best = job.candidates[0], value = -1;
    for (const t of job.candidates) { const {f1} = job.rates(t); if (f1 !== null && f1 > value) { value = f1; best = t; } }
    return best;
  }

  /* The gallery: each picture says what the threshold makes of it. */
  function bringGallery(job) {
    for (const image of job.root.querySelectorAll(".picture img")) {
      const soften = () => image.parentElement.classList.toggle("smooth", image.naturalWidth > 96);
      if (image.complete) soften(); else image.addEventListener("load", soften);
    }
    const chips = job.root.querySelector(".chips");
    if (!chips || !job.isDetector) return;
    chips.hidden = false;
    const figures = [...job.root.querySelectorAll("figure[data-index]")], buttons = [...chips.querySelectorAll("button")];
    const none = make("p", "None among the pictures shown here.", {class: "none-here", hidden: ""});
    chips.after(none);
    const more = make("button", "", {type: "button", class: "more"});
    figures[figures.length - 1].parentElement.after(more);
    more.addEventListener("click", () => { unfolded = true; show(); });
    // What is worth a second look, of all images: `serve --review` and `learn` read it.
    const worth = {all: ["missed", "alarm", "caught", "flagged"]}, LABELS = ["good", "defect", ""];
    const listed = () => Array.from(job.scores, (_, i) => i).filter(i => (worth[chosen] || [chosen]).includes(job.verdict(i))).sort((a, b) => job.scores[b] - job.scores[a]);
    const list = make("button", "", {type: "button", class: "save-list"});
    const columns = [
      {title: "path", value: i => job.pathOf(i).replace(/^[=+\-@\t\r]/, "./$&")},
      {title: "label", value: i => LABELS[job.truth[i]]},
      {title: "note", value: i => `${VERDICT_WORDS[job.verdict(i)]} at ${significant(job.threshold)}, score ${significant(job.scores[i])}`}];
    list.addEventListener("click", () => save("review", columns, listed()));
    more.after(list);
    let chosen = "all", unfolded = false;
    const show = () => {
      const counts = {all: figures.length};
      for (const figure of figures) {
        const verdict = job.verdict(+figure.dataset.index), label = figure.querySelector(".verdict");
        counts[verdict] = (counts[verdict] || 0) + 1;
        label.textContent = VERDICT_WORDS[verdict];
        label.className = `verdict ${IS_BAD[verdict] ? "bad" : "good"}`;
        figure.hidden = chosen !== "all" && verdict !== chosen;
      }
      // Of many only the ends: the highest scores and the lowest.
      const wanted = figures.filter(figure => !figure.hidden), folded = unfolded ? [] : wanted.slice(9, -9);
      for (const figure of folded) figure.hidden = true;
      more.hidden = !folded.length;
      more.textContent = `Show the ${count(folded.length)} in between`;
      for (const button of buttons) {
        button.setAttribute("aria-pressed", String(button.dataset.verdict === chosen));
        button.querySelector(".count").textContent = count(counts[button.dataset.verdict] || 0);
      }
      none.hidden = Boolean(counts[chosen]);
      const n = listed().length;
      list.hidden = !n;
      list.textContent = `Save ${chosen === "all" ? "what is flagged or missed" : VERDICT_WORDS[chosen]} as CSV (${count(n)})`;
      list.title = "Of all images, with what their labels say: for residua serve RUN --review and residua learn RUN, with --root";
    };
    for (const button of buttons) button.addEventListener("click", () => { chosen = button.dataset.verdict; unfolded = false; show(); });
    job.onMove(show);
  }

  /* The per-image table: sorted and filtered as arrays of indices, shown a page at a time. */
  function bringTable(job) {
    const panel = job.root.querySelector(".images-panel"), source = job.payload.table, size = 25;
    const [head, body] = [panel.querySelector("thead"), panel.querySelector("tbody")];
    const [search, choice] = [panel.querySelector("input[type=search]"), panel.querySelector("select")];
    const columns = tableColumns(job, source);
    const lowered = source.paths.map((path, i) => `${path}\n${labelOf(source, i) ?? ""}`.toLowerCase());
    let order = {column: columns.find(column => column.sorted) || columns[0], descending: true}, page = 0, rows = [], verdicts = "";
    if (!order.column.numeric) order.descending = false;
    choice.hidden = !(job.isDetector && job.truth);

    const arrange = () => {
      const wanted = search.value.trim().toLowerCase();
      rows = [];
      for (let i = 0; i < lowered.length; i++)
        if ((!wanted || lowered[i].includes(wanted)) && (choice.value === "all" || choice.hidden || job.verdict(i) === choice.value)) rows.push(i);
      const sign = order.descending ? -1 : 1, {value} = order.column;
      rows.sort((a, b) => compare(value(a), value(b), sign) || a - b);
    };
    const show = () => {
      const last = Math.max(0, Math.ceil(rows.length / size) - 1);
      page = Math.min(Math.max(page, 0), last);
      body.replaceChildren(...rows.slice(page * size, (page + 1) * size).map(i => {
        const row = make("tr");
        for (const column of columns) row.append(column.cell(i));
        return row;
      }));
      const from = rows.length ? page * size + 1 : 0;
      panel.querySelector(".where").textContent = `${count(from)} to ${count(Math.min((page + 1) * size, rows.length))} of ${count(rows.length)}`;
      panel.querySelector("[data-page='-1']").disabled = page === 0;
      panel.querySelector("[data-page='1']").disabled = page === last;
      for (const cell of head.querySelectorAll("th")) {
        const active = columns[cell.cellIndex] === order.column;
        if (active) cell.setAttribute("aria-sort", order.descending ? "descending" : "ascending"); else cell.removeAttribute("aria-sort");
        cell.querySelector("button").textContent = columns[cell.cellIndex].title + (active ? (order.descending ? " ↓" : " ↑") : "");
      }
    };
    const again = () => { page = 0; arrange(); show(); };
    const titles = make("tr");
    for (const column of columns) {
      const cell = make("th", null, {scope: "col"}), button = make("button", column.title, {type: "button"});
      button.addEventListener("click", () => {
        order = {column, descending: order.column === column ? !order.descending : column.numeric};
        again();
      });
      cell.append(button);
      titles.append(cell);
    }
    head.replaceChildren(titles);
    search.addEventListener("input", again);
    choice.addEventListener("change", again);
    for (const button of panel.querySelectorAll("[data-page]")) button.addEventListener("click", () => { page += +button.dataset.page; show(); });
    panel.querySelector("[data-save]").addEventListener("click", () => save(job.payload.job, columns, rows));
    again();
    job.listeners.push(() => {
      if (choice.value !== "all" || order.column.live) arrange();
      const text = String(job.threshold);
      if (text !== verdicts) { verdicts = text; show(); }
    });
  }
  const named = (source, codes, i) => codes ? source.label_names[codes[i]] || null : null;
  const labelOf = (source, i) => named(source, source.labels, i);
  function compare(a, b, sign) {
    const noA = a === null || Number.isNaN(a), noB = b === null || Number.isNaN(b);
    if (noA || noB) return noA - noB;  // what has no value comes last either way
    return a < b ? -sign : a > b ? sign : 0;
  }
  // How often a normal calibration image scores at least as high, by the scores that this page carries; each group
  // counts once where the promise is for new groups. Null where no such scores are known.
  function pValues(job) {
    const sources = job.payload.sources, known = unpack(sources.calibration_scores), groups = unpack(sources.calibration_groups);
    if (!job.isDetector || !known || sources.threshold_from !== "calibration") return null;
    const flags = unpack(sources.calibration_is_anomalous), asInfinite = value => Number.isNaN(value) ? Infinity : value;
    const normal = Array.from(known, (_, i) => i).filter(i => !flags || !flags[i]).sort((a, b) => asInfinite(known[a]) - asInfinite(known[b]) || 0);
    if (!normal.length) return null;
    const promise = job.payload.record.operating_point?.promise, sizes = new Map();
    const isGrouped = groups && promise !== "known groups";
    if (isGrouped) for (const i of normal) sizes.set(groups[i], (sizes.get(groups[i]) || 0) + 1);
    const nUnits = isGrouped ? sizes.size : normal.length, scores = normal.map(i => asInfinite(known[i])), tails = new Float64Array(normal.length + 1);
    for (let place = normal.length - 1; place >= 0; place--) tails[place] = tails[place + 1] + (isGrouped ? 1 / sizes.get(groups[normal[place]]) : 1);
    return Float64Array.from(job.scores, score => Number.isNaN(score) ? NaN : (1 + Math.round(tails[d3.bisectLeft(scores, score)] * 1e9) / 1e9) / (nUnits + 1));
  }
  function tableColumns(job, source) {
    const plain = (value, className = "") => { const cell = make("td", value); if (className) cell.className = className; return cell; };
    const columns = [{title: "image", value: i => source.paths[i], cell: i => plain(source.paths[i], "path")}];
    if (job.scores) columns.push({title: "score", numeric: true, sorted: true, value: i => job.scores[i], cell: i => plain(significant(job.scores[i]))});
    const p = pValues(job);
    if (p) columns.push({title: "p-value", numeric: true, value: i => p[i], cell: i => plain(significant(p[i]))});
    for (const [title, codes] of [["label", source.labels], ["predicted", source.predicted]])
      if (codes) columns.push({title, value: i => named(source, codes, i), cell: i => plain(named(source, codes, i) || "–")});
    if (job.isDetector) columns.push({title: job.truth ? "verdict" : "flagged", live: true, value: i => job.verdict(i), cell(i) {
      const verdict = job.verdict(i), cell = make("td");
      cell.append(make("span", VERDICT_WORDS[verdict], {class: `verdict ${IS_BAD[verdict] ? "bad" : ""}`}));
      return cell;
    }});
    for (const [name, packed] of Object.entries(source.columns)) {
      const values = unpack(packed);
      columns.push({title: name, numeric: true, sorted: !job.scores && name === "mse", value: i => values[i], cell: i => plain(significant(values[i]))});
    }
    return columns;
  }
  function save(name, columns, rows) {
    // A leading =, +, -, @ in text would be run as a formula by a spreadsheet.
    const quote = value => typeof value === "number" ? String(value) : `"${String(value ?? "").replace(/^[=+\-@\t\r]/, "'$&").replaceAll('"', '""')}"`;
    const lines = [columns.map(column => quote(column.title)), ...rows.map(i => columns.map(column => quote(column.value(i))))];
    const link = make("a", null, {download: `${name}.csv`, href: URL.createObjectURL(new Blob([lines.map(line => line.join(",")).join("\r\n")], {type: "text/csv"}))});
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }

  /* What is printed stands at the stored threshold, wherever the slider was. */
  function bringPrint(jobs) {
    const moved = new Map();
    window.addEventListener("beforeprint", () => {
      for (const job of jobs) if (job.isDetector && job.payload.threshold !== null) { moved.set(job, job.threshold); job.move(job.payload.threshold); }
    });
    window.addEventListener("afterprint", () => { for (const [job, t] of moved) job.move(t); moved.clear(); });
  }

  /* Several jobs are tabs; without a script, and in print, they simply follow one another. */
  function bringTabs(jobs) {
    const tabs = [...document.querySelectorAll("[role=tab]")];
    if (!tabs.length) return;
    const choose = (index, focus) => {
      tabs.forEach((tab, i) => {
        tab.setAttribute("aria-selected", String(i === index));
        tab.tabIndex = i === index ? 0 : -1;
        jobs[i].root.hidden = i !== index;
      });
      if (focus) tabs[index].focus();
    };
    tabs.forEach((tab, i) => {
      tab.addEventListener("click", () => choose(i));
      tab.addEventListener("keydown", event => {
        const to = {ArrowRight: i + 1, ArrowLeft: i - 1, Home: 0, End: tabs.length - 1}[event.key];
        if (to !== undefined) { event.preventDefault(); choose((to + tabs.length) % tabs.length, true); }
      });
    });
    for (const link of document.querySelectorAll("[data-job-link]")) link.addEventListener("click", () => choose(jobs.findIndex(job => job.key === link.dataset.jobLink)));
    choose(0);
  }

  const jobs = Object.entries(data.jobs).map(([key, payload]) => new Job(key, payload));
  window.residua = {jobs};
  bringPrint(jobs);
  for (const job of jobs) {
    bringThreshold(job);
    window.residuaStrips.bring(job, {words: VERDICT_WORDS, count, significant});
    bringGallery(job);
    bringTable(job);
    bringCharts(job);
  }
  bringTabs(jobs);
})();
