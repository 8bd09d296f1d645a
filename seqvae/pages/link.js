/*
 * The state of the instrument in the fragment of a link. Needs nothing else.
 *
 *   toFragment(state)         a text of letters, digits, - and _
 *   fromFragment(fragment)    the state, or null where the text is none
 *
 * Codes are written in full: who follows the link hears the same notes.
 */
"use strict";

function toFragment(state) {
  const plain = JSON.stringify(state, (_, value) =>
    (value instanceof Float32Array ? { float32: base64Of(new Uint8Array(value.slice().buffer)) }
      : value));
  return urlSafe(base64Of(new TextEncoder().encode(plain)));
}

function fromFragment(fragment) {
  try {
    const text = atob(fragment.replaceAll("-", "+").replaceAll("_", "/"));
    const bytes = Uint8Array.from(text, (character) => character.charCodeAt(0));
    return JSON.parse(new TextDecoder().decode(bytes), (_, value) =>
      (value && typeof value.float32 === "string" ? floatsOf(value.float32) : value));
  } catch {
    return null;
  }
}

function base64Of(bytes) {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text);
}

function urlSafe(base64) {
  return base64.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

function floatsOf(base64) {
  const text = atob(base64);
  return new Float32Array(Uint8Array.from(text, (character) => character.charCodeAt(0)).buffer);
}
