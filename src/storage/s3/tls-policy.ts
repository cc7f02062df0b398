// The statement of a bucket's policy that refuses requests in clear, beside whatever else stands there.
import { z } from 'zod';

const sid = 'LifeboatTlsOnly';

const policySchema = z.looseObject({ Version: z.string().optional(), Statement: z.unknown().optional() });
const refusalSchema = z.object({
  Effect: z.literal('Deny'),
  Condition: z.object({ Bool: z.object({ 'aws:SecureTransport': z.union([z.literal('false'), z.literal(false)]) }) }),
});

/** The policy with it; undefined if it has such a statement. */
export function withTlsOnly(text: string | undefined, bucket: string): string | undefined {
  const policy = text === undefined ? {} : policySchema.parse(JSON.parse(text));
  const { Statement: given } = policy as { Statement?: unknown };
  const statements: unknown[] = given === undefined ? [] : Array.isArray(given) ? given : [given];
  if (statements.some((one) => refusalSchema.safeParse(one).success)) return undefined;
  const statement = {
    Sid: sid,
    Effect: 'Deny',
    Principal: '*',
    Action: 's3:*',
    Resource: [`arn:aws:s3:::${bucket}`, `arn:aws:s3:::${bucket}/*`],
    Condition: { Bool: { 'aws:SecureTransport': 'false' } },
  };
  return JSON.stringify({ Version: '2012-10-17', ...policy, Statement: [...statements, statement] });
}
