// The camera: frames go out as fast as answers come back. One is under way at a time, so a slow service is asked less often and
// no frame ever waits in a queue; one that is told to come back later is given that time.

import { $ } from "../js/dom.js";
import { detect } from "./request.js";

/// Longest side of a frame that is sent: what detectors work on is smaller still.
const SIDE = 960;
const QUALITY = 0.82;

/// Thrown where there is no camera to be had; its message is for people.
export class NoCamera extends Error {}

/// A running camera.
export class Camera {
  #stream;
  #over = new AbortController();

  /// Asks the person for the camera and starts it.
  static async open() {
    if (!navigator.mediaDevices) throw new NoCamera("Browsers give the camera only to pages over https or from this machine.");
    const camera = new Camera();
    try {
      camera.#stream = await navigator.mediaDevices.getUserMedia({
        audio: false, video: { width: { ideal: 1280 }, height: { ideal: 720 }, facingMode: "environment" } });
    } catch (error) {
      throw new NoCamera(error.name === "NotAllowedError" ? "The camera was not allowed." : "There is no camera that could be used.");
    }
    const video = $("video");
    video.srcObject = camera.#stream;
    await video.play();
    return camera;
  }

  /// Detects frame by frame until stopped. `options()` are the request's; `onAnswer` gets each answer with the rate in frames a
  /// second. Ends by throwing what the service would not do better next time.
  async run(options, onAnswer) {
    const video = $("video");
    const canvas = document.createElement("canvas");
    const { signal } = this.#over;
    let rate = 0;
    let last = performance.now();
    while (!signal.aborted) {
      await nextFrame(video, signal);
      if (signal.aborted) return;
      const scale = Math.min(1, SIDE / Math.max(video.videoWidth, video.videoHeight));
      canvas.width = Math.round(video.videoWidth * scale);
      canvas.height = Math.round(video.videoHeight * scale);
      canvas.getContext("2d").drawImage(video, 0, 0, canvas.width, canvas.height);
      const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", QUALITY));
      try {
        const result = await detect({ type: "bytes", blob, name: "frame.jpg" }, options(), signal);
        const now = performance.now();
        rate += (1000 / (now - last) - rate) * (rate ? 0.15 : 1);
        last = now;
        onAnswer(result, rate);
      } catch (error) {
        if (signal.aborted) return;
        if (!error.retryAfter) throw error;
        await new Promise((resolve) => setTimeout(resolve, 1000 * error.retryAfter));
      }
    }
  }

  /// Stops it and gives it back.
  stop() {
    this.#over.abort();
    for (const track of this.#stream.getTracks()) track.stop();
    $("video").srcObject = null;
  }
}

/// Waits until the video has a frame that was not shown before and somebody can see it.
function nextFrame(video, signal) {
  return new Promise((resolve) => {
    signal.addEventListener("abort", resolve, { once: true });
    const ready = () => { if (document.hidden) setTimeout(wait, 200); else resolve(); };
    const wait = () => (video.requestVideoFrameCallback ? video.requestVideoFrameCallback(ready) : requestAnimationFrame(ready));
    wait();
  });
}
