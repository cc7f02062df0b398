// Whom the example applications tell: the variables that lead their channels to receivers of the test, and what came there.
import { mailReceiver, webReceiver, type WebReceiver } from './alert-receivers.ts';

export interface Receivers extends AsyncDisposable {
  readonly variables: Readonly<Record<string, string>>;
  /** Sorted, each once. */
  mailedTo(): string[];
  /** All that was mailed, without the line breaks that mail is sent with. */
  mails(): string;
  /** Numbers that have a message. */
  textedTo(): string[];
  /** What came at a path. */
  requestsAt(path: string): string[];
}

export async function openReceivers(): Promise<Receivers> {
  await using stack = new AsyncDisposableStack();
  const answer: WebReceiver['answer'] = (response, { path }) => {
    if (path.startsWith('/2010-04-01/')) response.writeHead(201).end('{"sid":"SM42","status":"queued"}');
    else if (/^\/(?:slack|case)$/.test(path)) response.end('ok');
    // As S3, to whoever has no rights.
    else response.writeHead(403).end('<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>');
  };
  const web = stack.use(await webReceiver(undefined, answer));
  const mail = stack.use(await mailReceiver({ authOptional: true, disabledCommands: ['STARTTLS'] }));
  const requestsAt = (path: string): string[] =>
    web.requests.filter((request) => request.path.startsWith(path)).map(({ body }) => body);
  const owned = stack.move();
  return {
    variables: {
      SLACK_URL: `${web.url}/slack`,
      TWILIO_URL: web.url,
      TWILIO_SID: 'AC17',
      TWILIO_TOKEN: 'token',
      SUPPORT_CASE_URL: `${web.url}/case`,
      SUPPORT_CASE_SECRET: 'key of sixteen letters',
      AWS_ENDPOINT_URL: web.url,
      AWS_ACCESS_KEY_ID: 'test',
      AWS_SECRET_ACCESS_KEY: 'test',
      SMTP_HOST: '127.0.0.1',
      SMTP_PORT: String(mail.port),
    },
    mailedTo: () => [...new Set(mail.mails.flatMap(({ to }) => to))].toSorted(),
    mails: () => mail.mails.map(({ source }) => source.replaceAll('=\r\n', '')).join('\n'),
    textedTo: () =>
      [...new Set(requestsAt('/2010-04-01/').map((body) => new URLSearchParams(body).get('To') ?? ''))].toSorted(),
    requestsAt,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
