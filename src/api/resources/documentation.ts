// The description of the API, and a page that shows it. Everything comes from here: the page works where nothing else can be reached.
import Fastify from 'fastify';
import { defineRoute, type AnyRoute } from '../route.ts';

const scriptPath = '/docs/scalar.js';

/** Without what would ask others: their fonts, assistants and services. */
const configuration = JSON.stringify({
  withDefaultFonts: false,
  telemetry: false,
  hideClientButton: true,
  showDeveloperTools: 'never',
  agent: { disabled: true },
  mcp: { disabled: true },
});

const page = `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8" />
    <meta name="viewport" content="width=device-width, initial-scale=1" />
    <title>Lifeboat API</title>
  </head>
  <body>
    <script id="api-reference" data-url="/openapi.json" data-configuration='${configuration}'></script>
    <script src="${scriptPath}"></script>
  </body>
</html>
`;

/** Scripts and data of this server alone; the page writes styles into itself. */
const pagePolicy =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

export const documentationRoutes: readonly AnyRoute[] = [
  defineRoute({
    method: 'GET',
    path: '/openapi.json',
    summary: 'Describe the API (OpenAPI 3.1)',
    access: { kind: 'public' },
    isDescribed: false,
    answers: { 200: null },
    handle: ({ request, reply }) =>
      Promise.resolve(reply.type('application/json').serializer(JSON.stringify).send(request.server.swagger())),
  }),
  defineRoute({
    method: 'GET',
    path: '/docs',
    summary: 'Show the description as a page',
    access: { kind: 'public' },
    isDescribed: false,
    answers: { 200: null },
    handle: ({ reply }) =>
      Promise.resolve(reply.type('text/html; charset=utf-8').header('content-security-policy', pagePolicy).send(page)),
  }),
  defineRoute({
    method: 'GET',
    path: scriptPath,
    summary: 'Return the script of that page',
    access: { kind: 'public' },
    isDescribed: false,
    answers: { 200: null },
    async handle({ reply }) {
      const text = await (script ??= loadScript());
      return reply.type('text/javascript; charset=utf-8').header('cache-control', 'public, max-age=3600').send(text);
    },
  }),
];

let script: Promise<string> | undefined;

/** Five megabytes, which most servers never need: loaded when somebody looks. The package gives it out through a plugin only. */
async function loadScript(): Promise<string> {
  const { default: reference } = await import('@scalar/fastify-api-reference');
  await using app = Fastify();
  await app.register(reference, { routePrefix: '/docs', configuration: { url: '/openapi.json' } });
  const { statusCode, payload } = await app.inject('/docs/js/scalar.js');
  if (statusCode !== 200) throw new Error(`the script of the documentation was answered with ${statusCode}`);
  return payload;
}
