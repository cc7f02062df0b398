import { join } from 'node:path';
import { describeJournal } from '../../sources/journal-contract.ts';
import { noSignal } from '../../../test/support/repository.ts';
import { journalOptions, memoryRepository, spoolAtDeath } from '../../../test/support/journal-scene.ts';
import { temporaryFolder } from '../../../test/support/temporary-folder.ts';
import { readJournals } from './reader.ts';
import { SpooledJournal } from './spooled-journal.ts';
import type { Acknowledge } from './sink.ts';

for (const acknowledge of ['spool', 'repository'] satisfies Acknowledge[]) {
  describeJournal(`a spool with a repository, acknowledging by ${acknowledge}`, async () => {
    const home = await temporaryFolder();
    const repository = await memoryRepository();
    let spools = 0;
    let folder = join(home.path, 'spool');
    let current: SpooledJournal | undefined;
    const start = async (place: string) => {
      const options = journalOptions(place, [repository], { acknowledge });
      const journal = await SpooledJournal.open(options);
      current = journal;
      return {
        target: journal,
        async kill() {
          folder = spoolAtDeath(folder, join(home.path, `spool-${(spools += 1)}`));
          await journal[Symbol.asyncDispose]();
        },
        [Symbol.asyncDispose]: () => journal[Symbol.asyncDispose](),
      };
    };
    return {
      receiver: () => start(folder),
      receiverElsewhere: () => start(join(home.path, 'elsewhere')),
      reader: readJournals(repository),
      settle: async () => current?.flush(noSignal),
      [Symbol.asyncDispose]: () => home[Symbol.asyncDispose](),
    };
  });
}
