// Errors and notices of a server with all their fields. The texts may be in any language; the codes and the name of the
// server's own function are not.
import { BodyReader } from './body-reader.ts';

export interface NoticeFields {
  /** Untranslated: `ERROR`, `FATAL`, `PANIC`, `WARNING`, `NOTICE` … */
  readonly severity: string;
  /** SQLSTATE. */
  readonly code: string;
  readonly message: string;
  readonly detail?: string | undefined;
  readonly hint?: string | undefined;
  /** All fields by their letter, those above included. */
  readonly all: ReadonlyMap<string, string>;
}

export function decodeNotice(body: Buffer): NoticeFields {
  const reader = new BodyReader(body, 'notice');
  const all = new Map<string, string>();
  for (let field = reader.byte(); field !== 0; field = reader.byte())
    all.set(String.fromCharCode(field), reader.text());
  return {
    severity: all.get('V') ?? all.get('S') ?? 'ERROR',
    code: all.get('C') ?? 'XX000',
    message: all.get('M') ?? 'no message',
    detail: all.get('D'),
    hint: all.get('H'),
    all,
  };
}

/** An error that the server reported. `code` is its SQLSTATE, as with the errors of the driver for SQL. */
export class ServerError extends Error {
  override readonly name = 'ServerError';
  readonly code: string;
  readonly fields: NoticeFields;

  constructor(fields: NoticeFields) {
    const { message, detail } = fields;
    super(detail === undefined ? message : `${message}: ${detail}`);
    this.code = fields.code;
    this.fields = fields;
  }

  /** Name of the function in the server that reported it: the same in all languages. */
  get routine(): string {
    return this.fields.all.get('R') ?? '';
  }

  /** Whether the server ends the connection with it. */
  get isFatal(): boolean {
    return this.fields.severity === 'FATAL' || this.fields.severity === 'PANIC';
  }
}
