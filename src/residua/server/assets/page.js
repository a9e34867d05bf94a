
// Sends the image that was chosen to this server and shows its answer. Nothing is stored.
(() => {
  const SVG = "http://www.w3.org/2000/svg";
  let model = null, again = null, running = null;

  async function introduce() {
    model = await (await ask("v1/model")).json();
    document.title = `residua: ${model.name}`;
    byId("name").textContent = model.name;
    const normal = model.normal ? `, normal is ${model.normal.join(", ")}` : "";
    const channels = model.channels === 1 ? "grey" : "colour";
    byId("about").textContent = `${model.recipe}, seen at ${model.width}x${model.height} pixels, ${channels}${normal}`;
    byId("takes").textContent = `${model.formats.join(", ")}; up to ${model.limits.megabytes} MB and ${Math.floor(model.limits.pixels / 1e6)} megapixels`;
  }

  async function score(files) {
    const file = files[0];
    if (!file) return;
    again = () => score([file]);
    const more = files.length > 1 ? ` One image at a time: the first of ${files.length} was taken.` : "";
    if (model && file.size > model.limits.megabytes * 1e6) {
      byId("result").hidden = true;
      return say(`${file.name} holds ${(file.size / 1e6).toFixed(1)} MB, and at most ${model.limits.megabytes} are taken.`, true);
    }
    if (running) running.abort();
    const mine = running = new AbortController();
    byId("result").hidden = true;
    say(`Scoring ${file.name} ...`);
    try {
      const answer = await (await ask("v1/score?pictures=true", {method: "POST", body: file, signal: mine.signal, headers: {"content-type": "application/octet-stream"}})).json();
      say(more.trim());
      show(file.name, answer);
    } catch (error) {
      if (error.name === "AbortError") return;
      say(`${file.name}: ${error.message}${more}`, true);
    }
  }

  function show(name, answer) {
    const kind = answer.anomalous === null ? "open" : answer.anomalous ? "anomalous" : "normal";
    const [verdict, ...rest] = answer.decision.split(": ");
    byId("file-name").textContent = name;
    byId("badge").className = `badge ${kind}`;
    byId("badge").textContent = verdict;
    const words = rest.join(": ");
    byId("words").textContent = words.charAt(0).toUpperCase() + words.slice(1);
    byId("result").hidden = false;
    showFindings(answer.findings);
    showPictures(answer);
    showHistogram(answer, kind);
    showFacts(answer);
    byId("decision").focus({preventScroll: true});
    byId("result").scrollIntoView({block: "start", behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth"});
  }

  function showFindings(findings) {
    byId("findings").replaceChildren(...findings.map(finding => {
      const item = make("li", finding.meaning, {class: finding.severity});
      item.append(make("p", finding.what_to_do, {class: "what"}));
      return item;
    }));
  }

  function showPictures(answer) {
    const pictures = answer.pictures, isSmall = Math.max(answer.image.width, answer.image.height) <= 128;
    for (const [id, source] of [["image", pictures.image], ["overlay", pictures.map], ["map", pictures.map], ["reconstruction", pictures.reconstruction]]) {
      if (source) byId(id).src = source;
      byId(id).classList.toggle("pixelated", isSmall);
    }
    byId("reconstruction-figure").hidden = !pictures.reconstruction;
    byId("brightest").textContent = scaleOf(pictures);
  }

  function draw(tag, attributes, text) {
    const node = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    if (text !== undefined) node.textContent = text;
    return node;
  }

  function showHistogram(answer, kind) {
    const drawn = model && model.calibration;
    byId("histogram-panel").hidden = !drawn || answer.score === null;
    if (byId("histogram-panel").hidden) return;
    const {edges, counts} = drawn, [W, H, left, right, top, bottom] = [Math.max(280, byId("histogram").clientWidth), 210, 8, 8, 40, 24];
    const low = edges[0], high = edges[edges.length - 1], marks = [answer.score, answer.threshold].filter(v => v !== null);
    const reach = Math.max(high - low, 1e-12);
    const from = Math.max(Math.min(low, ...marks), low - reach), to = Math.min(Math.max(high, ...marks), high + 3 * reach), pad = (to - from) * .04 || 1e-12;
    const x = value => left + (Math.min(Math.max(value, from - pad), to + pad) - from + pad) / (to - from + 2 * pad) * (W - left - right);
    const tallest = Math.max(...counts), y = n => H - bottom - n / tallest * (H - top - bottom);
    const svg = draw("svg", {viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": `Scores of normal calibration images, and this image's ${significant(answer.score)}`});
    counts.forEach((n, i) => {
      if (!n) return;
      const bar = draw("rect", {class: "bar", x: x(edges[i]), width: Math.max(1, x(edges[i + 1]) - x(edges[i])), y: y(n), height: H - bottom - y(n)});
      bar.append(draw("title", {}, `${significant(edges[i], 3)} to ${significant(edges[i + 1], 3)}: ${count(n, "normal image")}`));
      svg.append(bar);
    });
    svg.append(draw("line", {class: "axis", x1: left, x2: W - right, y1: H - bottom, y2: H - bottom}));
    svg.append(draw("text", {x: x(low), y: H - 7, "text-anchor": "start"}, significant(low, 3)));
    if (x(high) - x(low) > 120) svg.append(draw("text", {x: x(high), y: H - 7, "text-anchor": x(high) > W * .85 ? "end" : "middle"}, significant(high, 3)));
    const label = (value, text, row, className) => {
      const at = x(value), anchor = at > W * .7 ? "end" : at < W * .3 ? "start" : "middle";
      svg.append(draw("text", {class: className, x: at, y: row, "text-anchor": anchor}, text));
    };
    if (answer.threshold !== null) {
      svg.append(draw("line", {class: "threshold", x1: x(answer.threshold), x2: x(answer.threshold), y1: 32, y2: H - bottom}));
      label(answer.threshold, `threshold ${significant(answer.threshold)}`, 28, "limit");
    }
    const beyond = answer.score > to + pad ? " →" : answer.score < from - pad ? " ←" : "";
    svg.append(draw("line", {class: `mark-line ${kind}`, x1: x(answer.score), x2: x(answer.score), y1: 15, y2: H - bottom}));
    label(answer.score, `this image ${significant(answer.score)}${beyond}`, 12, `score ${kind}`);
    byId("histogram").replaceChildren(svg);
    const rank = answer.rank;
    byId("histogram-words").textContent = `Scores of the ${count(rank.n_normals, "normal image")} that the threshold was chosen on; this image scores higher than ${number(rank.n_below)} of them.`;
  }

  function showFacts(answer) {
    const image = answer.image, rows = {
      score: significant(answer.score, 7), threshold: significant(answer.threshold, 7), policy: answer.policy ?? "none",
      ...Object.fromEntries(Object.entries(answer.errors).map(([name, value]) => [name.toUpperCase(), significant(value, 5)])),
      image: `${image.width}x${image.height}, ${image.channels === 1 ? "grey" : "colour"}, ${image.bits} bits, ${image.format}`,
      ...(image.converted.length ? {"done on the way": image.converted.join(", ")} : {}),
    };
    showNumbers(rows);
  }

  function setOpacity() {
    byId("overlay").style.opacity = byId("opacity").value / 100;
    byId("opacity-value").textContent = `${byId("opacity").value}%`;
  }

  for (const [button, input] of [["choose", "file"], ["photograph", "camera"]]) {
    byId(button).addEventListener("click", () => byId(input).click());
    byId(input).addEventListener("change", () => { score(byId(input).files); byId(input).value = ""; });
  }
  let depth = 0;
  addEventListener("dragenter", () => { depth += 1; byId("drop").classList.add("over"); });
  addEventListener("dragleave", () => { depth -= 1; if (depth <= 0) byId("drop").classList.remove("over"); });
  addEventListener("dragover", event => event.preventDefault());
  addEventListener("drop", event => {
    event.preventDefault();
    depth = 0;
    byId("drop").classList.remove("over");
    score(event.dataTransfer.files);
  });
  addEventListener("paste", event => { if (event.clipboardData.files.length) score(event.clipboardData.files); });
  byId("opacity").addEventListener("input", setOpacity);
  onToken(() => introduce().then(() => again && again()).catch(error => say(error.message, true)));
  setOpacity();
  introduce().catch(error => say(error.message, true));
})();
