// Verifies journals: is every object what its name says, do the bytes of each segment follow from one another, and is
// anything missing that no gap explains? Goes on after each finding.
import { isAppError, messageOf } from '../../base/errors.ts';
import { forEachLimited } from '../../base/for-each-limited.ts';
import { damaged, isMissing, type Repository } from '../repository.ts';
import type { VerifyFindings } from '../verify-findings.ts';
import { readBranches, type ReadBranch } from './branches.ts';
import { streamStretch } from './chain.ts';
import { readDataHeader } from './data-object.ts';
import { openLease } from './lease.ts';
import { arrange, listNames, type JournalListing, type KeptStretch } from './listing.ts';
import { readHeader } from './object.ts';
import { journalsFolder, lineageHash, parseLeaseName, type DataName, type JournalProblem } from './object-name.ts';
import { gapText, readGap, withFreshListing } from './read.ts';

export interface VerifyJournalsOptions {
  /** `structure` opens headers, of sealed segments a sample where there are many; `data` reads every byte. */
  readonly level: 'structure' | 'data';
  /** Of level `data`: parts 1 to `of` together cover every segment. */
  readonly sample?: { readonly part: number; readonly of: number } | undefined;
  readonly findings: VerifyFindings;
  readonly signal: AbortSignal;
  /** Told of each object that was read whole. */
  readonly onObject: (storedBytes: number) => void;
}

/** Segments that are read at the same time, of 16 MiB each or more. */
const segmentsAtOnce = 2;
/** Of each lineage the headers of at most so many sealed objects are opened at level `structure`, drawn by chance. */
const headersMax = 2000;

/** Returns how many objects there are. Rejects only if it can't be carried through. */
export async function verifyJournals(repository: Repository, options: VerifyJournalsOptions): Promise<number> {
  const { findings, signal } = options;
  const folders = new Set<string>();
  const leases: string[] = [];
  let objects = 0;
  for await (const { name } of repository.store.list(journalsFolder, { signal })) {
    objects += 1;
    const [, folder = ''] = name.split('/');
    if (folder === 'leases') leases.push(name);
    else if (/^[0-9a-f]{64}$/.test(folder)) folders.add(`${journalsFolder}${folder}/`);
    else if (folder !== 'branches') findings.error(name, 'it has no name of a journal object');
  }
  await verifyLeases(repository, leases, options);
  // After the folders: a branch is described before anything is put into its folder.
  const { branches, problems } = await readBranches(repository, signal);
  for (const { name, message } of problems) findings.error(name, message);
  const described = new Map(
    branches.map((branch) => [`${journalsFolder}${lineageHash(repository, branch.lineage)}/`, branch]),
  );
  for (const folder of [...folders].toSorted()) await verifyLineage(repository, { folder, described, options });
  return objects;
}

async function verifyLeases(
  repository: Repository,
  names: readonly string[],
  { findings, signal }: VerifyJournalsOptions,
): Promise<void> {
  for (const file of names) {
    const name = parseLeaseName(file);
    if (name === undefined) findings.error(file, 'it has no name of a journal object');
    else await look(findings, file, () => openLease(repository, { name }, signal));
  }
}

/** What is gone by now is no finding: parts and leases come and go. */
async function look(findings: VerifyFindings, name: string, work: () => Promise<unknown>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (isAppError(error, 'REPOSITORY_DAMAGED')) findings.error(name, messageOf(error.cause ?? error));
    else if (!isMissing(error)) throw error;
  }
}

interface Lineage {
  readonly folder: string;
  readonly described: ReadonlyMap<string, ReadBranch>;
  readonly options: VerifyJournalsOptions;
}

async function verifyLineage(repository: Repository, { folder, described, options }: Lineage): Promise<void> {
  const { findings, signal } = options;
  const { data, gaps, problems } = await listNames(repository, folder, signal);
  for (const { name, message } of problems) findings.error(name, message);
  const branch = described.get(folder);
  if (branch === undefined) findings.error(folder, 'no readable object says which branch this is');
  const lineage = branch?.lineage ?? (await lineageOf(repository, { folder, data }, signal));
  // Nothing in it can be opened: each object is told by itself.
  const segmentBytes = branch?.segmentBytes ?? Infinity;
  const listing: JournalListing = {
    lineage: lineage ?? '',
    segmentBytes,
    ...arrange({ data, gaps, segmentBytes }),
    problems,
  };
  if (lineage !== undefined) tellHoles(folder, listing, findings);
  for (const gap of listing.gaps)
    await look(findings, gap.name, () => readGap(repository, { lineage: listing.lineage, gap, signal }));
  await (options.level === 'data' ? verifyBytes : verifyHeaders)(repository, listing, options);
}

