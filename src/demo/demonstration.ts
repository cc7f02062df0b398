// The demonstration: a small shop is backed up twice and followed in between, proven, destroyed, restored and compared. It runs the commands that
// users run, on the lifeboat.yaml that it leaves behind.
import { writeFile } from 'node:fs/promises';
import type { CommandContext, DemoOutcome } from '../cli/context.ts';
import { configurationText, databasePasswordVariable } from './configuration-text.ts';
import { demoFolderName, prepareDemoFolder, type DemoFolder } from './demo-folder.ts';
import { narrator } from './narrator.ts';
import type { DemoParts } from './parts.ts';
import { failuresOf, leftOutLines, renderReport, type DemoReport } from './report.ts';
import { startServers, type DemoServers } from './servers.ts';
import { Shop } from './shop.ts';
import { createRepository } from './protection.ts';
import { folderSize, runStory, stepsOf } from './story.ts';
import { suggestedCommands } from './suggestions.ts';

export async function demonstrate(context: CommandContext, parts: DemoParts): Promise<DemoOutcome> {
  const startMs = context.clock.now();
  announce(context);
  const folder = await prepareDemoFolder(context.workingFolder);
  if (folder.isCleared && !context.settings.isJson) context.progress.note('What an earlier run left there is removed.');
  const told = await tell(folder, context, parts);
  await folder.release();
  const report: DemoReport = {
    ...told,
    folder: folder.path,
    repository: {
      path: folder.repository,
      passwordFile: folder.passwordFile,
      sizeBytes: await folderSize(folder.repository),
    },
    commands: await suggestedCommands(folder, told, parts),
    elapsedSeconds: (context.clock.now() - startMs) / 1000,
    failures: failuresOf(told),
  };
  return { report, exitCode: report.failures.length === 0 ? 0 : 1, render: (style) => renderReport(report, style) };
}

/** Whoever typed `npm start` to see what happens learns it, and what it costs, before it does. */
function announce({ progress, settings }: CommandContext): void {
  if (settings.isJson) return;
  progress.note('A small shop is made, backed up, proven, destroyed, restored and compared.');
  progress.note(`All of it happens in ./${demoFolderName}, which grows to about 180 MB and stays.`);
}

type Told = Omit<DemoReport, 'folder' | 'repository' | 'commands' | 'elapsedSeconds' | 'failures'>;

async function tell(folder: DemoFolder, context: CommandContext, parts: DemoParts): Promise<Told> {
  const { progress, settings } = context;
  if (!settings.isJson) progress.note('');
  progress.update({ work: 'start servers' });
  await using servers = await startServers(context, parts);
  for (const one of servers.leftOut) {
    progress.note(leftOutLines(one, { widthColumns: 79, paint: (_, text) => text }).join('\n'));
  }
  const shop = new Shop(folder.shop, servers, parts.scale);
  const inside = await contextOf(folder, { context, parts, servers });
  await createRepository(inside);
  const { database } = servers;
  const story = await runStory({ shop, context: inside, narrator: narrator(inside, stepsOf(database)), database });
  return {
    ...story,
    servers: { postgres: servers.database?.version, redis: servers.cache?.version },
    leftOut: servers.leftOut,
  };
}

/** The commands' own context, in the demonstration's folder; what they tell goes where ours goes. */
async function contextOf(
  folder: DemoFolder,
  {
    context,
    parts,
    servers,
  }: { readonly context: CommandContext; readonly parts: DemoParts; readonly servers: DemoServers },
): Promise<CommandContext> {
  await writeFile(folder.configurationFile, configurationText(servers));
  const variables = servers.database === undefined ? {} : { [databasePasswordVariable]: servers.database.password };
  return { ...parts.contextIn(folder.path, variables), progress: context.progress };
}
