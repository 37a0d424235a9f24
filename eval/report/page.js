"use strict";

// The page reports to whoever tests it: what went wrong, and the sum of what each side shows.
const root = document.documentElement;
root.dataset.errors = "0";
const failed = () => { root.dataset.errors = String(Number(root.dataset.errors) + 1); };
addEventListener("error", failed);
addEventListener("unhandledrejection", failed);

const GAIN = 8;
const images = JSON.parse(document.getElementById("data").textContent);
const at = (id) => document.getElementById(id);
const sides = ["left", "right"];
const state = { image: 0, cut: 0, left: "mean", right: "original", zoom: 1, x: 0.5, y: 0.5, difference: false };
const loaded = new Map();
let turn = 0;

const here = () => images[state.image];
const choices = () => [...here().layers.map((l) => [l.key, l.label]), ["original", "original"]];
const whole = (n) => n.toLocaleString("en-US");

// --- what a side shows ---

function shown(side) {
  const p = here();
  if (state[side] === "original") return { source: p.original, text: "original" };
  const layer = p.layers.find((l) => l.key === state[side]);
  const cut = layer.cuts[state.cut];
  if (cut === null) return { source: null, text: "has no file of so few bytes" };
  const bpp = (8 * cut.bytes / (p.width * p.height)).toFixed(3);
  const quality = cut.psnr === null ? "exact" : cut.psnr.toFixed(2) + " dB";
  return { source: cut.source, text: `${whole(cut.bytes)} bytes, ${bpp} bpp, ${quality}` };
}

function samples(source) { // the pixels of an image of the album, once decoded
  const key = state.image + ":" + source;
  if (!loaded.has(key)) loaded.set(key, decode(here().sources[source]));
  return loaded.get(key);
}

async function decode(address) {
  const image = new Image();
  image.src = address;
  await image.decode();
  const canvas = document.createElement("canvas");
  canvas.width = image.naturalWidth;
  canvas.height = image.naturalHeight;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(image, 0, 0);
  return context.getImageData(0, 0, canvas.width, canvas.height);
}

function difference(a, b) {
  const out = new ImageData(a.width, a.height);
  for (let i = 0; i < a.data.length; i++) {
    out.data[i] = i % 4 === 3 ? 255 : Math.min(255, GAIN * Math.abs(a.data[i] - b.data[i]));
  }
  return out;
}

async function draw(side, now) {
  const what = shown(side);
  const canvas = at(side + "-image");
  const [width, height] = here().shown;
  let image = new ImageData(width, height);
  if (what.source !== null) {
    const [own, original] = await Promise.all([samples(what.source), samples(here().original)]);
    image = state.difference ? difference(own, original) : own;
  }
  if (now !== turn) return; // something newer is under way
  const sheet = document.createElement("canvas");
  sheet.width = canvas.width = width;
  sheet.height = canvas.height = height;
  sheet.getContext("2d").putImageData(image, 0, 0);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const [w, h] = [width / state.zoom, height / state.zoom];
  const left = Math.round(Math.min(Math.max(state.x * width - w / 2, 0), width - w));
  const top = Math.round(Math.min(Math.max(state.y * height - h / 2, 0), height - h));
  context.imageSmoothingEnabled = false;
  context.drawImage(sheet, left, top, w, h, 0, 0, width, height);
  canvas.classList.toggle("zoomed", state.zoom > 1);
  canvas.setAttribute("aria-label", `${side}: ${label(side)}, ${what.text}`);
  at(side + "-facts").textContent = what.text;
  const drawn = context.getImageData(0, 0, width, height).data;
  let sum = 0;
  for (let i = 0; i < drawn.length; i++) if (i % 4 !== 3) sum += drawn[i];
  canvas.dataset.sum = String(sum);
}

const label = (side) => choices().find(([key]) => key === state[side])[1];

async function render() {
  const now = ++turn;
  const p = here();
  delete root.dataset.ready;
  at("cut").value = String(state.cut);
  at("bytes").textContent = `${whole(p.bytes[state.cut])} (${p.bpp[state.cut].toFixed(3)} bpp)`;
  at("cut").setAttribute("aria-valuetext", `${whole(p.bytes[state.cut])} bytes`);
  at("zoom").value = String(state.zoom);
  at("difference").checked = state.difference;
  for (const side of sides) at(side).value = state[side];
  await Promise.all(sides.map((side) => draw(side, now)));
  if (now === turn) root.dataset.ready = "1";
}

