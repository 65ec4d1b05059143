// Two tones up: paid. One low tone: not. Made here; nothing is loaded.

let context = null;

export function beep(isGood) {
  try {
    context ??= new AudioContext();
    const tones = isGood ? [[660, 0], [990, 0.12]] : [[180, 0], [140, 0.2]];
    for (const [frequency, at] of tones) {
      const oscillator = context.createOscillator();
      const volume = context.createGain();
      oscillator.frequency.value = frequency;
      oscillator.type = isGood ? "sine" : "square";
      volume.gain.setValueAtTime(0.15, context.currentTime + at);
      volume.gain.exponentialRampToValueAtTime(0.001, context.currentTime + at + 0.25);
      oscillator.connect(volume).connect(context.destination);
      oscillator.start(context.currentTime + at);
      oscillator.stop(context.currentTime + at + 0.26);
    }
  } catch {
    // No sound here: the picture says it all.
  }
}
