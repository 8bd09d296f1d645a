/*
 * Clips to play, in a frame of another page, which is told the height that they need. Needs
 * elements.js, clip.js, midi.js, synth.js, roll.js and card.js.
 */
"use strict";

const { grid, clips } = JSON.parse(document.getElementById("data").textContent);
const player = new Player();

function bytesOf(base64) {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}

function showClips() {
  const unpacked = clips.map(({ packed, file }) => (
    { ...unpackClip(packed, grid), file: bytesOf(file) }));
  const layout = rollLayout(unpacked);
  const cards = unpacked.map((clip, i) => new ClipCard(clip, clips[i].name, player, {
    layout, tag: "li", fileName: clips[i].file_name,
  }));
  const page = document.getElementById("page");
  if (cards.length > 1) {
    page.append(html("button", { type: "button", onclick: () => player.toggleAll(cards) },
      "Play all"));
  }
  page.append(html("ol", { class: "clips" }, cards.map((card) => card.element)));
}

function tellHeight() {
  parent.postMessage({ seqvaeHeight: Math.ceil(document.body.scrollHeight) }, "*");
}

showClips();
new ResizeObserver(tellHeight).observe(document.body);
