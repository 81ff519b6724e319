/**
 * Every kind of write of the vault API, and all that the API tells of the secret and the key of a name, to compare
 * before and after. What keys share with secrets in every step (deletion, recovery, purge) is here once.
 */
import type { RawResponse } from '../support/server.ts';
import type { VaultCaller } from '../support/vault-rest.ts';

export interface WriteOperation {
  readonly name: string;
  /** Brings the secret or key into the state that the operation begins with; answers what `send` needs. */
  readonly prepare: (call: VaultCaller, name: string) => Promise<string>;
  readonly send: (call: VaultCaller, name: string, prepared: string) => Promise<RawResponse>;
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

/** As much as a key's tags may hold: more than a page of a database. */
const bigTags = Object.fromEntries(
  Array.from({ length: 15 }, (_, index) => [`tag-${index}-${'n'.repeat(240)}`, 'v'.repeat(256)]),
);

async function makeKey(call: VaultCaller, name: string): Promise<string> {
  const reply = await call('POST', `/keys/${name}/create`, { kty: 'EC', tags: bigTags });
  if (reply.status !== 200) throw new Error(reply.text);
  return '';
}

async function backUpAndPurgeKey(call: VaultCaller, name: string): Promise<string> {
  await makeKey(call, name);
  const backup = await call('POST', `/keys/${name}/backup`);
  await call('DELETE', `/keys/${name}`);
  await call('DELETE', `/deletedkeys/${name}`);
  return backup.json.value as string;
}

const notify = { trigger: { timeBeforeExpiry: 'P10D' }, action: { type: 'Notify' } };

const keyOperations: readonly WriteOperation[] = [
  {
    name: 'the creation of a key',
    prepare: async () => '',
    send: (call, name) => call('POST', `/keys/${name}/create`, { kty: 'EC', tags: bigTags }),
    done: 200,
    grows: true,
  },
  {
    name: 'the rotation of a key',
    prepare: makeKey,
    send: (call, name) => call('POST', `/keys/${name}/rotate`),
    done: 200,
    grows: true,
  },
  {
    name: 'PATCH of a key',
    prepare: makeKey,
    send: (call, name) =>
      call('PATCH', `/keys/${name}`, { key_ops: ['verify'], attributes: { enabled: false }, tags: {} }),
    done: 200,
    grows: false,
  },
  {
    name: 'PUT of a rotation policy',
    prepare: makeKey,
    send: (call, name) =>
      call('PUT', `/keys/${name}/rotationpolicy`, {
        lifetimeActions: [notify],
        attributes: { expiryTime: 'P30D' },
      }),
    done: 200,
    grows: false,
  },
  {
    name: 'restore of a key',
    prepare: backUpAndPurgeKey,
    send: (call, _name, blob) => call('POST', '/keys/restore', { value: blob }),
    done: 200,
    grows: true,
  },
];

export const writeOperations: readonly WriteOperation[] = [
  ...keyOperations,
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

/**
 * What the API says of the secret and of the key of a name: its value (from memory, where it is kept), its deletion, a
 * key's rotation policy, and each of the versions.
 */
export async function stateOf(call: VaultCaller, name: string): Promise<unknown[]> {
  const states = await Promise.all(['secrets', 'keys'].map((kind) => stateOfKind(call, kind, name)));
  return states.flat();
}

async function stateOfKind(call: VaultCaller, kind: string, name: string): Promise<unknown[]> {
  const told = (reply: RawResponse) => [reply.status, reply.text];
  const versions = await call('GET', `/${kind}/${name}/versions`);
  const items: { id?: string; kid?: string }[] = versions.json.value;
  const ids = items.map(({ id, kid }) => new URL(id ?? kid ?? '').pathname);
  const own = kind === 'keys' ? [`/keys/${name}/rotationpolicy`] : [];
  const paths = [`/${kind}/${name}`, `/deleted${kind}/${name}`, ...own, ...ids];
  const replies = await Promise.all(paths.map((path) => call('GET', path)));
  return [told(versions), ...replies.map(told)];
}
