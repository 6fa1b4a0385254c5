"use strict";
// Every text of a file or a class is text, never markup. Pictures come with the token, which no address holds.
const $ = id => document.getElementById(id);
const SHOWN = 14;
const token = location.hash.slice(1) || sessionStorage.getItem("token") || "";
sessionStorage.setItem("token", token);
let state = null;
let role = "train";
let items = [];
let at = 0;
let order = "doubt";
let turn = 0;
const pictures = new Map();

function element(kind, name, text) {
  const made = document.createElement(kind);
  if (name) made.className = name;
  if (text !== undefined) made.textContent = text;
  return made;
}

function tell(text) {
  $("message").textContent = text || "";
  $("message").hidden = !text;
}

async function asked(path, options = {}) {
  let response;
  try {
    response = await fetch(`api/${path}`, { ...options, headers: { Authorization: `Bearer ${token}` } });
  } catch (error) {
    throw new Error("The server does not answer. What was said before is on the disk; start `cnn-codes review` again.");
  }
  if (!response.ok) {
    const body = await response.json().catch(() => ({}));
    throw new Error(body.error || `the server answered ${response.status}`);
  }
  return response;
}

const ask = async (path, options) => (await asked(path, options)).json();
const post = (path, body) => ask(path, { method: "POST", body: JSON.stringify(body || {}) });

// An address of a picture within this page; the oldest ones are given up.
async function picture(part, row, large) {
  const path = `picture/${part}/${row}${large ? "?large=true" : ""}`;
  if (!pictures.has(path)) {
    const url = asked(path).then(answer => answer.blob()).then(blob => URL.createObjectURL(blob));
    pictures.set(path, url);
    // So that it is asked for again.
    url.catch(() => pictures.delete(path));
    if (pictures.size > 150) {
      const [oldest, url] = pictures.entries().next().value;
      pictures.delete(oldest);
      url.then(URL.revokeObjectURL, () => {});
    }
  }
  return pictures.get(path);
}

async function fill(image, part, row, large) {
  const mine = image.dataset.wanted = `${part} ${row} ${large}`;
  try {
    const url = await picture(part, row, large);
    if (image.dataset.wanted === mine) { image.src = url; image.hidden = false; }
    return "";
  } catch (error) {
    if (image.dataset.wanted === mine) { image.removeAttribute("src"); image.hidden = true; }
    return error.message;
  }
}

const percent = share => `${(100 * share).toFixed(1)}%`;
const now = item => item.said ? item.said.new : item.label;

function because(item) {
  const sure = `${item.predicted} (${percent(item.probability)})`;
  switch (item.why) {
    case "label": return `The codes speak for ${sure}, and not for ${item.label} (${percent(item.of_label)}).`;
    case "copy": return `It shows the same as ${item.copy_of.path}, whose label is ${item.copy_of.label}.`;
    case "outlier": return `It is far from its class: ${item.deviations.toFixed(1)} typical deviations.`;
    case "wrong":
      return role === "validation" ? `HEAD takes it for ${sure}; its label has ${percent(item.of_label)}.`
        : `A head that was not trained on it takes it for ${sure}; its label has ${percent(item.of_label)}.`;
    default:
      return role === "unlabelled" ? `HEAD takes it for ${sure}.${order === "doubt" ? " It is among those of which HEAD is least sure." : ""}`
        : `Nothing speaks against its label, but the head is not sure: ${sure}.`;
  }
}

function drawParts() {
  const names = { train: "Training set", validation: "Validation set", unlabelled: "To label next" };
  const buttons = state.parts.map(part => {
    const button = element("button", "", `${names[part.role]} (${part.said} of ${part.pictures} looked at)`);
    button.type = "button";
    button.setAttribute("aria-pressed", part.role === role);
    button.addEventListener("click", () => { button.blur(); open(part.role); });
    return button;
  });
  $("parts").replaceChildren(...buttons);
  if (role === "unlabelled") {
    const choice = element("select");
    choice.setAttribute("aria-label", "Order");
    choice.append(new Option("least sure and unlike each other", "doubt"), new Option("at random, as a control", "random"));
    choice.value = order;
    choice.addEventListener("change", () => { order = choice.value; choice.blur(); open(role); });
    $("parts").append(choice);
  }
}

