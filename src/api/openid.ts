// Logging in through an OpenID provider: authorization code with PKCE. What must come back is kept in a cookie of the very browser.
import * as openid from 'openid-client';
import { z } from 'zod';
import type { Vouched } from '../access/log-in.ts';
import { AppError, messageOf } from '../base/errors.ts';
import type { OpenIdSettings } from './parts.ts';

/** What the browser keeps between the way out and the way back. */
const pendingSchema = z.object({ state: z.string(), nonce: z.string(), verifier: z.string() });
export type PendingLogin = z.infer<typeof pendingSchema>;

const timeoutSeconds = 10;

export class OpenIdLogin {
  readonly #settings: OpenIdSettings;
  readonly #redirectUrl: string;
  #configuration: Promise<openid.Configuration> | undefined;

  constructor(settings: OpenIdSettings, redirectUrl: string) {
    this.#settings = settings;
    this.#redirectUrl = redirectUrl;
  }

  async begin(): Promise<{ readonly url: string; readonly pending: PendingLogin }> {
    const configuration = await this.#discovered();
    const verifier = openid.randomPKCECodeVerifier();
    const pending = { state: openid.randomState(), nonce: openid.randomNonce(), verifier };
    const url = openid.buildAuthorizationUrl(configuration, {
      redirect_uri: this.#redirectUrl,
      scope: 'openid profile',
      code_challenge: await openid.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
      state: pending.state,
      nonce: pending.nonce,
    });
    return { url: url.href, pending };
  }

  /** Rejects with `UNAUTHENTICATED` if the provider vouches for nobody, or the answer is of another login. */
  async finish(query: string, pending: PendingLogin): Promise<Vouched> {
    const configuration = await this.#discovered();
    const url = new URL(this.#redirectUrl);
    url.search = query;
    try {
      const tokens = await openid.authorizationCodeGrant(configuration, url, {
        pkceCodeVerifier: pending.verifier,
        expectedState: pending.state,
        expectedNonce: pending.nonce,
        idTokenExpected: true,
      });
      const claims = tokens.claims();
      if (claims === undefined) throw new Error('no claims');
      const { iss: issuer, sub: subject, preferred_username: name } = claims;
      return { issuer, subject, preferredName: typeof name === 'string' ? name : undefined };
    } catch (error) {
      throw new AppError('UNAUTHENTICATED', 'the OpenID provider did not vouch for you', {
        hint: 'Begin again at /api/v1/sessions/openid.',
        cause: error,
      });
    }
  }

  /** Once, and again after a failure. */
  #discovered(): Promise<openid.Configuration> {
    this.#configuration ??= this.#discover().catch((error: unknown) => {
      this.#configuration = undefined;
      throw error;
    });
    return this.#configuration;
  }

  async #discover(): Promise<openid.Configuration> {
    const { issuer, clientId, clientSecret } = this.#settings;
    const isLocal = issuer.protocol === 'http:' && ['127.0.0.1', '[::1]', 'localhost'].includes(issuer.hostname);
    try {
      return await openid.discovery(issuer, clientId, clientSecret, undefined, {
        timeout: timeoutSeconds,
        execute: isLocal ? [openid.allowInsecureRequests] : [],
      });
    } catch (error) {
      throw new AppError('PROVIDER_UNREACHABLE', `${issuer.origin} is not to be had: ${messageOf(error)}`, {
        hint: 'See that the issuer is right and answers; log in with a password meanwhile.',
        cause: error,
      });
    }
  }
}

export const pendingText = (pending: PendingLogin): string =>
  Buffer.from(JSON.stringify(pending)).toString('base64url');

/** Rejects with `UNAUTHENTICATED` if this browser began no login. */
export function pendingIn(cookie: string | undefined): PendingLogin {
  try {
    return pendingSchema.parse(JSON.parse(Buffer.from(cookie ?? '', 'base64url').toString()));
  } catch (error) {
    throw new AppError('UNAUTHENTICATED', 'this browser began no login, or too long ago', {
      hint: 'Begin again at /api/v1/sessions/openid.',
      cause: error,
    });
  }
}
