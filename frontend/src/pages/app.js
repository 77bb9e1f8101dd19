"use strict";
// The page at /: sends the chosen picture to /detect, draws what comes back, and shows /stats.

const $ = (id) => document.getElementById(id);
const COLORS = ["#e6194b", "#3cb44b", "#0082c8", "#f58230", "#911eb4", "#008080", "#f032e6", "#9a6324"];
let picture = null; // the File or Blob that was chosen last
let request = 0; // counts requests, so that a late answer does not overwrite a newer one

function say(text, bad = false) {
  $("result").textContent = text;
  $("result").className = bad ? "bad" : "";
}

function list(id, rows) {
  $(id).replaceChildren(...rows.flatMap(([name, value]) => {
    const dt = document.createElement("dt");
    const dd = document.createElement("dd");
    dt.textContent = name;
    dd.textContent = value;
    return [dt, dd];
  }));
}

async function detect() {
  if (!picture) return;
  const mine = ++request;
  const query = new URLSearchParams();
  for (const name of ["score", "classes"]) if ($(name).value) query.set(name, $(name).value);
  say("detecting …");
  $("again").disabled = false;
  const began = performance.now();
  let answer;
  try {
    const headers = { "Content-Type": "application/octet-stream" };
    const response = await fetch("/detect?" + query, { method: "POST", headers, body: picture });
    answer = await response.json();
    if (mine !== request) return;
    if (!response.ok) return show(null), say(`${answer.title}: ${answer.detail}`, true);
  } catch (error) {
    if (mine === request) show(null), say(`The service did not answer: ${error.message}`, true);
    return;
  }
  const took = (performance.now() - began).toFixed(0);
  const found = answer.detections ?? answer.classes;
  say(`${found.length} found in ${answer.timing_ms.total} ms (${took} ms with the way here and back)`);
  await draw(answer.detections ?? []);
  if (mine === request) show(answer);
}

async function draw(detections) {
  const canvas = $("canvas");
  let bitmap;
  try {
    bitmap = await createImageBitmap(picture, { imageOrientation: "from-image" });
  } catch {
    canvas.hidden = true; // the service reads formats that this browser does not
    return;
  }
  [canvas.width, canvas.height] = [bitmap.width, bitmap.height];
  const paint = canvas.getContext("2d");
  paint.drawImage(bitmap, 0, 0);
  const unit = Math.max(bitmap.width, bitmap.height) / 400;
  paint.lineWidth = Math.max(1, unit);
  paint.font = `${Math.max(11, 6 * unit)}px system-ui, sans-serif`;
  paint.textBaseline = "bottom";
  for (const { label, class: number, score, box: [x1, y1, x2, y2], keypoints } of detections) {
    const color = COLORS[number % COLORS.length];
    const text = `${label} ${score.toFixed(2)}`;
    paint.strokeStyle = paint.fillStyle = color;
    paint.strokeRect(x1, y1, x2 - x1, y2 - y1);
    const height = Math.max(13, 7 * unit);
    const bottom = Math.max(y1, height);
    paint.fillRect(x1, bottom - height, paint.measureText(text).width + 2 * unit + 2, height);
    for (const [x, y] of keypoints ?? []) paint.fillRect(x - unit, y - unit, 2 * unit, 2 * unit);
    paint.fillStyle = "#fff";
    paint.fillText(text, x1 + unit, bottom);
  }
  canvas.hidden = false;
}

function show(answer) {
  const found = answer && (answer.detections ?? answer.classes);
  $("found").hidden = !found || found.length === 0;
  $("times").hidden = !answer;
  if (!answer) {
    $("canvas").hidden = true;
    return;
  }
  $("found").tBodies[0].replaceChildren(...found.map(({ label, score, box }) => {
    const row = document.createElement("tr");
    for (const text of [label, score.toFixed(3), box ? box.map(Math.round).join(", ") : "the whole picture"]) {
      row.insertCell().textContent = text;
    }
    return row;
  }));
  $("times").textContent = Object.entries(answer.timing_ms).map(([name, ms]) => `${name} ${ms} ms`).join(" · ");
}

function choose(file) {
  if (!file) return;
  picture = file;
  detect();
}

async function refresh() {
  try {
    const { service, model, windows, visitors } = await (await fetch("/stats")).json();
    const now = windows["10s"];
    $("state").textContent = `${service.state} · up ${Math.round(service.uptime_s)} s · version ${service.version}`;
    list("model", model ? [
      ["name", model.name], ["task", model.task], ["input", `${model.input.width} × ${model.input.height}`],
      ["labels", model.labels], ["device", model.device], ["lanes", model.lanes], ["max batch", model.max_batch],
      ["ONNX Runtime", model.runtime], ["SHA-256", model.version.slice(0, 12)],
    ] : [["model", "not loaded yet"]]);
    list("load", [
      ["TPS", now.tps], ["QPS", now.qps], ["RT mean", `${now.rt_ms.mean} ms`], ["RT p99", `${now.rt_ms.p99} ms`],
      ["concurrency", now.concurrency], ["PV today", visitors.today?.pv ?? 0], ["UV today", visitors.today?.uv ?? 0],
    ]);
  } catch {
    $("state").textContent = "the service does not answer";
  }
}

$("file").addEventListener("change", (event) => choose(event.target.files[0]));
$("form").addEventListener("submit", (event) => { event.preventDefault(); detect(); });
const drop = $("drop");
drop.addEventListener("dragover", (event) => { event.preventDefault(); drop.classList.add("over"); });
drop.addEventListener("dragleave", () => drop.classList.remove("over"));
drop.addEventListener("drop", (event) => {
  event.preventDefault();
  drop.classList.remove("over");
  choose(event.dataTransfer.files[0]);
});
addEventListener("paste", (event) => choose(event.clipboardData.files[0]));
$("curl").textContent = `curl --data-binary @cat.jpg \\\n  -H 'Content-Type: image/jpeg' \\\n  ${location.origin}/detect`;
refresh();
setInterval(() => { if (!document.hidden) refresh(); }, 2000);
