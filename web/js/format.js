// Numbers for people: as many digits as mean something, in a width that does not jump.

/// Three digits or so: 0, 0.42, 8.31, 27.4, 312, 4,120.
export function number(value) {
  if (!Number.isFinite(value) || value === 0) return "0";
  const size = Math.abs(value);
  const digits = size >= 100 ? 0 : size >= 10 ? 1 : size >= 0.01 ? 2 : 3;
  return value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/// Milliseconds, or seconds when there are many.
export const time = (ms) => (ms >= 10_000 ? `${number(ms / 1000)} s` : `${number(ms)} ms`);

/// A count with its thousands apart.
export const count = (value) => Math.round(value ?? 0).toLocaleString("en");

/// A share.
export const percent = (share) => `${(100 * (share ?? 0)).toFixed(share > 0 && share < 0.0995 ? 1 : 0)} %`;

/// Bytes in powers of 1024.
export function bytes(value) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let size = value ?? 0;
  let k = 0;
  while (size >= 1000 && k < units.length - 1) { size /= 1024; k++; }
  return k === 0 ? `${size} B` : `${number(size)} ${units[k]}`;
}

/// How long something lasts, in its two largest units.
export function age(seconds) {
  const units = [["d", 86_400], ["h", 3600], ["min", 60], ["s", 1]];
  const first = units.findIndex(([, size]) => seconds >= size);
  if (first < 0) return "0 s";
  const [unit, size] = units[first];
  const whole = `${Math.floor(seconds / size)} ${unit}`;
  const next = units[first + 1];
  const rest = next && Math.floor((seconds % size) / next[1]);
  return rest ? `${whole} ${rest} ${next[0]}` : whole;
}
