// Policies of buckets, as text: what stands in one, and one statement more in it. Nothing that others wrote is changed.
import { z } from 'zod';

const policySchema = z.looseObject({ Version: z.string().optional(), Statement: z.unknown().optional() });

const parsed = (text: string | undefined) => (text === undefined ? {} : policySchema.parse(JSON.parse(text)));

export function statementsIn(text: string | undefined): unknown[] {
  const { Statement: given } = parsed(text) as { Statement?: unknown };
  return given === undefined ? [] : [given].flat();
}

export function policyWith(text: string | undefined, statement: object): string {
  const Statement = [...statementsIn(text), statement];
  return JSON.stringify({ Version: '2012-10-17', ...parsed(text), Statement });
}
