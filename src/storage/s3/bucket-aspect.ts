// One line of what is told of a bucket.

export interface BucketAspect {
  readonly aspect: string;
  readonly outcome: 'passed' | 'warning' | 'failed' | 'inconclusive';
  readonly message: string;
  readonly hint?: string | undefined;
}