/** Where the branch's description is lost: each header names its lineage too, and the folder's name tells whether it fits. */
async function lineageOf(
  repository: Repository,
  { folder, data }: { readonly folder: string; readonly data: readonly DataName[] },
  signal: AbortSignal,
): Promise<string | undefined> {
  for (const { kind, name } of data.slice(0, 10)) {
    try {
      const { subject } = await readHeader(repository, { kind, name }, signal);
      if (folder === `${journalsFolder}${lineageHash(repository, subject)}/`) return subject;
    } catch (error) {
      if (!isMissing(error) && !isAppError(error, 'REPOSITORY_DAMAGED')) throw error;
    }
  }
  return undefined;
}

function tellHoles(folder: string, { lineage, holes, remnant }: JournalListing, findings: VerifyFindings): void {
  for (const hole of holes) {
    if (hole.isRecorded) findings.note(folder, `${gapText(hole)} of ${lineage} could not be had: a recorded gap`);
    else findings.error(folder, `${gapText(hole)} of ${lineage} is missing, and no gap was recorded`);
  }
  for (const { name } of remnant)
    findings.note(name, 'bytes before it are gone: the leftover of a trim that was cut short');
}

async function verifyHeaders(
  repository: Repository,
  { lineage, stretches, remnant }: JournalListing,
  { findings, signal }: VerifyJournalsOptions,
): Promise<void> {
  const all = [...remnant, ...stretches.flatMap(({ objects }) => objects)];
  const sealed = all.filter(({ kind }) => kind === 'segment');
  const share = headersMax / sealed.length;
  const chosen = sealed.filter(() => share >= 1 || repository.random() < share);
  const parts = all.filter(({ kind }) => kind === 'part');
  await forEachLimited([...parts, ...chosen], repository.store.properties.connectionsMax, (data) =>
    look(findings, data.name, () => readDataHeader(repository, { lineage, data }, signal)),
  );
}

async function verifyBytes(
  repository: Repository,
  listing: JournalListing,
  options: VerifyJournalsOptions,
): Promise<void> {
  const { part, of } = options.sample ?? { part: 1, of: 1 };
  const wanted = listing.stretches.filter(({ segment }) => segment % of === part - 1);
  await forEachLimited(wanted, segmentsAtOnce, async ({ segment, from }) => {
    const request = { segment, from, signal: options.signal };
    try {
      // Told once: what was found wrong before a part went missing is found again.
      const problems = await withFreshListing(repository, { listing, request }, (stretch) =>
        problemsOf(repository, { lineage: listing.lineage, stretch }, options),
      );
      for (const { name, message } of problems) options.findings.error(name, message);
    } catch (error) {
      // All of it went away meanwhile, or what is listed can't be got.
      if (isMissing(error)) options.findings.error(listing.lineage, `segment ${segment}: ${messageOf(error)}`);
      else if (!isAppError(error, 'NOT_FOUND')) throw error;
    }
  });
}

async function problemsOf(
  repository: Repository,
  { lineage, stretch }: { readonly lineage: string; readonly stretch: KeptStretch },
  { signal, onObject }: VerifyJournalsOptions,
): Promise<JournalProblem[]> {
  const problems: JournalProblem[] = [];
  const onProblem = (problem: JournalProblem): unknown => problems.push(problem);
  let end = stretch.from;
  for await (const piece of streamStretch(repository, { lineage, stretch, signal, onProblem, readsAll: true }))
    end += piece.length;
  for (const { storedBytes } of stretch.objects) onObject(storedBytes);
  const [first] = stretch.objects;
  if (end < stretch.to && problems.length === 0 && first !== undefined)
    problems.push({
      name: first.name,
      message: messageOf(damaged(first.name, new Error(`nothing fits at offset ${end}`))),
    });
  return problems;
}
