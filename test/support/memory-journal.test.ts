import { describeJournal } from '../../src/sources/journal-contract.ts';
import { memoryJournal } from './memory-journal.ts';

describeJournal('a journal in memory', async () => {
  const journal = memoryJournal();
  const receiver = async () => ({
    target: journal,
    kill: async () => journal.crash(),
    async [Symbol.asyncDispose]() {},
  });
  return {
    receiver,
    async receiverElsewhere() {
      journal.fence();
      return receiver();
    },
    reader: journal.reader,
    async settle() {},
    async [Symbol.asyncDispose]() {},
  };
});
