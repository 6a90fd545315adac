// The slider over variants: it swaps a picture and the facts below it, and shows the first one once
// it is seen. Without it, a form asks.
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

// Making one takes a second or more, which most visits to the page have no use for.
function showOnceSeen() {
  const seen = new IntersectionObserver((entries) => {
    if (!entries.some((entry) => entry.isIntersecting)) return;
    seen.disconnect();
    if (picture.hidden && !facts.textContent.trim()) show(slider.value);
  });
  seen.observe(slider);
}

if (slider) {
  slider.closest("[data-with-slider]").hidden = false;
  showOnceSeen();
  slider.addEventListener("input", () => {
    number.value = slider.value;
    clearTimeout(timer);
    timer = setTimeout(show, MILLISECONDS, slider.value);
  });
}
