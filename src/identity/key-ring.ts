/**
 * The signing keys in use by this node: loaded from the store, imported once, rotated by compare-and-swap so that
 * nodes that rotate at the same moment end up with the same keys.
 */
import type { CryptoKey } from 'jose';
import type { ChangeFeed } from '../core/changes.ts';
import type { Clock } from '../core/clock.ts';
import { Failure } from '../core/errors.ts';
import {
  generateTokenKey,
  importPrivateTokenKey,
  importPublicTokenKey,
  type PublicTokenKey,
  type TokenKeyPair,
} from '../crypto/token-keys.ts';
import {
  planRotation,
  retireAll,
  type SigningKey,
  type SigningKeyStore,
  scheduled,
  signingKeyAt,
} from './signing-keys.ts';
import type { VerificationKey, VerificationKeys } from './verification-keys.ts';

/** The ring: what signs, what is published, and what verifies. */
export interface KeyRing extends VerificationKeys {
  /** The key that signs now; a missing one is made first. */
  signer(): Promise<{ kid: string; key: CryptoKey }>;
  /** The public keys to publish, next ones included. */
  published(): Promise<readonly PublicTokenKey[]>;
  /** Takes up other nodes' changes and does what is due at `now` (milliseconds); repeating it changes nothing. */
  rotate(now: number): Promise<void>;
  /** Puts a new key to work at once; `revoke` also unpublishes all others, which ends every token issued. */
  rotateNow(options: { revoke: boolean }): Promise<void>;
}

interface LoadedKey {
  readonly record: SigningKey;
  readonly privateKey: CryptoKey;
  readonly verification: VerificationKey;
}

/** At most one reload in so many milliseconds on account of key ids that nobody knows. */
const reloadPause = 5_000;
const mostAttempts = 5;

interface Deps {
  readonly store: SigningKeyStore;
  readonly clock: Clock;
  readonly feed: ChangeFeed;
}

/** Makes a ring over the store; nothing is read before the first use. */
export function createKeyRing({ store, clock, feed }: Deps): KeyRing {
  let ring: ReadonlyMap<string, LoadedKey> = new Map();
  let ringRevision = -1;
  let loadedAt = Number.NEGATIVE_INFINITY;
  let loading: Promise<void> | undefined;
  let nextLoading: Promise<void> | undefined;
  /** Counts what may have changed the keys; what was read before such news is not taken up after it. */
  let news = 0;
  // Sealed items are few and seldom change: which of them it was matters little.
  feed.subscribe('sealedItem', () => {
    news += 1;
    ring = new Map();
    loadedAt = Number.NEGATIVE_INFINITY;
  });

  async function adopt(records: readonly SigningKey[], revision: number): Promise<void> {
    const before = news;
    const known = ring;
    const loaded = await Promise.all(
      records.map(async (record) => ({ ...(known.get(record.kid) ?? (await imported(record))), record })),
    );
    // A read that was overtaken by a change must not bring a revoked key back.
    if (revision < ringRevision || before !== news) return;
    ring = new Map(loaded.map((key) => [key.record.kid, key]));
    ringRevision = revision;
    loadedAt = clock.monotonic();
  }

  function begin(): Promise<void> {
    loading ??= load().finally(() => {
      loading = undefined;
    });
    return loading;
  }

  function reload(): Promise<void> {
    if (loading === undefined || feed.fresh()) return begin();
    // Without news, a read under way may have missed what was changed before this question: another one follows it.
    const next = () => {
      nextLoading = undefined;
      return begin();
    };
    nextLoading ??= loading.then(next, next);
    return nextLoading;
  }

  async function load(): Promise<void> {
    let before: number;
    do {
      before = news;
      const { keys, revision } = await store.load();
      if (before === news) await adopt(keys, revision);
    } while (before !== news);
  }

  function current(kid: string): LoadedKey | undefined {
    const key = ring.get(kid);
    return key !== undefined && clock.now() < key.record.expires ? key : undefined;
  }

  async function change(
    next: (keys: readonly SigningKey[]) => Promise<readonly SigningKey[]>,
  ): Promise<void> {
    for (let attempt = 0; attempt < mostAttempts; attempt += 1) {
      const { keys, revision } = await store.load();
      const changed = await next(keys);
      const same = changed.length === keys.length && changed.every((key, i) => key === keys[i]);
      const saved = same ? revision : await store.save(changed, revision);
      if (saved !== undefined) return adopt(changed, saved);
    }
    throw new Failure('unavailable', 'The signing keys are being changed elsewhere.', { retryAfter: 1 });
  }

  async function rotate(now: number): Promise<void> {
    // One pair serves all attempts: making one is the slow part.
    let pair: TokenKeyPair | undefined;
    await change(async (keys) => {
      const { kept, signsFrom } = planRotation(keys, now);
      if (signsFrom === undefined) return kept;
      pair ??= await generateTokenKey();
      return [...kept, scheduled(pair, signsFrom)];
    });
  }

  return {
    async signer() {
      const pick = () =>
        signingKeyAt(
          [...ring.values()].map((key) => key.record),
          clock.now(),
        );
      if (pick() === undefined || !feed.fresh()) await reload();
      if (pick() === undefined) await rotate(clock.now());
      // News of anything else that is sealed may have overtaken it.
      if (pick() === undefined) await reload();
      const chosen = ring.get(pick()?.kid ?? '');
      if (chosen === undefined) throw new Failure('unavailable', 'There is no key to sign tokens with.');
      return { kid: chosen.record.kid, key: chosen.privateKey };
    },

    async published() {
      if (ring.size === 0 || !feed.fresh()) await reload();
      return [...ring.values()].filter((key) => current(key.record.kid)).map((key) => key.record.publicJwk);
    },

    async find(kid) {
      const isMissing = current(kid) === undefined && clock.monotonic() >= loadedAt + reloadPause;
      if (isMissing || !feed.fresh()) await reload();
      return current(kid)?.verification;
    },

    has: (kid) => feed.fresh() && current(kid) !== undefined,
    rotate,

    async rotateNow({ revoke }) {
      const pair = await generateTokenKey();
      const now = clock.now();
      await change(async (keys) => [...retireAll(keys, { now, revoke }), scheduled(pair, now)]);
    },
  };
}

async function imported(record: SigningKey): Promise<Omit<LoadedKey, 'record'>> {
  const [privateKey, publicKey] = await Promise.all([
    importPrivateTokenKey(record.privateKey),
    importPublicTokenKey(record.publicJwk),
  ]);
  return { privateKey, verification: { key: publicKey, algorithm: record.publicJwk.alg } };
}
