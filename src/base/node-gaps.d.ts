// What Node 26 has and its type package does not know yet.
declare module 'node:crypto' {
  interface Mac {
    update(data: Uint8Array): this;
    final(): Buffer;
  }
  export function createMac(algorithm: 'poly1305', key: Uint8Array): Mac;
}
export {};
