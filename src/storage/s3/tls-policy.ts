// The statement of a bucket's policy that refuses requests in clear, beside whatever else stands there.
import { z } from 'zod';
import { policyWith, statementsIn } from './bucket-policy.ts';

const sid = 'LifeboatTlsOnly';

const refusalSchema = z.object({
  Effect: z.literal('Deny'),
  Condition: z.object({ Bool: z.object({ 'aws:SecureTransport': z.union([z.literal('false'), z.literal(false)]) }) }),
});

/** The policy with it; undefined if it has such a statement. */
export function withTlsOnly(text: string | undefined, bucket: string): string | undefined {
  if (statementsIn(text).some((one) => refusalSchema.safeParse(one).success)) return undefined;
  const statement = {
    Sid: sid,
    Effect: 'Deny',
    Principal: '*',
    Action: 's3:*',
    Resource: [`arn:aws:s3:::${bucket}`, `arn:aws:s3:::${bucket}/*`],
    Condition: { Bool: { 'aws:SecureTransport': 'false' } },
  };
  return policyWith(text, statement);
}
