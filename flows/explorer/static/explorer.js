// What pages do without being loaded anew: parts that come later, and keys. Pages work without it.
"use strict";

// --- parts that come later: <div data-fetch="/images/counts?...">

async function fill(part) {
  part.setAttribute("aria-busy", "true");
  try {
    const answer = await fetch(part.dataset.fetch);
    if (!answer.ok) throw new Error(answer.status);
    part.innerHTML = await answer.text(); // made by a template, which escapes every name
  } catch {
    part.textContent = "This could not be loaded: is `variegate ui` still up?";
  }
  part.removeAttribute("aria-busy");
}

document.querySelectorAll("[data-fetch]").forEach(fill);

// --- filters: those that nobody filled stay out of the address, and out of the way of few pixels

document.addEventListener("formdata", (event) => {
  const empty = [...event.formData].filter(([, value]) => value === "");
  empty.forEach(([name]) => event.formData.delete(name));
});

if (matchMedia("(max-width: 60rem)").matches) {
  document.querySelectorAll("details.filters").forEach((each) => each.removeAttribute("open"));
}

// --- keys

const keys = document.getElementById("keys");

function pictures() {
  const cells = [...document.querySelectorAll(".grid > *")];
  return cells.map((cell) => (cell.matches("a") ? cell : cell.querySelector("a"))).filter(Boolean);
}

function move(step) {
  const all = pictures();
  const at = all.indexOf(document.activeElement);
  focus(all[at < 0 ? 0 : at + step]);
}

// The picture above or below: the nearest in the next row of the grid.
function moveRow(direction) {
  const place = (picture) => picture.getBoundingClientRect();
  const from = place(document.activeElement);
  const beyond = pictures().filter((each) => direction * (place(each).top - from.top) > 1);
  const distance = (each) =>
    4 * Math.abs(place(each).top - from.top) + Math.abs(place(each).left - from.left);
  beyond.sort((one, other) => distance(one) - distance(other));
  focus(beyond[0]);
}

function focus(element) {
  element?.focus();
}

function toFilters() {
  const field = document.querySelector("main form :is(input, select):not([type=hidden])");
  field?.closest("details")?.setAttribute("open", "");
  focus(field);
}

function follow(relation) {
  document.querySelector(`a[rel~="${relation}"]`)?.click();
}

const ALWAYS = {
  j: () => move(1),
  k: () => move(-1),
  n: () => follow("next"),
  p: () => follow("prev"),
  "/": toFilters,
  "?": () => keys.showModal(),
};
const ON_A_PICTURE = {
  ArrowRight: () => move(1),
  ArrowLeft: () => move(-1),
  ArrowDown: () => moveRow(1),
  ArrowUp: () => moveRow(-1),
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || keys.open) return;
  if (event.target.closest("input, select, textarea")) return;
  const onPicture = pictures().includes(document.activeElement);
  const begins = event.key === "ArrowRight" && document.activeElement === document.body;
  const does = ALWAYS[event.key] ?? ((onPicture || begins) && ON_A_PICTURE[event.key]);
  if (!does) return;
  event.preventDefault();
  does();
});

const button = document.querySelector("[data-keys]");
button.hidden = false;
button.addEventListener("click", () => keys.showModal());
