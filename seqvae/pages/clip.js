"use strict";

function playButton(name) {
  return html("button", { class: "play", type: "button", "aria-pressed": "false",
    "aria-label": `Play ${name}` },
    svg("svg", { viewBox: "0 0 10 10", "aria-hidden": "true" },
      svg("path", { class: "start", d: "M1 0L10 5L1 10Z" }),
      svg("path", { class: "stop", d: "M0.5 0.5H9.5V9.5H0.5Z" })),
    html("span", {}, "Play"));
}

function clipView(clip, name, rows, tag = "div") {
  const notes = notesOf(clip);
  const button = playButton(name);
  const picture = roll(clip, notes, rows);
  const show = (playing) => {
    button.setAttribute("aria-pressed", playing);
    button.lastChild.textContent = playing ? "Stop" : "Play";
    picture.classList.toggle("playing", playing);
  };
  const view = {
    clip, notes: notes.toSorted((a, b) => a.start - b.start),
    started: () => show(true), ended: () => show(false),
    moved: (steps) => {
      const share = (steps + MARGIN) / (Math.max(clip.steps, 1) + 2 * MARGIN);
      picture.lastChild.style.left = `${100 * share}%`;
    },
  };
  button.addEventListener("click", () => player.toggle(view));
  const save = html("button", { class: "save", type: "button",
    "aria-label": `Download ${name} as MIDI`, onclick: () => download(clip, notes, name) },
    "↓ MIDI");
  const node = html(tag, { class: "clip" },
    html("header", {}, html("span", { class: "name" }, name), save, button), picture);
  return { node, view };
}

function download(clip, notes, name) {
  const url = URL.createObjectURL(new Blob([midiFile(clip, notes)], { type: "audio/midi" }));
  const file = `${data.title} ${name}.mid`.replace(/[^\w.]+/g, "_");
  html("a", { href: url, download: file }).click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}
