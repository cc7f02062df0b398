// Before a server that gives way: refuses requests to order with 403, as S3 refuses what a lock or a policy forbids, and passes on the others.
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { scriptedServer, type ScriptedServer } from './http-script.ts';

const refusal =
  '<?xml version="1.0" encoding="UTF-8"?><Error><Code>AccessDenied</Code><Message>Access Denied because object protected by object lock.</Message></Error>';

export async function guardingProxy(
  upstream: string,
  isRefused: (request: IncomingMessage) => boolean,
): Promise<ScriptedServer> {
  return await scriptedServer((request, response) => {
    if (isRefused(request)) {
      request.resume();
      response.writeHead(403, { 'content-type': 'application/xml' }).end(refusal);
      return;
    }
    const { method, headers, url = '/' } = request;
    const passed = httpRequest(new URL(url, upstream), { method, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    passed.on('error', () => response.destroy());
    request.pipe(passed);
  });
}
