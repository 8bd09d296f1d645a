/*
 * What frames the pages of instruments: their head, undo, and the link that holds a state. Needs
 * elements.js, link.js and controls.js, and what makes `data` and `instrument`.
 */
"use strict";

/** melody_2bar -> Melody, 2 bars */
const title = formatName(data.title.replace(/_(\d+)bar$/, ", $1 bars"))
  .replace(/^./, (letter) => letter.toUpperCase());
const undoButton = html("button", { type: "button", onclick: () => instrument.undo() }, "Undo");

function heading(lead) {
  return html("header", {},
    html("h1", {}, title),
    html("p", { class: "lead" }, lead),
    html("p", { class: "muted credit" }, `${data.quality} `,
      data.licence ? `Licence: ${formatLicence(data.licence)}. ` : "", "Nothing leaves this page."),
    data.warnings.map((warning) => html("p", { class: "warning", role: "note" }, warning)));
}

/** cc-by-sa-4.0 -> CC BY-SA 4.0; other licences are called by their identifiers. */
function formatLicence(id) {
  return /^cc/i.test(id) ? id.toUpperCase().replace("CC-", "CC ").replace(/-(?=\d)/, " ") : id;
}

async function copyLink(beside = {}) {
  location.hash = toFragment({ ...instrument.state, ...beside });
  try {
    await navigator.clipboard.writeText(location.href);
    say("The link is copied: it holds what you have now.");
  } catch {
    say("The link is in the address bar: it holds what you have now.");
  }
}

/** The state in the link that opened the page, or null. */
function linkedState() {
  const state = location.hash ? fromFragment(location.hash.slice(1)) : null;
  return state?.z ? state : null;
}

addEventListener("keydown", (event) => {
  if (event.key !== "z" || !(event.ctrlKey || event.metaKey)) return;
  if (event.target.closest("textarea")) return; // which has an undo of its own
  event.preventDefault();
  instrument.undo();
});

document.title = `${title} – seqvae`;
undoButton.disabled = true;
