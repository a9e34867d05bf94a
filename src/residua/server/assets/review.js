
// Shows what is to be reviewed and sends what the reviewer says. An answer counts once the server has it on its disk.
(() => {
  const percent = share => `${Math.round(100 * share)}%`;
  let reviewer = null, state = null, shown = null, isBusy = false, seen = [];
  const images = new Map();  // what was asked for, by id

  const GONE = "All earlier answers are kept. Give this one again when it runs.";
  const told = async (path, options = {}) => (await ask(path, options, GONE)).json();
  const send = (path, body) => told(path, {method: "POST", headers: {"content-type": "application/json"}, body: JSON.stringify(body)});
  const view = () => byId("view").value;
  // Views whose images stay in them when they are answered are walked through.
  const isWalked = () => view() === "mine" || view() === "disagree";

  // One thing at a time: a key that is pressed twice must not answer an image that nobody has seen.
  async function exclusively(work) {
    if (isBusy || !reviewer) return;
    isBusy = true;
    try {
      await work();
    } catch (error) {
      say(error.message, true);
    } finally {
      isBusy = false;
    }
  }

  async function load(after = null) {
    const asked = new URLSearchParams({reviewer, view: view(), ...(after ? {after} : {})});
    await take(await told(`v1/review?${asked}`));
  }

  async function take(next) {
    state = next;
    showState();
    const id = state.back ?? state.images[0];
    for (const ahead of state.images) bring(ahead);
    await show(id);
  }

  function bring(id) {
    if (!images.has(id)) {
      if (images.size > 12) images.delete(images.keys().next().value);
      const asked = told(`v1/review/images/${id}?${new URLSearchParams({reviewer})}`);
      asked.catch(() => images.delete(id));
      images.set(id, asked);
    }
    return images.get(id);
  }

  async function show(id, isBack = false) {
    byId("card").hidden = !id;
    byId("empty").hidden = Boolean(id);
    if (!id) {
      shown = null;
      byId("empty-words").textContent = emptyWords();
      return;
    }
    let image;
    try {
      image = await bring(id);
    } catch (error) {  // it can be skipped all the same
      image = {id, path: "", why: "", flagged: false, part: null, said: [], scored: null};
      say(error.message, true);
    }
    if (shown && shown.id !== id && !isBack) seen.push(shown.id);
    shown = image;
    const scored = image.scored, pictures = scored && scored.pictures;
    byId("badge").className = `badge ${image.flagged ? "anomalous" : "normal"}`;
    byId("badge").textContent = image.flagged ? "Flagged" : "Not flagged";
    byId("words").textContent = scored ? `Score ${significant(scored.score)}, threshold ${significant(scored.threshold)}` + (image.why === "flagged" ? "" : `, ${image.why}`) : "";
    byId("path").textContent = image.path + (image.part ? ` (${image.part} image of the run)` : "") + (scored?.product ? `, product ${scored.product}` : "");
    for (const [place, source] of [["image", pictures?.image], ["under", pictures?.image], ["map", pictures?.map]]) {
      if (source) byId(place).src = source; else byId(place).removeAttribute("src");
      byId(place).classList.toggle("pixelated", Boolean(scored) && Math.max(scored.image.width, scored.image.height) <= 128);
    }
    byId("scale").hidden = !pictures;
    if (pictures) byId("brightest").textContent = scaleOf(pictures);
    const mine = image.said.find(one => one.reviewer === reviewer);
    byId("note").value = mine?.note ?? "";
    byId("kind").value = "";
    byId("said").replaceChildren(...image.said.map(one => make("li", `${one.reviewer}: ${one.answer === "skip" ? "cannot say" : one.answer}${one.kind ? `, ${one.kind}` : ""}${one.note ? `. ${one.note}` : ""}`)));
    for (const button of document.querySelectorAll("[data-answer]")) button.setAttribute("aria-pressed", String(mine?.answer === button.dataset.answer));
    showKinds(mine?.kind);
    for (const stage of document.querySelectorAll(".stage")) stage.classList.remove("large");
    document.body.dataset.shown = id;
  }

  function emptyWords() {
    if (view() === "open") return "Every image that is asked about has an answer.";
    if (view() === "second") return "There is no image that only others have answered.";
    if (view() === "disagree") return seen.length ? "That was the last one." : "Nobody disagrees.";
    return seen.length ? "That was the last one." : "You have answered nothing yet.";
  }

  function showState() {
    const {views} = state;
    byId("about").textContent = `${state.source}: ${count(state.n_images, "image")}, ${number(state.n_flagged)} flagged` + (state.n_undecided ? `, ${number(state.n_undecided)} more not judged: there is no threshold for their product` : "");
    const options = [["open", "to do"], ["second", "second opinion"], ["disagree", "disagreements"], ["mine", "my answers"]];
    for (const [name, words] of options) byId("view").querySelector(`[value=${name}]`).textContent = `${words} (${number(views[name])})`;
    byId("progress").max = state.n_asked;
    byId("progress").value = state.n_answered;
    const left = state.n_flagged_open ? `${number(state.n_flagged_open)} flagged left` : "all flagged ones answered";
    byId("progress-words").textContent = `${number(state.n_answered)} of ${number(state.n_asked)} answered, ${left}`;
    byId("rates").replaceChildren(...state.rates.map(rateBar));
    byId("rates-words").textContent = state.random_share
      ? `Counted from the ${percent(state.random_share)} of images that are drawn at random, so that it holds for all images here; 95% intervals. Other answers do not count: those images were picked.`
      : "No image is drawn at random, so no rate can be told. Start the server with --random-share 0.2.";
    if (state.n_trained) byId("rates-words").append(` The model was trained on ${number(state.n_trained)} of these images, so it is right more often here than on new ones.`);
    const names = Object.entries(state.reviewers).map(([name, n]) => `${name} ${number(n)}`);
    byId("reviewers").textContent = (names.length ? `Answered: ${names.join(", ")}.` : "Nobody has answered yet.") + (views.disagree ? ` Reviewers disagree on ${count(views.disagree, "image")}. What one calls good and another a defect teaches nothing until somebody changes an answer.` : "");
    byId("table").textContent = `${state.folder}/corrections.csv`;
    byId("advice").textContent = state.advice;
    byId("command").textContent = state.command ?? "";
    byId("command").hidden = !state.command;
  }

  function rateBar(rate) {
    const box = make("div", undefined, {class: "rate"}), track = make("div", undefined, {class: "track", "aria-hidden": "true"});
    box.append(make("div", rate.words, {class: "small"}), track);
    if (rate.share.low !== null) {
      const range = make("div", undefined, {class: "range"});
      range.style.left = `${100 * rate.share.low}%`;
      range.style.width = `${100 * (rate.share.high - rate.share.low)}%`;
      track.append(range);
    }
    if (rate.share.value !== null) {
      const point = make("div", undefined, {class: "point"});
      point.style.left = `${100 * rate.share.value}%`;
      track.append(point);
    }
    return box;
  }

  function showKinds(mine) {
    byId("kinds").replaceChildren(...state.kinds.map((kind, place) => {
      const button = make("button", `${kind} `, {type: "button", "aria-pressed": String(kind === mine)});
      if (place < 9) button.append(make("kbd", String(place + 1)));
      button.addEventListener("click", () => answer("defect", kind));
      return button;
    }));
  }

  const answer = (said, kind = null) => exclusively(async () => {
    if (!shown) return;
    const body = {reviewer, image: shown.id, answer: said, kind: kind || null, note: byId("note").value.trim() || null, view: view()};
    const next = await send("v1/review/answers", {...body, ...(isWalked() ? {after: shown.id} : {})});
    images.delete(shown.id);  // what others said may be seen now
    say("");
    document.activeElement?.blur();
    await take(next);
  });

  const undo = () => exclusively(async () => {
    const next = await send("v1/review/undo", {reviewer, view: view()});
    say(next.back ? "" : "There is no answer of yours to undo.");
    if (next.back) images.delete(next.back);
    await take(next);
  });

  const back = () => exclusively(async () => {
    if (seen.length) await show(seen.pop(), true);
  });
  const onward = () => exclusively(() => shown ? load(shown.id) : undefined);

  async function save() {
    const blob = await (await ask("v1/review/corrections.csv")).blob();
    const link = make("a", undefined, {download: "corrections.csv", href: URL.createObjectURL(blob)});
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }

  const enlarge = stage => {
    const isLarge = stage.classList.toggle("large");
    for (const other of document.querySelectorAll(".stage")) if (other !== stage || !isLarge) other.classList.remove("large");
  };
  const KEYS = {
    g: () => answer("good"), d: () => answer("defect"), s: () => answer("skip"), u: undo, ArrowLeft: back, ArrowRight: onward,
    k: () => byId("kind").focus(), n: () => byId("note").focus(), m: () => byId("card").classList.toggle("alone"),
    Escape: () => { for (const stage of document.querySelectorAll(".stage")) stage.classList.remove("large"); },
  };
  addEventListener("keydown", event => {
    if (!reviewer || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    const field = event.target.closest?.("input, select");
    if (field) {
      if (event.key === "Escape") field.blur();
      if (event.key !== "Enter" || field.closest("form") || field.id === "view") return;
      event.preventDefault();
      if (field.id === "kind" && field.value.trim()) answer("defect", field.value.trim()); else field.blur();
      return;
    }
    const kind = /^[1-9]$/.test(event.key) ? state.kinds[event.key - 1] : null;
    const act = kind ? () => answer("defect", kind) : KEYS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });
  for (const button of document.querySelectorAll("[data-answer]"))
    button.addEventListener("click", () => answer(button.dataset.answer, button.dataset.answer === "defect" ? byId("kind").value.trim() : null));
  for (const stage of document.querySelectorAll(".stage")) stage.addEventListener("click", () => enlarge(stage));
  byId("undo").addEventListener("click", undo);
  byId("save").addEventListener("click", () => save().catch(error => say(error.message, true)));
  byId("view").addEventListener("change", () => { seen = []; shown = null; byId("view").blur(); exclusively(() => load()); });

  async function begin() {
    const name = byId("reviewer").value.trim().replace(/\s+/g, " ");
    say("");
    try {
      reviewer = name;
      await load();
      byId("start").hidden = true;
      byId("work").hidden = false;
      byId("name").textContent = `Review by ${name}`;
      try { localStorage.setItem("residua-reviewer", name); } catch { /* a private window keeps nothing */ }
      byId("card").focus({preventScroll: true});
    } catch (error) {
      reviewer = null;
      say(error.message, true);
    }
  }
  byId("start").addEventListener("submit", event => { event.preventDefault(); begin(); });
  onToken(() => {
    images.clear();
    if (reviewer) exclusively(() => load()); else if (byId("reviewer").value.trim()) begin(); else byId("reviewer").focus();
  });
  try { byId("reviewer").value = localStorage.getItem("residua-reviewer") ?? ""; } catch { /* as above */ }
  byId("reviewer").focus();
})();
