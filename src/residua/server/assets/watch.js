// Shows a watched line and asks again every few seconds. It changes nothing.
(() => {
  const EVERY = 5000, MOST_KEPT = 80;
  const percent = share => `${(100 * share).toFixed(share > 0 && share < 0.1 ? 1 : 0)}%`;
  const range = share => share.value === null ? "none" : `${percent(share.value)} [${percent(share.low)}, ${percent(share.high)}]`;
  const isToday = time => new Date(time).toDateString() === new Date().toDateString();
  const when = time => time ? new Date(time).toLocaleString(undefined, {...(isToday(time) ? {} : {dateStyle: "short"}), timeStyle: "medium"}) : "never";
  const span = s => s === null ? "none" : s < 10 ? `${s.toFixed(1)} s` : s < 120 ? `${Math.round(s)} s` : s < 7200 ? `${Math.round(s / 60)} min` : `${Math.round(s / 3600)} h`;
  const STATES = {"running": ["runs", "normal"], "no-images": ["no images", "warning"], "stuck": ["stuck", "error"], "stopped": ["stopped", "error"], "no-table": ["no watch", "open"]};
  const pictures = new Map();  // what was asked for, by number: one that has gone is not asked for again
  let timer = null, shown = "";

  async function load() {
    clearTimeout(timer);
    try {
      const state = await (await ask("v1/watch")).json();
      show(state);
      say("");
    } catch (error) {
      say(error.message, true);
    }
    timer = setTimeout(() => document.hidden ? null : load(), EVERY);
  }

  function show(state) {
    const [word, kind] = STATES[state.state];
    byId("line").hidden = false;
    byId("about").textContent = [state.folder, state.policy].filter(Boolean).join(": ");
    byId("badge").className = `badge ${kind}`;
    byId("badge").textContent = word;
    if (byId("state-words").textContent !== state.words) byId("state-words").textContent = state.words;
    const alarms = state.alarms.filter(one => one.kind === "drift").length;
    document.title = `${alarms ? "drift" : word}: residua watch`;
    showFigures(state);
    showRates(state);
    showTable(state);
    // Pictures are drawn anew only where they are others: whoever looks at one keeps it.
    const key = JSON.stringify([state.alarms, state.images]);
    if (key !== shown && !document.querySelector(".stage.large")) {
      shown = key;
      showDrift(state);
      byId("images").replaceChildren(...state.images.map(shot));
      if (!state.images.length) byId("images").append(make("p", "No image yet.", {class: "muted"}));
    }
  }

  function showFigures(state) {
    const told = [
      [number(state.n_images), "images"],
      [state.n_flagged === null ? "unknown" : number(state.n_flagged), "flagged"],
      [state.lately ? range(state.lately) : "none", state.lately ? `flagged of the last ${number(state.lately.n)}` : "flagged lately"],
      [span(state.seconds_since), "since the last image"],
      [number(state.n_waiting), `${state.n_waiting === 1 ? "waits" : "wait"} to be scored`],
      [span(state.latency_median), `from file to row (95% within ${span(state.latency_p95)})`],
      ...(state.n_unreadable ? [[number(state.n_unreadable), "unreadable"]] : []),
      ...(state.n_undecided ? [[number(state.n_undecided), "not decided: their product has no threshold"]] : []),
      ...(state.n_changed ? [[number(state.n_changed), "files changed after they were scored; not scored again"]] : []),
    ];
    byId("figures").replaceChildren(...told.map(([value, words]) => {
      const box = make("div");
      box.append(make("b", value), make("span", words));
      return box;
    }));
  }

  function showDrift(state) {
    const drifts = state.alarms.filter(one => one.kind === "drift");
    byId("drift-words").textContent = !state.promise ? "Nothing is known of it yet." : drifts.length ? `Yes, since about image ${number(Math.min(...drifts.map(one => one.since_image)))}. What was found stays here until another table is begun.` : state.alarms.length ? "No drift was found, but more images score high." : "No change was found.";
    byId("alarms").replaceChildren(...state.alarms.map((alarm, place) => {
      const box = make("div", undefined, {class: `alarm ${alarm.kind}`}), beside = make("details");
      box.append(make("p", `${alarm.kind === "drift" ? "Drift" : "More anomalies"}: ${alarm.words}`), make("p", when(alarm.found_at), {class: "muted small"}), beside);
      beside.append(make("summary", "Images before and since"));
      beside.addEventListener("toggle", () => {  // each picture costs the server a scoring
        if (!beside.open || beside.childElementCount > 1) return;
        for (const [title, images] of [["Before", alarm.before], ["Since", alarm.since]]) {
          const shots = make("div", undefined, {class: "shots"});
          shots.append(...images.map(shot));
          beside.append(make("h4", images.length ? title : `${title}: not in the table`), shots);
        }
      });
      beside.open = !place;
      return box;
    }));
    byId("promise").textContent = (state.promise ?? "") + (state.tested_every > 1 ? ` Calibration images come in groups: one image in ${state.tested_every} is tested.` : "");
    byId("tests").replaceChildren(...state.tests.flatMap(one => [make("dt", one.what), make("dd", `evidence ${significant(one.evidence)}; an alarm takes ${significant(one.needed)}`)]));
  }

  function showRates(state) {
    const isDay = state.period_seconds % 86400 === 0;
    byId("period-title").textContent = isDay ? "day (UTC)" : "from (UTC)";
    const most = Math.max(0.02, ...state.periods.map(one => one.share.high ?? 0));
    byId("rates").tBodies[0].replaceChildren(...state.periods.map(one => {
      const row = make("tr"), cell = make("td", undefined, {class: "bar"}), track = make("div", undefined, {class: "track", "aria-hidden": "true"});
      if (one.share.value !== null) {
        const bar = make("div", undefined, {class: "range"}), point = make("div", undefined, {class: "point"});
        bar.style.left = `${100 * one.share.low / most}%`;
        bar.style.width = `${100 * (one.share.high - one.share.low) / most}%`;
        point.style.left = `${100 * one.share.value / most}%`;
        track.append(bar, point);
      }
      cell.append(track);
      row.append(make("td", one.start.slice(0, isDay ? 10 : 16).replace("T", " ")), make("td", number(one.n_images)), make("td", number(one.n_flagged)), make("td", range(one.share)), cell);
      return row;
    }));
    byId("rates-words").textContent = state.periods.length ? `Of images that are judged; the last block may still flag some. The table is some seconds behind. Bars reach to ${percent(most)}.` : "No row is in the table yet.";
  }

  function showTable(state) {
    const kept = state.first_kept === null ? "none" : `from image ${number(state.first_kept)} on`;
    const rows = {
      "where": state.table, "rows": kept, "files": `${number(state.n_files)}, ${state.megabytes.toFixed(1)} MB`,
      "last row": when(state.last_row), "usual pause": state.usual_pause === null ? "none" : `up to ${span(state.usual_pause)}`,
      ...(state.damaged.length ? {"damaged, left out": state.damaged.join(", ")} : {}),
    };
    showNumbers(rows);
  }

  function shot(row) {
    const figureBox = make("figure", undefined, {class: `shot${row.anomalous ? " flagged" : ""}`, "data-n": row.n});
    const stage = make("button", undefined, {type: "button", class: "stage", "aria-label": `Enlarge image ${row.n}`});
    const caption = make("figcaption"), decided = row.unreadable ? "unreadable" : row.undecided ? "not decided" : row.anomalous === null ? "not decided yet" : row.anomalous ? "flagged" : "not flagged";
    const p = row.p_value === null ? "" : `, p ${significant(row.p_value)}`;
    caption.append(make("b", decided), make("br"), row.unreadable ?? `score ${significant(row.score)}${p}`, make("br"), `${number(row.n)}: ${row.path}`, make("br"), when(row.time));
    if (row.product) caption.append(make("br"), `product ${row.product}`);
    if (row.undecided) caption.append(make("br"), row.undecided);
    stage.addEventListener("click", () => stage.classList.toggle("large"));
    figureBox.append(stage, caption);
    if (row.unreadable) stage.append(make("span", "unreadable", {class: "none"}));
    else bring(row.n).then(told => draw(stage, caption, row, told.scored), error => stage.append(make("span", error.message, {class: "none"})));
    return figureBox;
  }

  function bring(n) {
    if (!pictures.has(n)) {
      if (pictures.size >= MOST_KEPT) pictures.delete(pictures.keys().next().value);
      pictures.set(n, ask(`v1/watch/images/${n}`).then(answer => answer.json()));
    }
    return pictures.get(n);
  }

  function draw(stage, caption, row, scored) {
    const isSmall = Math.max(scored.image.width, scored.image.height) <= 128 ? "pixelated" : "";
    stage.append(make("img", undefined, {src: scored.pictures.image, alt: row.path, class: isSmall}), make("img", undefined, {src: scored.pictures.map, alt: "error map", class: `over ${isSmall}`}));
    if (scored.score === null || row.score === null || Math.abs(scored.score - row.score) > 1e-4 * Math.abs(row.score)) caption.append(make("br"), `This server's model gives ${significant(scored.score)} for the file as it is now.`);
    byId("scale").hidden = false;
    byId("brightest").textContent = scored.pictures.one_scale_for_all ? scaleOf(scored.pictures) : "each image's own scale";
  }

  addEventListener("keydown", event => {
    if (event.key === "Escape") for (const stage of document.querySelectorAll(".stage")) stage.classList.remove("large");
  });
  document.addEventListener("visibilitychange", () => document.hidden || load());
  onToken(() => { pictures.clear(); shown = ""; load(); });
  load();
})();
