// The demonstration: a small shop under `lifeboat server`, which backs it up, follows, proves and watches it; it is destroyed, restored by
// the commands that users run, and compared. On a terminal all of it stays up to be played with.
import { writeFile } from 'node:fs/promises';
import type { CommandContext, DemoOutcome } from '../cli/context.ts';
import { toJson } from '../cli/terminal.ts';
import { configurationText, paces, type Pace } from './configuration-text.ts';
import { demoFolderName, prepareDemoFolder, type DemoFolder } from './demo-folder.ts';
import { openMailbox, type Mailbox } from './mailbox.ts';
import { narrator } from './narrator.ts';
import { openShop } from './open-shop.ts';
import type { DemoParts } from './parts.ts';
import { createRepository } from './protection.ts';
import { closingWords, failuresOf, leftOutLines, renderReport, type DemoReport } from './report.ts';
import { startServer } from './server.ts';
import { startServers, type DemoServers } from './servers.ts';
import { Shop } from './shop.ts';
import { folderSize } from './folder-size.ts';
import { runStory, stepsOf } from './story.ts';
import { suggestedCommands } from './suggestions.ts';

export async function demonstrate(
  context: CommandContext,
  parts: DemoParts,
  { staysUp }: { readonly staysUp: boolean },
): Promise<DemoOutcome> {
  const startMs = context.clock.now();
  announce(context);
  const folder = await prepareDemoFolder(context.workingFolder);
  if (folder.isCleared && !context.settings.isJson) context.progress.note('What an earlier run left there is removed.');
  await using stage = new AsyncDisposableStack();
  stage.defer(() => folder.release());
  const scene = await setScene(folder, { context, parts, stage });
  const { servers, shop, mailbox, inside } = scene;
  const { database } = servers;
  const startServerOnce = async () => stage.use(await startServer(parts.launcherIn(folder.path), scene, inside.signal));
  const telling = { shop, mailbox, database, context: inside, narrator: narrator(inside, stepsOf(database)) };
  const told = {
    ...(await runStory({ ...telling, startServer: startServerOnce })),
    servers: { postgres: database?.version, redis: servers.cache?.version },
    leftOut: servers.leftOut,
  };
  await scene.configure(paces.afterwards);
  const repositoryFacts = { path: folder.repository, passwordFile: folder.passwordFile };
  const report: DemoReport = {
    ...told,
    folder: folder.path,
    repository: { ...repositoryFacts, sizeBytes: await folderSize(folder.repository) },
    commands: await suggestedCommands(folder, told, parts),
    elapsedSeconds: (context.clock.now() - startMs) / 1000,
    failures: failuresOf(told),
  };
  await writeFile(folder.report, `${toJson(report, 2)}\n`);
  const exitCode = report.failures.length === 0 ? 0 : 1;
  if (!staysUp) return { report, exitCode, render: (style) => renderReport(report, style) };
  context.stdout.write(`${renderReport({ ...report, isUp: true }, parts.style)}\n\n`);
  scene.hear();
  await openShop({ shop, mailbox, context: inside });
  if (!context.signal.aborted) inside.signal.throwIfAborted(); // The server has ended, and nobody asked it to.
  return { report, exitCode, render: (style) => closingWords(folder.path, style) };
}

/** Whoever typed `npm start` to see what happens learns it, and what it costs, before it does. */
function announce({ progress, settings }: CommandContext): void {
  if (settings.isJson) return;
  progress.note('A small shop is made and protected, destroyed, restored and compared.');
  progress.note(`All of it happens in ./${demoFolderName}, which grows to about 180 MB and stays.`);
}

interface Scene {
  readonly servers: DemoServers;
  readonly mailbox: Mailbox;
  readonly shop: Shop;
  /** The commands' own context, in the demonstration's folder; what they tell goes where ours goes. */
  readonly inside: CommandContext;
  readonly onNote: (text: string) => void;
  readonly onGone: (reason: Error) => void;
  /** Writes lifeboat.yaml; the server reads it again. */
  readonly configure: (pace: Pace) => Promise<void>;
  /** From now on what the server says is told. */
  readonly hear: () => void;
}

interface Staging {
  readonly context: CommandContext;
  readonly parts: DemoParts;
  readonly stage: AsyncDisposableStack;
}

async function setScene(folder: DemoFolder, { context, parts, stage }: Staging): Promise<Scene> {
  const { progress, settings } = context;
  if (!settings.isJson) progress.note('');
  progress.update({ work: 'start servers' });
  const servers = stage.use(await startServers(context, parts));
  for (const one of servers.leftOut) {
    progress.note(leftOutLines(one, { widthColumns: 79, paint: (_, text) => text }).join('\n'));
  }
  const mailbox = stage.use(await openMailbox(folder.mail, () => context.clock.now()));
  const { database, cache } = servers;
  if (database !== undefined) await writeFile(folder.databasePasswordFile, `${database.password}\n`, { mode: 0o600 });
  const configure = async (pace: Pace): Promise<void> => {
    const { databasePasswordFile } = folder;
    const text = configurationText({ database, cache, mailbox }, { databasePasswordFile, pace });
    await writeFile(folder.configurationFile, text);
  };
  await configure(paces.story);
  let isHeard = false;
  const gone = new AbortController();
  const signal = AbortSignal.any([context.signal, gone.signal]);
  const inside = { ...parts.contextIn(folder.path), progress, signal };
  await createRepository(inside);
  return {
    servers,
    mailbox,
    inside,
    shop: new Shop(folder.shop, servers, parts.scale),
    configure,
    hear: () => void (isHeard = true),
    onGone: (reason) => gone.abort(reason),
    onNote(note) {
      if (isHeard) progress.note(note);
    },
  };
}
