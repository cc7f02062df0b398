// Users of a simulated S3 whose policies hold: each may do what its own says, and nothing else.
export interface S3User {
  readonly AWS_ACCESS_KEY_ID: string;
  readonly AWS_SECRET_ACCESS_KEY: string;
}

/** With one inline policy. Before `holdPolicies`. */
export async function makeS3User(endpoint: string, name: string, policy: object): Promise<S3User> {
  const UserName = name;
  await iam(endpoint, { Action: 'CreateUser', UserName });
  const PolicyDocument = JSON.stringify(policy);
  await iam(endpoint, { Action: 'PutUserPolicy', UserName, PolicyName: 'own', PolicyDocument });
  const made = await iam(endpoint, { Action: 'CreateAccessKey', UserName });
  const field = (tag: string): string => new RegExp(`<${tag}>([^<]+)</${tag}>`).exec(made)?.[1] ?? '';
  return { AWS_ACCESS_KEY_ID: field('AccessKeyId'), AWS_SECRET_ACCESS_KEY: field('SecretAccessKey') };
}

/** From now on signatures and policies are checked; until it is disposed of. */
export async function holdPolicies(endpoint: string): Promise<AsyncDisposable> {
  const setFree = async (requests: string): Promise<void> => {
    const { ok } = await fetch(`${endpoint}/moto-api/reset-auth`, { method: 'POST', body: requests });
    if (!ok) throw new Error('moto does not take a limit of unchecked requests');
  };
  await setFree('0');
  return { [Symbol.asyncDispose]: () => setFree('inf') };
}

async function iam(endpoint: string, parameters: Record<string, string>): Promise<string> {
  const scope = 'AWS4-HMAC-SHA256 Credential=test/20200101/us-east-1/iam/aws4_request, SignedHeaders=host, Signature=0';
  const body = new URLSearchParams({ ...parameters, Version: '2010-05-08' });
  const answer = await fetch(endpoint, { method: 'POST', headers: { authorization: scope }, body });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${parameters['Action'] ?? ''}: ${answer.status} ${text}`);
  return text;
}
