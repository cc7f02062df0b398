// Looks whether sentinels can be written, and says which statement mends what is missing.
import { isAppError } from '../../../base/errors.ts';
import type { Finding } from '../../../model/finding.ts';
import type { SentinelSettings } from '../../../model/sentinel.ts';
import { connect } from '../connection.ts';
import { addressOf, type PostgresOptions } from '../options.ts';
import { lookAtSentinels, sentinelDatabase } from './write-sentinels.ts';

export async function checkSentinel(
  options: PostgresOptions,
  settings: SentinelSettings,
  signal: AbortSignal,
): Promise<Finding> {
  const aspect = 'sentinel';
  const database = sentinelDatabase(settings, options);
  try {
    await using connection = await connect(await addressOf(options), database, signal);
    const way = await lookAtSentinels(connection, options);
    const place = `lifeboat.sentinel of database ${database}`;
    switch (way.kind) {
      case 'ready':
        return { aspect, outcome: 'passed', message: `${options.user} may write into ${place}` };
      case 'create':
        return { aspect, outcome: 'passed', message: `${place} will be made by the receiver` };
      case 'lacking':
        return { aspect, outcome: 'failed', message: way.message, hint: way.hint };
      default:
        return way satisfies never;
    }
  } catch (error) {
    signal.throwIfAborted();
    if (!isAppError(error)) throw error;
    return { aspect, outcome: 'failed', message: error.message, hint: error.hint };
  }
}
