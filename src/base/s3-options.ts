// How to reach an S3 server: shared by whoever speaks to one (the repository store, sources of buckets).

export interface S3ClientOptions {
  /** URL of a server other than AWS: `https://minio.example:9000`. AWS if absent. */
  readonly endpoint?: string | undefined;
  /** If absent: what the AWS settings of this machine say; `us-east-1` where an endpoint is given. */
  readonly region?: string | undefined;
  /** Bucket in the path instead of in the host name. If absent: true where an endpoint is given. */
  readonly usesPathStyle?: boolean | undefined;
  /** If absent, the AWS default chain: environment, profile, web identity, container, instance. */
  readonly credentials?: S3Credentials | undefined;
  /** Connections at once; 8 if absent. */
  readonly connectionsMax?: number | undefined;
  /** A connection without a byte for this long counts as dead; 60 s if absent. */
  readonly idleTimeoutMs?: number | undefined;
}

/** Secret: never part of an address, a message or a log. */
export interface S3Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string | undefined;
}

/** The tag that bulk data carries, so that a bucket's lifecycle rules can tell it from metadata. */
export const bulkDataTag = { key: 'lifeboat', value: 'bulk-data' } as const;
