// How the journal of a component is received and kept: how fast it reaches the repositories, and what may be forgotten when.
import { z } from 'zod';
import { byteSizeSchema, durationSchema } from './scalar-schemas.ts';

const slotForm = 'a name of up to 63 lower-case letters, digits and _';
const intervalMsDefault = 5_000;
const spoolMaxBytesDefault = 16 * 2 ** 30;

export const journalSettingsSchema = z
  .strictObject({
    interval: durationSchema
      .optional()
      .describe('how often new changes are sent to the repositories, which is what a disaster may cost; 5s if absent'),
    acknowledge: z
      .enum(['spool', 'repository'])
      .default('spool')
      .describe(
        'what must be safe before the server may forget it: `spool` on the disk of this machine, `repository` in every repository of the policy',
      ),
    from: z
      .enum(['stream', 'push'])
      .default('stream')
      .describe(
        'how changes come: `stream` as they are written, over the replication protocol; `push` file by file, by an archive_command that runs `lifeboat journal push`',
      ),
    incoming: z
      .string()
      .min(1)
      .optional()
      .describe('folder where `lifeboat journal push` puts files; below the state folder if absent'),
    spool: z
      .string()
      .min(1)
      .optional()
      .describe(
        'folder on a disk that lasts, where changes wait for the repositories; below the state folder if absent',
      ),
    spoolMax: byteSizeSchema
      .optional()
      .describe('how large the spool may grow; beyond it nothing more is taken from the server; 16 GiB if absent'),
    slot: z
      .string()
      .regex(/^[a-z0-9_]{1,63}$/, `expected ${slotForm}`)
      .meta({ title: slotForm })
      .optional()
      .describe('name of the replication slot; made of application and component if absent'),
  })
  .transform(({ interval, acknowledge, from, incoming, spool, spoolMax, slot }) => ({
    intervalMs: interval ?? intervalMsDefault,
    acknowledge,
    from,
    incomingFolder: incoming,
    spoolFolder: spool,
    spoolMaxBytes: spoolMax ?? spoolMaxBytesDefault,
    slot,
  }))
  .describe('how changes are received between backups, for recovery to any instant');

export type JournalSettings = z.output<typeof journalSettingsSchema>;

/** Where lifeboat.yaml says nothing of it. */
export const defaultJournalSettings: JournalSettings = journalSettingsSchema.parse({});
