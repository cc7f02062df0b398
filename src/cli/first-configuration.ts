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

export type InitServer = {
  readonly name: string;
  readonly type: 'postgres' | 'redis';
  readonly host: string | undefined;
} & InitConnection;

export type InitComponent =
  | InitServer
  | ({ readonly name: string } & (
      | { readonly type: 'files'; readonly paths: readonly string[] }
      | { readonly type: 'config'; readonly files: readonly string[] }
    ));

/** How a server is reached, as far as it is known. Secrets stay where they are: only the variable that holds one is named. */
interface InitConnection {
  readonly port?: number | undefined;
  readonly user?: string | undefined;
  readonly database?: string | undefined;
  readonly passwordVariable?: string | undefined;
  /** Without password; in place of the keys before. */
  readonly url?: string | undefined;
  /** Holds a whole connection URL. */
  readonly urlVariable?: string | undefined;
  /** The variable stands in the .env file of the folder, and is not set. */
  readonly isOfEnvFile?: boolean | undefined;
}
