// What there is to restore, as the repositories of an application hold it at this moment.
import { z } from 'zod';
import { isAppError } from '../base/errors.ts';
import { forEachLimited } from '../base/for-each-limited.ts';
import { selfComponent } from '../model/self-backup.ts';
import type { CommandAnswers } from './command-answers.ts';
import type { Tenant } from './tenant.ts';

/** What of the answer of `snapshots` is used here. */
const listSchema = z.object({
  repositories: z.array(
    z.object({
      name: z.string(),
      snapshots: z.array(
        z.object({
          id: z.string(),
          time: z.string(),
          component: z.string().optional(),
          description: z.string().optional(),
          tags: z.array(z.string()),
          sizeBytes: z.number().optional(),
          storedBytes: z.number().optional(),
          proof: z.object({ outcome: z.enum(['passed', 'failed', 'inconclusive']), time: z.string() }).optional(),
          verifications: z.array(z.object({ level: z.string(), time: z.string() })),
        }),
      ),
    }),
  ),
});

export type RecoveryPoint = z.output<typeof listSchema>['repositories'][number]['snapshots'][number] & {
  readonly application: string;
  readonly repository: string;
  readonly timeMs: number;
};

export interface RecoveryPoints {
  /** Newest first. */
  readonly points: readonly RecoveryPoint[];
  /** Repositories that could not be read: there may be more. */
  readonly unread: readonly { readonly application: string; readonly repository: string; readonly problem: string }[];
}

const repositoriesAtOnceMax = 2;

export async function recoveryPoints(
  answers: Pick<CommandAnswers, 'ask'>,
  tenants: readonly Tenant[],
): Promise<RecoveryPoints> {
  const points: RecoveryPoint[] = [];
  const unread: RecoveryPoints['unread'][number][] = [];
  const places = tenants.flatMap((tenant) => tenant.application.repositories.map(({ name }) => ({ tenant, name })));
  await forEachLimited(places, repositoriesAtOnceMax, async ({ tenant, name: repository }) => {
    const application = tenant.application.name;
    try {
      const { summary } = await answers.ask(tenant, ['snapshots', '--host', application, '--repository', repository]);
      for (const { snapshots } of listSchema.parse(summary).repositories) {
        // The state of the service is of all applications, and for nobody who asks about one.
        for (const one of snapshots.filter(({ component }) => component !== selfComponent)) {
          const timeMs = Temporal.Instant.from(one.time).epochMilliseconds;
          points.push({ ...one, application, repository, timeMs });
        }
      }
    } catch (error) {
      if (!isAppError(error)) throw error;
      unread.push({ application, repository, problem: error.message });
    }
  });
  return { points: points.toSorted(byTime), unread };
}

type Placed = Pick<RecoveryPoint, 'timeMs' | 'id' | 'repository'>;

/** The same order each time: pages follow one another by it. */
export function byTime(left: Placed, right: Placed): number {
  return right.timeMs - left.timeMs || compare(left.id, right.id) || compare(left.repository, right.repository);
}

const compare = (left: string, right: string): number => (left < right ? -1 : left > right ? 1 : 0);
