// The statement of a bucket's policy that lets the store write the access log of another bucket there, beside whatever else stands in it.
import { z } from 'zod';
import { policyWith, statementsIn } from './bucket-policy.ts';

const service = 'logging.s3.amazonaws.com';

interface LogGrant {
  readonly Effect: 'Allow';
  readonly Principal: { readonly Service: string };
  readonly Action: 's3:PutObject';
  readonly Resource: string;
  readonly Condition: { readonly ArnLike: { readonly 'aws:SourceArn': string } };
}

/** For the log of one bucket alone. It has no name: several buckets may log to the same one. */
export function logGrant({
  bucket,
  prefix,
  source,
}: {
  readonly bucket: string;
  readonly prefix: string;
  readonly source: string;
}): LogGrant {
  return {
    Effect: 'Allow',
    Principal: { Service: service },
    Action: 's3:PutObject',
    Resource: `arn:aws:s3:::${bucket}/${prefix}*`,
    Condition: { ArnLike: { 'aws:SourceArn': `arn:aws:s3:::${source}` } },
  };
}

const oneOrMore = z.union([z.string(), z.array(z.string())]).transform((given) => [given].flat());
const grantSchema = z.object({
  Effect: z.literal('Allow'),
  Principal: z.object({ Service: oneOrMore }),
  Action: oneOrMore,
  Resource: oneOrMore,
  Condition: z
    .strictObject({
      ArnLike: z.strictObject({ 'aws:SourceArn': oneOrMore }).optional(),
      // Of the account we can't tell whether it is the right one; whoever wrote it knows.
      StringEquals: z.strictObject({ 'aws:SourceAccount': oneOrMore }).optional(),
    })
    .optional(),
});

/** The policy with it; undefined if it has such a statement. */
export function withLogGrant(text: string | undefined, grant: LogGrant): string | undefined {
  const isThere = statementsIn(text).some((one) => {
    const { data } = grantSchema.safeParse(one);
    if (data === undefined) return false;
    const sources = data.Condition?.ArnLike?.['aws:SourceArn'];
    return (
      data.Principal.Service.includes(service) &&
      data.Action.includes(grant.Action) &&
      data.Resource.some((each) => each.endsWith('*') && grant.Resource.startsWith(each.slice(0, -1))) &&
      (sources === undefined || sources.includes(grant.Condition.ArnLike['aws:SourceArn']))
    );
  });
  return isThere ? undefined : policyWith(text, grant);
}