function drawState() {
  const { since, said, relabel, head, copies } = state;
  $("about").textContent = `HEAD ${head}. ${said} ${said === 1 ? "decision" : "decisions"} in ${relabel}. ${copies[0].toUpperCase()}${copies.slice(1)}.`;
  const told = [[since.changed, "labels changed"], [since.set_aside, "pictures set aside"], [since.added, "pictures labelled"]]
    .filter(([n]) => n > 0).map(([n, what]) => `${n} ${what}`);
  const errors = state.head_errors.map(one => `${one.head} ${one.errors} of ${one.pictures}`).join(", ");
  const judge = state.judged_in_folds ? "out of fold" : "on the validation set";
  $("changes").textContent = `Errors of HEAD ${judge}: ${errors}. Since it was trained: ${told.join(", ") || "nothing changed"}.`;
  const { job } = state;
  $("train").disabled = job.running;
  $("progress").hidden = !job.running;
  if (job.running) {
    $("stage").textContent = job.total ? `${job.stage}: ${job.done} of ${job.total}` : job.stage;
    if (job.total) { $("progress").max = job.total; $("progress").value = job.done; } else $("progress").removeAttribute("value");
  } else {
    $("stage").textContent = job.error ? `It could not be trained: ${job.error}` : "";
  }
  drawRounds(job.rounds);
}

const mean = number => Number.isInteger(number) ? String(number) : number.toFixed(1);

function drawRounds(rounds) {
  $("rounds").hidden = rounds.length === 0;
  const line = round => {
    const row = element("tr");
    const labels = [[round.changed, "changed"], [round.set_aside, "set aside"], [round.added, "added"]]
      .filter(([n]) => n > 0).map(([n, what]) => `${n} ${what}`).join(", ") || "none changed";
    const { validation } = round;
    const pairs = validation ? validation.after.map((after, place) => {
      const before = validation.before[place];
      return `${after.head} ${before ? before.errors : "?"} → ${after.errors} of ${after.pictures}`;
    }) : [];
    if (validation && validation.labels_changed) pairs.push(`${validation.labels_changed} of its labels were changed: not the same judge`);
    const cells = [labels, `${mean(round.errors_by_old_labels)} of ${round.judged}`, mean(round.errors_before),
      mean(round.errors_after), round.better.toFixed(2), pairs.join("; ") || "there is none"];
    row.append(...cells.map(text => element("td", "", text)));
    return row;
  };
  $("rounds").tBodies[0].replaceChildren(...rounds.map(line));
  const last = rounds[rounds.length - 1];
  if (!last) return;
  const [low, high] = last.interval_95.map(share => `${(100 * share).toFixed(1)}`);
  $("verdict").textContent = `Last training: the accuracy out of fold changed by ${(100 * last.difference).toFixed(1)} points ` +
    `(95% interval ${low} to ${high}); better by more than ${100 * last.margin} point with probability ` +
    `${last.clearly_better.toFixed(2)}. HEAD was replaced; ${last.seconds.toFixed(1)} s.`;
}

function drawQueue() {
  const first = Math.max(0, Math.min(at - 2, items.length - SHOWN));
  const shown = items.slice(first, first + SHOWN);
  const entries = shown.map((item, place) => {
    const entry = element("li");
    const button = element("button", item.said ? "said" : "");
    button.type = "button";
    const image = element("img");
    image.alt = item.path;
    fill(image, role, item.row, false);
    button.append(image, element("bdi", "", item.said ? `✓ ${now(item) ?? "set aside"}` : now(item) ?? "no label"));
    button.setAttribute("aria-current", first + place === at);
    button.addEventListener("click", () => { button.blur(); go(first + place); });
    entry.append(button);
    return entry;
  });
  $("queue").replaceChildren(...entries);
  $("coming").hidden = items.length === 0;
}

async function drawNeighbours(item) {
  const mine = ++turn;
  const { neighbours } = await ask(`neighbours/${role}/${item.row}`);
  if (mine !== turn) return;
  $("neighbours").replaceChildren(...neighbours.map(neighbour => {
    const entry = element("li", now(item) === null || neighbour.label === now(item) ? "" : "other");
    const image = element("img");
    image.alt = neighbour.path;
    image.title = neighbour.path;
    fill(image, "train", neighbour.row, false);
    entry.append(image, element("bdi", "", neighbour.label ?? "set aside"), element("br"),
      element("span", "note", `distance ${neighbour.distance.toFixed(2)}`));
    return entry;
  }));
}

function draw() {
  const item = items[at];
  const mayChange = role !== "validation" || $("purpose").checked;
  $("judge").hidden = role !== "validation";
  $("look").hidden = !item;
  $("nothing").hidden = Boolean(item);
  if (!item) {
    $("nothing").textContent = "There is nothing to look at here.";
    drawQueue();
    return;
  }
  const open = items.filter(other => !other.said).length;
  $("place").textContent = `Picture ${at + 1} of ${items.length}; ${open} without a decision`;
  $("why").textContent = because(item);
  $("path").textContent = item.path;
  $("label").textContent = now(item) ?? (item.said ? "none, set aside" : "none");
  $("said").textContent = !item.said ? "" : item.said.new === item.label ? "kept" : `was ${item.label ?? "without a label"}`;
  const buttons = state.classes.map((name, place) => {
    const button = element("button");
    button.type = "button";
    button.append(element("bdi", "", name), " ");
    if (place < 9) button.append(element("kbd", "", String(place + 1)));
    button.setAttribute("aria-pressed", name === now(item));
    button.disabled = !mayChange;
    button.addEventListener("click", () => { button.blur(); say("class", name); });
    return button;
  });
  $("classes").replaceChildren(...buttons);
  $("aside").disabled = !mayChange;
  $("keep").disabled = now(item) === null;
  fill($("large"), role, item.row, true).then(why => {
    if (items[at] !== item) return;
    $("nopicture").hidden = !why;
    $("nopicture").textContent = why && `The picture cannot be shown: ${why}`;
  });
  $("large").alt = item.path;
  drawNeighbours(item).catch(error => tell(error.message));
  drawQueue();
  if (items[at + 1]) picture(role, items[at + 1].row, true).catch(() => {});
}

