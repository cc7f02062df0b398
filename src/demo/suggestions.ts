// The commands to try once the servers are gone: each works on what the demonstration leaves behind, and nothing else.
import { relative } from 'node:path';
import type { DemoFolder } from './demo-folder.ts';
import type { DemoParts } from './parts.ts';
import type { DemoReport, SuggestedCommand } from './report.ts';

export function suggestedCommands(
  { path }: DemoFolder,
  { servers }: Pick<DemoReport, 'servers'>,
  parts: DemoParts,
): SuggestedCommand[] {
  const program = parts.programSeenFrom(path);
  const hasDatabase = servers.postgres !== undefined;
  return [
    { command: `cd ${relative(parts.workingFolder, path)}`, purpose: 'where lifeboat.yaml lies' },
    { command: `${program} status`, purpose: 'what could be recovered now' },
    { command: `${program} snapshots`, purpose: 'all backups' },
    { command: `${program} ls latest --component uploads`, purpose: 'what one of them holds' },
    { command: `${program} restore uploads --to ./restored`, purpose: 'files into a folder' },
    ...(hasDatabase
      ? [{ command: `${program} restore database --to ./dump`, purpose: 'the dump as pg_restore takes it' }]
      : []),
    { command: `${program} prove`, purpose: 'all components, in throw-away servers and folders' },
    { command: 'restic -r repository -p password check --read-data', purpose: 'stock restic reads it too' },
  ];
}
