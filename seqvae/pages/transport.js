/*
 * Playing, time, and keeping what is heard. Needs stage.js, frame.js,
 * chord_field.js and shaping.js.
 */
"use strict";

const playButtonOf = html("button", { class: "main", type: "button", "aria-pressed": "false",
  onclick: () => toggle() },
svg("svg", { viewBox: "0 0 10 10", "aria-hidden": "true" },
  svg("path", { class: "start", d: "M1 0L10 5L1 10Z" }),
  svg("path", { class: "stop", d: "M0.5 0.5H9.5V9.5H0.5Z" })), html("span", {}, "Play"));
const tempo = html("input", { type: "number", min: 30, max: 300, value: 120,
  onchange: () => setTempo(Number(tempo.value)) });

function toggle() {
  if (looper.isPlaying) looper.stop();
  else {
    looper.start();
    showPlaying(true);
  }
}

function showPlaying(isPlaying) {
  playButtonOf.setAttribute("aria-pressed", isPlaying);
  playButtonOf.lastChild.textContent = isPlaying ? "Stop" : "Play";
  editor.showPlayhead(isPlaying);
}

function setTempo(qpm) {
  looper.qpm = Math.min(Math.max(qpm || 120, 30), 300);
  tempo.value = Math.round(looper.qpm);
}

const metre = html("select", { "aria-label": "Metre",
  onchange: () => instrument.set({ bar: metre.selectedIndex, clip: null }) },
settings.metres.map((names) => html("option", {}, names.join(", "))));

/** Of a model with bars of several lengths. */
function metreField() {
  return settings.bars.length > 1 ? html("label", { class: "field" }, "Metre", metre) : null;
}

function transport() {
  return html("div", { class: "deck" },
    html("section", { class: "transport", "aria-label": "Playing" }, playButtonOf,
      html("button", { class: "idea", type: "button", onclick: () => trying(surprise) },
        "Surprise me")),
    html("section", { class: "settings", "aria-label": "Time" },
      html("label", { class: "field" }, "Tempo", tempo), metreField(), chordField(),
      switchOf("Loop", true, (isOn) => { looper.isLooping = isOn; }),
      switchOf("Metronome", false, (isOn) => { looper.hasMetronome = isOn; })),
    html("section", { class: "files", "aria-label": "Keeping" }, undoButton,
      actionButton("Copy link", () => copyLink({ qpm: looper.qpm })),
      actionButton("Save MIDI", saveMidi), actionButton("Save WAV", saveWav)));
}

/** Whoever asks for something new wants to hear it. */
function sound() { if (!looper.isPlaying) toggle(); }

const fileName = (ending) => `${data.title.replace(/\W+/g, "_")}.${ending}`;

function saveMidi() { downloadMidi(currentClip(), fileName("mid")); }

async function saveWav() {
  const url = URL.createObjectURL(new Blob([await wavFile(currentClip())], { type: "audio/wav" }));
  html("a", { href: url, download: fileName("wav") }).click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}
