// Read codes from the camera: with the browser's own detector where it has one, else with one that is loaded now.

let running = false;
let timer = 0;

async function makeDetector(addresses) {
  const formats = ["qr_code", "code_128"];
  if ("BarcodeDetector" in globalThis) {
    const known = await globalThis.BarcodeDetector.getSupportedFormats().catch(() => []);
    if (formats.every((format) => known.includes(format))) return new globalThis.BarcodeDetector({ formats });
  }
  if (!globalThis.BarcodeDetectionAPI) {
    await new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = addresses.scanner;
      script.addEventListener("load", resolve);
      script.addEventListener("error", reject);
      document.head.append(script);
    });
    globalThis.BarcodeDetectionAPI.prepareZXingModule({ overrides: { locateFile: () => addresses.wasm } });
  }
  return new globalThis.BarcodeDetectionAPI.BarcodeDetector({ formats });
}

// Calls `found(text)` for each code seen until it returns true. Throws if there is no camera, or it is not allowed.
export async function startScanner(video, addresses, found) {
  stopScanner(video);
  running = true;
  const stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
  if (!running) {
    stream.getTracks().forEach((track) => track.stop());
    return;
  }
  video.srcObject = stream;
  await video.play();
  const detector = await makeDetector(addresses);
  const look = async () => {
    if (!running) return;
    const seen = await detector.detect(video).catch(() => []);
    if (running && !seen.some((code) => found(code.rawValue))) timer = setTimeout(look, 200);
  };
  look();
}

export function stopScanner(video) {
  running = false;
  clearTimeout(timer);
  video.srcObject?.getTracks().forEach((track) => track.stop());
  video.srcObject = null;
}
