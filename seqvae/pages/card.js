/*
 * Cards: a clip with its piano roll, and buttons to play and to download it. Needs elements.js,
 * midi.js, roll.js and a Player of synth.js.
 *
 *   new ClipCard(clip, name, player, { layout, tag, fileName })    a view for the player
 *     .element                                                     to be put on a page
 *
 * The page's CSS defines the classes clip, name, play, start, stop and save.
 */
"use strict";

class ClipCard {
  constructor(clip, name, player, options = {}) {
    const { layout = rollLayout([clip]), tag = "div", fileName = `${name}.mid` } = options;
    this.clip = clip;
    this.roll = new PianoRoll(clip, layout);
    this.button = playButton(name);
    this.button.addEventListener("click", () => player.toggle(this));
    const save = html("button", {
      class: "save", type: "button", "aria-label": `Download ${name} as MIDI`,
      onclick: () => downloadMidi(clip, fileName),
    }, "↓ MIDI");
    const header = html("header", {}, html("span", { class: "name" }, name), save, this.button);
    this.element = html(tag, { class: "clip" }, header, this.roll.element);
  }

  onStart() { this.showPlaying(true); }

  onMove(steps) { this.roll.movePlayhead(steps); }

  onEnd() { this.showPlaying(false); }

  showPlaying(isPlaying) {
    this.button.setAttribute("aria-pressed", isPlaying);
    this.button.lastChild.textContent = isPlaying ? "Stop" : "Play";
    this.roll.showPlayhead(isPlaying);
  }
}

function playButton(name) {
  return html("button", {
    class: "play", type: "button", "aria-pressed": "false", "aria-label": `Play ${name}`,
  }, svg("svg", { viewBox: "0 0 10 10", "aria-hidden": "true" },
    svg("path", { class: "start", d: "M1 0L10 5L1 10Z" }),
    svg("path", { class: "stop", d: "M0.5 0.5H9.5V9.5H0.5Z" })),
  html("span", {}, "Play"));
}

function downloadMidi(clip, fileName) {
  const url = URL.createObjectURL(new Blob([clip.file ?? midiFile(clip)], { type: "audio/midi" }));
  html("a", { href: url, download: fileName.replace(/[^\w.]+/g, "_") }).click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}
