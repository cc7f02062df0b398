// The name by which receivers keep the alerts of several applications apart, as long as they allow.
import { createHash } from 'node:crypto';
import type { AlertMessage } from '../../model/alert-message.ts';

/** The same for all messages about one alert; where it would be too long, its end is a hash of the whole. */
export function alertKey({ application, environment, alertId }: AlertMessage, lengthMax: number): string {
  const key = `${application}/${environment}/${alertId}`;
  if (key.length <= lengthMax) return key;
  const hash = createHash('sha256').update(key).digest('hex').slice(0, 32);
  return `${key.slice(0, lengthMax - hash.length - 1)}~${hash}`;
}
