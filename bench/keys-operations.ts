/** The operations of keys that are measured, as rows: the key, the request, and what it is compared with. */
import { randomBytes } from 'node:crypto';
import { type Client, type Reply, vaultHost } from './client.ts';
import type { SpeedTest } from './keys-ceilings.ts';
import type { PrimitiveName } from './keys-primitives.ts';
import { type RequestHead, requestText, type Template } from './requests.ts';

export interface KeyOperation extends Using {
  readonly primitive: PrimitiveName;
  /** Undefined for what `openssl speed` has not had from the beginning. */
  readonly speed?: SpeedTest | undefined;
  /** What its rate is to be of the ceiling's. */
  readonly bar?: { readonly text: string; readonly atLeast: number };
}

interface Using {
  readonly name: string;
  readonly key: KeyMaking;
  /** The request, after whatever must be asked of the server for it. */
  readonly request: (ask: Ask) => Promise<KeyRequest>;
}

/** A key's name, and the body that makes it. */
interface KeyMaking {
  readonly name: string;
  readonly create: Readonly<Record<string, unknown>>;
}

interface KeyRequest {
  readonly operation: string;
  readonly body: Readonly<Record<string, string>>;
}

/** Does an operation with the row's key and answers the reply's members. */
type Ask = (operation: string, body: object) => Promise<Readonly<Record<string, string>>>;

const apiVersion = 'api-version=2026-05-01-preview';
const rsa2048: KeyMaking = { name: 'rsa-2048', create: { kty: 'RSA', key_size: 2048 } };
const aes256: KeyMaking = { name: 'aes-256', create: { kty: 'oct-HSM', key_size: 256 } };
const value = randomBytes(32).toString('base64url');

function signing(alg: string): KeyOperation['request'] {
  return async () => ({ operation: 'sign', body: { alg, value } });
}

export const keyOperations: readonly KeyOperation[] = [
  {
    name: 'RS256 sign, RSA-2048',
    key: rsa2048,
    primitive: 'RSA-2048 PKCS#1 sign',
    speed: { algorithm: 'rsa2048', line: 'R1' },
    bar: { text: 'RSA-2048 sign', atLeast: 0.85 },
    request: signing('RS256'),
  },
  {
    name: 'PS256 sign, RSA-2048',
    // A path of its own: a bare server tells by it what to do.
    key: { ...rsa2048, name: 'rsa-2048-pss' },
    primitive: 'RSA-2048 PSS sign',
    request: signing('PS256'),
  },
  {
    name: 'ES256 sign',
    key: { name: 'p-256', create: { kty: 'EC', crv: 'P-256' } },
    primitive: 'P-256 sign',
    speed: { algorithm: 'ecdsap256', line: 'R5' },
    request: signing('ES256'),
  },
  {
    name: 'ML-DSA-65 sign',
    key: { name: 'ml-dsa-65', create: { kty: 'AKP', alg: 'ML-DSA-65' } },
    primitive: 'ML-DSA-65 sign',
    request: signing('ML-DSA-65'),
  },
  {
    name: 'RSA-OAEP-256 decrypt, RSA-2048',
    key: rsa2048,
    primitive: 'RSA-2048 OAEP decrypt',
    request: async (ask) => {
      const alg = 'RSA-OAEP-256';
      const made = await ask('encrypt', { alg, value });
      return { operation: 'decrypt', body: { alg, value: made.value ?? '' } };
    },
  },
  {
    name: 'A256KW unwrap',
    key: aes256,
    primitive: 'AES-256 key unwrap',
    request: async (ask) => {
      const alg = 'A256KW';
      const made = await ask('wrapkey', { alg, value });
      return { operation: 'unwrapkey', body: { alg, value: made.value ?? '' } };
    },
  },
  {
    name: 'A256GCM encrypt',
    key: aes256,
    primitive: 'AES-256-GCM encrypt',
    request: async () => ({ operation: 'encrypt', body: { alg: 'A256GCM', value } }),
  },
];

/** What holds up a server most. */
export const slowestSigning: Using = {
  name: 'RS256 sign, RSA-4096',
  key: { name: 'rsa-4096', create: { kty: 'RSA', key_size: 4096 } },
  request: signing('RS256'),
};

/** A request that uses a key. */
export interface ReadyRequest {
  readonly head: RequestHead;
  readonly body: string;
}

/** Makes the keys and what the requests need, and answers the requests by the operations' names. */
export async function prepareRequests(client: Client, token: string): Promise<Map<string, ReadyRequest>> {
  const askOf =
    ({ key }: Using): Ask =>
    async (operation, body) => {
      const reply = await askFor(client, requestOf(key, operation, { token, body }));
      return JSON.parse(reply.body) as Readonly<Record<string, string>>;
    };
  const requests = new Map<string, ReadyRequest>();
  const made = new Set<string>();
  for (const using of [...keyOperations, slowestSigning]) {
    const { key } = using;
    // Another version would not open what was made with the one before.
    if (!made.has(key.name)) await askOf(using)('create', key.create);
    made.add(key.name);
    const { operation, body } = await using.request(askOf(using));
    requests.set(using.name, requestOf(key, operation, { token, body }));
  }
  return requests;
}

function requestOf(
  { name }: KeyMaking,
  operation: string,
  { token, body }: { token: string; body: object },
): ReadyRequest {
  const authorization = `Authorization: Bearer ${token}`;
  const headers = ['User-Agent: bench', 'Accept: application/json', authorization];
  const path = `/keys/${name}/${operation}?${apiVersion}`;
  return {
    head: { host: vaultHost, method: 'POST', path, headers: [...headers, 'Content-Type: application/json'] },
    body: JSON.stringify(body),
  };
}

/** Sends the request once. */
export function askFor(client: Client, { head, body }: ReadyRequest): Promise<Reply> {
  const { host, method, path } = head;
  const headers = Object.fromEntries(head.headers.map((line) => line.split(': ', 2)));
  return client.ask({ host, method, path, headers, body });
}

export function templateOf({ head, body }: ReadyRequest): Template {
  return { before: requestText(head, body), after: '' };
}
