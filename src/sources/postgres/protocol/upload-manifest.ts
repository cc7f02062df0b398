// Hands a backup manifest to the server (UPLOAD_MANIFEST, 17 and later).
import { encodeCopyData, encodeCopyDone, encodeCopyFail } from './frontend-messages.ts';
import { protocolError } from './protocol-error.ts';
import type { WireSession } from './wire-session.ts';

const pieceBytes = 64 * 1024;

export async function uploadManifest(
  session: WireSession,
  manifest: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): Promise<void> {
  session.begin('UPLOAD_MANIFEST');
  const { type } = await session.nextMessage();
  if (type !== 'G') throw session.die(protocolError(`a message '${type}' in answer to UPLOAD_MANIFEST`));
  const { channel } = session;
  try {
    for await (const bytes of manifest) {
      for (let at = 0; at < bytes.length; at += pieceBytes) {
        if (channel.send(encodeCopyData(bytes.subarray(at, at + pieceBytes)))) continue;
        await channel.drained().catch((error: unknown) => Promise.reject(session.die(error)));
      }
    }
  } catch (error) {
    // The server answers with an error of its own, which says no more than ours.
    channel.send(encodeCopyFail('the manifest could not be read'));
    await session.restOfResults().catch(() => undefined);
    throw error;
  }
  channel.send(encodeCopyDone());
  await session.restOfResults();
}
