"use strict";

const SVG = "http" + "://www.w3.org/2000/svg";

const by = (id) => document.getElementById(id);

/* A response of the server, within the page's PATIENCE_MS; an error has the server's message and status. */
async function ask(path, options) {
  /* The origin alone: an address with a password in it must not be fetched from. */
  const answer = await fetch(location.origin + path, { cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS), ...options });
  if (answer.ok) return answer;
  let message = "the server returned " + answer.status;
  try { message = (await answer.json()).error.message; } catch { /* it has said all it says */ }
  const error = new Error(message);
  error.status = answer.status;
  throw error;
}
const askJson = async (path, options) => (await ask(path, options)).json();

/* What is from others is only ever set as text. */
function make(tag, text, attributes = {}) {
  const element = document.createElement(tag);
  if (text !== undefined) element.textContent = text;
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}
function draw(tag, attributes) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

/* A scale that ends on a round number. */
function roundUp(value) {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((step) => step * power).find((step) => step >= value * .999);
}
