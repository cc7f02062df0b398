// The package has no types of its own.
declare module 'pgpass' {
  interface Wanted {
    readonly host: string;
    readonly port: number;
    readonly database: string;
    readonly user: string;
  }
  export default function findPassword(wanted: Wanted, found: (password: string | undefined) => void): void;
}
