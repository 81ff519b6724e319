/** What tests of key release share: a server beside an attestation authority, and what an environment makes of a reply. */
import {
  type AttestationAuthority,
  readReleaseReply,
  startAttestationAuthority,
} from './attestation-authority.ts';
import {
  type RawResponse,
  startTestServer,
  type TestServer,
  type TestServerOptions,
  tokenFor,
  vaultCaller,
} from './server.ts';
import { errorBody, type VaultCaller } from './vault-rest.ts';

export interface ReleaseServer {
  readonly server: TestServer;
  readonly authority: AttestationAuthority;
  /** As the test's own identity, on the vault `dev`. */
  readonly call: VaultCaller;
  close(): Promise<void>;
}

/** `settings` may need the authority's address. */
export async function startReleaseServer(
  options: TestServerOptions,
  settings: (authority: AttestationAuthority) => TestServerOptions['settings'] = () => undefined,
): Promise<ReleaseServer> {
  const authority = await startAttestationAuthority();
  const server = await startTestServer({ ...options, settings: settings(authority) ?? {} });
  return {
    server,
    authority,
    call: vaultCaller(server, await tokenFor(server)),
    async close() {
      await server.close();
      await authority.close();
    },
  };
}

/** The condition of the tests' policies, and claims that satisfy it: Azure's test authority writes both so. */
export const condition = { claim: 'sdk-test', equals: 'true' };
export const goodClaims = { 'sdk-test': true };

/** The body of a creation: a key on P-256 that may leave, under a policy in base64url. */
export function exportable(data: string, more: { readonly immutable?: boolean } = {}) {
  return { kty: 'EC-HSM', attributes: { exportable: true }, release_policy: { data, ...more } };
}

/** A reply to a release, verified by the server's authority for the vault's host, and opened by the environment. */
export function openRelease({ server, authority }: ReleaseServer, value: string) {
  const read = readReleaseReply(value, { caPem: server.ca, host: 'dev.vault.azure.net' });
  const { header, ciphertext } = read.keyHsm;
  const key = authority.environment.open(Buffer.from(ciphertext, 'base64url'), header.enc);
  return { ...read, key };
}

/** The one answer to every attestation that is not good enough. */
export const notVerified = errorBody(
  'Forbidden',
  'Target environment attestation statement cannot be verified.',
  'AccessDenied',
);

/** Status and body of an answer, to be compared with a refusal's. */
export function said({ status, text }: RawResponse): [status: number, text: string] {
  return [status, text];
}

export function badParameter(message: string): [status: number, text: string] {
  return [400, errorBody('BadParameter', message)];
}

export function forbiddenOperation(operation: string): [status: number, text: string] {
  const message = `Operation ${operation} is not permitted on this key.`;
  return [403, errorBody('Forbidden', message, 'KeyOperationForbidden')];
}
