"use strict";
// Rows of thumbnails that follow the threshold: what it misses, flags wrongly, catches and leaves alone; and a closer look at one.
window.residuaStrips = (() => {
  const FIRST = matchMedia("(max-width: 640px)").matches ? 12 : 24, MORE = 96;
  const make = (tag, text, attributes = {}) => {
    const node = document.createElement(tag);
    if (text) node.textContent = text;
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    return node;
  };

  // Sheets are decoded when the first of their hundred pictures is wanted.
  class Sheets {
    constructor(payload) { Object.assign(this, payload); this.decoded = new Map(); this.place = new Map(payload.index.map((image, place) => [image, place])); }
    has(image) { return this.place.has(image); }
    sheet(number) {
      if (!this.decoded.has(number)) {
        const picture = new Image();
        picture.src = `data:image/webp;base64,${this.sheets[number]}`;
        this.decoded.set(number, picture.decode().then(() => picture));
      }
      return this.decoded.get(number);
    }
    draw(image, canvas) {
      const each = this.side ** 2, place = this.place.get(image), number = Math.floor(place / each), [w, h] = [this.width, this.height];
      const [x, y] = [place % each % this.side * w, Math.floor(place % each / this.side) * h];
      [canvas.width, canvas.height] = [w, h];
      canvas.classList.toggle("smooth", Math.max(w, h) > 40);
      return this.sheet(number).then(sheet => canvas.getContext("2d").drawImage(sheet, x, y, w, h, 0, 0, w, h)).catch(() => canvas.classList.add("lost"));
    }
  }

  function bring(job, {words, count, significant}) {
    const box = job.root.querySelector(".strips"), sheets = job.payload.thumbnails && new Sheets(job.payload.thumbnails);
    if (!box || !sheets || !job.isDetector) return;
    box.hidden = false;
    job.sheets = sheets;
    const byScore = kind => sheets.index.filter(i => (job.truth ? job.truth[i] : 2) === kind).sort((a, b) => job.scores[a] - job.scores[b] || a - b);
    const [normal, abnormal, unknown] = [0, 1, 2].map(byScore);
    // How many of the images, ascending by score, are passed at the threshold.
    const passed = sorted => {
      let low = 0, high = sorted.length;
      while (low < high) { const middle = (low + high) >> 1; if (job.scores[sorted[middle]] > job.limit()) high = middle; else low = middle + 1; }
      return low;
    };
    const lists = {
      missed: () => abnormal.slice(0, passed(abnormal)), caught: () => abnormal.slice(passed(abnormal)),
      alarm: () => normal.slice(passed(normal)).reverse(), passed: () => normal.slice(0, passed(normal)).reverse(),
      flagged: () => unknown.slice(passed(unknown)).reverse(), unflagged: () => unknown.slice(0, passed(unknown)).reverse(),
    };
    const all = [...box.querySelectorAll("[data-strip]")].map(root => new Strip(root));
    let waiting = false;

    function Strip(root) {
      const name = root.dataset.strip, thumbs = root.querySelector(".thumbs"), more = root.querySelector(".more");
      let limit = FIRST, drawn = "", seen = false;
      const fill = () => {
        const images = lists[name](), shown = images.slice(0, limit), key = shown.join();
        if (key !== drawn) {
          const known = new Map([...thumbs.children].map(node => [+node.dataset.image, node]));
          thumbs.replaceChildren(...shown.map(image => known.get(image) || thumb(image, () => lists[name]())));
          drawn = key;
        }
        more.hidden = images.length <= limit;
        more.textContent = `Show ${count(Math.min(MORE, images.length - limit))} more of ${count(images.length)}`;
      };
      this.update = () => {
        const total = job.verdicts()[name], pictured = lists[name]().length;
        root.querySelector(".count").textContent = pictured < total ? `${count(total)}, ${count(pictured)} of them with a picture` : count(total);
        root.classList.toggle("empty", !total);
        if (seen) fill();
      };
      this.show = () => { seen = true; fill(); };
      more.addEventListener("click", () => { limit += MORE; fill(); });
      new IntersectionObserver((entries, watch) => { if (entries.some(entry => entry.isIntersecting)) { watch.disconnect(); this.show(); } }, {rootMargin: "400px"}).observe(root);
    }
    function thumb(image, list) {
      const item = make("div", "", {role: "listitem", "data-image": image}), button = make("button", "", {type: "button", class: "thumb", title: job.pathOf(image)});
      const canvas = make("canvas", "", {"aria-hidden": "true"});
      button.setAttribute("aria-label", `${job.pathOf(image)}, score ${significant(job.scores[image], 3)}`);
      button.addEventListener("click", () => look(job, image, list(), {words, significant}));
      button.append(canvas);
      item.append(button);
      sheets.draw(image, canvas);
      return item;
    }
    const update = () => { waiting = false; for (const strip of all) strip.update(); };
    job.onMove(() => { if (!waiting) { waiting = true; requestAnimationFrame(update); } });
    update();
    const complete = () => { for (const strip of all) { strip.show(); strip.update(); } };
    // Printing does not wait for pictures that are only then decoded: those of the first rows are, as soon as there is nothing else to do.
    (window.requestIdleCallback || (act => setTimeout(act, 500)))(complete);
    window.addEventListener("beforeprint", complete);
  }

  // A closer look at one image; the arrow keys go through the row it stands in.
  function look(job, image, row, {words, significant}) {
    const dialog = document.querySelector("dialog.look") || document.body.appendChild(make("dialog", "", {class: "look", "aria-label": "A closer look at one image"}));
    let at = row.indexOf(image);
    const show = () => {
      const i = row[at], verdict = job.verdict(i), body = make("div", "", {class: "look-body"});
      const figure = job.root.querySelector(`figure[data-index="${i}"] .triple`);
      if (figure) body.append(figure.cloneNode(true));
      else { const canvas = make("canvas", "", {class: "large", role: "img", "aria-label": job.pathOf(i)}); job.sheets.draw(i, canvas); body.append(canvas); }
      const said = [words[verdict], `score ${significant(job.scores[i])}`, job.labelOf(i)].filter(Boolean).join(" · ");
      body.append(make("p", said, {role: "status"}), make("p", job.pathOf(i), {class: "path small"}));
      const bar = make("div", "", {class: "look-bar"});
      const button = (title, act, off = false) => { const one = make("button", title, {type: "button"}); one.disabled = off; one.addEventListener("click", act); bar.append(one); };
      button("Previous", () => step(-1), at === 0);
      bar.append(make("span", `${at + 1} of ${row.length}`));
      button("Next", () => step(1), at === row.length - 1);
      button("Close", () => dialog.close());
      dialog.replaceChildren(body, bar);
    };
    const step = by => { at = Math.min(Math.max(at + by, 0), row.length - 1); show(); };
    dialog.onkeydown = event => { if (event.key === "ArrowRight") step(1); if (event.key === "ArrowLeft") step(-1); };
    dialog.onclick = event => { if (event.target === dialog) dialog.close(); };
    show();
    dialog.showModal();
  }
  return {bring};
})();
