/** What tests of the vault data plane's REST share: Azure's error bodies, and vaults that the test's identity may use. */
import type { RawResponse, TestServer } from './server.ts';

/** A call of one vault, as `vaultCaller` makes it. */
export type VaultCaller = (
  method: string,
  path: string,
  body?: unknown,
  headers?: Record<string, string>,
) => Promise<RawResponse>;

/** The whole body of a refusal, to the letter. */
export function errorBody(code: string, message: string, inner?: string): string {
  const innererror = inner === undefined ? {} : { innererror: { code: inner } };
  return JSON.stringify({ error: { code, message, ...innererror } });
}

/** Azure's text for a secret that is not there. */
export function secretNotFound(id: string): string {
  return errorBody(
    'SecretNotFound',
    `A secret with (name/id) ${id} was not found in this key vault. If you recently deleted this secret you may be able to recover it using the correct recovery command. For help resolving this issue, please see https://go.microsoft.com/fwlink/?linkid=2125182`,
  );
}

/** Azure's text for a key that is not there. */
export function keyNotFound(id: string): string {
  return secretNotFound(id)
    .replace('SecretNotFound', 'KeyNotFound')
    .replace('A secret', 'A key')
    .replace('this secret', 'this key');
}

/** Makes a vault on which the test's own identity has every right. */
export async function makeVault(
  server: TestServer,
  name: string,
  options: object = {},
): Promise<{ id: string }> {
  const made = await server.control<{ id: string }>('vault create', { name, ...options });
  await server.control('identity grant', {
    identity: server.clientId,
    role: 'Key Vault Administrator',
    vault: name,
  });
  return made;
}

/** The version in a secret's identifier. */
export function versionOf(reply: RawResponse): string {
  return (reply.json.id as string).split('/')[5] ?? '';
}

/** The version in the identifier of a key that was made or read. */
export function keyVersionOf(reply: RawResponse): string {
  return (reply.json.key.kid as string).split('/')[5] ?? '';
}
