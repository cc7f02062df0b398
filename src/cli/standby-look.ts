// What this machine knows of the standbys of an application: of those that ran here, and of those that a policy asks for.
import type { Application } from '../model/application.ts';
import { isRunning, readStandbyRecord, type StandbyRecord } from '../operations/standby/standby-record.ts';
import type { CommandContext } from './context.ts';
import { standbyRecordFolder } from './standby-subject.ts';

export interface StandbyStatus {
  readonly component: string;
  /** The policy asks for one. */
  readonly isWanted: boolean;
  readonly isRunning: boolean;
  /** As it told itself last; absent if none ever ran here. */
  readonly record: StandbyRecord | undefined;
}

export async function lookAtStandbys(
  context: CommandContext,
  { name, components }: Application,
  only: readonly string[] = [],
): Promise<StandbyStatus[]> {
  const found: StandbyStatus[] = [];
  for (const component of components.filter(({ type }) => type === 'postgres')) {
    if (only.length > 0 && !only.includes(component.name)) continue;
    const isWanted = component.policy.proof?.continuous === true;
    const record = await readStandbyRecord(standbyRecordFolder(context, name, component.name));
    if (record === undefined && !isWanted) continue;
    const runs = record !== undefined && isRunning(record, context.clock.now());
    found.push({ component: component.name, isWanted, isRunning: runs, record });
  }
  return found;
}
