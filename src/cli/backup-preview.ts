// `backup --dry-run` of one component into one repository: looked up without a lock, and told in a few lines.
import { count } from '../base/count.ts';
import { previewBackup, type BackupPreview } from '../operations/backup/preview.ts';
import type { BackupWishes, BackupWork } from './back-up.ts';
import type { CommandContext } from './context.ts';
import { bytes, factLines, findingLines, shortId, wrap, type Style } from './style.ts';

export async function previewWork(
  context: CommandContext,
  { component, repository, host }: BackupWork,
  { isForced, type }: BackupWishes,
): Promise<BackupPreview> {
  context.progress.update({ work: `look at ${component.name}` });
  const source = await context.sourceOf(component);
  await using opened = await context.openRepository(repository, 'read');
  const { signal } = context;
  return await previewBackup(opened.repository, source, { component: component.name, host, isForced, type, signal });
}

const problemsShownMax = 20;

export function previewLines(
  { component, repository }: { readonly component: string; readonly repository: string },
  { parent, files, form, findings, problems }: BackupPreview,
  style: Style,
): string[] {
  const after = parent === undefined ? 'the first of its kind there' : `after snapshot ${shortId(parent)}`;
  const lines = [`would back up ${component} to ${repository}, ${after}`];
  if (files !== undefined) {
    const read = count(files.new + files.changed, 'file');
    lines.push(
      `  read    ${read}, ${bytes(files.readBytes)}: ${files.new} new, ${files.changed} changed`,
      `  as before ${count(files.unmodified, 'file')}; ${bytes(files.totalBytes)} in all`,
    );
  }
  if (form !== undefined) {
    const { method, type, reason } = form;
    const words = `${method}, ${type}${reason === undefined ? '' : `: ${reason}`}`;
    lines.push(...wrap(words, style.widthColumns - 2).map((line) => `  ${line}`));
  }
  const narrow = { ...style, widthColumns: style.widthColumns - 2 };
  lines.push(...findingLines(findings, narrow).map((line) => `  ${line}`));
  const shown = style.isVerbose ? problems : problems.slice(0, problemsShownMax);
  lines.push(...shown.flatMap(({ path, message }) => factLines(`${path}: ${message}`, style, '  ')));
  if (shown.length < problems.length) lines.push(`  and ${problems.length - shown.length} more (--verbose shows all)`);
  return lines;
}

/** As a backup would end: what its check calls failed would fail it, or leave something out. */
export function previewExitCode({ findings, problems }: BackupPreview): number {
  if (findings.some(({ outcome }) => outcome === 'failed')) return 1;
  return problems.length > 0 ? 3 : 0;
}
