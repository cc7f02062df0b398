// Compares what a server holds now with what a backup says: a fresh fingerprint of the live data, taken by the
// source as for a backup, against the one that travels in the snapshot.
import { AppError } from '../base/errors.ts';
import type { CommandContext } from '../cli/context.ts';
import { openPoint } from '../cli/recovery-point.ts';
import { compareFingerprints, type Fingerprint } from '../model/fingerprint.ts';
import type { Component } from '../model/component.ts';
import { recoveryReader } from '../operations/restore/recovery-reader.ts';
import { selectPoint } from '../operations/restore/select-point.ts';
import { loadSnapshots } from '../repository/snapshot.ts';
import type { Source } from '../sources/source.ts';

export interface LiveComparison {
  /** Tables, sequences, kinds of keys and the like. */
  readonly compared: number;
  readonly differences: readonly string[];
}

export async function compareLive(
  { component, snapshot }: { readonly component: Component; readonly snapshot: string },
  context: CommandContext,
): Promise<LiveComparison> {
  const expected = await storedFingerprint(snapshot, context);
  const live = await liveFingerprint(await context.sourceOf(component), context.signal);
  if (expected === undefined || live === undefined || expected.method !== live.method) {
    return { compared: 0, differences: ['there are no two fingerprints to compare'] };
  }
  const differences = compareFingerprints(expected, live, context.clock.now());
  return {
    compared: expected.items.length,
    differences: differences.map(
      ({ name, kind, rowsExpected, rowsFound }) => `${name} is ${kind}: ${rowsExpected} expected, ${rowsFound} found`,
    ),
  };
}

async function storedFingerprint(snapshot: string, context: CommandContext): Promise<Fingerprint | undefined> {
  const [settings] = await context.chosenRepositories();
  if (settings === undefined) throw new AppError('CONFIG_MISSING', 'no repository', { hint: 'Name one.' });
  await using opened = await context.openRepository(settings, 'read');
  const snapshots = await loadSnapshots(opened.repository, context.signal);
  const { id } = selectPoint(snapshots, { from: snapshot }, () => false);
  await using point = await openPoint(opened.repository, id, context.signal);
  return await recoveryReader(point).fingerprint(context.signal);
}

async function liveFingerprint(source: Source, signal: AbortSignal): Promise<Fingerprint | undefined> {
  await using session = await source.open(signal);
  // A fingerprint is of the data that the entries yield: they are read to their end, and nothing is kept.
  for await (const entry of session.entries(signal)) {
    if (entry.kind !== 'whole' || entry.content?.from !== 'stream') continue;
    for await (const _ of entry.content.open(signal)) signal.throwIfAborted();
  }
  return await session.fingerprint(signal);
}
