// The checksum of PostgreSQL's pages: a variant of FNV-1a in 32 lanes, so that what damaged a page on its way (a disk, a cable,
// memory) is found while it is backed up and not when it is needed.

const prime = 16_777_619;
const rows = 64;
const columns = 32;
const pageWords = rows * columns;

/** What the lanes begin with: `checksumBaseOffsets` of the server's `checksum_impl.h`. */
const laneStarts = Int32Array.of(
  0x5b1f36e9,
  0xb8525960,
  0x02ab50aa,
  0x1de66d2a,
  0x79ff467a,
  0x9bb9f8a3,
  0x217e7cd2,
  0x83e13d2c,
  0xf8d4474f,
  0xe39eb970,
  0x42c6ae16,
  0x993216fa,
  0x7b093b5d,
  0x98daff3c,
  0xf718902a,
  0x0b1c9cdb,
  0xe58f764b,
  0x187636bc,
  0x5d7b3bb1,
  0xe73de7de,
  0x92bec979,
  0xcca6c0b2,
  0x304a0979,
  0x85aa43d4,
  0x783125bb,
  0x6ca8eaa2,
  0xe407eac6,
  0x4b5cfc3e,
  0x9fbf8c76,
  0x15ca20be,
  0xf2ca9fd3,
  0x959bd756,
);

/** Word 2 of a page begins with the stored checksum, which counts as zero. */
const checksumWord = 2;
const checksumMask = 0xffff0000 | 0;

/**
 * The checksum of the page whose words begin at `first`, as page number `block` of its fork. Lanes go by fours: their chains of
 * multiplications do not wait for one another. The words are only read: others may be reading them at the same time.
 */
export function pageChecksum(words: Int32Array, first: number, block: number): number {
  let mixed = 0;
  const end = first + pageWords;
  for (let lane = 0; lane < columns; lane += 4) {
    let at = first + lane;
    const third = words[at + checksumWord]!;
    let a = round(laneStarts[lane]! ^ words[at]!);
    let b = round(laneStarts[lane + 1]! ^ words[at + 1]!);
    let c = round(laneStarts[lane + 2]! ^ (lane === 0 ? third & checksumMask : third));
    let d = round(laneStarts[lane + 3]! ^ words[at + 3]!);
    for (at += columns; at < end; at += columns) {
      a = round(a ^ words[at]!);
      b = round(b ^ words[at + 1]!);
      c = round(c ^ words[at + 2]!);
      d = round(d ^ words[at + 3]!);
    }
    // Two rounds of zeros let the last words of a lane reach all of its bits.
    mixed ^= round(round(a)) ^ round(round(b)) ^ round(round(c)) ^ round(round(d));
  }
  return (((mixed ^ block) >>> 0) % 65_535) + 1;
}

function round(lane: number): number {
  return Math.imul(lane, prime) ^ (lane >>> 17);
}
