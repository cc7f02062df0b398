// PostgreSQL, either way: by its own dumps, any version, any place a connection reaches, restorable with stock pg_restore alone; or
// as it lies on its disk, over the replication protocol, for recovery to any instant.
import type { ExplorableSource } from '../explore.ts';
import type { SentinelWriter } from '../journal.ts';
import type { StandbySource } from '../standby.ts';
import { openBackup } from './logical/backup-session.ts';
import { checkPostgres } from './check.ts';
import { decideMethod, methodFinding } from './method.ts';
import type { PostgresOptions } from './options.ts';
import { unitOf } from './fingerprint.ts';
import { checkReplication } from './protocol/preflight.ts';
import { receivePushed } from './receiver/archive-intake.ts';
import { acceptFile } from './receiver/archive-push.ts';
import { checkArchiving } from './receiver/check-archiving.ts';
import { checkReceiver } from './receiver/check-receiver.ts';
import { receive } from './receiver/receive.ts';
import { describeWalPlace, walTimes } from './receiver/wal-words.ts';
import { decideRestore } from './logical/restore-decision.ts';
import { openSandbox } from './logical/sandbox.ts';
import { checkFingerprint } from './physical/check-fingerprint.ts';
import { decidePhysicalForm } from './physical/decide-form.ts';
import { isPhysical } from './physical/facts.ts';
import { openPhysicalSandbox } from './physical/sandbox.ts';
import { openPhysicalBackup } from './physical/session.ts';
import { askPast } from './past/ask.ts';
import { pastCommits } from './past/commits.ts';
import { comparePast } from './past/compare.ts';
import { decideExtract, requireTarget } from './past/extract.ts';
import { fingerprintPast } from './past/fingerprint-past.ts';
import { makePastPlace } from './past/past-place.ts';
import { decidePhysical } from './recovery/physical-restore.ts';
import { checkSentinel } from './sentinel/check-sentinel.ts';
import { sentinelOfCopy } from './sentinel/read-sentinels.ts';
import { writeSentinels } from './sentinel/write-sentinels.ts';
import { chooseBase, chooseThrough, replayRestore } from './recovery/replay-restore.ts';
import { keepStandby } from './standby/keep-standby.ts';

function sentinelWriter(options: PostgresOptions): SentinelWriter | undefined {
  const { sentinel: settings } = options;
  if (settings === undefined) return undefined;
  return { write: (events, signal) => writeSentinels(options, { settings, events }, signal) };
}

export function postgresSource(options: PostgresOptions): ExplorableSource & StandbySource {
  return {
    kind: 'postgres',
    async *check(signal) {
      const choice = await decideMethod(options, signal);
      if (choice.method === 'physical') {
        yield* checkReplication(options, signal);
        yield await checkFingerprint(options, signal);
      } else yield* checkPostgres(options, signal);
      if (options.sentinel !== undefined) yield await checkSentinel(options, options.sentinel, signal);
      yield methodFinding(choice);
    },
    async open(signal, request) {
      const choice = await decideMethod(options, signal);
      return choice.method === 'physical'
        ? openPhysicalBackup(options, { choice, request }, signal)
        : openBackup(options, choice, signal);
    },
    async decideBackup(request, signal) {
      const { method, reason, isUnknown } = await decideMethod(options, signal);
      return method === 'physical'
        ? decidePhysicalForm(options, request, signal)
        : { method, type: 'full', reason: `a dump; ${reason}`, isUnknown };
    },
    journal: {
      check: (signal) => checkReceiver(options, signal),
      receive: ({ target, events, acceptsNewServer = false }, signal) =>
        receive({ source: options, target, events, tuning: { acceptsOtherSystem: acceptsNewServer } }, signal),
      describePlace: describeWalPlace,
      timesOf: walTimes,
      sentinels: sentinelWriter(options),
      handover: {
        check: (folder, signal) => checkArchiving(options, folder, signal),
        accept: acceptFile,
        receive: ({ folder, target, events }, signal) =>
          receivePushed({ folder, target, events, clock: options.clock }, signal),
      },
    },
    replay: replayRestore(options),
    standby: { keep: (request, signal) => keepStandby(options, request, signal) },
    explore: {
      chooseBase: (place, base, signal) => chooseBase(options, { place, base }, signal),
      chooseThrough: (place, base, signal) => chooseThrough(options, { place, base }, signal),
      fingerprint: fingerprintPast,
      newestSentinel: ({ access }, signal) => sentinelOfCopy({ ...access, ssl: { mode: 'disable' } }, signal),
      makePlace: (wish) => makePastPlace(options, wish),
      requireTarget: (request, signal) => requireTarget(options, request, signal),
      extract: (server, request, signal) => decideExtract(options, { server, request }, signal),
      compare: (servers, request, signal) => comparePast(options, { ...servers, request }, signal),
      commits: (choice, signal) => pastCommits(choice, signal),
      ask: (server, question, signal) => askPast(options, { server, question }, signal),
    },
    restore: {
      kind: 'service',
      unitOf,
      takesFolders: async (point) => point.hasJournal ?? isPhysical(await point.facts()),
      decide: async (reader, request, signal) =>
        isPhysical(await reader.facts(signal))
          ? decidePhysical(options, { reader, request }, signal)
          : decideRestore(options, { reader, request }, signal),
      sandbox: async (reader, signal) =>
        isPhysical(await reader.facts(signal))
          ? openPhysicalSandbox(options, reader, signal)
          : openSandbox(options, reader, signal),
    },
  };
}
