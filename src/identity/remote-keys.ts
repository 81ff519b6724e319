/**
 * The public keys of an external issuer: its JWKS, found by OpenID discovery or at a given address, fetched within
 * limits and kept. A stranger's unknown key ids cause at most one fetch per cool-down, and an issuer that is down
 * is bridged with the keys last seen. Attestation authorities are asked and remembered by the same means.
 */
import { importJWK, type JWK } from 'jose';
import type { Clock } from '../core/clock.ts';
import type { Log } from '../core/log.ts';
import type { VerificationKey, VerificationKeys } from './verification-keys.ts';

/** The part of `fetch` that is used. */
export type Fetch = (
  url: string,
  init: { redirect: 'error'; signal: AbortSignal; headers: Record<string, string> },
) => Promise<Response>;

export interface RemoteKeysDeps {
  readonly fetch: Fetch;
  readonly clock: Clock;
  readonly log: Log;
}

/** Whose keys, and where; without `jwksUri`, the issuer's discovery document says where. */
export interface RemoteKeysOptions {
  readonly issuer: string;
  readonly jwksUri?: string;
  /** JWS algorithms that are accepted; asymmetric ones only. */
  readonly algorithms: readonly string[];
}

/** Milliseconds. */
const refreshAfter = 10 * 60 * 1000;
const coolDown = 30 * 1000;
const usableFor = 24 * 60 * 60 * 1000;
const patience = 5 * 1000;
/** Bytes of a reply. */
const longestReply = 256 * 1024;
/** Keys of a set that are looked at. */
export const mostKeys = 100;

/** What a key without `alg` is used with. */
const usualAlgorithm: Readonly<Record<string, string>> = {
  RSA: 'RS256',
  'EC P-256': 'ES256',
  'EC P-384': 'ES384',
  'EC P-521': 'ES512',
};
const knownAlgorithms = [
  ...['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'],
  ...['ES256', 'ES384', 'ES512'],
];

/** Makes the source; nothing is fetched before the first token. Throws `TypeError` for options that are unsafe. */
export function createRemoteKeys(deps: RemoteKeysDeps, options: RemoteKeysOptions): VerificationKeys {
  assertFetchable(options.jwksUri ?? options.issuer);
  const unknown = options.algorithms.find((name) => !knownAlgorithms.includes(name));
  if (unknown !== undefined) throw new TypeError(`tokens signed with ${unknown} are not accepted`);
  return createRemoteSet(deps, { issuer: options.issuer, load: () => fetchKeys(deps, options) });
}

/** What an issuer publishes under key ids, kept and refreshed as this file's header says. */
export interface RemoteSet<K> {
  /** What is published under the id, looked up at the issuer if need be. */
  find(kid: string): Promise<K | undefined>;
  /** True if it is known and need not be looked up again. */
  has(kid: string): boolean;
  /** True if a set is at hand: an id that is not found is then one that the issuer does not publish. */
  isAtHand(): boolean;
}

/** Keeps what `load` fetches; `issuer` names it in the log. */
export function createRemoteSet<K>(
  deps: RemoteKeysDeps,
  { issuer, load }: { issuer: string; load: () => Promise<ReadonlyMap<string, K>> },
): RemoteSet<K> {
  const { clock, log } = deps;
  let keys: ReadonlyMap<string, K> = new Map();
  // By the monotonic clock: a wall clock that is set back must not prolong the trust in a key that was withdrawn.
  let fetchedAt = Number.NEGATIVE_INFINITY;
  let triedAt = Number.NEGATIVE_INFINITY;
  let refreshAt = Number.NEGATIVE_INFINITY;
  let refreshing: Promise<void> | undefined;

  const isAtHand = () => clock.monotonic() < fetchedAt + usableFor;
  const known = (kid: string) => (isAtHand() ? keys.get(kid) : undefined);

  async function fetchAll(): Promise<void> {
    triedAt = clock.monotonic();
    try {
      keys = await load();
      fetchedAt = clock.monotonic();
      refreshAt = fetchedAt + refreshAfter;
    } catch (error) {
      refreshAt = clock.monotonic() + coolDown;
      log.warn('the keys of an external issuer could not be fetched', { issuer, error });
    }
  }

  /** Never rejects. */
  function refresh(): Promise<void> {
    refreshing ??= fetchAll().finally(() => {
      refreshing = undefined;
    });
    return refreshing;
  }

  return {
    async find(kid) {
      const key = known(kid);
      if (key !== undefined) {
        // Nobody waits for a refresh while there is a key to go on with.
        if (clock.monotonic() >= refreshAt) void refresh();
        return key;
      }
      if (refreshing !== undefined || clock.monotonic() >= triedAt + coolDown) await refresh();
      return known(kid);
    },
    has: (kid) => clock.monotonic() < refreshAt && known(kid) !== undefined,
    isAtHand,
  };
}

