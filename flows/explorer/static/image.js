// The slider over variants: it swaps a picture and the facts below it. Without it, a form asks.
"use strict";

const MILLISECONDS = 150; // after the last move of the slider
const slider = document.querySelector("[data-slider]");
const picture = document.querySelector("[data-slider-picture]");
const facts = document.querySelector("[data-slider-facts]");
const number = document.querySelector("form.slider input[name=index]");
let timer;
let asked; // what is asked for and not yet answered

function addressAt(template, index) {
  return template.replace("{index}", encodeURIComponent(index));
}

async function show(index) {
  asked?.abort();
  asked = new AbortController();
  picture.src = addressAt(picture.dataset.sliderPicture, index);
  picture.hidden = false;
  try {
    const answer = await fetch(addressAt(facts.dataset.sliderFacts, index), { signal: asked.signal });
    if (!answer.ok) throw new Error(answer.status);
    facts.innerHTML = await answer.text(); // made by a template, which escapes every name
  } catch (error) {
    if (error.name !== "AbortError") facts.textContent = "This variant could not be made.";
  }
}

if (slider) {
  slider.hidden = false;
  slider.addEventListener("input", () => {
    number.value = slider.value;
    clearTimeout(timer);
    timer = setTimeout(show, MILLISECONDS, slider.value);
  });
}
