/** What every grant of the token endpoint has in common. */
import type { TokenVersion } from '../../../identity/issuer-names.ts';
import type { Client } from '../client-authentication.ts';
import type { LoginCall } from '../routes.ts';

/** A token request whose client has been authenticated. */
export interface GrantRequest {
  readonly call: LoginCall;
  /** Of the endpoint that was asked. */
  readonly endpoint: TokenVersion;
  readonly form: URLSearchParams;
  readonly client: Client;
}

/** Resolves to the reply's members; fails in OAuth's kinds. */
export type GrantHandler = (request: GrantRequest) => Promise<object>;
