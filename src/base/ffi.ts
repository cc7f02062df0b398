// node:ffi, where it can be had. Three files call C through it: native.ts (what node:fs lacks), zstd.ts and aes-ctr.ts (what
// node:zlib and node:crypto do too slowly); aligned-memory.ts asks it for addresses. All have a way to do without. See
// docs/decisions/node-ffi.md.
import type * as NodeFfi from 'node:ffi';

export type Ffi = typeof NodeFfi;

/** The module without its warning that it is experimental; all other warnings pass. */
export function quietFfi(): Ffi | undefined {
  // eslint-disable-next-line typescript/unbound-method -- Put back below as it was.
  const { emitWarning } = process;
  process.emitWarning = (warning: string | Error, ...rest: readonly unknown[]) => {
    const isExpected = rest[0] === 'ExperimentalWarning' && String(warning).startsWith('FFI ');
    if (!isExpected) Reflect.apply(emitWarning, process, [warning, ...rest]);
  };
  try {
    return process.getBuiltinModule('node:ffi');
  } catch {
    return undefined; // Forbidden by the permission model.
  } finally {
    process.emitWarning = emitWarning;
  }
}