function go(place) {
  if (place < 0 || place >= items.length) return;
  at = place;
  draw();
}

// The next without a decision, from here on and then from the start.
function goOn() {
  const places = items.map((_, step) => (at + 1 + step) % items.length);
  const next = places.find(place => !items[place].said);
  if (next === undefined) { draw(); tell("There is a decision on every picture of this queue."); } else go(next);
}

async function say(decision, name) {
  const item = items[at];
  if (!item) return;
  try {
    state = await post("say", { part: role, row: item.row, decision, class: name, why: because(item),
      on_purpose: role === "validation" && $("purpose").checked });
    tell("");
    drawParts();
    item.said = { new: decision === "keep" ? now(item) : decision === "class" ? name : null };
    drawState();
    goOn();
  } catch (error) {
    tell(error.message);
    if (/changed by another/.test(error.message)) open(role);
  }
}

async function undo() {
  try {
    state = await post("undo");
    const { undone } = state;
    if (!undone) { tell("There is nothing to take back."); return; }
    tell(undone.part ? "" : `Taken back: what was said of ${undone.path}, which is not in these stores.`);
    await open(undone.part || role, undone.row);
  } catch (error) {
    tell(error.message);
  }
}

async function open(part, row) {
  try {
    role = part;
    state = await ask("state");
    drawParts();
    drawState();
    items = (await ask(`queue/${part}?order=${part === "unlabelled" ? order : "doubt"}`)).items;
    const wanted = row === undefined ? items.findIndex(item => !item.said) : items.findIndex(item => item.row === row);
    at = Math.max(0, wanted);
  } catch (error) {
    items = [];
    tell(error.message);
  }
  draw();
}

async function watch() {
  for (;;) {
    await new Promise(resolve => setTimeout(resolve, 400));
    state = await ask("state");
    drawState();
    if (!state.job.running) return;
  }
}

async function train() {
  try {
    await post("train");
    await watch();
    await open(role);
  } catch (error) {
    tell(error.message);
  }
}

function large() {
  const item = items[at];
  if (!item) return;
  if ($("zoom").open) { $("zoom").close(); return; }
  fill($("zoomed"), role, item.row, true);
  $("zoom").showModal();
}

const actions = { keep: () => say("keep"), aside: () => say("aside"), undo, previous: () => go(at - 1),
  following: () => go(at + 1), big: large, train };
for (const [id, act] of Object.entries(actions)) {
  $(id).addEventListener("click", () => { $(id).blur(); act(); });
}
$("large").addEventListener("click", large);
$("zoomed").addEventListener("click", large);
$("purpose").addEventListener("change", () => { $("purpose").blur(); draw(); });

document.addEventListener("keydown", event => {
  if (event.altKey || event.metaKey || event.target.tagName === "SELECT") return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (event.ctrlKey) {
    if (key === "z") { event.preventDefault(); undo(); }
    return;
  }
  // A button that has the focus takes its own keys.
  if ((key === "Enter" || key === " ") && /^(BUTTON|INPUT)$/.test(event.target.tagName)) return;
  const place = "123456789".indexOf(key);
  const mayChange = role !== "validation" || $("purpose").checked;
  const keys = { Enter: actions.keep, x: () => mayChange && say("aside"), u: undo, ArrowLeft: actions.previous,
    ArrowRight: actions.following, b: large };
  if (place >= 0 && place < state?.classes.length) {
    if (mayChange) say("class", state.classes[place]);
    else tell("These pictures judge the heads. Allow changes above, if this one's label is surely wrong.");
  } else if (keys[key]) {
    event.preventDefault();
    keys[key]();
  }
});

open("train").then(async () => {
  if (state?.job.running) { await watch(); await open(role); }
  // Copies are looked for meanwhile.
  while (state && state.copies === "looking for copies") {
    await new Promise(resolve => setTimeout(resolve, 1000));
    state = await ask("state");
    if (state.copies !== "looking for copies") await open(role, items[at]?.row);
  }
}).catch(error => tell(error.message));
