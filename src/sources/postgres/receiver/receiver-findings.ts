// What the receiver says when something needs a person. Pure.
import { AppError } from '../../../base/errors.ts';
import type { Finding } from '../../../model/finding.ts';
import type { JournalPosition } from '../../journal.ts';
import { formatLsn, lsnOf, type Lsn } from '../wal/lsn.ts';
import type { WalStop } from '../wal/record-walker.ts';
import { historyName } from '../wal/segment-name.ts';
import type { ReadySlot } from './slot.ts';

const baseHint =
  'Recovery to instants behind it needs a full backup as a new base: journal run takes one, unless it was told not to.';

export interface Gap {
  readonly from: JournalPosition;
  readonly to: JournalPosition;
  readonly segmentBytes: number;
  readonly slot: ReadySlot;
  /** Of the slot. */
  readonly name: string;
}

/** The reason is kept with the gap. */
export function gapMade({ from, to, segmentBytes, slot, name }: Gap): {
  readonly reason: string;
  readonly finding: Finding;
} {
  const why = {
    found: 'the server had removed it already',
    made: `the server had removed it: there was no replication slot ${name} that kept it`,
    lost: `the server had removed it: replication slot ${name} went beyond max_slot_wal_keep_size`,
  }[slot.origin];
  const [start, end] = [from, to].map((position) => formatLsn(lsnOf(position, segmentBytes)));
  const advice = {
    found: '',
    made: ' Find out who dropped the slot; one on a standby is not taken over by a promotion.',
    lost: ' Then raise max_slot_wal_keep_size, or find out why the receiver was away for so long.',
  }[slot.origin];
  return {
    reason: why,
    finding: {
      aspect: 'journal gap',
      outcome: 'failed',
      message: `the journal lacks ${start} to ${end}: ${why}`,
      hint: baseHint + advice,
    },
  };
}

export function damagedWal(stop: WalStop): { readonly reason: string; readonly finding: Finding } {
  const reason = `the server's own WAL is damaged: ${stop.message}`;
  return {
    reason,
    finding: {
      aspect: 'journal damage',
      outcome: 'failed',
      message: `${reason}; it came so twice, and is kept as it is`,
      hint: `${baseHint} Look for disk and memory errors on the server: it could not recover from this WAL either.`,
    },
  };
}

export function damagedOnce(lsn: Lsn, message: string): Finding {
  return {
    aspect: 'journal damage',
    outcome: 'warning',
    message: `WAL at ${formatLsn(lsn)} came damaged and is asked for once more: ${message}`,
    hint: 'If this happens again, look at the network to the server and at the memory of both machines.',
  };
}

interface Place {
  readonly systemIdentifier: string;
  readonly timeline: number;
  readonly lsn: Lsn;
  readonly segmentBytes: number;
}

export function otherSystem({ systemIdentifier }: Place, known: readonly string[]): AppError {
  return new AppError(
    'JOURNAL_FORKED',
    `the server is another one: its system identifier is ${systemIdentifier}, the journal is that of ${known.join(', ')}`,
    {
      hint: 'Check host and port. If the server was made anew on purpose (initdb, pg_upgrade, another cluster), start the receiver once with --new-server, and take a full backup.',
    },
  );
}

export function aheadOfServer(server: Place, resume: JournalPosition): AppError {
  const kept = formatLsn(lsnOf(resume, server.segmentBytes));
  return new AppError(
    'JOURNAL_FORKED',
    `the server is at ${formatLsn(server.lsn)} of timeline ${server.timeline}, the journal already at ${kept}: the server was put back to an earlier state`,
    {
      hint: "Check that it is the right server. If its disk was put back on purpose, give it a timeline of its own: stop it, put restore_command = 'false' into postgresql.auto.conf and an empty file recovery.signal beside it, start it; then take a full backup.",
    },
  );
}

/** A standby that is behind catches up. */
export function standbyBehind(server: Place, resume: JournalPosition): AppError {
  const kept = formatLsn(lsnOf(resume, server.segmentBytes));
  return new AppError(
    'SOURCE_UNREACHABLE',
    `the standby is at ${formatLsn(server.lsn)}, the journal already at ${kept}`,
    { hint: 'Wait until the standby has caught up; look at its replication if it does not.' },
  );
}

export function behindOthers(timeline: number, descendant: number): Finding {
  return {
    aspect: 'journal timeline',
    outcome: 'warning',
    message: `the server is on timeline ${timeline}, and the journal has followed timeline ${descendant} already`,
    hint: 'Check that this is the primary, and not one that was left behind by a failover.',
  };
}

export function missingHistory(timeline: number): Finding {
  return {
    aspect: 'journal timeline',
    outcome: 'warning',
    message: `segments of timeline ${timeline} came, and the history file of the timeline did not`,
    hint: `Hand it over: run lifeboat journal push with the file ${historyName(timeline)} of pg_wal.`,
  };
}

export function holeInArchive(
  from: JournalPosition,
  to: JournalPosition,
  segmentBytes: number,
): { readonly reason: string; readonly finding: Finding } {
  const [start, end] = [from, to].map((position) => formatLsn(lsnOf(position, segmentBytes)));
  const reason = 'the server did not hand it over';
  const hint = `${baseHint} Look at archive_command and pg_stat_archiver of the server.`;
  return {
    reason,
    finding: {
      aspect: 'journal gap',
      outcome: 'failed',
      message: `the journal lacks ${start} to ${end}: ${reason}`,
      hint,
    },
  };
}

export function otherBytes(name: string, folder: string): Finding {
  return {
    aspect: 'journal fork',
    outcome: 'failed',
    message: `${name} was handed over with other bytes than the journal holds: it is put aside in ${folder}/refused`,
    hint: 'Look whether two servers, the original and a copy, have the same archive_command; give the copy another.',
  };
}
