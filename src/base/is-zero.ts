// Finds stretches of zeros at the speed of a comparison of memory: all bytes equal the one before them, and the first is zero.
export function isZero(bytes: Buffer): boolean {
  return bytes[0] === 0 && bytes.subarray(1).equals(bytes.subarray(0, -1));
}
