/** Every kind of write of the vault API, and all that the API tells of a secret, to compare before and after. */
import type { RawResponse } from '../support/server.ts';
import type { VaultCaller } from '../support/vault-rest.ts';

export interface WriteOperation {
  readonly name: string;
  /** Brings the secret into the state that the operation begins with; answers what `send` needs. */
  readonly prepare: (call: VaultCaller, secret: string) => Promise<string>;
  readonly send: (call: VaultCaller, secret: string, prepared: string) => Promise<RawResponse>;
  /** The status of its success. */
  readonly done: number;
  /** Whether it adds so much that a full SQLite file cannot take it. */
  readonly grows: boolean;
}

/** A value near the largest: no free place in any page of a database holds it. */
export const bigValue = 'v'.repeat(25_000);

async function put(call: VaultCaller, secret: string): Promise<string> {
  const reply = await call('PUT', `/secrets/${secret}`, { value: 'first', tags: { a: '1' } });
  if (reply.status !== 200) throw new Error(reply.text);
  return '';
}

async function putAndDelete(call: VaultCaller, secret: string): Promise<string> {
  await put(call, secret);
  const reply = await call('DELETE', `/secrets/${secret}`);
  if (reply.status !== 200) throw new Error(reply.text);
  return '';
}

async function backUpAndPurge(call: VaultCaller, secret: string): Promise<string> {
  await call('PUT', `/secrets/${secret}`, { value: bigValue });
  await call('PUT', `/secrets/${secret}`, { value: 'second' });
  const backup = await call('POST', `/secrets/${secret}/backup`);
  await call('DELETE', `/secrets/${secret}`);
  await call('DELETE', `/deletedsecrets/${secret}`);
  return backup.json.value as string;
}

export const writeOperations: readonly WriteOperation[] = [
  {
    name: 'the first PUT of a name',
    prepare: async () => '',
    send: (call, secret) => call('PUT', `/secrets/${secret}`, { value: bigValue }),
    done: 200,
    grows: true,
  },
  {
    name: 'a PUT of one more version',
    prepare: put,
    send: (call, secret) => call('PUT', `/secrets/${secret}`, { value: bigValue }),
    done: 200,
    grows: true,
  },
  {
    name: 'PATCH',
    prepare: put,
    send: (call, secret) =>
      call('PATCH', `/secrets/${secret}`, { attributes: { enabled: false }, tags: { a: '2' } }),
    done: 200,
    grows: false,
  },
  {
    name: 'DELETE',
    prepare: put,
    send: (call, secret) => call('DELETE', `/secrets/${secret}`),
    done: 200,
    grows: false,
  },
  {
    name: 'recover',
    prepare: putAndDelete,
    send: (call, secret) => call('POST', `/deletedsecrets/${secret}/recover`),
    done: 200,
    grows: false,
  },
  {
    name: 'purge',
    prepare: putAndDelete,
    send: (call, secret) => call('DELETE', `/deletedsecrets/${secret}`),
    done: 204,
    grows: false,
  },
  {
    name: 'restore',
    prepare: backUpAndPurge,
    send: (call, _secret, blob) => call('POST', '/secrets/restore', { value: blob }),
    done: 200,
    grows: true,
  },
];

/** What the API says of a secret: its value (from memory, where it is kept), its deletion, and each of its versions. */
export async function stateOf(call: VaultCaller, secret: string): Promise<unknown[]> {
  const told = (reply: RawResponse) => [reply.status, reply.text];
  const versions = await call('GET', `/secrets/${secret}/versions`);
  const ids: string[] = versions.json.value.map((item: { id: string }) => new URL(item.id).pathname);
  const paths = [`/secrets/${secret}`, `/deletedsecrets/${secret}`, ...ids];
  const replies = await Promise.all(paths.map((path) => call('GET', path)));
  return [told(versions), ...replies.map(told)];
}
