// How each table travels in a backup of the catalog: by which columns its rows are put in order, or not at all. Rows that others refer to
// come before those.
import type { Tables } from './tables.ts';

type Travel<Table> = readonly (keyof Table & string)[] | 'stays';

const travels = {
  service: ['id'],
  run: ['id'],
  step: ['runId', 'name'],
  signal: ['runId', 'topic'],
  runEvent: ['runId', 'number'],
  schedule: ['id'],
  firing: ['scheduleId', 'plannedAtMs'],
  lease: ['name'],
  standing: ['application', 'component'],
  standingSample: ['application', 'component', 'atMs'],
  alert: ['id'],
  alertDelivery: ['id'],
  silence: ['id'],
  probeState: ['application', 'probe'],
  probeChange: ['application', 'probe', 'atMs'],
  probeHour: ['application', 'probe', 'hourMs'],
  apiToken: ['id'],
  userAccount: ['id'],
  userGrant: ['userId', 'application'],
  userIdentity: ['issuer', 'subject'],
  auditEntry: ['number'],
  auditHead: ['id'],
  auditCheckpoint: ['number'],
  auditKey: ['id'],
  // Of a machine and its moment: another one finds them out anew. Answers that are kept may hold what was shown once.
  worker: 'stays',
  seenRepository: 'stays',
  seenProof: 'stays',
  session: 'stays',
  loginFailure: 'stays',
  idempotencyKey: 'stays',
  selfBackup: 'stays',
  // The files themselves travel.
  configuration: 'stays',
} as const satisfies { readonly [Name in keyof Tables]: Travel<Tables[Name]> };

export interface PortableTable {
  readonly name: keyof Tables;
  /** Of its primary key. */
  readonly key: readonly string[];
}

export const portableTables: readonly PortableTable[] = Object.entries(travels).flatMap(([name, key]) =>
  key === 'stays' ? [] : [{ name: name as keyof Tables, key }],
);
