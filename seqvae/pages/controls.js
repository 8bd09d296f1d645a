/*
 * Controls of the instrument's pages. Needs elements.js.
 *
 *   actionButton(name, act, label)    a button; what goes wrong in `act` is said
 *   switchOf(name, isOn, act)         a button that is on or off
 *   sliderOf([less, more], range, onMove)    { element, show(number) }
 *   trying(act)                       what fails is said in a line
 *   say(text)                         in a line above all else, which goes after a while
 */
"use strict";

const SAID_SECONDS = 10;
const said = html("p", { class: "said", role: "status", onclick: () => say("") });
document.body.append(said);
let forgetting = null;

function say(text) {
  said.textContent = text;
  clearTimeout(forgetting);
  if (text) forgetting = setTimeout(() => say(""), 1000 * SAID_SECONDS);
}

async function trying(act) {
  try {
    say("");
    await act();
  } catch (error) {
    say(error.message);
  }
}

function actionButton(name, act, label = null) {
  return html("button", { type: "button", "aria-label": label, onclick: () => trying(act) }, name);
}

function switchOf(name, isOn, act) {
  const button = html("button", { class: "toggle", type: "button", "aria-pressed": isOn,
    onclick: () => {
      const turned = button.getAttribute("aria-pressed") !== "true";
      button.setAttribute("aria-pressed", turned);
      act(turned);
    } }, name);
  return button;
}

function sliderOf([less, more], range, onMove) {
  const value = html("span", {}, "");
  const input = html("input", { type: "range", ...range, value: 0,
    "aria-label": `from ${less} to ${more}`,
    oninput: () => onMove(Number(input.value), false),
    onchange: () => onMove(Number(input.value), true) });
  const element = html("label", { class: "slider" }, html("span", {}, less), value,
    html("span", {}, more), input);
  const show = (number) => {
    input.value = number;
    value.textContent = number ? number.toFixed(2).replace("-", "−") : "";
  };
  return { element, show };
}
