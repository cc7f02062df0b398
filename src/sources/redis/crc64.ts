// CRC-64/Jones, the checksum at the end of every RDB file and DUMP payload. Numbers of JavaScript hold 32 bits exactly in
// bit operations, so the register is two halves; eight tables let it take eight bytes at once.

/** Reflected form of 0xad93d23594c935a9. */
const polynomialHigh = 0x95ac9329;
const polynomialLow = 0xac4bc9b5;

const tablesHigh: Uint32Array[] = [];
const tablesLow: Uint32Array[] = [];

function fillTables(): void {
  for (let table = 0; table < 8; table += 1) {
    tablesHigh.push(new Uint32Array(256));
    tablesLow.push(new Uint32Array(256));
  }
  const [firstHigh, firstLow] = [tablesHigh[0]!, tablesLow[0]!];
  for (let byte = 0; byte < 256; byte += 1) {
    let [high, low] = [0, byte];
    for (let bit = 0; bit < 8; bit += 1) {
      const isOdd = (low & 1) === 1;
      low = (low >>> 1) | (high << 31);
      high >>>= 1;
      if (isOdd) [high, low] = [high ^ polynomialHigh, low ^ polynomialLow];
    }
    [firstHigh[byte], firstLow[byte]] = [high, low];
  }
  for (let table = 1; table < 8; table += 1) {
    for (let byte = 0; byte < 256; byte += 1) {
      const [high, low] = [tablesHigh[table - 1]![byte]!, tablesLow[table - 1]![byte]!];
      tablesHigh[table]![byte] = firstHigh[low & 255]! ^ (high >>> 8);
      tablesLow[table]![byte] = firstLow[low & 255]! ^ ((low >>> 8) | (high << 24));
    }
  }
}
fillTables();

export class Crc64 {
  #high = 0;
  #low = 0;

  update(bytes: Uint8Array): this {
    let [high, low] = [this.#high, this.#low];
    const [h0, h1, h2, h3, h4, h5, h6, h7] = tablesHigh as unknown as Tables;
    const [l0, l1, l2, l3, l4, l5, l6, l7] = tablesLow as unknown as Tables;
    let at = 0;
    for (const end = bytes.length - 7; at < end; at += 8) {
      const a = low ^ (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24));
      const b = high ^ (bytes[at + 4]! | (bytes[at + 5]! << 8) | (bytes[at + 6]! << 16) | (bytes[at + 7]! << 24));
      high =
        h7[a & 255]! ^
        h6[(a >>> 8) & 255]! ^
        h5[(a >>> 16) & 255]! ^
        h4[a >>> 24]! ^
        h3[b & 255]! ^
        h2[(b >>> 8) & 255]! ^
        h1[(b >>> 16) & 255]! ^
        h0[b >>> 24]!;
      low =
        l7[a & 255]! ^
        l6[(a >>> 8) & 255]! ^
        l5[(a >>> 16) & 255]! ^
        l4[a >>> 24]! ^
        l3[b & 255]! ^
        l2[(b >>> 8) & 255]! ^
        l1[(b >>> 16) & 255]! ^
        l0[b >>> 24]!;
    }
    for (; at < bytes.length; at += 1) {
      const index = (low ^ bytes[at]!) & 255;
      low = ((low >>> 8) | (high << 24)) ^ l0[index]!;
      high = (high >>> 8) ^ h0[index]!;
    }
    [this.#high, this.#low] = [high, low];
    return this;
  }

  /** The eight bytes as Redis stores them: least significant first. */
  digest(): Buffer {
    const bytes = Buffer.alloc(8);
    bytes.writeUInt32LE(this.#low >>> 0, 0);
    bytes.writeUInt32LE(this.#high >>> 0, 4);
    return bytes;
  }
}

type Table = Uint32Array;
type Tables = readonly [Table, Table, Table, Table, Table, Table, Table, Table];
