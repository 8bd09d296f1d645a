/*
 * A path: places on the map that the puck goes through, one each time the loop turns. Needs
 * places.js.
 */
"use strict";

const NUM_STATIONS = 8;
let path = null;

const pathButton = switchOf("Draw a path", false, (isOn) => startPath(isOn));

function startPath(isOn) {
  path = isOn ? { places: [], station: 0 } : null;
  say(isOn ? "Draw on the map: each turn of the loop takes the next place of your line." : "");
}

mapPad.canvas.addEventListener("pointerdown", () => { if (path) path.places = []; });
mapPad.canvas.addEventListener("pointermove", () => {
  if (path && mapPad.isDragged) path.places.push(mapPad.place);
});
mapPad.canvas.addEventListener("pointerup", () => {
  if (!path) return;
  if (path.places.length < NUM_STATIONS) say("That was too short: draw a line across the map.");
  else sound();
});

/** There and back again. */
function followPath() {
  if (!path || mapPad.isDragged || path.places.length < NUM_STATIONS) return;
  path.station = (path.station + 1) % (2 * NUM_STATIONS - 2);
  const number = path.station < NUM_STATIONS ? path.station : 2 * NUM_STATIONS - 2 - path.station;
  const last = path.places.length - 1;
  mapPad.moveTo(path.places[Math.round(number * last / (NUM_STATIONS - 1))]);
  moveOnMap(false);
}