/** True for an address that keys may be fetched from: HTTPS, or HTTP to this machine, and no credentials in it. */
export function isFetchable(address: string): boolean {
  if (!URL.canParse(address)) return false;
  const { protocol, hostname, username, password } = new URL(address);
  const isLoopback = /^((.+\.)?localhost|127(\.\d{1,3}){3}|\[::1\])$/.test(hostname);
  const isSafe = protocol === 'https:' || (protocol === 'http:' && isLoopback);
  return isSafe && username === '' && password === '';
}

function assertFetchable(address: string): void {
  if (!isFetchable(address))
    throw new TypeError('the address of an external issuer or its keys is not HTTPS');
}

async function fetchKeys(
  deps: RemoteKeysDeps,
  { issuer, jwksUri, algorithms }: RemoteKeysOptions,
): Promise<ReadonlyMap<string, VerificationKey>> {
  const set = await fetchObject(deps, jwksUri ?? (await discover(deps, issuer)));
  if (!Array.isArray(set.keys)) throw new Error('the reply is no JWK set');
  const found = new Map<string, VerificationKey>();
  for (const jwk of set.keys.slice(0, mostKeys)) {
    const [kid, key] = (await importKey(jwk, algorithms)) ?? [];
    // The first key of an id stays: which one an issuer means by a repeated id is not for us to guess.
    if (kid !== undefined && key !== undefined && !found.has(kid)) found.set(kid, key);
  }
  if (found.size === 0) throw new Error('the JWK set has no usable key');
  return found;
}

/** OpenID Connect Discovery 1.0 §4: the document must name the very issuer that it was asked for. */
async function discover(deps: RemoteKeysDeps, issuer: string): Promise<string> {
  const document = await fetchObject(deps, `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`);
  if (document.issuer !== issuer) throw new Error('the discovery document names another issuer');
  if (typeof document.jwks_uri !== 'string') throw new Error('the discovery document has no jwks_uri');
  return document.jwks_uri;
}

/** The answer was not the 200 that was asked for. */
export class UnexpectedStatus extends Error {
  readonly status: number;

  constructor(status: number) {
    super(`the reply has status ${status}`);
    this.name = 'UnexpectedStatus';
    this.status = status;
  }
}

/**
 * The JSON object at an address, HTTPS or this machine's: no redirects, 5 seconds, 256 KiB. Rejects with `UnexpectedStatus` for an answer
 * that is not 200, and with other errors for the rest.
 */
export async function fetchObject(
  { fetch, clock }: Pick<RemoteKeysDeps, 'fetch' | 'clock'>,
  url: string,
): Promise<Record<string, unknown>> {
  assertFetchable(url);
  const abort = new AbortController();
  const timer = clock.after(patience, () => abort.abort(new Error('no reply in time')));
  try {
    // A redirect could lead to any host and down to plain HTTP.
    const headers = { accept: 'application/json' };
    const response = await fetch(url, { redirect: 'error', signal: abort.signal, headers });
    if (response.status !== 200) throw new UnexpectedStatus(response.status);
    const value: unknown = JSON.parse(await readText(response));
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw new Error('the reply is no JSON object');
    }
    return value as Record<string, unknown>;
  } finally {
    timer.cancel();
    // Ends the transfer of a reply that was not read to its end.
    abort.abort();
  }
}

async function readText(response: Response): Promise<string> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of response.body ?? []) {
    length += part.length;
    if (length > longestReply) throw new Error(`the reply is longer than ${longestReply} bytes`);
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}

/** A key of the set, if it has an id, is for signatures and goes with an accepted algorithm. */
async function importKey(
  jwk: unknown,
  accepted: readonly string[],
): Promise<[kid: string, key: VerificationKey] | undefined> {
  if (typeof jwk !== 'object' || jwk === null) return undefined;
  const { kid, kty, crv, use, alg, n, e, x, y } = jwk as Record<string, unknown>;
  const algorithm = alg ?? usualAlgorithm[kty === 'EC' ? `EC ${String(crv)}` : String(kty)];
  if (typeof kid !== 'string' || typeof algorithm !== 'string' || !accepted.includes(algorithm))
    return undefined;
  if (use !== undefined && use !== 'sig') return undefined;
  try {
    // Only the public members: what else an issuer publishes by mistake is not taken in.
    const members = kty === 'RSA' ? { kty, n, e } : { kty, crv, x, y };
    const key = await importJWK(members as JWK, algorithm);
    if (key instanceof Uint8Array || key.type !== 'public' || isShortRsa(key.algorithm)) return undefined;
    return [kid, { key, algorithm }];
  } catch {
    return undefined;
  }
}

/** RFC 7518 §3.3 and §3.5: 2048 bits at least. */
export function isShortRsa(algorithm: { name: string; modulusLength?: number }): boolean {
  return algorithm.modulusLength !== undefined && algorithm.modulusLength < 2048;
}
