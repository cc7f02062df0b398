// Full or incremental: what the next backup can build on. Pure.
import { formatDuration } from '../../../base/duration.ts';
import type { BackupType } from '../../source.ts';
import type { PhysicalFacts } from './facts.ts';

export interface TypeFacts {
  /** As somebody asked for; undefined leaves it to us. */
  readonly requested: BackupType | undefined;
  readonly major: number;
  /** As SHOW words it; undefined if the server does not know the setting. */
  readonly summarizeWal: string | undefined;
  readonly systemIdentifier: string;
  readonly hasChecksums: boolean;
  /** Of the newest backup of this component; undefined if there is none, or it is not physical. */
  readonly parent: PhysicalFacts | 'unreadable' | undefined;
  readonly nowMs: number;
  readonly fullEveryMs: number;
}

export type TypeChoice =
  | { readonly type: 'incremental' }
  | {
      readonly type: 'full';
      readonly reason: string;
      /** Whether somebody would want to know: it is not how it was meant. */
      readonly isUnwanted: boolean;
    };

const oldestMajor = 17;

export function chooseType(facts: TypeFacts): TypeChoice {
  const { requested, parent } = facts;
  const full = (reason: string, isUnwanted = requested === 'incremental'): TypeChoice => ({
    type: 'full',
    reason,
    isUnwanted,
  });
  if (requested === 'full') return full('as asked for');
  if (facts.major < oldestMajor) return full(`PostgreSQL ${facts.major} makes no incremental backups`);
  if (parent === undefined) return full('there is no physical backup to build on');
  if (parent === 'unreadable') return full('what the earlier backup says of itself can not be read', true);
  if (parent.systemIdentifier !== facts.systemIdentifier) return full('the earlier backup is of another server', true);
  if (parent.serverMajor !== facts.major) return full('the earlier backup is of another version', true);
  if (parent.hasChecksums !== facts.hasChecksums) return full('checksums were switched since the earlier backup', true);
  const ageMs = facts.nowMs - Date.parse(parent.fullTime);
  if (requested === undefined && !(ageMs < facts.fullEveryMs)) {
    return full(`all is read again every ${formatDuration(facts.fullEveryMs)}`);
  }
  if (facts.summarizeWal !== 'on') return full('summarize_wal is off at the server', true);
  return { type: 'incremental' };
}