// --- the address remembers what is shown ---

function remember() {
  const words = new URLSearchParams({ image: state.image, bytes: here().bytes[state.cut],
    left: state.left, right: state.right, zoom: state.zoom, difference: Number(state.difference) });
  history.replaceState(null, "", "#" + words);
}

function recall() {
  const words = new URLSearchParams(location.hash.slice(1));
  const image = Number(words.get("image") ?? 0);
  state.image = image in images ? image : 0;
  fill();
  if (words.has("bytes")) { // the last cut that is not larger
    const bytes = Number(words.get("bytes"));
    state.cut = Math.max(0, here().bytes.findLastIndex((b) => b <= bytes));
  }
  for (const side of sides) {
    if (choices().some(([key]) => key === words.get(side))) state[side] = words.get(side);
  }
  if (["1", "2", "4", "8"].includes(words.get("zoom"))) state.zoom = Number(words.get("zoom"));
  if (words.has("difference")) state.difference = words.get("difference") === "1";
  render();
}

// --- what people do ---

function set(change) {
  Object.assign(state, change);
  if ("image" in change) fill();
  remember();
  render();
}

function fill() { // the choices that this image has
  const p = here();
  state.cut = Math.min(state.cut, p.bytes.length - 1);
  at("cut").max = String(p.bytes.length - 1);
  at("stops").replaceChildren(...p.bytes.map((_, i) => new Option("", String(i))));
  for (const side of sides) {
    at(side).replaceChildren(...choices().map(([key, text]) => new Option(text, key)));
    if (!choices().some(([key]) => key === state[side])) state[side] = "original";
  }
  at("image").value = String(state.image);
  const cropped = p.shown[0] < p.width || p.shown[1] < p.height;
  at("crop").textContent = cropped
    ? `Shown is the middle ${p.shown.join("x")} of ${p.width}x${p.height}; errors are of all of it.`
    : `${p.name}, ${p.width}x${p.height}.`;
}

const bound = (n, low, high) => Math.min(Math.max(n, low), high);
const turnZoom = (factor) => set({ zoom: bound(state.zoom * factor, 1, 8) });
const stepCut = (by) => set({ cut: bound(state.cut + by, 0, here().bytes.length - 1) });

function move(dx, dy) { // by a share of what is in view
  const margin = 0.5 / state.zoom;
  state.x = bound(state.x + dx / state.zoom, margin, 1 - margin);
  state.y = bound(state.y + dy / state.zoom, margin, 1 - margin);
  render();
}

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

function key(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const tag = event.target.tagName;
  if (tag === "SELECT" || (tag === "INPUT" && event.key in ARROWS)) return; // they know their keys
  const arrow = ARROWS[event.key];
  if (arrow && tag === "CANVAS" && state.zoom > 1) move(arrow[0] / 8, arrow[1] / 8);
  else if (arrow && arrow[0]) stepCut(arrow[0]);
  else if (event.key === "+" || event.key === "=") turnZoom(2);
  else if (event.key === "-") turnZoom(0.5);
  else if (event.key === "d") set({ difference: !state.difference });
  else if (event.key === "s") set({ left: state.right, right: state.left });
  else return;
  event.preventDefault();
}

function drag(event) {
  if (event.buttons !== 1 || state.zoom === 1) return;
  const box = event.currentTarget.getBoundingClientRect();
  move(-event.movementX / box.width, -event.movementY / box.height);
}

at("image").replaceChildren(...images.map((p, i) => new Option(p.name, String(i))));
at("image-label").hidden = images.length < 2;
at("image").addEventListener("change", (e) => set({ image: Number(e.target.value) }));
at("cut").addEventListener("input", (e) => set({ cut: Number(e.target.value) }));
at("zoom").addEventListener("change", (e) => set({ zoom: Number(e.target.value) }));
at("difference").addEventListener("change", (e) => set({ difference: e.target.checked }));
for (const side of sides) {
  at(side).addEventListener("change", (e) => set({ [side]: e.target.value }));
  at(side + "-image").addEventListener("pointermove", drag);
}
addEventListener("keydown", key);
addEventListener("hashchange", recall);
state.cut = Math.floor(images[0].bytes.length / 3);
if (images[0].layers.some((l) => l.key === "jpeg2000")) state.right = "jpeg2000";
at("viewer").hidden = false;
recall();
