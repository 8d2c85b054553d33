
"use strict";
const sheet = JSON.parse(document.getElementById("sheet").textContent);
const KEYS = "1234567890qwertyuiopasdfghjklzxcvbnm";
const at = (id) => document.getElementById(id);
const memory = "labelmill-" + sheet.id;
let state = { at: 0, answers: {}, seen: {}, judge: sheet.judge, minutes: "", seconds: 0 };
try { state = Object.assign(state, JSON.parse(localStorage.getItem(memory) || "{}")); } catch (e) {}

function keep() {
  try { localStorage.setItem(memory, JSON.stringify(state)); } catch (e) {}
}

function element(name, text) {
  const made = document.createElement(name);
  made.textContent = text;
  return made;
}

const buttons = sheet.classes.map((name, n) => {
  const button = element("button", name);
  button.type = "button";
  if (n < KEYS.length) button.append(element("kbd", KEYS[n]));
  button.addEventListener("click", () => answer(name));
  at("classes").append(button);
  return button;
});

function draw() {
  const record = sheet.records[state.at];
  const given = state.answers[record.id];
  const names = Object.keys(record.values);
  at("record").replaceChildren(...names.flatMap((name) => {
    const value = record.values[name];
    const parts = [element("p", value === null ? "(empty)" : value)];
    return names.length > 1 ? [element("h2", name), ...parts] : parts;
  }));
  buttons.forEach((button, n) => {
    button.setAttribute("aria-pressed", String(given === sheet.classes[n]));
  });
  at("unsure").setAttribute("aria-pressed", String(given === null));
  at("show").hidden = record.predicted === null;
  at("prediction").textContent = state.seen[record.id] && record.predicted !== null
    ? "Predicted: " + record.predicted : "";
  const done = sheet.records.filter((r) => r.id in state.answers).length;
  at("progress").textContent =
    "Record " + (state.at + 1) + " of " + sheet.records.length + ", " + done + " answered";
  at("bar").max = sheet.records.length;
  at("bar").value = done;
  keep();
}

function move(by) {
  state.at = Math.min(Math.max(state.at + by, 0), sheet.records.length - 1);
  draw();
}

function answer(label) {
  state.answers[sheet.records[state.at].id] = label;
  move(1);
}

function clear() {
  delete state.answers[sheet.records[state.at].id];
  draw();
}

function show() {
  if (at("show").hidden) return;
  state.seen[sheet.records[state.at].id] = true;
  draw();
}

function save() {
  const answers = sheet.records.filter((r) => r.id in state.answers).map((r) => ({
    id: r.id, label: state.answers[r.id], saw_prediction: Boolean(state.seen[r.id]),
  }));
  const minutes = at("minutes").value === "" ? null : Number(at("minutes").value);
  const content = { schema: "labelmill-answers", version: 1, sheet: sheet.id,
    judge: at("judge").value.trim(), minutes: minutes, answers: answers };
  const link = document.createElement("a");
  link.href = URL.createObjectURL(
    new Blob([JSON.stringify(content, null, 1)], { type: "application/json" }));
  const who = content.judge.replace(/[^\p{L}\p{N}]+/gu, "-");
  link.download = "answers-" + sheet.id + (who ? "-" + who : "") + ".json";
  document.body.append(link);
  link.click();
  link.remove();
}

at("back").addEventListener("click", () => move(-1));
at("next").addEventListener("click", () => move(1));
at("unsure").addEventListener("click", () => answer(null));
at("clear").addEventListener("click", clear);
at("show").addEventListener("click", show);
at("save").addEventListener("click", save);
for (const name of ["judge", "minutes"]) {
  at(name).value = state[name];
  at(name).addEventListener("input", () => { state[name] = at(name).value; keep(); });
}
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.tagName === "INPUT") return;
  const n = KEYS.indexOf(event.key.toLowerCase());
  if (event.key === "ArrowLeft") move(-1);
  else if (event.key === "ArrowRight") move(1);
  else if (event.key === "?") answer(null);
  else if (event.key === "!") show();
  else if (event.key === "Backspace") clear();
  else if (n >= 0 && n < sheet.classes.length) answer(sheet.classes[n]);
  else return;
  event.preventDefault();
});
setInterval(() => {
  if (document.hidden || state.minutes !== "") return;
  state.seconds += 5;
  at("minutes").placeholder = (state.seconds / 60).toFixed(1) + " so far";
  keep();
}, 5000);
draw();
