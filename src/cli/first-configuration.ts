// What a first lifeboat.yaml is made from: the answers that `init` collects and the composition root turns into text.

export interface InitAnswers {
  readonly application: string;
  readonly environment: string;
  /** Address of the first repository. */
  readonly location: string;
  /** Undefined: the password comes from LIFEBOAT_PASSWORD. */
  readonly passwordFile: string | undefined;
  readonly createsPasswordFile: boolean;
  readonly createsRepository: boolean;
  readonly components: readonly InitComponent[];
  readonly cron: string;
  readonly timeZone: string;
}

export type InitComponent = { readonly name: string } & (
  | { readonly type: 'postgres' | 'redis'; readonly host: string | undefined }
  | { readonly type: 'files'; readonly paths: readonly string[] }
  | { readonly type: 'config'; readonly files: readonly string[] }
);
