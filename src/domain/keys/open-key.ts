/** A version of a key that was read: what is known of it at once, and its handle, made ready when it is first used. */
import type { SecretBytes } from '../../core/secret-bytes.ts';
import { type KeyHandle, KeyHandleClosed, type KeyProvider } from '../../crypto/provider.ts';
import type { Kind } from '../versioned/versioned-objects.ts';
import { type KeyDetail, type SealedWithKey, unpackMaterial, withSealed } from './key-detail.ts';

/** Finds the provider that has a key, by its name; throws for one that this server does not have. */
export type ProviderOf = (name: string) => KeyProvider;

export class OpenKey {
  readonly detail: KeyDetail;
  readonly #unseal: () => Promise<SecretBytes>;
  readonly #providerOf: ProviderOf;
  #opened: Promise<ReadyKey> | undefined;
  #closed = false;

  constructor(detail: KeyDetail, unseal: () => Promise<SecretBytes>, providerOf: ProviderOf) {
    this.detail = detail;
    this.#unseal = unseal;
    this.#providerOf = providerOf;
  }

  /** Throws `KeyHandleClosed` once the key was dropped from memory: read it again. */
  open(): Promise<ReadyKey> {
    if (this.#closed) return Promise.reject(new KeyHandleClosed());
    const opening = this.#opened ?? this.#make();
    this.#opened = opening;
    return opening;
  }

  /** The detail as the seal confirms it (`withSealed`); the key's handle is not needed for it. */
  async sealedDetail(): Promise<KeyDetail> {
    const packed = await this.#unseal();
    const { material: _, ...sealed } = unpackMaterial(packed);
    packed.wipe();
    return withSealed(this.detail, sealed);
  }

  /** The handle is closed as soon as it is there; what is under way with it ends. */
  close(): void {
    this.#closed = true;
    this.#opened?.then(
      ({ handle }) => handle.close(),
      () => undefined,
    );
    this.#opened = undefined;
  }

  async #make(): Promise<ReadyKey> {
    try {
      const provider = this.#providerOf(this.detail.provider);
      const packed = await this.#unseal();
      try {
        const { material, ...sealed } = unpackMaterial(packed);
        return { handle: await provider.open({ spec: this.detail.spec, material }), sealed };
      } finally {
        packed.wipe();
      }
    } catch (error) {
      // The next use tries again.
      this.#opened = undefined;
      throw error;
    }
  }
}

/** A key's handle, and what was sealed with the key. */
export interface ReadyKey {
  readonly handle: KeyHandle;
  readonly sealed: SealedWithKey;
}

/** What an open key takes of memory, roughly: a parsed RSA-4096 key with its tables. */
export const openKeySize = 16 * 1024;

export type KeyKind = Kind<OpenKey>;
