// The commands to try: each works on what the demonstration leaves behind, and nothing else, also when its servers are gone.
import { relative } from 'node:path';
import type { DemoFolder } from './demo-folder.ts';
import type { DemoParts } from './parts.ts';
import type { DemoReport, JournalFigures, SuggestedCommand } from './report.ts';

export async function suggestedCommands(
  { path }: DemoFolder,
  { journal }: Pick<DemoReport, 'journal'>,
  parts: DemoParts,
): Promise<SuggestedCommand[]> {
  const program = parts.programSeenFrom(path);
  const ofDatabase = journal === undefined ? [] : databaseCommands(program, journal, await parts.isOpenToServers(path));
  return [
    { command: `cd ${relative(parts.workingFolder, path)}`, purpose: 'where lifeboat.yaml lies' },
    { command: 'export XDG_STATE_HOME="$PWD/state"', purpose: 'where its server keeps what it knows' },
    { command: `${program} status`, purpose: 'what could be recovered now' },
    { command: `${program} runs list`, purpose: 'what the server did' },
    { command: `${program} availability`, purpose: 'how long the shop was out of order' },
    { command: "grep -h '^Subject' mail/*.eml", purpose: 'what whoever is on call was told' },
    { command: `${program} snapshots`, purpose: 'all backups' },
    { command: `${program} ls latest --component uploads`, purpose: 'what one of them holds' },
    { command: `${program} restore uploads --to ./restored`, purpose: 'files into a folder' },
    ...ofDatabase,
    { command: `${program} prove`, purpose: 'all components, in throw-away servers and folders' },
    { command: 'restic -r repository -p password check --read-data', purpose: 'stock restic reads it too' },
  ];
}

function databaseCommands(program: string, { instant }: JournalFigures, isOpen: boolean): SuggestedCommand[] {
  // The recovery began a second timeline: this is the one on which it happened.
  const recover = `${program} restore database --at ${instant} --timeline 1 --to ./recovered`;
  return [
    { command: `${program} journal status`, purpose: 'how far the journal reaches' },
    { command: `${program} window database`, purpose: 'to which instants the database can go back' },
    {
      command: `${program} postgres bisect database --timeline 1 --where "EXISTS (SELECT FROM order_items)"`,
      purpose: 'which commit it was that destroyed the orders',
    },
    isOpen
      ? { command: recover, purpose: 'a server of that very instant; any other does as well' }
      : { command: `${recover} --dry-run`, purpose: 'how it would go back to that very instant, or to any other' },
  ];
}
