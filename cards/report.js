"use strict";

// What came from the dataset reaches the page as text or as numbers alone, never as markup.
const DATA = JSON.parse(document.getElementById("data").textContent);
const PAGE_ROWS = 50;
const SVG = "http://www.w3.org/2000/svg";

const byId = (id) => document.getElementById(id);
const plain = (name) => String(name).replaceAll("_", " ");
const isNumber = (value) => typeof value === "number";

function make(name, properties = {}, ...children) {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children);
  return element;
}

function draw(parent, name, attributes = {}, text = "") {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== "") element.textContent = text;
  parent.append(element);
  return element;
}

function shown(value, digits = 4) {
  if (value === null || value === undefined) return "";
  if (!isNumber(value)) return String(value);
  return Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(digits)));
}

function niceStep(least) {
  if (!(least > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(least));
  return [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= least * 0.999999);
}

/* The table: all rows are in memory, a page of them is in the document. */

const table = (() => {
  const columns = DATA.table.columns;
  const clipOfRow = new Map(DATA.clips.map((clip, place) => [clip.row, place]));
  const cell = (column, row) => {
    const value = column.values[row];
    if (column.kind === "number") return value;
    return value < 0 ? null : column.names[value];
  };
  const texts = Array.from({ length: DATA.table.rows }, (_, row) =>
    columns.map((column) => plain(cell(column, row) ?? "")).join("\n").toLowerCase());
  let found = [];
  let page = 0;
  let sorting = { column: null, down: false };

  function readFilters() {
    const form = byId("filters");
    const tests = [];
    const words = plain(form.elements.search.value.trim().toLowerCase());
    if (words) tests.push((row) => texts[row].includes(words));
    columns.forEach((column, place) => {
      const values = column.values;
      if (column.filter === "choice") {
        const wanted = form.elements[`choice-${place}`].value;
        if (wanted !== "") tests.push((row) => values[row] === Number(wanted));
      }
      if (column.filter === "range") {
        const [from, to] = ["from", "to"].map((end) => form.elements[`${end}-${place}`].value);
        if (from !== "") tests.push((row) => values[row] !== null && values[row] >= Number(from));
        if (to !== "") tests.push((row) => values[row] !== null && values[row] <= Number(to));
      }
    });
    if (form.elements.heard.checked) tests.push((row) => clipOfRow.has(row));
    return tests;
  }

  function update() {
    const tests = readFilters();
    found = [];
    for (let row = 0; row < DATA.table.rows; row++) {
      if (tests.every((test) => test(row))) found.push(row);
    }
    const { column, down } = sorting;
    if (column) {
      const missing = (value) => value === null || value === -1;
      const sign = down ? -1 : 1;
      found.sort((a, b) => {
        const [x, y] = [column.values[a], column.values[b]];
        if (missing(x) || missing(y)) return missing(x) - missing(y);
        return sign * (x - y);
      });
    }
    page = 0;
    show();
  }

  function show() {
    const pages = Math.max(1, Math.ceil(found.length / PAGE_ROWS));
    const first = page * PAGE_ROWS;
    const rows = found.slice(first, first + PAGE_ROWS);
    byId("rows").replaceChildren(...rows.map(line));
    const range = rows.length ? `${first + 1} to ${first + rows.length} of ` : "";
    const sample = DATA.table.total > DATA.table.rows
      ? `, a sample of ${DATA.table.total.toLocaleString("en")}` : "";
    byId("count").textContent = `${range}${found.length.toLocaleString("en")} clips found, `
      + `${DATA.table.rows.toLocaleString("en")} in the table${sample}`;
    byId("page").textContent = `page ${page + 1} of ${pages}`;
    byId("back").disabled = page === 0;
    byId("forth").disabled = page >= pages - 1;
  }

  function line(row) {
    const cells = columns.map((column) => {
      const value = cell(column, row);
      if (column.kind === "number") {
        return make("td", { className: "number", textContent: shown(value) });
      }
      const text = shown(value);
      const words = column.name === "sample_id" ? text : plain(text);
      return make("td", { className: "text", textContent: words, title: text });
    });
    const hear = make("td");
    if (clipOfRow.has(row)) {
      const place = clipOfRow.get(row);
      const label = DATA.clips[place].sound ? "Play" : "Show";
      const button = make("button", { type: "button", textContent: label });
      button.setAttribute("aria-label", `${label} ${texts[row].split("\n")[0]}`);
      button.addEventListener("click", () => player.open(place, { heard: true }));
      hear.append(button);
    }
    return make("tr", {}, hear, ...cells);
  }

  function heads() {
    const line = make("tr", {}, make("th", { scope: "col", textContent: "Player" }));
    for (const column of columns) {
      const unit = column.unit ? ` (${column.unit})` : "";
      const button = make("button", { type: "button", textContent: plain(column.name) + unit });
      const head = make("th", { scope: "col", className: column.kind }, button);
      head.setAttribute("aria-sort", "none");
      button.addEventListener("click", () => {
        const again = sorting.column === column;
        sorting = { column, down: again && !sorting.down };
        for (const other of line.children) other.setAttribute("aria-sort", "none");
        head.setAttribute("aria-sort", sorting.down ? "descending" : "ascending");
        update();
      });
      line.append(head);
    }
    byId("heads").append(line);
  }

  function filters() {
    const form = byId("filters");
    const search = make("input", { type: "search", name: "search", placeholder: "any text" });
    form.append(make("label", {}, "Search", search));
    columns.forEach((column, place) => {
      if (column.filter === "choice") {
        const select = make("select", { name: `choice-${place}` }, new Option("all", ""));
        column.names.forEach((name, value) => select.append(new Option(plain(name), value)));
        form.append(make("label", {}, plain(column.name), select));
      }
      if (column.filter === "range") {
        const ends = ["from", "to"].map((end) => {
          const input = make("input", { type: "number", step: "any", placeholder: end });
          input.name = `${end}-${place}`;
          input.setAttribute("aria-label", `${plain(column.name)} ${end}`);
          return input;
        });
        form.append(make("fieldset", {}, make("legend", { textContent: plain(column.name) }),
          make("div", {}, ...ends)));
      }
    });
    const heard = make("input", { type: "checkbox", name: "heard" });
    form.append(make("label", { className: "check" }, heard, "only those in the player"));
    const clear = make("button", { type: "button", id: "clear", textContent: "Clear" });
    clear.addEventListener("click", () => { form.reset(); update(); });
    form.append(clear);
    form.addEventListener("input", update);
    form.addEventListener("submit", (event) => event.preventDefault());
  }

  function start() {
    byId("clips").hidden = false;
    filters();
    heads();
    byId("back").addEventListener("click", () => { page -= 1; show(); });
    byId("forth").addEventListener("click", () => { page += 1; show(); });
    update();
  }

  return { start };
})();

/* The player: one clip at a time, as lanes over one another that share the time axis. */

const player = (() => {
  const LANES = { strokes: 170, error: 92, notes: 150, event: 26, spectrogram: 150, axis: 22 };
  const GAP = 8;
  const GUTTER = 58;
  const NEAR = 14; // pixels between the pointer and what it points at
  const audio = byId("audio");
  const lanes = byId("lanes");
  const scroll = byId("scroll");
  let clip = null;
  let place = 0;
  let address = "";
  let cursor = 0; // seconds, where there is no sound
  let items = []; // what can be pointed at: { x, top, bottom, told, node }
  let playhead = null;
  let width = 0;

  const label = (name) => clip.labels.find(([key]) => key === name)?.[1];
  const now = () => (clip.sound ? audio.currentTime : cursor);

  function bytes(text) {
    return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  }

  function title(of) {
    const known = new Map(of.labels.map(([name, value]) => [name, value]));
    const words = ["skill_tier", "rudiment_slug"].map((name) => known.get(name)).filter(Boolean).map(plain);
    if (!words.length) {
      const name = known.get("source_path") ?? known.get("sample_id") ?? of.where;
      words.push(name, ...of.classes);
    }
    if (known.has("tempo_bpm")) words.push(`${shown(known.get("tempo_bpm"))} bpm`);
    const score = of.scores.find(([name]) => name === "overall_score");
    if (score) words.push(`score ${score[1].toFixed(0)}`);
    return words.join(", ");
  }

  function play() {
    audio.play().catch((error) => {
      if (error.name !== "AbortError") complain(`this browser does not play the clip: ${error.message}`);
    });
  }

  function complain(words) {
    byId("silent").hidden = false;
    byId("silent").textContent = words;
  }

  function open(to, { heard = false } = {}) {
    place = (to + DATA.clips.length) % DATA.clips.length;
    clip = DATA.clips[place];
    audio.pause();
    audio.removeAttribute("src");
    if (address) URL.revokeObjectURL(address);
    address = "";
    cursor = 0;
    if (clip.sound) {
      address = URL.createObjectURL(new Blob([bytes(clip.sound.data)], { type: clip.sound.type }));
      audio.src = address;
      audio.playbackRate = Number(byId("speed").value);
    }
    byId("pick").value = place;
    describe();
    render();
    if (heard) {
      byId("listen").scrollIntoView({ block: "start" });
      if (clip.sound) play();
    }
  }

  function describe() {
    byId("clip-title").textContent = title(clip);
    const kinds = ["kit", "augmentation_preset"].map(label).filter(Boolean).map(plain);
    const id = label("sample_id") ?? "";
    const heard = clip.sound ? `${clip.sound.rate / 1000} kHz` : "";
    byId("clip-about").textContent =
      [id, clip.split, ...kinds, heard, clip.where].filter(Boolean).join(" · ");
    const notes = [clip.silent, clip.sound?.note];
    if (clip.left_out) notes.push(`${clip.left_out} events more are not drawn`);
    if (!clip.sound && !clip.silent) {
      notes.push(clip.strokes || clip.notes
        ? "no audio in this dataset: what is played is drawn"
        : "neither audio nor notes in this dataset");
    }
    byId("silent").textContent = notes.filter(Boolean).join("; ");
    byId("silent").hidden = !byId("silent").textContent;
    for (const id_ of ["play", "speed", "repeat"]) byId(id_).disabled = !clip.sound;
    for (const of of ["sound", "strokes"]) {
      document.querySelectorAll(`#keys .of-${of}`).forEach((part) => { part.hidden = !clip[of]; });
    }
    byId("told").textContent = "";
    byId("scores-box").hidden = !clip.scores.length;
    byId("scores").replaceChildren(...clip.scores.flatMap(([name, value, best]) => {
      const bar = make("div");
      bar.style.width = `${(100 * value) / best}%`;
      return [make("span", { textContent: plain(name) }),
        make("div", { className: "meter" }, bar),
        make("span", { className: "value", textContent: shown(value, 3) })];
    }));
    byId("labels").replaceChildren(...clip.labels.flatMap(([name, value, unit]) => [
      make("dt", { textContent: plain(name) }),
      make("dd", { textContent: `${shown(value)}${unit ? ` ${unit}` : ""}` }),
    ]));
  }

  /* Lanes */

  function render() {
    if (!clip) return;
    width = Math.max(200, Math.floor(scroll.clientWidth * Number(byId("zoom").value)));
    items = [];
    const picture = document.createElementNS(SVG, "svg");
    const gutter = document.createElementNS(SVG, "svg");
    const at = (second) => (second / Math.max(clip.seconds, 1e-3)) * width;
    let top = 0;
    const lane = (height, name) => {
      draw(picture, "rect", { class: "lane-ground", x: 0, y: top, width, height, rx: 4 });
      const box = { top, height, bottom: top + height, name };
      top += height + GAP;
      return box;
    };
    lanes.replaceChildren(picture);
    if (clip.strokes || clip.sound) {
      const box = lane(LANES.strokes, "strokes");
      const base = box.bottom - (clip.strokes ? 36 : 6);
      if (clip.sound) wave(picture, box.top, base);
      if (clip.strokes) strokes(picture, box, base, at);
      if (clip.strokes) draw(gutter, "text", { x: 0, y: base + 12 }, "meant");
    }
    if (clip.strokes?.error) errors(picture, gutter, lane(LANES.error, "error"), at);
    if (clip.notes) notes(picture, gutter, lane(LANES.notes, "notes"), at);
    for (const [name, list] of Object.entries(clip.events ?? {})) {
      events(picture, gutter, lane(LANES.event, name), name, list, at);
    }
    if (clip.sound) spectrogram(gutter, lane(LANES.spectrogram, "spectrogram"));
    const axis = niceStep(60 / Math.max(at(1), 1e-9));
    for (let second = 0, n = 0; second <= clip.seconds; second = ++n * axis) {
      draw(picture, "line", { class: "zero", x1: at(second), x2: at(second), y1: top - 4, y2: top + 2 });
      draw(picture, "text", { class: "faint", x: at(second) + 3, y: top + 12 }, `${shown(second)} s`);
    }
    const height = top + LANES.axis;
    for (const [svg, wide] of [[picture, width], [gutter, GUTTER]]) {
      svg.setAttribute("width", wide);
      svg.setAttribute("height", height);
      svg.setAttribute("viewBox", `0 0 ${wide} ${height}`);
      svg.style.width = `${wide}px`;
    }
    picture.setAttribute("role", "img");
    picture.setAttribute("aria-label", spoken());
    byId("gutter").replaceChildren(gutter);
    lanes.style.width = `${width}px`;
    lanes.style.height = `${height}px`;
    playhead = make("div", { className: "playhead" });
    lanes.append(playhead);
    scroll.setAttribute("aria-valuemax", clip.seconds.toFixed(2));
    items.sort((a, b) => a.x - b.x);
    legend();
    follow();
  }

  function spoken() {
    const parts = [title(clip), `${shown(clip.seconds, 3)} seconds`];
    if (clip.strokes) parts.push(`${count(clip.strokes)} strokes`);
    if (clip.notes) parts.push(`${count(clip.notes)} notes`);
    return parts.join(", ");
  }

  const count = (lists) => Math.max(...Object.values(lists).map((list) => list.length));

  function wave(svg, top, base) {
    const peaks = new Int8Array(bytes(clip.sound.peaks).buffer);
    const points = peaks.length / 2;
    const middle = (top + base) / 2;
    const scale = (base - top) / 2 / 128;
    const above = [];
    const below = [];
    for (let x = 0; x < width; x++) {
      const first = Math.floor((x / width) * points);
      const last = Math.max(first + 1, Math.floor(((x + 1) / width) * points));
      const low = Math.min(...peaks.subarray(first, last));
      const high = Math.max(...peaks.subarray(points + first, points + last));
      above.push(`${x},${(middle - high * scale).toFixed(1)}`);
      below.push(`${x},${(middle - low * scale + 0.6).toFixed(1)}`);
    }
    draw(svg, "polygon", { class: "wave", points: [...above, ...below.reverse()].join(" ") });
  }

  function head(group, kind, x, y) {
    const shapes = {
      accent: ["path", { d: `M${x - 5.5},${y - 5}L${x + 5.5},${y}L${x - 5.5},${y + 5}Z` }],
      diddle: ["rect", { x: x - 3.6, y: y - 3.6, width: 7.2, height: 7.2 }],
      grace: ["circle", { cx: x, cy: y, r: 3 }],
      buzz: ["path", { d: `M${x},${y - 5}L${x + 5},${y}L${x},${y + 5}L${x - 5},${y}Z` }],
      bounce: ["path", { d: `M${x},${y - 3.2}L${x + 3.2},${y}L${x},${y + 3.2}L${x - 3.2},${y}Z` }],
    };
    const [name, attributes] = shapes[kind] ?? ["circle", { cx: x, cy: y, r: 3.8 }];
    draw(group, name, { class: "head", ...attributes });
  }

  function kindOf(list, n) {
    if (list.grace?.[n]) return "grace";
    if (list.kind?.[n] === "buzz" && isNumber(list.parent?.[n])) return "bounce";
    if (list.accent?.[n]) return "accent";
    return list.kind?.[n] ?? "tap";
  }

  function strokes(svg, box, base, at) {
    const list = clip.strokes;
    let lastLetter = -Infinity;
    for (let n = 0; n < count(list); n++) {
      const played = list.played?.[n];
      const meant = list.meant?.[n];
      const hand = ["R", "L"].includes(list.hand?.[n]) ? list.hand[n] : "none";
      const kind = kindOf(list, n);
      if (isNumber(meant) && meant / 1000 <= clip.seconds) {
        const x = at(meant / 1000);
        draw(svg, "line", { class: "meant", x1: x, x2: x, y1: base + 5, y2: base + 13 });
      }
      if (!isNumber(played) || played / 1000 > clip.seconds) continue;
      const x = at(played / 1000);
      const velocity = isNumber(list.velocity?.[n]) ? list.velocity[n] : 64;
      const y = base - ((base - box.top - 10) * Math.min(Math.max(velocity, 0), 127)) / 127;
      const group = draw(svg, "g", { class: `stroke ${hand} ${kind}` });
      draw(group, "line", { x1: x, x2: x, y1: base, y2: y });
      if (isNumber(meant)) {
        draw(group, "line", { class: "shift", x1: x, x2: at(meant / 1000), y1: base, y2: base + 5 });
      }
      head(group, kind, x, y);
      if (hand !== "none" && x - lastLetter >= 9 && kind !== "bounce") {
        draw(group, "text", { class: "sticking", x, y: box.bottom - 5, "text-anchor": "middle" }, hand);
        lastLetter = x;
      }
      items.push({ x, second: played / 1000, top: box.top, bottom: box.bottom, node: group,
        stroke: true, told: tell(list, n, kind) });
    }
  }

  function tell(list, n, kind) {
    const hands = { R: "right", L: "left" };
    const words = [`Stroke ${n + 1} of ${count(list)}`];
    if (list.hand?.[n]) words.push(hands[list.hand[n]] ?? list.hand[n]);
    words.push(kind);
    const error = list.error?.[n];
    if (isNumber(error)) {
      const side = error < 0 ? "early" : "late";
      words.push(Math.abs(error) < 0.05 ? "on time" : `${Math.abs(error).toFixed(1)} ms ${side}`);
    }
    if (isNumber(list.played?.[n])) words.push(`played at ${(list.played[n] / 1000).toFixed(3)} s`);
    if (isNumber(list.meant?.[n])) words.push(`meant at ${(list.meant[n] / 1000).toFixed(3)} s`);
    const velocity = list.velocity?.[n];
    if (isNumber(velocity)) {
      const meant = list.meant_velocity?.[n];
      words.push(`velocity ${velocity}${isNumber(meant) ? `, meant ${meant}` : ""}`);
    }
    if (isNumber(list.flam?.[n])) words.push(`${list.flam[n].toFixed(1)} ms before its primary`);
    return words.join(" · ");
  }

  function errors(svg, gutter, box, at) {
    const list = clip.strokes;
    const known = list.error.filter(isNumber);
    const farthest = Math.max(5, ...known.map(Math.abs));
    const reach = niceStep(farthest / 5) * Math.ceil(farthest / niceStep(farthest / 5));
    const middle = (box.top + box.bottom) / 2;
    const y = (error) => middle - (error / reach) * (box.height / 2 - 6);
    draw(svg, "line", { class: "zero", x1: 0, x2: width, y1: middle, y2: middle });
    [[reach, `+${reach}`], [0, "ms"], [-reach, `−${reach}`]].forEach(([value, text]) =>
      draw(gutter, "text", { x: GUTTER - 6, y: y(value) + 4, "text-anchor": "end" }, text));
    draw(gutter, "text", { x: 0, y: y(reach / 2) + 4 }, "late");
    draw(gutter, "text", { x: 0, y: y(-reach / 2) + 4 }, "early");
    list.error.forEach((error, n) => {
      const played = list.played?.[n];
      if (!isNumber(error) || !isNumber(played) || played / 1000 > clip.seconds) return;
      const hand = ["R", "L"].includes(list.hand?.[n]) ? list.hand[n] : "none";
      const kind = kindOf(list, n);
      const x = at(played / 1000);
      const group = draw(svg, "g", { class: `stroke error ${hand} ${kind}` });
      draw(group, "line", { x1: x, x2: x, y1: middle, y2: y(error) });
      head(group, kind === "accent" ? "tap" : kind, x, y(error));
      items.push({ x, top: box.top, bottom: box.bottom, node: group, told: tell(list, n, kind) });
    });
  }

  function notes(svg, gutter, box, at) {
    const list = clip.notes;
    const pitches = (list.pitch ?? []).filter(isNumber);
    const low = Math.min(...pitches) - 1;
    const high = Math.max(...pitches) + 1;
    const step = box.height / Math.max(high - low + 1, 8);
    const y = (pitch) => box.bottom - (pitch - low + 1) * step;
    for (let pitch = Math.ceil(low / 12) * 12; pitch <= high; pitch += 12) {
      draw(svg, "line", { class: "grid", x1: 0, x2: width, y1: y(pitch) + step, y2: y(pitch) + step });
      draw(gutter, "text", { x: GUTTER - 6, y: y(pitch) + step, "text-anchor": "end" }, `C${pitch / 12 - 1}`);
    }
    (list.onset ?? []).forEach((onset, n) => {
      const pitch = list.pitch?.[n];
      if (!isNumber(onset) || !isNumber(pitch)) return;
      const x = at(onset / 1000);
      const long = isNumber(list.length?.[n]) ? at(list.length[n] / 1000) : 2;
      const drum = list.channel?.[n] === 10;
      const node = draw(svg, "rect", { class: `note-bar${drum ? " drum" : ""}`, x, y: y(pitch),
        width: Math.max(1.5, long - 0.5), height: Math.max(1.5, step - 0.5), rx: 1 });
      const told = [`Note ${n + 1}: ${drum ? "drum" : "pitch"} ${pitch}`, `at ${(onset / 1000).toFixed(3)} s`,
        `velocity ${shown(list.velocity?.[n])}`, `channel ${shown(list.channel?.[n])}`].join(" · ");
      items.push({ x, top: y(pitch) - 2, bottom: y(pitch) + step + 2, node, told,
        second: onset / 1000, stroke: true });
    });
  }

  function events(svg, gutter, box, name, list, at) {
    draw(gutter, "text", { x: 0, y: box.top + 16 }, plain(name).slice(0, 8));
    let end = -Infinity;
    for (const [second, length, words] of list) {
      if (second > clip.seconds) continue;
      const x = at(second);
      const wide = Math.max(2, isNumber(length) ? at(length) : 2);
      const node = draw(svg, "rect", { class: "event", x, y: box.top + 3, width: wide, height: box.height - 6, rx: 2 });
      const text = plain(words ?? "");
      if (text && x >= end) {
        draw(svg, "text", { class: "ink", x: x + (isNumber(length) ? 4 : 5), y: box.top + 17 }, text.slice(0, 40));
        end = x + 12 + Math.min(text.length, 40) * 6.5;
      }
      items.push({ x, top: box.top, bottom: box.bottom, node,
        told: `${plain(name)}: ${text || "event"} at ${shown(second)} s` });
    }
  }

  function spectrogram(gutter, box) {
    const image = make("img", { src: clip.sound.spectrogram,
      alt: `Spectrogram of ${title(clip)}, mel bands, low frequencies below` });
    image.style.top = `${box.top}px`;
    image.style.height = `${box.height}px`;
    lanes.append(image);
    let last = Infinity;
    for (const [kilohertz, share] of clip.sound.ticks) {
      const y = box.bottom - share * box.height + 4;
      if (last - y < 13) continue;
      draw(gutter, "text", { x: GUTTER - 6, y, "text-anchor": "end" }, `${kilohertz} k`);
      last = y;
    }
    draw(gutter, "text", { x: 0, y: box.top + 10 }, "Hz");
  }

  function legend() {
    const list = byId("legend");
    list.replaceChildren();
    const entry = (text, paint) => {
      const svg = document.createElementNS(SVG, "svg");
      svg.setAttribute("viewBox", "0 0 18 18");
      svg.setAttribute("aria-hidden", "true");
      paint(svg);
      list.append(make("li", {}, svg, text));
    };
    const bar = (kind) => (svg) =>
      draw(svg, "rect", { class: `note-bar ${kind}`, x: 2, y: 6, width: 14, height: 6, rx: 1 });
    if (clip.notes) entry("notes", bar("pitched"));
    if (clip.notes?.channel?.includes(10)) entry("drums, on channel 10", bar("drum"));
    if (!clip.strokes) return;
    const one = (hand, kind) => (svg) => {
      const group = draw(svg, "g", { class: `stroke ${hand} ${kind}` });
      draw(group, "line", { x1: 9, x2: 9, y1: 18, y2: 8 });
      head(group, kind, 9, 7);
    };
    entry("right hand", one("R", "tap"));
    entry("left hand", one("L", "tap"));
    const names = { accent: "accent", diddle: "diddle", grace: "grace note", buzz: "buzz", bounce: "its bounces" };
    for (const [kind, name] of Object.entries(names)) {
      if (lanes.querySelector(`.stroke.${kind}`)) entry(name, one("none", kind));
    }
    entry("the higher, the louder", (svg) =>
      draw(svg, "path", { class: "meant", fill: "none", d: "M9,16V3M5,7L9,3L13,7" }));
    entry("meant", (svg) => draw(svg, "line", { class: "meant", x1: 9, x2: 9, y1: 4, y2: 14 }));
  }

  /* Time */

  function follow() {
    if (!playhead) return;
    const second = now();
    const x = (second / Math.max(clip.seconds, 1e-3)) * width;
    playhead.style.transform = `translateX(${x}px)`;
    byId("clock").textContent = `${second.toFixed(2)} of ${clip.seconds.toFixed(2)} s`;
    scroll.setAttribute("aria-valuenow", second.toFixed(2));
    scroll.setAttribute("aria-valuetext", `${second.toFixed(2)} seconds`);
    let current = null;
    for (const item of items) {
      if (!item.stroke) continue;
      item.node.classList.remove("now");
      if (item.second <= second + 0.005 && second > 0) current = item;
    }
    current?.node.classList.add("now");
    const { scrollLeft, clientWidth } = scroll;
    if (!audio.paused && (x < scrollLeft || x > scrollLeft + clientWidth * 0.9)) {
      scroll.scrollLeft = x - clientWidth * 0.1;
    }
  }

  function tick() {
    follow();
    if (!audio.paused) requestAnimationFrame(tick);
  }

  function seek(second) {
    const to = Math.min(Math.max(second, 0), clip.seconds);
    if (clip.sound) audio.currentTime = to;
    cursor = to;
    follow();
  }

  function toggle() {
    if (!clip.sound) return;
    if (audio.paused) play(); else audio.pause();
  }

  function stroke(step) {
    const list = items.filter((item) => item.stroke);
    const second = now();
    const next = step > 0
      ? list.find((item) => item.second > second + 0.002)
      : list.findLast((item) => item.second < second - 0.002);
    if (!next) return;
    seek(next.second);
    point(next);
  }

  function point(item) {
    lanes.querySelectorAll(".pointed").forEach((node) => node.classList.remove("pointed"));
    item?.node.classList.add("pointed");
    if (item) byId("told").textContent = item.told;
  }

  function pointer(event) {
    const box = lanes.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    let best = null;
    for (const item of items) {
      const inside = y >= item.top && y <= item.bottom;
      const far = Math.abs(item.x - x);
      if (inside && far <= NEAR && (!best || far < Math.abs(best.x - x))) best = item;
    }
    point(best);
    return (x / width) * clip.seconds;
  }

  function keys(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input, select, textarea, button, a, .table")) return;
    const step = event.key === "ArrowRight" ? 1 : -1;
    const done = {
      " ": toggle,
      ArrowLeft: () => (event.shiftKey ? stroke(step) : seek(now() + step / 4)),
      ArrowRight: () => (event.shiftKey ? stroke(step) : seek(now() + step / 4)),
      n: () => open(place + 1),
      p: () => open(place - 1),
    }[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!done) return;
    event.preventDefault();
    done();
  }

  function start() {
    if (!DATA.clips.length) {
      document.querySelectorAll('a[href="#listen"]').forEach((link) => link.remove());
      return;
    }
    byId("listen").hidden = false;
    const pick = byId("pick");
    DATA.clips.forEach((of, n) => pick.append(new Option(`${n + 1}. ${title(of)}`, n)));
    pick.addEventListener("change", () => open(Number(pick.value)));
    byId("previous").addEventListener("click", () => open(place - 1));
    byId("next").addEventListener("click", () => open(place + 1));
    byId("play").addEventListener("click", toggle);
    byId("speed").addEventListener("change", () => { audio.playbackRate = Number(byId("speed").value); });
    byId("repeat").addEventListener("change", () => { audio.loop = byId("repeat").checked; });
    byId("zoom").addEventListener("change", () => {
      const middle = now() / Math.max(clip.seconds, 1e-3);
      render();
      scroll.scrollLeft = middle * width - scroll.clientWidth / 2;
    });
    for (const name of ["play", "pause", "ended"]) {
      audio.addEventListener(name, () => {
        byId("play").textContent = audio.paused ? "Play" : "Pause";
        byId("play").setAttribute("aria-pressed", String(!audio.paused));
        tick();
      });
    }
    for (const name of ["seeked", "loadedmetadata"]) audio.addEventListener(name, follow);
    audio.addEventListener("error", () => {
      if (audio.hasAttribute("src")) complain("this browser cannot play the clip");
    });
    lanes.addEventListener("pointermove", pointer);
    lanes.addEventListener("pointerleave", () => point(null));
    lanes.addEventListener("click", (event) => seek(pointer(event)));
    document.addEventListener("keydown", keys);
    let wide = 0;
    new ResizeObserver(() => {
      if (scroll.clientWidth === wide) return;
      wide = scroll.clientWidth;
      render();
    }).observe(scroll);
    open(0);
  }

  return { start, open };
})();

(() => {
  const button = byId("theme");
  button.hidden = false;
  button.addEventListener("click", () => {
    const dark = matchMedia("(prefers-color-scheme: dark)").matches;
    const root = document.documentElement;
    const set = root.style.colorScheme;
    root.style.colorScheme = (set ? set === "dark" : dark) ? "light" : "dark";
  });
  player.start();
  table.start();
})();
