"use strict";
// Pictures go to /predict one at a time, two at once; every text of a file or a class is text, never markup.
const ENDINGS = /\.(bmp|dib|gif|jfif|jpe|jpeg|jpg|png|tif|tiff|webp)$/i;
const AT_ONCE = 2;
const list = document.getElementById("list");
const status = document.getElementById("status");
const results = document.getElementById("results");
const drop = document.getElementById("drop");
let waiting = [];
let atWork = 0;
let rows = [];
let done = 0;

function element(kind, name, text) {
  const made = document.createElement(kind);
  if (name) made.className = name;
  if (text !== undefined) made.textContent = text;
  return made;
}

function tell() {
  const failed = rows.filter(row => row.error).length;
  const total = done + atWork + waiting.length;
  status.textContent = total === 0 ? "" :
    `${done} of ${total} pictures${failed ? `, ${failed} could not be used` : ""}`;
}

function add(files) {
  for (const [name, file] of files) {
    const item = element("li");
    const picture = element("img");
    picture.alt = "";
    picture.src = URL.createObjectURL(file);
    picture.onload = () => URL.revokeObjectURL(picture.src);
    picture.onerror = () => { picture.style.visibility = "hidden"; URL.revokeObjectURL(picture.src); };
    const told = element("div");
    told.append(element("p", "name", name));
    item.append(picture, told);
    list.append(item);
    waiting.push({ name, file, told });
  }
  results.hidden = list.children.length === 0;
  next();
}

function next() {
  tell();
  while (atWork < AT_ONCE && waiting.length) {
    atWork += 1;
    predict(waiting.shift()).finally(() => { atWork -= 1; done += 1; next(); });
  }
}

async function answered(file) {
  for (;;) {
    const response = await fetch("predict?top_k=5&nearest=4", { method: "POST", body: file });
    if (response.status !== 503) return response.json();
    // As many pictures wait as may.
    await new Promise(resolve => setTimeout(resolve, 1000 * (Number(response.headers.get("Retry-After")) || 1)));
  }
}

async function predict({ name, file, told }) {
  let answer;
  try {
    const body = await answered(file);
    answer = body.pictures ? body.pictures[0] : { error: body.error };
  } catch (error) {
    answer = { error: "the server does not answer" };
  }
  rows.push({ name, ...answer });
  if (answer.error) {
    told.append(element("p", "flag", answer.error));
    return;
  }
  for (const { class: label, probability } of answer.predictions) {
    const line = element("div", "class");
    const bar = element("progress", "bar");
    bar.max = 1;
    bar.value = probability;
    bar.setAttribute("aria-hidden", "true");
    line.append(element("bdi", "", label), element("span", "number", `${(100 * probability).toFixed(1)}%`), bar);
    told.append(line);
  }
  if (answer.unsure) told.append(element("p", "flag", "unsure"));
  if (answer.outlier) told.append(element("p", "flag", "unlike all training pictures"));
  if (answer.set) told.append(element("p", "name", `set: ${answer.set.join(", ")}`));
  if (answer.nearest && answer.nearest.length) told.append(nearest(answer.nearest));
}

// The training pictures that are nearest: what the head knows that is most like it.
function nearest(pictures) {
  const figure = element("figure");
  figure.append(element("figcaption", "name", "Nearest training pictures"));
  const shown = element("ul", "near");
  for (const near of pictures) {
    const item = element("li");
    const picture = element("img");
    picture.src = `training/${near.row}`;
    picture.alt = near.path;
    picture.title = `${near.path}, distance ${near.distance.toFixed(2)}`;
    picture.loading = "lazy";
    item.append(picture, element("bdi", "", near.class ?? ""));
    shown.append(item);
  }
  figure.append(shown);
  return figure;
}

// Files of a drop: folders are searched.
async function entriesOf(entry, path) {
  const name = path + entry.name;
  if (entry.isFile) {
    if (!ENDINGS.test(entry.name)) return [];
    return [[name, await new Promise((resolve, reject) => entry.file(resolve, reject))]];
  }
  const reader = entry.createReader();
  const found = [];
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) return found;
    for (const inner of some) found.push(...await entriesOf(inner, name + "/"));
  }
}

drop.addEventListener("dragover", event => { event.preventDefault(); drop.classList.add("over"); });
drop.addEventListener("dragleave", () => drop.classList.remove("over"));
document.addEventListener("dragover", event => event.preventDefault());
document.addEventListener("drop", async event => {
  event.preventDefault();
  drop.classList.remove("over");
  const entries = [...event.dataTransfer.items].map(item => item.webkitGetAsEntry && item.webkitGetAsEntry());
  if (entries.some(Boolean)) {
    for (const entry of entries.filter(Boolean)) add(await entriesOf(entry, ""));
  } else {
    add([...event.dataTransfer.files].map(file => [file.name, file]));
  }
});
document.addEventListener("paste", event => {
  add([...event.clipboardData.files].map(file => [file.name || "pasted", file]));
});
document.getElementById("files").addEventListener("change", event => {
  add([...event.target.files].map(file => [file.name, file]));
  event.target.value = "";
});
document.getElementById("folder").addEventListener("change", event => {
  const files = [...event.target.files].filter(file => ENDINGS.test(file.name));
  add(files.map(file => [file.webkitRelativePath || file.name, file]));
  event.target.value = "";
});
document.getElementById("clear").addEventListener("click", () => {
  waiting = [];
  rows = [];
  done = 0;
  list.replaceChildren();
  results.hidden = true;
  tell();
});

function cell(value) {
  const text = String(value ?? "");
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

document.getElementById("save").addEventListener("click", () => {
  const lines = [["path", "class", "probability", "unsure", "outlier", "error"]];
  for (const row of rows) {
    const best = row.predictions ? row.predictions[0] : {};
    lines.push([row.name, best.class, best.probability, row.unsure, row.outlier, row.error]);
  }
  const text = lines.map(line => line.map(cell).join(",")).join("\r\n") + "\r\n";
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
  link.download = "predictions.csv";
  link.click();
  URL.revokeObjectURL(link.href);
});
