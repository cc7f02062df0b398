// What lies where in a backup of the service's state: one file of JSON lines for each table, the configuration files as they are, and a
// manifest that says what belongs together. Plain files, so that stock restic shows them too.
import { z } from 'zod';
import { selfComponent } from '../../model/self-backup.ts';

export const stateFolder = `/${selfComponent}`;
export const manifestPath = `${stateFolder}/manifest.json`;
export const auditKeyPath = `${stateFolder}/audit-key.pem`;

export const tablePath = (table: string): string => `${stateFolder}/catalog/${table}.jsonl`;
export const configurationPath = (name: string): string => `${stateFolder}/configuration/${name}`;

const format = 'lifeboat service 1';

/** Of a file below the folder of configurations: it never leads out of where it is put. */
const nameBelow = z.string().regex(/^(?:(?!\.{1,2}(?:\/|$))[^/\0]{1,255}(?:\/(?!$)|$)){1,64}$/);

export const manifestSchema = z.object({
  format: z.literal(format),
  /** Who it was, and how often its state had been recovered. */
  service: z.string().min(1),
  generation: z.int().min(1),
  takenAtMs: z.number(),
  /** Of the machine. */
  host: z.string(),
  program: z.string(),
  catalog: z.enum(['sqlite', 'postgres']),
  /** Which changes its tables had behind them. */
  migrations: z.array(z.string()),
  /** Rows of each table, in the order in which they can be put in. */
  rows: z.record(z.string().regex(/^[a-z][A-Za-z]{0,62}$/), z.int().min(0)),
  configurations: z.array(
    z.object({
      name: nameBelow,
      application: z.string(),
      /** Where it lay. */
      path: z.string(),
    }),
  ),
  /** What they extend: lies from them as it lay. */
  templates: z.array(z.object({ name: nameBelow, path: z.string() })).default([]),
  hasAuditKey: z.boolean(),
});

export type StateManifest = z.output<typeof manifestSchema>;

/** Rejects what could not be read again: that must come to light when a backup is made, not when it is needed. */
export const newManifest = (facts: Omit<StateManifest, 'format'>): StateManifest =>
  manifestSchema.parse({ format, ...facts });

/** Each once: what others extend may be of an application itself, as where staging extends production. `isTemplate`: it is of none. */
export function filesIn({
  configurations,
  templates,
}: Pick<StateManifest, 'configurations' | 'templates'>): { readonly name: string; readonly isTemplate: boolean }[] {
  const own = new Set(configurations.map(({ name }) => name));
  const others = templates.filter(({ name }) => !own.has(name));
  return [
    ...Array.from(own, (name) => ({ name, isTemplate: false })),
    ...others.map(({ name }) => ({ name, isTemplate: true })),
  ];
}
